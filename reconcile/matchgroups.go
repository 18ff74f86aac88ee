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
		g.role = d.carriesRoles(&g)
		d.groupAt[g.id] = len(d.groups)
		d.groups = append(d.groups, g)
	}
	for i := range d.snapshot.Groups {
		g := &d.snapshot.Groups[i]
		if _, ok := d.rules.push.Match(string(g.ID), g.Name, g.Email); ok {
			seat(pushed{id: string(g.ID), source: g, want: GroupValues{DisplayName: clean(g.Name), ExternalID: string(g.ID)}, spared: d.spared(g)})
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
	var levels []likeness
	if slices.ContainsFunc(d.groups, func(g pushed) bool { return g.source != nil && g.target == nil }) {
		levels = d.likenesses()
	}
	for i := range d.groups {
		g := &d.groups[i]
		switch {
		case d.ledger.Pinned[g.id]:
			d.freezeGroup(g, NotePinned, "restored by undo, and left as it is until unpinned", "to sync it again: rootly-idp-sync undo --unpin "+quoted(g.ref().Name))
		case g.source == nil:
			d.leaveGroup(g)
		case g.link != nil && g.target != nil && g.foreign():
			d.freezeGroup(g, NoteConflict, fmt.Sprintf("the group we manage now carries the externalId %q of another directory group", g.target.ExternalID),
				"another provisioning writes to Rootly as well; switch it off, then, if it is this group: "+adoptCommand(quoted(g.ref().Name)))
			g.candidate = g.target.ID
		case g.want.DisplayName == "":
			d.freezeGroup(g, NoteUnmapped, "the group has no name in the directory", "name it there")
		case g.target == nil && g.frozen == nil:
			d.findGroup(g, levels, owned)
		}
	}
	d.settleGroupNames()
}

// spared are the members of a group that only its second reading has: what both do not agree on is left as it is.
func (d *desk) spared(g *connectors.Group) map[connectors.UserID]bool {
	again := d.findings.groups[string(g.ID)]
	if len(again) == 0 {
		return nil
	}
	out := map[connectors.UserID]bool{}
	for _, id := range again {
		if _, in := slices.BinarySearch(g.Members, id); !in {
			out[id] = true
		}
	}
	return out
}

func (d *desk) leaveGroup(g *pushed) {
	switch {
	case g.target == nil:
		g.frozen = &Note{} // gone on both sides: nothing to say
	case !d.removes(g):
		d.freezeGroup(g, NoteLeft, "the group is no longer pushed; it stays in Rootly as it is, members included",
			"delete it in Rootly if nobody needs it, or push it again with groups.push")
	}
}

// A likeness is one way in which a group of Rootly may be the one that is pushed, with all of them by their key.
type likeness struct {
	how    string
	want   func(v GroupValues) string
	groups map[string][]*scimclient.Group
}

// likenesses are the levels of likeness, the surest first.
func (d *desk) likenesses() []likeness {
	levels := []likeness{
		{how: "externalId", want: func(v GroupValues) string { return v.ExternalID }},
		{how: "displayName", want: func(v GroupValues) string { return v.DisplayName }},
		{how: "displayName but for letter case", want: func(v GroupValues) string { return connectors.Fold(v.DisplayName) }},
	}
	for i := range levels {
		l := &levels[i]
		l.groups = make(map[string][]*scimclient.Group, len(d.reading.groups))
		for n := range d.reading.groups {
			t := &d.reading.groups[n]
			if key := l.want(GroupValues{DisplayName: t.DisplayName, ExternalID: t.ExternalID}); key != "" {
				l.groups[key] = append(l.groups[key], t)
			}
		}
	}
	return levels
}

// findGroup takes the first level of likeness that has a candidate; two candidates on it are a conflict.
func (d *desk) findGroup(g *pushed, levels []likeness, owned map[string]bool) {
	for _, level := range levels {
		var hits []*scimclient.Group
		for _, t := range level.groups[level.want(g.want)] {
			if !owned[t.ID] {
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
		case len(d.losers(g, t)) > 0:
			d.freezeGroup(g, NoteConflict, fmt.Sprintf("a group %q exists in Rootly with members that are not in the directory's: %s", t.DisplayName, strings.Join(d.losers(g, t), ", ")),
				"add them to the group in the directory, or take it over without them: "+adoptCommand(quoted(t.DisplayName)))
			g.candidate = t.ID
		default:
			g.target, g.matched = t, level.how
			g.role = d.carriesRoles(g)
			owned[t.ID] = true
		}
		return
	}
}

// foreign tells whether a group of ours carries an externalId that is neither what we wrote nor what we want.
func (g *pushed) foreign() bool {
	have := g.target.ExternalID
	return have != "" && have != g.want.ExternalID && g.link.Group != nil && have != g.link.Group.ExternalID
}

// losers names the people of t whom the directory does not have in g: whoever is frozen today may be taken out tomorrow,
// so only excluded people do not count.
func (d *desk) losers(g *pushed, t *scimclient.Group) []string {
	var out []string
	for _, m := range t.Members {
		i, known := d.userAt[m.Value]
		if !known || strings.EqualFold(m.Type, "Group") || !d.users[i].Active {
			continue
		}
		u := &d.users[i]
		if o, owned := d.ownerOf[m.Value]; owned {
			if _, in := slices.BinarySearch(g.source.Members, connectors.UserID(d.people[o].id)); in || d.people[o].standing == standExcluded {
				continue
			}
		}
		if _, excluded := d.rules.exclude.Match(u.ID, u.UserName); !excluded {
			out = append(out, u.UserName)
		}
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
	holders := map[string][]string{} // folded name → SCIM ids; Rootly may have a name twice
	for i := range d.reading.groups {
		n := connectors.Fold(d.reading.groups[i].DisplayName)
		holders[n] = append(holders[n], d.reading.groups[i].ID)
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
		if have == want {
			continue
		}
		for _, id := range holders[want] {
			owner, owned := ownerOf[id]
			if !owned || s.blocked >= 0 && owner != s.blocked {
				d.freezeGroup(g, NoteConflict, fmt.Sprintf("another group in Rootly is already called %q", g.want.DisplayName), "rename or remove that group in Rootly")
				s.frozen, s.blocked = true, -1
				break
			}
			if owner != i {
				s.blocked = owner
			}
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
