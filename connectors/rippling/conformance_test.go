package rippling

import (
	"cmp"
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
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile/reconciletest"
)

// dialect is how Rippling speaks of the company.
var dialect = connectortest.Dialect{User: func(p sim.Person, u *connectors.User) {
	u.GivenName = cmp.Or(p.NickName, p.FirstName)
	u.DisplayName = cmp.Or(p.DisplayName, u.GivenName+" "+p.LastName)
	u.EmployeeNumber = strings.TrimLeft(p.EmployeeNumber, "0")
	u.StatusDetail = "ACTIVE"
	switch p.Status {
	case sim.StatusStaged:
		u.Status, u.StatusDetail = connectors.StatusStaged, "HIRED"
	case sim.StatusSuspended:
		u.Status, u.StatusDetail = connectors.StatusDisabled, "ACTIVE, active=false"
	case sim.StatusDeprovisioned:
		u.Status, u.StatusDetail = connectors.StatusDisabled, "TERMINATED, active=false"
	}
}}

func listOf(name string) connectortest.List {
	return connectortest.List{Name: name, Key: "results", Match: func(r *http.Request) bool { return r.URL.Path == "/"+name }}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	company := connectortest.Company()
	var (
		users, workers, teams = listOf("users"), listOf("workers"), listOf("teams")
		departments           = listOf("departments")
		userPath              = regexp.MustCompile("^/users/[^/]+$")
		person                = connectortest.Object{Name: "user", Key: "id", Match: func(r *http.Request) bool { return userPath.MatchString(r.URL.Path) }}
		none                  = func(sim.Group) bool { return false }
	)
	founded := slices.DeleteFunc(company.Groups(), func(g sim.Group) bool { return len(g.Members) < 5 })
	if len(founded) < 2 {
		t.Fatal("the company has too few groups of five or more")
	}
	inScope := func(g sim.Group) bool { return g.Name == founded[0].Name || g.ID == founded[1].ID }
	member := func(p sim.Person) bool {
		return slices.ContainsFunc(founded[:2], func(g sim.Group) bool { return slices.Contains(g.Members, p.Login) })
	}
	tests := map[string]struct {
		query connectors.Query
		want  connectors.Snapshot
		lists []connectortest.List
	}{
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{founded[0].Name, "id:" + founded[1].ID}, Push: patterns(t, "oncall-*")},
			want: dialect.Snapshot(t, company, connectors.ScopeGroups, member, inScope,
				func(g sim.Group) bool { return strings.HasPrefix(g.Name, "oncall-") }),
			lists: []connectortest.List{workers, departments, teams},
		},
		"all": {
			query: connectors.Query{Mode: connectors.ScopeAll},
			want:  dialect.Snapshot(t, company, connectors.ScopeAll, func(sim.Person) bool { return true }, none, none),
			lists: []connectortest.List{workers, departments},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := sim.RipplingOptions{PageSize: 3, RelativeLinks: name == "all", Candidates: 4}
			connectortest.Run(t, connectortest.Harness{
				New: func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
					o := options(nil, tc.query)
					o.Transport = transport
					return connect(tb, o)
				},
				Server: func(testing.TB) http.Handler { return sim.NewRippling(company, served) },
				Want:   tc.want,
				Lists:  append([]connectortest.List{users}, tc.lists...),
				Finder: &connectortest.Finder{
					UnknownUser: "00u00000000000000000", UnknownGroup: "00g00000000000000000",
					Lists: tc.lists, Objects: []connectortest.Object{person},
					Live: func(tb testing.TB) connectortest.Live {
						company := connectortest.Company()
						return dialect.Live(tb, company, sim.NewRippling(company, served), false)
					},
				},
			})
		})
	}
}

func TestLeaving(t *testing.T) {
	reconciletest.WalkLeaving(t, reconciletest.Directory{
		New: func(t testing.TB, _ *sim.Sim, ends sim.Endpoints, transport http.RoundTripper, q connectors.Query) connectors.Connector {
			return connect(t, Options{
				APIToken: func() string { return ends.RipplingToken }, Company: "acme", BaseURL: ends.RipplingURL, Query: q, Transport: transport,
			})
		},
		Mode: connectors.ScopeGroups, Groups: []string{"all-hands"},
		Unassign: func(c *sim.Company, login string) error { return c.RemoveMember("all-hands", login) },
		Listed:   true,
		CutShort: reconciletest.ListFault(sim.SideRippling, "/users", sim.TruncatedJSON()),
		Empty:    reconciletest.ListFault(sim.SideRippling, "/users", sim.Body("")),
	})
}

