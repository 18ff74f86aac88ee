package reconcile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// drawWorld makes a small company in which anything may be: names that clash, accounts of others, links that dangle.
func drawWorld(rt *rapid.T) *world {
	w := newWorld()
	pool := names("p", rapid.IntRange(2, 8).Draw(rt, "people"))
	name := rapid.SampledFrom(pool)
	flip := func(label string, oneIn int) bool { return rapid.IntRange(1, oneIn).Draw(rt, label) == 1 }
	for _, n := range pool {
		if !flip("not in the directory", 5) {
			u := staff(n)
			if flip("other userName", 4) {
				u.UserName = name.Draw(rt, "userName") + "@acme.com"
			}
			u.Status = rapid.SampledFrom([]connectors.Status{connectors.StatusActive, connectors.StatusActive, connectors.StatusActive, connectors.StatusDisabled, connectors.StatusStaged}).Draw(rt, "status")
			if flip("out of scope", 5) {
				u.Department = "Sales"
			}
			w.directory(u)
		}
		inRootly := !flip("not in Rootly", 4)
		if inRootly {
			a := account(n)
			a.Active = !flip("inactive", 4)
			a.ExternalID = rapid.SampledFrom([]string{a.ExternalID, a.ExternalID, "", "foreign"}).Draw(rt, "externalId")
			if flip("edited", 4) {
				a.DisplayName = "By Hand"
			}
			w.rootly(a)
		}
		if !flip("not linked", 3) {
			w.linked(n)
			w.in.ledger.Users[connectors.UserID("u-"+n)].User.Active = !flip("deactivated by us", 4)
		}
		if !inRootly {
			w.in.hidden = map[string]bool{"t-" + n: true}
		}
	}
	for i := range rapid.IntRange(0, 3).Draw(rt, "groups") {
		g := fmt.Sprintf("oncall-%d", i)
		members := rapid.SliceOfDistinct(name, func(s string) string { return s })
		if !flip("not pushed", 5) {
			w.group(g, members.Draw(rt, "members")...)
		}
		if !flip("not in Rootly", 4) {
			w.rootlyGroup(g, members.Draw(rt, "members there")...)
		}
		if !flip("not linked", 3) {
			w.linkedGroup(g)
		}
	}
	w.rules(func(o *RuleOptions) {
		o.Where = `user.department != "Sales"`
		o.Privileged = rapid.SampledFrom([][]string{nil, {"oncall-0"}, {"oncall-*"}}).Draw(rt, "role groups")
		o.OnRemoved = rapid.SampledFrom([]OnRemoved{OnRemovedLeave, OnRemovedEmpty, OnRemovedDelete}).Draw(rt, "groups that are gone")
	})
	if flip("first contact", 5) {
		w.in.ledger.Rules = ""
	}
	return w
}

// try makes the plan, or nothing when the scope matches nobody.
func (w *world) try(rt *rapid.T) (Plan, bool) {
	r, err := Compile(w.opts)
	if err != nil {
		rt.Fatal(err)
	}
	if w.in.ledger.Rules == "same" {
		w.in.ledger.Rules = r.hash
	}
	if w.in.snapshot, err = connectors.NewSnapshot(w.in.snapshot.Users, w.in.snapshot.Groups); err != nil {
		rt.Fatal(err)
	}
	p, err := assemble(r, w.in)
	return p, err == nil
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		first, ok := w.try(rt)
		if !ok {
			return
		}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "shuffle"), 0))
		shuffle(rnd, w.in.users)
		shuffle(rnd, w.in.groups)
		for i := range w.in.groups {
			shuffle(rnd, w.in.groups[i].Members)
		}
		shuffle(rnd, w.in.snapshot.Users)
		second, _ := w.try(rt)
		if diff := cmp.Diff(lines(first), lines(second)); diff != "" {
			rt.Fatalf("another order, another plan (-first +second):\n%s", diff)
		}
	})
}

func shuffle[E any](rnd *rand.Rand, s []E) {
	rnd.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}

