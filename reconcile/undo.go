package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Undo plans the way back from what an earlier cycle did: prior values, prior memberships. done are that cycle's changes
// that succeeded, in their order. What has changed since then is left and noted, so is what cannot be brought back. The
// plan is guarded like any other; its objects are Plan.Pins, to be pinned when it is applied, or the next cycle would do
// the same thing again.
func (p *Planner) Undo(ctx context.Context, ledger Ledger, now time.Time, done []Change) (Plan, error) {
	w, err := p.prepare(ctx, ledger, now)
	if err != nil {
		return Plan{}, err
	}
	u := undoing{desk: w.desk, now: now, fields: map[string]*Change{}, moves: map[string]*Change{}}
	u.notes = nil // the desk's are about the cycle that would come, not about the way back
	for _, c := range slices.Backward(done) {
		u.reverse(c)
	}
	changes := u.inOrder(u.changes())
	w.changes = changes
	if err := p.askPager(ctx, &w, now); err != nil {
		return Plan{}, err
	}
	r := u.judgeLosses(changes, now)
	r.keepIn(u.losses(changes))
	applied, held := u.split(changes, r)
	notes := u.notes
	plan := p.stamp(u.plan(applied, held, r, nil, now), w)
	plan.Notes, plan.partial, plan.used, plan.contested = notes, true, nil, nil
	for _, s := range u.ledger.Held { // what waits for its yes goes on waiting
		if !s.valid(now) && !slices.ContainsFunc(plan.Sets, func(o HeldSet) bool { return o.Fingerprint == s.Fingerprint }) {
			plan.Sets = append(plan.Sets, s)
		}
	}
	for _, c := range plan.Changes {
		plan.pins = append(plan.pins, c.Object)
		for _, m := range c.Members {
			if m.User.Source != "" { // an account that no directory id stands for is in no later plan of its own
				plan.pins = append(plan.pins, m.User)
			}
		}
	}
	slices.SortFunc(plan.pins, func(a, b Ref) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.key(), b.key())) })
	plan.pins = slices.CompactFunc(plan.pins, func(a, b Ref) bool { return a.Kind == b.Kind && a.key() == b.key() })
	return plan, nil
}

// keepIn leaves people whose own change is held in their groups as well.
func (r *ruling) keepIn(losses []loss) {
	held := map[string]string{} // person → key of the loss
	for _, l := range losses {
		if l.person != "" && r.held[l.key] != "" {
			held[l.person] = l.key
		}
	}
	for _, l := range losses {
		if own, stays := held[l.member]; stays && l.takes() && r.held[l.key] == "" {
			r.held[l.key], r.inSet[l.key] = r.held[own], r.inSet[own]
		}
	}
}

// Pins are the objects that applying the plan restores, nil for every plan but one of Undo.
func (p Plan) Pins() []Ref { return p.pins }

// An undoing collects the reversals, one change an object and direction.
type undoing struct {
	*desk
	now    time.Time
	order  []string
	fields map[string]*Change // object → update, reactivate or deactivate
	moves  map[string]*Change // "add g", "remove g" → change
}

func (u *undoing) changes() []Change {
	var out []Change
	for _, k := range u.order {
		if c := u.fields[k]; c != nil {
			out = append(out, *c)
		}
		if c := u.moves[k]; c != nil && len(c.Members) > 0 {
			out = append(out, *c)
		}
	}
	return out
}

func (u *undoing) reverse(c Change) {
	switch {
	case c.Verb == VerbLink:
		// Linking wrote nothing to Rootly.
	case c.Object.Kind == KindUser:
		u.reverseUser(c)
	case c.Verb == VerbDelete:
		u.note(c.Object, NoteLeft, deletedText(c), "make it anew in the directory, and the next sync brings it back with its members")
	case c.Verb == VerbAdd || c.Verb == VerbRemove:
		u.reverseMembers(c)
	case c.Verb == VerbCreate:
		u.note(c.Object, NoteLeft, "the group was created by that cycle; it is not deleted, only its members go", "delete it in Rootly if nobody needs it")
	default:
		u.reverseGroup(c)
	}
}

