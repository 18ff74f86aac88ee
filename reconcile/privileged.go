package reconcile

import (
	"fmt"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// carriesRoles tells whether groups.privileged means a group: by its id, or by any name that it has on either side or had
// when it was last written. A rename in the directory takes nobody out of the guard before it is carried out.
func (d *desk) carriesRoles(g *pushed) bool {
	_, ok := d.rules.roles.Match(g.id, g.names()...)
	return ok
}

// names are all that a group is called or was called by us.
func (g *pushed) names() []string {
	var names []string
	if g.source != nil {
		names = append(names, g.source.Name, g.source.Email)
	}
	if g.target != nil {
		names = append(names, g.target.DisplayName)
	}
	if g.link != nil && g.link.Group != nil {
		names = append(names, g.link.Group.DisplayName)
	}
	return names
}

// roleInRootly is carriesRoles for any group that Rootly has, pushed or not.
func (d *desk) roleInRootly(t *scimclient.Group) bool {
	if i := slices.IndexFunc(d.groups, func(g pushed) bool { return g.target != nil && g.target.ID == t.ID }); i >= 0 {
		return d.groups[i].role
	}
	_, ok := d.rules.roles.Match("", t.DisplayName)
	return ok
}

// membershipAxis is the axis on which a membership is weighed: one of them only.
func membershipAxis(role bool) Axis {
	if role {
		return AxisPrivileged
	}
	return AxisMemberships
}

// membership is the loss of one member of a change.
func membership(c Change, m Membership) loss {
	return loss{
		axis: membershipAxis(c.Object.Role), key: "remove user " + m.User.key() + " from group " + c.Object.Source,
		name: m.User.Name + " from " + c.Object.Name, change: c.Key(), member: m.User.key(), group: c.Object.Source,
	}
}

// gains are the roles that an addition gives, weighed as their loss is: a mistaken grant to many is as bad.
func gains(c Change) []loss {
	out := make([]loss, 0, len(c.Members))
	for _, m := range c.Members {
		out = append(out, loss{
			axis: AxisPrivileged, key: "add user " + m.User.key() + " to group " + c.Object.Source, name: m.User.Name + " to " + c.Object.Name,
			change: c.Key(), member: m.User.key(), group: c.Object.Source, gain: true,
		})
	}
	return out
}

// keepMovers lets nobody out of a group while their entry into a role group waits for a yes: who moves is at no moment
// in neither.
func (r *ruling) keepMovers(losses []loss) {
	waits := map[string]bool{}
	for _, l := range losses {
		if l.gain && r.held[l.key] != "" {
			waits[l.member] = true
		}
	}
	for _, l := range losses {
		if l.takes() && l.member != "" && waits[l.member] && r.held[l.key] == "" {
			r.held[l.key] = "stays until the role group that they are to enter has its yes"
		}
	}
}

// noteRoles points out that a group became one that carries roles, ceased to be one, or has another name.
func (d *desk) noteRoles(g *pushed, cs []Change) {
	if !g.role || g.removed() || len(cs) == 0 {
		return
	}
	pat, now := d.rules.roles.Match(g.id, g.source.Name, g.source.Email)
	if g.link == nil {
		if d.ledger.Rules != "" {
			d.note(g.ref(), NoteRole, fmt.Sprintf("new here, and groups.privileged has %q: whoever is in it gains its roles", pat),
				"if it is not meant, rename it in the directory")
		}
		return
	}
	if g.link.Group == nil || sameText(g.link.Group.DisplayName, g.want.DisplayName) {
		return
	}
	old := g.link.Group.DisplayName
	_, was := d.rules.roles.Match(g.id, old)
	switch {
	case now && was:
		d.note(g.ref(), NoteRole, "the role group "+quoted(old)+" gets another name", "see that whoever renamed it in the directory may do so")
	case now:
		d.note(g.ref(), NoteRole, fmt.Sprintf("was called %q; by its new name groups.privileged has %q, and it counts as a role group", old, pat),
			"if it is not meant, rename it in the directory")
	default:
		d.note(g.ref(), NoteRole, fmt.Sprintf("was called %q, a role group; by its new name groups.privileged does not mean it any more", old),
			"if it still carries roles, add it to groups.privileged as id:"+g.id)
	}
}

// unmatchedRoles notes entries of groups.privileged that mean no pushed group: what was to be guarded by them is not.
func (d *desk) unmatchedRoles() []Note {
	var out []Note
	for _, p := range d.rules.roles {
		if !slices.ContainsFunc(d.groups, func(g pushed) bool { return p.Match(g.id, g.names()...) }) {
			out = append(out, Note{Kind: NoteRole, Object: Ref{Kind: KindGroup, Name: p.String()},
				Text: "groups.privileged means no group that is pushed, so it guards nothing", Remedy: "correct or remove the entry"})
		}
	}
	return out
}
