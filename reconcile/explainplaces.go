package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A Place is one person in one pushed group, as both sides have it.
type Place struct {
	Object    Ref    `json:"object"` // the group when a person is explained, the person when a group is
	Directory bool   `json:"directory"`
	Wanted    bool   `json:"wanted"`
	Rootly    bool   `json:"rootly"`
	Why       string `json:"why,omitempty"` // when the three differ
}

// everybody lists who is a member of a group on either side.
func (x *explainer) everybody(g *pushed) []subject {
	byKey := map[string]subject{}
	put := func(s subject) { byKey[s.ref.id()] = s }
	if g.source != nil {
		for _, id := range g.source.Members {
			if i, ok := x.personAt[id]; ok {
				p := &x.people[i]
				put(subject{ref: p.ref(), person: p, user: p.target})
			} else {
				put(subject{ref: Ref{Kind: KindUser, Source: string(id), Name: string(id)}})
			}
		}
	}
	if g.target != nil {
		for _, m := range g.target.Members {
			if i, ok := x.ownerOf[m.Value]; ok {
				p := &x.people[i]
				put(subject{ref: p.ref(), person: p, user: p.target})
				continue
			}
			s := subject{ref: Ref{Kind: KindUser, Target: m.Value, Name: m.Value}}
			if i, ok := x.userAt[m.Value]; ok {
				s.user, s.ref.Name = &x.users[i], x.users[i].UserName
			} else if strings.EqualFold(m.Type, "Group") {
				s.ref.Kind = KindGroup
			}
			put(s)
		}
	}
	out := valuesByKey(byKey)
	slices.SortStableFunc(out, func(a, b subject) int { return strings.Compare(a.ref.Name, b.ref.Name) })
	return out
}

// place compares one membership on both sides.
func (x *explainer) place(g *pushed, s *subject) Place {
	var pl Place
	if g.source != nil && s.ref.Source != "" {
		_, pl.Directory = slices.BinarySearch(g.source.Members, connectors.UserID(s.ref.Source))
	}
	if g.target != nil && s.ref.Target != "" {
		pl.Rootly = slices.ContainsFunc(g.target.Members, func(m scimclient.Member) bool { return m.Value == s.ref.Target })
	}
	pl.Wanted = pl.Directory && s.person != nil && s.person.wanted()
	if pl.Directory != pl.Rootly || pl.Wanted != pl.Rootly {
		pl.Why = x.whyPlace(g, s, pl)
	}
	return pl
}

func (x *explainer) whyPlace(g *pushed, s *subject, pl Place) string {
	if text := x.moving(g, s.ref); text != "" {
		return text
	}
	switch {
	case g.frozen != nil && g.frozen.Text != "":
		return "the group is left as it is: " + g.frozen.Text
	case s.ref.Kind == KindGroup:
		return "a group as a member: left alone"
	case s.person == nil && pl.Directory:
		return "not in the directory's list of people, so not in scope"
	case s.user == nil && s.person == nil:
		return "no person that Rootly lists: left alone"
	case s.person != nil && s.person.frozen != nil:
		return "the person is left as they are: " + s.person.frozen.Text
	case s.person != nil && s.person.standing != standIn && pl.Rootly && x.leaves(s.ref):
		return "goes when the account is deactivated: " + string(s.person.standing)
	case s.user != nil && !s.user.Active && pl.Rootly:
		return "the account is deactivated, so the membership has no effect"
	case s.person != nil && s.person.standing != standIn:
		return strings.TrimSuffix("the person is not wanted: "+string(s.person.standing)+", "+s.person.text, ", ")
	case pl.Directory:
		return "joins once there is an account for them in Rootly"
	}
	return "the account is excluded, protected or part of a conflict: left alone"
}

// leaves tells whether the plan deactivates or deletes an account, now or once that is approved.
func (x *explainer) leaves(r Ref) bool {
	return slices.ContainsFunc(slices.Concat(x.plan.Changes, x.plan.Held), func(c Change) bool {
		return (c.Verb == VerbDeactivate || c.Verb == VerbDelete) && c.Object.id() == r.id()
	})
}

// moving says what the plan does about one membership, "" when nothing.
func (x *explainer) moving(g *pushed, r Ref) string {
	words := map[Verb][2]string{VerbAdd: {"will be added", "would be added"}, VerbRemove: {"will be removed", "would be removed"}, VerbDelete: {"goes with the group", "would go with the group"}}
	for i, changes := range [][]Change{x.plan.Changes, x.plan.Held} {
		for _, c := range changes {
			if _, moves := words[c.Verb]; !moves || c.Object.Source != g.id {
				continue
			}
			for _, m := range c.Members {
				if m.User.id() == r.id() {
					return strings.TrimSuffix(fmt.Sprintf("%s (%s), %s", words[c.Verb][i], m.Why, prefixed("but is held back: ", c.Held)), ", ")
				}
			}
		}
	}
	return ""
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
