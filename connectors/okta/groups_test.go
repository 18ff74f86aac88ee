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

// groupOrg has two groups of one name, one from an application beside Okta's own, and Everyone.
func groupOrg() *org {
	return &org{answers: map[string]any{
		"/api/v1/groups": array(group("00g1", "OKTA_GROUP", "SRE"), group("00g2", "OKTA_GROUP", "oncall-db"),
			group("00g3", "APP_GROUP", "oncall-db"), group("00g4", "BUILT_IN", "Everyone")),
		"/api/v1/groups/00g1":       group("00g1", "OKTA_GROUP", "SRE"),
		"/api/v1/groups/00g2":       group("00g2", "OKTA_GROUP", "oncall-db"),
		"/api/v1/groups/00gOdd":     group("00g1", "OKTA_GROUP", "SRE"),
		"/api/v1/groups/00gBare":    `{"id":"00gBare"}`,
		"/api/v1/groups/00gNull":    `null`,
		"/api/v1/groups/00gList":    `[]`,
		"/api/v1/groups/00g1/users": array(user("00u2", "ACTIVE", ""), user("00u1", "DEPROVISIONED", "")),
		"/api/v1/groups/00g2/users": array(user("00u2", "ACTIVE", ""), user("00u3", "ACTIVE", "")),
		"/api/v1/groups/00g3/users": array(),
		"/api/v1/groups/00g4/users": array(user("00u1", "ACTIVE", ""), user("00u2", "ACTIVE", ""), user("00u3", "ACTIVE", "")),
		"/api/v1/users":             array(),
	}}
}

func TestScopeGroups(t *testing.T) {
	tests := map[string]struct {
		groups []string
		push   []string
		people []connectors.UserID
		found  []connectors.Group
		err    string // part of the error
		asked  int
	}{
		"by name": {groups: []string{" SRE "}, people: []connectors.UserID{"00u1", "00u2"}, asked: 2,
			found: []connectors.Group{{ID: "00g1", Name: "SRE", Scope: true, Members: []connectors.UserID{"00u1", "00u2"}}}},
		"by id, without listing all": {groups: []string{"id:00g1"}, push: []string{"id:00g2", "id:00gGone"},
			people: []connectors.UserID{"00u1", "00u2"}, asked: 5,
			found: []connectors.Group{
				{ID: "00g1", Name: "SRE", Scope: true, Members: []connectors.UserID{"00u1", "00u2"}},
				{ID: "00g2", Name: "oncall-db", Members: []connectors.UserID{"00u2", "00u3"}},
			}},
		"by id and pushed by pattern": {groups: []string{"id:00g1", "id:00g2"}, push: []string{"ONCALL-*"},
			people: []connectors.UserID{"00u1", "00u2", "00u3"}, asked: 4,
			found: []connectors.Group{
				{ID: "00g1", Name: "SRE", Scope: true, Members: []connectors.UserID{"00u1", "00u2"}},
				{ID: "00g2", Name: "oncall-db", Scope: true, Members: []connectors.UserID{"00u2", "00u3"}},
				{ID: "00g3", Name: "oncall-db"},
			}},
		"a name twice":               {groups: []string{"oncall-db"}, err: "id:00g2 or id:00g3"},
		"a name unknown":             {groups: []string{"sre"}, err: `"sre" does not exist`},
		"an id unknown":              {groups: []string{"id:00gGone"}, err: "id:00gGone does not exist"},
		"an id unknown, listed":      {groups: []string{"id:00gGone", "SRE"}, err: "id:00gGone does not exist"},
		"another group for the id":   {groups: []string{"id:00gOdd"}, err: "nothing was concluded"},
		"a group without a name":     {groups: []string{"id:00gBare"}, err: "nothing was concluded"},
		"null for a group":           {groups: []string{"id:00gNull"}, err: "nothing was concluded"},
		"a list for a group":         {groups: []string{"id:00gList"}, err: "nothing was concluded"},
		"an id that is half a query": {groups: []string{"id:../users?x=1#"}, err: "does not exist"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := groupOrg()
			q := connectors.Query{Mode: connectors.ScopeGroups, Groups: tc.groups, Push: patterns(t, tc.push...)}
			snap, err := connect(t, server, q).Fetch(t.Context())
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var people []connectors.UserID
			for _, u := range snap.Users {
				people = append(people, u.ID)
			}
			if !slices.Equal(people, tc.people) {
				t.Errorf("people %v, want %v", people, tc.people)
			}
			if diff := cmp.Diff(tc.found, snap.Groups); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
			if server.requests() != tc.asked {
				t.Errorf("%d requests, want %d: %v", server.requests(), tc.asked, server.asked)
			}
		})
	}
}

func TestEveryoneIsPushedOnlyByName(t *testing.T) {
	for push, want := range map[string]int{"*": 3, "every*": 0, "everyone": 1, "id:00g4": 1} {
		t.Run(push, func(t *testing.T) {
			server := groupOrg()
			server.answers["/api/v1/groups/00g4"] = group("00g4", "BUILT_IN", "Everyone")
			snap, err := connect(t, server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, push)}).Fetch(t.Context())
			if err != nil || len(snap.Groups) != want {
				t.Errorf("%d groups, want %d, %v", len(snap.Groups), want, err)
			}
		})
	}
}

// A group that is deleted between the listing and its reading must not look as if it were empty.
func TestVanishedGroupFailsTheRead(t *testing.T) {
	server := groupOrg()
	delete(server.answers, "/api/v1/groups/00g2/users")
	_, err := connect(t, server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}).Fetch(t.Context())
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok || e.Status != http.StatusNotFound || !strings.Contains(err.Error(), "members of group 00g2") {
		t.Errorf("error %v", err)
	}
}
