package google

import (
	"encoding/json"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// FuzzListings holds that any pages of Google end in everybody whom they name, with their status and their groups, or in
// an error and nobody.
func FuzzListings(f *testing.F) {
	const none = `{"kind":"admin#directory#users"}`
	for _, s := range [][4]string{
		{users(user("u1", `"name":{"givenName":"Ann"},"phones":[{"value":"1","type":"work"}],`), user("u2", `"suspended":true,`)), none,
			groups(aGroup("g1", "Ops", 2)), members(member("USER", "u1"), member("USER", "u2"))},
		{strings.Replace(users(user("u1", "")), "{", `{"nextPageToken":"2",`, 1), users(user("u2", `"archived":true,`)),
			groups(aGroup("g1", "Ops", 1), aGroup("g2", "All", 1)), members(member("CUSTOMER", "c"))},
		{users(user("u1", "")), none, groups(aGroup("g1", "Ops", 2)), members(member("GROUP", "g1"), member("EXTERNAL", ""), member("GROUP", "elsewhere"))},
		{users(user("u1", "")), none, groups(aGroup("g1", "", 0)), members()},
		{strings.TrimSuffix(users(user("u1", ""), user("u2", "")), "}") + `,"Users":[` + user("u1", "") + `]}`, none, groups(), members()},
		{users(user("u1", `"suspended":true,"Suspended":false,`)), none, groups(), members()},
		{`{"kind":"admin#directory#users","USERS":[` + user("u1", "") + `],"nextPageToken":null}`, "null", "[]", "{}"},
	} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	// One connector reads all of them: signing in takes longer than the rest.
	var answers map[string]string
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list := path.Base(r.URL.Path)
		if r.URL.Query().Has("pageToken") {
			list += " again"
		}
		reply(w, answers[list])
	})
	c := connect(f, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(f, "*")}))
	c.rt.pacer.SetBurst(1 << 30)
	f.Fuzz(func(t *testing.T, first, second, listed, inside string) {
		answers = map[string]string{
			"token": `{"access_token":"t0ken","token_type":"Bearer","expires_in":3599}`,
			"users": first, "users again": second, "groups": listed, "members": inside,
		}
		snap, err := c.Fetch(t.Context())
		if err != nil {
			if len(snap.Users)+len(snap.Groups) > 0 || strings.Contains(err.Error(), "panic") {
				t.Errorf("%v, beside %d people", err, len(snap.Users))
			}
			return
		}
		people, more := named(t, first, "users")
		if more {
			rest, endless := named(t, second, "users")
			if endless {
				t.Error("the second page leads on, and was read as the last one")
			}
			people = append(people, rest...)
		}
		disabled := map[connectors.UserID]bool{}
		for _, p := range people {
			disabled[connectors.UserID(p["id"].(string))] = says(p, "suspended") || says(p, "archived")
		}
		for _, u := range snap.Users {
			if off, there := disabled[u.ID]; !there || off != (u.Status == connectors.StatusDisabled) {
				t.Errorf("%q was read as %s: %s %s", u.ID, u.Status, first, second)
			}
		}
		if len(snap.Users) != len(people) {
			t.Errorf("%d people were read, %d are in %s %s", len(snap.Users), len(people), first, second)
		}
		all, _ := named(t, listed, "groups")
		if len(snap.Groups) != len(all) {
			t.Errorf("%d groups were read, %d are in %s", len(snap.Groups), len(all), listed)
		}
		if len(all) == 0 {
			return
		}
		want := belonging(t, inside, snap.Users)
		for _, g := range snap.Groups {
			if !slices.Equal(g.Members, want) {
				t.Errorf("%q was read with %q, want %q: %s", g.ID, g.Members, want, inside)
			}
		}
	})
}

// belonging are the people whom a listing of members names, all of them where it names the account.
func belonging(t *testing.T, body string, everybody []connectors.User) []connectors.UserID {
	in := map[connectors.UserID]bool{}
	listed, _ := named(t, body, "members")
	for _, m := range listed {
		switch m["type"] {
		case "USER":
			in[connectors.UserID(m["id"].(string))] = true
		case "CUSTOMER":
			for _, u := range everybody {
				in[u.ID] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(in))
}

// named are the elements of a page as somebody reads it who overlooks none: those of every list of that name. more tells
// whether the page leads on.
func named(t *testing.T, body, list string) (elements []map[string]any, more bool) {
	d := json.NewDecoder(strings.NewReader(body))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.EqualFold(name.(string), list):
			of, _ := value.([]any)
			for _, element := range of {
				elements = append(elements, element.(map[string]any))
			}
		case strings.EqualFold(name.(string), "nextPageToken"):
			more = more || value != nil && value != ""
		}
	}
	return elements, more
}

// says tells whether one of an object's members of that name is true.
func says(object map[string]any, name string) bool {
	for n, value := range object {
		if strings.EqualFold(n, name) && value == true {
			return true
		}
	}
	return false
}
