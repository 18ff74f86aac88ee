package okta

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func token() string { return "t0ken" }

func TestNewSaysWhatIsMissing(t *testing.T) {
	key := newKey(t)
	full := func(change func(*Options)) Options {
		o := Options{OrgURL: "https://acme.okta.com", APIToken: token, AppID: "0oa1",
			Query: connectors.Query{Mode: connectors.ScopeAssigned}}
		change(&o)
		return o
	}
	app := func(o *Options) {
		o.APIToken, o.ClientID, o.PrivateKey = nil, "0oaSvc", func() string { return key.pkcs8 }
	}
	tests := map[string]struct {
		change func(*Options)
		want   []string // parts of the error; none means that New takes it
	}{
		"complete":               {func(*Options) {}, nil},
		"a service app":          {app, nil},
		"trailing slashes":       {func(o *Options) { o.OrgURL += "//" }, nil},
		"http on loopback":       {func(o *Options) { o.OrgURL = "http://127.0.0.1:8080" }, nil},
		"http on localhost":      {func(o *Options) { o.OrgURL = "http://localhost:8080" }, nil},
		"http when allowed":      {func(o *Options) { o.OrgURL, o.AllowHTTP = "http://okta.test", true }, nil},
		"http elsewhere":         {func(o *Options) { o.OrgURL = "http://acme.okta.com" }, []string{"not https"}},
		"no org":                 {func(o *Options) { o.OrgURL = " " }, []string{"org URL is missing"}},
		"a bare host":            {func(o *Options) { o.OrgURL = "acme.okta.com" }, []string{"not a full address"}},
		"the Admin Console":      {func(o *Options) { o.OrgURL = "https://acme-admin.okta.com" }, []string{"write https://acme.okta.com"}},
		"a path":                 {func(o *Options) { o.OrgURL += "/admin" }, []string{"write https://acme.okta.com"}},
		"no credential":          {func(o *Options) { o.APIToken = nil }, []string{"no credential"}},
		"two credentials":        {func(o *Options) { o.ClientID = "x" }, []string{"keep one"}},
		"no private key":         {func(o *Options) { o.APIToken, o.ClientID = nil, "x" }, []string{"no private key"}},
		"no client id":           {func(o *Options) { app(o); o.ClientID = "" }, []string{"no client id"}},
		"a key that is no PEM":   {func(o *Options) { app(o); o.PrivateKey = token }, []string{"not PEM"}},
		"an elliptic key":        {func(o *Options) { app(o); o.PrivateKey = ellipticKey(t) }, []string{"not RSA"}},
		"no mode":                {func(o *Options) { o.Query.Mode = "" }, []string{`scope mode ""`}},
		"assigned without app":   {func(o *Options) { o.AppID = "" }, []string{"needs the app id"}},
		"groups without a group": {func(o *Options) { o.Query.Mode = connectors.ScopeGroups }, []string{"at least one group"}},
		"groups in another mode": {func(o *Options) { o.Query.Groups = []string{"SRE"} }, []string{"scope groups are listed"}},
		"an empty group":         {func(o *Options) { o.Query.Mode, o.Query.Groups = connectors.ScopeGroups, []string{"id:"} }, []string{"names nothing"}},
		"a floor of everything":  {func(o *Options) { o.RateFloor = 1 }, []string{"rate floor"}},
		"appUserName elsewhere": {func(o *Options) {
			o.Query = connectors.Query{Mode: connectors.ScopeAll, Attributes: []string{AppUserName}}
		}, []string{"mode assigned only"}},
		"everything at once": {func(o *Options) { *o = Options{} }, []string{"org URL is missing", "no credential", "scope mode"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := New(full(tc.change))
			if len(tc.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if c.Name() != "okta" || !strings.HasPrefix(c.Tenant(), "okta:") || strings.HasSuffix(c.Tenant(), "/") {
					t.Errorf("Name %q, Tenant %q", c.Name(), c.Tenant())
				}
				return
			}
			if err == nil {
				t.Fatal("New took it")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not contain %q", err, part)
				}
			}
		})
	}
}

func ellipticKey(t *testing.T) func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return func() string { return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})) }
}