func (u *undoing) reverseUser(c Change) {
	if c.Verb == VerbDelete {
		u.note(c.Object, NoteLeft, "was deleted and cannot be brought back: a new account has another id and none of the old one's schedules and history",
			"to have the person in Rootly again: have them in scope in the directory, and the next sync creates an account")
		return
	}
	i, ok := u.personAt[connectors.UserID(c.Object.Source)]
	if !ok || u.people[i].link == nil || u.people[i].target == nil {
		u.note(c.Object, NoteLeft, "is no longer an account that we manage", "")
		return
	}
	p := &u.people[i]
	if text := p.untouchable(); text != "" {
		u.note(p.ref(), NoteLeft, text, "")
		return
	}
	have := u.valuesOf(p)
	switch c.Verb {
	case VerbCreate:
		if have.Active {
			u.edit(p, have, VerbDeactivate, []Field{{Name: "active", From: "true", To: "false", Why: WhyUndo}}, "created by that cycle")
		}
		return
	case VerbDeactivate:
		if !have.Active {
			u.edit(p, have, VerbReactivate, []Field{{Name: "active", From: "false", To: "true", Why: WhyUndo}}, "deactivated by that cycle")
			for _, g := range c.Groups {
				u.rejoin(p, g)
			}
		}
		return
	}
	var back []Field
	for _, f := range c.Fields {
		now := fieldOf(have, f.Name)
		switch {
		case now == f.From:
		case now != f.To && !u.rules.phones.same(now, f.To) && !sameFolded(now, f.To):
			u.note(p.ref(), NoteLeft, fmt.Sprintf("%s has been changed since, to %s", f.Name, quoted(now)), "")
		default:
			back = append(back, Field{Name: f.Name, From: now, To: f.From, Why: WhyUndo})
		}
	}
	if len(back) == 0 {
		return
	}
	verb := VerbUpdate
	if i := slices.IndexFunc(back, func(f Field) bool { return f.Name == "active" }); i >= 0 {
		// A reactivation is undone by the deactivation alone: what else it set does no harm to an inactive account.
		verb, back = VerbDeactivate, back[i:i+1]
	}
	u.edit(p, have, verb, back, "changed by that cycle")
}

// untouchable says why not even undo touches a person.
func (p *person) untouchable() string {
	switch {
	case p.standing == standExcluded:
		return p.text
	case p.frozen != nil && (p.frozen.Kind == NoteProtected || p.frozen.Kind == NoteConflict):
		return p.frozen.Text
	}
	return ""
}

// inOrder lets whoever gets a userName back wait for the account that still has it, and leaves those whose name somebody
// else has for good.
func (u *undoing) inOrder(changes []Change) []Change {
	holder := map[string]string{} // folded userName → SCIM id
	for i := range u.users {
		holder[connectors.Fold(u.users[i].UserName)] = u.users[i].ID
	}
	frees := map[string]string{} // SCIM id → key of the change that gives its name up
	for _, c := range changes {
		if c.renames() {
			frees[c.Object.Target] = c.Key()
		}
	}
	var out []Change
	for _, c := range changes {
		if id, taken := holder[connectors.Fold(c.field("userName"))]; c.renames() && taken && id != c.Object.Target {
			key, ok := frees[id]
			if !ok {
				u.note(c.Object, NoteLeft, "the userName "+c.field("userName")+" belongs to another account by now", "")
				continue
			}
			c.After = []string{key}
		}
		out = append(out, c)
	}
	return out
}

// edit makes the change that sets fields of an account, and joins it with what earlier steps of the cycle need undone.
func (u *undoing) edit(p *person, have UserValues, verb Verb, fields []Field, detail string) {
	key := "user " + p.id
	c := u.fields[key]
	if c == nil {
		c = &Change{Verb: verb, Object: p.ref(), Why: WhyUndo, Detail: detail, user: &have, emails: p.target.Emails}
		record := *p.link.User
		c.record = &record
		u.fields[key], u.order = c, append(u.order, key)
	}
	for _, f := range fields {
		c.Fields = slices.DeleteFunc(c.Fields, func(o Field) bool { return o.Name == f.Name })
		c.Fields = append(c.Fields, f)
		setValue(c.user, f.Name, f.To)
		setValue(c.record, f.Name, f.To)
	}
}

func (u *undoing) rejoin(p *person, g Ref) {
	for i := range u.groups {
		if t := u.groups[i].target; t != nil && t.ID == g.Target && u.groups[i].link != nil {
			u.move(VerbAdd, &u.groups[i], p.ref())
			return
		}
	}
	u.note(p.ref(), NoteLeft, "was in the group "+quoted(g.Name)+", which we do not manage", "add them there by hand")
}

