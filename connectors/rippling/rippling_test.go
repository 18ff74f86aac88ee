package rippling

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func TestStatus(t *testing.T) {
	tests := map[string]struct {
		active  bool
		workers []string
		want    connectors.Status
		detail  string
	}{
		"employed":                             {true, []string{"ACTIVE"}, connectors.StatusActive, "ACTIVE"},
		"employed and locked out":              {false, []string{"ACTIVE"}, connectors.StatusDisabled, "ACTIVE, active=false"},
		"hired":                                {false, []string{"HIRED"}, connectors.StatusStaged, "HIRED"},
		"accepted, may sign in already":        {true, []string{"ACCEPTED"}, connectors.StatusStaged, "ACCEPTED"},
		"terminated":                           {false, []string{"TERMINATED"}, connectors.StatusDisabled, "TERMINATED, active=false"},
		"terminated, may still sign in":        {true, []string{"TERMINATED"}, connectors.StatusDisabled, "TERMINATED"},
		"came back":                            {true, []string{"ACTIVE", "TERMINATED"}, connectors.StatusActive, "ACTIVE, TERMINATED"},
		"is to come back":                      {true, []string{"HIRED", "TERMINATED"}, connectors.StatusDisabled, "HIRED, TERMINATED"},
		"employed twice":                       {true, []string{"ACTIVE", "ACTIVE"}, connectors.StatusActive, "ACTIVE"},
		"never employed":                       {true, nil, connectors.StatusActive, "no worker"},
		"never employed, may not sign in":      {false, nil, connectors.StatusDisabled, "active=false"},
		"of two employments one has not begun": {true, []string{"ACTIVE", "HIRED"}, connectors.StatusActive, "ACTIVE, HIRED"},
	}
	for name, tc := range tests {
		var workers []*worker
		for _, s := range tc.workers {
			workers = append(workers, &worker{Status: s})
		}
		if status, detail := statusOf(tc.active, workers); status != tc.want || detail != tc.detail {
			t.Errorf("%s: %s (%s), want %s (%s)", name, status, detail, tc.want, tc.detail)
		}
	}
}

// One person with all that Rippling may say of them, and two employments.
func TestPerson(t *testing.T) {
	person := object{
		"id": "u1", "active": true, "username": "ada", "display_name": nil,
		"name":          object{"given_name": "Augusta", "family_name": "King", "preferred_given_name": "Ada", "preferred_family_name": "Lovelace"},
		"emails":        []object{{"value": "ada@home.example", "type": "HOME"}, {"value": "ada@work.example", "type": "WORK"}},
		"phone_numbers": []object{{"value": "tel:+14155550100", "type": "MOBILE"}, {"value": "+14155550101", "type": "WORK"}, {"value": "+1", "type": "FAX"}},
		"locale":        "en-GB",
	}
	server := staffed(results(person), results(
		object{"id": "w1", "user_id": "u1", "status": "TERMINATED", "department_id": "closed", "teams_id": []string{"t1"}, "title": "Intern", "start_date": "2030-01-01"},
		object{"id": "w2", "user_id": "u1", "status": "ACTIVE", "department_id": "d1", "teams_id": nil, "title": "Countess", "number": 7,
			"work_email": "ada@acme.example", "country": "GB"},
		object{"id": "w3", "status": "ACCEPTED"},
	))
	server.answers["/departments"] = results(object{"id": "d1", "name": "Engines", "parent_id": "d0"})
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "Ops"), Attributes: []string{"locale", "country", "given_name", "end_date"}}))
	snap, err := c.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := connectors.Snapshot{
		Users: []connectors.User{{
			ID: "u1", UserName: "ada", Email: "ada@acme.example", GivenName: "Ada", FamilyName: "Lovelace", DisplayName: "Ada Lovelace",
			Department: "Engines", Title: "Countess", EmployeeNumber: "7", Status: connectors.StatusActive, StatusDetail: "ACTIVE, TERMINATED",
			Phones: []connectors.Phone{{Type: "mobile", Value: "+14155550100"}, {Type: "work", Value: "+14155550101"}},
			Attrs:  map[string]string{"locale": "en-GB", "country": "GB", "given_name": "Augusta", "end_date": ""},
		}},
		Groups: []connectors.Group{{ID: "t1", Name: "Ops"}}, // the employment in it is over
	}
	if diff := cmp.Diff(want, snap); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	for _, r := range server.asked {
		if r.Header.Get("Rippling-Api-Version") != DefaultAPIVersion || r.Header.Get("Authorization") != "Bearer "+sim.DefaultRipplingToken {
			t.Errorf("%s is asked for with %v", r.URL, r.Header)
		}
	}
}

