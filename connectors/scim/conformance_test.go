package scim

import (
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile/reconciletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testAddress = "https://idp.example" + sim.DirectoryBase

func options(server http.Handler, q connectors.Query) Options {
	return Options{
		BaseURL: testAddress, Token: func() string { return sim.DefaultDirectoryToken }, Query: q, Transport: connectortest.Transport(server),
	}
}

func connect(tb testing.TB, o Options) *Connector {
	tb.Helper()
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var everybody = connectors.Query{Mode: connectors.ScopeAll}

var patterns = connectortest.Patterns

// dialect is how the company's SCIM server speaks of it.
var dialect = connectortest.Dialect{User: func(p sim.Person, u *connectors.User) {
	u.Nickname, u.Company, u.StatusDetail = p.NickName, "Acme", "active"
	if p.Status == sim.StatusSuspended || p.Status == sim.StatusStaged || p.Status == sim.StatusDeprovisioned {
		u.Status, u.StatusDetail = connectors.StatusDisabled, "active=false"
	}
}}

func listOf(name string) connectortest.List {
	return connectortest.List{Name: name, Key: "Resources", Match: func(r *http.Request) bool { return r.URL.Path == sim.DirectoryBase+"/"+name }}
}

func objectOf(name, collection string) connectortest.Object {
	re := regexp.MustCompile("^" + sim.DirectoryBase + "/" + collection + "/[^/]+$")
	return connectortest.Object{Name: name, Key: "id", Match: func(r *http.Request) bool { return re.MatchString(r.URL.Path) }}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	company := connectortest.Company()
	users, groups := listOf("Users"), listOf("Groups")
	person, group := objectOf("user", "Users"), objectOf("group", "Groups")
	none := func(sim.Group) bool { return false }
	founded := slices.DeleteFunc(company.Groups(), func(g sim.Group) bool { return len(g.Members) < 5 })
	if len(founded) < 2 {
		t.Fatal("the company has too few groups of five or more")
	}
	inScope := func(g sim.Group) bool { return g.Name == founded[0].Name || g.ID == founded[1].ID }
	member := func(p sim.Person) bool {
		return slices.ContainsFunc(founded[:2], func(g sim.Group) bool { return slices.Contains(g.Members, p.Login) })
	}
	tests := map[string]struct {
		query   connectors.Query
		served  sim.SCIMDirectoryOptions
		want    connectors.Snapshot
		lists   []connectortest.List
		objects []connectortest.Object
	}{
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{founded[0].Name, "id:" + founded[1].ID}, Push: patterns(t, "oncall-*")},
			want: dialect.Snapshot(t, company, connectors.ScopeGroups, member, inScope,
				func(g sim.Group) bool { return strings.HasPrefix(g.Name, "oncall-") }),
			lists:   []connectortest.List{users, groups},
			objects: []connectortest.Object{person, group},
		},
		"all, members hidden": {
			query:   connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, founded[0].Name)},
			served:  sim.SCIMDirectoryOptions{HideMembers: true, OmitMemberTypes: true},
			want:    dialect.Snapshot(t, company, connectors.ScopeAll, func(sim.Person) bool { return true }, none, func(g sim.Group) bool { return g.Name == founded[0].Name }),
			lists:   []connectortest.List{users, groups},
			objects: []connectortest.Object{person, group},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.served.PageCap = 3
			connectortest.Run(t, connectortest.Harness{
				New: func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
					o := options(nil, tc.query)
					o.Transport = transport
					return connect(tb, o)
				},
				Server: func(testing.TB) http.Handler { return sim.NewSCIMDirectory(company, tc.served) },
				Want:   tc.want,
				Lists:  tc.lists,
				Finder: &connectortest.Finder{
					UnknownUser: "00u00000000000000000", UnknownGroup: "00g00000000000000000",
					Objects: tc.objects,
					Live: func(tb testing.TB) connectortest.Live {
						company := connectortest.Company()
						return dialect.Live(tb, company, sim.NewSCIMDirectory(company, tc.served), false)
					},
				},
			})
		})
	}
}

func TestLeaving(t *testing.T) {
	reconciletest.WalkLeaving(t, reconciletest.Directory{
		New: func(t testing.TB, _ *sim.Sim, ends sim.Endpoints, transport http.RoundTripper, q connectors.Query) connectors.Connector {
			return connect(t, Options{BaseURL: ends.DirectoryURL, Token: func() string { return ends.DirectoryToken }, Query: q, Transport: transport})
		},
		Mode: connectors.ScopeGroups, Groups: []string{"all-hands"},
		Unassign: func(c *sim.Company, login string) error { return c.RemoveMember("all-hands", login) },
		Listed:   true,
		CutShort: reconciletest.ListFault(sim.SideDirectory, sim.DirectoryBase+"/Users", sim.TruncatedJSON()),
		Empty:    reconciletest.ListFault(sim.SideDirectory, sim.DirectoryBase+"/Users", sim.Body("")),
	})
}

