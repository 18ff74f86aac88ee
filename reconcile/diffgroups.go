package reconcile

import (
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// diffGroups says what must change about groups and their members.
func (d *desk) diffGroups() (changes []Change, refresh []Link) {
	for i := range d.groups {
		g := &d.groups[i]
		g.managedMembers = d.countManaged(g)
		if g.frozen != nil {
			continue
		}
		cs := d.diffGroup(g)
		d.noteRoles(g, cs)
		changes = append(changes, cs...)
		if l, ok := g.kept(); ok && len(cs) == 0 {
			refresh = append(refresh, l)
		}
	}
	awaitArrivals(changes)
	return changes, refresh
}

// awaitArrivals lets removals of people who move wait for their additions elsewhere: nobody is put out of one group when
// the other one did not take them.
func awaitArrivals(changes []Change) {
	arrives := map[string][]string{} // person → keys of additions
	for _, c := range changes {
		if c.Verb == VerbAdd {
			for _, m := range c.Members {
				arrives[m.User.key()] = append(arrives[m.User.key()], c.Key())
			}
		}
	}
	for i := range changes {
		if c := &changes[i]; c.Verb == VerbRemove || c.Verb == VerbDelete {
			for _, m := range c.Members {
				for _, k := range arrives[m.User.key()] {
					if !slices.Contains(c.After, k) {
						c.After = append(c.After, k)
					}
				}
			}
		}
	}
}

func (d *desk) countManaged(g *pushed) int {
	if g.target == nil {
		return 0
	}
	n := 0
	for _, m := range g.target.Members {
		if i, ok := d.ownerOf[m.Value]; ok && d.people[i].link != nil && d.people[i].target.Active {
			n++
		}
	}
	return n
}

func (d *desk) diffGroup(g *pushed) []Change {
	if g.removed() {
		return d.diffRemoved(g)
	}
	g.contests = map[string]Contest{}
	var out []Change
	head := Change{Object: g.ref(), group: &GroupValues{DisplayName: g.want.DisplayName, ExternalID: g.want.ExternalID}, After: afterOf(g.after)}
	switch {
	case g.target == nil:
		head.Verb, head.Why = VerbCreate, WhyJoined
		if g.link != nil {
			head.Why, head.Detail = WhyDrift, "the group was deleted in Rootly"
		}
		head.Fields = []Field{
			{Name: "displayName", To: g.want.DisplayName, Why: head.Why},
			{Name: "externalId", To: g.want.ExternalID, Why: head.Why},
		}
	default:
		head.Verb, head.Fields = VerbUpdate, d.groupFields(g)
		switch {
		case len(head.Fields) > 0 && g.link != nil:
			head.Why = head.Fields[0].Why
		case g.link == nil:
			head.Why, head.Detail = WhyFirstMatch, "by "+g.matched
			if len(head.Fields) == 0 {
				head.Verb = VerbLink
			}
		default:
			head.Verb = ""
		}
	}
	if head.Verb != "" {
		out = append(out, head)
	}
	add, remove := d.diffMembers(g)
	for _, c := range []Change{add, remove} {
		if len(c.Members) == 0 {
			continue
		}
		c.Object, c.group = head.Object, head.group
		c.Why = c.Members[0].Why
		if head.Verb == VerbCreate {
			c.After = []string{head.Key()}
		}
		out = append(out, c)
	}
	return out
}

func (d *desk) groupFields(g *pushed) []Field {
	var last GroupValues
	if g.link != nil && g.link.Group != nil {
		last = *g.link.Group
	}
	var out []Field
	add := func(name, have, want, last string) {
		if sameText(have, want) {
			return
		}
		f := Field{Name: name, From: have, To: want, Why: d.why(g.link != nil, sameText(last, want))}
		if g.link != nil {
			if s, ok := g.link.Stuck[name]; ok && s.Value == want {
				if s.Tries >= 2 {
					d.note(g.ref(), NoteStuck, "Rootly accepts "+name+" "+quoted(want)+" and does not keep it",
						"look at the SCIM log in Rootly; it is not tried again until the value changes")
					return
				}
				f.Why = WhyDirectory
			}
		}
		if f.Why == WhyDrift && d.yields(g.ref(), g.link, g.contests, name, have) {
			return
		}
		out = append(out, f)
	}
	add("displayName", g.target.DisplayName, g.want.DisplayName, last.DisplayName)
	add("externalId", g.target.ExternalID, g.want.ExternalID, last.ExternalID)
	return out
}

// wantedMembers are the people of g, by index, who are to be in it: in scope, to be touched, and active.
func (d *desk) wantedMembers(g *pushed) map[int32]bool {
	out := make(map[int32]bool, len(g.source.Members))
	for _, id := range g.source.Members {
		if i, ok := d.personAt[id]; ok && d.people[i].wanted() {
			out[i] = true
		}
	}
	return out
}

// diffMembers compares the members that are people. Frozen people, members that are groups, ids that nobody knows and
// people whom a deactivation takes out anyway are left as they are.
func (d *desk) diffMembers(g *pushed) (add, remove Change) {
	add.Verb, remove.Verb = VerbAdd, VerbRemove
	wanted := d.wantedMembers(g)
	var last []string
	if g.link != nil && g.link.Group != nil {
		last = g.link.Group.Members
	}
	why := func(id string, in bool) Why {
		if _, was := slices.BinarySearch(last, id); g.link != nil && was == in {
			return WhyDrift
		}
		if d.rulesChanged() {
			return WhyConfig
		}
		return WhyDirectory
	}
	if g.target != nil {
		for _, m := range g.target.Members {
			owner, owned := d.ownerOf[m.Value]
			if owned && wanted[owner] {
				delete(wanted, owner)
				continue
			}
			i, ok := d.removable(m)
			if !ok || owned && g.spared[connectors.UserID(d.people[owner].id)] || d.stuckMember(g, VerbRemove, m.Value, d.users[i].UserName) ||
				d.memberYields(g, VerbRemove, m.Value, d.users[i].UserName, why(m.Value, false)) {
				continue
			}
			r := Ref{Kind: KindUser, Target: m.Value, Name: d.users[i].UserName}
			if owned {
				r = d.people[owner].ref()
			}
			remove.Members = append(remove.Members, Membership{User: r, Why: why(m.Value, false)})
		}
	}
	for i := range wanted {
		p := &d.people[i]
		if p.target != nil && d.stuckMember(g, VerbAdd, p.target.ID, p.ref().Name) {
			continue
		}
		w := why(p.ref().Target, true)
		if p.target != nil && d.memberYields(g, VerbAdd, p.target.ID, p.ref().Name, w) {
			continue
		}
		switch {
		case g.target == nil && g.link == nil:
			w = WhyJoined
		case p.target == nil || p.link == nil:
			w = WhyJoined
		case !p.target.Active:
			w = WhyReturned
		}
		who := p.ref()
		if p.target == nil {
			who.Target = "" // it is gone, or it is hidden and may be
		}
		add.Members = append(add.Members, Membership{User: who, Why: w})
	}
	for _, ms := range [][]Membership{add.Members, remove.Members} {
		slices.SortFunc(ms, func(a, b Membership) int {
			if c := strings.Compare(a.User.Name, b.User.Name); c != 0 {
				return c
			}
			return strings.Compare(a.User.key(), b.User.key())
		})
	}
	return add, remove
}

// stuckMember tells, and notes, that a membership was tried twice and the server does not keep it.
func (d *desk) stuckMember(g *pushed, verb Verb, id, name string) bool {
	if g.link == nil {
		return false
	}
	s, ok := g.link.Stuck[stuckMember(id)]
	if !ok || s.Value != string(verb) || s.Tries < 2 {
		return false
	}
	what := "letting " + name + " in"
	if verb == VerbRemove {
		what = "taking " + name + " out"
	}
	d.note(g.ref(), NoteStuck, "Rootly accepts "+what+" and does not keep it", "look at the SCIM log in Rootly; change the membership there by hand")
	return true
}

// removable tells whether a member is a person of Rootly, active or about to be reactivated, whom no rule protects and who
// stays: only such members are ever taken out one by one. Whoever comes back is judged too, because many servers keep the
// memberships of a deactivated account, those included that the directory has ended meanwhile.
func (d *desk) removable(m scimclient.Member) (user int32, ok bool) {
	i, known := d.userAt[m.Value]
	if !known || strings.EqualFold(m.Type, "Group") {
		return 0, false
	}
	u := &d.users[i]
	if d.bystanders[u.ID] {
		return 0, false
	}
	if owner, owned := d.ownerOf[u.ID]; owned {
		return i, d.people[owner].wanted()
	}
	if !u.Active {
		return 0, false
	}
	if _, excluded := d.rules.exclude.Match(u.ID, u.UserName); excluded {
		return 0, false
	}
	_, protected := d.rules.protect.Match(u.ID, u.UserName)
	return i, !protected
}

// refreshed returns the link with the members that are in the group now, when they are not what the ledger remembers.
func (g *pushed) refreshed() (Link, bool) {
	if g.link == nil || g.target == nil || g.removed() {
		return Link{}, false
	}
	now := memberIDs(g.target.Members)
	if g.link.Group != nil && slices.Equal(now, g.link.Group.Members) && g.link.Group.DisplayName == g.want.DisplayName {
		return Link{}, false
	}
	l := *g.link
	l.Group = &GroupValues{DisplayName: g.want.DisplayName, ExternalID: g.want.ExternalID, Members: now}
	return l, true
}

func memberIDs(ms []scimclient.Member) []string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.Value
	}
	slices.Sort(out)
	return out
}