// Every way in which the simulator damages an answer is an error; what passes by itself is waited for.
func TestFaults(t *testing.T) {
	tests := map[string]struct {
		fault sim.Fault
		path  string
		times int
		well  bool
	}{
		"a link that leads to itself":        {fault: sim.RepeatLink(), path: "/users"},
		"the first page again":               {fault: sim.RepeatPage(), path: "/workers"},
		"a link to another server":           {fault: sim.ForeignLink(), path: "/teams"},
		"no list":                            {fault: sim.NoListKey(), path: "/workers"},
		"a null among the workers":           {fault: sim.NullElement(), path: "/workers"},
		"an error with 200":                  {fault: sim.ErrorWith200(), path: "/users"},
		"a web page":                         {fault: sim.HTMLPage(), path: "/departments"},
		"a listing of people without people": {fault: sim.EmptyPage(), path: "/users"},
		"refused for good":                   {fault: sim.Refusal(403), path: "/teams"},
		"in trouble for good":                {fault: sim.Refusal(503), path: "/users"},
		"in trouble twice":                   {fault: sim.Refusal(503), path: "/users", times: 2, well: true},
		"too many for a while":               {fault: sim.TooMany("7"), path: "/workers", times: 3, well: true},
		"too many, without a word how long":  {fault: sim.TooMany(""), path: "/workers", times: 3, well: true},
		"too many for an hour":               {fault: sim.TooMany("3600"), path: "/workers"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := sim.New(sim.Config{Seed: 7, People: 24, Groups: 8, Rippling: sim.RipplingOptions{PageSize: 5}})
			ends, transport := s.InProcess()
			c := connect(t, Options{APIToken: func() string { return ends.RipplingToken }, Company: "acme", BaseURL: ends.RipplingURL,
				Query: connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}, Transport: transport})
			want, err := c.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.Faults.Add(sim.Rule{Side: sim.SideRippling, Path: tc.path, Fault: tc.fault, Times: tc.times})
			synctest.Test(t, func(t *testing.T) {
				got, err := c.Fetch(t.Context())
				if !tc.well {
					if err == nil || len(got.Users)+len(got.Groups) > 0 {
						t.Errorf("%d users, %d groups, %v", len(got.Users), len(got.Groups), err)
					}
					return
				}
				if diff := gocmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
			})
		})
	}
}

// A tight rate limit slows the read down and changes nothing of what is read.
func TestTightRateLimit(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 24, Groups: 12})
	read := func(limit int) (snap connectors.Snapshot, took time.Duration) {
		c := connect(t, options(sim.NewRippling(company, sim.RipplingOptions{PageSize: 4, RateLimit: limit}),
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
	got, slow := read(8)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("read under the limit (-want +got):\n%s", diff)
	}
	if fast != 0 || slow < time.Minute || slow > 10*time.Minute {
		t.Errorf("took %s without the limit and %s with it", fast, slow)
	}
}

// A read sends the fewest requests that pages of a hundred allow.
func TestRequestsAreTheFewest(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 1, People: 1_203, Groups: 145})
	c := connect(t, options(sim.NewRippling(company, sim.RipplingOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Stats().Requests, fewest(company); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

func fewest(company *sim.Company) int {
	pages := func(n int) int { return (n + 99) / 100 }
	return 2*pages(len(company.People())) + pages(len(company.Groups())) + 1 // users, workers, teams, departments
}

// BenchmarkFetch reads 50,000 people and 100 teams in process; requests/min is 1 when no request is sent beyond the
// fewest.
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
	c := connect(b, options(sim.NewRippling(company, sim.RipplingOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")}))
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
	runtime.KeepAlive(snap)
	requests := float64(c.Stats().Requests) / float64(reads)
	b.ReportMetric(float64(len(people)), "users/op")
	b.ReportMetric(requests, "requests/op")
	b.ReportMetric(requests/float64(fewest(company)), "requests/min")
}
