//go:build !noentra

package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// Graph's codes that decide something here.
const (
	codeNotFound    = "Request_ResourceNotFound"
	codeExpiredPage = "Directory_ExpiredPageToken"
)

// noSuch tells whether Graph itself answers that there is no such thing. A 404 without its code comes from a proxy, or
// from another server.
func noSuch(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Status == http.StatusNotFound && e.Code == codeNotFound
}

const (
	signingIn    = "signing in"
	whereSecrets = "App registrations > the app > Certificates & secrets"
	whereApp     = "it is the Application ID on the page of the enterprise application, not its Object ID"
	whereGroup   = "it is the Object ID on the group's Overview page in the Entra admin center"
)

// refusal makes the error of an answer other than 200.
func (t *transport) refusal(at endpoint, a *wire.Answer) *connectors.Error {
	e := &connectors.Error{Directory: vendor, Status: a.Status, Step: at.step}
	var body struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(a.Body, &body) == nil {
		e.Code, e.Summary = body.Error.Code, body.Error.Message
	}
	if a.Status < 400 {
		e.Err = connectors.ErrDamaged
		e.Summary = "200 was expected"
		e.Remedy = "check that the Graph URL is right and that no proxy answers in its place"
		return e
	}
	e.Remedy = t.remedy(at, e.Status, e.Code)
	return e
}

// remedy says what to do about a refused read.
func (t *transport) remedy(at endpoint, status int, code string) string {
	switch {
	case status == http.StatusUnauthorized:
		return "Graph does not take the access token; check that cloud and Graph URL belong to the tenant" + t.clock()
	case status == http.StatusForbidden:
		return fmt.Sprintf("grant the application permission %s under App registrations > the app > API permissions > "+
			"Microsoft Graph, and press Grant admin consent", at.right)
	case status == http.StatusNotFound && code == "":
		return "this does not look like Graph; check the Graph URL"
	case status == http.StatusNotFound && at.app:
		return "no enterprise application of this tenant has the client id; look under Enterprise applications, " + whereApp
	case status == http.StatusNotFound && at.right == rightGroups:
		return "the group was deleted while being read; run again, and if this stays, remove the group from the enterprise application's Users and groups"
	case status == http.StatusNotFound:
		return "it was deleted while being read; run again"
	case code == codeExpiredPage:
		return "the listing took too long several times; run again"
	case status == http.StatusTooManyRequests:
		return "run less often, or find out what else uses this app registration"
	case status >= 500 || status == 0:
		return "check the Graph URL, the authority URL and the network, then the service health in the Microsoft 365 admin center; run again"
	default:
		return ""
	}
}

// maxSkew is how far a clock may be off before tokens fail.
const maxSkew = 4 * time.Minute

// clock says when our clock is off, as the last answers' dates have it.
func (t *transport) clock() string {
	ahead := time.Duration(t.ahead.Load()).Round(time.Second)
	switch {
	case ahead > maxSkew:
		return fmt.Sprintf("; set this machine's clock, which is %s ahead of Microsoft's", ahead)
	case ahead < -maxSkew:
		return fmt.Sprintf("; set this machine's clock, which is %s behind Microsoft's", -ahead)
	}
	return ""
}

var (
	aadsts = regexp.MustCompile(`AADSTS[0-9]+`)
	// trailer begins what Entra appends to its messages for its support.
	trailer = regexp.MustCompile(`\s*(Trace ID|Correlation ID|Timestamp):.*`)
)

// signInError makes the error of a token that was not given. azidentity's text is a page of prose round the answer; of
// it only Entra's own sentence is kept.
func (t *transport) signInError(err error) error {
	e := &connectors.Error{Directory: vendor, Step: signingIn}
	text := err.Error()
	if failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err); ok && failed.RawResponse != nil {
		e.Status = failed.RawResponse.StatusCode
	}
	var body struct {
		Description string `json:"error_description"`
	}
	if from, to := strings.Index(text, "{"), strings.LastIndex(text, "}"); from >= 0 && to > from {
		if json.Unmarshal([]byte(text[from:to+1]), &body) == nil && body.Description != "" {
			text = body.Description
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	e.Code = aadsts.FindString(text)
	if e.Code != "" {
		_, text, _ = strings.Cut(text, e.Code)
		text = strings.TrimLeft(text, ": ")
	}
	e.Summary = trailer.ReplaceAllString(text, "")
	if len(e.Summary) > 400 {
		e.Summary = e.Summary[:400] + "…"
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Summary = "no answer in time"
	case e.Status == 0 && t.astray.Load():
		e.Err = connectors.ErrUnreachable
	}
	e.Remedy = signInRemedy(e.Code) + t.clock()
	return e
}

// signInRemedy says what to do about Entra's commonest refusals.
func signInRemedy(code string) string {
	switch code {
	case "AADSTS7000222":
		return "the client secret has expired; make a new one under " + whereSecrets + " and set client_secret"
	case "AADSTS7000215":
		return "the client secret is wrong; set it to the Value of a secret, not to its Secret ID, from " + whereSecrets
	case "AADSTS90002", "AADSTS900023", "AADSTS900021":
		return "no such tenant in this cloud; set tenant_id to the Directory (tenant) ID on the Overview page, and check cloud"
	case "AADSTS700016":
		return "the app registration is not in this tenant; set client_id to its Application (client) ID, and check tenant_id"
	case "AADSTS7000112", "AADSTS7000114":
		return "the app is disabled; under Enterprise applications > the app > Properties set Enabled for users to sign-in"
	case "AADSTS700024":
		return "the signed assertion is outside its time"
	case "AADSTS700027", "AADSTS7000272":
		return "the certificate is not one of the app's; upload its public half under " + whereSecrets + " > Certificates"
	case "AADSTS70021", "AADSTS700211", "AADSTS700213", "AADSTS700212":
		return "no federated credential fits the token of this workload; compare issuer, subject and audience under " + whereSecrets + " > Federated credentials"
	case "AADSTS53003":
		return "a conditional access policy blocks this workload identity; let it through, or sign in from an allowed place"
	case "AADSTS500011":
		return "the tenant does not know this Graph; check cloud and the Graph URL"
	case "":
		return "check the authority URL, the network and the environment of the identity; run again"
	}
	return "look the code up at https://login.microsoftonline.com/error"
}
