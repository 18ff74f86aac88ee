package reconcile

import (
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Reasons are the reasons of changes in the order in which a plan is shown: what takes something away comes last.
func Reasons() []Why {
	out := make([]Why, len(reasons))
	for i, r := range reasons {
		out[i] = r.why
	}
	return out
}

// Title is the reason as a heading.
func (w Why) Title() string {
	if i := slices.IndexFunc(reasons, func(r section) bool { return r.why == w }); i >= 0 {
		return reasons[i].title
	}
	return string(w)
}

// Title is the kind of a note as a heading.
func (k NoteKind) Title() string {
	if i := slices.IndexFunc(noteKinds, func(s noteSection) bool { return s.kind == k }); i >= 0 {
		return noteKinds[i].title
	}
	return string(k)
}

// Urgent tells whether somebody has to do something about notes of the kind.
func (k NoteKind) Urgent() bool {
	return slices.ContainsFunc(noteKinds, func(s noteSection) bool { return s.kind == k && s.urgent })
}

// Drift tells whether a change sets back, at least in part, what somebody did by hand in Rootly.
func (c Change) Drift() bool {
	return c.Why == WhyDrift ||
		slices.ContainsFunc(c.Fields, func(f Field) bool { return f.Why == WhyDrift }) ||
		slices.ContainsFunc(c.Members, func(m Membership) bool { return m.Why == WhyDrift })
}

// Decide says what the rules make of one person of a snapshot, and what Rootly should hold about them.
func (r *Rules) Decide(u *connectors.User, s connectors.Snapshot) (Decision, []MappedValue) {
	x := explainer{desk: &desk{rules: r, reading: reading{snapshot: s}}}
	return x.scopeDecision(&person{verdict: newJudge(r, s).judge(u), id: string(u.ID), source: u}), r.mappedValues(u)
}

// DecideGroup says whether the rules push a group that the directory lists, and what decided.
func (r *Rules) DecideGroup(g *connectors.Group) Decision {
	x := explainer{desk: &desk{rules: r}}
	return x.pushDecision(&subject{source: g})
}
