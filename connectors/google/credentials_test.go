package google

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func smallCompany() *sim.Company {
	return sim.NewCompany(sim.Config{Seed: 7, People: 12, Groups: 3})
}

// changedKey is the simulator's key file with one value changed.
func changedKey(t *testing.T, name, value string) string {
	t.Helper()
	var key map[string]string
	if err := json.Unmarshal([]byte(sim.GoogleKeyFile(testAddress)), &key); err != nil {
		t.Fatal(err)
	}
	key[name] = value
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Each mistake of an operator is answered by Google's own code, what is wrong, and where to mend it.
func TestRefusedSignIn(t *testing.T) {
	group := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}
	tests := map[string]struct {
		served sim.GoogleOptions
		change func(t *testing.T, o *Options)
		want   []string
	}{
		"the scopes are not delegated": {sim.GoogleOptions{Scopes: []string{}}, nil,
			[]string{"401 unauthorized_client", "client id " + sim.GoogleClientID, "Manage domain wide delegation", scopeUsers + "," + scopeGroups}},
		"nobody has the subject's address": {sim.GoogleOptions{}, func(_ *testing.T, o *Options) { o.Subject = "nobody@acme.example" },
			[]string{"400 invalid_grant", "Invalid email or User ID", "the subject nobody@acme.example is nobody"}},
		"the subject is no administrator": {sim.GoogleOptions{}, func(_ *testing.T, o *Options) { o.Subject = smallCompany().People()[0].Login },
			[]string{"403 forbidden", "is no administrator", "Admin roles"}},
		"the role does not cover groups": {sim.GoogleOptions{Forbidden: []string{"groups"}}, nil,
			[]string{"403 forbidden listing the groups", "Groups > Read"}},
		"the service account is gone": {sim.GoogleOptions{}, func(t *testing.T, o *Options) {
			text := changedKey(t, "client_email", "gone@acme-project.iam.gserviceaccount.com")
			o.Credentials = func() string { return text }
		}, []string{"400 invalid_grant", "account not found", "gone@acme-project.iam.gserviceaccount.com is deleted or disabled"}},
		"another account's customer id": {sim.GoogleOptions{}, func(_ *testing.T, o *Options) { o.Customer = "C09other" },
			[]string{"400 badRequest", "check the customer id", "Account settings"}},
		"no subject and no role": {sim.GoogleOptions{}, func(_ *testing.T, o *Options) { o.Subject, o.Customer = "", sim.GoogleCustomer },
			[]string{"403 forbidden", "the service account " + sim.GoogleAccount, "Admin roles"}},
		"the wrong token URI": {sim.GoogleOptions{}, func(_ *testing.T, o *Options) { o.TokenURI = testAddress + "/v2/token" },
			[]string{"404", "token_uri"}},
		"an organizational unit that is not there": {sim.GoogleOptions{}, func(_ *testing.T, o *Options) {
			o.Query.Mode, o.OrgUnits = connectors.ScopeOrgUnits, []string{"/Nowhere"}
		}, []string{"400 invalid", "/Nowhere", "no such organizational unit"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(sim.NewGoogle(smallCompany(), tc.served), group)
			if tc.change != nil {
				tc.change(t, &o)
			}
			_, err := connect(t, o).Fetch(t.Context())
			e, ok := errors.AsType[*connectors.Error](err)
			if !ok || e.Remedy == "" {
				t.Fatalf("error %v (%T), want one with a remedy", err, err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not contain %q", err, part)
				}
			}
		})
	}
}

// The token endpoint's other refusals, in Google's words.
func TestTokenRefusals(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"a deleted key":      {`{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`, "the key was deleted, disabled or has expired"},
		"a disabled account": {`{"error":"disabled_client","error_description":"The OAuth client was disabled."}`, "is deleted or disabled"},
		"no such client":     {`{"error":"invalid_client","error_description":"The OAuth client was not found."}`, "is deleted or disabled"},
		"scopes refused":     {`{"error":"access_denied","error_description":"Requested client not authorized."}`, "Manage domain wide delegation"},
		"a wrong scope":      {`{"error":"invalid_scope","error_description":"Invalid oauth scope."}`, "exactly these scopes"},
		"a new word":         {`{"error":"something_new"}`, "check that key file, subject and token_uri belong together"},
		"a web page":         {`<html>`, "check that key file, subject and token_uri belong together"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := &account{answers: map[string]any{"/token": func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(tc.body))
			}}}
			_, err := connect(t, options(server, everybody)).Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
	for name, body := range map[string]string{"empty": ``, "null": `null`, "no token": `{}`, "an ID token": `{"id_token":"x","token_type":"Bearer"}`} {
		t.Run("200 and "+name, func(t *testing.T) {
			_, err := connect(t, options(&account{answers: map[string]any{"/token": body + " "}}, everybody)).Fetch(t.Context())
			wantDamaged(t, err)
		})
	}
}