// Somebody whose every employment is over stays in their groups, to be seen leaving.
func TestALeaverStaysInSight(t *testing.T) {
	server := staffed(results(object{"id": "u1", "active": false}), results(object{"id": "w1", "user_id": "u1", "status": "TERMINATED", "teams_id": []string{"t1"}}))
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"Ops"}}))
	snap, err := c.Fetch(t.Context())
	if err != nil || len(snap.Users) != 1 || snap.Users[0].Status != connectors.StatusDisabled {
		t.Errorf("%+v, %v", snap.Users, err)
	}
}

func TestDamagedAnswers(t *testing.T) {
	u1, w1 := object{"id": "u1", "active": true}, object{"id": "w1", "user_id": "u1", "status": "ACTIVE", "teams_id": []string{}}
	tests := map[string]struct {
		path   string
		answer any
		want   string
	}{
		"nothing said about active":     {"/users", results(object{"id": "u1"}), "does not say whether the user is active"},
		"an unknown status":             {"/workers", results(object{"id": "w1", "user_id": "u1", "status": "ON_LEAVE"}), `unknown status "ON_LEAVE"`},
		"no status":                     {"/workers", results(object{"id": "w1", "user_id": "u1"}), `unknown status ""`},
		"an employed person is missing": {"/users", results(), "their user u1 is not listed"},
		"a department is missing":       {"/workers", results(object{"id": "w1", "user_id": "u1", "status": "ACTIVE", "department_id": "d9"}), "department d9, which is not listed"},
		"a team without a name":         {"/teams", results(object{"id": "t1"}), "t1 has no name"},
		"somebody twice":                {"/users", results(u1, u1), "u1 was listed before"},
		"a link to a number":            {"/users", object{"results": []object{u1}, "next_link": 7}, "next_link is a number"},
		"a link to another listing":     {"/users", object{"results": []object{u1}, "next_link": "/workers?cursor=2"}, "another listing, /workers"},
		"a link with a password":        {"/users", object{"results": []object{u1}, "next_link": "https://x:y@rippling.example/users?cursor=2"}, "another server"},
		"a link over plain http":        {"/users", object{"results": []object{u1}, "next_link": "http://rippling.example/users?cursor=2"}, "another server"},
		"a link to this page":           {"/users", object{"results": []object{u1}, "next_link": "/users?limit=100"}, "leads to this one"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := staffed(results(u1), results(w1))
			server.answers[tc.path] = tc.answer
			c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
			snap, err := c.Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v; want %q", snap, err, tc.want)
			}
		})
	}
}

