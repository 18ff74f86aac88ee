//go:build !noentra

package entra

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// founded makes a company of people by their first names, and of groups with their members.
func founded(t *testing.T, people []string, groups map[string][]string) *sim.Company {
	t.Helper()
	c := sim.NewCompany(sim.Config{People: -1, Groups: -1})
	for _, p := range people {
		if _, err := c.Join(sim.Person{Login: p + "@acme.example", FirstName: p, LastName: "A"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, members := range groups {
		g := sim.Group{Name: name}
		for _, m := range members {
			g.Members = append(g.Members, m+"@acme.example")
		}
		if _, err := c.CreateGroup(g); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// names are the first names of people, by their ids, sorted.
func names(t *testing.T, c *sim.Company, ids []connectors.UserID) string {
	t.Helper()
	var out []string
	for _, p := range c.People() {
		if slices.Contains(ids, connectors.UserID(sim.GraphID(p.ID))) {
			out = append(out, p.FirstName)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func idsOf(users []connectors.User) []connectors.UserID {
	var ids []connectors.UserID
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

// Groups inside groups count with Nested only, in every mode and for Lookup and Members alike; cycles end.
func TestNestedGroups(t *testing.T) {
	tests := map[string]struct {
		mode   connectors.ScopeMode
		nested bool
		scope  string
		pushed string
	}{
		"assigned, direct": {connectors.ScopeAssigned, false, "ann", "ann"},
		"assigned, nested": {connectors.ScopeAssigned, true, "ann bob cid", "ann bob cid"},
		"groups, direct":   {connectors.ScopeGroups, false, "ann", "ann"},
		"groups, nested":   {connectors.ScopeGroups, true, "ann bob cid", "ann bob cid"},
		"all, nested":      {connectors.ScopeAll, true, "ann bob cid dan", "ann bob cid"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			company := founded(t, []string{"ann", "bob", "cid", "dan"}, map[string][]string{"outer": {"ann"}, "inner": {"bob", "ann"}, "core": {"cid"}})
			if err := company.AssignGroup("outer"); err != nil {
				t.Fatal(err)
			}
			server := sim.NewGraph(company, sim.GraphOptions{
				Subgroups: map[string][]string{"outer": {"inner"}, "inner": {"core", "outer"}, "core": {"core"}}})
			q := connectors.Query{Mode: tc.mode, Push: patterns(t, "outer")}
			if tc.mode == connectors.ScopeGroups {
				q.Groups = []string{"outer"}
			}
			o := simOptions(server, q)
			o.Nested = tc.nested
			c := behind(t, o, server)
			snap, err := c.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := names(t, company, idsOf(snap.Users)); got != tc.scope {
				t.Errorf("in scope are %q, want %q", got, tc.scope)
			}
			if got := names(t, company, snap.Groups[0].Members); got != tc.pushed {
				t.Errorf("members are %q, want %q", got, tc.pushed)
			}
			again, known, err := c.Members(t.Context(), snap.Groups[0].ID)
			if diff := cmp.Diff(snap.Groups[0].Members, again); diff != "" || !known || err != nil {
				t.Errorf("Members: %v, %v (-Fetch +Members):\n%s", known, err, diff)
			}
			for _, p := range company.People() {
				got, err := c.Lookup(t.Context(), connectors.UserID(sim.GraphID(p.ID)))
				in := got.User.Assigned || got.InScopeGroup || tc.mode == connectors.ScopeAll
				if err != nil || in != strings.Contains(tc.scope, p.FirstName) {
					t.Errorf("Lookup of %s: in scope %v, %v", p.FirstName, in, err)
				}
			}
		})
	}
}

func TestUserNames(t *testing.T) {
	for principal, want := range map[string]string{
		"ann@acme.example":                                "ann@acme.example",
		"bob_partner.com#EXT#@acme.onmicrosoft.com":       "bob@partner.com",
		"bob_b_lee_partner.com#EXT#@acme.onmicrosoft.com": "bob_b_lee@partner.com",
		"bob_partner.com#ext#@acme.onmicrosoft.com":       "bob@partner.com",
		"partner.com#EXT#@acme.onmicrosoft.com":           "partner.com",
		"":                                                "",
	} {
		if got := signInName(principal); got != want {
			t.Errorf("%q became %q, want %q", principal, got, want)
		}
	}
}

func TestGuestsAndTheChoiceOfName(t *testing.T) {
	company := founded(t, nil, nil)
	if _, err := company.Join(sim.Person{Login: "eve@partner.example", Email: "eve.mail@partner.example"}); err != nil {
		t.Fatal(err)
	}
	server := sim.NewGraph(company, sim.GraphOptions{})
	for from, want := range map[UserNameFrom]string{UserPrincipalName: "eve@partner.example", Mail: "eve.mail@partner.example"} {
		o := simOptions(server, everybody)
		o.UserNameFrom = from
		snap, err := behind(t, o, server).Fetch(t.Context())
		if err != nil || len(snap.Users) != 1 || snap.Users[0].UserName != want || snap.Users[0].EmployeeType != "Guest" {
			t.Errorf("from %s: %+v, %v", from, snap.Users, err)
		}
	}
}

func TestAttributes(t *testing.T) {
	company := founded(t, []string{"ann"}, nil)
	if err := company.EditPerson("ann@acme.example", func(p *sim.Person) { p.NickName, p.Department = "Annie", "SRE" }); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"department": "SRE", "mailNickname": "ann", "city": "", "proxyAddresses": "SMTP:ann@acme.example", "createdDateTime": "2026-01-05T09:00:01Z",
		"onPremisesExtensionAttributes.extensionAttribute1": "Annie", "onPremisesExtensionAttributes.extensionAttribute15": "",
		sim.GraphExtension: "CC-SRE",
	}
	q := everybody
	for name := range want {
		q.Attributes = append(q.Attributes, name)
	}
	c := simulated(t, sim.NewGraph(company, sim.GraphOptions{}), q)
	snap, err := c.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, snap.Users[0].Attrs); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	found, err := c.Lookup(t.Context(), snap.Users[0].ID)
	if diff := cmp.Diff(snap.Users[0], found.User); err != nil || diff != "" {
		t.Errorf("Lookup: %v (-Fetch +Lookup):\n%s", err, diff)
	}
}

// An extension may hold other things than text.
func TestValuesOfExtensions(t *testing.T) {
	const name = "extension_0123456789abcdef0123456789abcdef_x"
	for json, want := range map[string]string{`"a"`: "a", `true`: "true", `7`: "7", `2.5`: "2.5", `["a","b"]`: "a,b", `null`: ""} {
		q := everybody
		q.Attributes = []string{name}
		c := behind(t, simOptions(sim.NewGraph(company(), sim.GraphOptions{}), q), scripted(reply(fmt.Sprintf(`{"value":[{"id":"x","accountEnabled":true,%q:%s}]}`, name, json))))
		if snap, err := c.Fetch(t.Context()); err != nil || snap.Users[0].Attrs[name] != want {
			t.Errorf("%s: %+v, %v", json, snap.Users, err)
		}
	}
}

// What the app registration may not see is an error that names the permission, in whatever mode.
func TestPermissionHoles(t *testing.T) {
	assigned := connectors.Query{Mode: connectors.ScopeAssigned, Push: patterns(t, "team")}
	members := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"team"}}
	tests := map[string]struct {
		query  connectors.Query
		tenant sim.GraphOptions
		want   []string
	}{
		"people, listed":        {everybody, sim.GraphOptions{Forbidden: []string{"users"}}, []string{"403 Authorization_RequestDenied listing the users", "User.Read.All", "Grant admin consent"}},
		"people, half":          {everybody, sim.GraphOptions{Blind: true}, []string{"accountEnabled is not shown", "User.Read.All"}},
		"members, half":         {members, sim.GraphOptions{Blind: true}, []string{"accountEnabled is not shown", "User.Read.All"}},
		"groups":                {members, sim.GraphOptions{Forbidden: []string{"groups"}}, []string{"403 Authorization_RequestDenied listing the groups", "GroupMember.Read.All", "Grant admin consent"}},
		"assignments":           {assigned, sim.GraphOptions{Forbidden: []string{"servicePrincipals"}}, []string{"403 Authorization_RequestDenied reading the enterprise application", "Application.Read.All", "Grant admin consent"}},
		"a hidden group":        {members, sim.GraphOptions{Hidden: []string{"team"}}, []string{`group "team" hides its membership`, "Member.Read.Hidden"}},
		"a hidden assigned one": {assigned, sim.GraphOptions{Hidden: []string{"team"}}, []string{`group "team" hides its membership`, "Member.Read.Hidden"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			company := founded(t, []string{"ann"}, map[string][]string{"team": {"ann"}})
			if err := company.AssignGroup("team"); err != nil {
				t.Fatal(err)
			}
			snap, err := simulated(t, sim.NewGraph(company, tc.tenant), tc.query).Fetch(t.Context())
			if err == nil || snap.Users != nil {
				t.Fatalf("%d users, error %v", len(snap.Users), err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestAnEmptyGroupIsEmpty(t *testing.T) {
	company := founded(t, []string{"ann"}, map[string][]string{"team": nil})
	snap, err := simulated(t, sim.NewGraph(company, sim.GraphOptions{}), connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "team")}).Fetch(t.Context())
	if err != nil || len(snap.Groups) != 1 || len(snap.Groups[0].Members) != 0 {
		t.Errorf("%+v, %v", snap.Groups, err)
	}
}

func TestScopeGroupsMustBeOneEach(t *testing.T) {
	company := founded(t, []string{"ann"}, map[string][]string{"team": {"ann"}})
	if _, err := company.CreateGroup(sim.Group{Name: "team", Type: "APP_GROUP"}); err != nil {
		t.Fatal(err)
	}
	server := sim.NewGraph(company, sim.GraphOptions{})
	for group, want := range map[string]string{
		"team":                           "2 groups are named \"team\" (write the one that is meant by id: id:",
		"Team":                           `scope group "Team" does not exist`,
		"id:" + sim.GraphID("not there"): "scope group id:" + sim.GraphID("not there") + " does not exist",
	} {
		_, err := simulated(t, server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{group}}).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", group, err, want)
		}
	}
}

func TestATenantWithoutTheApp(t *testing.T) {
	server := sim.NewGraph(company(), sim.GraphOptions{})
	o := simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned})
	o.AppID = sim.GraphID("another app")
	_, err := behind(t, o, server).Fetch(t.Context())
	if e, ok := errors.AsType[*connectors.Error](err); !ok || e.Code != codeNotFound || !strings.Contains(e.Remedy, "Enterprise applications") || !strings.Contains(e.Remedy, "not its Object ID") {
		t.Errorf("error %v", err)
	}
}

// Somebody who was hired while the users were listed is read by themselves; somebody deleted meanwhile is left out; and
// many of them mean that the listing was short.
func TestAssignedAndNotListed(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 5, People: 200, Groups: -1})
	server := sim.NewGraph(company, sim.GraphOptions{})
	late := company.People()[3]
	if err := company.Assign(late.Login); err != nil {
		t.Fatal(err)
	}
	lacking := func(from int) http.Handler {
		return inPlace(server, "/v1.0/users", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1.0/users" {
				server.ServeHTTP(w, r)
				return
			}
			var kept []string
			for i, p := range company.People() {
				if p.ID != late.ID && i >= from {
					kept = append(kept, fmt.Sprintf(`{"id":%q,"accountEnabled":true}`, sim.GraphID(p.ID)))
				}
			}
			reply(`{"value":[`+strings.Join(kept, ",")+`]}`)(w, r)
		})
	}
	o := simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned})
	snap, err := behind(t, o, lacking(0)).Fetch(t.Context())
	id := connectors.UserID(sim.GraphID(late.ID))
	if err != nil || !slices.ContainsFunc(snap.Users, func(u connectors.User) bool { return u.ID == id && u.Assigned && u.UserName == late.Login }) {
		t.Errorf("%s is missing, %v", late.Login, err)
	}
	if _, err := behind(t, o, lacking(150)).Fetch(t.Context()); !errors.Is(err, connectors.ErrDamaged) || !strings.Contains(err.Error(), "the listing was short") {
		t.Errorf("of a listing that lacks most: %v", err)
	}
}

