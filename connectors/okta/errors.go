package okta

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// An endpoint is what a path means to people and to rate limits.
type endpoint struct {
	step   string // what a request there does, for messages
	bucket string // the family that shares a rate limit
	list   bool   // answers an array
	scope  string // the OAuth scope it needs
	app    string // the id of the app
}

// endpointOf reads the escaped path of one of the calls this package makes: names of collections and ids in turn.
func endpointOf(path string) endpoint {
	rest, _ := strings.CutPrefix(path, "/api/v1/")
	parts := strings.Split(rest, "/")
	kind, id := parts[0], strings.Join(parts[1:min(2, len(parts))], "")
	e := endpoint{list: len(parts)%2 == 1, scope: "okta." + kind + ".read"}
	if kind == "apps" {
		e.app = id
	}
	switch {
	case len(parts) == 1:
		e.step = "listing the " + kind
	case len(parts) == 2:
		e.step = "reading " + strings.TrimSuffix(kind, "s") + " " + id
	case len(parts) == 4:
		e.step = "reading the assignment of user " + parts[3] + " to app " + id
	case kind == "apps":
		e.step = "listing the users of app " + id
	case kind == "users":
		e.step = "listing the groups of user " + id
	default:
		e.step = "listing the members of group " + id
	}
	for i := 1; i < len(parts); i += 2 {
		parts[i] = "*"
	}
	e.bucket = strings.Join(parts, "/")
	return e
}

const (
	whereAppID = "it is the 0oa… in the address of the app's page under Applications > Applications"
	whereKey   = "Applications > the service app > General > Client Credentials"
)

// refusal makes the error of an answer other than 200.
func refusal(at endpoint, a *wire.Answer, oauth bool) *connectors.Error {
	e := &connectors.Error{Directory: vendor, Status: a.Status, Step: at.step}
	var body struct {
		Code        string `json:"errorCode"`
		Summary     string `json:"errorSummary"`
		OAuthCode   string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(a.Body, &body) == nil {
		e.Code, e.Summary = cmp.Or(body.Code, body.OAuthCode), cmp.Or(body.Summary, body.Description)
	}
	if e.Code == "" && strings.Contains(a.Header.Get("Www-Authenticate"), "insufficient_scope") {
		e.Code = "insufficient_scope"
	}
	if a.Status < 400 {
		e.Err = connectors.ErrDamaged
		e.Summary = "200 was expected"
		e.Remedy = "check that the org URL is the org's own address and that no proxy answers in its place"
		return e
	}
	e.Remedy = remedy(at, e.Status, e.Code, oauth)
	return e
}

// remedy says what to do about a refused read.
func remedy(at endpoint, status int, code string, oauth bool) string {
	const readOnly = "the Read-only Administrator role"
	switch {
	case status == http.StatusUnauthorized && oauth:
		return "the access token is refused; look at the service app's status and at System Log in the Admin Console"
	case status == http.StatusUnauthorized:
		return "the API token is wrong, revoked or expired after 30 days of disuse; create one under " +
			"Security > API > Tokens as an administrator with " + readOnly
	case status == http.StatusForbidden && oauth:
		return fmt.Sprintf("grant the service app %s under Okta API Scopes and %s under Admin roles", at.scope, readOnly)
	case status == http.StatusForbidden:
		return "give the administrator who made the API token " + readOnly
	case status == http.StatusNotFound && code == "":
		return "this does not look like Okta; check the org URL"
	case status == http.StatusNotFound && at.app != "":
		return fmt.Sprintf("no app has the id %s; %s", at.app, whereAppID)
	case status == http.StatusNotFound:
		return "it was deleted while being read or is hidden from this credential; run again"
	case status == http.StatusTooManyRequests:
		return "run less often, or raise the share of the rate limit that this token or app may use under Reports > Rate Limits"
	case status >= 500 || status == 0:
		return "check the org URL and the network, then status.okta.com; run again"
	default:
		return ""
	}
}

// tokenRemedy says what to do when the token endpoint refuses, by OAuth's code.
func tokenRemedy(code string, scopes []string) string {
	switch code {
	case "invalid_client":
		return "check client id, private key and key id: the public half of this key must be listed and active under " +
			whereKey + ", with Public key / Private key as the authentication method"
	case "invalid_scope", "consent_required":
		return "grant " + strings.Join(scopes, ", ") + " to the service app under Okta API Scopes"
	case "access_denied":
		return "give the service app the Read-only Administrator role under Admin roles and activate it"
	case "invalid_dpop_proof", "use_dpop_nonce":
		return "the service app requires DPoP, which is not spoken here; switch off \"Require Demonstrating Proof of " +
			"Possession (DPoP) header in token requests\" under General > General Settings"
	case "unauthorized_client", "unsupported_grant_type":
		return "the app must be an API Services app, which may use the client credentials grant"
	default:
		return "check the org URL, and that the app is an active API Services app"
	}
}
