package google

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// teams is an account with two groups of one name and one that holds another.
func teams(change func(map[string]any)) *account {
	a := &account{answers: map[string]any{
		"/users":                  users(user("u1", ""), user("u2", ""), user("u3", "")),
		"/groups":                 groups(aGroup("g1", "SRE", 1), aGroup("g2", "SRE", 1), aGroup("g3", "On call", 2)),
		"/groups/g1/members":      members(member("USER", "u1")),
		"/groups/g2/members":      members(member("USER", "u2")),
		"/groups/g3/members":      members(member("GROUP", "g1"), member("USER", "u3")),
		"/users/u1":               user("u1", `"orgUnitPath":"/A"`),
		"/users?showDeleted":      users(`{"id":"u8","primaryEmail":"u8@acme.example"}`, `{"id":"u9","primaryEmail":"u9@acme.example"}`),
		"/groups/g3/hasMember/u1": `{"isMember":true}`,
	}}
	change(a.answers)
	return a
}

func TestGroups(t *testing.T) {
	ops := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"On call"}}
	scope := func(names ...string) connectors.Query {
		return connectors.Query{Mode: connectors.ScopeGroups, Groups: names}
	}
	push := func(list ...string) connectors.Query {
		return connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, list...)}
	}
	tests := map[string]struct {
		query  connectors.Query
		change func(map[string]any)
		people string
		groups string // id=members, * for the scope's
		err    string
	}{
		"by name":                  {ops, nil, "u1 u3", "g3*=u1 u3", ""},
		"by address":               {scope("G3@acme.example"), nil, "u1 u3", "g3*=u1 u3", ""},
		"by id":                    {scope("id:g1"), nil, "u1", "g1*=u1", ""},
		"a name twice":             {scope("SRE"), nil, "", "", "2 groups are named \"SRE\" (write the address of the one that is meant: id:g1 (g1@acme.example) or id:g2"},
		"a name that is not there": {scope("sre"), nil, "", "", `scope group "sre" does not exist`},
		"all that are missing":     {scope("x", "id:y"), nil, "", "", `scope group "id:y" does not exist`},
		"pushed by name":           {push("sre"), nil, "u1 u2 u3", "g1=u1, g2=u2", ""},
		"pushed by address":        {push("g3@*"), nil, "u1 u2 u3", "g3=u1 u3", ""},
		"pushed beside the scope": {connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:g1"}, Push: patterns(t, "id:g2")}, nil,
			"u1", "g1*=u1, g2=u2", ""},
		"pushed and absent": {push("id:none", "none"), nil, "u1 u2 u3", "", ""},
		"no group has a name": {push("g9@acme.example"), func(m map[string]any) {
			m["/groups"] = groups(aGroup("g9", "", 0))
			m["/groups/g9/members"] = members()
		}, "u1 u2 u3", "g9=", ""},
		"no groups at all": {push("*"), func(m map[string]any) { m["/groups"] = groups() }, "u1 u2 u3", "", ""},
		"owners and managers count": {scope("id:g1"), func(m map[string]any) {
			m["/groups/g1/members"] = members(`{"id":"u2","type":"USER","role":"OWNER"}`, `{"id":"u3","type":"USER","role":"MANAGER"}`)
		}, "u2 u3", "g1*=u2 u3", ""},
		"members from elsewhere": {scope("id:g1"), func(m map[string]any) {
			m["/groups/g1/members"] = members(member("USER", "x1"), `{"type":"EXTERNAL","email":"x@y"}`, member("USER", "u1"))
		}, "u1", "g1*=u1 x1", ""},
		"a group of another domain": {ops, func(m map[string]any) {
			m["/groups/g3/members"] = members(member("GROUP", "f1"), member("USER", "u3"))
			m["/groups/f1/members"] = refusing(403, "forbidden", "Not Authorized")
		}, "u3", "g3*=u3", ""},
		"one nobody knows": {ops, func(m map[string]any) { m["/groups/g3/members"] = members(member("GROUP", "f1"), member("USER", "u3")) }, "u3", "g3*=u3", ""},
		"one that cannot be read": {ops, func(m map[string]any) {
			m["/groups/g3/members"] = members(member("GROUP", "f1"))
			m["/groups/f1/members"] = refusing(400, "invalid", "?")
		}, "", "", "400 invalid"},
		"one of ours that is forbidden": {ops, func(m map[string]any) { m["/groups/g1/members"] = refusing(403, "forbidden", "Not Authorized") }, "", "", "403 forbidden"},
		"a circle": {ops, func(m map[string]any) {
			m["/groups/g1/members"] = members(member("GROUP", "g3"), member("GROUP", "g1"), member("USER", "u2"))
		}, "u2 u3", "g3*=u2 u3", ""},
		"counted and not listed":         {scope("id:g1"), func(m map[string]any) { m["/groups/g1/members"] = members() }, "", "", "Google counts 1 members"},
		"counted and all from elsewhere": {scope("id:g1"), func(m map[string]any) { m["/groups/g1/members"] = members(`{"type":"EXTERNAL","email":"x@y"}`) }, "", "g1*=", ""},
		"a kind of member nobody knows":  {scope("id:g1"), func(m map[string]any) { m["/groups/g1/members"] = members(member("ROBOT", "r2")) }, "", "", `unknown type "ROBOT"`},
		"a member without id":            {scope("id:g1"), func(m map[string]any) { m["/groups/g1/members"] = members(`{"type":"USER","email":"a@b"}`) }, "", "", "has no id"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.change == nil {
				tc.change = func(map[string]any) {}
			}
			snap, err := connect(t, options(teams(tc.change), tc.query)).Fetch(t.Context())
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if people := strings.Trim(fmt.Sprint(idsOf(snap.Users)), "[]"); people != tc.people {
				t.Errorf("people %s, want %s", people, tc.people)
			}
			var got []string
			for _, g := range snap.Groups {
				got = append(got, string(g.ID)+map[bool]string{true: "*"}[g.Scope]+"="+strings.Trim(fmt.Sprint(g.Members), "[]"))
				if g.Name == "" || g.Email == "" {
					t.Errorf("group %+v lacks a name", g)
				}
			}
			if diff := cmp.Diff(tc.groups, strings.Join(got, ", ")); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

// A group that goes away in mid-read is not empty: the reading starts again, at most twice.
func TestDeletedInMidRead(t *testing.T) {
	push := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}
	t.Run("and then it is gone", func(t *testing.T) {
		lists := 0
		server := teams(func(m map[string]any) {
			delete(m, "/groups/g2/members")
			m["/groups"] = func(w http.ResponseWriter, _ *http.Request) {
				if lists++; lists == 1 {
					reply(w, groups(aGroup("g1", "SRE", 1), aGroup("g2", "SRE", 1)))
					return
				}
				reply(w, groups(aGroup("g1", "SRE", 1)))
			}
		})
		snap, err := connect(t, options(server, push)).Fetch(t.Context())
		if err != nil || len(snap.Groups) != 1 || lists != 2 {
			t.Errorf("%v after %d listings, %v", snap.Groups, lists, err)
		}
	})
	t.Run("and it never ends", func(t *testing.T) {
		server := teams(func(m map[string]any) { delete(m, "/groups/g2/members") })
		_, err := connect(t, options(server, push)).Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), "group g2") || !strings.Contains(err.Error(), "deleted while") {
			t.Errorf("error %v", err)
		}
		readings := 0
		for _, asked := range server.asked {
			if strings.HasPrefix(asked, "/admin/directory/v1/groups?") {
				readings++
			}
		}
		if readings != maxReadings {
			t.Errorf("%d readings", readings)
		}
	})
	t.Run("asked again, it is an error in a group and the answer on top", func(t *testing.T) {
		server := teams(func(m map[string]any) { delete(m, "/groups/g1/members") })
		c := connect(t, options(server, push))
		if _, known, err := c.Members(t.Context(), "g1"); err != nil || known {
			t.Errorf("on top: known %v, %v", known, err)
		}
		if got, known, err := c.Members(t.Context(), "g3"); err == nil || known || got != nil {
			t.Errorf("in a group: %v, known %v, %v", got, known, err)
		}
	})
}

