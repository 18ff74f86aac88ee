package config

// groups checks which groups are pushed, which of them carry roles and what becomes of those that are gone.
func (l *loader) groups() {
	g := l.cfg.Groups
	l.patterns("groups.push", g.Push)
	l.patterns("groups.privileged", g.Privileged)
	if len(g.Push) == 0 && len(g.Privileged) > 0 {
		l.problem("groups.privileged", "names groups, and groups.push names none: no membership is ever changed", "add them to groups.push, or remove the entries")
	}
	if l.cfg.State.None && g.OnRemoved != OnRemovedLeave {
		l.problem("groups.on_removed", "is "+string(g.OnRemoved)+", which needs a ledger: without one nobody knows which groups this sync brought, and state is none",
			"write leave, or give state a path")
	}
}
