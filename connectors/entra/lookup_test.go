//go:build !noentra

package entra

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// Somebody deleted has a tombstone until the recycle bin is emptied; then nothing is known of them.
func TestDeletedPeople(t *testing.T) {
	company := founded(t, []string{"ann"}, nil)
	p := company.People()[0]
	c := simulated(t, sim.NewGraph(company, sim.GraphOptions{}), everybody)
	if err := company.Leave(p.Login); err != nil {
		t.Fatal(err)
	}
	if err := company.Delete(p.Login); err != nil {
		t.Fatal(err)
	}
	id := connectors.UserID(sim.GraphID(p.ID))
	if got, err := c.Lookup(t.Context(), id); err != nil || !got.Known || !got.Deleted || got.User.ID != id || got.User.Status != connectors.StatusDisabled {
		t.Errorf("in the recycle bin: %+v, %v", got, err)
	}
	company.EmptyBin()
	if got, err := c.Lookup(t.Context(), id); err != nil || got.Known || got.Deleted {
		t.Errorf("gone for good: %+v, %v", got, err)
	}
}

// That somebody is in the recycle bin has to be seen: what hides it is an error.
func TestAHiddenRecycleBin(t *testing.T) {
	c := simulated(t, sim.NewGraph(company(), sim.GraphOptions{Forbidden: []string{"directory"}}), everybody)
	if got, err := c.Lookup(t.Context(), connectors.UserID(sim.GraphID("nobody"))); err == nil || !strings.Contains(err.Error(), "recycle bin") || got.Known {
		t.Errorf("%+v, %v", got, err)
	}
}

// Lookups share one listing of assignments for a minute, begun after the last Fetch.
func TestFreshAssignments(t *testing.T) {
	company := founded(t, []string{"ann", "bob"}, nil)
	for _, p := range company.People() {
		if err := company.Assign(p.Login); err != nil {
			t.Fatal(err)
		}
	}
	server := sim.NewGraph(company, sim.GraphOptions{})
	var listed atomic.Int64
	c := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "appRoleAssignedTo") {
			listed.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	synctest.Test(t, func(t *testing.T) {
		step := func(what string, want int64, do func() error) {
			t.Helper()
			before := listed.Load()
			if err := do(); err != nil {
				t.Fatal(err)
			}
			if got := listed.Load() - before; got != want {
				t.Errorf("%s: %d listings of assignments, want %d", what, got, want)
			}
		}
		fetch := func() error { _, err := c.Fetch(t.Context()); return err }
		var assigned bool
		lookup := func() error {
			found, err := c.Lookup(t.Context(), connectors.UserID(sim.GraphID(company.People()[0].ID)))
			assigned = found.User.Assigned
			return err
		}
		step("a read", 1, fetch)
		step("the first lookup", 1, lookup)
		step("the second", 0, lookup)
		time.Sleep(2 * time.Minute)
		step("one later", 1, lookup)
		step("another read", 1, fetch)
		if err := company.Unassign("ann@acme.example"); err != nil {
			t.Fatal(err)
		}
		step("a lookup after it", 1, lookup)
		if assigned {
			t.Error("somebody unassigned since the read is still assigned")
		}
	})
}

// Somebody who is added to an assigned group before their own assignment is taken away is assigned at every moment, and
// between whatever requests of a lookup that happens, it says so.
func TestAMoveToAGroupIsNeverUnassigned(t *testing.T) {
	const requests = 4 // of a lookup: the person, the app's assignments in one page or two, the person's groups
	for added := range requests {
		for taken := added; taken < requests; taken++ {
			company := founded(t, []string{"ann", "bob"}, map[string][]string{"team": {"bob"}})
			const ann = "ann@acme.example"
			if err := errors.Join(company.Assign(ann), company.AssignGroup("team")); err != nil {
				t.Fatal(err)
			}
			server := sim.NewGraph(company, sim.GraphOptions{PageSize: 1})
			asked := -1000
			c := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var err error
				if asked == added {
					err = company.AddMember("team", ann)
				}
				if asked == taken { // Unassign takes her out of the group too
					err = errors.Join(err, company.Unassign(ann), company.AddMember("team", ann))
				}
				if err != nil {
					t.Error(err)
				}
				asked++
				server.ServeHTTP(w, r)
			}))
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			asked = 0
			id := connectors.UserID(sim.GraphID(company.People()[0].ID))
			if found, err := c.Lookup(t.Context(), id); err != nil || !found.User.Assigned || found.Listed {
				t.Errorf("added before request %d, taken away before request %d: %+v, %v", added, taken, found, err)
			}
		}
	}
}

