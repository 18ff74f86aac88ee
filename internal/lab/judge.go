package lab

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// The laws.
const (
	LawOwnership  = "no object that is not ours is written"
	LawLeaving    = "nobody is deactivated or taken out whom the directory did not lose"
	LawFrozen     = "nobody who is protected, excluded, pinned or somebody else's by now is touched"
	LawByHand     = "whom a hand deactivated stays so until something changes in the directory"
	LawGuard      = "no more is taken away than the guard allows"
	LawIntent     = "no write without an intent that says so"
	LawPlanning   = "planning does not write"
	LawAudit      = "the record of changes is what was done"
	LawConverges  = "when the faults stop, both sides agree within three cycles, and the next plan is empty"
	LawLeadership = "a process that no longer leads begins no write"
)

// An effect is one thing that a request changed at the target.
type effect struct {
	what  string // "create user", "set", "delete user", "create group", "name group", "delete group", "join", "leave"
	user  string // SCIM id
	group string
	field string
	from  string
	to    string
	kind  string // of a member: "User" or "Group"
}

func (e effect) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s %q→%q", e.what, e.user, e.group, e.field, e.from, e.to))
}

// judge holds every effect of one request against the true history.
func (w *world) judge(p *process, r *http.Request, before, after photo) {
	effects := diff(before, after)
	for _, e := range effects {
		w.out.Writes = append(w.out.Writes, r.Method+" "+e.String())
		w.tell("  %s %s", r.Method, e)
	}
	if !p.applying {
		w.violate(LawPlanning, "%s %s", r.Method, r.URL.Path)
	}
	if p.epoch != w.epoch && (p.told || len(p.intents) == 0) {
		w.violate(LawLeadership, "%s %s", r.Method, r.URL.Path)
	}
	if p.epoch != w.epoch {
		w.unreliable = true // the one request that was under way: nobody records it any more
	}
	deactivated := map[string]bool{}
	for _, e := range effects {
		if e.what == "delete user" || e.field == "active" && e.to == "false" {
			deactivated[e.user] = true
		}
	}
	for _, e := range effects {
		if e.what == "leave" && deactivated[e.user] {
			continue // the server's own doing
		}
		w.judgeIntent(p, e, before, after)
		w.judgeOwner(p, e, before, after)
		w.judgeFrozen(p, e, before)
		w.judgeLoss(p, e, before, after)
	}
}

// owner is whose account an account is: whom it was made for or taken over for, else whose it may be taken for.
func (w *world) owner(u sim.SCIMUser) string {
	if id := w.ours[u.ID]; id != "" {
		return id
	}
	return w.claimant(u)
}

// claimant is somebody of the directory, now or ever, whose account an unlinked one is by its externalId or, if it has
// none, by its name.
func (w *world) claimant(u sim.SCIMUser) string {
	for _, t := range slices.Backward(w.truth) {
		if _, ok := t.people[u.ExternalID]; ok {
			return u.ExternalID
		}
	}
	if u.ExternalID != "" {
		return ""
	}
	for _, t := range slices.Backward(w.truth) {
		for id, p := range t.people {
			if connectors.Fold(p.Login) == connectors.Fold(u.UserName) {
				return id
			}
		}
	}
	return ""
}

// ownerNow is owner for an account that is being taken over. Where several people had its name in turn, a reading may have
// been of either.
func (w *world) ownerNow(p *process, u sim.SCIMUser) string {
	if w.ours[u.ID] == "" && u.ExternalID == "" {
		for _, i := range p.intents {
			mine := i.change.Object.Target == u.ID || i.user != nil && connectors.Fold(i.user.UserName) == connectors.Fold(u.UserName)
			if mine && ever(w.truth, func(t truth) bool {
				return connectors.Fold(t.people[i.change.Object.Source].Login) == connectors.Fold(u.UserName)
			}) {
				return i.change.Object.Source
			}
		}
	}
	if id := w.owner(u); id != "" {
		return id
	}
	return w.claimantBefore(u.ID)
}

