package scimclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// FuzzListing holds that any body is a page with everybody who is in it, or an error: a page that lost somebody would read
// as a leaver.
func FuzzListing(f *testing.F) {
	for _, s := range []string{
		listJSON(1, userJSON("1", "")), listJSON(0), `{"totalResults":"2","resources":[{"id":7,"active":"False","emails":null}],"nextCursor":"x"}`,
		`{"totalResults":1,"Resources":[null]}`, "null", "{}", html, `{"Resources":[]`, scimError(400, "tooMany", "x"),
		`{"Resources":[{"id":"1"}],"resources":[],"totalResults":1}`, `{"totalResults":1e2,"Resources":null}`, `{"totalResults":0} {}`,
		`{"Resources":[{"id":"1"},{"id":"2"}],"Resources":[{"id":"3"}],"totalResults":3}`, `{"totalResults":-1,"totalResults":1,"Resources":[]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := decodePage(strings.NewReader(s), decodeUser)
		if err != nil {
			return
		}
		if p.total < -1 {
			t.Errorf("%q announces %d", s, p.total)
		}
		for _, u := range p.rows {
			if u.ID == "" {
				t.Errorf("%q has a user without id", s)
			}
		}
		lists := 0
		var plain map[string]json.RawMessage
		if err := json.Unmarshal([]byte(s), &plain); err != nil {
			t.Fatalf("%q is a page and no JSON object: %v", s, err)
		}
		for name, raw := range plain {
			var list []any
			if !strings.EqualFold(name, "Resources") || json.Unmarshal(raw, &list) != nil {
				continue
			}
			if lists += len(list); len(p.rows) < lists {
				t.Errorf("%q has %d resources, read were %d", s, lists, len(p.rows))
			}
		}
	})
}

// FuzzError holds that any error body gives a short message on one line.
func FuzzError(f *testing.F) {
	for _, s := range []string{scimError(409, "uniqueness", "taken"), `{"detail":["a",1,null]}`, html, "", "null", "[1]", `{"schemas":1,"status":true}`, testToken,
		`{"detail":"\u001b[2Jgone","scimType":"a\nb"}`, `{"detail":"s3cret\u002dtoken"}`, `{"schemas":["` + errorURN + `"],"scimType":"` + testToken + `"}`} {
		f.Add(s, 400)
		f.Add(s, 302)
	}
	f.Fuzz(func(t *testing.T, s string, status int) {
		e := refusal(request{op: "read user", method: "GET", path: "/Users/1"}, &http.Response{StatusCode: status}, []byte(s))
		if utf8.RuneCountInString(e.Detail) > maxDetail+1 || utf8.RuneCountInString(e.ScimType) > maxDetail+1 {
			t.Errorf("%q gives %q, %q", s, e.ScimType, e.Detail)
		}
		msg := fmt.Sprint(e)
		if !utf8.ValidString(msg) || strings.ContainsFunc(msg, unicode.IsControl) {
			t.Errorf("%q gives %q", s, msg)
		}
	})
}

// FuzzResource holds that users and groups decode without panic, never without an id, and with everybody who is in them.
func FuzzResource(f *testing.F) {
	for _, s := range []string{
		userJSON("1", `"name":null,"phoneNumbers":[{"value":null},{"value":5}],"meta":{"version":"W/1"}`), groupJSON("1", "a", "b"),
		`{"id":"1","members":[{"$ref":"x/Groups/2","value":"2"},null]}`, `{"ID":1,"ACTIVE":"true"}`, "null", `""`, "{", `{"id":{}}`,
		`{"id":"1","active":"false","active":true,"` + userURN + `":{"x":[1,{"value":"y"}]}}`,
	} {
		f.Add(s)
	}
	keeping := decodeWith([]string{"name.formatted", userURN + ":x", "emails", "active"})
	f.Fuzz(func(t *testing.T, s string) {
		u, whole, err := decodeUser([]byte(s))
		if err == nil && u.ID == "" {
			t.Errorf("user %q has no id", s)
		}
		kept, wholeToo, err2 := keeping([]byte(s))
		kept.Attributes = nil
		if (err == nil) != (err2 == nil) || err == nil && (whole != wholeToo || fmt.Sprint(u) != fmt.Sprint(kept)) {
			t.Errorf("%q is %+v, %v, and with attributes %+v, %v", s, u, err, kept, err2)
		}
		g, _, err := decodeGroup([]byte(s))
		if err == nil && (g.ID == "" || slices.ContainsFunc(g.Members, func(m Member) bool { return m.Value == "" })) {
			t.Errorf("group %q lacks ids: %+v", s, g)
		}
	})
}

// inProcess carries requests to a handler without a socket.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	p.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

// FuzzFilter holds that a filter for a name, read by another parser on the other side of a URL, finds the group of exactly
// that name, whatever stands in it.
func FuzzFilter(f *testing.F) {
	for _, s := range [][2]string{
		{"oncall", "oncall2"}, {`a" or displayName eq "b`, "b"}, {`\`, `\\`}, {"a\tb\n", "a b"}, {"é", "é"}, {"a+b&filter=x%22", "a b"}, {"<script>\u2028", "\u2029"}, {"\x00", "\\u0000"}, {"😀", "\ufffd"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, name, other string) {
		if !utf8.ValidString(name) || !utf8.ValidString(other) || len(name)+len(other) > 1000 {
			return // not JSON, or longer than a URL may be
		}
		server := sim.NewSCIM(sim.SCIMOptions{DuplicateGroups: true})
		c, err := New(Options{BaseURL: "https://rootly.example" + sim.SCIMBase, Token: func() string { return sim.DefaultSCIMToken }, Transport: inProcess{server}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		key, want := strings.ToLower(name), map[string]bool{} // the server compares so, which is not quite folding
		for _, n := range []string{name, other, name + other, "decoy"} {
			g, err := c.CreateGroup(t.Context(), Group{DisplayName: n})
			if err != nil {
				return // a name that the server does not take as it is
			}
			if strings.ToLower(g.DisplayName) == key {
				want[g.ID] = true
			}
		}
		hits, _, err := c.groups.list(t.Context(), "find group", "displayName eq "+quote(name))
		if err != nil {
			t.Fatalf("a filter for %q: %v", name, err)
		}
		for _, g := range hits {
			if !want[g.ID] {
				t.Errorf("a filter for %q finds %q", name, g.DisplayName)
			}
			delete(want, g.ID)
		}
		if len(want) > 0 {
			t.Errorf("a filter for %q does not find it", name)
		}
	})
}
