//go:build !noentra

package entra

import (
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// dialect is how Graph speaks of the company.
var dialect = connectortest.Dialect{ID: sim.GraphID, User: func(p sim.Person, u *connectors.User) {
	u.Company, u.EmployeeType, u.StatusDetail = "Acme", "Member", "accountEnabled=true"
	switch p.Status {
	case sim.StatusStaged, sim.StatusSuspended, sim.StatusDeprovisioned:
		u.Status, u.StatusDetail = connectors.StatusDisabled, "accountEnabled=false"
	}
}}

func groupID(g sim.Group) connectors.GroupID { return connectors.GroupID(sim.GraphID(g.ID)) }

func listOf(name, path string) connectortest.List {
	re := regexp.MustCompile("^/v1.0" + path + "$")
	return connectortest.List{Name: name, Key: "value", Match: func(r *http.Request) bool { return re.MatchString(r.URL.Path) }}
}

func objectOf(name, path string) connectortest.Object {
	l := listOf(name, path)
	return connectortest.Object{Name: l.Name, Match: l.Match, Key: "id"}
}

// conformanceGraph serves it in small pages, among devices and applications.
func conformanceGraph(c *sim.Company) *sim.Graph {
	return sim.NewGraph(c, sim.GraphOptions{PageSize: 4, Strangers: true})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	company := connectortest.Company()
	var (
		users    = listOf("users", "/users")
		groups   = listOf("groups", "/groups")
		members  = listOf("members", "/groups/[^/]+/members")
		assigned = listOf("assignments", "/servicePrincipals/[^/]+/appRoleAssignedTo")
		memberOf = listOf("groups of a user", "/users/[^/]+/memberOf")
		person   = objectOf("user", "/users/[^/]+")
		app      = objectOf("app", `/servicePrincipals\(.*\)`)
		none     = func(sim.Group) bool { return false }
		oncall   = func(g sim.Group) bool { return strings.HasPrefix(g.Name, "oncall-") }
	)
	app.Key = "appId"
	founded := connectortest.Founded(t, company)
	tests := map[string]struct {
		query connectors.Query
		want  connectors.Snapshot
		lists []connectortest.List
		asked connectortest.Finder
	}{
		"assigned": {
			query: connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(t, founded[0].Name, founded[1].Name+"*")},
			want: dialect.Snapshot(t, company, connectors.ScopeAssigned, func(p sim.Person) bool { return p.Assigned }, none,
				func(g sim.Group) bool { return g.Name == founded[0].Name || strings.HasPrefix(g.Name, founded[1].Name) }),
			lists: []connectortest.List{users, assigned, groups, members},
			asked: connectortest.Finder{
				Lists: []connectortest.List{members, assigned}, Objects: []connectortest.Object{person, app}, Listed: true,
			},
		},
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{founded[0].Name, "id:" + string(groupID(founded[1]))},
				Push: patterns(t, "oncall-*")},
			want:  dialect.Snapshot(t, company, connectors.ScopeGroups, founded.Has, founded.Is, oncall),
			lists: []connectortest.List{groups, members},
			asked: connectortest.Finder{Lists: []connectortest.List{members, memberOf}, Objects: []connectortest.Object{person}},
		},
		"all": {
			query: connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "id:"+string(groupID(founded[0])))},
			want: dialect.Snapshot(t, company, connectors.ScopeAll, func(sim.Person) bool { return true }, none,
				func(g sim.Group) bool { return g.ID == founded[0].ID }),
			lists: []connectortest.List{users, members},
			asked: connectortest.Finder{Lists: []connectortest.List{members}, Objects: []connectortest.Object{person}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.asked.UnknownUser, tc.asked.UnknownGroup = connectors.UserID(sim.GraphID("nobody")), connectors.GroupID(sim.GraphID("nothing"))
			tc.asked.Live = func(tb testing.TB) connectortest.Live {
				company := connectortest.Company()
				return dialect.Live(tb, company, conformanceGraph(company), tc.query.Mode == connectors.ScopeAssigned)
			}
			connectortest.Run(t, connectortest.Harness{
				New: func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
					o := simOptions(conformanceGraph(company), tc.query)
					o.Transport = transport
					c, err := New(o)
					if err != nil {
						tb.Fatal(err)
					}
					return c
				},
				Server: func(testing.TB) http.Handler { return conformanceGraph(company) },
				Want:   tc.want,
				Lists:  tc.lists,
				Finder: &tc.asked,
			})
		})
	}
}

