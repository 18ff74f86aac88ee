package reconcile

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// leave disables people who are in the directory.
func (w *world) leave(names ...string) *world {
	for i := range w.in.snapshot.Users {
		for _, n := range names {
			if w.in.snapshot.Users[i].ID == connectors.UserID("u-"+n) {
				w.in.snapshot.Users[i].Status = connectors.StatusDisabled
			}
		}
	}
	return w
}

// verbs are the names of what a plan deactivates and of what it holds.
func deactivated(p Plan) (goes, held string) {
	pick := func(cs []Change) string {
		var out []string
		for _, c := range cs {
			if c.Verb == VerbDeactivate {
				out = append(out, strings.TrimSuffix(c.Object.Name, "@acme.com"))
			}
		}
		return strings.Join(out, " ")
	}
	return pick(p.Changes), pick(p.Held)
}

func TestHeldSets(t *testing.T) {
	company := func() *world { return newWorld().synced(names("p", 10)...) }
	// The first run holds four of ten; what follows happens on the next.
	first, err := company().leave("p00", "p01", "p02", "p03").plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Sets) != 1 || len(first.Sets[0].Items) != 4 {
		t.Fatalf("sets: %+v", first.Sets)
	}
	pending := first.Sets[0]
	approved := pending
	approved.Approved, approved.By = noon.Add(-time.Hour), "Ada"
	old := approved
	old.Approved = noon.Add(-25 * time.Hour)
	small := pending
	small.Items = small.Items[:3]

	tests := map[string]struct {
		world      *world
		ledger     func(l *Ledger)
		goes, held string
		sets       []string // fingerprints, "new" for one that was not there
		used       bool
	}{
		"it waits under the same fingerprint": {
			world:  company().leave("p00", "p01", "p02", "p03"),
			ledger: func(l *Ledger) { l.Held = []HeldSet{pending} },
			held:   "p00 p01 p02 p03", sets: []string{pending.Fingerprint},
		},
		"a later leaver does not wait with them": {
			world:  company().leave("p00", "p01", "p02", "p03", "p04"),
			ledger: func(l *Ledger) { l.Held = []HeldSet{pending} },
			goes:   "p04", held: "p00 p01 p02 p03", sets: []string{pending.Fingerprint},
		},
		"later leavers in number form another set": {
			world:  company().leave(names("p", 8)...),
			ledger: func(l *Ledger) { l.Held = []HeldSet{pending} },
			held:   "p00 p01 p02 p03 p04 p05 p06 p07", sets: []string{"new", pending.Fingerprint},
		},
		"who returns drops out, and a set that would pass by now is released": {
			world:  company().leave("p00", "p01", "p02"),
			ledger: func(l *Ledger) { l.Held = []HeldSet{pending} },
			goes:   "p00 p01 p02",
		},
		"approved, it goes": {
			world:  company().leave("p00", "p01", "p02", "p03"),
			ledger: func(l *Ledger) { l.Held = []HeldSet{approved} },
			goes:   "p00 p01 p02 p03", used: true,
		},
		"approved, it goes beside others and is not counted with them": {
			world:  company().leave(names("p", 7)...),
			ledger: func(l *Ledger) { l.Held = []HeldSet{approved} },
			goes:   "p00 p01 p02 p03 p04 p05 p06", used: true,
		},
		"an approval of yesterday is void": {
			world:  company().leave("p00", "p01", "p02", "p03"),
			ledger: func(l *Ledger) { l.Held = []HeldSet{old} },
			held:   "p00 p01 p02 p03", sets: []string{pending.Fingerprint},
		},
		"a slow bleed is seen over the day": {
			world:  company().leave("p00", "p01"),
			ledger: func(l *Ledger) { l.Spent = map[Axis]int{AxisDeactivations: 2} },
			held:   "p00 p01", sets: []string{"new"},
		},
		"a narrower scope waits apart from leavers": {
			world: company().leave("p00").rules(func(o *RuleOptions) { o.Where = `user.userName < "p09"` }),
			ledger: func(l *Ledger) {
				l.Rules, l.RuleTexts = "before", RuleOptions{Directory: "test", Mode: connectors.ScopeAll, Push: []string{"oncall-*"}}.keyed()
			},
			goes: "p00", held: "p09", sets: []string{"new"},
		},
		"under changed rules no set goes by itself": {
			world: company().rules(func(o *RuleOptions) { o.Where = `user.userName > "p02"` }), // three of the four who wait are left
			ledger: func(l *Ledger) {
				l.Held, l.Rules, l.RuleTexts = []HeldSet{pending}, "before", RuleOptions{Directory: "test", Mode: connectors.ScopeAll, Push: []string{"oncall-*"}}.keyed()
			},
			held: "p00 p01", sets: []string{"new"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.ledger(&tc.world.in.ledger)
			p, err := tc.world.plan(t)
			if err != nil {
				t.Fatal(err)
			}
			goes, held := deactivated(p)
			if goes != tc.goes || held != tc.held {
				t.Errorf("goes %q, held %q; want %q, %q", goes, held, tc.goes, tc.held)
			}
			var sets []string
			for _, s := range p.Sets {
				if s.Fingerprint == pending.Fingerprint {
					sets = append(sets, s.Fingerprint)
				} else {
					sets = append(sets, "new")
				}
			}
			if diff := cmp.Diff(tc.sets, sets); diff != "" {
				t.Errorf("sets (-want +got):\n%s", diff)
			}
			if len(p.Objections) != len(p.Sets) {
				t.Errorf("%d objections for %d sets", len(p.Objections), len(p.Sets))
			}
			if (len(p.used) > 0) != tc.used {
				t.Errorf("used approvals %q, want some: %t", p.used, tc.used)
			}
			for _, c := range p.Changes {
				if approved := tc.used && strings.Contains("p00@acme.com p01@acme.com p02@acme.com p03@acme.com", c.Object.Name); c.destructive() && (c.Spends[AxisDeactivations] == 0) != approved {
					t.Errorf("%s spends %v", c.Key(), c.Spends)
				}
			}
			for _, c := range p.Held {
				if c.Set == "" || c.Held == "" {
					t.Errorf("%s is held without set or reason", c.Key())
				}
			}
		})
	}
}

