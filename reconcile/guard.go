package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Axis is one kind of loss that the guard weighs on its own.
type Axis string

// The axes. The first six have limits; the others are occasions on which everything that would be taken away waits.
const (
	AxisDeactivations Axis = "deactivations"
	AxisDeletions     Axis = "deletions"
	AxisMemberships   Axis = "memberships" // removals, but for those that a deactivation implies
	AxisGroups        Axis = "groups"      // groups that would be left empty or deleted
	AxisPrivileged    Axis = "privileged"  // memberships of groups that carry roles, granted or removed
	AxisRenames       Axis = "renames"     // userNames that change

	AxisSource        Axis = "source"        // the directory no longer lists many of the people we manage
	AxisShortRead     Axis = "short read"    // asked again, the directory contradicts its own listing
	AxisFirstContact  Axis = "first contact" // no cycle against this Rootly has ended yet
	AxisConfiguration Axis = "configuration" // the rules changed, and not the people
	AxisQuarantine    Axis = "quarantine"    // the first cycle after one
	AxisOnCall        Axis = "on call"       // Rootly would page the person
)

// A Limit lets n of a population through when n ≤ Floor, or n ≤ Share of the population and n ≤ Count.
type Limit struct {
	Share float64 // 0.20 is 20 %
	Count int
	Floor int
}

// allows returns the largest n that passes.
func (l Limit) allows(of int) int {
	return max(l.Floor, min(int(l.Share*float64(of)), l.Count))
}

// Limits are the operator's, by axis.
type Limits map[Axis]Limit

// DefaultLimits are right for a company of 20 and for one of 20,000.
func DefaultLimits() Limits {
	return Limits{
		AxisDeactivations: {0.20, 100, 3},
		AxisDeletions:     {0.20, 100, 1},
		AxisMemberships:   {0.20, 100, 10},
		AxisGroups:        {0.20, 100, 1},
		AxisPrivileged:    {0.20, 100, 3},
		AxisRenames:       {0.20, 100, 3},
	}
}

func (l Limits) withDefaults() Limits {
	out := DefaultLimits()
	maps.Copy(out, l)
	return out
}

// A loss is one thing that one change takes from somebody: the unit that is counted, held and approved.
type loss struct {
	axis   Axis
	key    string // across runs
	name   string
	change string // key of the change it is part of
	member string // of a membership: the member's ref key
	person string // directory id of who is frozen while it is held, "" for none
	group  string // directory id of the group that somebody loses
	free   bool   // an organic leaver: the directory itself calls them disabled or deleted
	gain   bool   // nothing is lost: somebody enters a group that carries roles
}

// takes tells whether somebody loses something. Other userNames and gained roles are weighed, and are no losses.
func (l loss) takes() bool { return l.axis != AxisRenames && !l.gain }

// losses lists what changes take away. A change of a group counts each membership, and the group if none is left.
func (d *desk) losses(changes []Change) []loss {
	refilled := map[string]bool{}
	leavers := map[string]int{} // how many of a group are deactivated
	for _, c := range changes {
		if c.Verb == VerbDeactivate && d.person(c.Object.Source).link != nil { // as managedMembers counts
			for _, g := range c.Groups {
				leavers[g.Target]++
			}
		}
		// Only people who have an account already refill a group: a creation may fail.
		if c.Verb == VerbAdd && slices.ContainsFunc(c.Members, func(m Membership) bool { return m.User.Target != "" }) {
			refilled[c.Object.key()] = true
		}
	}
	var out []loss
	for _, c := range changes {
		o := c.Object
		switch {
		case c.Verb == VerbDeactivate:
			p := d.person(o.Source)
			out = append(out, loss{axis: AxisDeactivations, key: c.Key(), name: o.Name, change: c.Key(), person: o.Source, free: p.standing == standDisabled})
		case c.Verb == VerbDelete && o.Kind == KindUser:
			out = append(out, loss{axis: AxisDeletions, key: c.Key(), name: o.Name, change: c.Key(), person: o.Source})
		case c.renames():
			out = append(out, loss{axis: AxisRenames, key: "rename user " + o.Source + " to " + connectors.Fold(c.field("userName")), name: o.Name, change: c.Key(), person: o.Source})
		case c.Verb == VerbAdd && o.Role:
			out = append(out, gains(c)...)
		case c.Verb == VerbDelete:
			out = append(out, deletion(c)...)
		case c.Verb == VerbRemove:
			if d.empties(c, leavers[o.Target]) && !refilled[o.key()] {
				out = append(out, loss{axis: AxisGroups, key: "empty group " + o.Source, name: o.Name, change: c.Key(), group: o.Source})
			}
			for _, m := range c.Members {
				out = append(out, membership(c, m))
			}
		}
	}
	return out
}

