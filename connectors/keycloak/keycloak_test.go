package keycloak

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func TestNewSaysWhatIsMissing(t *testing.T) {
	tests := map[string]struct {
		change func(*Options)
		want   []string // parts of the error; none means that New takes it
	}{
		"complete":               {func(*Options) {}, nil},
		"an old server":          {func(o *Options) { o.URL = "https://sso.acme.example/auth/" }, nil},
		"http on loopback":       {func(o *Options) { o.URL = "http://127.0.0.1:8080" }, nil},
		"http elsewhere":         {func(o *Options) { o.URL = "http://sso.acme.example" }, []string{"not https"}},
		"no address":             {func(o *Options) { o.URL = "sso" }, []string{"is no address"}},
		"a password in it":       {func(o *Options) { o.URL = "https://a:canary@sso.acme.example" }, []string{"more than a host"}},
		"the realm's address":    {func(o *Options) { o.URL = "https://sso.acme.example/realms/acme" }, []string{"leads into the server"}},
		"the console's address":  {func(o *Options) { o.URL = "https://sso.acme.example/admin/acme/console" }, []string{"leads into the server"}},
		"a realm with a slash":   {func(o *Options) { o.Realm = "a/b" }, []string{`realm "a/b"`}},
		"no mode":                {func(o *Options) { o.Query.Mode = "" }, []string{`scope mode ""`}},
		"org_units":              {func(o *Options) { o.Query.Mode = connectors.ScopeOrgUnits }, []string{"not one of assigned, groups, all"}},
		"assigned to nothing":    {func(o *Options) { o.Query.Mode = connectors.ScopeAssigned }, []string{"needs the client"}},
		"roles of no client":     {func(o *Options) { o.Roles = []string{"user"} }, []string{"without the client"}},
		"an empty role":          {func(o *Options) { o.Client, o.Roles = "rootly", []string{""} }, []string{"role without a name"}},
		"a client in mode all":   {func(o *Options) { o.Client = "rootly" }, []string{"for mode assigned"}},
		"groups without a group": {func(o *Options) { o.Query.Mode = connectors.ScopeGroups }, []string{"at least one group"}},
		"groups in mode all":     {func(o *Options) { o.Query.Groups = []string{"sre"} }, []string{"scope groups are listed"}},
		"an empty group":         {func(o *Options) { o.Query.Mode, o.Query.Groups = connectors.ScopeGroups, []string{"id:", "/"} }, []string{`"id:" names nothing`, `"/" names nothing`}},
		"everything at once":     {func(o *Options) { *o = Options{} }, []string{"URL is missing", "realm", "client id", "client secret", "scope mode"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(http.NotFoundHandler(), everybody)
			tc.change(&o)
			c, err := New(o)
			if len(tc.want) == 0 {
				if err != nil || c.Name() != "keycloak" || !strings.HasPrefix(c.Tenant(), "keycloak:") || !strings.HasSuffix(c.Tenant(), "/acme") {
					t.Errorf("%v, %v", c, err)
				}
				return
			}
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%v does not contain %q", err, part)
				}
			}
		})
	}
}

// What the realm's user profile holds is there for expressions, and a number by Keycloak's own name is the mobile one.
func TestAttributes(t *testing.T) {
	q := everybody
	q.Attributes = []string{"team", "site", "emailVerified", "federationLink"}
	c := connect(t, options(&realm{answers: map[string]any{"/users/count": "2", "/users": array(
		user("u1", `,"enabled":false,"firstName":"Ada","email":"ada@acme.example","emailVerified":true,"attributes":{"team":["a","b"],"phoneNumber":["+1","+2"],"title":["SRE"]}`),
		user("u2", `,"attributes":{"phoneNumber":[]}`))}}, q))
	snap, err := c.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	none := map[string]string{"team": "", "site": "", "emailVerified": "false", "federationLink": ""}
	want := []connectors.User{
		{ID: "u1", UserName: "u1@acme.example", Email: "ada@acme.example", GivenName: "Ada", DisplayName: "Ada", Title: "SRE",
			Phones: []connectors.Phone{{Type: "mobile", Value: "+1"}}, Status: connectors.StatusDisabled, StatusDetail: "enabled=false",
			Attrs: map[string]string{"team": "a,b", "site": "", "emailVerified": "true", "federationLink": ""}},
		{ID: "u2", UserName: "u2@acme.example", Status: connectors.StatusActive, StatusDetail: "enabled=true", Attrs: none},
	}
	if diff := cmp.Diff(want, snap.Users); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
}

// A server before Keycloak 23 embeds sub-groups and does not count them: it is read as a new one is.
func TestEmbeddedSubGroups(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	a, b, d := company.Groups()[0], company.Groups()[1], company.Groups()[2]
	parents := map[string]string{b.Name: a.Name, d.Name: b.Name}
	for _, nested := range []bool{false, true} {
		read := func(embedded bool) connectors.Snapshot {
			o := options(sim.NewKeycloak(company, sim.KeycloakOptions{Parents: parents, Embedded: embedded}),
				connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{a.Name}, Push: patterns(t, "*")})
			o.Nested = nested
			snap, err := connect(t, o).Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return snap
		}
		if diff := cmp.Diff(read(false), read(true)); diff != "" {
			t.Errorf("nested %v, counted and embedded:\n%s", nested, diff)
		}
	}
}

// Scope groups are named by their path, and whoever writes less is told the rest.
func TestScopeGroupsAreNamedByPath(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 12, Groups: 3})
	a, b := company.Groups()[0], company.Groups()[1]
	server := sim.NewKeycloak(company, sim.KeycloakOptions{Parents: map[string]string{b.Name: a.Name}})
	for group, want := range map[string]string{
		a.Name + "/" + b.Name:       "",
		"/" + a.Name + "/" + b.Name: "",
		b.Name:                      "write its path: " + a.Name + "/" + b.Name,
		"nothing":                   `scope group "nothing" does not exist`,
		"id:nothing":                "scope group id:nothing does not exist",
	} {
		snap, err := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{group}})).Fetch(t.Context())
		switch {
		case want == "" && (err != nil || len(snap.Groups) != 1 || snap.Groups[0].Name != a.Name+"/"+b.Name):
			t.Errorf("%s: %v, %v", group, snap.Groups, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v does not contain %q", group, err, want)
		}
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 12, Groups: 3})
	tests := map[string]struct {
		served sim.KeycloakOptions
		want   string
		passed int
	}{
		"everything is granted": {sim.KeycloakOptions{}, "", 6},
		"no rights":             {sim.KeycloakOptions{Rights: []string{}}, "looking for the role view-users", 0},
		"a part of the people":  {sim.KeycloakOptions{Rights: []string{"query-users", "view-clients"}}, "leaves people and groups out", 0},
		"no view of clients":    {sim.KeycloakOptions{Rights: []string{"view-users"}}, "looking for the role view-clients", 0},
		"no service account":    {sim.KeycloakOptions{NoServiceAccount: true}, "switch on Client authentication and Service accounts roles", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := connect(t, options(sim.NewKeycloak(company, tc.served), connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(t, "*")}))
			passed, said := 0, ""
			for _, check := range c.Check(t.Context()) {
				if check.Err == nil {
					passed++
					continue
				}
				said += check.Err.Error()
			}
			if passed != tc.passed || (tc.want == "") != (said == "") || !strings.Contains(said, tc.want) {
				t.Errorf("%d checks passed, want %d; %s", passed, tc.passed, said)
			}
			if _, err := c.Fetch(t.Context()); (err == nil) != (tc.want == "") {
				t.Errorf("Fetch: %v", err)
			}
		})
	}
}
