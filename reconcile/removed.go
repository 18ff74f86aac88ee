package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// OnRemoved says what becomes of a group of ours that the directory no longer has. One that left groups.push by a rename
// or by the configuration is still there, and is left as it is.
type OnRemoved string

// What may become of such a group.
const (
	OnRemovedLeave  OnRemoved = "leave"  // it stays, and the plan says so
	OnRemovedEmpty  OnRemoved = "empty"  // the members that are ours are taken out
	OnRemovedDelete OnRemoved = "delete" // it is deleted if all its members are ours, else emptied of those
)

// removed tells whether the directory's answer lacks a group of ours.
func (g *pushed) removed() bool { return g.source == nil }

// removes tells whether something becomes of a group that the directory's answer lacks. Until it was asked again, it does.
func (d *desk) removes(g *pushed) bool {
	if d.rules.onRemoved != OnRemovedEmpty && d.rules.onRemoved != OnRemovedDelete {
		return false
	}
	have := g.target.ExternalID
	if have != "" && (g.link.Group == nil || have != g.link.Group.ExternalID) {
		return false // by its externalId somebody else's
	}
	return d.findings.removed[g.id].proof != contradicted
}

// isRemoved tells whether a change is about a group that the directory's answer lacks.
func (d *desk) isRemoved(o Ref) bool {
	i, ok := d.groupAt[o.Source]
	return o.Kind == KindGroup && ok && d.groups[i].removed()
}

// diffRemoved takes the members that are ours out of a group that is gone, or deletes it when nobody else is in it.
func (d *desk) diffRemoved(g *pushed) []Change {
	ours, others, waits := d.divideMembers(g)
	values := GroupValues{DisplayName: g.target.DisplayName, ExternalID: g.target.ExternalID}
	c := Change{Verb: VerbRemove, Object: g.ref(), Why: WhyGone, Members: ours, group: &values}
	const remedy = "delete it in Rootly if nobody needs it"
	switch {
	case d.rules.onRemoved == OnRemovedDelete && waits:
		d.note(g.ref(), NoteLeft, "the group is gone from the directory; it stays until what is held of its members is settled", "")
		return nil
	case d.rules.onRemoved == OnRemovedDelete && len(others) == 0:
		c.Verb, c.Detail = VerbDelete, "groups.on_removed"
		return []Change{c}
	case len(others) > 0:
		d.note(g.ref(), NoteLeft, "the group is gone from the directory; it stays in Rootly, because it has members that are not ours to take out: "+strings.Join(others, ", "), remedy)
	case len(ours) == 0:
		d.note(g.ref(), NoteLeft, "the group is gone from the directory; in Rootly it is empty", remedy)
	}
	if len(ours) == 0 {
		return nil
	}
	c.Detail = "groups.on_removed"
	return []Change{c}
}

// divideMembers tells the members of a group that we may take out from those who stay. Accounts of ours that are or are
// going to be inactive are neither. waits is set when somebody's own change is held: they are frozen.
func (d *desk) divideMembers(g *pushed) (ours []Membership, others []string, waits bool) {
	for _, m := range g.target.Members {
		i, ok := d.ownerOf[m.Value]
		if !ok || d.people[i].link == nil { // also one that this run is about to link
			// An account of ours that Rootly does not list is a deactivated one.
			if !slices.ContainsFunc(d.people, func(p person) bool { return p.link != nil && p.link.Target == m.Value }) {
				others = append(others, d.memberName(m))
			}
			continue
		}
		switch p := &d.people[i]; {
		case p.frozen != nil && p.frozen.Kind == noteHeld:
			waits = true
		case !p.target.Active:
		case p.frozen != nil:
			others = append(others, p.ref().Name)
		case p.standing == standIn:
			ours = append(ours, Membership{User: p.ref(), Why: WhyGone})
		case p.standing == standStaged || p.standing == standExcluded || p.standing == standFailed:
			others = append(others, p.ref().Name)
		}
	}
	slices.SortFunc(ours, func(a, b Membership) int {
		return strings.Compare(a.User.Name+" "+a.User.key(), b.User.Name+" "+b.User.key())
	})
	slices.Sort(others)
	return ours, others, waits
}

func (d *desk) memberName(m scimclient.Member) string {
	if i, ok := d.userAt[m.Value]; ok {
		return d.users[i].UserName
	}
	return m.Value
}