// renames tells whether a change gives a person another userName.
func (c Change) renames() bool {
	return c.Object.Kind == KindUser && (c.Verb == VerbUpdate || c.Verb == VerbReactivate) &&
		slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Name == "userName" && f.From != "" })
}

// field is the value that a change gives one attribute.
func (c Change) field(name string) string {
	for _, f := range c.Fields {
		if f.Name == name {
			return f.To
		}
	}
	return ""
}

// empties tells whether a removal takes the last managed members of its group, but for those who are deactivated.
func (d *desk) empties(c Change, leavers int) bool {
	i, ok := d.groupAt[c.Object.Source]
	return ok && len(c.Members) > 0 && (len(c.Members)+leavers >= d.groups[i].managedMembers || d.groups[i].removed())
}

// destructive tells whether somebody loses something by the change.
func (c Change) destructive() bool {
	return c.Verb == VerbDeactivate || c.Verb == VerbRemove || c.Verb == VerbDelete
}

// populations are what the shares are taken of: what we manage, never what there is.
func (d *desk) populations() map[Axis]int {
	of := map[Axis]int{}
	for i := range d.people {
		if p := &d.people[i]; p.link != nil && p.target != nil && p.target.Active {
			of[AxisDeactivations]++
		}
	}
	of[AxisDeletions], of[AxisRenames], of[AxisSource] = of[AxisDeactivations], of[AxisDeactivations], of[AxisDeactivations]
	for i := range d.groups {
		if g := &d.groups[i]; g.link != nil && g.target != nil {
			of[AxisGroups]++
			of[membershipAxis(g.role)] += g.managedMembers
		}
	}
	return of
}

// A ruling is the guard's judgement on one plan.
type ruling struct {
	objections []Objection
	sets       []HeldSet
	held       map[string]string // loss key → why
	inSet      map[string]string // loss key → fingerprint
	approved   map[string]string // loss key → fingerprint of the approval
	short      bool              // the directory's answer is no witness for the next run

	onCall   OnCall
	clocks   map[string]time.Time // directory id → since when a leaver is held for being on call
	facts    map[string]string    // change key → what Rootly would page the leaver for
	notes    []Note
	consumed []string // approved sets that are carried out, beside those of the losses that go
}