// A field that the token may not see is an error where a person or group is made of it, and nothing where not.
func TestRedactedFields(t *testing.T) {
	tests := map[string]struct {
		hidden map[string][]string
		attrs  []string
		want   string // "" is no error
	}{
		"who is employed":             {map[string][]string{"workers": {"status"}}, nil, "the field status is redacted"},
		"which teams":                 {map[string][]string{"workers": {"teams_id"}}, nil, "grant it workers.read"},
		"part of a name":              {map[string][]string{"users": {"name.given_name"}}, nil, "the field name.given_name is redacted"},
		"phones":                      {map[string][]string{"users": {"phone_numbers"}}, nil, "grant it users.read"},
		"above which team":            {map[string][]string{"teams": {"parent_id"}}, nil, "grant it teams.read"},
		"what nobody asks for":        {map[string][]string{"workers": {"compensation", "date_of_birth"}, "users": {"addresses"}}, nil, ""},
		"what an expression asks for": {map[string][]string{"workers": {"country"}}, []string{"country"}, "the field country is redacted"},
		"what no expression asks for": {map[string][]string{"workers": {"country"}}, []string{"locale"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := sim.NewRippling(sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: 2}), sim.RipplingOptions{Redacted: tc.hidden})
			c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*"), Attributes: tc.attrs}))
			snap, err := c.Fetch(t.Context())
			switch {
			case tc.want == "" && (err != nil || len(snap.Users) != 5):
				t.Errorf("%d users, %v", len(snap.Users), err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// The field that is missing from one person's record says nothing about that person.
func TestRedactedFieldsOfOnePerson(t *testing.T) {
	hidden := object{"redacted_fields": []object{{"name": "emails", "reason": "no permission"}}}
	u1 := object{"id": "u1", "active": true}
	server := staffed(results(u1), results())
	server.answers["/users/u1"] = object{"id": "u1", "active": true, "__meta": hidden}
	c := connect(t, options(server, everybody))
	if found, err := c.Lookup(t.Context(), "u1"); err == nil || !strings.Contains(err.Error(), "emails is redacted") {
		t.Errorf("Lookup: %+v, %v", found, err)
	}
	u1["__meta"] = hidden
	if _, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "emails is redacted") {
		t.Errorf("Fetch: %v", err)
	}
}

// A server that knows no limit is read all the same, and one that hires between two listings is read again.
func TestOddServers(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 120, Groups: 4})
	c := connect(t, options(sim.NewRippling(company, sim.RipplingOptions{NoLimit: true}), everybody))
	if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 120 {
		t.Errorf("without a limit: %d users, %v", len(snap.Users), err)
	}

	u1, u2 := object{"id": "u1", "active": true}, object{"id": "u2", "active": true}
	server := staffed(results(u1, u2), results(object{"id": "w2", "user_id": "u2", "status": "ACTIVE"}))
	asked := 0
	server.answers["/users"] = func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.Write([]byte(`{"results":[{"id":"u1","active":true}],"next_link":null}`))
			return
		}
		w.Write([]byte(`{"results":[{"id":"u1","active":true},{"id":"u2","active":true}],"next_link":""}`))
	}
	c = connect(t, options(server, everybody))
	if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 2 || asked != 2 {
		t.Errorf("hired meanwhile: %d users in %d readings, %v", len(snap.Users), asked, err)
	}
}

func TestGroups(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 40, Groups: 6})
	a, b := company.Groups()[0], company.Groups()[1]
	served := sim.RipplingOptions{Parents: map[string]string{a.Name: b.Name, b.Name: a.Name, "SRE": "Engineering"}}
	read := func(kind GroupKind, nested bool, groups ...string) []connectors.Group {
		t.Helper()
		o := options(sim.NewRippling(company, served), connectors.Query{Mode: connectors.ScopeGroups, Groups: groups})
		o.Groups, o.Nested = kind, nested
		c := connect(t, o)
		snap, err := c.Fetch(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range snap.Groups {
			if again, known, err := c.Members(t.Context(), g.ID); err != nil || !known || !slices.Equal(again, g.Members) {
				t.Errorf("%s asked again: %v, %v, %v", g.Name, again, known, err)
			}
		}
		return snap.Groups
	}
	ids := func(in func(sim.Person) bool) (out []connectors.UserID) {
		for _, p := range company.People() {
			if in(p) {
				out = append(out, connectors.UserID(p.ID))
			}
		}
		slices.Sort(out)
		return out
	}
	of := func(g sim.Group) func(sim.Person) bool {
		return func(p sim.Person) bool { return slices.Contains(g.Members, p.Login) }
	}
	tests := map[string]struct {
		got  []connectors.Group
		want []connectors.UserID
	}{
		"a team":                             {read(GroupTeams, false, a.Name), ids(of(a))},
		"a team within the one it is within": {read(GroupTeams, true, "id:"+a.ID), ids(func(p sim.Person) bool { return of(a)(p) || of(b)(p) })},
		"a department":                       {read(GroupDepartments, false, "Engineering"), ids(func(p sim.Person) bool { return p.Department == "Engineering" })},
		"a department and the one within":    {read(GroupBoth, true, "Engineering"), ids(func(p sim.Person) bool { return p.Department == "Engineering" || p.Department == "SRE" })},
	}
	for name, tc := range tests {
		if len(tc.got) != 1 || !slices.Equal(tc.got[0].Members, tc.want) || len(tc.want) == 0 {
			t.Errorf("%s: %+v, want %v", name, tc.got, tc.want)
		}
	}
}

