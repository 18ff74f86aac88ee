package scimclient

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

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
