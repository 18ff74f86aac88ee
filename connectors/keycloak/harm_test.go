package keycloak

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A shifting is a listing of people that one leaves each time the page after the first is asked for, as often as times
// says: by plain offsets somebody would be skipped.
type shifting struct {
	people []string
	times  int
}

func (s *shifting) list(w http.ResponseWriter, r *http.Request) {
	first, _ := strconv.Atoi(r.URL.Query().Get("first"))
	most, _ := strconv.Atoi(r.URL.Query().Get("max"))
	if first > 0 && s.times > 0 {
		s.times--
		s.people = s.people[1:]
	}
	from := min(first, len(s.people))
	var page []string
	for _, id := range s.people[from:min(from+most, len(s.people))] {
		page = append(page, user(id, ""))
	}
	reply(w, array(page...))
}

// Somebody who leaves between two pages pulls the next one over the border. The listing is read again, and given up when
// it never holds still.
func TestShiftedPagesAreReadAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		times int
		fails bool
	}{"once": {1, false}, "without end": {100, true}} {
		t.Run(name, func(t *testing.T) {
			s := &shifting{times: tc.times}
			for i := range 120 {
				s.people = append(s.people, fmt.Sprintf("u%03d", i))
			}
			server := &realm{answers: map[string]any{"/users": s.list, "/users/count": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(jsonly(w), len(s.people)) }}}
			c := connect(t, options(server, everybody))
			c.page = 10
			snap, err := c.Fetch(t.Context())
			switch {
			case tc.fails && (err == nil || !strings.Contains(err.Error(), "the realm changed while it was read")):
				t.Errorf("%d people, %v", len(snap.Users), err)
			case !tc.fails && (err != nil || len(snap.Users) != 119):
				t.Errorf("%d people, want 119, %v", len(snap.Users), err)
			}
		})
	}
}

func jsonly(w http.ResponseWriter) http.ResponseWriter {
	w.Header().Set("Content-Type", "application/json")
	return w
}

// Fewer people than Keycloak counts are no reading, however often; more are, for a federation's are counted late.
func TestPeopleAreCounted(t *testing.T) {
	for count, ok := range map[string]bool{"1": true, "2": true, "3": false, `"2"`: false, "[]": false, "null": false, "-1": false, "": false} {
		server := &realm{answers: map[string]any{"/users": array(user("u1", ""), user("u2", "")), "/users/count": count}}
		snap, err := connect(t, options(server, everybody)).Fetch(t.Context())
		if (err == nil) != ok || ok && len(snap.Users) != 2 || !ok && len(snap.Users) != 0 {
			t.Errorf("counted %q: %d people, %v", count, len(snap.Users), err)
		}
		if count == "3" && server.count("/users") != maxReadings {
			t.Errorf("read %d times, want %d", server.count("/users"), maxReadings)
		}
	}
}

// A person who does not say whether they are enabled is not enabled, nor disabled.
func TestAPersonWithoutStatusIsDamage(t *testing.T) {
	for _, more := range []string{`,"enabled":null`, `,"enabled":"true"`} {
		server := &realm{answers: map[string]any{"/users": array(user("u1", more)), "/users/count": "1", "/users/u1": user("u1", more)}}
		c := connect(t, options(server, everybody))
		if _, err := c.Fetch(t.Context()); err == nil {
			t.Errorf("%s: Fetch takes it", more)
		}
		if found, err := c.Lookup(t.Context(), "u1"); err == nil {
			t.Errorf("%s: Lookup concludes %+v", more, found)
		}
	}
}

// Sub-groups that are counted and not listed are missing, not absent.
func TestSubGroupsAreCounted(t *testing.T) {
	server := &realm{answers: map[string]any{"/users": "[]", "/users/count": "0",
		"/groups": `[{"id":"g1","path":"/eng","subGroupCount":2,"subGroups":[]}]`, "/groups/g1/children": `[{"id":"g2","path":"/eng/sre","subGroupCount":0}]`}}
	q := everybody
	q.Push = patterns(t, "*")
	if snap, err := connect(t, options(server, q)).Fetch(t.Context()); err == nil {
		t.Errorf("read as %v", snap.Groups)
	}
}

