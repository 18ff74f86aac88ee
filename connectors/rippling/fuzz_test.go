package rippling

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// FuzzListings holds that any answers of Rippling end in everybody whom they name, or in an error and nobody.
func FuzzListings(f *testing.F) {
	const user = `{"id":"u1","active":true,"username":"ann@acme.example","emails":[{"value":"ann@acme.example","type":"WORK"}],"phone_numbers":null}`
	const worker = `{"id":"w1","user_id":"u1","status":"ACTIVE","number":7,"start_date":"2020-01-01","teams_id":["t1"]}`
	const none = `{"results":[]}`
	for _, s := range [][3]string{
		{`{"results":[` + user + `]}`, `{"results":[` + worker + `]}`, `{"results":[{"id":"t1","name":"Ops"}]}`},
		{`{"results":[` + user + `],"next_link":"/users?cursor=x"}`, none, none},
		{`{"results":[{"id":"u1","active":false}]}`, `{"results":[{"id":"w1","user_id":"u2","status":"HIRED"}]}`, `{"results":[{"id":"t1","parent_id":"t1"}]}`},
		{`{"results":[null]}`, "null", `{"results":[{"id":"t1"}],"__meta":{"redacted_fields":[{"name":"name.x","reason":""}]}}`},
		{`{"results":[` + user + `,{"id":"u2","active":true}],"Results":[` + user + `]}`, none, none},
		{none, `{"results":[` + worker + `,` + worker + `]}`, "[]"},
		{`{"results":[{"id":"u1","active":true,"username":"a"}]}`, `{"results":[{"id":"w1","user_id":"u1","status":"NEW WORD","teams_id":["t9"]}]}`, none},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, users, workers, teams string) {
		server := &company{answers: map[string]any{"/users": users, "/workers": workers, "/departments": `{"results":[]}`, "/teams": teams}}
		c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
		snap, err := c.Fetch(t.Context())
		if err != nil {
			if len(snap.Users)+len(snap.Groups) > 0 || strings.Contains(err.Error(), "panic") {
				t.Errorf("%v, beside %d people", err, len(snap.Users))
			}
			return
		}
		if got, want := ids(snap.Users), named(t, users); !slices.Equal(got, want) {
			t.Errorf("%s holds %q, read were %q", users, want, got)
		}
		for _, u := range snap.Users {
			if u.Status == "" || u.StatusDetail == "" {
				t.Errorf("half a person: %+v", u)
			}
		}
	})
}

func ids(users []connectors.User) (out []string) {
	for _, u := range users {
		out = append(out, string(u.ID))
	}
	return out
}

// named are the ids of a listing as anybody would read it.
func named(t *testing.T, body string) []string {
	var page map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for name, list := range page {
		var results []map[string]any
		if !strings.EqualFold(name, "results") || json.Unmarshal(list, &results) != nil {
			continue
		}
		for _, r := range results {
			for name, value := range r {
				if strings.EqualFold(name, "id") {
					seen[fmt.Sprint(value)] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
