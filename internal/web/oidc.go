package web

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"crypto/tls"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// OIDC is how people sign in, and who of them may do what.
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret func() string // nil for a public client
	Scopes       []string      // beside openid; email and profile when empty
	GroupsClaim  string        // groups when empty
	// Who is allowed may look, and approvers may approve too.
	AllowedGroups, AllowedEmails   []string
	ApproverGroups, ApproverEmails []string
	RootCAs                        *x509.CertPool // nil means the system's
}

// role is what a person may do. An address counts only when the issuer has verified it.
func (o *OIDC) role(p person) Role {
	may := func(groups, emails []string) bool {
		if slices.ContainsFunc(p.Groups, func(g string) bool { return slices.Contains(groups, g) }) {
			return true
		}
		return p.Verified && p.Email != "" && slices.ContainsFunc(emails, func(text string) bool {
			pat, err := connectors.ParsePattern(text)
			return err == nil && pat.Match("", p.Email)
		})
	}
	switch {
	case may(o.ApproverGroups, o.ApproverEmails):
		return RoleApprover
	case may(o.AllowedGroups, o.AllowedEmails):
		return RoleViewer
	}
	return RoleNobody
}

// A person is whom an ID token speaks of.
type person struct {
	Subject  string
	Email    string
	Verified bool
	FullName string
	Groups   []string
}

// name is who decisions are recorded under: the address if the issuer vouches for it.
func (p person) name() string {
	if p.Email != "" && p.Verified {
		return p.Email
	}
	if p.FullName != "" {
		return fmt.Sprintf("%s (%s)", p.FullName, p.Subject)
	}
	return p.Subject
}

const callbackPath = "/login/callback"

// issuerTime is how long the issuer may take to answer.
const issuerTime = 10 * time.Second

// A provider is one issuer. What it publishes is read at the first login, so that the daemon starts without it.
type provider struct {
	o        OIDC
	callback string
	client   *http.Client

	mu   sync.Mutex
	oidc *oidc.Provider
}

func newProvider(o OIDC, callback string) *provider {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
	return &provider{o: o, callback: callback, client: &http.Client{Transport: redact.Transport(t), Timeout: issuerTime}}
}

// same tells whether next asks the same issuer as the same client.
func (p *provider) same(next *provider) bool {
	return p.o.Issuer == next.o.Issuer && p.o.ClientID == next.o.ClientID && p.callback == next.callback && p.o.RootCAs.Equal(next.o.RootCAs)
}

func (p *provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.oidc == nil {
		// The provider keeps the context for fetching keys later: it must not end with this request.
		found, err := oidc.NewProvider(p.context(context.WithoutCancel(ctx)), p.o.Issuer)
		if err != nil {
			return nil, fmt.Errorf("the issuer %s does not answer as one: %w (http.oidc.issuer is the address below which /.well-known/openid-configuration is)", p.o.Issuer, err)
		}
		p.oidc = found
	}
	return p.oidc, nil
}

func (p *provider) flow(found *oidc.Provider, o *OIDC) *oauth2.Config {
	scopes := o.Scopes
	if len(scopes) == 0 {
		scopes = []string{"email", "profile"}
	}
	c := &oauth2.Config{
		ClientID: o.ClientID, Endpoint: found.Endpoint(), RedirectURL: p.callback,
		Scopes: append([]string{oidc.ScopeOpenID}, scopes...),
	}
	if o.ClientSecret != nil {
		c.ClientSecret = o.ClientSecret()
	}
	return c
}

// algorithms are the signatures that are believed: those of a key pair. With a shared secret, whoever has the client's
// could sign anybody in.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// redeem trades the code of a login for the person who signed in.
func (p *provider) redeem(ctx context.Context, o *OIDC, code string, l login) (person, error) {
	ctx, cancel := context.WithTimeout(p.context(ctx), issuerTime)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	token, err := p.flow(found, o).Exchange(ctx, code, oauth2.VerifierOption(l.verifier))
	if err != nil {
		return person{}, fmt.Errorf("the issuer does not trade the code for a token: %w (is http.oidc.client_secret right?)", withoutBody(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return person{}, errors.New("the issuer's answer has no ID token (is the scope openid allowed for this client?)")
	}
	return p.verify(ctx, found, o, raw, l.nonce)
}

// withoutBody drops the issuer's answer from an error: it may hold what was sent.
func withoutBody(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil {
		return fmt.Errorf("%s %s", e.Response.Status, e.ErrorCode)
	}
	return err
}

// verify believes an ID token that this issuer signed for this client and this login, now.
func (p *provider) verify(ctx context.Context, found *oidc.Provider, o *OIDC, raw, nonce string) (person, error) {
	t, err := found.Verifier(&oidc.Config{ClientID: o.ClientID, SupportedSigningAlgs: algorithms}).Verify(ctx, raw)
	if err != nil {
		return person{}, fmt.Errorf("the ID token is not believed: %w", err)
	}
	var claims struct {
		Party    string `json:"azp"`
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Name     string `json:"name"`
	}
	all := map[string]any{}
	if err := errors.Join(t.Claims(&claims), t.Claims(&all)); err != nil {
		return person{}, fmt.Errorf("the ID token is not believed: %w", err)
	}
	switch {
	case t.Nonce == "" || !sameToken(t.Nonce, nonce):
		return person{}, errors.New("the ID token is not believed: it answers another login (nonce)")
	case claims.Party != "" && claims.Party != o.ClientID, claims.Party == "" && len(t.Audience) > 1:
		return person{}, errors.New("the ID token is not believed: it was issued to another client (azp)")
	case t.Subject == "":
		return person{}, errors.New("the ID token is not believed: it names nobody (sub)")
	case t.IssuedAt.IsZero():
		return person{}, errors.New("the ID token is not believed: it does not say when it was issued (iat)")
	}
	who := person{Subject: t.Subject, Email: claims.Email, Verified: claims.Verified, FullName: claims.Name}
	claim := o.GroupsClaim
	if claim == "" {
		claim = "groups"
	}
	if list, ok := all[claim].([]any); ok {
		for _, g := range list {
			if name, ok := g.(string); ok {
				who.Groups = append(who.Groups, name)
			}
		}
	}
	return who, nil
}