func TestConfigurationIsNamedAsTheReasonAndItsSetStays(t *testing.T) {
	w := newWorld().synced(names("p", 10)...).rules(func(o *RuleOptions) { o.Where = `user.userName < "p09"` })
	w.in.ledger.Rules, w.in.ledger.RuleTexts = "before", RuleOptions{Directory: "test", Mode: connectors.ScopeAll, Push: []string{"oncall-*"}}.keyed()
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sets) != 1 || p.Sets[0].Axis != AxisConfiguration || !strings.Contains(p.Sets[0].Reason, "scope.where") {
		t.Fatalf("sets: %+v", p.Sets)
	}
	w.in.ledger.Rules, w.in.ledger.Held = "same", p.Sets // the cycle has ended: the rules are the known ones now
	p, err = w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if goes, held := deactivated(p); goes != "" || held != "p09" {
		t.Errorf("goes %q, held %q; the set must wait for its yes", goes, held)
	}
}

func TestRemovalsOfOneGroupAreHeldMemberByMember(t *testing.T) {
	all := names("p", 30)
	w := newWorld().synced(all...).group("oncall-a", all[:2]...).rootlyGroup("oncall-a", all...).linkedGroup("oncall-a", all...)
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	w.in.ledger.Held = p.Sets
	w.in.snapshot.Groups[0].Members = w.in.snapshot.Groups[0].Members[:1] // one more goes, on a day that is over the limit as a whole
	p, err = w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Changes) != 1 || len(p.Changes[0].Members) != 1 || len(p.Held) != 1 || len(p.Held[0].Members) != 28 {
		t.Errorf("plan: %q", lines(p))
	}
}

// TestAGroupThatALeaverAndAMoverEmpty: each of them leaves the group for a reason of their own, and together they leave
// nobody in it.
func TestAGroupThatALeaverAndAMoverEmpty(t *testing.T) {
	for name, tt := range map[string]struct {
		members []string
		held    bool
	}{
		"nobody is left":   {[]string{"ann", "bob"}, true},
		"somebody is left": {[]string{"ann", "bob", "cid"}, false},
	} {
		w := newWorld().synced("ann", "bob", "cid", "dan").syncedGroup("oncall-a", tt.members...).syncedGroup("oncall-b", "dan").leave("ann").
			rules(func(o *RuleOptions) { o.Guard = Limits{AxisGroups: {}} })
		for i, g := range w.in.snapshot.Groups {
			w.in.snapshot.Groups[i].Members = slices.DeleteFunc(g.Members, func(id connectors.UserID) bool { return id == "u-bob" && g.Name == "oncall-a" })
		}
		p, err := w.plan(t)
		if err != nil {
			t.Fatal(err)
		}
		held := slices.ContainsFunc(p.Held, func(c Change) bool { return c.Verb == VerbRemove && strings.Contains(c.Held, "left empty") })
		if held != tt.held {
			t.Errorf("%s: held %t:\n%s", name, held, strings.Join(lines(p), "\n"))
		}
	}
}

// TestALeaverWhoIsNotOursEmptiesNoGroup: cid stays in the group, and dan, who is deactivated for the first time, was never
// counted among its managed members.
func TestALeaverWhoIsNotOursEmptiesNoGroup(t *testing.T) {
	dan := staff("dan")
	dan.Status = connectors.StatusDisabled
	w := newWorld().synced("ann", "bob", "cid").directory(dan).rootly(account("dan")).
		group("oncall-a", "cid").rootlyGroup("oncall-a", "ann", "bob", "cid", "dan").linkedGroup("oncall-a", "ann", "bob", "cid").
		rules(func(o *RuleOptions) { o.Guard = Limits{AxisGroups: {}} })
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(p.Held, func(c Change) bool { return strings.Contains(c.Held, "left empty") }) {
		t.Errorf("held though cid stays in:\n%s", strings.Join(lines(p), "\n"))
	}
	if !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Verb == VerbDeactivate }) {
		t.Errorf("dan is not deactivated, the test is none:\n%s", strings.Join(lines(p), "\n"))
	}
}

// TestALeaverWhoIsHeldEmptiesNoGroup: ann's deactivation is held, so she stays in the group, bob's removal is sent, and no
// group is said to be left empty.
func TestALeaverWhoIsHeldEmptiesNoGroup(t *testing.T) {
	w := newWorld().synced("ann", "bob", "dan").syncedGroup("oncall-a", "ann", "bob").syncedGroup("oncall-b", "dan").leave("ann").
		rules(func(o *RuleOptions) { o.Guard = Limits{AxisGroups: {}, AxisDeactivations: {}} })
	for i, g := range w.in.snapshot.Groups {
		w.in.snapshot.Groups[i].Members = slices.DeleteFunc(g.Members, func(id connectors.UserID) bool { return id == "u-bob" && g.Name == "oncall-a" })
	}
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	removed := slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Verb == VerbRemove })
	for _, s := range p.Sets {
		if s.Axis == AxisGroups && removed {
			t.Errorf("%q waits for a yes (%v), and what it is about is sent:\n%s", s.Reason, s.Items, strings.Join(lines(p), "\n"))
		}
	}
	for _, o := range p.Objections {
		t.Logf("%s: %s", o.Axis, o.Text)
	}
}
