package google

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ErrDamaged is in the chain of every error about an answer that came with 200 and is not what Google sends.
var ErrDamaged = errors.New("the answer was damaged, nothing was concluded from it")

// errChanged is in the chain of an error about something that went away between two requests of one reading.
var errChanged = errors.New("it was deleted while the directory was read")

// An Error is a request that Google did not answer as asked. Its text ends with what to do.
type Error struct {
	Status  int    // the HTTP status, 0 without an answer
	Code    string // Google's own reason such as "forbidden", or OAuth's such as "unauthorized_client"
	Step    string // "listing the members of group 01abc"
	Summary string // what Google or the network said
	Remedy  string
	Err     error // ErrDamaged or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("google: ")
	if e.Status != 0 && e.Status != http.StatusOK {
		fmt.Fprintf(&b, "%d ", e.Status)
	}
	if e.Code != "" {
		b.WriteString(e.Code + " ")
	}
	b.WriteString(e.Step)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Summary != "" {
		b.WriteString(": " + e.Summary)
	}
	if e.Remedy != "" {
		b.WriteString(" (" + e.Remedy + ")")
	}
	return b.String()
}

// Unwrap returns ErrDamaged for a damaged answer, else nil.
func (e *Error) Unwrap() error { return e.Err }

func damaged(step, format string, args ...any) error {
	return &Error{Status: http.StatusOK, Step: step, Summary: fmt.Sprintf(format, args...), Err: ErrDamaged}
}

// plain takes away what net/http and the SDK wrap round an error of the transport, and names the step for all others:
// those of the context and of the SDK's decoder.
func plain(step string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the address, which may hold a person's
	}
	return fmt.Errorf("google: %s: %w", step, err)
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
func overQuota(a *answer) bool {
	switch a.status {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		return parseRefusal(a.body).has("rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED")
	}
	return false
}

// refusal makes the error of an answer other than 200.
func refusal(at endpoint, a *answer, auth *signIn) *Error {
	s := parseRefusal(a.body)
	e := &Error{Status: a.status, Code: s.code(), Step: at.step, Summary: s.message}
	if a.status < 400 {
		e.Err, e.Summary = ErrDamaged, "200 was expected"
		e.Remedy = "check the endpoint, and that no proxy answers in Google's place"
		return e
	}
	e.Remedy = remedy(at, a.status, s, auth)
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
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound && strings.Contains(e.Code, "notFound")
}

// forbidden tells whether Google itself refuses the right to see something.
func forbidden(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusForbidden && (strings.Contains(e.Code, "forbidden") || e.Code == "PERMISSION_DENIED")
}
