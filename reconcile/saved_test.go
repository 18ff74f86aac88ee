package reconcile

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// busy is a world in which nearly every verb is planned: two people, a rename chain, members in and out, a held leaver.
func busy() *world {
	w := newWorld().synced(names("p", 12)...).leave("p10").
		directory(staff("new"), staff("zoe")).
		rootly(account("zoe")).touch(func(u *scimclient.User) { u.ExternalID = "" }).
		group("oncall-a", "p00", "p01", "new", "zoe").rootlyGroup("oncall-a", "p01", "p02", "p03").linkedGroup("oncall-a", "p01", "p02", "p03").
		group("oncall-b", "p04", "new")
	w.in.snapshot.Users[5].FamilyName = "Smith"
	// p06 gets another address, and somebody new the one that this frees.
	w.in.snapshot.Users[6].UserName = "six@acme.com"
	return w.directory(staff("heir")).change(func(u *connectors.User) { u.UserName = "p06@acme.com" })
}

func planOf(t testing.TB, w *world) Plan {
	t.Helper()
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	p.Source, p.Target = "test:acme", "https://rootly.example/scim"
	return p
}

// saved is the plan as it comes back from its file.
func saved(t testing.TB, p Plan) Plan {
	t.Helper()
	var b bytes.Buffer
	if err := SavePlan(&b, p); err != nil {
		t.Fatal(err)
	}
	out, err := LoadPlan(&b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestASavedPlanIntersectedWithItselfIsWhole(t *testing.T) {
	p := planOf(t, busy())
	kept, dropped, err := p.Intersect(saved(t, p))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lines(p), lines(kept)); diff != "" || len(dropped) > 0 {
		t.Errorf("plan (-fresh +kept):\n%s\ndropped: %v", diff, dropped)
	}
	if kept.partial || kept.Writes != p.Writes {
		t.Errorf("partial %v with %d writes, want the whole cycle with %d", kept.partial, kept.Writes, p.Writes)
	}
}

func TestIntersect(t *testing.T) {
	base := func() *world {
		return newWorld().synced("ann", "bob", "eve").
			group("oncall-a", "ann").rootlyGroup("oncall-a", "ann").linkedGroup("oncall-a", "ann")
	}
	member := func(w *world, name string) *world {
		g := &w.in.snapshot.Groups[0]
		g.Members = append(g.Members, connectors.UserID("u-"+name))
		return w
	}
	rename := func(w *world, to string) *world { w.in.snapshot.Users[1].DisplayName = to; return w }
	without := func(p Plan, key string) Plan {
		p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return c.Key() == key })
		return p
	}
	tests := map[string]struct {
		fresh   *world
		before  *world          // what the saved plan was made of
		edit    func(Plan) Plan // what was done to the file
		want    []string
		dropped []string
		whole   bool
	}{
		"a change that came later waits for another plan": {
			before: rename(base(), "Bob"), fresh: rename(base(), "Bob").directory(staff("new")),
			want: []string{`update bob@acme.com: displayName "Bob Jones"→"Bob" (changed in the directory)`}, dropped: []string{"create user new@acme.com (not in the saved plan)"},
		},
		"a value that is another by now": {
			before: rename(base(), "Bob"), fresh: rename(base(), "Robert"),
			dropped: []string{`update user bob@acme.com (differs now: displayName "Bob Jones" → "Robert", in the saved plan "Bob Jones" → "Bob")`},
		},
		"what is done already is no longer needed": {
			before: rename(base(), "Bob"), fresh: base(),
			dropped: []string{"update user bob@acme.com (no longer needed)"}, whole: true,
		},
		"members are kept one by one": {
			before: member(member(base(), "bob"), "gone"), fresh: member(member(base(), "bob"), "eve"),
			want:    []string{"add oncall-a: bob@acme.com (changed in the directory)"},
			dropped: []string{"add group oncall-a: eve@acme.com (not in the saved plan)"},
		},
		"a group without the person whose account is not made": {
			before: member(member(base(), "bob"), "new").directory(staff("new")), fresh: member(member(base(), "bob"), "new").directory(staff("new")),
			edit:    func(p Plan) Plan { return without(p, "create user u-new") },
			want:    []string{"add oncall-a: bob@acme.com (changed in the directory)"},
			dropped: []string{"create user new@acme.com (not in the saved plan)", "add group oncall-a: new@acme.com (waits for an account that is not made or taken over)"},
		},
		"members of a group that is not made": {
			before: base().group("oncall-b", "bob"), fresh: base().group("oncall-b", "bob"),
			edit:    func(p Plan) Plan { return without(p, "create group g-oncall-b") },
			dropped: []string{"create group oncall-b (not in the saved plan)", "add group oncall-b: bob@acme.com (waits for a change that is not applied)"},
		},
		"what was held when the plan was saved": {
			before: newWorld().synced(names("p", 8)...).leave("p00", "p01", "p02", "p03"),
			fresh:  newWorld().synced(names("p", 8)...).leave("p00"),
			dropped: []string{
				"deactivate user p00@acme.com (held back in the saved plan)",
			},
		},
		"what is held by now": {
			before:  newWorld().synced(names("p", 8)...).leave("p00"),
			fresh:   newWorld().synced(names("p", 8)...).leave("p00", "p01", "p02", "p03"),
			want:    []string{"held deactivate p00@acme.com (disabled)", "held deactivate p01@acme.com (disabled)", "held deactivate p02@acme.com (disabled)", "held deactivate p03@acme.com (disabled)"},
			dropped: []string{"deactivate user p00@acme.com (held back now: 4 of 8 managed people would be deactivated; at most 3 may within a day)"}, whole: true,
		},
		"another account of the same person": {
			before: rename(base(), "Bob"), fresh: rename(base(), "Bob"),
			edit: func(p Plan) Plan {
				p.Changes = slices.Clone(p.Changes)
				p.Changes[0].Object.Target = "t-eve"
				return p
			},
			dropped: []string{"update user bob@acme.com (differs now: it is about t-bob in Rootly, in the saved plan about t-eve)"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := saved(t, planOf(t, tc.before))
			if tc.edit != nil {
				s = tc.edit(s)
			}
			kept, dropped, err := planOf(t, tc.fresh).Intersect(s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(kept)); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			var got []string
			for _, d := range dropped {
				got = append(got, d.String())
			}
			if diff := cmp.Diff(tc.dropped, got); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
			if kept.partial == tc.whole {
				t.Errorf("partial is %v", kept.partial)
			}
		})
	}
}