// claimantBefore is whose account an unlinked one was in what a lagging reading may have shown: taken over by that name, and
// renamed by a hand after that, it would be theirs all the same.
func (w *world) claimantBefore(user string) string {
	for _, before := range []replica{w.latest, w.past} {
		if u, ok := before.scim.User(user); ok {
			if id := w.claimant(u); id != "" {
				return id
			}
		}
	}
	return ""
}

func (w *world) groupOwner(g sim.SCIMGroup) string {
	if id := w.ourGroups[g.ID]; id != "" {
		return id
	}
	for _, t := range slices.Backward(w.truth) {
		if _, ok := t.teams[g.ExternalID]; ok {
			return g.ExternalID
		}
		if g.ExternalID != "" {
			continue
		}
		for id, team := range t.teams {
			if connectors.Fold(team.name) == connectors.Fold(g.DisplayName) {
				return id
			}
		}
	}
	return ""
}

// judgeOwner knows an object as ours when we made it, or when it could be taken for somebody's of the directory.
func (w *world) judgeOwner(p *process, e effect, before, after photo) {
	switch e.what {
	case "create user":
		w.ours[e.user] = after.users[e.user].ExternalID
	case "create group":
		w.ourGroups[e.group] = after.groups[e.group].ExternalID
	case "set", "delete user":
		u := before.users[e.user]
		id := w.ownerNow(p, u)
		if id == "" {
			w.violate(LawOwnership, "%s of %s (%s)", e, u.UserName, u.ExternalID)
			return
		}
		if u.ExternalID != "" && u.ExternalID != id && w.past.holds(e.user, u.ExternalID) {
			w.violate(LawFrozen, "%s of %s, which carries the externalId %q by now", e, u.UserName, u.ExternalID)
		}
		w.ours[e.user] = id
	case "name group", "delete group", "join", "leave":
		g, ok := before.groups[e.group]
		if !ok {
			return // made by the same request
		}
		id := w.groupOwner(g)
		if id == "" {
			w.violate(LawOwnership, "%s of group %s (%s)", e, g.DisplayName, g.ExternalID)
			return
		}
		if g.ExternalID != "" && g.ExternalID != id && w.ourGroups[e.group] != "" && w.past.groupHolds(e.group, g.ExternalID) {
			w.violate(LawFrozen, "%s of group %s, which carries the externalId %q by now", e, g.DisplayName, g.ExternalID)
		}
		w.ourGroups[e.group] = id
	}
}

// holds tells whether the account carried this externalId a cycle ago already: a lagging listing may not show it yet.
func (r replica) holds(user, externalID string) bool {
	u, ok := r.scim.User(user)
	return !ok || u.ExternalID == externalID
}

func (r replica) groupHolds(group, externalID string) bool {
	g, ok := r.scim.Group(group)
	return !ok || g.ExternalID == externalID
}

func (w *world) judgeFrozen(p *process, e effect, before photo) {
	if e.user == "" {
		return
	}
	u, ok := before.users[e.user]
	id := w.owner(u)
	if !ok {
		return
	}
	if e.what == "leave" && e.kind == "Group" {
		w.violate(LawFrozen, "%s: a group inside a group", e)
	}
	ts := p.window()
	switch now := ts[len(ts)-1].rules; {
	case now.protect != "" && now.protect == id:
		w.violate(LawFrozen, "%s: %s is protected", e, u.UserName)
	case now.exclude != "" && now.exclude == id && e.what != "join" && e.what != "leave":
		w.violate(LawFrozen, "%s: %s is excluded", e, u.UserName)
	case w.pinned[id]:
		w.violate(LawFrozen, "%s: %s is pinned", e, u.UserName)
	}
}

// A taken is one loss without a yes, for the guard's arithmetic.
type taken struct {
	axis reconcile.Axis
	key  string
	at   time.Time
}