// That somebody is not assigned is the word of a listing; whatever else is said of them is not.
func TestUnassignedIsTheWordOfAListing(t *testing.T) {
	company := founded(t, []string{"ann", "bob"}, map[string][]string{"team": {"bob"}})
	if err := company.AssignGroup("team"); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[connectors.ScopeMode]bool{connectors.ScopeAssigned: true, connectors.ScopeGroups: false, connectors.ScopeAll: false} {
		q := connectors.Query{Mode: mode}
		if mode == connectors.ScopeGroups {
			q.Groups = []string{"team"}
		}
		c := simulated(t, sim.NewGraph(company, sim.GraphOptions{}), q)
		for _, p := range company.People() {
			found, err := c.Lookup(t.Context(), connectors.UserID(sim.GraphID(p.ID)))
			if err != nil || found.Listed != (want && p.FirstName == "ann") {
				t.Errorf("%s, %s: %+v, %v", mode, p.FirstName, found, err)
			}
		}
	}
}

// A group inside the one that was asked for, gone in the middle, does not make that one unknown.
func TestAnInnerGroupThatIsGone(t *testing.T) {
	company := founded(t, []string{"ann"}, map[string][]string{"outer": {"ann"}, "inner": {"ann"}})
	server := sim.NewGraph(company, sim.GraphOptions{Subgroups: map[string][]string{"outer": {"inner"}}})
	outer, _ := company.GroupByName("outer")
	inner, _ := company.GroupByName("inner")
	o := simOptions(server, everybody)
	o.Nested = true
	c := behind(t, o, inPlace(server, "/v1.0/groups/"+sim.GraphID(inner.ID), refuse(404, codeNotFound, "Content-Type", "application/json")))
	if members, known, err := c.Members(t.Context(), groupID(outer)); err == nil || known || members != nil {
		t.Errorf("%v, %v, %v", members, known, err)
	}
}

func TestCheck(t *testing.T) {
	assigned := connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(t, "team")}
	members := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"team"}}
	tests := map[string]struct {
		query  connectors.Query
		tenant sim.GraphOptions
		checks int
		fails  map[string]string // part of the check's name to part of the error
	}{
		"assigned":           {assigned, sim.GraphOptions{}, 6, nil},
		"groups":             {members, sim.GraphOptions{}, 4, nil},
		"all":                {everybody, sim.GraphOptions{}, 3, nil},
		"no sign-in":         {assigned, sim.GraphOptions{ExpiredSecret: true}, 1, map[string]string{"sign in": "AADSTS7000222"}},
		"no people":          {everybody, sim.GraphOptions{Forbidden: []string{"users"}}, 2, map[string]string{"read the users": "User.Read.All"}},
		"half of the people": {everybody, sim.GraphOptions{Blind: true}, 2, map[string]string{"read the users": "accountEnabled"}},
		"no app": {assigned, sim.GraphOptions{Forbidden: []string{"servicePrincipals"}}, 6,
			map[string]string{"assignments": "Application.Read.All", "look up": "Application.Read.All"}},
		"no groups":      {assigned, sim.GraphOptions{Forbidden: []string{"groups"}}, 5, map[string]string{"find the groups": "GroupMember.Read.All"}},
		"a hidden group": {members, sim.GraphOptions{Hidden: []string{"team"}}, 3, map[string]string{"members of group team": "Member.Read.Hidden"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			company := founded(t, []string{"ann"}, map[string][]string{"team": {"ann"}})
			if err := company.AssignGroup("team"); err != nil {
				t.Fatal(err)
			}
			checks := simulated(t, sim.NewGraph(company, tc.tenant), tc.query).Check(t.Context())
			if len(checks) != tc.checks {
				t.Errorf("%d checks, want %d: %+v", len(checks), tc.checks, checks)
			}
			failed := 0
			for _, check := range checks {
				if check.Err == nil {
					if check.Detail == "" {
						t.Errorf("%s says nothing", check.Name)
					}
					continue
				}
				failed++
				expected := false
				for part, want := range tc.fails {
					expected = expected || strings.Contains(check.Name, part) && strings.Contains(check.Err.Error(), want)
				}
				if !expected || check.Detail != "" {
					t.Errorf("%s: %v", check.Name, check.Err)
				}
			}
			if failed != len(tc.fails) {
				t.Errorf("%d checks failed, want %d", failed, len(tc.fails))
			}
		})
	}
}

func TestCheckComparesTheClocks(t *testing.T) {
	server := sim.NewGraph(company(), sim.GraphOptions{})
	for ahead, want := range map[time.Duration]string{5 * time.Minute: "5m0s behind", -5 * time.Minute: "5m0s ahead", time.Minute: ""} {
		c := behind(t, simOptions(server, everybody), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			server.ServeHTTP(shifted{w, ahead}, r)
		}))
		synctest.Test(t, func(t *testing.T) {
			err := c.Check(t.Context())[0].Err
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", ahead, err, want)
			}
		})
	}
}

// shifted answers with a Date that is off.
type shifted struct {
	http.ResponseWriter
	ahead time.Duration
}

func (s shifted) WriteHeader(status int) {
	s.Header().Set("Date", time.Now().Add(s.ahead).UTC().Format(http.TimeFormat))
	s.ResponseWriter.WriteHeader(status)
}
