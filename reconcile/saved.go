package reconcile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxSaved bounds a saved plan or a recorded snapshot, so that the wrong file ends in a message and not in memory.
const maxSaved = 256 << 20

// SavePlan writes a plan for LoadPlan: the same document as Plan.JSON.
func SavePlan(w io.Writer, p Plan) error {
	b, err := p.JSON()
	if err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("save plan: %w", err)
	}
	return nil
}

// LoadPlan reads a saved plan. It is good for nothing but Intersect: a plan from a file cannot be applied.
func LoadPlan(r io.Reader) (Plan, error) {
	var doc planDocument
	if err := loadDocument(r, planFormat, &doc); err != nil {
		return Plan{}, fmt.Errorf("saved plan: %w; make the plan anew with plan --out", err)
	}
	seen := map[string]bool{}
	for _, c := range doc.Changes {
		if seen[c.Key()] {
			return Plan{}, fmt.Errorf("saved plan: it has the change %q twice; make the plan anew with plan --out", c.Key())
		}
		seen[c.Key()] = true
	}
	return doc.Plan, nil
}

// loadDocument reads one JSON document of the format into v, strictly.
func loadDocument(r io.Reader, format string, v any) error {
	data, err := readAtMost(r, maxSaved)
	if err != nil {
		return err
	}
	var head struct {
		Format string `json:"format"`
	}
	// Unmarshal checks the whole text, what follows the document included, before any of it counts.
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("it is no complete JSON document: %w", err)
	}
	if head.Format != format {
		return fmt.Errorf("its format is %q, this version reads %q", head.Format, format)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// readAtMost reads all of r, or nothing when that is more than limit bytes.
func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("the file has more than %d bytes", limit)
	}
	return data, err
}

// A Dropped is a change, or some members of one, that only one of a saved and a fresh plan has, and why it is not
// applied.
type Dropped struct {
	Change Change `json:"change"`
	Reason string `json:"reason"`
}

// String is the drop in one line for people.
func (d Dropped) String() string {
	s := fmt.Sprintf("%s %s %s", d.Change.Verb, d.Change.Object.Kind, Visible(d.Change.Object.Name))
	var names []string
	for _, m := range d.Change.Members {
		names = append(names, Visible(m.User.Name))
	}
	if len(names) > 0 {
		s += ": " + strings.Join(names, ", ")
	}
	return s + " (" + prose(d.Reason) + ")"
}

// ErrOtherPlan refuses to intersect plans of different directories or targets.
var ErrOtherPlan = errors.New("the saved plan is not about this directory and this Rootly")

// Intersect keeps of p, the fresh plan, what a saved plan has as well: the same change of the same object, with the same
// fields and, of a group, the members in both. What waits for a dropped change, and memberships of somebody whose account
// is not made or taken over, are dropped with it. Nothing of the file but that choice is used, so that an edited one can
// at most do less. What is held, and why, is p's. A result that lacks changes of p counts as a part of a cycle.
func (p Plan) Intersect(saved Plan) (kept Plan, dropped []Dropped, err error) {
	if saved.Source != p.Source || saved.Target != p.Target {
		return Plan{}, nil, fmt.Errorf("%w: it is for %s and %s, this run is for %s and %s; make the plan anew with plan --out",
			ErrOtherPlan, Visible(saved.Source), Visible(saved.Target), p.Source, p.Target)
	}
	x := intersection{
		fresh: byKey(p.Changes), held: byKey(p.Held), saved: byKey(saved.Changes), savedHeld: byKey(saved.Held),
		stopped: map[string]bool{}, absent: map[string]bool{}, cut: map[string]bool{},
	}
	var rest []Change
	for _, c := range p.Changes {
		if c, ok := x.agree(c); ok {
			rest = append(rest, c)
		}
	}
	for n := -1; n != len(x.dropped); {
		n = len(x.dropped)
		rest = x.follow(rest)
	}
	partial := len(x.dropped) > 0
	for _, c := range saved.Changes {
		x.outdated(c)
	}
	kept = p
	kept.Changes, kept.partial = rest, p.partial || partial
	slices.SortStableFunc(kept.Changes, byPhase(kept.Changes))
	return kept.priced(), x.dropped, nil
}

// byKey lists changes by key. Held removals from one group may share it.
func byKey(changes []Change) map[string][]Change {
	out := make(map[string][]Change, len(changes))
	for _, c := range changes {
		out[c.Key()] = append(out[c.Key()], c)
	}
	return out
}

// An intersection is one Intersect at work.
type intersection struct {
	fresh, held, saved, savedHeld map[string][]Change
	dropped                       []Dropped
	stopped                       map[string]bool // keys of changes that are dropped whole
	absent                        map[string]bool // objects that are not made or taken over
	cut                           map[string]bool // members that are dropped from a change, by its key and theirs
}

func (x *intersection) drop(c Change, reason string) {
	x.dropped = append(x.dropped, Dropped{Change: c, Reason: reason})
	x.stopped[c.Key()] = true
	if c.enters() {
		x.absent[c.Object.id()] = true
	}
}

// agree returns what of a fresh change the saved plan has too.
func (x *intersection) agree(c Change) (Change, bool) {
	saved := x.saved[c.Key()]
	if len(saved) == 0 {
		reason := "not in the saved plan"
		if len(x.savedHeld[c.Key()]) > 0 {
			reason = "held back in the saved plan"
		}
		x.drop(c, reason)
		return c, false
	}
	if c.Verb == VerbDelete && !slices.EqualFunc(c.Members, saved[0].Members, func(a, b Membership) bool { return a.User.Target == b.User.Target }) {
		x.drop(c, "differs now: the group has other members") // a deletion cannot be divided
		return c, false
	}
	if d := difference(c, saved[0]); d != "" {
		x.drop(c, "differs now: "+d)
		return c, false
	}
	return x.divide(c, "not in the saved plan", func(m Membership) bool { return hasMember(saved, m) })
}