func TestLookup(t *testing.T) {
	ops := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:g3"}}
	set := func(path string, answer any) func(map[string]any) {
		return func(m map[string]any) { m[path] = answer }
	}
	const me, mine = "/users/u1", "/groups/g3/hasMember/u1"
	tests := map[string]struct {
		query  connectors.Query
		id     connectors.UserID
		search string // UserQuery
		change func(map[string]any)
		want   string // what is found, in words
		err    string // part of the error
	}{
		"everybody":                {everybody, "u1", "", nil, "active", ""},
		"suspended":                {everybody, "u1", "", set(me, user("u1", `"suspended":true`)), "disabled", ""},
		"in a group":               {ops, "u1", "", nil, "active in scope", ""},
		"in no group":              {ops, "u1", "", set(mine, `{"isMember":false}`), "active", ""},
		"across domains, a member": {ops, "u1", "", set(mine, refusing(400, "invalid", "Invalid Input: memberKey")), "active in scope", ""},
		"across domains, none": {ops, "u1", "", func(m map[string]any) {
			m[mine] = refusing(400, "invalid", "Invalid Input: memberKey")
			m["/groups/g1/members"] = members(member("USER", "u2"))
		}, "active listed", ""},
		"membership cannot be read":   {ops, "u1", "", set(mine, refusing(403, "forbidden", "no")), "", "Groups > Read"},
		"the group is gone":           {ops, "u1", "", set(mine, nil), "", "404 notFound"},
		"an empty membership":         {ops, "u1", "", set(mine, `{}`), "", "nothing was concluded"},
		"the scope's group is gone":   {ops, "u1", "", set("/groups", groups()), "", "does not exist"},
		"the search finds them":       {everybody, "u1", "isAdmin=true", nil, "active", ""},
		"the search finds others":     {everybody, "u1", "isAdmin=true", set("/users", users(user("u2", ""))), "active listed outside", ""},
		"the search finds nobody":     {everybody, "u1", "isAdmin=true", set("/users", users()), "active listed outside", ""},
		"the search fails":            {everybody, "u1", "isAdmin=true", set("/users", refusing(400, "invalid", "Invalid Input: query")), "", "the query"},
		"deleted":                     {everybody, "u9", "", nil, "disabled deleted", ""},
		"unknown":                     {everybody, "u7", "", nil, "unknown", ""},
		"unknown, none deleted":       {everybody, "u7", "", set("/users?showDeleted", users()), "unknown", ""},
		"the deleted are not shown":   {everybody, "u7", "", set("/users?showDeleted", refusing(403, "forbidden", "no")), "", "403 forbidden listing the deleted users"},
		"a foreign 404":               {everybody, "u1", "", set(me, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }), "", "does not look like Google"},
		"somebody else":               {everybody, "u1", "", set(me, user("u2", "")), "", "nothing was concluded"},
		"an address for an id":        {everybody, "u1@acme.example", "", set("/users/u1@acme.example", user("u1", "")), "", "nothing was concluded"},
		"without a status":            {everybody, "u1", "", set(me, `{"kind":"admin#directory#user","id":"u1","primaryEmail":"a@b"}`), "", `"u1" has no suspended`},
		"an answer of another kind":   {everybody, "u1", "", set(me, strings.Replace(user("u1", ""), "#user\"", "#group\"", 1)), "", "nothing was concluded"},
		"not allowed to see a person": {everybody, "u1", "", set(me, refusing(403, "forbidden", "no")), "", "Users > Read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.change == nil {
				tc.change = func(map[string]any) {}
			}
			o := options(teams(tc.change), tc.query)
			o.UserQuery = tc.search
			found, err := connect(t, o).Lookup(t.Context(), tc.id)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || found.Known {
					t.Errorf("%+v, %v, want %q", found, err, tc.err)
				}
				return
			}
			words := []string{string(found.User.Status)}
			for word, is := range map[string]bool{"in scope": found.InScopeGroup, "outside": found.Outside != "", "listed": found.Listed, "deleted": found.Deleted, "unknown": !found.Known} {
				if is {
					words = append(words, word)
				}
			}
			slices.Sort(words[1:])
			if got := strings.TrimSpace(strings.Join(words, " ")); err != nil || got != tc.want {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

// Lookups share what takes a listing, for a minute and never beyond the next Fetch: no stale answer confirms for ever.
func TestListingsAreSharedByLookups(t *testing.T) {
	refused := refusing(400, "invalid", "Invalid Input: memberKey")
	server := teams(func(m map[string]any) {
		m["/users/u2"] = user("u2", "")
		m["/groups/g3/hasMember/u1"], m["/groups/g3/hasMember/u2"] = refused, refused
	})
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:g3"}}))
	listed := func() (n int) {
		server.mu.Lock()
		defer server.mu.Unlock()
		for _, uri := range server.asked {
			if strings.Contains(uri, "/members?") || strings.Contains(uri, "showDeleted") {
				n++
			}
		}
		return n
	}
	synctest.Test(t, func(t *testing.T) {
		fetch := func() {
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		lookup := func(what, people string, listings int) {
			t.Helper()
			before, got := listed(), ""
			for _, id := range []connectors.UserID{"u1", "u2", "u8", "u9"} {
				found, err := c.Lookup(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if found.InScopeGroup || found.Deleted {
					got += string(id) + " "
				}
			}
			if got != people || listed()-before != listings {
				t.Errorf("%s: %q with %d listings, want %q with %d", what, got, listed()-before, people, listings)
			}
		}
		fetch()
		lookup("after a read", "u1 u8 u9 ", 3) // g3, g1 in it, and the deleted people
		server.answers["/groups/g1/members"] = members(member("USER", "u2"))
		server.answers["/users?showDeleted"] = users(`{"id":"u9","primaryEmail":"u9@acme.example"}`)
		lookup("at once", "u1 u8 u9 ", 0)
		time.Sleep(2 * time.Minute)
		lookup("two minutes later", "u2 u9 ", 3)
		server.answers["/groups/g1/members"] = members(member("USER", "u1"))
		fetch()
		lookup("after another read", "u1 u9 ", 3)
	})
}

func TestCheck(t *testing.T) {
	query := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:g3"}}
	tests := map[string]struct {
		change func(map[string]any)
		failed string // name of the first check that fails
		remedy string
	}{
		"all is well":       {func(map[string]any) {}, "", ""},
		"no sign-in":        {func(m map[string]any) { m["/token"] = refusing(400, "x", "y") }, "sign in", "token_uri"},
		"no right to users": {func(m map[string]any) { m["/users"] = refusing(403, "forbidden", "no") }, "read the users", "Users > Read"},
		"no status":         {func(m map[string]any) { m["/users"] = users(`{"id":"u1","primaryEmail":"a@b"}`) }, "read the users", "has no suspended"},
		"no API":            {func(m map[string]any) { m["/users"] = refusing(403, "accessNotConfigured", "") }, "read the users", "enable the Admin SDK API"},
		"no such group":     {func(m map[string]any) { m["/groups"] = groups() }, "find the groups of the scope and to push", "does not exist"},
		"no right to members": {func(m map[string]any) { m["/groups/g3/members"] = refusing(403, "insufficientPermissions", "") },
			"read the members of group On call", scopeGroups},
		"nobody can be looked up": {func(m map[string]any) { delete(m, "/users/u1") }, "look up one person", "Users > Read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			checks := connect(t, options(teams(tc.change), query)).Check(t.Context())
			failed := slices.IndexFunc(checks, func(c connectors.Check) bool { return c.Err != nil })
			if tc.failed == "" {
				if failed >= 0 || len(checks) != 6 || !strings.Contains(checks[5].Detail, "Directory Sync is off") {
					t.Errorf("checks %+v", checks)
				}
				return
			}
			if failed < 0 || checks[failed].Name != tc.failed || !strings.Contains(checks[failed].Err.Error(), tc.remedy) {
				t.Errorf("checks %+v, want %q to fail with %q", checks, tc.failed, tc.remedy)
			}
		})
	}
}
