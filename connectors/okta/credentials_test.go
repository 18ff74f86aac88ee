package okta

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

type testKey struct {
	public       *rsa.PublicKey
	pkcs1, pkcs8 string
}

// newKey makes a key once: it is the slow part of these tests.
func newKey(t *testing.T) testKey {
	t.Helper()
	key, err := makeKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var makeKey = sync.OnceValues(func() (testKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return testKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return testKey{}, err
	}
	return testKey{
		public: &key.PublicKey,
		pkcs1:  string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		pkcs8:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}, nil
})

// tokenOrg is an org that signs in one service app and answers its users to the newest access token only.
type tokenOrg struct {
	org
	key    testKey
	issued int
	jtis   map[string]bool
	life   int // seconds
}

func newTokenOrg(t *testing.T) *tokenOrg {
	o := &tokenOrg{key: newKey(t), jtis: map[string]bool{}, life: 3600}
	o.answers = map[string]any{
		"/oauth2/v1/token": func(w http.ResponseWriter, r *http.Request) {
			if err := o.verify(r); err != nil {
				t.Error(err)
			}
			o.issued++
			reply(w, fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"access_token":"at%d"}`, o.life, o.issued))
		},
		"/api/v1/users": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != fmt.Sprintf("Bearer at%d", o.issued) {
				refuse(w, http.StatusUnauthorized, "E0000011", "Invalid token provided")
				return
			}
			reply(w, array(user("00u1", "ACTIVE", "")))
		},
	}
	return o
}

func (o *tokenOrg) verify(r *http.Request) error {
	if r.URL.RawQuery != "" {
		return fmt.Errorf("the token request has the query %q", r.URL.RawQuery)
	}
	if got, want := r.FormValue("scope"), "okta.users.read okta.groups.read okta.apps.read"; got != want {
		return fmt.Errorf("scope %q", got)
	}
	parts := strings.Split(r.FormValue("client_assertion"), ".")
	if len(parts) != 3 {
		return errors.New("the assertion is no JWT")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return err
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(o.key.public, crypto.SHA256, sum[:], raw[2]); err != nil {
		return err
	}
	var header struct{ Alg, Kid string }
	var claims struct {
		Iss, Sub, Aud, Jti string
		Iat, Exp           int64
	}
	if err := errors.Join(json.Unmarshal(raw[0], &header), json.Unmarshal(raw[1], &claims)); err != nil {
		return err
	}
	now := time.Now().Unix()
	switch {
	case header.Alg != "RS256" || header.Kid != "kid1":
		return fmt.Errorf("header %+v", header)
	case claims.Iss != "0oaSvc" || claims.Sub != "0oaSvc" || claims.Aud != "https://acme.okta.com/oauth2/v1/token":
		return fmt.Errorf("claims %+v", claims)
	case claims.Iat > now || claims.Exp <= now || claims.Exp > now+3600:
		return fmt.Errorf("times %+v", claims)
	case claims.Jti == "" || o.jtis[claims.Jti]:
		return fmt.Errorf("jti %q was used before", claims.Jti)
	}
	o.jtis[claims.Jti] = true
	return nil
}

func serviceApp(t *testing.T, server http.Handler, key string) *Connector {
	t.Helper()
	return connectWith(t, server, Options{ClientID: "0oaSvc", PrivateKeyID: "kid1",
		PrivateKey: func() string { return key }, Query: everybody})
}

func TestServiceApp(t *testing.T) {
	key := newKey(t)
	for name, text := range map[string]string{
		"PKCS #1": key.pkcs1, "PKCS #8": key.pkcs8, "line breaks as in a variable": strings.ReplaceAll(key.pkcs8, "\n", `\n`),
	} {
		t.Run(name, func(t *testing.T) {
			server := newTokenOrg(t)
			c := serviceApp(t, server, text)
			for range 2 {
				if _, err := c.Fetch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if server.issued != 1 {
				t.Errorf("two reads took %d tokens", server.issued)
			}
		})
	}
	t.Run("a refused token is renewed once", func(t *testing.T) {
		server := newTokenOrg(t)
		c := serviceApp(t, server, key.pkcs8)
		for range 2 {
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			server.issued++ // as if an administrator had revoked the token
		}
		server.answers["/api/v1/users"] = func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, http.StatusUnauthorized, "E0000011", "Invalid token provided")
		}
		before := server.requests()
		_, err := c.Fetch(t.Context())
		e, ok := errors.AsType[*connectors.Error](err)
		if !ok || e.Status != http.StatusUnauthorized {
			t.Errorf("error %v", err)
		}
		if got := server.requests() - before; got != 3 {
			t.Errorf("%d requests, want two tries and one token", got)
		}
	})
	t.Run("an expiring token is renewed in time", func(t *testing.T) {
		server := newTokenOrg(t)
		c := serviceApp(t, server, key.pkcs8)
		synctest.Test(t, func(t *testing.T) {
			for want, wait := range []time.Duration{0, 50 * time.Minute, 10 * time.Minute} {
				time.Sleep(wait)
				if _, err := c.Fetch(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got, want := server.issued, max(want, 1); got != want {
					t.Errorf("%d tokens, want %d", got, want)
				}
			}
		})
	})
	t.Run("trouble of the token endpoint is waited out with a new assertion", func(t *testing.T) {
		server := newTokenOrg(t)
		issue := server.answers["/oauth2/v1/token"].(func(http.ResponseWriter, *http.Request))
		tries := 0
		server.answers["/oauth2/v1/token"] = func(w http.ResponseWriter, r *http.Request) {
			if tries++; tries < 3 {
				if err := server.verify(r); err != nil {
					t.Error(err)
				}
				w.WriteHeader([]int{0, 429, 503}[tries])
				return
			}
			issue(w, r)
		}
		c := serviceApp(t, server, key.pkcs8)
		synctest.Test(t, func(t *testing.T) {
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	})
}

func TestServiceAppRefusals(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"a wrong key":     {401, `{"error":"invalid_client","error_description":"The client_assertion signature is invalid."}`, "public half of this key"},
		"no such scope":   {400, `{"error":"invalid_scope","error_description":"x"}`, "grant okta.users.read, okta.groups.read, okta.apps.read"},
		"no role":         {400, `{"error":"access_denied","error_description":"x"}`, "Read-only Administrator role"},
		"DPoP":            {400, `{"error":"invalid_dpop_proof","error_description":"The DPoP proof JWT header is missing."}`, "Demonstrating Proof of Possession"},
		"not for apps":    {400, `{"error":"unauthorized_client"}`, "API Services app"},
		"not Okta":        {404, `<html>`, "check the org URL"},
		"no token":        {200, `{"token_type":"Bearer"}`, "nothing was concluded"},
		"a DPoP token":    {200, `{"token_type":"DPoP","access_token":"x","expires_in":60}`, "nothing was concluded"},
		"an empty answer": {200, ``, "nothing was concluded"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := &org{answers: map[string]any{"/oauth2/v1/token": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			}}}
			_, err := serviceApp(t, server, newKey(t).pkcs8).Fetch(t.Context())
			e, ok := errors.AsType[*connectors.Error](err)
			if !ok || e.Status != tc.status {
				t.Fatalf("error %v (%T)", err, err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%q does not contain %q", err, tc.want)
			}
			if server.requests() != 1 {
				t.Errorf("%d requests", server.requests())
			}
		})
	}
	t.Run("403 names the scope", func(t *testing.T) {
		server := newTokenOrg(t)
		server.answers["/api/v1/users"] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", error_description="x"`)
			w.WriteHeader(http.StatusForbidden)
		}
		_, err := serviceApp(t, server, server.key.pkcs8).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), "403 insufficient_scope listing the users") ||
			!strings.Contains(err.Error(), "okta.users.read") {
			t.Errorf("error %v", err)
		}
	})
}