// judgeLoss asks of each loss whether the directory gave the person up at some moment that the process may have read, and
// whether the guard could let it through.
func (w *world) judgeLoss(p *process, e effect, before, after photo) {
	u := before.users[e.user]
	id := w.owner(u)
	ts := p.window()
	switch {
	case e.what == "set" && e.field == "active" && e.to == "false":
		if !ever(ts, func(t truth) bool { return t.lost(w.Setup.Mode, id) }) {
			w.violate(LawLeaving, "%s (%s) is deactivated", u.UserName, id)
		}
		organic := ever(ts, func(t truth) bool { return t.off(id) })
		w.count(p, reconcile.AxisDeactivations, "deactivate user "+id, p.crowd, organic)
	case e.what == "set" && e.field == "active":
		if since, byHand := w.byHand[u.ID]; byHand && always(w.truth[since:], func(t truth) bool { return !t.lost(w.Setup.Mode, id) }) {
			w.violate(LawByHand, "%s (%s) is reactivated", u.UserName, id)
		}
	case e.what == "delete user":
		if !ever(ts, func(t truth) bool { _, here := t.people[id]; return !here }) || u.Active {
			w.violate(LawLeaving, "%s (%s) is deleted", u.UserName, id)
		}
		w.count(p, reconcile.AxisDeletions, "delete user "+id, p.crowd, false)
	case e.what == "leave":
		g := before.groups[e.group]
		team := w.groupOwner(g)
		if w.ours[u.ID] == "" && u.ExternalID == "" && !always(ts, func(t truth) bool { return connectors.Fold(t.people[id].Login) == connectors.Fold(u.UserName) }) {
			id = "" // by its name it is nobody's by now
		}
		if id != "" && u.Active && always(ts, func(t truth) bool {
			return t.pushes(team) && t.teams[team].members[id] && !t.lost(w.Setup.Mode, id)
		}) {
			w.violate(LawLeaving, "%s (%s) is taken out of %s", u.UserName, id, g.DisplayName)
		}
		if !u.Active {
			return // nobody pages them
		}
		p.left[g.ID] = true
		if axes := w.axes(g); len(axes) == 1 {
			w.count(p, axes[0], "remove user "+w.memberKey(p, u, id)+" from group "+team, p.members[axes[0]], false)
		}
	case e.what == "join":
		g, ok := before.groups[e.group]
		if !ok {
			g = after.groups[e.group]
		}
		if axes := w.axes(g); len(axes) == 1 && axes[0] == reconcile.AxisPrivileged {
			w.count(p, axes[0], "add user "+id+" to group "+w.groupOwner(g), p.members[axes[0]], false)
		}
	case e.what == "delete group":
		team := w.groupOwner(before.groups[e.group])
		if !ever(ts, func(t truth) bool { _, here := t.teams[team]; return !here }) {
			w.violate(LawLeaving, "group %s is deleted", e.group)
		}
		w.count(p, reconcile.AxisGroups, "delete group "+team, p.groups, false)
	case e.what == "set" && e.field == "userName":
		w.count(p, reconcile.AxisRenames, "rename user "+id+" to "+connectors.Fold(e.to), p.crowd, false)
	}
}

// memberKey is how the held sets of the store name a member.
func (w *world) memberKey(p *process, u sim.SCIMUser, id string) string {
	for _, i := range p.intents {
		for _, m := range i.change.Members {
			if m.User.Target == u.ID && m.User.Source == "" {
				return "target:" + u.ID
			}
		}
	}
	return id
}

