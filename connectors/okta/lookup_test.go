package okta

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// lookupOrg has one person, who is assigned to the app and in the group SRE.
func lookupOrg(change func(map[string]any)) *org {
	o := groupOrg()
	o.answers["/api/v1/apps/0oa1"] = `{"id":"0oa1","label":"Rootly","status":"ACTIVE"}`
	o.answers["/api/v1/apps/0oa1/users/00u1"] = `{"id":"00u1","status":"ACTIVE","credentials":{"userName":"ada.rootly"}}`
	o.answers["/api/v1/users/00u1"] = user("00u1", "ACTIVE", `"level":3`)
	o.answers["/api/v1/users/00u1/groups"] = array(group("00g4", "BUILT_IN", "Everyone"), group("00g1", "OKTA_GROUP", "SRE"))
	change(o.answers)
	return o
}

func answer404(code, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if code != "" {
			refuse(w, http.StatusNotFound, code, "Not found: Resource not found")
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(body))
	}
}

func TestLookup(t *testing.T) {
	assigned := connectors.Query{Mode: connectors.ScopeAssigned, Attributes: []string{AppUserName, "level"}}
	byName := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"SRE"}}
	byID := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:00g1"}}
	const (
		me, mine, groups = "/api/v1/users/00u1", "/api/v1/apps/0oa1/users/00u1", "/api/v1/users/00u1/groups"
	)
	set := func(path string, answer any) func(map[string]any) {
		return func(m map[string]any) { m[path] = answer }
	}
	tests := map[string]struct {
		query  connectors.Query
		change func(map[string]any)
		want   string // what is found, in words
		err    string // part of the error
		asked  int
	}{
		"assigned":                   {assigned, func(map[string]any) {}, "active assigned ada.rootly", "", 2},
		"assigned and suspended":     {assigned, set(me, user("00u1", "SUSPENDED", "")), "disabled assigned ada.rootly", "", 2},
		"deactivated":                {assigned, set(me, user("00u1", "DEPROVISIONED", "")), "disabled", "", 1},
		"not assigned":               {assigned, set(mine, nil), "active", "", 3},
		"an assignment that is over": {assigned, set(mine, `{"id":"00u1","status":"UNASSIGNED"}`), "active", "", 2},
		"not assigned, no such app": {assigned, func(m map[string]any) {
			delete(m, mine)
			delete(m, "/api/v1/apps/0oa1")
		}, "", "no app has the id 0oa1", 3},
		"not assigned, another app":  {assigned, func(m map[string]any) { delete(m, mine); m["/api/v1/apps/0oa1"] = `{}` }, "", "nothing was concluded", 3},
		"a foreign 404 for the app":  {assigned, set(mine, answer404("", "<html>")), "", "check the org URL", 2},
		"somebody else's assignment": {assigned, set(mine, `{"id":"00u2","status":"ACTIVE"}`), "", "nothing was concluded", 2},

		"in a group by name": {byName, func(map[string]any) {}, "active in scope", "", 3},
		"in a group by id":   {byID, func(map[string]any) {}, "active in scope", "", 3},
		"in no scope group":  {byID, set(groups, array(group("00g4", "BUILT_IN", "Everyone"))), "active", "", 3},
		"in another group of the name": {byName, set(groups, array(group("00g4", "BUILT_IN", "Everyone"), group("00g9", "APP_GROUP", "SRE"))),
			"active", "", 3},
		"in a group, disabled":          {byID, set(me, user("00u1", "SUSPENDED", "")), "disabled in scope", "", 3},
		"active and in no group at all": {byID, set(groups, array()), "", "not even Everyone", 3},
		"disabled and in no group": {byID, func(m map[string]any) {
			m[me], m[groups] = user("00u1", "DEPROVISIONED", ""), array()
		}, "disabled", "", 3},
		"groups that cannot be read": {byID, set(groups, answer404("E0000007", "")), "", "run again", 3},
		"the scope's group is gone":  {byID, set("/api/v1/groups/00g1", nil), "", "does not exist", 2},

		"everybody":            {everybody, func(map[string]any) {}, "active", "", 1},
		"unknown":              {everybody, set(me, answer404("E0000007", "")), "unknown", "", 1},
		"404 of another kind":  {everybody, set(me, answer404("E0000008", "")), "", "404 E0000008 reading user 00u1", 1},
		"404 of a proxy":       {everybody, set(me, answer404("", `{"message":"no route"}`)), "", "check the org URL", 1},
		"an alias for the id":  {everybody, set(me, user("00u2", "ACTIVE", "")), "", `it is about "00u2"`, 1},
		"forbidden":            {everybody, set(me, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "E0000006", "no") }), "", "Read-only Administrator", 1},
		"a panic of the SDK":   {everybody, set(me, func(http.ResponseWriter, *http.Request) { panic("nil pointer") }), "", "panicked", 1},
		"a person half a list": {everybody, set(me, array(user("00u1", "ACTIVE", ""))), "", "nothing was concluded", 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := lookupOrg(tc.change)
			found, err := connect(t, server, tc.query).Lookup(t.Context(), "00u1")
			if server.requests() != tc.asked {
				t.Errorf("%d requests, want %d: %v", server.requests(), tc.asked, server.asked)
			}
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want one with %q", err, tc.err)
				}
				if diff := cmp.Diff(connectors.Found{}, found); diff != "" {
					t.Errorf("found beside the error:\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := inWords(found); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

func inWords(f connectors.Found) string {
	if !f.Known {
		return "unknown"
	}
	words := []string{string(f.User.Status)}
	if f.User.Assigned {
		words = append(words, "assigned")
	}
	if f.InScopeGroup {
		words = append(words, "in scope")
	}
	if name := f.User.Attrs[AppUserName]; name != "" {
		words = append(words, name)
	}
	return strings.Join(words, " ")
}

// A group that is renamed after the Fetch is still the group of the scope.
func TestLookupFollowsARenamedScopeGroup(t *testing.T) {
	server := lookupOrg(func(map[string]any) {})
	c := connect(t, server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"SRE"}})
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	renamed := group("00g1", "OKTA_GROUP", "Reliability")
	server.answers["/api/v1/groups"] = array(renamed)
	server.answers["/api/v1/users/00u1/groups"] = array(group("00g4", "BUILT_IN", "Everyone"), renamed)
	found, err := c.Lookup(t.Context(), "00u1")
	if err != nil || !found.InScopeGroup {
		t.Errorf("%+v, %v", found, err)
	}
}

