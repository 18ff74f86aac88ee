package keycloak

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// errChanged is in the chain of an error about a listing that shifted between two requests of one reading.
var errChanged = errors.New("the realm changed while it was read")

const (
	whereClient = "it is the Client ID under Clients in the admin console"
	whereSecret = "it stands under Clients > the client > Credentials"
)

// decode reads an answer with 200 into v, which a listing has as a slice. What is no complete JSON of that shape is
// damage.
func decode(step string, a *wire.Answer, v any) error {
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/json" {
		return connectors.Damaged(vendor, step, "it is %q, not JSON (check that no proxy answers in Keycloak's place)", kind)
	}
	body := bytes.TrimSpace(a.Body)
	switch {
	case len(body) == 0:
		return connectors.Damaged(vendor, step, "it is empty")
	case bytes.Equal(body, []byte("null")):
		return connectors.Damaged(vendor, step, "it is null")
	case json.Unmarshal(body, v) != nil:
		return connectors.Damaged(vendor, step, "it is not complete JSON of the expected shape")
	}
	return nil
}

// refused makes the error of an answer other than 200, without a remedy.
func refused(step string, a *wire.Answer) *connectors.Error {
	e := &connectors.Error{Directory: vendor, Status: a.Status, Step: step}
	if a.Status < 400 {
		e.Err, e.Summary = connectors.ErrDamaged, "200 was expected"
		e.Remedy = "write the address at which the server itself answers; redirects are not followed, for the token must not go elsewhere"
		return e
	}
	var body struct {
		Code        string `json:"error"`
		Message     string `json:"errorMessage"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(a.Body, &body) == nil {
		e.Code, e.Summary = body.Code, body.Description
		if e.Code == "" {
			e.Summary = body.Message
		}
	}
	return e
}

// refusal makes the error of a refused read.
func (c *client) refusal(step string, a *wire.Answer) error {
	e := refused(step, a)
	switch {
	case e.Err != nil:
	case a.Status == http.StatusUnauthorized:
		e.Remedy = "the access token is refused although it is new; check that the server's hostname setting is the address in url, and see the server's log"
	case a.Status == http.StatusForbidden:
		e.Remedy = "grant the role view-users of realm-management, for mode assigned view-clients too, under Clients > " + c.auth.clientID + " > Service accounts roles"
	case a.Status == http.StatusNotFound && e.Code == "Realm not found.":
		e.Remedy = "there is no realm " + c.auth.realm
	case a.Status == http.StatusNotFound && noSuch(e):
		e.Remedy = "it was deleted while being read; run again"
	case a.Status == http.StatusNotFound:
		e.Remedy = "this does not look like Keycloak; check the URL (a server before Keycloak 17, or one with a path of its own, needs that path, such as /auth)"
	}
	return e
}

// unknown are Keycloak's words for a person, group or role that there is not.
var unknown = []string{"user not found", "could not find user", "could not find group by id", "could not find role"}

// noSuch tells whether Keycloak itself answers that there is no such thing. Any other 404 comes from a proxy, or from
// another server.
func noSuch(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Status == http.StatusNotFound && slices.Contains(unknown, strings.ToLower(strings.TrimSuffix(e.Code, ".")))
}