// A redirect is not followed: the token would go where it leads.
func TestRedirectsAreRefused(t *testing.T) {
	moved := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example"+r.URL.Path, http.StatusMovedPermanently)
	}
	for _, path := range []string{"/token", "/users"} {
		_, err := connect(t, options(&realm{answers: map[string]any{path: moved}}, everybody)).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Tokens last a minute or a few: one is asked for before the old one ends, and once more when one is refused early.
func TestTokensAreRenewed(t *testing.T) {
	t.Run("before they end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1})
			c := connect(t, options(sim.NewKeycloak(company, sim.KeycloakOptions{TokenLife: time.Minute}), everybody))
			for range 4 {
				before := c.Stats().Requests
				if _, err := c.Fetch(t.Context()); err != nil {
					t.Fatal(err)
				}
				if sent := c.Stats().Requests - before; sent > 3 {
					t.Errorf("%d requests: one was refused", sent)
				}
				<-time.After(40 * time.Second)
			}
			if got := c.Stats().Requests; got != 4*2+2 {
				t.Errorf("%d requests, want two for each reading and a token for two of them", got)
			}
		})
	})
	t.Run("when one is refused", func(t *testing.T) {
		server := sim.NewKeycloak(sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1}), sim.KeycloakOptions{})
		c := connect(t, options(server, everybody))
		for range 2 {
			if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 5 {
				t.Fatalf("%d people, %v", len(snap.Users), err)
			}
			server.RevokeTokens()
		}
	})
	t.Run("not for ever", func(t *testing.T) {
		server := &realm{answers: map[string]any{"/users": refusing(401, "HTTP 401 Unauthorized", "")}}
		_, err := connect(t, options(server, everybody)).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), "401") || server.count("/users") != 2 || server.count("/token") != 2 {
			t.Errorf("%d requests, %d tokens, %v", server.count("/users"), server.count("/token"), err)
		}
	})
}

// What refuses is named with its own word and with what to do, and no message shows the secret or a token.
func TestRefusalsSayWhatToDo(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1})
	server := sim.NewKeycloak(company, sim.KeycloakOptions{})
	for name, tc := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"a wrong secret": {func(o *Options) { o.ClientSecret = func() string { return "canary" } }, []string{"401 unauthorized_client", "secret is wrong"}},
		"a wrong client": {func(o *Options) { o.ClientID = "nobody" }, []string{"401 invalid_client", "no client nobody"}},
		"a wrong realm":  {func(o *Options) { o.Realm = "nowhere" }, []string{"404 Realm does not exist", "no realm nowhere"}},
		"a wrong path":   {func(o *Options) { o.URL += "/auth" }, []string{"404 Unable to find", "does not look like Keycloak"}},
		"no such client": {func(o *Options) { o.Query, o.Client = connectors.Query{Mode: connectors.ScopeAssigned}, "nobody" }, []string{"has no client nobody"}},
		"no such role": {func(o *Options) {
			o.Query, o.Client, o.Roles = connectors.Query{Mode: connectors.ScopeAssigned}, sim.KeycloakApp, []string{"nobody"}
		}, []string{"has no role nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(server, everybody)
			tc.change(&o)
			_, err := connect(t, o).Fetch(t.Context())
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%v does not contain %q, or shows the secret", err, part)
				}
			}
		})
	}
}

// Without view-users Keycloak answers 200 and leaves people out. A token that cannot be seen to carry it is refused before
// anything is read.
func TestAPartialViewIsRefused(t *testing.T) {
	for name, token := range map[string]string{
		"query-users alone": tokenOf("query-users", "query-groups"), "claims without roles": "e30.e30.c2ln", "an opaque token": "0paque",
		"unreadable claims": "e30.%%%.c2ln", "null claims": "e30.bnVsbA.c2ln",
	} {
		server := &realm{answers: map[string]any{"/token": tokenAnswer(token, 300), "/users": "[]", "/users/count": "0"}}
		if _, err := connect(t, options(server, everybody)).Fetch(t.Context()); err == nil || server.count("/users") != 0 {
			t.Errorf("%s: %v, %d listings", name, err, server.count("/users"))
		}
	}
}