// judgeLosses decides what goes and what waits. A loss with a valid approval goes. One that already waits in a set stays
// in it. The rest is weighed: together with what the last day took, it passes the limit of its axis or forms a new set.
// A set shrinks as people return, and is released by itself once what is left of it would pass. Last, nothing goes that
// the directory did not confirm when asked again, whatever was approved; it is weighed all the same.
func (d *desk) judgeLosses(changes []Change, now time.Time) *ruling {
	r := &ruling{held: map[string]string{}, inSet: map[string]string{}, approved: map[string]string{}}
	losses := d.losses(changes)
	if text := d.contradiction(); text != "" {
		// The read was short: nothing that rests on it is judged or taken away, and what waits for its yes goes on waiting.
		r.short = true
		r.objections = append(r.objections, Objection{Axis: AxisShortRead, Count: d.contradictions(), Text: text,
			Remedy: "nothing is to be done; if it comes again, look at the directory's health and at what the credential may read"})
		for _, l := range losses {
			if l.takes() {
				r.held[l.key] = text
			}
		}
		losses = slices.DeleteFunc(losses, loss.takes)
		for _, s := range d.ledger.Held {
			if s.Axis != AxisRenames {
				r.sets = append(r.sets, s)
			}
		}
	}

	waiting := map[string]*HeldSet{}
	for i := range d.ledger.Held {
		s := &d.ledger.Held[i]
		for _, item := range s.Items {
			if s.valid(now) {
				r.approved[item.Key] = s.Fingerprint
			} else {
				waiting[item.Key] = s
			}
		}
	}
	open := slices.DeleteFunc(slices.Clone(losses), func(l loss) bool { return r.approved[l.key] != "" })
	of := d.populations()
	occasion, reason := d.occasion(r.approved, of)
	r.short = r.short || occasion == AxisSource
	batches := map[Axis][]loss{} // newcomers
	kept := map[*HeldSet][]loss{}
	shifts := map[Axis]int{} // let go already, and waiting for a shift to end
	for _, l := range open {
		s := waiting[l.key]
		switch {
		case s != nil && s.Axis != AxisSource && !(s.Axis == AxisConfiguration && l.free) && !d.released(*s, l, occasion):
			kept[s] = append(kept[s], l)
		case occasion != "" && l.takes() && !(occasion == AxisConfiguration && l.free):
			batches[occasion] = append(batches[occasion], l)
		case d.letGo(l):
			shifts[l.axis]++
		default:
			batches[l.axis] = append(batches[l.axis], l)
		}
	}
	spent := maps.Clone(d.ledger.Spent)
	if spent == nil {
		spent = map[Axis]int{}
	}
	for axis, n := range shifts {
		spent[axis] += n // they will go: until then they have their part of the day's allowance
	}
	for _, axis := range slices.Sorted(maps.Keys(batches)) {
		ls := batches[axis]
		limit, limited := d.rules.limits[axis]
		if limited {
			if allowed := limit.allows(of[axis]); len(ls)+spent[axis] > allowed {
				r.hold(newSet(axis, objectionText(axis, len(ls), spent[axis]-shifts[axis], shifts[axis], of[axis], allowed), ls, now), ls, of[axis], allowed)
			} else {
				spent[axis] += len(ls)
			}
			continue
		}
		r.hold(newSet(axis, reason, ls, now), ls, of[axis], 0)
	}
	for i := range d.ledger.Held { // in the ledger's order: the oldest first
		s := &d.ledger.Held[i]
		ls := kept[s]
		if len(ls) == 0 {
			continue
		}
		allowed := 0
		if limit, limited := d.rules.limits[s.Axis]; limited {
			if allowed = limit.allows(of[s.Axis]); len(ls)+spent[s.Axis] <= allowed {
				spent[s.Axis] += len(ls)
				continue
			}
		}
		r.hold(*s, ls, of[s.Axis], allowed)
	}
	for _, l := range losses {
		if _, held := r.held[l.key]; !held {
			if text := d.doubt(l); text != "" {
				r.held[l.key] = text
			}
		}
	}
	r.keepMovers(losses)
	if d.ledger.Quarantine != nil {
		r.takeNothingYet(losses, *d.ledger.Quarantine)
	}
	d.holdOnCall(r, changes, now)
	if d.rules.additive {
		r.takeNothing(losses)
	}
	slices.SortStableFunc(r.objections, func(a, b Objection) int { return strings.Compare(string(a.Axis), string(b.Axis)) })
	return r
}

// released tells whether a loss leaves the set it waits in, because that set may go by itself and the rules have changed
// since: whether the loss is still the directory's doing cannot be told apart from theirs.
func (d *desk) released(s HeldSet, l loss, occasion Axis) bool {
	_, limited := d.rules.limits[s.Axis]
	return occasion == AxisConfiguration && limited && l.takes() && !l.free
}

// takeNothing is the policy that nothing is ever taken away. The sets stay: should the policy end, what first contact or a
// changed rule would have held must still wait for its yes.
func (r *ruling) takeNothing(losses []loss) {
	granted := false // whether gained roles wait
	for _, l := range losses {
		if l.takes() {
			r.held[l.key] = "removals: never"
			delete(r.inSet, l.key)
		}
		granted = granted || l.gain && r.inSet[l.key] != ""
	}
	r.objections = slices.DeleteFunc(r.objections, func(o Objection) bool {
		return o.Axis != AxisRenames && !(o.Axis == AxisPrivileged && granted)
	})
}