func TestScopeGroupsAreExactlyOne(t *testing.T) {
	server := staffed(results(), results())
	server.answers["/teams"] = results(object{"id": "t1", "name": "Ops"}, object{"id": "t2", "name": "Ops"})
	for group, want := range map[string]string{"Ops": "name one of them by id: id:t1", "Sales": `"Sales" does not exist`, "id:t9": "id:t9 does not exist"} {
		c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{group}}))
		if _, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", group, err, want)
		}
	}
}

// A 404 that the listing of people contradicts is nobody's leaving.
func TestA404IsNotBelievedAlone(t *testing.T) {
	server := staffed(results(object{"id": "u1", "active": true}), results())
	c := connect(t, options(server, everybody))
	if found, err := c.Lookup(t.Context(), "u1"); err == nil {
		t.Errorf("of somebody who is listed: %+v", found)
	}
	if found, err := c.Lookup(t.Context(), "u2"); err != nil || found.Known {
		t.Errorf("of somebody who is not: %+v, %v", found, err)
	}
}

// Lookups one after the other share the listings of who is employed, and a Fetch begins anew.
func TestLookupsShareListings(t *testing.T) {
	server := staffed(results(object{"id": "u1", "active": true}), results(object{"id": "w1", "user_id": "u1", "status": "ACTIVE"}))
	server.answers["/users/u1"] = object{"id": "u1", "active": true}
	c := connect(t, options(server, everybody))
	for range 5 {
		if found, err := c.Lookup(t.Context(), "u1"); err != nil || found.User.Status != connectors.StatusActive {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	if got, want := c.Stats().Requests, 5+2; got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
	server.answers["/workers"] = results(object{"id": "w1", "user_id": "u1", "status": "TERMINATED"})
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := c.Lookup(t.Context(), "u1"); err != nil || found.User.Status != connectors.StatusDisabled {
		t.Errorf("after another Fetch: %+v, %v", found, err)
	}
}

func TestRefusals(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: 2})
	q := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}
	tests := map[string]struct {
		served sim.RipplingOptions
		base   string
		want   []string // which of the parallel listings fails first is left open
	}{
		"a wrong token":  {sim.RipplingOptions{Token: "another"}, testAddress, []string{"rippling: 401 listing the ", "Unauthorized (the API token is wrong"}},
		"no right":       {sim.RipplingOptions{Forbidden: []string{"workers"}}, testAddress, []string{"rippling: 403 listing the workers: Forbidden (grant the API token workers.read"}},
		"a wrong server": {sim.RipplingOptions{}, testAddress + "/v2", []string{"rippling: 404 listing the ", "Not Found (check the base URL"}},
	}
	for name, tc := range tests {
		o := options(sim.NewRippling(company, tc.served), q)
		o.BaseURL = tc.base
		_, err := connect(t, o).Fetch(t.Context())
		for _, part := range tc.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want %q", name, err, part)
			}
		}
	}
}

