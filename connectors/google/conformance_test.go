package google

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// dialect is how Google speaks of the company.
var dialect = connectortest.Dialect{
	User: func(p sim.Person, u *connectors.User) {
		u.Email, u.Company, u.StatusDetail = p.Login, "Acme", "active"
		switch p.Status {
		case sim.StatusSuspended:
			u.Status, u.StatusDetail = connectors.StatusDisabled, "suspended"
		case sim.StatusDeprovisioned:
			u.Status, u.StatusDetail = connectors.StatusDisabled, "archived"
		}
	},
	Group: func(g sim.Group, out *connectors.Group) { out.Email = strings.ToLower(g.Name) + "@acme.example" },
}

func listOf(key, path string) connectortest.List {
	re := regexp.MustCompile("^/admin/directory/v1/" + path + "$")
	return connectortest.List{Name: key, Key: key, Match: func(r *http.Request) bool {
		return re.MatchString(r.URL.Path) && r.URL.Query().Get("showDeleted") == ""
	}}
}

func objectOf(name, path, key string) connectortest.Object {
	return connectortest.Object{Name: name, Match: listOf(name, path).Match, Key: key}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	company := connectortest.Company()
	var (
		allUsers = listOf("users", "users")
		groups   = listOf("groups", "groups")
		members  = listOf("members", "groups/[^/]+/members")
		person   = objectOf("user", "users/[^/]+", "id")
		inGroup  = objectOf("membership", "groups/[^/]+/hasMember/[^/]+", "isMember")
		none     = func(sim.Group) bool { return false }
		all      = func(sim.Person) bool { return true }
		oncall   = func(g sim.Group) bool { return strings.HasPrefix(g.Name, "oncall-") }
	)
	founded := connectortest.Founded(t, company)
	engineers := func(p sim.Person) bool { return p.Department == "Engineering" || p.Department == "SRE" }
	address := strings.ToLower(founded[0].Name) + "@acme.example"
	tests := map[string]struct {
		query connectors.Query
		units []string
		want  connectors.Snapshot
		lists []connectortest.List
		asked connectortest.Finder
	}{
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{address, "id:" + founded[1].ID}, Push: patterns(t, "oncall-*@acme.example")},
			want:  dialect.Snapshot(t, company, connectors.ScopeGroups, founded.Has, founded.Is, oncall),
			lists: []connectortest.List{allUsers, groups, members},
			asked: connectortest.Finder{Lists: []connectortest.List{members}, Objects: []connectortest.Object{person, inGroup}},
		},
		"org units": {
			query: connectors.Query{Mode: connectors.ScopeOrgUnits, Push: patterns(t, founded[0].Name)},
			units: []string{"/Engineering"},
			want:  dialect.Snapshot(t, company, connectors.ScopeOrgUnits, engineers, none, func(g sim.Group) bool { return g.Name == founded[0].Name }),
			lists: []connectortest.List{allUsers, groups, members},
			asked: connectortest.Finder{Lists: []connectortest.List{members}, Objects: []connectortest.Object{person}},
		},
		"all": {
			query: connectors.Query{Mode: connectors.ScopeAll},
			want:  dialect.Snapshot(t, company, connectors.ScopeAll, all, none, none),
			lists: []connectortest.List{allUsers},
			asked: connectortest.Finder{Objects: []connectortest.Object{person}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := sim.GoogleOptions{PageSize: 3}
			tc.asked.UnknownUser, tc.asked.UnknownGroup = "00u00000000000000000", "00g00000000000000000"
			tc.asked.Live = func(tb testing.TB) connectortest.Live {
				company := connectortest.Company()
				return dialect.Live(tb, company, sim.NewGoogle(company, served), false)
			}
			connectortest.Run(t, connectortest.Harness{
				New: func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
					o := options(nil, tc.query)
					o.OrgUnits, o.SubUnits, o.Transport = tc.units, true, transport
					return connect(tb, o)
				},
				Server: func(testing.TB) http.Handler { return sim.NewGoogle(company, served) },
				Want:   tc.want,
				Lists:  tc.lists,
				Finder: &tc.asked,
			})
		})
	}
}