func TestTenantIsTheHost(t *testing.T) {
	c, err := New(Options{OrgURL: "https://ACME.okta.com/", APIToken: token, Query: everybody})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Tenant(), "okta:acme.okta.com"; got != want {
		t.Errorf("Tenant %q, want %q", got, want)
	}
}

// The SDK reads a file in the home directory and the environment by itself.
func TestImplicitConfigurationIsIgnored(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".okta"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := "okta:\n  client:\n    orgUrl: https://evil.example\n    token: filetoken\n    authorizationMode: PrivateKey\n"
	if err := os.WriteFile(filepath.Join(home, ".okta", "okta.yaml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"ORGURL": "https://evil.example", "TOKEN": "envtoken", "AUTHORIZATIONMODE": "JWT", "CACHE_ENABLED": "true",
		"RATE_LIMIT_MAX_RETRIES": "9", "PROXY_HOST": "evil.example", "REQUEST_TIMEOUT": "1", "CLIENTASSERTION": "x",
	} {
		t.Setenv("OKTA_CLIENT_"+name, value)
	}
	server := &org{answers: map[string]any{"/api/v1/users": func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "acme.okta.com" || r.Header.Get("Authorization") != "SSWS t0ken" || len(r.Header.Values("Authorization")) != 1 {
			t.Errorf("asked %s with %q", r.Host, r.Header.Values("Authorization"))
		}
		reply(w, array(user("00u1", "ACTIVE", "")))
	}}}
	c := connect(t, server, everybody)
	for range 2 {
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.requests(); got != 2 {
		t.Errorf("two reads sent %d requests, so one was cached", got)
	}
}

func TestStatuses(t *testing.T) {
	want := map[string]connectors.Status{
		"ACTIVE": "active", "PASSWORD_EXPIRED": "active", "LOCKED_OUT": "active", "RECOVERY": "active", "PROVISIONED": "active",
		"STAGED": "staged", "SUSPENDED": "disabled", "DEPROVISIONED": "disabled",
	}
	for status, wanted := range want {
		t.Run(status, func(t *testing.T) {
			server := &org{answers: map[string]any{"/api/v1/users": array(user("00u1", status, ""))}}
			snap, err := connect(t, server, everybody).Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if u := snap.Users[0]; u.Status != wanted || u.StatusDetail != status {
				t.Errorf("status %s (%s), want %s", u.Status, u.StatusDetail, wanted)
			}
		})
	}
	t.Run("an unknown one names the person", func(t *testing.T) {
		server := &org{answers: map[string]any{"/api/v1/users": array(user("00u1", "PONDERING", ""))}}
		_, err := connect(t, server, everybody).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), "00u1") || !strings.Contains(err.Error(), "PONDERING") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("one in transition counts as it is", func(t *testing.T) {
		leaving := `{"id":"00u1","status":"ACTIVE","transitioningToStatus":"DEPROVISIONED","profile":{"login":"a@acme.example"}}`
		server := &org{answers: map[string]any{"/api/v1/users": array(leaving)}}
		snap, err := connect(t, server, everybody).Fetch(t.Context())
		if err != nil || snap.Users[0].Status != connectors.StatusActive {
			t.Errorf("%+v, %v", snap.Users, err)
		}
	})
}

func TestProfile(t *testing.T) {
	full := `"email":"ada@acme.example","firstName":"Ada","lastName":"Lovelace","nickName":"Countess","department":"SRE",` +
		`"title":"Engineer","organization":"Acme","employeeNumber":"7","userType":"Staff","mobilePhone":"555-1","primaryPhone":"555-2",` +
		`"level":4.5,"big":12345678,"lead":true,"teams":["a",1,true],"none":null,"obj":{"a":1}`
	query := everybody
	query.Attributes = []string{"level", "big", "lead", "teams", "none", "absent"}
	server := &org{answers: map[string]any{"/api/v1/users": array(user("00u1", "ACTIVE", full))}}
	snap, err := connect(t, server, query).Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []connectors.User{{
		ID: "00u1", UserName: "00u1@acme.example", Email: "ada@acme.example", GivenName: "Ada", FamilyName: "Lovelace",
		DisplayName: "Ada Lovelace", Nickname: "Countess", Department: "SRE", Title: "Engineer", Company: "Acme",
		EmployeeNumber: "7", EmployeeType: "Staff",
		Phones: []connectors.Phone{{Type: "mobile", Value: "555-1"}, {Type: "work", Value: "555-2"}},
		Status: connectors.StatusActive, StatusDetail: "ACTIVE",
		Attrs: map[string]string{"level": "4.5", "big": "12345678", "lead": "true", "teams": "a,1,true", "none": "", "absent": ""},
	}}
	if diff := cmp.Diff(want, snap.Users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}

	t.Run("no attributes asked for, none allocated", func(t *testing.T) {
		snap, err := connect(t, server, everybody).Fetch(t.Context())
		if err != nil || snap.Users[0].Attrs != nil {
			t.Errorf("Attrs %v, %v", snap.Users[0].Attrs, err)
		}
	})
	for name, tc := range map[string]struct{ profile, attribute string }{
		"a number for text":     {`"department":7`, ""},
		"a list for text":       {`"firstName":["Ada"]`, ""},
		"an object asked for":   {`"obj":{"a":1}`, "obj"},
		"an object in the list": {`"obj":[{"a":1}]`, "obj"},
	} {
		t.Run(name+" names the person", func(t *testing.T) {
			query := everybody
			if tc.attribute != "" {
				query.Attributes = []string{tc.attribute}
			}
			server := &org{answers: map[string]any{"/api/v1/users": array(user("00u1", "ACTIVE", tc.profile))}}
			_, err := connect(t, server, query).Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), "user 00u1: profile.") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("no profile is damage", func(t *testing.T) {
		server := &org{answers: map[string]any{"/api/v1/users": `[{"id":"00u1","status":"ACTIVE"}]`}}
		_, err := connect(t, server, everybody).Fetch(t.Context())
		wantDamaged(t, err)
	})
}

func TestAssigned(t *testing.T) {
	appUser := func(id, status, embedded string) string {
		return `{"id":"` + id + `","status":"` + status + `","credentials":{"userName":"` + id + `.rootly"},"_embedded":{"user":` + embedded + `}}`
	}
	query := connectors.Query{Mode: connectors.ScopeAssigned, Attributes: []string{AppUserName}}
	path := "/api/v1/apps/0oa1/users"

	t.Run("the person is the embedded one", func(t *testing.T) {
		server := &org{answers: map[string]any{path: array(
			appUser("00u1", "ACTIVE", user("00u1", "SUSPENDED", "")), appUser("00u2", "UNASSIGNED", user("00u2", "ACTIVE", "")))}}
		snap, err := connect(t, server, query).Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a, b := snap.Users[0], snap.Users[1]
		if a.Status != connectors.StatusDisabled || !a.Assigned || a.Attrs[AppUserName] != "00u1.rootly" {
			t.Errorf("first: %+v", a)
		}
		if b.Assigned {
			t.Errorf("second: %+v", b)
		}
	})
	for name, embedded := range map[string]string{
		"nobody": `null`, "somebody else": user("00u9", "ACTIVE", ""), "a list": `[]`, "an empty object": `{}`,
	} {
		t.Run("embedded is "+name, func(t *testing.T) {
			server := &org{answers: map[string]any{path: array(appUser("00u1", "ACTIVE", embedded))}}
			_, err := connect(t, server, query).Fetch(t.Context())
			wantDamaged(t, err)
		})
	}
	t.Run("a refused page size is asked for smaller", func(t *testing.T) {
		server := &org{answers: map[string]any{path: func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("limit") != "50" {
				refuse(w, http.StatusBadRequest, "E0000001", "Api validation failed: limit")
				return
			}
			reply(w, array(appUser("00u1", "ACTIVE", user("00u1", "ACTIVE", ""))))
		}}}
		snap, err := connect(t, server, query).Fetch(t.Context())
		if err != nil || len(snap.Users) != 1 || server.requests() != 2 {
			t.Errorf("%d users, %d requests, %v", len(snap.Users), server.requests(), err)
		}
	})
}