// A group that is deleted after it was found has changed the realm under the reading: it is not empty.
func TestAGroupDeletedInMidRead(t *testing.T) {
	q := everybody
	q.Push = patterns(t, "*")
	server := &realm{answers: map[string]any{"/users": "[]", "/users/count": "0", "/groups": `[{"id":"g1","path":"/eng","subGroupCount":0}]`,
		"/groups/g1/members": refusing(404, "Could not find group by id", "")}}
	c := connect(t, options(server, q))
	if _, err := c.Fetch(t.Context()); err == nil || server.count("/groups") != maxReadings {
		t.Errorf("%v, after %d readings", err, server.count("/groups"))
	}
}

// crowd is a listing of people whose pages the server makes smaller than they were asked for: it grants no more than bound,
// and leaves out whom a federation has lost after it cut the page.
func crowd(n, bound int, lost func(place int) bool) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		first, _ := strconv.Atoi(r.URL.Query().Get("first"))
		most, _ := strconv.Atoi(r.URL.Query().Get("max"))
		var page []string
		for i := first; i < min(n, first+min(most, bound)); i++ {
			if !lost(i) {
				page = append(page, user(fmt.Sprintf("u%04d", i), ""))
			}
		}
		reply(w, array(page...))
	}
}

// A page with fewer people than were asked for is not always the last: it is either read on or an error.
func TestAShortPageIsNoEnd(t *testing.T) {
	nobody := func(int) bool { return false }
	for name, tc := range map[string]struct {
		n, bound int
		lost     func(int) bool
		want     int // 0 is an error
	}{
		"the server's own bound":         {n: 250, bound: 100, lost: nobody, want: 250},
		"a bound met exactly":            {n: 200, bound: 200, lost: nobody, want: 200},
		"somebody lost within a page":    {n: 2_500, bound: 1_000, lost: func(i int) bool { return i == 7 }},
		"somebody lost at a page's end":  {n: 2_500, bound: 1_000, lost: func(i int) bool { return i == 999 }},
		"somebody lost on the last page": {n: 250, bound: 1_000, lost: func(i int) bool { return i == 7 }, want: 249},
	} {
		t.Run(name, func(t *testing.T) {
			server := &realm{answers: map[string]any{"/groups": `[{"id":"g1","path":"/eng","subGroupCount":0}]`, "/groups/g1/members": crowd(tc.n, tc.bound, tc.lost)}}
			c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"eng"}}))
			snap, err := c.Fetch(t.Context())
			if len(snap.Users) != tc.want || (err == nil) != (tc.want > 0) {
				t.Errorf("%d people, want %d, %v", len(snap.Users), tc.want, err)
			}
		})
	}
}

// A group that has the role and is not among the groups that are listed is no group without people.
func TestAnEntitledGroupThatIsNotListed(t *testing.T) {
	server := &realm{answers: map[string]any{
		"/clients": `[{"id":"c1","clientId":"` + sim.KeycloakApp + `"}]`, "/clients/c1/roles": `[{"id":"r1","name":"use"}]`,
		"/clients/c1/roles/use/groups": `[{"id":"g9","path":"/new","subGroupCount":0}]`, "/clients/c1/roles/use/users": array(user("u1", "")),
		"/groups": `[{"id":"g1","path":"/eng","subGroupCount":0}]`, "/groups/g9/members": array(user("u2", "")),
		"/users/u2": user("u2", ""), "/users/u2/role-mappings/clients/c1": "[]", "/users/u2/groups": `[{"id":"g9","path":"/new"}]`,
	}}
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAssigned}))
	if snap, err := c.Fetch(t.Context()); err == nil {
		t.Errorf("read as %d people", len(snap.Users))
	}
	if found, err := c.Lookup(t.Context(), "u2"); err == nil && !found.User.Assigned {
		t.Errorf("looked up as %+v", found)
	}
}

// That nothing leads to the server, and that it refuses the client, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	connectortest.RunTrouble(t, func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
		o := options(nil, everybody)
		o.Transport = transport
		return connect(tb, o)
	}, map[string]func(testing.TB) connectors.Connector{
		"a wrong secret": func(tb testing.TB) connectors.Connector {
			company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1})
			o := options(sim.NewKeycloak(company, sim.KeycloakOptions{}), everybody)
			o.ClientSecret = func() string { return connectortest.Canary }
			return connect(tb, o)
		},
		"a role missing": func(tb testing.TB) connectors.Connector {
			return connect(tb, options(&realm{answers: map[string]any{"/token": tokenAnswer(tokenOf("query-users"), 300)}}, everybody))
		},
	})
}
