package google

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func TestNewSaysWhatIsMissing(t *testing.T) {
	key := func(text string) func(*Options) {
		return func(o *Options) { o.Credentials = func() string { return text } }
	}
	tests := map[string]struct {
		change func(*Options)
		want   []string // parts of the error; none means that New takes it
	}{
		"complete":                  {func(*Options) {}, nil},
		"a customer id":             {func(o *Options) { o.Customer = "C01abc2de" }, nil},
		"an administrator itself":   {func(o *Options) { o.Subject, o.Customer = "", "C01abc2de" }, nil},
		"impersonation":             {func(o *Options) { o.Credentials, o.Impersonate = nil, "x@y.iam.gserviceaccount.com" }, nil},
		"default credentials":       {func(o *Options) { o.Credentials, o.Subject, o.Customer = nil, "", "C01abc2de" }, nil},
		"http on loopback":          {func(o *Options) { o.Endpoint, o.TokenURI = "http://127.0.0.1:80", "http://localhost:80/token" }, nil},
		"http elsewhere":            {func(o *Options) { o.Endpoint = "http://google.example" }, []string{"endpoint", "not https"}},
		"a token URI without https": {func(o *Options) { o.TokenURI = "http://google.example/token" }, []string{"token_uri", "not https"}},
		"no address":                {func(o *Options) { o.Endpoint = "google" }, []string{"is no address"}},
		"a password in it":          {func(o *Options) { o.Endpoint = "https://a:canary@admin.example" }, []string{"is no address"}},
		"two ways to sign in":       {func(o *Options) { o.Impersonate = "x@y" }, []string{"keep one"}},
		"a subject for nobody":      {func(o *Options) { o.Credentials = nil }, []string{"needs a service account"}},
		"a bad service account":     {func(o *Options) { o.Credentials, o.Impersonate = nil, "x" }, []string{"is no service account"}},
		"no subject, no customer":   {func(o *Options) { o.Subject = "" }, []string{"without a subject", "Account settings"}},
		"a subject without domain":  {func(o *Options) { o.Subject = "admin" }, []string{"is no e-mail address"}},
		"a domain for a customer":   {func(o *Options) { o.Customer = "acme.com" }, []string{"is no customer id"}},

		"a key that is no JSON":    {key("MIIKMAIBAzCC"), []string{"P12"}},
		"a bare PEM key":           {key("-----BEGIN PRIVATE KEY-----\nMII\n"), []string{"bare PEM key"}},
		"an OAuth client":          {key(`{"installed":{"client_id":"1"}}`), []string{"OAuth client's secret"}},
		"a person's login":         {key(`{"type":"authorized_user"}`), []string{"person's login", "GOOGLE_APPLICATION_CREDENTIALS"}},
		"a federation":             {key(`{"type":"external_account"}`), []string{"workload identity federation"}},
		"gcloud as another":        {key(`{"type":"impersonated_service_account"}`), []string{"gcloud's login"}},
		"an unknown kind":          {key(`{"type":"x"}`), []string{`type "x"`}},
		"a key without its key":    {key(`{"type":"service_account","client_email":"a@b"}`), []string{"lacks client_email or private_key"}},
		"a key that is no PEM":     {key(`{"type":"service_account","client_email":"a@b","private_key":"x"}`), []string{"not PEM"}},
		"a certificate for a key":  {key(`{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN X-----\naaaa\n-----END X-----\n"}`), []string{"no RSA key"}},
		"assigned":                 {func(o *Options) { o.Query.Mode = connectors.ScopeAssigned }, []string{"no list of the people who are assigned"}},
		"no mode":                  {func(o *Options) { o.Query.Mode = "" }, []string{`scope mode ""`}},
		"groups without a group":   {func(o *Options) { o.Query.Mode = connectors.ScopeGroups }, []string{"at least one group"}},
		"groups in another mode":   {func(o *Options) { o.Query.Groups = []string{"sre@acme.com"} }, []string{"scope groups are listed"}},
		"an empty group":           {func(o *Options) { o.Query.Mode, o.Query.Groups = connectors.ScopeGroups, []string{"id:"} }, []string{"names nothing"}},
		"org_units without a unit": {func(o *Options) { o.Query.Mode = connectors.ScopeOrgUnits }, []string{"at least one organizational unit"}},
		"units in another mode":    {func(o *Options) { o.OrgUnits = []string{"/A"} }, []string{"organizational units are listed"}},
		"a unit that is no path":   {func(o *Options) { o.Query.Mode, o.OrgUnits = connectors.ScopeOrgUnits, []string{"A", "/A/"} }, []string{`"A" is no path`, `"/A/" is no path`}},
		"an unknown attribute":     {func(o *Options) { o.Query.Attributes = []string{"shoeSize"} }, []string{`no attribute "shoeSize"`, "Schema.field", "organization.costCenter"}},
		"attributes":               {func(o *Options) { o.Query.Attributes = []string{"Staff.nickname", "orgUnitPath"} }, nil},
		"everything at once":       {func(o *Options) { *o = Options{} }, []string{"scope mode", "customer must be given"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(http.NotFoundHandler(), everybody)
			tc.change(&o)
			c, err := New(o)
			if len(tc.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				if want := "google:" + map[bool]string{true: "acme.example", false: o.Customer}[o.Customer == ""]; c.Name() != "google" || c.Tenant() != want {
					t.Errorf("Name %q, Tenant %q, want %q", c.Name(), c.Tenant(), want)
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

func TestStatuses(t *testing.T) {
	tests := map[string]struct {
		more   string
		want   connectors.Status
		detail string
	}{
		"active":    {``, connectors.StatusActive, "active"},
		"suspended": {`"suspended":true`, connectors.StatusDisabled, "suspended"},
		"archived":  {`"archived":true`, connectors.StatusDisabled, "archived"},
		"both":      {`"suspended":true,"archived":true`, connectors.StatusDisabled, "suspended, archived"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := &account{answers: map[string]any{"/users": users(user("u1", tc.more)), "/users/u1": user("u1", tc.more)}}
			c := connect(t, options(server, everybody))
			snap, err := c.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			found, err := c.Lookup(t.Context(), "u1")
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range []connectors.User{snap.Users[0], found.User} {
				if u.Status != tc.want || u.StatusDetail != tc.detail {
					t.Errorf("status %s (%s), want %s (%s)", u.Status, u.StatusDetail, tc.want, tc.detail)
				}
			}
		})
	}
	for name, element := range map[string]string{
		"suspended is missing":    `{"id":"u1","primaryEmail":"u1@acme.example","archived":false}`,
		"archived is missing":     `{"id":"u1","primaryEmail":"u1@acme.example","suspended":false}`,
		"suspended is null":       `{"id":"u1","primaryEmail":"u1@acme.example","archived":false,"suspended":null}`,
		"archived is only a word": `{"id":"u1","primaryEmail":"u1@acme.example","archived":"false","suspended":false}`,
	} {
		t.Run(name+" names the person by id", func(t *testing.T) {
			server := &account{answers: map[string]any{"/users": users(element)}}
			_, err := connect(t, options(server, everybody)).Fetch(t.Context())
			wantDamaged(t, err)
			if key, _, _ := strings.Cut(name, " "); !strings.Contains(err.Error(), `"u1" has no `+key) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// What decides about a person is asked for in every request that reads people.
func TestTheMaskNamesWhatDecides(t *testing.T) {
	asked := 0
	answer := func(w http.ResponseWriter, r *http.Request) {
		asked++
		fields := r.URL.Query().Get("fields")
		for _, name := range []string{"kind", "id", "suspended", "archived"} {
			if !strings.Contains(fields, name) {
				t.Errorf("%s: fields %q lack %s", r.URL.Path, fields, name)
			}
		}
		if list := strings.HasSuffix(r.URL.Path, "/users"); list != strings.Contains(fields, "nextPageToken") {
			t.Errorf("%s: fields %q", r.URL.Path, fields)
		} else if list {
			reply(w, users(user("u1", `"orgUnitPath":"/"`)))
			return
		}
		reply(w, user("u1", `"orgUnitPath":"/"`))
	}
	for _, mode := range []connectors.ScopeMode{connectors.ScopeAll, connectors.ScopeOrgUnits} {
		o := options(&account{answers: map[string]any{"/users": answer, "/users/u1": answer}}, connectors.Query{Mode: mode, Attributes: []string{"Staff.level"}})
		o.UserQuery = "isSuspended=false"
		if mode == connectors.ScopeOrgUnits {
			o.OrgUnits = []string{"/"}
		}
		c := connect(t, o)
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Lookup(t.Context(), "u1"); err != nil {
			t.Fatal(err)
		}
		c.Check(t.Context())
	}
	if asked < 8 {
		t.Errorf("only %d requests were looked at", asked)
	}
}

func TestProfile(t *testing.T) {
	const full = `"name":{"givenName":"Ada","familyName":"Lovelace","fullName":"Ada Lovelace","displayName":"Countess"},` +
		`"orgUnitPath":"/Engineering","isAdmin":true,` +
		`"organizations":[{"name":"Old","department":"Old"},{"name":"Acme","department":"SRE","title":"Engineer","costCenter":"7","primary":true}],` +
		`"externalIds":[{"type":"custom","value":"x"},{"type":"organization","value":"42"}],` +
		`"phones":[{"type":"home","value":"0"},{"type":"work","value":"1"},{"type":"mobile","value":"2"},{"type":"work_mobile","value":"3","primary":true}],` +
		`"customSchemas":{"Staff":{"level":4.5,"lead":true,"teams":[{"type":"work","value":"a"},{"value":"b"}],"none":null,"odd":{"x":{}}}}`
	query := everybody
	query.Attributes = []string{"Staff.level", "Staff.lead", "Staff.teams", "Staff.none", "Staff.absent", "Other.x", "organization.costCenter", "orgUnitPath", "isAdmin"}
	server := &account{answers: map[string]any{"/users": users(user("u1", full))}}
	snap, err := connect(t, options(server, query)).Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []connectors.User{{
		ID: "u1", UserName: "u1@acme.example", Email: "u1@acme.example", GivenName: "Ada", FamilyName: "Lovelace", DisplayName: "Countess",
		Department: "SRE", Title: "Engineer", Company: "Acme", EmployeeNumber: "42", Status: connectors.StatusActive, StatusDetail: "active",
		Phones: []connectors.Phone{{Type: "mobile", Value: "3"}, {Type: "work", Value: "1"}, {Type: "mobile", Value: "2"}},
		Attrs: map[string]string{"Staff.level": "4.5", "Staff.lead": "true", "Staff.teams": "a,b", "Staff.none": "", "Staff.absent": "", "Other.x": "",
			"organization.costCenter": "7", "orgUnitPath": "/Engineering", "isAdmin": "true"},
	}}
	if diff := cmp.Diff(want, snap.Users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if asked := server.asked[0]; !strings.Contains(asked, "projection=custom") || !strings.Contains(asked, "customFieldMask=Staff%2COther") {
		t.Errorf("asked %s", asked)
	}

	names := map[string]struct{ more, want string }{
		"no name":              {``, ""},
		"invisible names":      {`"name":{"givenName":"` + "\u200b" + `","familyName":"` + "\u200b" + `","fullName":"` + "\u200b \u200b" + `"}`, ""},
		"a full name only":     {`"name":{"fullName":"Ada L"}`, "Ada L"},
		"two names and no one": {`"name":{"givenName":"Ada","familyName":"L"}`, "Ada L"},
	}
	for name, tc := range names {
		t.Run(name, func(t *testing.T) {
			server := &account{answers: map[string]any{"/users": users(user("u1", tc.more))}}
			snap, err := connect(t, options(server, everybody)).Fetch(t.Context())
			if err != nil || snap.Users[0].DisplayName != tc.want {
				t.Errorf("%+v, %v", snap.Users, err)
			}
		})
	}
	for name, more := range map[string]string{
		"phones are a word": `"phones":"123"`, "organizations are numbers": `"organizations":[1]`, "external ids are an object": `"externalIds":{}`,
	} {
		t.Run(name, func(t *testing.T) {
			server := &account{answers: map[string]any{"/users": users(user("u1", more))}}
			if _, err := connect(t, options(server, everybody)).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "user u1: ") {
				t.Errorf("error %v", err)
			}
		})
	}
	t.Run("a custom attribute of no text", func(t *testing.T) {
		query.Attributes = []string{"Staff.odd"}
		server := &account{answers: map[string]any{"/users": users(user("u1", `"customSchemas":{"Staff":{"odd":{"value":{"value":[{"value":{"x":1}}]}}}}`), user("u2", ""))}}
		snap, err := connect(t, options(server, query)).Fetch(t.Context())
		if err != nil || snap.Users[0].Attrs["Staff.odd"] != "" {
			t.Errorf("%+v, %v", snap.Users, err)
		}
	})
}

func TestOrgUnits(t *testing.T) {
	tests := map[string]struct {
		units []string
		below bool
		path  string
		want  bool
	}{
		"the unit":           {[]string{"/Eng"}, false, "/Eng", true},
		"letter case":        {[]string{"/eng"}, false, "/Eng", true},
		"below it":           {[]string{"/Eng"}, false, "/Eng/SRE", false},
		"below it, taken in": {[]string{"/Eng"}, true, "/Eng/SRE", true},
		"a longer name":      {[]string{"/Eng"}, true, "/English", false},
		"above it":           {[]string{"/Eng/SRE"}, true, "/Eng", false},
		"the root":           {[]string{"/"}, false, "/", true},
		"below the root":     {[]string{"/"}, false, "/Eng", false},
		"the root and below": {[]string{"/"}, true, "/Eng", true},
		"one of several":     {[]string{"/A", "/B"}, false, "/B", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			query := connectors.Query{Mode: connectors.ScopeOrgUnits}
			person := user("u1", fmt.Sprintf(`"orgUnitPath":%q`, tc.path))
			o := options(&account{answers: map[string]any{"/users": users(person), "/users/u1": person}}, query)
			o.OrgUnits, o.SubUnits = tc.units, tc.below
			c := connect(t, o)
			snap, err := c.Fetch(t.Context())
			if err != nil || len(snap.Users) != map[bool]int{true: 1}[tc.want] {
				t.Errorf("%v, %v", snap.Users, err)
			}
			found, err := c.Lookup(t.Context(), "u1")
			if err != nil || !found.Known || (found.Outside == "") != tc.want {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
	t.Run("no unit is reported", func(t *testing.T) {
		person := user("u1", "")
		o := options(&account{answers: map[string]any{"/users": users(person), "/users/u1": person}}, connectors.Query{Mode: connectors.ScopeOrgUnits})
		o.OrgUnits, o.SubUnits = []string{"/A"}, true
		c := connect(t, o)
		_, err := c.Fetch(t.Context())
		wantDamaged(t, err)
		_, err = c.Lookup(t.Context(), "u1")
		wantDamaged(t, err)
	})
	t.Run("the paths are quoted", func(t *testing.T) {
		server := &account{answers: map[string]any{"/users": users()}}
		o := options(server, connectors.Query{Mode: connectors.ScopeOrgUnits})
		o.OrgUnits, o.UserQuery = []string{"/O'Neil & Co"}, "isAdmin=false"
		if _, err := connect(t, o).Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := "query=orgUnitPath%3D%27%2FO%5C%27Neil+%26+Co%27+isAdmin%3Dfalse"; !strings.Contains(server.asked[0], want) {
			t.Errorf("asked %s", server.asked[0])
		}
	})
}