func TestIntersectRefusesAnotherDirectoryOrTarget(t *testing.T) {
	p := planOf(t, busy())
	for name, edit := range map[string]func(p *Plan){
		"directory": func(p *Plan) { p.Source = "test:globex" },
		"target":    func(p *Plan) { p.Target = "https://rootly.example/other" },
	} {
		other := p
		edit(&other)
		if _, _, err := p.Intersect(other); !errors.Is(err, ErrOtherPlan) {
			t.Errorf("another %s: got %v", name, err)
		}
	}
}

// Whatever somebody writes into a saved plan, applying it does a part of what the fresh plan does.
func TestAnEditedPlanCanOnlyDoLess(t *testing.T) {
	fresh := planOf(t, busy())
	original := saved(t, fresh)
	someone := rapid.SampledFrom([]Ref{
		{Kind: KindUser, Source: "u-p00", Target: "t-p00", Name: "p00@acme.com"}, {Kind: KindUser, Source: "u-new", Name: "new@acme.com"},
		{Kind: KindGroup, Source: "g-oncall-a", Target: "tg-oncall-a", Name: "oncall-a"}, {Kind: KindUser, Target: "t-stranger", Name: "stranger@acme.com"},
	})
	edits := map[string]func(rt *rapid.T, p *Plan, c *Change){
		"remove": func(rt *rapid.T, p *Plan, c *Change) {
			i := rapid.IntRange(0, len(p.Changes)-1).Draw(rt, "which")
			p.Changes = slices.Delete(slices.Clone(p.Changes), i, i+1)
		},
		"twice":       func(rt *rapid.T, p *Plan, c *Change) { p.Changes = append(p.Changes, *c) },
		"free a held": func(rt *rapid.T, p *Plan, c *Change) { p.Changes, p.Held = append(p.Changes, p.Held...), nil },
		"hold":        func(rt *rapid.T, p *Plan, c *Change) { p.Held = append(p.Held, *c) },
		"verb":        func(rt *rapid.T, p *Plan, c *Change) { c.Verb = rapid.SampledFrom(verbs).Draw(rt, "verb") },
		"object":      func(rt *rapid.T, p *Plan, c *Change) { c.Object = someone.Draw(rt, "object") },
		"fields":      func(rt *rapid.T, p *Plan, c *Change) { c.Fields = nil },
		"another to": func(rt *rapid.T, p *Plan, c *Change) {
			c.Fields = []Field{{Name: "userName", From: "a", To: "evil@acme.com"}}
		},
		"after": func(rt *rapid.T, p *Plan, c *Change) { c.After = nil },
		"member": func(rt *rapid.T, p *Plan, c *Change) {
			c.Members = append(slices.Clone(c.Members), Membership{User: someone.Draw(rt, "member")})
		},
		"fewer":        func(rt *rapid.T, p *Plan, c *Change) { c.Members = c.Members[min(len(c.Members), 1):] },
		"unhold":       func(rt *rapid.T, p *Plan, c *Change) { c.Held, c.Set, c.Spends = "", "", nil },
		"other owners": func(rt *rapid.T, p *Plan, c *Change) { p.Sets, p.Objections, p.Notes = nil, nil, nil },
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := original
		s.Changes = slices.Clone(original.Changes)
		for range rapid.IntRange(0, 6).Draw(rt, "edits") {
			if len(s.Changes) == 0 {
				break
			}
			name := rapid.SampledFrom(sortedKeys(edits)).Draw(rt, "edit")
			edits[name](rt, &s, &s.Changes[rapid.IntRange(0, len(s.Changes)-1).Draw(rt, "change")])
		}
		kept, dropped, err := fresh.Intersect(s)
		if err != nil {
			rt.Fatal(err)
		}
		checkDoesLess(rt, fresh, kept, dropped)
	})
}