// The server's own words come into messages without the token.
func TestTheTokenIsNotRepeated(t *testing.T) {
	server := &company{answers: map[string]any{"/users": func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		w.Write([]byte(`{"message":"bad header ` + r.Header.Get("Authorization") + `"}`))
	}, "/workers": results(), "/departments": results()}}
	_, err := connect(t, options(server, everybody)).Fetch(t.Context())
	if err == nil || strings.Contains(err.Error(), sim.DefaultRipplingToken) || !strings.Contains(err.Error(), "[secret]") {
		t.Errorf("%v", err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	token := func() string { return "t" }
	tests := map[string]struct {
		o    Options
		want string
	}{
		"no token":        {Options{Company: "a", Query: everybody}, "the API token is missing"},
		"no company":      {Options{APIToken: token, Query: everybody}, "the company is missing"},
		"mode assigned":   {Options{APIToken: token, Company: "a", Query: connectors.Query{Mode: connectors.ScopeAssigned}}, "mode assigned does not exist here"},
		"mode org_units":  {Options{APIToken: token, Company: "a", Query: connectors.Query{Mode: connectors.ScopeOrgUnits}}, `scope mode "org_units" is not one of groups, all`},
		"no groups":       {Options{APIToken: token, Company: "a", Query: connectors.Query{Mode: connectors.ScopeGroups}}, "mode groups needs at least one team"},
		"an empty group":  {Options{APIToken: token, Company: "a", Query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:"}}}, "names nothing"},
		"groups for all":  {Options{APIToken: token, Company: "a", Query: connectors.Query{Mode: connectors.ScopeAll, Groups: []string{"a"}}}, "scope groups are listed, but"},
		"other groups":    {Options{APIToken: token, Company: "a", Groups: "offices", Query: everybody}, `groups "offices" is not one of`},
		"nothing to nest": {Options{APIToken: token, Company: "a", Nested: true, Query: everybody}, "nested has no meaning"},
		"attributes":      {Options{APIToken: token, Company: "a", Query: connectors.Query{Mode: connectors.ScopeAll, Attributes: []string{"salary"}}}, `there is no attribute "salary"`},
		"a version":       {Options{APIToken: token, Company: "a", APIVersion: "v2", Query: everybody}, `the API version "v2" is no date`},
		"plain http":      {Options{APIToken: token, Company: "a", BaseURL: "http://rippling.example", Query: everybody}, "send the token unencrypted"},
		"no address":      {Options{APIToken: token, Company: "a", BaseURL: "https://x:y@rippling.example", Query: everybody}, "no plain web address"},
	}
	for name, tc := range tests {
		if _, err := New(tc.o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	if _, err := New(Options{APIToken: token, Company: "a", BaseURL: "http://127.0.0.1:8080/", Query: everybody}); err != nil {
		t.Errorf("loopback: %v", err)
	}
}

func TestCheck(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: 2})
	q := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{company.Groups()[0].Name}}
	check := func(served sim.RipplingOptions) (good, bad []string) {
		for _, k := range connect(t, options(sim.NewRippling(company, served), q)).Check(t.Context()) {
			if k.Err != nil {
				bad = append(bad, k.Name)
			} else {
				good = append(good, k.Name)
			}
		}
		return good, bad
	}
	all := []string{"read the users", "read the workers", "read the departments", "read the teams", "find the groups of the scope and to push", "look up one person"}
	if good, bad := check(sim.RipplingOptions{}); !slices.Equal(good, all) || len(bad) > 0 {
		t.Errorf("well: %q, not: %q", good, bad)
	}
	if _, bad := check(sim.RipplingOptions{Forbidden: []string{"workers"}}); !slices.Equal(bad, []string{"read the workers"}) {
		t.Errorf("without workers.read: %q", bad)
	}
	if _, bad := check(sim.RipplingOptions{Forbidden: []string{"teams"}}); !slices.Equal(bad, []string{"read the teams"}) {
		t.Errorf("without teams.read: %q", bad)
	}
	if _, bad := check(sim.RipplingOptions{Redacted: map[string][]string{"users": {"active"}}}); !slices.Equal(bad, []string{"read the users"}) {
		t.Errorf("with active redacted: %q", bad)
	}
}