// A tight quota slows the read down and changes nothing of what is read.
func TestTightQuota(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 24, Groups: 12})
	connectortest.RunLimited(t, 10*time.Second, func(limited bool) connectors.Connector {
		served := sim.GoogleOptions{PageSize: 4}
		if limited {
			served.RateLimit = 30
		}
		return connect(t, options(sim.NewGoogle(company, served), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	})
}

// Groups in groups count with all their people, whatever circle they stand in; people and groups from elsewhere do not.
func TestNestedGroups(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	a, b, c := company.Groups()[0], company.Groups()[1], company.Groups()[2]
	served := sim.GoogleOptions{PageSize: 3, Strangers: true,
		Subgroups: map[string][]string{a.Name: {b.Name, "partners"}, b.Name: {c.Name}, c.Name: {a.Name}}}
	connector := connect(t, options(sim.NewGoogle(company, served), connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{a.Name}}))
	snap, err := connector.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	union := slices.Concat(a.Members, b.Members, c.Members)
	var want []connectors.UserID
	for _, p := range company.People() {
		if slices.Contains(union, p.Login) {
			want = append(want, connectors.UserID(p.ID))
		}
	}
	slices.Sort(want)
	if !slices.Equal(idsOf(snap.Users), want) {
		t.Errorf("people %v, want %v", idsOf(snap.Users), want)
	}
	want = append(want, "stranger-1")
	if !slices.Equal(snap.Groups[0].Members, want) {
		t.Errorf("members %v, want %v", snap.Groups[0].Members, want)
	}
	got, known, err := connector.Members(t.Context(), snap.Groups[0].ID)
	if err != nil || !known || !slices.Equal(got, want) {
		t.Errorf("asked again: %v, %v, %v", got, known, err)
	}
	for _, p := range company.People() {
		found, err := connector.Lookup(t.Context(), connectors.UserID(p.ID))
		if err != nil || found.InScopeGroup != slices.Contains(union, p.Login) {
			t.Errorf("%s: %+v, %v", p.Login, found, err)
		}
	}
}

// A group that has the whole account as a member holds everybody.
func TestWholeAccountAsMember(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 12, Groups: 3})
	name := company.Groups()[0].Name
	c := connect(t, options(sim.NewGoogle(company, sim.GoogleOptions{Whole: []string{name}}), connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{name}}))
	snap, err := c.Fetch(t.Context())
	if err != nil || len(snap.Users) != 12 || !slices.Equal(snap.Groups[0].Members, idsOf(snap.Users)) {
		t.Fatalf("%d users, %v, %v", len(snap.Users), snap.Groups, err)
	}
	got, _, err := c.Members(t.Context(), snap.Groups[0].ID)
	if err != nil || len(got) != 12 {
		t.Errorf("asked again: %v, %v", got, err)
	}
}

func idsOf(users []connectors.User) []connectors.UserID {
	ids := make([]connectors.UserID, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	return ids
}

// A read sends the fewest requests that the largest pages allow: one for the token, then pages of 500 people and of
// 200 groups and members.
func TestRequestsAreTheFewest(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 1, People: 1_203, Groups: 45})
	c := connect(t, options(sim.NewGoogle(company, sim.GoogleOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Stats().Requests, fewest(company); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

func fewest(company *sim.Company) int {
	pages := func(n, most int) int { return max(1, (n+most-1)/most) }
	requests := 1 + pages(len(company.People()), userPage) + pages(len(company.Groups()), groupPage)
	for _, g := range company.Groups() {
		requests += pages(len(g.Members), groupPage)
	}
	return requests
}

// BenchmarkFetch reads 50,000 people and 100 groups in process; requests/min is 1 when no request is sent beyond the
// fewest. Its pacing is off, for in process it would be all that is measured.
func BenchmarkFetch(b *testing.B) {
	company := connectortest.LargeCompany(b)
	server := sim.NewGoogle(company, sim.GoogleOptions{})
	connectortest.BenchFetch(b, fewest(company), func() connectors.Connector {
		c := connect(b, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")}))
		c.rt.pacer.SetBurst(1 << 30)
		return c
	})
}
