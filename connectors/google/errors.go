package google

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// errChanged is in the chain of an error about something that went away between two requests of one reading.
var errChanged = errors.New("it was deleted while the directory was read")

// plain is connectors.AtStep without the request's address, which may hold a person's.
func plain(step string, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return connectors.AtStep(vendor, step, err)
}

// A said is what a refusal says: the Directory API's error object, a newer Google API's, or OAuth's.
type said struct {
	reasons []string
	status  string // "PERMISSION_DENIED"
	message string
}

func parseRefusal(body []byte) said {
	var outer struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return said{}
	}
	var code string
	if json.Unmarshal(outer.Error, &code) == nil {
		return said{reasons: []string{code}, message: outer.Description}
	}
	var inner struct {
		Message string `json:"message"`
		Status  string `json:"status"`
		Errors  []struct {
			Reason string `json:"reason"`
		} `json:"errors"`
		Details []struct {
			Reason string `json:"reason"`
		} `json:"details"`
	}
	if json.Unmarshal(outer.Error, &inner) != nil {
		return said{}
	}
	s := said{status: inner.Status, message: inner.Message}
	for _, e := range slices.Concat(inner.Errors, inner.Details) {
		if e.Reason != "" {
			s.reasons = append(s.reasons, e.Reason)
		}
	}
	return s
}

func (s said) code() string { return cmp.Or(strings.Join(s.reasons, ", "), s.status) }

func (s said) has(reasons ...string) bool {
	return slices.ContainsFunc(s.reasons, func(r string) bool { return slices.Contains(reasons, r) })
}

// overQuota tells a refusal that passes by itself from one that does not. Google writes 403 for both.
func overQuota(a *wire.Answer) bool {
	switch a.Status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return parseRefusal(a.Body).has("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED")
	}
	return false
}

// refusal makes the error of an answer other than 200.
func refusal(at endpoint, a *wire.Answer, auth *signIn) *connectors.Error {
	s := parseRefusal(a.Body)
	e := &connectors.Error{Directory: vendor, Status: a.Status, Code: s.code(), Step: at.step, Summary: s.message}
	if a.Status < 400 {
		e.Err, e.Summary = connectors.ErrDamaged, "200 was expected"
		e.Remedy = "check the endpoint, and that no proxy answers in Google's place"
		return e
	}
	e.Remedy = remedy(at, a.Status, s, auth)
	return e
}

const (
	whereCustomer = "the customer id is shown in the Admin console under Account > Account settings"
	whereAPI      = "enable the Admin SDK API for the service account's project under APIs & Services in the Google Cloud console"
)

// remedy says what to do about a refused read.
func remedy(at endpoint, status int, s said, auth *signIn) string {
	switch {
	case s.has("accessNotConfigured", "SERVICE_DISABLED"):
		return whereAPI + "; it takes a few minutes"
	case s.has("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
		return "the access token lacks a scope; " + auth.grant()
	case s.has("domainCannotUseApis"):
		return "allow API access in the Admin console under Security > Access and data control > API controls"
	case s.has("dailyLimitExceeded"):
		return "the project's quota of the day is used up; it is renewed at midnight Pacific time"
	case status == http.StatusUnauthorized:
		return "the access token is refused; see whether the service account is enabled, and " + auth.grant()
	case status == http.StatusForbidden:
		return auth.role(at) + "; with a customer id, check that it is this account's: " + whereCustomer
	case status == http.StatusNotFound && len(s.reasons) == 0:
		return "this does not look like Google; check the endpoint"
	case status == http.StatusNotFound && at.list && at.id == "":
		return "there is no such customer; " + whereCustomer
	case status == http.StatusNotFound:
		return "it was deleted while being read; run again"
	case status == http.StatusBadRequest && strings.Contains(s.message, "INVALID_OU_ID"):
		return "there is no such organizational unit; compare with Directory > Organizational units in the Admin console"
	case status == http.StatusBadRequest && at.id == "":
		return "check the customer id (" + whereCustomer + "), the query and the custom attributes that are asked for"
	default:
		return ""
	}
}

// noSuch tells whether Google itself answers that there is no such thing. A 404 without its reason comes from a proxy,
// or from another server.
func noSuch(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Status == http.StatusNotFound && strings.Contains(e.Code, "notFound")
}

// forbidden tells whether Google itself refuses the right to see something.
func forbidden(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Status == http.StatusForbidden && (strings.Contains(e.Code, "forbidden") || e.Code == "PERMISSION_DENIED")
}