// A wrong clock is told from the answer's date, in the direction in which it is wrong.
func TestWrongClock(t *testing.T) {
	for off, want := range map[time.Duration]string{
		-5 * time.Minute: "Google's is 5m0s behind", 5 * time.Minute: "Google's is 5m0s ahead",
	} {
		server := &account{answers: map[string]any{"/token": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."}`))
		}}}
		c := connect(t, options(server, everybody))
		synctest.Test(t, func(t *testing.T) {
			_, err := c.Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), "this machine's clock is off: "+want) || !strings.Contains(err.Error(), "400 invalid_grant") {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

// One token serves a reading, is renewed before it expires and when it was revoked.
func TestTokensAreKeptAndRenewed(t *testing.T) {
	server := sim.NewGoogle(smallCompany(), sim.GoogleOptions{})
	var tokens atomic.Int64
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tokens.Add(1)
		}
		server.ServeHTTP(w, r)
	})
	c := connect(t, options(counted, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []struct {
			before func()
			want   int64
		}{
			{func() {}, 1}, {func() { time.Sleep(50 * time.Minute) }, 1}, {func() { time.Sleep(5 * time.Minute) }, 2}, {server.RevokeTokens, 3},
		} {
			step.before()
			if _, err := c.Fetch(t.Context()); err != nil || tokens.Load() != step.want {
				t.Errorf("%d tokens, want %d, %v", tokens.Load(), step.want, err)
			}
		}
	})
}

func TestServiceAccountWithARole(t *testing.T) {
	o := options(sim.NewGoogle(smallCompany(), sim.GoogleOptions{AdminRole: true}), everybody)
	o.Subject, o.Customer = "", sim.GoogleCustomer
	if snap, err := connect(t, o).Fetch(t.Context()); err != nil || len(snap.Users) != 12 {
		t.Errorf("%d users, %v", len(snap.Users), err)
	}
}

// person names a login of gcloud as the application default credentials, for which a fake of Google's own token
// endpoint gives out the token.
func person(t *testing.T, server http.Handler, token string) http.RoundTripper {
	t.Helper()
	file := filepath.Join(t.TempDir(), "adc.json")
	if err := os.WriteFile(file, []byte(`{"type":"authorized_user","client_id":"1","client_secret":"2","refresh_token":"3"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	return connectortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("grant_type") == "refresh_token" {
			reply(w, `{"access_token":"`+token+`","token_type":"Bearer","expires_in":3599}`)
			return
		}
		r.Host = "google.example" // one simulator stands in for all of Google's hosts
		server.ServeHTTP(w, r)
	}))
}

// Keyless delegation has IAM sign for the service account.
func TestImpersonation(t *testing.T) {
	tests := map[string]struct {
		token, account string
		want           string // part of the error
	}{
		"signed by IAM":           {sim.GoogleIAMToken, sim.GoogleAccount, ""},
		"not allowed to":          {"someone-else", sim.GoogleAccount, "403 PERMISSION_DENIED having IAM sign for " + sim.GoogleAccount},
		"no such service account": {sim.GoogleIAMToken, "x@y.iam.gserviceaccount.com", "there is no such service account"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(nil, everybody)
			o.Credentials, o.Impersonate, o.TokenURI = nil, tc.account, testAddress+"/token"
			o.Transport = person(t, sim.NewGoogle(smallCompany(), sim.GoogleOptions{}), tc.token)
			snap, err := connect(t, o).Fetch(t.Context())
			if tc.want == "" && (err != nil || len(snap.Users) != 12) {
				t.Errorf("%d users, %v", len(snap.Users), err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// The default credentials alone read as whoever they are.
func TestDefaultCredentials(t *testing.T) {
	var seen string
	server := &account{answers: map[string]any{"/users": func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		reply(w, users(user("u1", "")))
	}}}
	o := options(nil, everybody)
	o.Credentials, o.Subject, o.Customer = nil, "", sim.GoogleCustomer
	o.Transport = person(t, server, "adc-token")
	if _, err := connect(t, o).Fetch(t.Context()); err != nil || seen != "Bearer adc-token" {
		t.Errorf("signed in with %q, %v", seen, err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "absent.json"))
	_, err := connect(t, o).Fetch(t.Context())
	if e, ok := errors.AsType[*connectors.Error](err); !ok || !strings.Contains(e.Remedy, "GOOGLE_APPLICATION_CREDENTIALS") {
		t.Errorf("error %v", err)
	}
}

// What the SDK reads from the environment by itself changes neither where nor how it asks, and prints nothing.
func TestTheEnvironmentIsIgnored(t *testing.T) {
	for name, value := range map[string]string{
		"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json", "GOOGLE_API_USE_CLIENT_CERTIFICATE": "true", "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
		"GOOGLE_CLOUD_UNIVERSE_DOMAIN": "evil.example", "GOOGLE_SDK_GO_LOGGING_LEVEL": "debug", "GOOGLE_CLOUD_QUOTA_PROJECT": "other",
	} {
		t.Setenv(name, value)
	}
	server := &account{answers: map[string]any{"/users": func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "google.example" || r.Header.Get("Authorization") != "Bearer t0ken" || r.Header.Get("X-Goog-User-Project") != "" {
			t.Errorf("asked %s with %v", r.Host, r.Header)
		}
		reply(w, users(user("u1", "")))
	}}}
	if _, err := connect(t, options(server, everybody)).Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Whatever goes wrong, no error shows the key or a token.
func TestErrorsKeepSecrets(t *testing.T) {
	for _, server := range []http.Handler{http.NotFoundHandler(), sim.NewGoogle(smallCompany(), sim.GoogleOptions{Scopes: []string{}}),
		&account{answers: map[string]any{"/users": refusing(403, "forbidden", "no")}}} {
		_, err := connect(t, options(server, everybody)).Fetch(t.Context())
		if err == nil || strings.Contains(err.Error(), "PRIVATE") || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("error %v", err)
		}
	}
}
