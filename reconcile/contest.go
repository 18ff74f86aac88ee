package reconcile

import (
	"fmt"
	"maps"
)

// NoteContested is the kind of note about a value that another writer keeps turning back, and that is left as it is.
const NoteContested NoteKind = "another writer"

// contestAfter is how many cycles in a row a value must have been turned back before it is left to the other writer.
const contestAfter = 3

// membershipIn and membershipOut are what another writer makes of a membership.
const (
	membershipIn  = "in"
	membershipOut = "out"
)

// yields tells, and notes, that an attribute which is not as we wrote it is left to another writer: we wrote it three
// times in a row and it was turned back each time. live collects the contests that go on; one that is not in it has ended,
// because the directory wants something else by now or the other side kept our value.
func (d *desk) yields(o Ref, l *Link, live map[string]Contest, name, have string) bool {
	c, ok := l.Contested[name]
	if !ok {
		return false
	}
	if c.Times < contestAfter {
		live[name] = c
		return false
	}
	live[name] = Contest{Value: have, Times: c.Times}
	d.leave(ContestedValue{Object: o, What: name, Value: have, Times: c.Times}, fmt.Sprintf("%s is set back to %s", name, quoted(have)))
	return true
}

// memberYields is yields for one person of a group, whom verb would put in or take out because of why. Nobody keeps a
// privilege by insisting: taking somebody out of a privileged group is repeated for ever.
func (d *desk) memberYields(g *pushed, verb Verb, id, name string, why Why) bool {
	theirs, done := membershipIn, "put back in"
	if verb == VerbAdd {
		theirs, done = membershipOut, "taken out again"
	}
	if g.link == nil {
		return false
	}
	c, ok := g.link.Contested[stuckMember(id)]
	switch {
	case !ok || c.Value != theirs:
		return false
	case c.Times < contestAfter:
		if why == WhyDrift {
			g.contests[stuckMember(id)] = c
		}
		return false
	}
	g.contests[stuckMember(id)] = c
	d.leave(ContestedValue{Object: g.ref(), What: "member " + name, Value: theirs, Times: c.Times}, name+" is "+done)
	return true
}

// leave leaves a value to another writer and says so.
func (d *desk) leave(v ContestedValue, text string) {
	d.contested = append(d.contested, v)
	d.note(v.Object, NoteContested, fmt.Sprintf("%s each time, %d runs in a row: another writer is at work, and it is left as it is", text, v.Times),
		"is native provisioning or another sync still on? Switch one of the two off, then: "+adoptCommand(v.Object.Name))
}

// A ContestedValue is an attribute or a membership that is left to another writer.
type ContestedValue struct {
	Object Ref
	What   string // the attribute, or "member alice@acme.com"
	Value  string // what they set; of a membership "in" or "out"
	Times  int    // cycles in a row in which it was turned back
}

// Contested are the values that a plan leaves to another writer.
func (p Plan) Contested() []ContestedValue { return p.contested }

// contested counts what a change that was sent turned back once more, and returns what the link then remembers. What was
// planned and held does not count.
func (r *run) contested(c Change) map[string]Contest {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := c.Object.id()
	counts := maps.Clone(r.contests[id])
	if counts == nil {
		counts = map[string]Contest{}
	}
	for _, f := range c.Fields {
		if f.Why == WhyDrift && f.Name != "active" {
			counts[f.Name] = Contest{Value: f.From, Times: counts[f.Name].Times + 1}
		}
	}
	theirs := membershipIn
	if c.Verb == VerbAdd {
		theirs = membershipOut
	}
	for _, m := range c.Members {
		if key := stuckMember(m.User.Target); m.Why == WhyDrift {
			times := 1
			if before := counts[key]; before.Value == theirs {
				times += before.Times
			}
			counts[key] = Contest{Value: theirs, Times: times}
		}
	}
	r.contests[id] = counts
	if len(counts) == 0 {
		return nil
	}
	return counts
}

// contestsOf are the contests that go on about the objects of changes.
func (d *desk) contestsOf(changes []Change) map[string]map[string]Contest {
	out := map[string]map[string]Contest{}
	for _, c := range changes {
		var live map[string]Contest
		if c.Object.Kind == KindGroup {
			if i, ok := d.groupAt[c.Object.Source]; ok {
				live = d.groups[i].contests
			}
		} else {
			live = d.person(c.Object.Source).contests
		}
		if len(live) > 0 {
			out[c.Object.id()] = live
		}
	}
	return out
}

// reclaims are the contests that adopt ends in our favour: the next run writes the directory's value again.
func (d *desk) reclaims() []Takeover {
	var out []Takeover
	add := func(o Ref, l *Link, live map[string]Contest) {
		var names []string
		for _, name := range sortedKeys(live) {
			if live[name].Times >= contestAfter {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return
		}
		again := *l
		again.Contested = nil
		out = append(out, Takeover{Object: o, Why: "left to another writer so far: " + count(len(names), "value", "values"), link: again})
	}
	for i := range d.people {
		if p := &d.people[i]; p.link != nil && p.frozen == nil {
			add(p.ref(), p.link, p.contests)
		}
	}
	for i := range d.groups {
		if g := &d.groups[i]; g.link != nil && g.frozen == nil {
			add(g.ref(), g.link, g.contests)
		}
	}
	return out
}

// kept returns the link of a person as it should read after a run in which nothing was sent about them, and whether that
// differs from what the ledger has.
func (d *desk) kept(p *person) (Link, bool) {
	if p.link == nil {
		return Link{}, false
	}
	l, changed := p.refreshed()
	if !changed {
		l = *p.link
	}
	if left := d.left(p); !left.Equal(l.Left) {
		l.Left, changed = left, true
	}
	if !maps.Equal(p.contests, l.Contested) {
		l.Contested, changed = p.contests, true
	}
	return l, changed
}

// kept is the same for a group.
func (g *pushed) kept() (Link, bool) {
	l, changed := g.refreshed()
	if g.link == nil {
		return Link{}, false
	}
	if !changed {
		l = *g.link
	}
	if !maps.Equal(g.contests, l.Contested) {
		l.Contested, changed = g.contests, true
	}
	return l, changed
}
