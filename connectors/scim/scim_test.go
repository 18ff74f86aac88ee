package scim

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func idsOf(c *sim.Company, in func(sim.Person) bool) (ids []connectors.UserID) {
	for _, p := range c.People() {
		if in(p) {
			ids = append(ids, connectors.UserID(p.ID))
		}
	}
	slices.Sort(ids)
	return ids
}

func idsIn(users []connectors.User) (ids []connectors.UserID) {
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

func TestPersonWithExtensions(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 1, Groups: -1})
	p := company.People()[0]
	q := connectors.Query{Mode: connectors.ScopeAll, Attributes: []string{"externalId", enterprise + ":manager.displayName", enterprise + ":costCenter"}}
	snap, err := connect(t, options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{}), q)).Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"externalId": "ext-" + p.ID, enterprise + ":manager.displayName": "The Boss", enterprise + ":costCenter": ""}
	if diff := cmp.Diff(want, snap.Users[0].Attrs); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if u := snap.Users[0]; u.Department != p.Department || u.EmployeeNumber != p.EmployeeNumber || u.Email != p.Email || u.Company != "Acme" {
		t.Errorf("%+v of %+v", u, p)
	}
}

// Groups in groups count with all their people where that is asked for, whatever circle they stand in; a group that is
// gone counts for nobody.
func TestNestedGroups(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	a, b, c := company.Groups()[0], company.Groups()[1], company.Groups()[2]
	union := slices.Concat(a.Members, b.Members, c.Members)
	for name, served := range map[string]sim.SCIMDirectoryOptions{
		"as it should be":         {},
		"members without type":    {OmitMemberTypes: true},
		"members not in listings": {HideMembers: true, PageCap: 3},
	} {
		served.Subgroups = map[string][]string{a.Name: {b.Name}, b.Name: {c.Name}, c.Name: {a.Name}}
		if !served.OmitMemberTypes { // an unknown id without a type could be anybody's
			served.Subgroups[a.Name] = []string{b.Name, "dissolved"}
		}
		for nested, in := range map[bool][]string{false: a.Members, true: union} {
			o := options(sim.NewSCIMDirectory(company, served), connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{a.Name}})
			o.Nested = nested
			connector := connect(t, o)
			snap, err := connector.Fetch(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := idsOf(company, func(p sim.Person) bool { return slices.Contains(in, p.Login) })
			if !slices.Equal(idsIn(snap.Users), want) || !slices.Equal(snap.Groups[0].Members, want) {
				t.Errorf("%s, nested %v: people %v, members %v, want %v", name, nested, idsIn(snap.Users), snap.Groups[0].Members, want)
			}
			if got, known, err := connector.Members(t.Context(), snap.Groups[0].ID); err != nil || !known || !slices.Equal(got, want) {
				t.Errorf("%s, nested %v, asked again: %v, %v, %v", name, nested, got, known, err)
			}
			for _, p := range company.People() {
				found, err := connector.Lookup(t.Context(), connectors.UserID(p.ID))
				if err != nil || found.InScopeGroup != slices.Contains(in, p.Login) || found.Listed == found.InScopeGroup {
					t.Errorf("%s, nested %v, %s: %+v, %v", name, nested, p.Login, found, err)
				}
			}
		}
	}
}

// Only the groups that are wanted are read one by one on a server that hides members in listings.
func TestOnlyWantedGroupsAreRead(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 25})
	name := company.Groups()[3].Name
	c := connect(t, options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{HideMembers: true}),
		connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, name)}))
	if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Groups) != 1 || len(snap.Groups[0].Members) == 0 {
		t.Fatalf("%+v, %v", snap.Groups, err)
	}
	if got := c.Stats().Requests; got != 3 {
		t.Errorf("%d requests, want one for people, one for groups and one for members", got)
	}
}

// A server that shows no group's members has not said that the groups are empty. One that is empty among others is.
func TestMembersThatAreNeverShown(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 5})
	if _, err := company.CreateGroup(sim.Group{Name: "empty"}); err != nil {
		t.Fatal(err)
	}
	read := func(served sim.SCIMDirectoryOptions, push string) ([]connectors.Group, error) {
		c := connect(t, options(sim.NewSCIMDirectory(company, served), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, push)}))
		snap, err := c.Fetch(t.Context())
		return snap.Groups, err
	}
	if groups, err := read(sim.SCIMDirectoryOptions{NeverMembers: true}, "*"); err == nil || !strings.Contains(err.Error(), "shows the members of no group") {
		t.Errorf("%d groups, %v", len(groups), err)
	}
	if groups, err := read(sim.SCIMDirectoryOptions{HideMembers: true}, "empty"); err != nil || len(groups) != 1 || len(groups[0].Members) > 0 {
		t.Errorf("an empty group: %+v, %v", groups, err)
	}
}

