package okta

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// smallPages makes a server grant no more than n elements a page, as Okta may at any time, so that a small company
// fills several.
func smallPages(n int, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if asked, err := strconv.Atoi(q.Get("limit")); err == nil && asked > n {
			q.Set("limit", strconv.Itoa(n))
			r.URL.RawQuery = q.Encode()
		}
		h.ServeHTTP(w, r)
	})
}

// dialect is how Okta speaks of the company.
var dialect = connectortest.Dialect{User: func(p sim.Person, u *connectors.User) {
	u.Nickname, u.StatusDetail = p.NickName, string(p.Status)
	switch p.Status {
	case sim.StatusStaged:
		u.Status = connectors.StatusStaged
	case sim.StatusSuspended, sim.StatusDeprovisioned:
		u.Status = connectors.StatusDisabled
	}
}}

func listOf(name, path string) connectortest.List {
	re := regexp.MustCompile("^" + path + "$")
	return connectortest.List{Name: name, Match: func(r *http.Request) bool { return re.MatchString(r.URL.Path) }}
}

func objectOf(name, path string) connectortest.Object {
	l := listOf(name, path)
	return connectortest.Object{Name: l.Name, Match: l.Match, Key: "id"}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	company := connectortest.Company()
	var (
		appUsers = listOf("app users", "/api/v1/apps/[^/]+/users")
		allUsers = listOf("users", "/api/v1/users")
		groups   = listOf("groups", "/api/v1/groups")
		members  = listOf("members", "/api/v1/groups/[^/]+/users")
		ofUser   = listOf("groups of a user", "/api/v1/users/[^/]+/groups")
		person   = objectOf("user", "/api/v1/users/[^/]+")
		assigned = objectOf("app user", "/api/v1/apps/[^/]+/users/[^/]+")
		none     = func(sim.Group) bool { return false }
		oncall   = func(g sim.Group) bool { return strings.HasPrefix(g.Name, "oncall-") }
	)
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
			lists: []connectortest.List{appUsers, groups, members},
			asked: connectortest.Finder{Lists: []connectortest.List{members}, Objects: []connectortest.Object{person, assigned}},
		},
		"groups": {
			query: connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{founded[0].Name, "id:" + founded[1].ID}, Push: patterns(t, "oncall-*")},
			want:  dialect.Snapshot(t, company, connectors.ScopeGroups, founded.Has, founded.Is, oncall),
			lists: []connectortest.List{members},
			asked: connectortest.Finder{Lists: []connectortest.List{members, ofUser}, Objects: []connectortest.Object{person}},
		},
		"all": {
			query: connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "id:"+founded[0].ID)},
			want: dialect.Snapshot(t, company, connectors.ScopeAll, func(p sim.Person) bool { return p.Status != sim.StatusDeprovisioned },
				none, func(g sim.Group) bool { return g.ID == founded[0].ID }),
			lists: []connectortest.List{allUsers},
			asked: connectortest.Finder{Objects: []connectortest.Object{person}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.asked.UnknownUser, tc.asked.UnknownGroup = "00u00000000000000000", "00g00000000000000000"
			tc.asked.Live = func(tb testing.TB) connectortest.Live {
				company := connectortest.Company()
				return dialect.Live(tb, company, smallPages(4, sim.NewOkta(company, sim.OktaOptions{})), tc.query.Mode == connectors.ScopeAssigned)
			}
			connectortest.Run(t, connectortest.Harness{
				New: func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
					c, err := New(Options{OrgURL: "https://acme.okta.com", APIToken: func() string { return sim.DefaultOktaToken },
						AppID: company.AppID(), Query: tc.query, Transport: transport})
					if err != nil {
						tb.Fatal(err)
					}
					return c
				},
				Server: func(testing.TB) http.Handler { return smallPages(4, sim.NewOkta(company, sim.OktaOptions{})) },
				Want:   tc.want,
				Lists:  tc.lists,
				Finder: &tc.asked,
			})
		})
	}
}

// A limit of a few requests a minute slows the read down and changes nothing of what is read.
func TestTightRateLimit(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 24, Groups: 12})
	connectortest.RunLimited(t, time.Minute, func(limited bool) connectors.Connector {
		served := sim.OktaOptions{}
		if limited {
			served.RateLimit = 8
		}
		c, err := New(Options{OrgURL: "https://acme.okta.com", APIToken: func() string { return sim.DefaultOktaToken },
			Query:     connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")},
			Transport: connectortest.Transport(smallPages(4, sim.NewOkta(company, served)))})
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
}

// The service app signs in at the simulator's token endpoint, which checks the assertion, and survives that the tokens
// are revoked.
func TestServiceAppAgainstTheSimulator(t *testing.T) {
	key := newKey(t)
	company := sim.NewCompany(sim.Config{Seed: 7, People: 20, Groups: 3})
	server := sim.NewOkta(company, sim.OktaOptions{ClientID: "0oaSvc", PublicKey: key.public})
	c, err := New(Options{OrgURL: "https://acme.okta.com", ClientID: "0oaSvc", PrivateKey: func() string { return key.pkcs1 },
		AppID: company.AppID(), Query: connectors.Query{Mode: connectors.ScopeAssigned}, Transport: connectortest.Transport(server)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		snap, err := c.Fetch(t.Context())
		if err != nil || len(snap.Users) == 0 {
			t.Fatalf("%d users, %v", len(snap.Users), err)
		}
		server.RevokeTokens()
	}
}

// A read of 10,000 app users sends the fewest requests that pages of 500 allow, or of what the server grants instead.
func TestRequestsAreTheFewest(t *testing.T) {
	for granted, most := range map[int]int{0: 500, 50: 50} {
		t.Run(fmt.Sprintf("pages of %d", most), func(t *testing.T) {
			company, assigned := largeCompany(1_200)
			c := largeConnector(t, company, granted)
			snap, err := c.Fetch(t.Context())
			if err != nil || len(snap.Users) != assigned {
				t.Fatalf("%d users, want %d, %v", len(snap.Users), assigned, err)
			}
			if got, want := c.Stats().Requests, (assigned+most-1)/most; got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		})
	}
}

func largeCompany(people int) (c *sim.Company, assigned int) {
	c = sim.NewCompany(sim.Config{Seed: 1, People: people, Groups: -1})
	for _, p := range c.People() {
		if p.Assigned {
			assigned++
		}
	}
	return c, assigned
}

func largeConnector(tb testing.TB, company *sim.Company, granted int) *Connector {
	tb.Helper()
	c, err := New(Options{OrgURL: "https://acme.okta.com", APIToken: func() string { return sim.DefaultOktaToken },
		AppID: company.AppID(), Query: connectors.Query{Mode: connectors.ScopeAssigned},
		Transport: connectortest.Transport(sim.NewOkta(company, sim.OktaOptions{ExpandLimit: granted}))})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// BenchmarkFetch reads 10,000 app users in process; requests/min is 1 when no request is sent beyond the fewest.
func BenchmarkFetch(b *testing.B) {
	company, assigned := largeCompany(17_000)
	connectortest.BenchFetch(b, (assigned+appUserPage-1)/appUserPage, func() connectors.Connector { return largeConnector(b, company, 0) })
}
