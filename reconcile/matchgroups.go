package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// seatGroups puts the pushed groups on the desk, and those that we own and that are no longer pushed.
func (d *desk) seatGroups() {
	targets := make(map[string]*scimclient.Group, len(d.reading.groups))
	for i := range d.reading.groups {
		targets[d.reading.groups[i].ID] = &d.reading.groups[i]
	}
	seat := func(g pushed) {
		if l, ok := d.ledger.Groups[connectors.GroupID(g.id)]; ok {
			g.link, g.target = &l, targets[l.Target]
		}
		d.groupAt[g.id] = len(d.groups)
		d.groups = append(d.groups, g)
	}
	for i := range d.snapshot.Groups {
		g := &d.snapshot.Groups[i]
		if _, ok := d.rules.push.Match(string(g.ID), g.Name); ok {
			if again, ok := d.findings.groups[string(g.ID)]; ok {
				// Only what both readings agree on is taken away.
				g = &connectors.Group{ID: g.ID, Name: g.Name, Scope: g.Scope, Members: union(g.Members, again)}
			}
			seat(pushed{id: string(g.ID), source: g, want: GroupValues{DisplayName: clean(g.Name), ExternalID: string(g.ID)}})
		}
	}
	for _, id := range sortedKeys(d.ledger.Groups) {
		if _, ok := d.groupAt[string(id)]; !ok {
			seat(pushed{id: string(id)})
		}
	}
}

// matchGroups finds each pushed group in Rootly: by the ledger, else by externalId, by exact name, by folded name. A
// hand-made group is taken over by its name only if nobody would lose their place in it.
func (d *desk) matchGroups() {
	owned := map[string]bool{}
	for i := range d.groups {
		if g := &d.groups[i]; g.target != nil {
			owned[g.target.ID] = true
		}
	}
	d.settleGroupTwins()
	for i := range d.groups {
		g := &d.groups[i]
		switch {
		case d.ledger.Pinned[g.id]:
			d.freezeGroup(g, NotePinned, "restored by undo, and left as it is until unpinned", "to sync it again: rootly-idp-sync undo --unpin "+quoted(g.ref().Name))
		case g.source == nil:
			d.leaveGroup(g)
		case g.want.DisplayName == "":
			d.freezeGroup(g, NoteUnmapped, "the group has no name in the directory", "name it there")
		case g.target == nil && g.frozen == nil:
			d.findGroup(g, owned)
		}
	}
	d.settleGroupNames()
}