// follow drops what cannot be done without the changes dropped so far.
func (x *intersection) follow(changes []Change) []Change {
	var out []Change
	for _, c := range changes {
		stays := func(m Membership) bool {
			return slices.ContainsFunc(c.After, func(k string) bool { return x.cut[k+" "+m.User.key()] })
		}
		waits := slices.ContainsFunc(c.After, func(k string) bool { return x.stopped[k] }) || c.Verb == VerbDelete && slices.ContainsFunc(c.Members, stays)
		if waits || x.absent[c.Object.id()] {
			x.drop(c, "waits for a change that is not applied")
			continue
		}
		c, ok := x.divide(c, "waits for an account that is not made or taken over", func(m Membership) bool { return !x.absent[m.User.id()] })
		if !ok {
			continue
		}
		if c, ok = x.divide(c, "waits for the entry into another group, which is not applied", func(m Membership) bool { return !stays(m) }); ok {
			out = append(out, c)
		}
	}
	return out
}

// divide keeps the members that pass and drops the others; a change without members is kept as it is.
func (x *intersection) divide(c Change, reason string, pass func(Membership) bool) (Change, bool) {
	var in, out []Membership
	for _, m := range c.Members {
		if pass(m) {
			in = append(in, m)
		} else {
			out = append(out, m)
			x.cut[c.Key()+" "+m.User.key()] = true
		}
	}
	if len(out) == 0 {
		return c, true
	}
	without := c
	without.Members = out
	if len(in) == 0 {
		x.drop(without, reason)
		return c, false
	}
	x.dropped = append(x.dropped, Dropped{Change: without, Reason: reason})
	c.Members, c.Why, c.Spends = in, in[0].Why, c.spendsOf(len(in))
	return c, true
}

// outdated lists what of a saved change is not planned any more.
func (x *intersection) outdated(c Change) {
	fresh, held := x.fresh[c.Key()], x.held[c.Key()]
	if len(c.Members) > 0 {
		waits := c
		waits.Members = nil
		c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Membership) bool {
			if hasMember(held, m) {
				waits.Members = append(waits.Members, m)
				return true
			}
			return hasMember(fresh, m)
		})
		if len(waits.Members) > 0 {
			x.dropped = append(x.dropped, Dropped{Change: waits, Reason: "held back now: " + held[0].Held})
		}
		if len(c.Members) > 0 {
			x.dropped = append(x.dropped, Dropped{Change: c, Reason: "no longer needed"})
		}
		return
	}
	switch {
	case len(fresh) > 0:
	case len(held) > 0:
		x.dropped = append(x.dropped, Dropped{Change: c, Reason: "held back now: " + held[0].Held})
	default:
		x.dropped = append(x.dropped, Dropped{Change: c, Reason: "no longer needed"})
	}
}

// hasMember tells whether one of the changes is about the same person. Somebody who had no account when the plan was
// saved may have one by now.
func hasMember(changes []Change, m Membership) bool {
	return slices.ContainsFunc(changes, func(c Change) bool {
		return slices.ContainsFunc(c.Members, func(o Membership) bool {
			return o.User.Kind == m.User.Kind && o.User.key() == m.User.key() &&
				(o.User.Target == m.User.Target || o.User.Target == "" || m.User.Target == "")
		})
	})
}

// difference says in words in what a change differs from the saved one of the same key, members aside.
func difference(now, saved Change) string {
	if now.Object.Target != saved.Object.Target {
		return fmt.Sprintf("it is about %s in Rootly, in the saved plan about %s", orNone(now.Object.Target), orNone(saved.Object.Target))
	}
	were := map[string]Field{}
	for _, f := range saved.Fields {
		were[f.Name] = f
	}
	for _, f := range now.Fields {
		was, ok := were[f.Name]
		switch {
		case !ok:
			return fmt.Sprintf("%s changes as well", f.Name)
		case was.From != f.From || was.To != f.To:
			return fmt.Sprintf("%s %s → %s, in the saved plan %s → %s", f.Name, value(f, f.From), value(f, f.To), value(was, was.From), value(was, was.To))
		}
		delete(were, f.Name)
	}
	if len(now.Fields) != len(saved.Fields) {
		return "in the saved plan more attributes change"
	}
	return ""
}

func orNone(s string) string {
	if s == "" {
		return "nothing yet"
	}
	return s
}

// enters tells whether a change makes its object ours, or an account active again.
func (c Change) enters() bool {
	return c.Verb == VerbCreate || c.Verb == VerbReactivate || c.Verb == VerbLink || c.Verb == VerbUpdate && c.Why == WhyFirstMatch
}

// spendsOf is what is left of the cost of a change of members when only n of them go: the group is not left empty then.
func (c Change) spendsOf(n int) map[Axis]int {
	if c.Verb != VerbRemove && c.Verb != VerbAdd || len(c.Spends) == 0 {
		return c.Spends
	}
	out := maps.Clone(c.Spends)
	delete(out, AxisGroups)
	for _, axis := range []Axis{AxisMemberships, AxisPrivileged} {
		if out[axis] > n {
			out[axis] = n
		}
	}
	return out
}

// id tells an object from every other one of a plan.
func (r Ref) id() string { return string(r.Kind) + " " + r.key() }
