package lab

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// settled compares the end of a change, as the store has it, with what was seen at the target. What is recorded as done is
// played on a second copy of the target, which therefore must come to the same.
func (w *world) settled(i intent, s reconcile.Settled) {
	switch s.Outcome {
	case reconcile.OutcomeDone:
		w.replay.apply(w, i, s.Link)
	case reconcile.OutcomeNotKept, reconcile.OutcomeSkipped:
		w.replay.copy(w, cmp.Or(linked(s.Link), i.change.Object.Target)) // in part
	case reconcile.OutcomeFailed:
		if i.did {
			w.violate(LawAudit, "%s is recorded as failed, and was done: %s", i.change.Key(), s.Error)
		}
	}
}

func linked(l *reconcile.Link) string {
	if l == nil {
		return ""
	}
	return l.Target
}

// follow takes over what hands did to the target.
func (r *photo) follow(before, after photo) {
	for _, e := range diff(before, after) {
		id := cmp.Or(e.group, e.user)
		r.take(after, id)
		r.edited[id] = true
	}
}

// take copies one object as it is in another photo.
func (r *photo) take(from photo, id string) {
	delete(r.users, id)
	delete(r.groups, id)
	if u, ok := from.users[id]; ok {
		r.users[id] = u
	}
	if g, ok := from.groups[id]; ok {
		r.groups[id] = g
	}
}

// copy takes over an object as the target has it.
func (r *photo) copy(w *world, id string) { r.take(w.photo(), id) }

// apply plays a recorded change.
func (r *photo) apply(w *world, i intent, link *reconcile.Link) {
	c := i.change
	id := cmp.Or(linked(link), c.Object.Target)
	switch {
	case c.Verb == reconcile.VerbDelete:
		delete(r.users, id)
		delete(r.groups, id)
		r.leaveAll(id)
	case c.Object.Kind == reconcile.KindUser:
		r.applyUser(w, c, id)
	default:
		r.applyGroup(w, c, id)
	}
}

func (r *photo) applyUser(w *world, c reconcile.Change, id string) {
	u, known := r.users[id]
	if _, there := w.scim.User(id); !known && !there {
		return // a hand has removed it since
	}
	if !known { // a new account: what the server makes of it beyond the fields is its own
		u = sim.SCIMUser{ID: id, Active: true}
	}
	u.Phones = slices.Clone(u.Phones)
	for _, f := range c.Fields {
		switch f.Name {
		case "userName":
			u.UserName = f.To
		case "externalId":
			u.ExternalID = f.To
		case "name.givenName":
			u.GivenName = f.To
		case "name.familyName":
			u.FamilyName = f.To
		case "displayName":
			u.DisplayName = f.To
		case "active":
			u.Active = f.To == "true"
		case "emails":
			u.Emails = []sim.SCIMValue{{Value: f.To, Type: "work", Primary: true}}
		default:
			typ := f.Name[len("phoneNumbers."):]
			u.Phones = slices.DeleteFunc(u.Phones, func(p sim.SCIMValue) bool { return p.Type == typ })
			if f.To != "" {
				u.Phones = append(u.Phones, sim.SCIMValue{Type: typ, Value: f.To})
			}
		}
	}
	r.users[id] = u
	if !u.Active && !slices.Contains(w.Setup.Habits, "keep members") {
		r.leaveAll(id)
	}
}

func (r *photo) applyGroup(w *world, c reconcile.Change, id string) {
	g, known := r.groups[id]
	if !known {
		g = sim.SCIMGroup{ID: id}
	}
	for _, f := range c.Fields {
		if f.Name == "externalId" {
			g.ExternalID = f.To
		} else {
			g.DisplayName = f.To
		}
	}
	g.Members = slices.Clone(g.Members)
	for _, m := range c.Members {
		member := m.User.Target
		for target, source := range w.ours {
			if source == m.User.Source && source != "" {
				if _, here := r.users[target]; here {
					member = target
				}
			}
		}
		g.Members = slices.DeleteFunc(g.Members, func(have sim.SCIMMember) bool { return have.Value == member })
		if c.Verb == reconcile.VerbAdd {
			g.Members = append(g.Members, sim.SCIMMember{Value: member, Type: "User"})
		}
	}
	r.groups[id] = g
}

func (r *photo) leaveAll(id string) {
	for gid, g := range r.groups {
		g.Members = slices.DeleteFunc(slices.Clone(g.Members), func(m sim.SCIMMember) bool { return m.Value == id })
		r.groups[gid] = g
	}
}

// checkReplay compares the copy with the target.
func (w *world) checkReplay() {
	if w.unreliable {
		return
	}
	for _, e := range diff(w.replay, w.photo()) {
		if e.what == "set" && same(e.field, e.from, e.to) {
			continue
		}
		w.violate(LawAudit, "the record replayed over the first state lacks: %s", e)
	}
}

// checkLinks looks at what the ledger took over without a write.
func (w *world) checkLinks() {
	ledger, err := w.memory.Ledger(context.Background())
	must(err)
	now := w.photo()
	for _, l := range slices.Collect(maps.Values(ledger.Users)) {
		if u, ok := now.users[l.Target]; ok && w.ours[l.Target] == "" {
			if id := w.claimant(u); id == "" && w.claimantBefore(u.ID) == "" {
				w.violate(LawOwnership, "%s (%s) is taken over", u.UserName, u.ExternalID)
			}
			w.ours[l.Target] = l.Source
		}
	}
	for _, l := range slices.Collect(maps.Values(ledger.Groups)) {
		if g, ok := now.groups[l.Target]; ok && w.ourGroups[l.Target] == "" {
			if id := w.groupOwner(g); id == "" {
				w.violate(LawOwnership, "group %s (%s) is taken over", g.DisplayName, g.ExternalID)
			}
			w.ourGroups[l.Target] = l.Source
		}
	}
}