// valid tells whether the set has an approval that still counts.
func (s HeldSet) valid(now time.Time) bool {
	return !s.Approved.IsZero() && now.Sub(s.Approved) < ApprovalLife
}

// occasion tells whether everything that would be taken away waits, and why.
func (d *desk) occasion(approved map[string]string, of map[Axis]int) (Axis, string) {
	gone := 0
	for i := range d.people {
		p := &d.people[i]
		key := Change{Verb: VerbDeactivate, Object: p.ref()}.Key()
		if p.link != nil && p.target != nil && p.target.Active && p.standing == standGone && p.frozen == nil && approved[key] == "" {
			gone++
		}
	}
	limit := d.rules.limits[AxisDeactivations].allows(of[AxisSource])
	switch {
	case gone > limit:
		return AxisSource, fmt.Sprintf("the directory no longer lists %d of %d managed people, at most %d may vanish at once: its answer may be short, so nothing at all is taken away", gone, of[AxisSource], limit)
	case d.ledger.Rules == "":
		return AxisFirstContact, "first contact with this Rootly: what would be taken away waits for a yes"
	case d.rulesChanged():
		return AxisConfiguration, "because " + d.changedRules() + " changed, not because the directory says so"
	}
	return "", ""
}

// changedRules names the rules that differ from the last cycle's.
func (d *desk) changedRules() string {
	var keys []string
	for _, k := range slices.Sorted(maps.Keys(d.rules.texts)) {
		if d.ledger.RuleTexts[k] != d.rules.texts[k] {
			keys = append(keys, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(d.ledger.RuleTexts)) {
		if _, still := d.rules.texts[k]; !still {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 || d.ledger.RuleTexts == nil {
		return "the configuration"
	}
	return strings.Join(keys, ", ")
}

// doubt says why a loss cannot be believed yet: asked again, the directory did not confirm it.
func (d *desk) doubt(l loss) string {
	if f, ok := d.findings.people[l.person]; ok && l.axis == AxisDeactivations && f.proof == unproven {
		return f.text
	}
	if l.axis == AxisDeletions {
		return d.undepartable(l.person)
	}
	if f := d.findings.removed[l.group]; f.proof == unproven {
		return f.text
	}
	if l.group != "" && l.takes() {
		return d.findings.gone[l.group]
	}
	return ""
}

func (d *desk) contradictions() int {
	n := 0
	for _, f := range d.findings.people {
		if f.proof == contradicted {
			n++
		}
	}
	return n
}

// contradiction says, with an example, that the directory took a leaver back when asked again.
func (d *desk) contradiction() string {
	for _, id := range sortedKeys(d.findings.people) {
		if f := d.findings.people[id]; f.proof == contradicted {
			return fmt.Sprintf("the read was short: %s: %s; nothing is taken away in this run", d.person(id).ref().Name, f.text)
		}
	}
	return ""
}

func (r *ruling) hold(s HeldSet, ls []loss, of, allowed int) {
	if !slices.ContainsFunc(r.sets, func(o HeldSet) bool { return o.Fingerprint == s.Fingerprint }) {
		r.sets = append(r.sets, s)
	}
	r.objections = append(r.objections, Objection{
		Axis: s.Axis, Count: len(ls), Of: of, Limit: allowed, Text: s.Reason,
		Remedy: "look through the held changes; if they are right: rootly-idp-sync approve " + s.Fingerprint,
	})
	for _, l := range ls {
		r.held[l.key], r.inSet[l.key] = s.Reason, s.Fingerprint
	}
}

// split parts changes into those that go and those that wait, and says what each that goes costs of the day's
// allowance. A removal can be split by member.
func (d *desk) split(changes []Change, r *ruling) (applied, held []Change) {
	byChange := map[string][]loss{}
	for _, l := range d.losses(changes) {
		byChange[l.change] = append(byChange[l.change], l)
	}
	for _, c := range changes {
		ls := byChange[c.Key()]
		stays := map[string]loss{} // member → loss
		whole := ""
		c.Spends, c.OnCall = nil, r.facts[c.Key()]
		for _, l := range ls {
			text, stopped := r.held[l.key]
			switch {
			case stopped && l.member != "" && c.Verb != VerbDelete:
				stays[l.member] = l
			case stopped && c.Set == "": // a set that can be approved is named before what needs no yes
				whole, c.Held, c.Set = l.key, text, r.inSet[l.key]
			case stopped: // for another reason as well
			case r.approved[l.key] == "":
				if c.Spends == nil {
					c.Spends = map[Axis]int{}
				}
				c.Spends[l.axis]++
			}
		}
		if whole != "" {
			c.Spends = nil
			held = append(held, c)
			continue
		}
		if len(stays) > 0 {
			wait := map[[2]string][]Membership{} // by reason and set
			for _, m := range c.Members {
				if l, ok := stays[m.User.key()]; ok {
					k := [2]string{r.held[l.key], r.inSet[l.key]}
					wait[k] = append(wait[k], m)
				}
			}
			for _, k := range slices.SortedFunc(maps.Keys(wait), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
				h := c
				h.Members, h.Held, h.Set, h.Spends = wait[k], k[0], k[1], nil
				held = append(held, h)
			}
			c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Membership) bool { _, ok := stays[m.User.key()]; return ok })
			if len(c.Members) == 0 {
				continue
			}
		}
		applied = append(applied, c)
	}
	return applied, held
}

// newSet makes the batch. Its fingerprint is of its content: one victim more is another set.
func newSet(axis Axis, reason string, ls []loss, now time.Time) HeldSet {
	s := HeldSet{Axis: axis, Reason: reason, Created: now}
	for _, l := range ls {
		s.Items = append(s.Items, HeldItem{Key: l.key, Name: l.name})
	}
	slices.SortFunc(s.Items, func(a, b HeldItem) int { return strings.Compare(a.Key, b.Key) })
	h := sha256.New()
	fmt.Fprintln(h, axis)
	for _, i := range s.Items {
		fmt.Fprintln(h, i.Key)
	}
	s.Fingerprint = hex.EncodeToString(h.Sum(nil))[:12]
	return s
}

var axisTexts = map[Axis]string{
	AxisDeactivations: "%d of %d managed people would be deactivated",
	AxisDeletions:     "%d of %d managed people would be deleted",
	AxisMemberships:   "%d of %d managed group memberships would be removed",
	AxisGroups:        "%d of %d managed groups would be left empty or deleted",
	AxisPrivileged:    "%d memberships of groups that carry roles would be granted or removed, where %d are managed",
	AxisRenames:       "%d of %d managed people would get another userName",
}

func objectionText(axis Axis, n, spent, shifts, of, allowed int) string {
	text := fmt.Sprintf(axisTexts[axis], n, of)
	if spent > 0 {
		text += fmt.Sprintf(", after %d in the last 24 hours", spent)
	}
	if shifts > 0 {
		text += fmt.Sprintf(", beside %s waiting for the end of a shift", count(shifts, "person", "people"))
	}
	return text + fmt.Sprintf("; at most %d may within a day", allowed)
}

// forgetEmpty drops the sets about groups that are not left empty after all, because somebody's leaving is held.
func (r *ruling) forgetEmpty(losses []loss) {
	still := map[string]bool{}
	for _, l := range losses {
		still[l.key] = true
	}
	r.sets = slices.DeleteFunc(r.sets, func(s HeldSet) bool {
		moot := s.Axis == AxisGroups && s.Approved.IsZero() && !slices.ContainsFunc(s.Items, func(i HeldItem) bool { return still[i.Key] })
		if moot {
			r.objections = slices.DeleteFunc(r.objections, func(o Objection) bool { return o.Axis == AxisGroups && strings.HasSuffix(o.Remedy, s.Fingerprint) })
		}
		return moot
	})
}
