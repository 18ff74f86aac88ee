package lab

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// heal stops all faults, edits and other writers, and wants both sides to agree after three days, on each of which a cycle
// runs, the operator says yes to what it holds, and a cycle carries that out.
func (w *world) heal() {
	w.tell("the faults stop")
	w.armed, w.rival = nil, nil
	w.process.pending = nil
	_, err := w.memory.Unpin(context.Background(), "")
	must(err)
	clear(w.pinned)
	w.tell("%s", w.hire(sim.Person{Direct: true, Department: "SRE"}, scopeGroup)) // a scope without anybody fails the cycle
	for range healing {
		w.wait(3)
		w.cycle()
		if w.approve([3]uint32{^uint32(0)}) != "" {
			w.wait(0)
			w.cycle()
		}
		if w.out.Violation != nil {
			return
		}
	}
	w.wait(3)
	plan, err := w.plan()
	if err != nil {
		w.violate(LawConverges, "the plan: %v", err)
		return
	}
	refused := map[string]bool{}
	for _, c := range plan.Changes {
		if c.Verb == reconcile.VerbDelete && w.Setup.DeleteAfter > 0 {
			continue // their day has come since
		}
		if slices.Contains(w.Setup.Habits, "vanish") && w.tangled[strings.ToLower(c.Object.Name)] {
			refused[c.Object.Source] = true // each day, and reported: a hidden account has the name
			continue
		}
		if c.Verb == reconcile.VerbAdd && !slices.ContainsFunc(c.Members, func(m reconcile.Membership) bool { return !refused[m.User.Source] }) {
			continue // they have no account that could be let in
		}
		w.violate(LawConverges, "still planned: %s%s", c.Key(), detail(c))
	}
	if !w.Setup.Never {
		for _, c := range plan.Held {
			if c.Verb == reconcile.VerbDelete && w.Setup.DeleteAfter > 0 {
				continue
			}
			w.violate(LawConverges, "still held: %s: %s", c.Key(), c.Held)
		}
	}
	ledger, err := w.memory.Ledger(context.Background())
	must(err)
	for _, i := range ledger.Open {
		w.violate(LawConverges, "still open: %s", i.Change.Key())
	}
	w.compare(plan, refused)
	w.checkReplay()
}

// healing is in how many days both sides come in line.
const healing = 3

func (w *world) plan() (reconcile.Plan, error) {
	p := w.process
	p.begin()
	defer p.cancel()
	ledger, err := w.memory.Ledger(p.ctx)
	if err != nil {
		return reconcile.Plan{}, err
	}
	rules := w.compile()
	planner := reconcile.Planner{Source: &watched{w.connectors[w.rules.narrow], p}, Target: p.target, TargetURL: scimURL, Rules: rules,
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			s, _, err := w.memory.Previous(ctx)
			return s, err
		}}
	return planner.Plan(p.ctx, ledger, w.now())
}

// compare holds the target against the directory, by rules of its own. Whoever is reported as a conflict is left out, if
// something happened to them that a conflict may be about, and so is whom the target refused each day.
func (w *world) compare(plan reconcile.Plan, refused map[string]bool) {
	noted := maps.Clone(refused)
	for _, n := range plan.Notes {
		switch n.Kind {
		case reconcile.NoteConflict, reconcile.NoteByHand, reconcile.NoteUnmapped:
			if len(w.tangled) == 0 {
				w.violate(LawConverges, "reported without a cause: %s %s: %s", n.Kind, n.Object.Name, n.Text)
			}
			noted[n.Object.Source] = true
		case reconcile.NoteLeft, reconcile.NoteStuck:
			noted[n.Object.Source] = true
		}
		if strings.Contains(n.Text, "another writer") {
			noted[n.Object.Source] = true
		}
	}
	t := w.truth[len(w.truth)-1]
	now := w.photo()
	accounts := map[string]sim.SCIMUser{}
	for _, u := range now.users {
		if other, twice := accounts[u.ExternalID]; twice && u.ExternalID != "" {
			w.violate(LawConverges, "two accounts for %s: %s and %s", u.ExternalID, u.UserName, other.UserName)
		}
		accounts[u.ExternalID] = u
	}
	quiet := func(id string) bool { return noted[id] || id == t.rules.exclude || id == t.rules.protect }
	for id, p := range t.people {
		u, here := accounts[id]
		switch {
		case quiet(id) || w.directory.staged(p):
		case t.lost(w.Setup.Mode, id):
			if here && u.Active && !w.Setup.Never {
				w.violate(LawConverges, "%s (%s, assigned %t) is still active", p.Login, p.Status, p.Assigned)
			}
		case !here || !u.Active:
			w.violate(LawConverges, "%s should be active: %+v", p.Login, u)
		case connectors.Fold(u.UserName) != connectors.Fold(p.Login) || u.GivenName != w.directory.givenName(p) || u.FamilyName != p.LastName:
			w.violate(LawConverges, "%s is written as %s, %s %s", p.Login, u.UserName, u.GivenName, u.FamilyName)
		}
	}
	for id, team := range t.teams {
		if !t.pushes(id) || noted[id] {
			continue
		}
		g := sim.SCIMGroup{}
		for _, have := range now.groups {
			if have.ExternalID == id && g.ID != "" {
				w.violate(LawConverges, "two groups for %s: %s and %s", id, g.DisplayName, have.DisplayName)
			}
			if have.ExternalID == id {
				g = have
			}
		}
		if g.DisplayName != team.name {
			w.violate(LawConverges, "group %s is written as %q", team.name, g.DisplayName)
			continue
		}
		in := memberSet(g)
		for id := range team.members {
			u, here := accounts[id]
			if p := t.people[id]; quiet(id) || !here || !u.Active || w.directory.staged(p) || t.lost(w.Setup.Mode, id) {
				continue
			}
			if _, ok := in[u.ID]; !ok {
				w.violate(LawConverges, "%s is not in %s", u.UserName, g.DisplayName)
			}
		}
		for member := range in {
			u := now.users[member]
			id := u.ExternalID
			if _, ours := t.people[id]; ours && !quiet(id) && u.Active && !team.members[id] && !w.Setup.Never && !t.lost(w.Setup.Mode, id) && !w.directory.staged(t.people[id]) {
				w.violate(LawConverges, "%s is still in %s", u.UserName, g.DisplayName)
			}
		}
	}
}
