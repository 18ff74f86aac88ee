package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// admins is a company of ten in which the group oncall-admins carries roles; in and there are its members on either side.
func admins(in, there []string) *world {
	return newWorld().synced(names("p", 10)...).rules(func(o *RuleOptions) { o.Privileged = []string{"*-admins"} }).
		group("oncall-admins", in...).rootlyGroup("oncall-admins", there...).linkedGroup("oncall-admins", there...)
}

// axesOf are the axes that a plan spends on and those that object.
func axesOf(p Plan) (spent map[Axis]int, objected []Axis) {
	spent = map[Axis]int{}
	for _, c := range p.Changes {
		for axis, n := range c.Spends {
			spent[axis] += n
		}
	}
	for _, o := range p.Objections {
		objected = append(objected, o.Axis)
	}
	return spent, objected
}

func TestRoleGroupsAreWeighedOnTheirOwnAxis(t *testing.T) {
	p := names("p", 10)
	tests := map[string]struct {
		world *world
		want  []string
		spent map[Axis]int
		axes  []Axis
	}{
		"a few gains pass and are counted": {
			world: admins(p[:5], p[:3]), want: []string{"add oncall-admins: p03@acme.com, p04@acme.com (changed in the directory)"},
			spent: map[Axis]int{AxisPrivileged: 2},
		},
		"a mass grant is held": {
			world: admins(p[:6], p[:2]), want: []string{"held add oncall-admins: p02@acme.com, p03@acme.com, p04@acme.com, p05@acme.com (changed in the directory)"},
			spent: map[Axis]int{}, axes: []Axis{AxisPrivileged},
		},
		"a loss counts here and not among the memberships": {
			world: admins(p[:2], p[:4]), want: []string{"remove oncall-admins: p02@acme.com, p03@acme.com (changed in the directory)"},
			spent: map[Axis]int{AxisPrivileged: 2},
		},
		"gains and losses count together": {
			world: admins([]string{"p00", "p01", "p04", "p05"}, p[:4]), want: []string{
				"held add oncall-admins: p04@acme.com, p05@acme.com (changed in the directory)",
				"held remove oncall-admins: p02@acme.com, p03@acme.com (changed in the directory)",
			},
			spent: map[Axis]int{}, axes: []Axis{AxisPrivileged},
		},
		"what the last day took counts": {
			world: func() *world {
				w := admins(p[:4], p[:2])
				w.in.ledger.Spent = map[Axis]int{AxisPrivileged: 2}
				return w
			}(),
			want:  []string{"held add oncall-admins: p02@acme.com, p03@acme.com (changed in the directory)"},
			spent: map[Axis]int{}, axes: []Axis{AxisPrivileged},
		},
		"on first contact losses wait for that and gains go by their limit": {
			world: func() *world {
				w := admins([]string{"p00", "p01", "p04"}, p[:3])
				w.in.ledger.Rules = ""
				return w
			}(),
			want: []string{
				"add oncall-admins: p04@acme.com (changed in the directory)",
				"held remove oncall-admins: p02@acme.com (changed in the directory)",
			},
			spent: map[Axis]int{AxisPrivileged: 1}, axes: []Axis{AxisFirstContact},
		},
		"removals: never holds losses and lets a few gains pass": {
			world: admins([]string{"p00", "p01", "p04"}, p[:3]).rules(func(o *RuleOptions) { o.RemovalsNever = true }),
			want: []string{
				"add oncall-admins: p04@acme.com (changed in the directory)",
				"held remove oncall-admins: p02@acme.com (changed in the directory)",
			},
			spent: map[Axis]int{AxisPrivileged: 1},
		},
		"removals: never does not let a mass grant through": {
			world: admins(p[:6], p[:2]).rules(func(o *RuleOptions) { o.RemovalsNever = true }),
			want:  []string{"held add oncall-admins: p02@acme.com, p03@acme.com, p04@acme.com, p05@acme.com (changed in the directory)"},
			spent: map[Axis]int{}, axes: []Axis{AxisPrivileged},
		},
		"a short read says nothing about gains": {
			world: func() *world {
				w := admins([]string{"p00", "p01", "p04"}, p[:3])
				w.in.findings = lookups(contradicted, "p09")
				return w
			}(),
			want: []string{
				"add oncall-admins: p04@acme.com (changed in the directory)",
				"held remove oncall-admins: p02@acme.com (changed in the directory)",
			},
			spent: map[Axis]int{AxisPrivileged: 1}, axes: []Axis{AxisShortRead},
		},
		"who moves into a role group stays where they are until that has its yes": {
			world: admins(p[:6], p[:2]).group("oncall-web").rootlyGroup("oncall-web", "p05", "p06").linkedGroup("oncall-web", "p05", "p06"),
			want: []string{
				"remove oncall-web: p06@acme.com (changed in the directory)",
				"held add oncall-admins: p02@acme.com, p03@acme.com, p04@acme.com, p05@acme.com (changed in the directory)",
				"held remove oncall-web: p05@acme.com (changed in the directory)",
			},
			spent: map[Axis]int{AxisMemberships: 1, AxisGroups: 1}, axes: []Axis{AxisPrivileged},
		},
		"a rename out of the pattern takes nobody out of the guard": {
			world: func() *world {
				w := admins(p[:6], p[:2])
				w.in.snapshot.Groups[0].Name = "oncall-everybody"
				return w
			}(),
			want: []string{
				`update oncall-everybody: displayName "oncall-admins"→"oncall-everybody" (changed in the directory)`,
				"held add oncall-everybody: p02@acme.com, p03@acme.com, p04@acme.com, p05@acme.com (changed in the directory)",
				"role group: oncall-everybody",
			},
			spent: map[Axis]int{}, axes: []Axis{AxisPrivileged},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			plan := tc.world.mustPlan(t)
			if diff := cmp.Diff(tc.want, lines(plan)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			spent, axes := axesOf(plan)
			if diff := cmp.Diff(tc.spent, spent); diff != "" {
				t.Errorf("spends (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.axes, axes); diff != "" {
				t.Errorf("axes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAHeldGrantGoesOnceItHasItsYes(t *testing.T) {
	p := names("p", 10)
	w := admins(p[:6], p[:2])
	first := w.mustPlan(t)
	if len(first.Sets) != 1 || len(first.Sets[0].Items) != 4 || first.Sets[0].Items[0].Name != "p02@acme.com to oncall-admins" {
		t.Fatalf("sets: %+v", first.Sets)
	}
	set := first.Sets[0]
	set.Approved, set.By = noon.Add(-time.Hour), "Ada"
	w.in.ledger.Held = []HeldSet{set}
	second := w.mustPlan(t)
	if spent, axes := axesOf(second); len(second.Changes) != 1 || len(second.Held)+len(spent)+len(axes) > 0 || len(second.used) != 1 {
		t.Errorf("plan: %q, spends %v, objections %v, used %q", lines(second), spent, axes, second.used)
	}
}

func TestRoleGroupsArePointedOut(t *testing.T) {
	p := names("p", 3)
	renamed := func(from, to string) *world {
		w := newWorld().synced(p...).syncedGroup(from, p...).rules(func(o *RuleOptions) { o.Privileged = []string{"oncall-admin*"} })
		w.in.snapshot.Groups[0].Name = to
		return w
	}
	tests := map[string]struct {
		world *world
		want  string
	}{
		"somebody makes a group of that name": {
			newWorld().synced(p...).group("oncall-admins", p...).rules(func(o *RuleOptions) { o.Privileged = []string{"oncall-admin*"} }), "new here, and groups.privileged",
		},
		"a group gets such a name":         {renamed("oncall-web", "oncall-admins"), `was called "oncall-web"; by its new name groups.privileged has`},
		"a role group gets another name":   {renamed("oncall-admins", "oncall-admins-eu"), `the role group "oncall-admins" gets another name`},
		"a role group ceases to be one":    {renamed("oncall-admins", "oncall-web"), "does not mean it any more"},
		"an entry that means no group":     {newWorld().synced(p...).syncedGroup("oncall-web", p...).rules(func(o *RuleOptions) { o.Privileged = []string{"onacll-admins"} }), "it guards nothing"},
		"an unchanged role group is quiet": {newWorld().synced(p...).syncedGroup("oncall-admins", p...).rules(func(o *RuleOptions) { o.Privileged = []string{"oncall-admin*"} }), ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var texts []string
			for _, n := range tc.world.mustPlan(t).Notes {
				if n.Kind == NoteRole {
					texts = append(texts, n.Text)
				}
			}
			if got := strings.Join(texts, "; "); tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
				t.Errorf("notes %q, want %q in them", got, tc.want)
			}
		})
	}
}

func TestALeaverIsMarkedWithTheirRoleGroups(t *testing.T) {
	p := names("p", 4)
	plan := admins(p, p).leave("p00").mustPlan(t)
	want := []Ref{{Kind: KindGroup, Target: "tg-oncall-admins", Name: "oncall-admins", Role: true}}
	if len(plan.Changes) != 1 || cmp.Diff(want, plan.Changes[0].Groups) != "" {
		t.Fatalf("changes: %+v", plan.Changes)
	}
	if spent, _ := axesOf(plan); spent[AxisPrivileged] != 0 {
		t.Errorf("what a deactivation implies is counted: %v", spent)
	}
	if s := plan.Summary(); !strings.Contains(s, "Role groups: 0 gained, 1 lost.") {
		t.Errorf("summary: %s", s)
	}
	if s := plan.Text(TextOptions{}); !strings.Contains(s, "1 person loses role group oncall-admins\n      p00@acme.com") {
		t.Errorf("text:\n%s", s)
	}
}

func TestStateNoneLetsOnlyTheFloorOfRoleGroupsThrough(t *testing.T) {
	p := names("p", 60)
	w := newWorld().synced(p...).group("oncall-admins", p[:54]...).rootlyGroup("oncall-admins", p[:50]...).linkedGroup("oncall-admins", p[:50]...).
		rules(func(o *RuleOptions) { o.Privileged, o.FloorsOnly = []string{"id:g-oncall-admins"}, true })
	if plan := w.mustPlan(t); len(plan.Changes) != 0 || len(plan.Held) != 1 {
		t.Errorf("plan: %q", lines(plan))
	}
	w.opts.FloorsOnly = false
	if plan := w.mustPlan(t); len(plan.Changes) != 1 {
		t.Errorf("four of fifty pass by the share: %q", lines(plan))
	}
}