func TestFilter(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 40, Groups: 4})
	engineers := func(p sim.Person) bool { return p.Department == "Engineering" }
	connectWith := func(served sim.SCIMDirectoryOptions, text string) *Connector {
		o := options(sim.NewSCIMDirectory(company, served), everybody)
		o.Filter = text
		return connect(t, o)
	}
	c := connectWith(sim.SCIMDirectoryOptions{}, enterprise+`:department eq "engineering" and active eq true`)
	snap, err := c.Fetch(t.Context())
	active := func(p sim.Person) bool {
		return engineers(p) && !slices.Contains([]sim.Status{sim.StatusSuspended, sim.StatusStaged}, p.Status)
	}
	if want := idsOf(company, active); err != nil || !slices.Equal(idsIn(snap.Users), want) || len(want) == 0 {
		t.Errorf("filtered: %v, want %v, %v", idsIn(snap.Users), want, err)
	}
	for _, p := range company.People() {
		found, err := c.Lookup(t.Context(), connectors.UserID(p.ID))
		if err != nil || !found.Known || (found.Outside == "") != active(p) || found.Listed != (found.Outside != "") {
			t.Errorf("%s: %+v, %v", p.Login, found, err)
		}
	}
	if _, err := connectWith(sim.SCIMDirectoryOptions{IgnoreFilters: true}, `active eq true`).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "ignores filters") {
		t.Errorf("a server that ignores filters: %v", err)
	}
	if _, err := connectWith(sim.SCIMDirectoryOptions{}, `not (active eq false)`).Fetch(t.Context()); err == nil {
		t.Error("a filter that the server refuses is no error")
	}
}

// A server that heeds filters by user name only and ignores the rest is found out by whom it returns.
func TestAFilterHeededInPart(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 40, Groups: 4})
	inner := sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{})
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); !strings.HasPrefix(q.Get("filter"), "userName") {
			q.Del("filter")
			r.URL.RawQuery = q.Encode()
		}
		inner.ServeHTTP(w, r)
	})
	o := options(server, everybody)
	o.Filter = `title sw "Engineer"`
	if snap, err := connect(t, o).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "whom title sw does not mean") {
		t.Errorf("%d users, %v", len(snap.Users), err)
	}
}

func TestParseFilter(t *testing.T) {
	for text, want := range map[string][]comparison{
		``:                                    nil,
		`active eq true`:                      {{"active", "eq", "true"}},
		`title Co "A \"b\" and c" AND x sw 7`: {{"title", "co", `a "b" and c`}, {"x", "sw", "7"}},
		`title pr`:                            nil,
		`a eq "1" or b eq "2"`:                nil,
		`emails[type eq "work"].value ew "x"`: nil,
		`not (a eq "1")`:                      nil,
		`a ne "1"`:                            nil,
	} {
		f, err := parseFilter(text)
		if err != nil || !slices.Equal(f.tests, want) || f.text != text {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
	}
	for _, text := range []string{`a eq "b`, `(a eq "b"`, `a eq "b")`, `a[b eq "c")]`} {
		if f, err := parseFilter(text); err == nil {
			t.Errorf("%s: %+v", text, f)
		}
	}
}

// Who is found by a server that heeds the filter never contradicts it, and reading any text ends.
func TestFilterLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune(`ab ."\()[]eqwsandco`))).Draw(t, "filter")
		if _, err := parseFilter(text); err != nil {
			return
		}
		value := rapid.StringMatching(`[a-zA-Z,]{1,6}`).Draw(t, "value")
		f, err := parseFilter(`title eq "` + value + `"`)
		if err != nil {
			t.Fatal(err)
		}
		if _, wrong := f.contradicts(scimclient.User{Attributes: map[string]string{"title": strings.ToUpper(value)}}); wrong {
			t.Errorf("%q contradicts itself", value)
		}
		if _, wrong := f.contradicts(scimclient.User{Attributes: map[string]string{"title": value + "x"}}); !wrong {
			t.Errorf("%q and %qx are the same", value, value)
		}
	})
}

func TestBasicAuth(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 3, Groups: -1})
	o := options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{Password: "pässword"}), everybody)
	if _, err := connect(t, o).Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "check the token, or the user name and password") {
		t.Errorf("with a bearer token: %v", err)
	}
	o.Username, o.Token = "reader", func() string { return "pässword" }
	if snap, err := connect(t, o).Fetch(t.Context()); err != nil || len(snap.Users) != 3 {
		t.Errorf("%d users, %v", len(snap.Users), err)
	}
}

