package keycloak

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// FuzzListings holds that any answers of Keycloak end in as many people and groups as they name, or in an error and nobody.
func FuzzListings(f *testing.F) {
	for _, s := range []struct {
		users, groups, members string
		count                  int
	}{
		{array(user("u1", ""), user("u2", `,"attributes":{"phoneNumber":["1"]}`)), `[{"id":"g1","path":"/ops","subGroupCount":0}]`, array(user("u1", "")), 2},
		{array(user("u1", `,"enabled":null`)), `[{"id":"g1","path":"/a","subGroups":[{"id":"g2","path":"/a/b","subGroups":[]}]}]`, "[]", 1},
		{array(user("u1", "")), `[{"id":"g1","path":"a//b","subGroupCount":1}]`, `{}`, 3},
		{`[{"id":"1","username":"service-account-x","enabled":true}]`, "null", "null", 0},
		{`[null]`, `[{}]`, `[{"id":1}]`, -1},
	} {
		f.Add(s.users, s.groups, s.members, s.count)
	}
	f.Fuzz(func(t *testing.T, users, groups, members string, count int) {
		server := &realm{answers: map[string]any{
			"/users": users, "/users/count": strconv.Itoa(count), "/groups": groups, "/groups/g1/members": members, "/groups/g1/children": "[]",
		}}
		c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
		snap, err := c.Fetch(t.Context())
		if err != nil {
			if len(snap.Users)+len(snap.Groups) > 0 || strings.Contains(err.Error(), "panic") {
				t.Errorf("%v, beside %d people", err, len(snap.Users))
			}
			return
		}
		var listed []struct{ Username string }
		if err := json.Unmarshal([]byte(users), &listed); err != nil {
			t.Fatal(err)
		}
		people := 0
		for _, u := range listed {
			if !strings.HasPrefix(u.Username, "service-account-") {
				people++
			}
		}
		if len(snap.Users) != people || len(listed) < count {
			t.Errorf("%s are %d people, of %d counted; read were %d", users, people, count, len(snap.Users))
		}
		var tops []struct{}
		if err := json.Unmarshal([]byte(groups), &tops); err != nil || len(snap.Groups) < len(tops) {
			t.Errorf("%s has %d groups, read were %d, %v", groups, len(tops), len(snap.Groups), err)
		}
	})
}
