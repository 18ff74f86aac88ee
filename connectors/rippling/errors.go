package rippling

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

const whereToken = "tokens are made by an administrator in Rippling under Settings > Company Settings > API Access"

// refusal makes the error of an answer other than 200.
func (c *client) refusal(at endpoint, a *wire.Answer) *connectors.Error {
	e := &connectors.Error{Directory: vendor, Status: a.Status, Step: at.step}
	if a.Status < 400 {
		e.Err, e.Summary = connectors.ErrDamaged, "200 was expected"
		e.Remedy = "check the base URL, and that no proxy answers in Rippling's place"
		return e
	}
	e.Summary = said(a.Body)
	e.Remedy = c.remedy(at, a)
	return e
}

// said are the server's own words, cut short.
func said(body []byte) string {
	var words struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
		Error   string `json:"error"`
	}
	if json.Unmarshal(body, &words) != nil {
		return ""
	}
	s := strings.Join(strings.Fields(cmp.Or(words.Message, words.Detail, words.Error, words.Code)), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// remedy says what to do about a refused read.
func (c *client) remedy(at endpoint, a *wire.Answer) string {
	switch {
	case a.Status == http.StatusUnauthorized:
		return "the API token is wrong, revoked or expired after 30 days of disuse; " + whereToken
	case a.Status == http.StatusForbidden:
		return fmt.Sprintf("grant the API token %s; %s", at.scope, whereToken)
	case a.Status == http.StatusNotFound:
		return "check the base URL, and that no proxy answers in Rippling's place; run again"
	case a.Status == http.StatusBadRequest:
		return fmt.Sprintf("see whether Rippling still serves the API version %s, and set another one", c.version)
	case a.Status == http.StatusTooManyRequests:
		return "run less often, or see which other programs read with this token"
	case a.Status >= 500:
		return "see status.rippling.com; run again"
	}
	return ""
}

// outage is the error after the last try.
func outage(at endpoint, a *wire.Answer, err error) error {
	e := &connectors.Error{Directory: vendor, Step: at.step, Remedy: "check the base URL and the network, then status.rippling.com; run again"}
	switch {
	case err != nil:
		e.Summary = wire.Trouble(err)
		if connectors.Unreachable(err) {
			e.Err = connectors.ErrUnreachable
		}
	default:
		e.Status, e.Summary = a.Status, "the server is in trouble"
	}
	e.Summary += fmt.Sprintf(", %d times in a row", maxTries)
	return e
}

// noSuch tells whether there is no such thing by the server's answer. What a 404 of Rippling looks like is not
// documented, so that it comes from Rippling is not proved by it.
func noSuch(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Status == http.StatusNotFound
}

// unreadable is what a decoder complains about, without the value.
func unreadable(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s is a %s", cmp.Or(e.Field, "it"), e.Value)
	}
	return "it cannot be read"
}