// Throttling slows a read down and changes nothing of what is read.
func TestThrottledRead(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 24, Groups: 12})
	connectortest.RunLimited(t, 10*time.Second, func(limited bool) connectors.Connector {
		served := sim.GraphOptions{PageSize: 4}
		if limited {
			served.RateLimit = 20
		}
		return simulated(t, sim.NewGraph(company, served), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")})
	})
}

// largeTenant is a company where everybody is assigned by a group or by name, with groups to push.
func largeTenant(people, groups int) *sim.Company {
	return sim.NewCompany(sim.Config{Seed: 1, People: people, Groups: groups})
}

// A read sends the fewest requests that pages of 999 allow: each listing once, each group once, and two to sign in.
func TestRequestsAreTheFewest(t *testing.T) {
	company := largeTenant(2_500, 40)
	pages := func(n int) int { return max((n+pageSize-1)/pageSize, 1) }
	direct, members := 0, 0
	for _, p := range company.People() {
		if p.Direct {
			direct++
		}
	}
	for _, g := range company.Groups() {
		if g.Assigned {
			direct++
		}
		members += pages(len(g.Members))
	}
	c := simulated(t, sim.NewGraph(company, sim.GraphOptions{}), connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(t, "*")})
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	const signIn, app = 2, 1
	want := signIn + app + pages(len(company.People())) + pages(direct) + pages(len(company.Groups())) + members
	if got := c.Stats().Requests; got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

// assignedTenant is a tenant of people, of whom groups of 40 are assigned in part, whose answers take a while.
func assignedTenant(tb testing.TB, people, groups int, latency time.Duration) *Connector {
	tb.Helper()
	company := sim.NewCompany(sim.Config{Seed: 1, People: people, Groups: -1})
	everybody := company.People()
	for i := range groups {
		g := sim.Group{Name: fmt.Sprintf("group-%d", i), Assigned: i%2 == 0}
		for j := range 40 {
			g.Members = append(g.Members, everybody[(i*97+j*11)%len(everybody)].Login)
		}
		if _, err := company.CreateGroup(g); err != nil {
			tb.Fatal(err)
		}
	}
	faults := sim.NewFaults(1)
	faults.Add(sim.Rule{Fault: sim.Latency(latency)})
	server := sim.NewGraph(company, sim.GraphOptions{})
	o := simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(tb, "group-*")})
	return behind(tb, o, faults.Wrap(sim.SideGraph, server))
}

// Listings go on side by side: a whole tenant reads in under 1.2 times of what its longest chain of pages takes.
func TestListingsAreReadSideBySide(t *testing.T) {
	const people, groups, latency = 10_000, 100, 200 * time.Millisecond
	c := assignedTenant(t, people, groups, latency)
	synctest.Test(t, func(t *testing.T) {
		signIn(t, c)
		start := time.Now()
		snap, err := c.Fetch(t.Context())
		if err != nil || len(snap.Groups) != groups {
			t.Fatalf("%d groups, %v", len(snap.Groups), err)
		}
		chain := (people + pageSize - 1) / pageSize * latency
		if took := time.Since(start); took > chain*12/10 {
			t.Errorf("took %s, the longest chain of pages takes %s", took, chain)
		}
	})
}

// BenchmarkSideBySide reads 50,000 people and 500 groups from answers that take 250 ms. chain is how much longer that
// takes than listing the people alone.
func BenchmarkSideBySide(b *testing.B) {
	c := assignedTenant(b, 50_000, 500, 250*time.Millisecond)
	signIn(b, c)
	for b.Loop() {
		start := time.Now()
		if _, err := c.readUsers(b.Context()); err != nil {
			b.Fatal(err)
		}
		alone := time.Since(start)
		start = time.Now()
		if _, err := c.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(start))/float64(alone), "chain")
	}
}

// signIn gets a token, as a running daemon has one.
func signIn(tb testing.TB, c *Connector) {
	tb.Helper()
	if _, err := c.rt.auth.bearer(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkFetch reads a tenant of 100,000 people and 500 groups in process. MB-kept is the
// memory of the snapshot.
func BenchmarkFetch(b *testing.B) {
	const people = 100_000
	company := largeTenant(people, 500)
	c := simulated(b, sim.NewGraph(company, sim.GraphOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")})
	var snap connectors.Snapshot
	var before, after runtime.MemStats
	reads := 0
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		var err error
		if snap, err = c.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
		reads++
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(len(snap.Users)), "users/op")
	b.ReportMetric(float64(c.Stats().Requests)/float64(reads), "requests/op")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB-kept/op")
	runtime.KeepAlive(snap)
}