// deletion is what deleting a group takes: the group, and each membership on its own axis. It is held whole or not at all.
func deletion(c Change) []loss {
	out := []loss{{axis: AxisGroups, key: "delete group " + c.Object.Source, name: c.Object.Name, change: c.Key(), group: c.Object.Source}}
	for _, m := range c.Members {
		out = append(out, membership(c, m))
	}
	return out
}

// deleteGroup deletes a group that is gone. It cannot be taken back, so the group is looked at once more: with a member
// whom the plan did not see it stays.
func (r *run) deleteGroup(ctx context.Context, c Change) error {
	g, err := r.Target.Group(ctx, c.Object.Target)
	switch {
	case scimclient.Gone(err):
	case err != nil:
		return err
	case g.ExternalID != c.group.ExternalID:
		return &overtakenError{fmt.Sprintf("not deleted: %s carries the externalId %q by now; the next run decides", g.DisplayName, g.ExternalID)}
	default:
		for _, id := range memberIDs(g.Members) {
			if _, seen := slices.BinarySearch(r.plan.members[c.Object.Source], id); !seen {
				return &overtakenError{"not deleted: " + g.DisplayName + " has a member by now who was not in it when this run was planned; the next run decides"}
			}
		}
	}
	return r.Target.DeleteGroup(ctx, c.Object.Target)
}

// askRemoved asks the directory for groups that its answer lacks. One that it still has is not gone: it left groups.push.
// One that it does not know must be missing from the last good snapshot too.
func askRemoved(ctx context.Context, finder connectors.Finder, rules *Rules, before *earlierRead, ids []string) (map[string]finding, error) {
	out := map[string]finding{}
	slices.Sort(ids)
	for _, id := range ids[min(len(ids), maxConfirmations):] {
		out[id] = finding{proof: unproven, text: fmt.Sprintf("only %d groups are asked about again in one run; this one is for the next", maxConfirmations)}
	}
	ids = ids[:min(len(ids), maxConfirmations)]
	if finder == nil {
		for _, id := range ids {
			out[id] = before.removed(id)
			if !rules.pushesWhatever(id) {
				// By another name it would be missing as well, and this directory cannot be asked.
				out[id] = finding{proof: contradicted}
			}
		}
		return out, nil
	}
	answers := make([]finding, len(ids))
	g := errgroup.Group{}
	g.SetLimit(8)
	for i, id := range ids {
		g.Go(func() error {
			_, known, err := finder.Members(ctx, connectors.GroupID(id))
			switch {
			case err != nil:
				answers[i] = finding{proof: unproven, text: fmt.Sprintf("asked for the group, the directory did not answer: %v", err)}
			case known:
				answers[i] = finding{proof: contradicted}
			default:
				answers[i] = before.removed(id)
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("ask the directory for its groups again: %w", err)
	}
	for i, id := range ids {
		out[id] = answers[i]
	}
	return out, nil
}

// removed says what the earlier snapshot makes of a group that is not there now.
func (e *earlierRead) removed(id string) finding {
	if _, had := e.members(id); had || e.snapshot == nil {
		return finding{proof: unproven, text: onceText}
	}
	return finding{proof: confirmed}
}

// pushesWhatever tells whether a group is pushed by whatever name it has.
func (r *Rules) pushesWhatever(id string) bool {
	return slices.ContainsFunc(r.push, func(p connectors.Pattern) bool { return p.ID() == id || p.String() == "*" })
}

// deletedText says to undo that a deleted group is gone for good, and who was in it.
func deletedText(c Change) string {
	names := make([]string, len(c.Members))
	for i, m := range c.Members {
		names[i] = m.User.Name
	}
	text := "the group was deleted by that cycle and cannot be brought back by us"
	if len(names) > 0 {
		text += "; in it were " + strings.Join(names, ", ")
	}
	return text
}

// removedAnswer tells Explain what asking for a missing group came to.
func removedAnswer(f finding) *SecondAnswer {
	a := &SecondAnswer{Result: string(f.proof), Text: f.text}
	switch f.proof {
	case confirmed:
		a.Text = "the directory has no such group, in two reads"
	case contradicted:
		a.Result, a.Text = string(unproven), "the group may still be there: it is not known to be gone"
	}
	return a
}
