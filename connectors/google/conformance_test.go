package google

import (
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

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
	founded := slices.DeleteFunc(company.Groups(), func(g sim.Group) bool { return len(g.Members) < 5 })
	if len(founded) < 2 {
		t.Fatal("the company has too few groups of five or more")
	}
	inScope := func(g sim.Group) bool { return g.Name == founded[0].Name || g.ID == founded[1].ID }
	member := func(p sim.Person) bool {
		return slices.ContainsFunc(founded[:2], func(g sim.Group) bool { return slices.Contains(g.Members, p.Login) })
	}
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
			want:  dialect.Snapshot(t, company, connectors.ScopeGroups, member, inScope, oncall),
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
	read := func(limit int) (snap connectors.Snapshot, took time.Duration) {
		c := connect(t, options(sim.NewGoogle(company, sim.GoogleOptions{PageSize: 4, RateLimit: limit}),
			connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var err error
			if snap, err = c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			took = time.Since(start)
		})
		return snap, took
	}
	want, fast := read(0)
	got, slow := read(30)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("read under the quota (-want +got):\n%s", diff)
	}
	if fast != 0 || slow < 10*time.Second || slow > 10*time.Minute {
		t.Errorf("took %s without the quota and %s with it", fast, slow)
	}
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
	company := sim.NewCompany(sim.Config{Seed: 1, People: 50_000, Groups: -1})
	people := company.People()
	for i := range 100 {
		g := sim.Group{Name: "team-" + string(rune('a'+i/10)) + string(rune('a'+i%10))}
		for _, p := range people[i*500 : i*500+500] {
			g.Members = append(g.Members, p.Login)
		}
		if _, err := company.CreateGroup(g); err != nil {
			b.Fatal(err)
		}
	}
	c := connect(b, options(sim.NewGoogle(company, sim.GoogleOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")}))
	c.rt.pacer.SetBurst(1 << 30)
	var before, after runtime.MemStats
	var snap connectors.Snapshot
	reads := 0
	b.ReportAllocs()
	for b.Loop() {
		snap = connectors.Snapshot{}
		runtime.GC()
		runtime.ReadMemStats(&before)
		var err error
		if snap, err = c.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
		reads++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6/float64(len(snap.Users))*100_000, "MB-kept/100k-users")
	requests := float64(c.Stats().Requests-1) / float64(reads)
	b.ReportMetric(float64(len(people)), "users/op")
	b.ReportMetric(requests, "requests/op")
	b.ReportMetric(requests/float64(fewest(company)-1), "requests/min")
}
