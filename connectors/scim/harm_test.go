package scim

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A group that is listed and then not there by itself is no empty group: neither as one to push nor inside another one.
func TestAListedGroupThatIsNotThere(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	outer, inner := company.Groups()[1], company.Groups()[2]
	server := sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{HideMembers: true, Subgroups: map[string][]string{outer.Name: {inner.Name}}})
	lost := true
	o := options(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lost && strings.HasSuffix(r.URL.Path, "/Groups/"+inner.ID) {
			r.URL.Path = sim.DirectoryBase + "/Groups/nobody"
			r.URL.RawPath = ""
		}
		server.ServeHTTP(w, r)
	}), connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{outer.Name}})
	for push, nested := range map[string]bool{inner.Name: false, "nothing": true} {
		o.Query.Push, o.Nested = patterns(t, push), nested
		c := connect(t, o)
		if snap, err := c.Fetch(t.Context()); err == nil {
			t.Errorf("push %s, nested %t: read as %+v", push, nested, snap.Groups)
		}
		if !nested {
			continue
		}
		if members, known, err := c.Members(t.Context(), connectors.GroupID(outer.ID)); err == nil {
			t.Errorf("asked again: %d members, known %t", len(members), known)
		}
		person := company.People()[slices.IndexFunc(company.People(), func(p sim.Person) bool {
			return slices.Contains(inner.Members, p.Login) && !slices.Contains(outer.Members, p.Login)
		})]
		if found, err := c.Lookup(t.Context(), connectors.UserID(person.ID)); err == nil {
			t.Errorf("looked up as %+v", found)
		}
	}
	lost = false
	if _, err := connect(t, o).Fetch(t.Context()); err != nil {
		t.Error(err)
	}
}

// Servers spell the kinds of members as they like.
func TestKindsOfMembersInAnyCase(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	outer, inner := company.Groups()[1], company.Groups()[2]
	server := sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{Subgroups: map[string][]string{outer.Name: {inner.Name}}})
	o := options(rewriting{server}, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{outer.Name}})
	o.Nested = true
	snap, err := connect(t, o).Fetch(t.Context())
	want := idsOf(company, func(p sim.Person) bool {
		return slices.Contains(outer.Members, p.Login) || slices.Contains(inner.Members, p.Login)
	})
	if err != nil || !slices.Equal(snap.Groups[0].Members, want) {
		t.Errorf("members %v, want %v, %v", snap.Groups[0].Members, want, err)
	}
}

// A rewriting server writes the kinds of members in lower case.
type rewriting struct{ server http.Handler }

func (s rewriting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.server.ServeHTTP(lowering{w}, r)
}

type lowering struct{ http.ResponseWriter }

func (w lowering) Write(b []byte) (int, error) {
	_, err := io.WriteString(w.ResponseWriter, strings.NewReplacer(`"type":"Group"`, `"type":"group"`, `"type":"User"`, `"type":"user"`).Replace(string(b)))
	return len(b), err
}

// That nothing leads to the server, and that it refuses the token, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	connectortest.RunTrouble(t, func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
		o := options(nil, everybody)
		o.Transport = transport
		return connect(tb, o)
	}, map[string]func(testing.TB) connectors.Connector{
		"a wrong token": func(tb testing.TB) connectors.Connector {
			company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1})
			o := options(sim.NewSCIMDirectory(company, sim.SCIMDirectoryOptions{}), everybody)
			o.Token = func() string { return connectortest.Canary }
			return connect(tb, o)
		},
		"forbidden": func(tb testing.TB) connectors.Connector {
			return connect(tb, options(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }), everybody))
		},
	})
}