// A mounted secret may be exchanged while we run.
func TestAPITokenIsAskedForAnew(t *testing.T) {
	current := "old"
	server := &org{answers: map[string]any{"/api/v1/users": func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "SSWS old" {
			current = "new\n"
			refuse(w, http.StatusUnauthorized, "E0000011", "Invalid token provided")
			return
		}
		reply(w, array())
	}}}
	c := connectWith(t, server, Options{APIToken: func() string { return current }, Query: everybody})
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Error(err)
	}
	current = " "
	if _, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "API token is empty") {
		t.Errorf("error %v", err)
	}
}

func TestCheck(t *testing.T) {
	answers := func(change func(map[string]any)) *org {
		o := groupOrg()
		o.answers["/api/v1/apps/0oa1"] = `{"id":"0oa1","label":"Rootly","status":"ACTIVE","settings":[]}`
		o.answers["/api/v1/apps/0oa1/users"] = array(`{"id":"00u1","status":"ACTIVE","_embedded":{"user":` + user("00u1", "ACTIVE", "") + `}}`)
		o.answers["/api/v1/apps/0oa1/users/00u1"] = `{"id":"00u1","status":"ACTIVE"}`
		for _, id := range []string{"00u1", "00u2"} {
			o.answers["/api/v1/users/"+id] = user(id, "ACTIVE", "")
			o.answers["/api/v1/users/"+id+"/groups"] = array(group("00g1", "OKTA_GROUP", "SRE"))
		}
		change(o.answers)
		return o
	}
	forbidden := func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "E0000006", "no permission") }
	assigned := connectors.Query{Mode: connectors.ScopeAssigned}
	tests := map[string]struct {
		query  connectors.Query
		push   string
		change func(map[string]any)
		want   []string // "" for a check that is fine, else part of its error
	}{
		"all is well":           {assigned, "SRE", func(map[string]any) {}, []string{"", "", "", "", ""}},
		"nothing to push":       {assigned, "", func(map[string]any) {}, []string{"", "", ""}},
		"everybody":             {everybody, "", func(map[string]any) {}, []string{""}},
		"groups":                {connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"SRE"}}, "", func(map[string]any) {}, []string{"", "", ""}},
		"an unknown group":      {connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"x"}}, "", func(map[string]any) {}, []string{"does not exist"}},
		"an unknown app":        {assigned, "", func(m map[string]any) { delete(m, "/api/v1/apps/0oa1") }, []string{"no app has the id", "", ""}},
		"an inactive app":       {assigned, "", func(m map[string]any) { m["/api/v1/apps/0oa1"] = `{"id":"0oa1","status":"INACTIVE"}` }, []string{"activate it", "", ""}},
		"another app":           {assigned, "", func(m map[string]any) { m["/api/v1/apps/0oa1"] = `{}` }, []string{"nothing was concluded", "", ""}},
		"forbidden app users":   {assigned, "", func(m map[string]any) { m["/api/v1/apps/0oa1/users"] = forbidden }, []string{"", "Read-only Administrator"}},
		"hidden people":         {assigned, "", func(m map[string]any) { m["/api/v1/apps/0oa1/users"] = `[{"id":"00u1"}]` }, []string{"", "okta.users.read"}},
		"forbidden groups":      {assigned, "SRE", func(m map[string]any) { m["/api/v1/groups"] = forbidden }, []string{"", "", "Read-only Administrator", ""}},
		"a hidden person":       {assigned, "", func(m map[string]any) { delete(m, "/api/v1/users/00u1") }, []string{"", "", "see every user"}},
		"forbidden person":      {assigned, "", func(m map[string]any) { m["/api/v1/users/00u1"] = forbidden }, []string{"", "", "Read-only Administrator"}},
		"forbidden memberships": {assigned, "SRE", func(m map[string]any) { m["/api/v1/groups/00g1/users"] = forbidden }, []string{"", "", "", "Read-only Administrator", ""}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.push != "" {
				tc.query.Push = patterns(t, tc.push)
			}
			checks := connect(t, answers(tc.change), tc.query).Check(t.Context())
			if len(checks) != len(tc.want) {
				t.Fatalf("checks %+v, want %d", checks, len(tc.want))
			}
			for i, check := range checks {
				switch {
				case tc.want[i] == "" && (check.Err != nil || check.Detail == ""):
					t.Errorf("%s: %q, %v", check.Name, check.Detail, check.Err)
				case tc.want[i] != "" && (check.Detail != "" || check.Err == nil || !strings.Contains(check.Err.Error(), tc.want[i])):
					t.Errorf("%s: error %v, want one with %q", check.Name, check.Err, tc.want[i])
				}
			}
		})
	}
}
