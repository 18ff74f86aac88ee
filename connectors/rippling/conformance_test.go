package rippling

import (
	"cmp"
	"net/http"
	"regexp"
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
	founded := connectortest.Founded(t, company)
	tests := map[string]struct {
		query connectors.Query
		want  connectors.Snapshot
		lists []connectortest.List
	}{
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{founded[0].Name, "id:" + founded[1].ID}, Push: patterns(t, "oncall-*")},
			want: dialect.Snapshot(t, company, connectors.ScopeGroups, founded.Has, founded.Is,
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
	connectortest.RunLimited(t, time.Minute, func(limited bool) connectors.Connector {
		served := sim.RipplingOptions{PageSize: 4}
		if limited {
			served.RateLimit = 8
		}
		return connect(t, options(sim.NewRippling(company, served), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	})
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
	company := connectortest.LargeCompany(b)
	server := sim.NewRippling(company, sim.RipplingOptions{})
	connectortest.BenchFetch(b, fewest(company), func() connectors.Connector {
		return connect(b, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")}))
	})
}
