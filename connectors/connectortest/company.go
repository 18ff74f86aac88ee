package connectortest

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// Company is the simulator's company that a connector is held to: the same one each time it is founded.
func Company() *sim.Company {
	return sim.NewCompany(sim.Config{Seed: 7, People: 16, Groups: 8})
}

// A Dialect is how a directory of the simulator speaks of the company.
type Dialect struct {
	// ID is the directory's id of a person or group; nil where it is the company's own.
	ID func(id string) string
	// User adds what the directory says of a person beside id, names, department, title, number and phone.
	User func(p sim.Person, u *connectors.User)
	// Group adds what it says of a group beside id and name; it may be nil.
	Group func(g sim.Group, out *connectors.Group)
}

func (d Dialect) id(id string) string {
	if d.ID == nil {
		return id
	}
	return d.ID(id)
}

// Snapshot is what a connector has to find in the company: the people whom in lets through, and the groups that scope
// and push do.
func (d Dialect) Snapshot(tb testing.TB, c *sim.Company, mode connectors.ScopeMode, in func(sim.Person) bool, scope, push func(sim.Group) bool) connectors.Snapshot {
	tb.Helper()
	ids := map[string]connectors.UserID{}
	var users []connectors.User
	for _, p := range c.People() {
		ids[p.Login] = connectors.UserID(d.id(p.ID))
		if !in(p) {
			continue
		}
		u := connectors.User{
			ID: ids[p.Login], UserName: p.Login, Email: p.Email, GivenName: p.FirstName, FamilyName: p.LastName,
			DisplayName: cmp.Or(p.DisplayName, p.FirstName+" "+p.LastName), Department: p.Department, Title: p.Title,
			EmployeeNumber: p.EmployeeNumber, Status: connectors.StatusActive, Assigned: mode == connectors.ScopeAssigned,
		}
		if p.MobilePhone != "" {
			u.Phones = []connectors.Phone{{Type: "mobile", Value: p.MobilePhone}}
		}
		d.User(p, &u)
		users = append(users, u)
	}
	var groups []connectors.Group
	for _, g := range c.Groups() {
		if !scope(g) && !push(g) {
			continue
		}
		group := connectors.Group{ID: connectors.GroupID(d.id(g.ID)), Name: g.Name, Scope: scope(g)}
		if d.Group != nil {
			d.Group(g, &group)
		}
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

// Live lets the suite change a company of its own while server serves it. assigned tells that there is an application
// to be taken off.
func (d Dialect) Live(tb testing.TB, c *sim.Company, server http.Handler, assigned bool) Live {
	login := func(id connectors.UserID) string {
		people := c.People()
		i := slices.IndexFunc(people, func(p sim.Person) bool { return d.id(p.ID) == string(id) })
		if i < 0 {
			tb.Fatalf("nobody has the id %s", id)
		}
		return people[i].Login
	}
	group := func(id connectors.GroupID) string {
		groups := c.Groups()
		i := slices.IndexFunc(groups, func(g sim.Group) bool { return d.id(g.ID) == string(id) })
		if i < 0 {
			tb.Fatalf("no group has the id %s", id)
		}
		return groups[i].Name
	}
	do := func(errs ...error) {
		tb.Helper()
		if err := errors.Join(errs...); err != nil {
			tb.Fatal(err)
		}
	}
	live := Live{
		Server:  server,
		Disable: func(id connectors.UserID) { do(c.Suspend(login(id))) },
		Delete: func(id connectors.UserID) {
			name := login(id)
			do(c.Leave(name), c.Delete(name))
		},
		Remove:      func(g connectors.GroupID, id connectors.UserID) { do(c.RemoveMember(group(g), login(id))) },
		DeleteGroup: func(g connectors.GroupID) { do(c.DeleteGroup(group(g))) },
	}
	if assigned {
		live.Unassign = func(id connectors.UserID) { do(c.Unassign(login(id))) }
	}
	return live
}

// Patterns parses the patterns of a Query.
func Patterns(tb testing.TB, list ...string) connectors.Patterns {
	tb.Helper()
	ps, err := connectors.ParsePatterns(list)
	if err != nil {
		tb.Fatal(err)
	}
	return ps
}
