package ldap

import (
	"errors"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// domain is how the simulated domain is read.
func domain(s *sim.LDAP, q connectors.Query) Options {
	return Options{
		URLs: []string{"ldap://localhost"}, BindDN: sim.DefaultLDAPReader, Password: func() string { return sim.DefaultLDAPPassword },
		Base: sim.LDAPBase, Query: q, Dial: s.Dial,
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

func patterns(tb testing.TB, texts ...string) connectors.Patterns {
	tb.Helper()
	ps, err := connectors.ParsePatterns(texts)
	if err != nil {
		tb.Fatal(err)
	}
	return ps
}

func userID(p sim.Person) connectors.UserID { return connectors.UserID(sim.GraphID(p.ID)) }

// Which searches a fault is for.
func people(s sim.LDAPSearch) bool  { return strings.Contains(s.Filter, "objectCategory") }
func names(s sim.LDAPSearch) bool   { return s.Filter == "(objectClass=group)" }
func entries(s sim.LDAPSearch) bool { return !s.Subtree && s.Base != "" }
func byID(s sim.LDAPSearch) bool    { return strings.Contains(s.Filter, "(objectGUID=") }

func onPage(n int, which func(sim.LDAPSearch) bool) func(sim.LDAPSearch) bool {
	return func(s sim.LDAPSearch) bool { return s.Page == n && which(s) }
}

// all is what has to be found in a company by reading everybody and pushing some groups.
func all(tb testing.TB, c *sim.Company, scope, push func(sim.Group) bool) connectors.Snapshot {
	tb.Helper()
	ids := map[string]connectors.UserID{}
	in := map[string]bool{}
	for _, g := range c.Groups() {
		if scope(g) {
			for _, login := range g.Members {
				in[login] = true
			}
		}
	}
	var users []connectors.User
	for _, p := range c.People() {
		ids[p.Login] = userID(p)
		if !in[p.Login] {
			continue
		}
		cn := p.FirstName + " " + p.LastName + " " + p.EmployeeNumber
		u := connectors.User{
			ID: userID(p), UserName: p.Login, Email: p.Email, GivenName: p.FirstName, FamilyName: p.LastName, DisplayName: cn,
			Department: p.Department, Title: p.Title, EmployeeNumber: p.EmployeeNumber, Status: connectors.StatusActive, StatusDetail: "userAccountControl=512",
		}
		if p.DisplayName != "" {
			u.DisplayName = p.DisplayName
		}
		if p.MobilePhone != "" {
			u.Phones = []connectors.Phone{{Type: "mobile", Value: p.MobilePhone}}
		}
		switch p.Status {
		case sim.StatusSuspended, sim.StatusDeprovisioned, sim.StatusStaged:
			u.Status, u.StatusDetail = connectors.StatusDisabled, "userAccountControl=514"
		}
		users = append(users, u)
	}
	var groups []connectors.Group
	for _, g := range c.Groups() {
		if g.Type == "BUILT_IN" || !scope(g) && !push(g) {
			continue
		}
		group := connectors.Group{ID: connectors.GroupID(sim.GraphID(g.ID)), Name: g.Name, Email: strings.ToLower(g.Name) + "@acme.example", Scope: scope(g)}
		for _, login := range g.Members {
			group.Members = append(group.Members, ids[login])
		}
		groups = append(groups, group)
	}
	snap, err := connectors.NewSnapshot(users, groups)
	if err != nil {
		tb.Fatal(err)
	}
	return snap
}

// wantError checks what an error is and says.
func wantError(t *testing.T, err error, is error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if is != nil && !errors.Is(err, is) {
		t.Errorf("%v is not %v", err, is)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), sim.DefaultLDAPPassword) {
		t.Errorf("%q has the password", err)
	}
}