// Okta is free to answer a person's groups in pages.
func TestLookupReadsEveryPageOfGroups(t *testing.T) {
	server := lookupOrg(func(m map[string]any) {
		m["/api/v1/users/00u1/groups"] = func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("after") == "x" {
				reply(w, array(group("00g1", "OKTA_GROUP", "SRE")))
				return
			}
			w.Header().Set("Link", `<https://acme.okta.com/api/v1/users/00u1/groups?after=x>; rel="next"`)
			reply(w, array(group("00g4", "BUILT_IN", "Everyone")))
		}
	})
	c := connect(t, server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:00g1"}})
	found, err := c.Lookup(t.Context(), "00u1")
	if err != nil || !found.InScopeGroup {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestMembers(t *testing.T) {
	tests := map[string]struct {
		answer any
		want   []connectors.UserID
		known  bool
		err    string
	}{
		"sorted":           {array(user("00u2", "ACTIVE", ""), user("00u1", "SUSPENDED", "")), []connectors.UserID{"00u1", "00u2"}, true, ""},
		"nobody":           {array(), nil, true, ""},
		"no such group":    {nil, nil, false, ""},
		"404 of a proxy":   {answer404("", "not found"), nil, false, "check the org URL"},
		"a person twice":   {array(user("00u1", "ACTIVE", ""), user("00u1", "ACTIVE", "")), nil, false, "page repeated"},
		"somebody unnamed": {`[{"status":"ACTIVE"}]`, nil, false, "nothing was concluded"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := lookupOrg(func(m map[string]any) { m["/api/v1/groups/00g1/users"] = tc.answer })
			members, known, err := connect(t, server, everybody).Members(t.Context(), "00g1")
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want one with %q", err, tc.err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if known != tc.known || !slices.Equal(members, tc.want) {
				t.Errorf("members %v, known %v; want %v, %v", members, known, tc.want, tc.known)
			}
		})
	}
}

// A group to push that a proxy hides behind its own 404 is not taken for deleted.
func TestForeign404OfAPushedGroupFailsTheRead(t *testing.T) {
	server := lookupOrg(func(m map[string]any) { m["/api/v1/groups/00g2"] = answer404("", "not found") })
	_, err := connect(t, server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "id:00g2")}).Fetch(t.Context())
	if e, ok := errors.AsType[*connectors.Error](err); !ok || e.Status != http.StatusNotFound {
		t.Errorf("error %v", err)
	}
}

func TestEndpoints(t *testing.T) {
	tests := map[string]endpoint{
		"users":                {"listing the users", "users", true, "okta.users.read", ""},
		"users/00u1":           {"reading user 00u1", "users/*", false, "okta.users.read", ""},
		"users/00u1/groups":    {"listing the groups of user 00u1", "users/*/groups", true, "okta.users.read", ""},
		"groups":               {"listing the groups", "groups", true, "okta.groups.read", ""},
		"groups/00g1":          {"reading group 00g1", "groups/*", false, "okta.groups.read", ""},
		"groups/00g1/users":    {"listing the members of group 00g1", "groups/*/users", true, "okta.groups.read", ""},
		"groups/a%2Fb":         {"reading group a%2Fb", "groups/*", false, "okta.groups.read", ""},
		"apps/0oa1":            {"reading app 0oa1", "apps/*", false, "okta.apps.read", "0oa1"},
		"apps/0oa1/users":      {"listing the users of app 0oa1", "apps/*/users", true, "okta.apps.read", "0oa1"},
		"apps/0oa1/users/00u1": {"reading the assignment of user 00u1 to app 0oa1", "apps/*/users/*", false, "okta.apps.read", "0oa1"},
	}
	for path, want := range tests {
		if got := endpointOf("/api/v1/" + path); got != want {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
}