// count weighs one loss as the guard's documentation has it: within the limit of its axis over a day, unless somebody
// said yes to it; and not at all at first contact, under changed rules or at the end of a quarantine.
func (w *world) count(p *process, axis reconcile.Axis, key string, of int, organic bool) {
	yes, approved := w.yes[key]
	approved = approved && p.planned.Sub(yes) < reconcile.ApprovalLife+time.Hour
	keeps := axis == reconcile.AxisRenames || strings.HasPrefix(key, "add ") // nothing is taken away
	switch {
	case w.Setup.Never && !keeps:
		w.violate(LawGuard, "%s, and removals are never made", key)
	case p.calm && !keeps:
		w.violate(LawGuard, "%s in the first cycle after a quarantine", key)
	case approved:
		p.used[key] = true
		return
	case !w.contacted && !keeps:
		w.violate(LawGuard, "%s at first contact", key)
	case w.settledBy != w.rules && !organic && !keeps && w.settledBy.removes(w.rules):
		w.violate(LawGuard, "%s under rules that are new", key)
	}
	n := 1
	for _, t := range w.taken {
		if t.axis == axis && t.at.After(p.planned.Add(-24*time.Hour)) {
			n++
		}
	}
	w.taken = append(w.taken, taken{axis: axis, key: key, at: w.now()})
	if most := allows(w.Setup.Guard, of); n > most {
		w.violate(LawGuard, "%s is number %d of the day on %s, and %d of %d may go", key, n, axis, most, of)
	}
}

// removes tells whether the step to other rules is one that the guard looks at: whom nothing is done to is not.
func (r ruleset) removes(next ruleset) bool {
	r.protect, next.protect = "", ""
	return r != next
}

// judgeIntent finds the recorded change that says what the request did.
func (w *world) judgeIntent(p *process, e effect, before, after photo) {
	for id, i := range p.intents {
		if i.says(w, e, before, after) {
			i.did = true
			p.intents[id] = i
			return
		}
	}
	var open []string
	for _, i := range p.intents {
		open = append(open, i.change.Key())
	}
	w.violate(LawIntent, "%s; recorded: %v", e, open)
}

// says tells whether the change holds this effect.
func (i intent) says(w *world, e effect, before, after photo) bool {
	c := i.change
	field := func(name, value string) bool {
		return slices.ContainsFunc(c.Fields, func(f reconcile.Field) bool { return f.Name == name && same(name, f.To, value) })
	}
	switch e.what {
	case "create user":
		u := after.users[e.user]
		return c.Object.Kind == reconcile.KindUser && (c.Verb == reconcile.VerbCreate || c.Verb == reconcile.VerbReactivate) &&
			(c.Object.Source == u.ExternalID || u.ExternalID == "") && i.user != nil && connectors.Fold(i.user.UserName) == connectors.Fold(u.UserName)
	case "set":
		u := before.users[e.user]
		mine := c.Object.Target == e.user || c.Verb == reconcile.VerbCreate && connectors.Fold(i.user.UserName) == connectors.Fold(u.UserName)
		return c.Object.Kind == reconcile.KindUser && mine && field(e.field, e.to)
	case "delete user":
		return c.Verb == reconcile.VerbDelete && c.Object.Target == e.user
	case "create group":
		return c.Verb == reconcile.VerbCreate && c.Object.Kind == reconcile.KindGroup && c.Object.Source == after.groups[e.group].ExternalID
	case "name group":
		return c.Object.Kind == reconcile.KindGroup && c.Object.Target == e.group && field(e.field, e.to)
	case "delete group":
		return c.Verb == reconcile.VerbDelete && c.Object.Target == e.group
	}
	verb := map[string]reconcile.Verb{"join": reconcile.VerbAdd, "leave": reconcile.VerbRemove}[e.what]
	atHome := c.Object.Target == e.group || c.Object.Source == after.groups[e.group].ExternalID
	if c.Verb == reconcile.VerbDelete && c.Object.Target == e.group {
		return true
	}
	return c.Verb == verb && atHome && slices.ContainsFunc(c.Members, func(m reconcile.Membership) bool {
		return m.User.Target == e.user || m.User.Source != "" && m.User.Source == w.ours[e.user]
	})
}
