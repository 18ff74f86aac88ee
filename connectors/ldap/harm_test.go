package ldap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// meanwhile runs change once, right before the first search that which selects is answered.
func meanwhile(s *sim.LDAP, which func(sim.LDAPSearch) bool, change func()) {
	once := sync.OnceFunc(change)
	s.Break(sim.LDAPRule{Match: func(search sim.LDAPSearch) bool {
		if which(search) {
			once()
		}
		return false
	}})
}

// Somebody who leaves a large group between two ranges of its members moves the others up: nobody is skipped.
func TestAMemberLeavesBetweenRanges(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 3, People: 40, Groups: 1})
	name, staff := company.Groups()[0].Name, company.People()
	for _, p := range staff {
		if err := company.AddMember(name, p.Login); err != nil {
			t.Fatal(err)
		}
	}
	s := sim.NewLDAP(company, sim.LDAPOptions{MaxValues: 15})
	gone := company.Groups()[0].Members[0]
	meanwhile(s, func(search sim.LDAPSearch) bool {
		return slices.ContainsFunc(search.Attributes, func(a string) bool { return strings.Contains(a, "range=") })
	}, func() {
		if err := company.RemoveMember(name, gone); err != nil {
			t.Error(err)
		}
	})
	snap, err := connect(t, domain(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{name}})).Fetch(t.Context())
	if err != nil || len(snap.Users) != len(staff)-1 {
		t.Errorf("%d people, want %d, %v", len(snap.Users), len(staff)-1, err)
	}
}

// A group in a group that is renamed before it is read is not there by its old name, and its people are still members.
func TestAGroupInAGroupIsRenamedInMidRead(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	outer, inner := company.Groups()[1], company.Groups()[2]
	inside := map[string][]string{outer.Name: {inner.Name}}
	s := sim.NewLDAP(company, sim.LDAPOptions{Subgroups: inside})
	meanwhile(s, func(search sim.LDAPSearch) bool {
		return entries(search) && strings.HasPrefix(strings.ToLower(search.Base), strings.ToLower("CN="+inner.Name+","))
	}, func() {
		if err := company.RenameGroup(inner.Name, "renamed"); err != nil {
			t.Error(err)
		}
		inside[outer.Name] = []string{"renamed"}
	})
	snap, err := connect(t, domain(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{outer.Name}})).Fetch(t.Context())
	want := map[string]bool{}
	for _, login := range slices.Concat(outer.Members, inner.Members) {
		want[login] = true
	}
	if err != nil || len(snap.Users) != len(want) || len(want) == len(outer.Members) {
		t.Errorf("%d people, want %d, %v", len(snap.Users), len(want), err)
	}
}

// That nobody leads to a server, and that it refuses the reader, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	q := connectors.Query{Mode: connectors.ScopeAll}
	for name, tc := range map[string]struct {
		change      func(*Options)
		unreachable bool
		refused     bool
	}{
		"nobody listens": {change: func(o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
			}
		}, unreachable: true},
		"no such name": {change: func(o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "ldap.acme.example", IsNotFound: true}
			}
		}, unreachable: true},
		"cut off": {change: func(o *Options) {
			o.Dial = func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				far.Close()
				return near, nil
			}
		}},
		"a wrong password": {change: func(o *Options) { o.Password = func() string { return "another" } }, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := domain(sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{}), q)
			tc.change(&o)
			_, err := connect(t, o).Fetch(t.Context())
			e, ok := errors.AsType[*connectors.Error](err)
			if errors.Is(err, connectors.ErrUnreachable) != tc.unreachable || (ok && e.Unauthorized()) != tc.refused {
				t.Errorf("%v", err)
			}
		})
	}
	s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
	for _, f := range sim.LDAPFaults() {
		if f.Name == "insufficient access" {
			s.Break(sim.LDAPRule{Match: people, Fault: f})
		}
	}
	_, err := connect(t, domain(s, q)).Fetch(t.Context())
	if e, ok := errors.AsType[*connectors.Error](err); !ok || !e.Unauthorized() {
		t.Errorf("people that may not be read: %v", err)
	}
}

// What holds the person is searched, so what the reader may not see is passed over: it takes two readings to believe it.
func TestAnEmptySearchForGroupsIsNoProof(t *testing.T) {
	company := conformanceCompany()
	s := sim.NewLDAP(company, sim.LDAPOptions{})
	g := company.Groups()[slices.IndexFunc(company.Groups(), func(g sim.Group) bool { return g.Type != "BUILT_IN" && len(g.Members) > 0 })]
	c := connect(t, domain(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{g.Name}}))
	for i, p := range company.People() {
		found, err := c.Lookup(t.Context(), userID(p))
		if err != nil || found.Listed == found.InScopeGroup {
			t.Errorf("%s: %+v, %v", fmt.Sprint(i, " ", p.Login), found, err)
		}
	}
}
