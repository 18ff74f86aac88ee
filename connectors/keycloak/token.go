package keycloak

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// signIn gets access tokens by client credentials and keeps one until shortly before it expires, which is after one to
// five minutes.
type signIn struct {
	endpoint string
	realm    string
	clientID string
	secret   func() string
	needs    []right

	asking wire.Turn
	mu     sync.Mutex // never held in a wait
	text   string
	until  time.Time
}

// A right is a role of the realm's own management client that the service account must hold. Any of anyOf will do.
type right struct {
	grant string // the least of them
	anyOf []string
	why   string
}

// rights are what reading takes. Without view-users Keycloak answers with 200 and leaves people and groups out that
// fine-grained permissions do not show, so its presence has to be seen.
func rights(o Options) []right {
	needs := []right{{"view-users", []string{"view-users", "manage-users"}, "without it Keycloak leaves people and groups out of its listings and says nothing"}}
	if o.Query.Mode == connectors.ScopeAssigned {
		needs = append(needs, right{"view-clients", []string{"view-clients", "manage-clients"}, "it takes it to see who has the roles of a client"})
	}
	return needs
}

const stepToken = "asking for an access token"

// token is an access token that is good for now, and that carries the rights. Of parallel requests one asks for it and
// the others wait, each no longer than its own context lasts; if the one fails or is given up, the next asks for itself.
func (s *signIn) token(ctx context.Context, c *client) (string, error) {
	if text, good := s.current(); good {
		return text, nil
	}
	end, err := s.asking.Take(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	if text, good := s.current(); good {
		return text, nil
	}
	text, life, err := s.ask(ctx, c)
	if err == nil {
		err = s.check(text)
	}
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.until = text, time.Now().Add(life*9/10)
	return text, nil
}

func (s *signIn) current() (text string, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, time.Now().Before(s.until)
}

// drop forgets a token that was refused, unless another request has replaced it already.
func (s *signIn) drop(refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == refused {
		s.text, s.until = "", time.Time{}
	}
}

func (s *signIn) ask(ctx context.Context, c *client) (text string, life time.Duration, err error) {
	a, err := c.send(ctx, stepToken, func() (*http.Request, error) {
		form := url.Values{"grant_type": {"client_credentials"}}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// RFC 6749 section 2.3.1: both are form-encoded first.
		req.SetBasicAuth(url.QueryEscape(s.clientID), url.QueryEscape(s.secret()))
		return req, nil
	})
	if err != nil {
		return "", 0, err
	}
	if a.Status != http.StatusOK {
		return "", 0, s.refusal(a)
	}
	var body struct {
		Token     string `json:"access_token"`
		Type      string `json:"token_type"`
		ExpiresIn int    `json:"expires_in"`
	}
	if err := decode(stepToken, a, &body); err != nil {
		return "", 0, err
	}
	if body.Token == "" || !strings.EqualFold(body.Type, "Bearer") {
		return "", 0, connectors.Damaged(vendor, stepToken, "it holds no bearer token")
	}
	return body.Token, time.Duration(body.ExpiresIn) * time.Second, nil
}

// refusal is what the token endpoint said, with what to do by its words: Keycloak has one code for several causes.
func (s *signIn) refusal(a *wire.Answer) error {
	e := refused(stepToken, a)
	text := strings.ToLower(e.Code + " " + e.Summary)
	switch {
	case e.Err != nil:
	case strings.Contains(text, "realm does not exist"):
		e.Remedy = "there is no realm " + s.realm + " on this server; its name stands in the address of its admin console: /admin/acme/console"
	case strings.Contains(text, "service account"), strings.Contains(text, "public client"):
		e.Remedy = "switch on Client authentication and Service accounts roles under Clients > " + s.clientID + " > Settings > Capability config"
	case strings.Contains(text, "client disabled"), strings.Contains(text, "not enabled"):
		e.Remedy = "enable the client under Clients > " + s.clientID
	case strings.Contains(text, "realm not enabled"):
		e.Remedy = "enable the realm under Realm settings"
	case strings.Contains(text, "invalid_client"):
		e.Remedy = "there is no client " + s.clientID + " in realm " + s.realm + ", or it signs in by other means than a secret; " + whereClient
	case strings.Contains(text, "unauthorized_client"):
		e.Remedy = "the client secret is wrong; " + whereSecret
	case a.Status == http.StatusNotFound:
		e.Remedy = "this does not look like Keycloak; check the URL (a server before Keycloak 17, or one with a path of its own, needs that path, such as /auth)"
	default:
		e.Remedy = "check the URL, the realm and the client"
	}
	return e
}

// check looks for the rights in the token's claims. The token comes from its issuer over TLS and is shown to nobody
// else, so its signature is the server's to check.
func (s *signIn) check(token string) error {
	var claims struct {
		Realm    struct{ Roles []string }            `json:"realm_access"`
		Resource map[string]struct{ Roles []string } `json:"resource_access"`
	}
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		text, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || json.Unmarshal(text, &claims) != nil {
			return connectors.Damaged(vendor, stepToken, "the token's claims cannot be read")
		}
	}
	manager := "realm-management"
	if s.realm == "master" {
		manager = "master-realm"
		if slices.Contains(claims.Realm.Roles, "admin") {
			return nil
		}
	}
	held := claims.Resource[manager].Roles
	for _, need := range s.needs {
		if slices.ContainsFunc(need.anyOf, func(role string) bool { return slices.Contains(held, role) }) {
			continue
		}
		return &connectors.Error{Directory: vendor, Step: "looking for the role " + need.grant + " in the access token", Err: connectors.ErrRefused,
			Summary: "it carries no such role of " + manager + ", and " + need.why,
			Remedy: "grant it under Clients > " + s.clientID + " > Service accounts roles > Assign role; if it is granted, let the token say so: keep the client " +
				"scope roles under Client scopes, and allow the role under its dedicated scope if Full scope allowed is off"}
	}
	return nil
}
