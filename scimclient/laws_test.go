package scimclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestQuotedFiltersReadBackAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "value")
		quoted := quote(s)
		var back string
		if err := json.Unmarshal([]byte(quoted), &back); err != nil || back != s {
			t.Fatalf("%q is quoted as %s: %v", s, quoted, err)
		}
		inner := strings.NewReplacer(`\\`, "", `\"`, "").Replace(quoted[1 : len(quoted)-1])
		if strings.Contains(inner, `"`) {
			t.Fatalf("%s ends the literal early", quoted)
		}
	})
}

// membership is a server that keeps one group and applies each PATCH as sent.
type membership struct {
	t       *rapid.T
	members map[string]bool
	changes []int // of each request
	touched map[string]int
}

func (m *membership) answer(_ int, c call) reply {
	n := 0
	if c.method == http.MethodPatch {
		for _, raw := range c.body["Operations"].([]any) {
			op := raw.(map[string]any)
			path := op["path"].(string)
			switch op["op"] {
			case "add":
				for _, v := range op["value"].([]any) {
					id := v.(map[string]any)["value"].(string)
					m.members[id] = true
					m.touched[id]++
					n++
				}
			case "remove":
				literal := strings.TrimSuffix(strings.TrimPrefix(path, "members[value eq "), "]")
				var id string
				if err := json.Unmarshal([]byte(literal), &id); err != nil {
					m.t.Fatalf("path %s: %v", path, err)
				}
				delete(m.members, id)
				m.touched[id]++
				n++
			}
		}
		m.changes = append(m.changes, n)
	}
	var list []string
	for id := range m.members {
		list = append(list, id)
	}
	return ok(groupJSON("g", list...))
}

func TestEachMembershipChangeIsSentOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z"\\\]/ ]{1,6}`), 0, 450, rapid.ID[string]).Draw(rt, "ids")
		cut := rapid.IntRange(0, len(ids)).Draw(rt, "cut")
		chunk := rapid.IntRange(1, 100).Draw(rt, "chunk")
		add, remove := ids[:cut], ids[cut:]
		m := &membership{t: rt, members: map[string]bool{"stays": true}, touched: map[string]int{}}
		for _, id := range remove {
			m.members[id] = true
		}
		c, _ := newTestClient(t, m.answer, func(o *Options) { o.MemberChunk = chunk })
		g, err := c.ChangeMembers(t.Context(), "g", add, remove)
		if err != nil {
			rt.Fatal(err)
		}
		if len(g.Members) != len(add)+1 {
			rt.Fatalf("%d members, want %d", len(g.Members), len(add)+1)
		}
		for _, id := range ids {
			if m.touched[id] != 1 {
				rt.Fatalf("%q was sent %d times", id, m.touched[id])
			}
		}
		if len(m.touched) != len(ids) || len(m.changes) != (len(ids)+chunk-1)/chunk || len(ids) > 0 && slices.Max(m.changes) > chunk {
			rt.Fatalf("%d changes in requests of %v, chunk %d", len(ids), m.changes, chunk)
		}
	})
}

func TestIDsTravelAsOneSegment(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.StringN(1, 20, -1).Draw(rt, "id")
		c, f := newTestClient(t, func(int, call) reply {
			data, err := json.Marshal(map[string]any{"id": id, "userName": "u"})
			if err != nil {
				rt.Fatal(err)
			}
			return ok(string(data))
		})
		u, err := c.User(t.Context(), id)
		if err != nil || u.ID != id {
			rt.Fatalf("user %+v, error %v", u, err)
		}
		if strings.Count(f.calls[0].path, "/") != 2 {
			rt.Fatalf("%q goes to %s", id, f.calls[0].path)
		}
	})
}

// FuzzListing holds that any body decodes without panic, and a page has ids and a plausible total.
func FuzzListing(f *testing.F) {
	for _, s := range []string{
		listJSON(1, userJSON("1", "")), listJSON(0), `{"totalResults":"2","resources":[{"id":7,"active":"False","emails":null}],"nextCursor":"x"}`,
		`{"totalResults":1,"Resources":[null]}`, "null", "{}", html, `{"Resources":[]`, scimError(400, "tooMany", "x"),
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
	})
}

// FuzzError holds that any error body gives a short message on one line.
func FuzzError(f *testing.F) {
	for _, s := range []string{scimError(409, "uniqueness", "taken"), `{"detail":["a",1,null]}`, html, "", "null", "[1]", `{"schemas":1,"status":true}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := refusal(request{op: "read user", method: "GET", path: "/Users/1"}, &http.Response{StatusCode: 400}, []byte(s))
		msg := fmt.Sprint(e.Detail)
		if strings.Contains(msg, "\n") || utf8.RuneCountInString(msg) > maxDetail+1 || !utf8.ValidString(msg) {
			t.Errorf("%q gives %q", s, msg)
		}
	})
}

// FuzzResource holds that users and groups decode without panic and never without an id.
func FuzzResource(f *testing.F) {
	for _, s := range []string{
		userJSON("1", `"name":null,"phoneNumbers":[{"value":null},{"value":5}],"meta":{"version":"W/1"}`), groupJSON("1", "a", "b"),
		`{"id":"1","members":[{"$ref":"x/Groups/2","value":"2"},null]}`, `{"ID":1,"ACTIVE":"true"}`, "null", `""`, "{", `{"id":{}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, _, err := decodeUser([]byte(s)); err == nil && u.ID == "" {
			t.Errorf("user %q has no id", s)
		}
		g, _, err := decodeGroup([]byte(s))
		if err == nil && (g.ID == "" || slices.ContainsFunc(g.Members, func(m Member) bool { return m.Value == "" })) {
			t.Errorf("group %q lacks ids: %+v", s, g)
		}
	})
}
