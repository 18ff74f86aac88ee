package scim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// FuzzDirectory holds that any listings of a SCIM server end in everybody whom they name, or in an error and nobody.
func FuzzDirectory(f *testing.F) {
	const ann = `{"id":"1","userName":"ann@acme.example","active":true,"emails":[{"value":"a@acme.example","primary":"True"}]}`
	for _, s := range [][2]string{
		{`{"totalResults":1,"Resources":[` + ann + `]}`, `{"totalResults":1,"Resources":[{"id":"g","displayName":"ops","members":[{"value":"1"}]}]}`},
		{`{"totalResults":1,"Resources":[` + ann + `]}`, `{"totalResults":2,"Resources":[{"id":"g","displayName":"ops"},{"id":"h","displayName":"x","members":[{"value":"g","type":"Group"}]}]}`},
		{`{"totalResults":2,"Resources":[` + ann + `,` + ann + `]}`, `{"totalResults":0}`},
		{`{"totalResults":1,"Resources":[{"id":"1","userName":"","active":"false"}]}`, `{"totalResults":0,"Resources":[]}`},
		{`{"totalResults":1,"resources":[{"ID":2,"username":"b","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":["x",{"value":1}]}}]}`, "null"},
		{`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"200"}`, `{}`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, users, groups string) {
		if strings.Contains(strings.ToLower(users+groups), "cursor") {
			return // the fake has one page
		}
		server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/scim+json")
			switch r.URL.Path {
			case sim.DirectoryBase + "/Users":
				fmt.Fprint(w, users)
			case sim.DirectoryBase + "/Groups":
				fmt.Fprint(w, groups)
			default:
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprint(w, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404"}`)
			}
		})
		c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}))
		defer c.Close()
		snap, err := c.Fetch(t.Context())
		if err != nil {
			if len(snap.Users)+len(snap.Groups) > 0 || strings.Contains(err.Error(), "panic") {
				t.Errorf("%v, beside %d people", err, len(snap.Users))
			}
			return
		}
		if want := named(t, users); !slices.Equal(idsIn(snap.Users), want) {
			t.Errorf("%s names %q, read were %q", users, want, idsIn(snap.Users))
		}
		for _, u := range snap.Users {
			if u.UserName == "" || u.Status == "" {
				t.Errorf("half a person: %+v", u)
			}
		}
	})
}

// named are the ids of a listing as anybody would read it, without those that come as something else than text.
func named(t *testing.T, body string) (ids []connectors.UserID) {
	var page map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		t.Fatal(err)
	}
	for name, raw := range page {
		if !strings.EqualFold(name, "Resources") {
			continue
		}
		var rows []struct{ ID any }
		if err := json.Unmarshal(raw, &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			ids = append(ids, connectors.UserID(fmt.Sprint(r.ID)))
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