func (u *undoing) reverseMembers(c Change) {
	i, ok := u.groupAt[c.Object.Source]
	if !ok || u.groups[i].link == nil || u.groups[i].target == nil {
		u.note(c.Object, NoteLeft, "is no longer a group that we manage", "")
		return
	}
	g := &u.groups[i]
	in := map[string]bool{}
	for _, m := range g.target.Members {
		in[m.Value] = true
	}
	for _, m := range c.Members {
		r := m.User
		if at, ok := u.personAt[connectors.UserID(r.Source)]; ok {
			if r = u.people[at].ref(); u.people[at].untouchable() != "" {
				u.note(r, NoteLeft, u.people[at].untouchable(), "")
				continue
			}
		}
		switch at, shown := u.userAt[r.Target]; {
		case !shown:
			u.note(r, NoteLeft, "is not in Rootly any more", "")
		case c.Verb == VerbAdd && in[r.Target]:
			u.move(VerbRemove, g, r)
		case c.Verb == VerbRemove && !in[r.Target] && !u.users[at].Active:
			u.note(r, NoteLeft, "is deactivated and cannot be put back into "+quoted(g.ref().Name), "")
		case c.Verb == VerbRemove && !in[r.Target]:
			u.move(VerbAdd, g, r)
		}
	}
}

func (u *undoing) move(verb Verb, g *pushed, who Ref) {
	key := string(verb) + " " + g.id
	c := u.moves[key]
	if c == nil {
		c = &Change{Verb: verb, Object: g.ref(), Why: WhyUndo, group: g.link.Group}
		u.moves[key], u.order = c, append(u.order, key)
	}
	if !slices.ContainsFunc(c.Members, func(m Membership) bool { return m.User.Target == who.Target }) {
		c.Members = append(c.Members, Membership{User: who, Why: WhyUndo})
	}
}

func (u *undoing) reverseGroup(c Change) {
	i, ok := u.groupAt[c.Object.Source]
	if !ok || u.groups[i].link == nil || u.groups[i].target == nil {
		u.note(c.Object, NoteLeft, "is no longer a group that we manage", "")
		return
	}
	g := &u.groups[i]
	key := "group " + g.id
	for _, f := range c.Fields {
		now := g.target.DisplayName
		if f.Name == "externalId" {
			now = g.target.ExternalID
		}
		if now != f.To {
			if now != f.From {
				u.note(g.ref(), NoteLeft, f.Name+" has been changed since, to "+quoted(now), "")
			}
			continue
		}
		back := u.fields[key]
		if back == nil {
			v := *g.link.Group
			back = &Change{Verb: VerbUpdate, Object: g.ref(), Why: WhyUndo, Detail: "changed by that cycle", group: &v}
			u.fields[key], u.order = back, append(u.order, key)
		}
		back.Fields = append(back.Fields, Field{Name: f.Name, From: now, To: f.From, Why: WhyUndo})
		if f.Name == "externalId" {
			back.group.ExternalID = f.From
		} else {
			back.group.DisplayName = f.From
		}
	}
}

// fieldOf and setValue read and write one attribute by the name that a Field has.
func fieldOf(v UserValues, name string) string {
	switch name {
	case "userName":
		return v.UserName
	case "externalId":
		return v.ExternalID
	case "name.givenName":
		return v.GivenName
	case "name.familyName":
		return v.FamilyName
	case "displayName":
		return v.DisplayName
	case "emails":
		return v.Email
	case "active":
		return boolText(v.Active)
	}
	return phoneOf(v.Phones, strings.TrimPrefix(name, "phoneNumbers."))
}

func setValue(v *UserValues, name, to string) {
	switch name {
	case "userName":
		v.UserName = to
	case "externalId":
		v.ExternalID = to
	case "name.givenName":
		v.GivenName = to
	case "name.familyName":
		v.FamilyName = to
	case "displayName":
		v.DisplayName = to
	case "emails":
		v.Email = to
	case "active":
		v.Active = to == "true"
	default:
		typ := strings.TrimPrefix(name, "phoneNumbers.")
		v.Phones = slices.DeleteFunc(slices.Clone(v.Phones), func(p connectors.Phone) bool { return p.Type == typ })
		if to != "" {
			v.Phones = append(v.Phones, connectors.Phone{Type: typ, Value: to})
		}
	}
}