// Assignments of deleted people linger, and are nobody's, however many they are: the recycle bin tells of all of them in
// one listing, and who is gone for good is asked for one by one.
func TestLingeringAssignments(t *testing.T) {
	const stay, left = 5, 1200
	company := sim.NewCompany(sim.Config{Seed: 3, People: stay + left, Groups: -1})
	var assigned []string
	for i, p := range company.People() {
		assigned = append(assigned, fmt.Sprintf(`{"id":"%d","principalType":"User","principalId":%q}`, i, sim.GraphID(p.ID)))
	}
	for _, p := range company.People()[stay:] {
		if err := errors.Join(company.Leave(p.Login), company.Delete(p.Login)); err != nil {
			t.Fatal(err)
		}
	}
	server := sim.NewGraph(company, sim.GraphOptions{})
	var asked, listed atomic.Int64
	c := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "appRoleAssignedTo"):
			reply(`{"value":[`+strings.Join(assigned, ",")+`]}`)(w, r)
			return
		case strings.HasPrefix(r.URL.Path, "/v1.0/users/"):
			asked.Add(1)
		case strings.HasPrefix(r.URL.Path, "/v1.0/directory/deletedItems/graph.user"):
			listed.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	read := func(what string, wantAsked, wantListed int64) {
		t.Helper()
		asked.Store(0)
		listed.Store(0)
		snap, err := c.Fetch(t.Context())
		if err != nil || len(snap.Users) != stay || asked.Load() != wantAsked || listed.Load() != wantListed {
			t.Errorf("%s: %d people, %d asked for, %d pages of the bin, %v; want %d, %d, %d", what, len(snap.Users), asked.Load(), listed.Load(), err, stay, wantAsked, wantListed)
		}
	}
	read("in the recycle bin", 0, 2)
	company.EmptyBin()
	read("gone for good", left, 1)
	assigned = assigned[:stay+maxMissing]
	read("a few of them", maxMissing, 0)
}

