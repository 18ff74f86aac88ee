package lab

import (
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// axes are those on which the guard may weigh who enters and leaves a group: one, unless the group was renamed into or out
// of those that carry roles, when it depends on what was read of either side.
func (w *world) axes(g sim.SCIMGroup) []reconcile.Axis {
	if !w.Setup.Roles {
		return []reconcile.Axis{reconcile.AxisMemberships}
	}
	team := w.groupOwner(g)
	named := func(t truth) bool { return t.teams[team].name == roleGroup }
	switch {
	case always(w.process.window(), named):
		return []reconcile.Axis{reconcile.AxisPrivileged}
	case g.DisplayName != roleGroup && !ever(w.truth, named):
		return []reconcile.Axis{reconcile.AxisMemberships}
	}
	return []reconcile.Axis{reconcile.AxisMemberships, reconcile.AxisPrivileged}
}

// manned tells whether somebody active who is ours is in the group.
func (w *world) manned(g sim.SCIMGroup) bool {
	for _, m := range g.Members {
		if u, ok := w.scim.User(m.Value); ok && u.Active && w.ours[m.Value] != "" {
			return true
		}
	}
	return false
}

// judgeEmptied weighs the groups in which nobody is left after a cycle, if people were taken out of them. Of a cycle that
// did not come to its end, and of a group whose newcomers Rootly refused, nobody can say what was meant to be left.
func (p *process) judgeEmptied(err error) {
	w := p.w
	if err != nil || p.dead || p.epoch != w.epoch {
		return
	}
	refused := map[string]bool{}
	for _, r := range w.last.Results {
		if r.Change.Object.Kind == reconcile.KindGroup && r.Outcome != reconcile.OutcomeDone {
			refused[r.Change.Object.Target] = true
		}
	}
	for _, g := range w.scim.Groups() {
		if name, was := p.manned[g.ID]; was && p.left[g.ID] && !refused[g.ID] && !w.manned(g) {
			w.tell("  nobody is left in %s", name)
			w.count(p, reconcile.AxisGroups, "empty group "+w.groupOwner(g), p.groups, false)
		}
	}
}