// Errors speak of the directory, and not of Rootly.
func TestErrorsAreTheDirectorys(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 3, Groups: 3})
	for name, change := range map[string]func(o *Options){
		"a wrong token": func(o *Options) { o.Token = func() string { return "x" } },
		"a wrong path":  func(o *Options) { o.BaseURL += "/x" },
		"a web page": func(o *Options) {
			o.Transport = connectortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
		},
		"elsewhere": func(o *Options) {
			o.Transport = connectortest.Transport(http.RedirectHandler("https://elsewhere.example/", http.StatusFound))
		},
	} {
		o := options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{}), everybody)
		change(&o)
		_, err := connect(t, o).Fetch(t.Context())
		if err == nil || strings.Contains(err.Error(), "Rootly") || !strings.HasPrefix(err.Error(), "scim: ") || !strings.HasSuffix(err.Error(), ")") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScopeGroupsAreExactlyOne(t *testing.T) {
	server := sim.NewSCIM(sim.SCIMOptions{DuplicateGroups: true})
	for range 2 {
		if _, err := server.AddGroup(sim.SCIMGroup{DisplayName: "Ops"}); err != nil {
			t.Fatal(err)
		}
	}
	for group, want := range map[string]string{"Ops": "2 groups are named", "Sales": `"Sales" does not exist`, "id:t9": "id:t9 does not exist"} {
		c := connect(t, Options{BaseURL: "https://scim.example" + sim.SCIMBase, Token: func() string { return sim.DefaultSCIMToken },
			Query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{group}}, Transport: connectortest.Transport(server)})
		if _, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", group, err, want)
		}
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	token := func() string { return "t" }
	tests := map[string]struct {
		o    Options
		want string
	}{
		"no token":        {Options{BaseURL: testAddress, Query: everybody}, "neither a token nor a user name"},
		"no address":      {Options{Token: token, Query: everybody}, "must start with https://"},
		"plain http":      {Options{BaseURL: "http://idp.example", Token: token, Query: everybody}, "in the clear"},
		"mode assigned":   {Options{BaseURL: testAddress, Token: token, Query: connectors.Query{Mode: connectors.ScopeAssigned}}, "mode assigned does not exist here"},
		"mode org_units":  {Options{BaseURL: testAddress, Token: token, Query: connectors.Query{Mode: connectors.ScopeOrgUnits}}, "is not one of groups, all"},
		"no groups":       {Options{BaseURL: testAddress, Token: token, Query: connectors.Query{Mode: connectors.ScopeGroups}}, "mode groups needs at least one group"},
		"an empty group":  {Options{BaseURL: testAddress, Token: token, Query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{" "}}}, "names nothing"},
		"groups for all":  {Options{BaseURL: testAddress, Token: token, Query: connectors.Query{Mode: connectors.ScopeAll, Groups: []string{"a"}}}, "scope groups are listed, but"},
		"nothing to nest": {Options{BaseURL: testAddress, Token: token, Nested: true, Query: everybody}, "nested has no meaning"},
		"attributes":      {Options{BaseURL: testAddress, Token: token, Query: connectors.Query{Mode: connectors.ScopeAll, Attributes: []string{`emails[type eq "x"]`}}}, "is no path of names"},
		"a filter":        {Options{BaseURL: testAddress, Token: token, Filter: "a eq (", Query: everybody}, "does not close"},
	}
	for name, tc := range tests {
		if _, err := New(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestTenants(t *testing.T) {
	for base, want := range map[string]string{
		"https://IDP.example/scim/v2/": "scim:idp.example/scim/v2", "https://idp.example/scim/v2": "scim:idp.example/scim/v2",
		"http://127.0.0.1:8080/a": "scim:127.0.0.1:8080/a",
	} {
		if got := connect(t, Options{BaseURL: base, Token: func() string { return "t" }, Query: everybody}).Tenant(); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: 2})
	check := func(served sim.SCIMDirectoryOptions) (good, bad []string) {
		q := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{company.Groups()[0].Name}}
		for _, k := range connect(t, options(sim.NewSCIMDirectory(company, served), q)).Check(t.Context()) {
			if k.Err != nil {
				bad = append(bad, k.Name)
			} else {
				good = append(good, k.Name)
			}
		}
		return good, bad
	}
	all := []string{"read the users", "find the groups of the scope and to push, and read their members", "look up one person"}
	if good, bad := check(sim.SCIMDirectoryOptions{}); !slices.Equal(good, all) || len(bad) > 0 {
		t.Errorf("well: %q, not: %q", good, bad)
	}
	if _, bad := check(sim.SCIMDirectoryOptions{NeverMembers: true}); !slices.Equal(bad, all[1:2]) {
		t.Errorf("without members: %q", bad)
	}
	if _, bad := check(sim.SCIMDirectoryOptions{Token: "another"}); !slices.Equal(bad, all[:2]) {
		t.Errorf("with a wrong token: %q", bad)
	}
}