// Whatever habits a SCIM server has, the same people and groups are read, or the read is an error.
func TestHabits(t *testing.T) {
	tests := map[string]struct {
		change func(o *sim.SCIMOptions)
		fails  bool
	}{
		"as Rootly":   {func(o *sim.SCIMOptions) { *o = sim.RootlyLike() }, false},
		"small pages": {func(o *sim.SCIMOptions) { o.PageCap = 7 }, false},
		"cursors":     {func(o *sim.SCIMOptions) { o.Cursors, o.PageCap = true, 7 }, false},

		"odd ids":                       {func(o *sim.SCIMOptions) { o.OddIDs = true }, false},
		"members hidden in listings":    {func(o *sim.SCIMOptions) { o.HideMembers = true }, false},
		"no attribute when empty":       {func(o *sim.SCIMOptions) { o.OmitEmptyMembers = true }, false},
		"members without type":          {func(o *sim.SCIMOptions) { o.OmitMemberTypes = true }, false},
		"one page, and no word of more": {func(o *sim.SCIMOptions) { o.Cursors, o.OmitTotal = true, true }, true},
		"totals that are too large":     {func(o *sim.SCIMOptions) { o.TotalOff, o.PageCap = 2, 7 }, true},
		"totals that are too small":     {func(o *sim.SCIMOptions) { o.TotalOff, o.PageCap = -2, 7 }, true},
		"another order each time":       {func(o *sim.SCIMOptions) { o.RandomOrder, o.PageCap = true, 7 }, true},
		"SSO not set up":                {func(o *sim.SCIMOptions) { o.NotSetUp = true }, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var o sim.SCIMOptions
			tc.change(&o)
			o.Seed = 3
			server := sim.NewSCIM(o)
			var want []connectors.User
			var members []sim.SCIMMember
			for i := range 30 {
				u, err := server.AddUser(sim.SCIMUser{UserName: fmt.Sprintf("p%02d@acme.example", i), GivenName: "P", FamilyName: fmt.Sprint(i), Active: i%5 > 0,
					Emails: []sim.SCIMValue{{Value: fmt.Sprintf("p%02d@acme.example", i), Type: "work"}}})
				if err != nil {
					t.Fatal(err)
				}
				n := connectors.User{ID: connectors.UserID(u.ID), UserName: u.UserName, Email: u.UserName, GivenName: "P", FamilyName: fmt.Sprint(i),
					DisplayName: "P " + fmt.Sprint(i), Status: connectors.StatusActive, StatusDetail: "active"}
				if !u.Active {
					n.Status, n.StatusDetail = connectors.StatusDisabled, "active=false"
				}
				want = append(want, n)
				if i%3 == 0 {
					members = append(members, sim.SCIMMember{Value: u.ID, Type: "User"})
				}
			}
			full, err := server.AddGroup(sim.SCIMGroup{DisplayName: "full", Members: members})
			if err != nil {
				t.Fatal(err)
			}
			empty, err := server.AddGroup(sim.SCIMGroup{DisplayName: "empty"})
			if err != nil {
				t.Fatal(err)
			}
			c := connect(t, Options{BaseURL: "https://scim.example" + sim.SCIMBase, Token: func() string { return sim.DefaultSCIMToken },
				Query: connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}, Transport: connectortest.Transport(server)})
			got, err := c.Fetch(t.Context())
			if tc.fails {
				if err == nil {
					t.Errorf("%d users and no error", len(got.Users))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			groups := []connectors.Group{{ID: connectors.GroupID(full.ID), Name: "full"}, {ID: connectors.GroupID(empty.ID), Name: "empty"}}
			for _, m := range members {
				groups[0].Members = append(groups[0].Members, connectors.UserID(m.Value))
			}
			snap, err := connectors.NewSnapshot(want, groups)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(snap, got); diff != "" {
				t.Errorf("snapshot (-want +got):\n%s", diff)
			}
		})
	}
}

// A read sends one request for each page of a thousand that the server grants.
func TestRequestsAreTheFewest(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 1, People: 2_203, Groups: 45})
	c := connect(t, options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Stats().Requests, 3+1; got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

// BenchmarkFetch reads 50,000 people and 100 groups in process; requests/min is 1 when no request is sent beyond the
// fewest. The server builds every user anew for each page, which is most of the time.
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
	var before, after runtime.MemStats
	var snap connectors.Snapshot
	requests, reads := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		snap = connectors.Snapshot{}
		c := connect(b, options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")}))
		runtime.GC()
		runtime.ReadMemStats(&before)
		var err error
		if snap, err = c.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
		requests += c.Stats().Requests
		reads++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6/float64(len(snap.Users))*100_000, "MB-kept/100k-users")
	runtime.KeepAlive(snap)
	runtime.KeepAlive(company) // it would count as given back
	b.ReportMetric(float64(len(people)), "users/op")
	b.ReportMetric(float64(requests)/float64(reads), "requests/op")
	b.ReportMetric(float64(requests)/float64(reads)/51, "requests/min")
}