// TestOnlyOwnObjectsLoseAnything: whatever is deactivated or emptied is linked, or belongs to a disabled person whose id
// it carries; and who is frozen is in no change at all.
func TestOnlyOwnObjectsLoseAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		p, ok := w.try(rt)
		if !ok {
			return
		}
		accounts := map[string]scimclient.User{}
		for _, u := range w.in.users {
			accounts[u.ID] = u
		}
		for _, c := range p.Changes {
			if !c.destructive() {
				continue
			}
			id := c.Object.Source
			linked := c.Object.Kind == KindUser && w.in.ledger.Users[connectors.UserID(id)].Target == c.Object.Target ||
				c.Object.Kind == KindGroup && w.in.ledger.Groups[connectors.GroupID(id)].Target == c.Object.Target
			matched := c.Object.Kind == KindUser && accounts[c.Object.Target].ExternalID == id ||
				c.Object.Kind == KindUser && accounts[c.Object.Target].ExternalID == "" && connectors.Fold(accounts[c.Object.Target].UserName) == connectors.Fold(c.Object.Name) ||
				c.Object.Kind == KindGroup
			if !linked && !matched {
				rt.Fatalf("%s takes from an object that is not ours: %q", c.Key(), lines(p))
			}
		}
		frozen := map[string]bool{}
		for _, n := range p.Notes {
			// Whoever has a note is frozen, but for these: what is not kept, role groups, and groups that are gone.
			if n.Kind != NoteStuck && n.Kind != NoteRole && !(n.Kind == NoteLeft && n.Object.Kind == KindGroup) {
				frozen[string(n.Object.Kind)+n.Object.Source] = true
			}
		}
		for _, c := range p.Changes {
			if frozen[string(c.Object.Kind)+c.Object.Source] {
				rt.Fatalf("%s touches a frozen object: %q", c.Key(), lines(p))
			}
			for _, m := range c.Members {
				if c.Why == WhyGone && w.in.ledger.Users[connectors.UserID(m.User.Source)].Target != m.User.Target {
					rt.Fatalf("%s takes %s out, who is not ours: %q", c.Key(), m.User.Name, lines(p))
				}
				if m.User.Source != "" && frozen[string(KindUser)+m.User.Source] {
					rt.Fatalf("%s moves frozen %s: %q", c.Key(), m.User.Name, lines(p))
				}
			}
		}
	})
}

// TestTighterLimitsLetNothingMoreThrough compares one world under a limit and under a smaller one.
func TestTighterLimitsLetNothingMoreThrough(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		draw := func(label string, most Limit) Limit {
			return Limit{
				Share: float64(rapid.IntRange(0, int(most.Share*100)).Draw(rt, label+" share")) / 100,
				Count: rapid.IntRange(0, most.Count).Draw(rt, label+" count"), Floor: rapid.IntRange(0, most.Floor).Draw(rt, label+" floor"),
			}
		}
		wide, tight := Limits{}, Limits{}
		for _, a := range []Axis{AxisDeactivations, AxisMemberships, AxisGroups, AxisPrivileged, AxisRenames} {
			wide[a] = draw("wide", Limit{1, 8, 8})
			tight[a] = draw("tight", wide[a])
		}
		w.opts.Guard = wide
		loose, ok := w.try(rt)
		if !ok {
			return
		}
		w.opts.Guard = tight
		strict, _ := w.try(rt)
		allowed := taken(loose)
		for _, l := range taken(strict) {
			if !slices.Contains(allowed, l) {
				rt.Fatalf("%s goes under %v and not under %v", l, tight, wide)
			}
		}
	})
}

// taken lists what a plan takes away, membership by membership.
func taken(p Plan) []string {
	var out []string
	for _, c := range p.Changes {
		switch {
		case c.Verb == VerbDeactivate || c.Verb == VerbDelete:
			out = append(out, c.Key())
		case c.Verb == VerbRemove || c.Verb == VerbAdd && c.Object.Role:
			for _, m := range c.Members {
				out = append(out, c.Key()+" "+m.User.key())
			}
		}
	}
	return out
}
