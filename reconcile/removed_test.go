package reconcile

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// gone is a company whose group oncall-old, with these members, is ours and not in the directory's answer.
func gone(policy OnRemoved, members ...string) *world {
	return newWorld().synced("ann", "bob", "eve").rootlyGroup("oncall-old", members...).linkedGroup("oncall-old", members...).
		rules(func(o *RuleOptions) { o.OnRemoved = policy })
}

func (w *world) touchGroup(f func(g *scimclient.Group)) *world {
	f(&w.in.groups[len(w.in.groups)-1])
	return w
}

// foreign puts a member into the last group of Rootly whom nobody here manages.
func (w *world) foreign() *world {
	return w.rootly(scimclient.User{ID: "t-hand", UserName: "hand@else.where", Active: true}).
		touchGroup(func(g *scimclient.Group) {
			g.Members = append(g.Members, scimclient.Member{Value: "t-hand", Type: "User"})
		})
}

func TestGroupsThatAreGone(t *testing.T) {
	const empty, del = "remove oncall-old: ann@acme.com, bob@acme.com (gone from the directory)", "delete oncall-old: ann@acme.com, bob@acme.com (gone from the directory)"
	const left = "left alone: oncall-old"
	had := newWorld().group("oncall-old", "ann").in.snapshot
	lacked := connectors.Snapshot{}
	tests := map[string]struct {
		world    *world
		asks     bool
		there    bool // asked, the directory still has the group
		err      error
		previous *connectors.Snapshot
		want     []string
	}{
		"left by default":                                   {world: gone("", "ann", "bob"), asks: true, previous: &lacked, want: []string{left}},
		"left on request":                                   {world: gone(OnRemovedLeave, "ann", "bob"), asks: true, previous: &lacked, want: []string{left}},
		"emptied":                                           {world: gone(OnRemovedEmpty, "ann", "bob"), asks: true, previous: &lacked, want: []string{empty}},
		"deleted":                                           {world: gone(OnRemovedDelete, "ann", "bob"), asks: true, previous: &lacked, want: []string{del}},
		"deleted when it is empty":                          {world: gone(OnRemovedDelete), asks: true, previous: &lacked, want: []string{"delete oncall-old (gone from the directory)"}},
		"not emptied when it is empty":                      {world: gone(OnRemovedEmpty), asks: true, previous: &lacked, want: []string{left}},
		"renamed out of push is never gone":                 {world: gone(OnRemovedDelete, "ann", "bob"), asks: true, there: true, previous: &lacked, want: []string{left}},
		"absent from one read only":                         {world: gone(OnRemovedDelete, "ann", "bob"), asks: true, previous: &had, want: []string{"held " + del}},
		"no earlier read to compare with":                   {world: gone(OnRemovedEmpty, "ann", "bob"), asks: true, want: []string{"held " + empty}},
		"asked, the directory does not answer":              {world: gone(OnRemovedDelete, "ann", "bob"), asks: true, err: errors.New("503"), previous: &lacked, want: []string{"held " + del}},
		"a directory that cannot be asked":                  {world: gone(OnRemovedDelete, "ann", "bob"), previous: &lacked, want: []string{left}},
		"a directory that cannot be asked, pushed by id":    {world: byID(gone(OnRemovedDelete, "ann", "bob")), previous: &lacked, want: []string{del, "left alone: id:g-oncall-old"}},
		"pushed by id and there in the earlier read":        {world: byID(gone(OnRemovedDelete, "ann", "bob")), previous: &had, want: []string{"held " + del, "left alone: id:g-oncall-old"}},
		"with a member that is not ours it is emptied only": {world: gone(OnRemovedDelete, "ann", "bob").foreign(), asks: true, previous: &lacked, want: []string{empty, left}},
		"emptied, the member that is not ours stays":        {world: gone(OnRemovedEmpty, "ann", "bob").foreign(), asks: true, previous: &lacked, want: []string{empty, left}},
		"a group as a member is not ours": {
			world: gone(OnRemovedDelete, "ann", "bob").touchGroup(func(g *scimclient.Group) {
				g.Members = append(g.Members, scimclient.Member{Value: "tg-x", Type: "Group"})
			}),
			asks: true, previous: &lacked, want: []string{empty, left},
		},
		"a protected member keeps the group": {
			world: gone(OnRemovedDelete, "ann", "bob", "eve").rules(func(o *RuleOptions) { o.Protect = []string{"eve@acme.com"} }),
			asks:  true, previous: &lacked, want: []string{empty, left, "protected: eve@acme.com"},
		},
		"somebody else's by its externalId": {
			world: gone(OnRemovedDelete, "ann", "bob").touchGroup(func(g *scimclient.Group) { g.ExternalID = "g-other" }),
			asks:  true, previous: &lacked, want: []string{left},
		},
		"removals: never": {
			world: gone(OnRemovedDelete, "ann", "bob").rules(func(o *RuleOptions) { o.RemovalsNever = true }),
			asks:  true, previous: &lacked, want: []string{"held " + del},
		},
		"on first contact": {world: contact(gone(OnRemovedDelete, "ann", "bob"), ""), asks: true, previous: &lacked, want: []string{"held " + del}},
		"after a changed configuration": {
			world: contact(gone(OnRemovedDelete, "ann", "bob"), "before"), asks: true, previous: &lacked, want: []string{"held " + del},
		},
		"a new group of that name keeps both as they are": {
			world: gone(OnRemovedDelete, "ann", "bob").group("oncall-new", "ann").change(func(*connectors.User) {}).named("oncall-old"),
			asks:  true, previous: &lacked, want: []string{"conflict: oncall-old", "conflict: oncall-old"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := &directory{err: tc.err, groups: map[connectors.GroupID][]connectors.UserID{}}
			if tc.there {
				dir.groups["g-oncall-old"] = nil
			}
			var source connectors.Connector = dir
			if tc.asks {
				source = finder{dir}
			}
			p := tc.world.confirmed(t, source, tc.previous)
			if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func byID(w *world) *world {
	return w.rules(func(o *RuleOptions) { o.Push = []string{"id:g-oncall-old"} })
}

func contact(w *world, rules string) *world { w.in.ledger.Rules = rules; return w }

// named gives the last group of the directory another name.
func (w *world) named(name string) *world {
	w.in.snapshot.Groups[len(w.in.snapshot.Groups)-1].Name = name
	return w
}

func TestDeletingAGroupSpendsEachMembership(t *testing.T) {
	p := gone(OnRemovedDelete, "ann", "bob").confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	if spent, _ := axesOf(p); cmp.Diff(map[Axis]int{AxisGroups: 1, AxisMemberships: 2}, spent) != "" {
		t.Errorf("spends %v", spent)
	}
	many := names("p", 30)
	w := newWorld().synced(many...).rootlyGroup("oncall-old", many...).linkedGroup("oncall-old", many...).rules(func(o *RuleOptions) { o.OnRemoved = OnRemovedDelete })
	p = w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	if len(p.Changes) != 0 || len(p.Held) != 1 || p.Held[0].Verb != VerbDelete || len(p.Held[0].Members) != 30 || len(p.Objections) != 1 || p.Objections[0].Axis != AxisMemberships {
		t.Errorf("thirty memberships go at once with one group: %q, objections %v", lines(p), p.Objections)
	}
}

func TestTwoGroupsThatAreGoneAreHeld(t *testing.T) {
	w := gone(OnRemovedEmpty, "ann").rootlyGroup("oncall-older", "bob").linkedGroup("oncall-older", "bob")
	p := w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	if _, axes := axesOf(p); len(p.Changes) != 0 || !slices.Equal(axes, []Axis{AxisGroups}) {
		t.Errorf("plan: %q", lines(p))
	}
}

// A member whose own change is held keeps the whole group: a deletion is done whole or not at all.
func TestAHeldMemberKeepsTheGroup(t *testing.T) {
	people := names("p", 8)
	w := newWorld().synced(people...).leave(people[4:]...).rootlyGroup("oncall-old", "p00", "p07").linkedGroup("oncall-old", "p00", "p07").
		rules(func(o *RuleOptions) { o.OnRemoved = OnRemovedDelete })
	d := &directory{people: map[connectors.UserID]connectors.Found{}}
	for _, u := range w.in.snapshot.Users {
		d.people[u.ID] = connectors.Found{Known: true, User: u}
	}
	p := w.confirmed(t, finder{d}, &connectors.Snapshot{})
	if len(p.Changes) != 0 || len(p.Held) != 4 {
		t.Errorf("plan: %q", lines(p))
	}
}

func TestASavedDeletionIsForTheSameMembers(t *testing.T) {
	saved := gone(OnRemovedDelete, "ann", "bob").confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	fresh := gone(OnRemovedDelete, "ann", "bob", "eve").confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	for _, p := range []Plan{saved, fresh} {
		if len(p.Changes) != 1 || p.Changes[0].Verb != VerbDelete {
			t.Fatalf("plan: %q", lines(p))
		}
	}
	if kept, dropped, err := fresh.Intersect(saved); err != nil || len(kept.Changes) != 0 || len(dropped) == 0 {
		t.Errorf("kept %q, dropped %v, error %v", lines(kept), dropped, err)
	}
	if kept, _, err := saved.Intersect(saved); err != nil || len(kept.Changes) != 1 {
		t.Errorf("kept %q, error %v", lines(kept), err)
	}
	if only, err := saved.Only("ann@acme.com"); err != nil || len(only.Changes) != 0 {
		t.Errorf("a group is deleted for one person's sake: %q, error %v", lines(only), err)
	}
}

func TestAnOpenDeletionIsSettledByWhatRootlyHas(t *testing.T) {
	w := gone(OnRemovedDelete, "ann")
	c := Change{Verb: VerbDelete, Object: Ref{Kind: KindGroup, Source: "g-oncall-old", Target: "tg-oncall-old", Name: "oncall-old"}}
	w.in.ledger.Open = []Intent{{ID: 1, Change: c, Group: &GroupValues{}}}
	if _, out := resolve(w.in.ledger, w.in); len(out) != 1 || out[0].Outcome != OutcomeFailed || out[0].Link != nil {
		t.Errorf("the group is there: %+v", out)
	}
	w.in.groups = nil
	if _, out := resolve(w.in.ledger, w.in); len(out) != 1 || out[0].Outcome != OutcomeDone || out[0].Link != nil {
		t.Errorf("the group is not there: %+v", out)
	}
}