// An application that was removed and added again has another object id.
func TestARenewedApplicationIsFoundAgain(t *testing.T) {
	server := sim.NewGraph(company(), sim.GraphOptions{})
	gone := false
	c := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone && strings.HasSuffix(r.URL.Path, "appRoleAssignedTo") {
			refuse(404, codeNotFound)(w, r)
			return
		}
		server.ServeHTTP(w, r)
	}))
	for _, gone = range []bool{false, true} {
		if _, err := c.Fetch(t.Context()); (err != nil) != gone {
			t.Fatalf("gone %v: %v", gone, err)
		}
	}
	if c.principal.Load() != nil {
		t.Error("the object id of the application that is gone is kept")
	}
}

// A member whose type is not told may be a person, and an assignment of an unknown kind too.
func TestUntypedElementsAreRefused(t *testing.T) {
	company := founded(t, []string{"ann"}, map[string][]string{"team": {"ann"}})
	server := sim.NewGraph(company, sim.GraphOptions{})
	h := inPlace(server, "/v1.0/groups/", reply(`{"value":[{"id":"x"}]}`))
	_, err := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "team")}), h).Fetch(t.Context())
	if !errors.Is(err, connectors.ErrDamaged) || !strings.Contains(err.Error(), "no @odata.type") {
		t.Errorf("a member: %v", err)
	}
	for body, want := range map[string]string{
		`{"id":"x","principalId":"6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0","principalType":"Robot"}`: `unknown type "Robot"`,
		`{"id":"x","principalType":"User"}`: "has no principalId",
	} {
		assignedTo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "appRoleAssignedTo") {
				reply(`{"value":[`+body+`]}`)(w, r)
				return
			}
			server.ServeHTTP(w, r)
		})
		_, err := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned}), assignedTo).Fetch(t.Context())
		if !errors.Is(err, connectors.ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("an assignment: %v, want %s", err, want)
		}
	}
}