func union(a, b []connectors.UserID) []connectors.UserID {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

func (d *desk) leaveGroup(g *pushed) {
	if g.target != nil {
		d.freezeGroup(g, NoteLeft, "the group is no longer pushed; it stays in Rootly as it is, members included",
			"delete it in Rootly if nobody needs it, or push it again with groups.push")
		return
	}
	g.frozen = &Note{} // gone on both sides: nothing to say
}

// findGroup takes the first level of likeness that has a candidate; two candidates on it are a conflict.
func (d *desk) findGroup(g *pushed, owned map[string]bool) {
	levels := []struct {
		how  string
		like func(t *scimclient.Group) bool
	}{
		{"externalId", func(t *scimclient.Group) bool { return t.ExternalID != "" && t.ExternalID == g.want.ExternalID }},
		{"displayName", func(t *scimclient.Group) bool { return t.DisplayName == g.want.DisplayName }},
		{"displayName but for letter case", func(t *scimclient.Group) bool {
			return strings.EqualFold(t.DisplayName, g.want.DisplayName) || connectors.Fold(t.DisplayName) == connectors.Fold(g.want.DisplayName)
		}},
	}
	for _, level := range levels {
		var hits []*scimclient.Group
		for i := range d.reading.groups {
			if t := &d.reading.groups[i]; !owned[t.ID] && level.like(t) {
				hits = append(hits, t)
			}
		}
		if len(hits) == 0 {
			continue
		}
		t := hits[0]
		switch {
		case len(hits) > 1:
			d.freezeGroup(g, NoteConflict, fmt.Sprintf("%d groups in Rootly have the same %s", len(hits), level.how), "remove or rename all but one of them in Rootly")
		case t.ExternalID != "" && t.ExternalID != g.want.ExternalID:
			d.freezeGroup(g, NoteConflict, fmt.Sprintf("the group %q in Rootly carries the externalId %q of another directory group", t.DisplayName, t.ExternalID),
				"if it is this group: "+adoptCommand(quoted(t.DisplayName))+"; if not, rename or remove it in Rootly, or do not push this group")
			g.candidate = t.ID
		case level.how != "externalId" && len(d.losers(g, t)) > 0:
			d.freezeGroup(g, NoteConflict, fmt.Sprintf("a hand-made group %q exists in Rootly with members that are not in the directory's: %s", t.DisplayName, strings.Join(d.losers(g, t), ", ")),
				"add them to the group in the directory, or take it over without them: "+adoptCommand(quoted(t.DisplayName)))
			g.candidate = t.ID
		default:
			g.target, g.matched = t, level.how
			owned[t.ID] = true
		}
		return
	}
}

// losers names the people who would go if g took over t.
func (d *desk) losers(g *pushed, t *scimclient.Group) []string {
	wanted := d.wantedMembers(g)
	var out []string
	for _, m := range t.Members {
		i, ok := d.removable(m)
		if !ok {
			continue
		}
		if o, owned := d.ownerOf[m.Value]; owned && wanted[o] {
			continue
		}
		out = append(out, d.users[i].UserName)
	}
	return out
}

func (d *desk) settleGroupTwins() {
	seen := map[string]int{}
	for i := range d.groups {
		g := &d.groups[i]
		if g.source == nil || g.want.DisplayName == "" {
			continue
		}
		n := connectors.Fold(g.want.DisplayName)
		first, twice := seen[n]
		if !twice {
			seen[n] = i
			continue
		}
		text := fmt.Sprintf("two pushed groups are called %q: %s and %s", g.want.DisplayName, d.groups[first].id, g.id)
		for _, t := range []*pushed{&d.groups[first], g} {
			d.freezeGroup(t, NoteConflict, text, "rename one in the directory, or push only one of them by id:…")
		}
	}
}

// settleGroupNames orders renames so that no group gets a name that another one still has.
func (d *desk) settleGroupNames() {
	holder := map[string]string{} // folded name → SCIM id
	for i := range d.reading.groups {
		holder[connectors.Fold(d.reading.groups[i].DisplayName)] = d.reading.groups[i].ID
	}
	ownerOf := map[string]int{}
	for i := range d.groups {
		if t := d.groups[i].target; t != nil {
			ownerOf[t.ID] = i
		}
	}
	seats := make([]seat, len(d.groups))
	for i := range d.groups {
		g, s := &d.groups[i], &seats[i]
		s.blocked, s.frozen = -1, g.frozen != nil
		if s.frozen || g.source == nil {
			continue
		}
		want, have := connectors.Fold(g.want.DisplayName), ""
		if g.target != nil {
			have = connectors.Fold(g.target.DisplayName)
		}
		s.renames = g.target != nil && have != want
		id, taken := holder[want]
		if have == want || !taken {
			continue
		}
		if owner, ok := ownerOf[id]; ok && owner != i {
			s.blocked = owner
		} else if !ok {
			d.freezeGroup(g, NoteConflict, fmt.Sprintf("another group in Rootly is already called %q", g.want.DisplayName), "rename or remove that group in Rootly")
			s.frozen = true
		}
	}
	for _, i := range deadlocked(seats) {
		d.freezeGroup(&d.groups[i], NoteConflict, "groups want each other's names in Rootly", "rename one of them in the directory to a third name for one run")
	}
	for i := range seats {
		if b := seats[i].blocked; b >= 0 && !seats[i].frozen {
			d.groups[i].after = Change{Verb: VerbUpdate, Object: d.groups[b].ref()}.Key()
		}
	}
}