// checkDoesLess holds that kept is a part of fresh in every respect, and that nothing of it vanishes without a word.
func checkDoesLess(t interface{ Fatalf(string, ...any) }, fresh, kept Plan, dropped []Dropped) {
	byKey := map[string]Change{}
	for _, c := range fresh.Changes {
		byKey[c.Key()] = c
	}
	made := map[string]bool{}
	for _, c := range kept.Changes {
		was, ok := byKey[c.Key()]
		if !ok {
			t.Fatalf("%s is not in the fresh plan", c.Key())
		}
		if diff := cmp.Diff(was.Fields, c.Fields); diff != "" || c.Object != was.Object || !slices.Equal(c.After, was.After) || c.user != was.user || c.record != was.record || c.group != was.group {
			t.Fatalf("%s is not the fresh plan's: %s", c.Key(), diff)
		}
		for axis, n := range c.Spends {
			if n > was.Spends[axis] {
				t.Fatalf("%s spends %d of %s, the fresh one %d", c.Key(), n, axis, was.Spends[axis])
			}
		}
		for _, m := range c.Members {
			if !slices.Contains(was.Members, m) {
				t.Fatalf("%s has the member %v, the fresh one has not", c.Key(), m)
			}
			if c.Verb == VerbAdd && m.User.Target == "" && !slices.ContainsFunc(kept.Changes, func(o Change) bool { return o.Object.id() == m.User.id() }) {
				t.Fatalf("%s adds %s, who has no account", c.Key(), m.User.Name)
			}
		}
		for _, k := range c.After {
			if !slices.ContainsFunc(kept.Changes, func(o Change) bool { return o.Key() == k }) {
				t.Fatalf("%s waits for %s, which is dropped", c.Key(), k)
			}
		}
		made[c.Key()] = true
	}
	// Nothing of the fresh plan vanishes without a word.
	for _, c := range fresh.Changes {
		said := slices.ContainsFunc(dropped, func(d Dropped) bool { return d.Change.Key() == c.Key() })
		if !made[c.Key()] && !said {
			t.Fatalf("%s is neither kept nor dropped", c.Key())
		}
	}
	if diff := cmp.Diff(lines(Plan{Held: fresh.Held}), lines(Plan{Held: kept.Held})); diff != "" || len(kept.Sets) != len(fresh.Sets) || len(kept.Objections) != len(fresh.Objections) {
		t.Fatalf("what is held is not the fresh plan's: %s", diff)
	}
	if kept.partial != (writesAll(kept) < writesAll(fresh)) {
		t.Fatalf("partial is %v", kept.partial)
	}
}

// writesAll counts changes and members.
func writesAll(p Plan) int {
	n := len(p.Changes)
	for _, c := range p.Changes {
		n += len(c.Members)
	}
	return n
}

func TestLoadPlanIsStrict(t *testing.T) {
	var b bytes.Buffer
	if err := SavePlan(&b, planOf(t, busy())); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	first := strings.Index(good, `"verb"`)
	tests := map[string]struct{ file, want string }{
		"empty":             {"", "no complete JSON document"},
		"cut short":         {good[:len(good)/2], "no complete JSON document"},
		"something after":   {good + "{}", "no complete JSON document"},
		"another version":   {strings.Replace(good, "plan/v1", "plan/v2", 1), `"rootly-idp-sync/plan/v2"`},
		"no format":         {`{"changes":[]}`, `format is ""`},
		"an unknown field":  {good[:first] + `"force": true, ` + good[first:], `unknown field "force"`},
		"a change twice":    {`{"format":"rootly-idp-sync/plan/v1","changes":[{"verb":"create","object":{"kind":"user","source":"u1"}},{"verb":"create","object":{"kind":"user","source":"u1"}}]}`, "twice"},
		"of the wrong kind": {`[]`, "no complete JSON document"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := LoadPlan(strings.NewReader(tc.file))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "plan --out") {
				t.Errorf("got %v, want something with %q and the remedy", err, tc.want)
			}
		})
	}
}

func TestAFileOfMoreThanTheLimitIsRefused(t *testing.T) {
	for text, want := range map[string]string{"12345678": "12345678", "": ""} {
		if got, err := readAtMost(strings.NewReader(text), 8); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if got, err := readAtMost(strings.NewReader("123456789"), 8); err == nil || got != nil {
		t.Errorf("nine bytes where eight are allowed: got %q, %v", got, err)
	}
}
