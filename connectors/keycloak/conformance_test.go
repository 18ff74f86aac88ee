package keycloak

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// dialect is how Keycloak speaks of the company whose groups stand below each other as parents says.
func dialect(parents map[string]string) connectortest.Dialect {
	return connectortest.Dialect{
		ID: sim.KeycloakID,
		User: func(p sim.Person, u *connectors.User) {
			u.DisplayName, u.Nickname, u.StatusDetail = p.FirstName+" "+p.LastName, p.NickName, "enabled=true"
			switch p.Status {
			case sim.StatusStaged, sim.StatusSuspended, sim.StatusDeprovisioned:
				u.Status, u.StatusDetail = connectors.StatusDisabled, "enabled=false"
			}
		},
		Group: func(g sim.Group, out *connectors.Group) {
			for parent := parents[g.Name]; parent != ""; parent = parents[parent] {
				out.Name = parent + "/" + out.Name
			}
		},
	}
}

func listOf(name, path string) connectortest.List {
	re := regexp.MustCompile("^/admin/realms/acme" + path + "$")
	return connectortest.List{Name: name, Match: func(r *http.Request) bool { return re.MatchString(r.URL.Path) }}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	company := connectortest.Company()
	var (
		users    = listOf("users", "/users")
		groups   = listOf("groups", "/groups")
		children = listOf("sub-groups", "/groups/[^/]+/children")
		members  = listOf("members", "/groups/[^/]+/members")
		holders  = listOf("users with the role", "/clients/[^/]+/roles/user/users")
		given    = listOf("groups with the role", "/clients/[^/]+/roles/user/groups")
		mine     = listOf("groups of a user", "/users/[^/]+/groups")
		roles    = listOf("roles of a user", "/users/[^/]+/role-mappings/clients/[^/]+")
		person   = connectortest.Object{Name: "user", Key: "id", Match: listOf("", "/users/[^/]+").Match}
	)
	all := company.Groups()
	large := slices.DeleteFunc(slices.Clone(all), func(g sim.Group) bool { return len(g.Members) < 5 })
	top, below := large[0], large[1]
	parents := map[string]string{}
	for _, g := range all[len(all)-4:] {
		if g.Name != top.Name && g.Name != below.Name {
			parents[g.Name] = top.Name
		}
	}
	parents[below.Name] = top.Name
	d := dialect(parents)
	in := func(names ...string) func(sim.Person) bool {
		return func(p sim.Person) bool {
			return slices.ContainsFunc(all, func(g sim.Group) bool { return slices.Contains(names, g.Name) && slices.Contains(g.Members, p.Login) })
		}
	}
	none := func(sim.Group) bool { return false }
	assigned := func(p sim.Person) bool {
		return p.Direct || slices.ContainsFunc(all, func(g sim.Group) bool {
			up, _ := company.GroupByName(parents[g.Name])
			return (g.Assigned || up.Assigned) && slices.Contains(g.Members, p.Login)
		})
	}
	tests := map[string]struct {
		query connectors.Query
		want  connectors.Snapshot
		lists []connectortest.List
		asked connectortest.Finder
	}{
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{top.Name, "id:" + sim.KeycloakID(below.ID)}, Push: patterns(t, "*/oncall-*")},
			want: d.Snapshot(t, company, connectors.ScopeGroups, in(top.Name, below.Name),
				func(g sim.Group) bool { return g.Name == top.Name || g.Name == below.Name },
				func(g sim.Group) bool { return parents[g.Name] != "" && strings.HasPrefix(g.Name, "oncall-") }),
			lists: []connectortest.List{groups, children, members},
			asked: connectortest.Finder{Lists: []connectortest.List{members, mine}, Objects: []connectortest.Object{person}},
		},
		"assigned": {
			query: connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(t, top.Name)},
			want:  d.Snapshot(t, company, connectors.ScopeAssigned, assigned, none, func(g sim.Group) bool { return g.Name == top.Name }),
			lists: []connectortest.List{groups, children, members, holders, given},
			asked: connectortest.Finder{Lists: []connectortest.List{members, given, roles}, Objects: []connectortest.Object{person}},
		},
		"all": {
			query: connectors.Query{Mode: connectors.ScopeAll},
			want:  d.Snapshot(t, company, connectors.ScopeAll, func(sim.Person) bool { return true }, none, none),
			lists: []connectortest.List{users},
			asked: connectortest.Finder{Objects: []connectortest.Object{person}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := sim.KeycloakOptions{Parents: parents, ServiceAccounts: true}
			tc.asked.UnknownUser, tc.asked.UnknownGroup = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001"
			tc.asked.Live = func(tb testing.TB) connectortest.Live {
				company := connectortest.Company()
				return d.Live(tb, company, sim.NewKeycloak(company, served), tc.query.Mode == connectors.ScopeAssigned)
			}
			connectortest.Run(t, connectortest.Harness{
				New: func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
					o := options(nil, tc.query)
					o.Transport = transport
					c := connect(tb, o)
					c.page = 3
					return c
				},
				Server: func(testing.TB) http.Handler { return sim.NewKeycloak(company, served) },
				Want:   tc.want,
				Lists:  tc.lists,
				Finder: &tc.asked,
			})
		})
	}
}

// A read sends the fewest requests that pages of a thousand allow: one for the token, pages of people and their count,
// the groups and the members of each.
func TestRequestsAreTheFewest(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 1, People: 2_203, Groups: 45})
	c := connect(t, options(sim.NewKeycloak(company, sim.KeycloakOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Stats().Requests, fewest(company); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

func fewest(company *sim.Company) int {
	pages := func(n int) int { return n/pageSize + 1 } // a full page does not say that it is the last
	requests := 1 + pages(len(company.People())) + 1 + pages(len(company.Groups()))
	for _, g := range company.Groups() {
		requests += pages(len(g.Members))
	}
	return requests
}

// BenchmarkFetch reads 50,000 people and 100 groups in process; requests/min is 1 when no request is sent beyond the
// fewest.
func BenchmarkFetch(b *testing.B) {
	company := connectortest.LargeCompany(b)
	server := sim.NewKeycloak(company, sim.KeycloakOptions{})
	connectortest.BenchFetch(b, fewest(company), func() connectors.Connector {
		return connect(b, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(b, "*")}))
	})
}
