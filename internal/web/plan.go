package web

import (
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A PlanFilter chooses changes of a plan; a zero field does not restrict.
type PlanFilter struct {
	Query string
	Verb  reconcile.Verb
	Kind  reconcile.Kind
	Why   reconcile.Why
	Held  bool // only what waits
	Page  int
}

func planFilter(q url.Values) PlanFilter {
	return PlanFilter{
		Query: q.Get("q"), Verb: reconcile.Verb(q.Get("verb")), Kind: reconcile.Kind(q.Get("kind")), Why: reconcile.Why(q.Get("why")),
		Held: q.Get("held") != "", Page: number(q.Get("page")),
	}
}

func (f PlanFilter) narrow() bool {
	return f.Query != "" || f.Verb != "" || f.Kind != "" || f.Why != "" || f.Held
}

func (f PlanFilter) match(c reconcile.Change) bool {
	return (f.Verb == "" || c.Verb == f.Verb) && (f.Kind == "" || c.Object.Kind == f.Kind) && (f.Why == "" || c.Why == f.Why) && (!f.Held || c.Held != "") && f.named(c)
}

// named looks for each word of the query among the names of a change.
func (f PlanFilter) named(c reconcile.Change) bool {
	if f.Query == "" {
		return true
	}
	names := []string{c.Object.Name, c.Object.Source, c.Object.Target, c.Detail}
	for _, m := range c.Members {
		names = append(names, m.User.Name)
	}
	key := connectors.Fold(strings.Join(names, "\n"))
	for _, w := range strings.Fields(connectors.Fold(f.Query)) {
		if !strings.Contains(key, w) {
			return false
		}
	}
	return true
}

// A PlanView is what the last cycle planned, a page of it.
type PlanView struct {
	Known   bool             `json:"known" doc:"False until the first cycle has planned; the rest is empty then."`
	Running bool             `json:"running" doc:"The cycle has not ended."`
	Cycle   int64            `json:"cycle,omitempty"`
	Mode    string           `json:"mode,omitempty"`
	Summary string           `json:"summary,omitempty"`
	Counts  reconcile.Counts `json:"counts"`
	// Changes are those that go, or went, and those that are held, in the order of their reasons.
	Changes    Page[reconcile.Change] `json:"changes"`
	Planned    int                    `json:"planned" doc:"Changes that nothing held back."`
	Waiting    int                    `json:"held" doc:"Changes that are held."`
	Lost       int                    `json:"lost,omitempty" doc:"Changes that a restart of the daemon has forgotten; the cycle's own record has them."`
	Objections []reconcile.Objection  `json:"objections"`
	Notes      []reconcile.Note       `json:"notes"`
	OnCall     *reconcile.OnCall      `json:"onCall,omitempty"`
}

// planView is the page of the last plan that the filter chooses.
func (s *Site) planView(f PlanFilter) PlanView {
	v := PlanView{Changes: pageOf[reconcile.Change](nil, 1), Objections: []reconcile.Objection{}, Notes: []reconcile.Note{}}
	seen := s.latest()
	if seen == nil {
		return v
	}
	p := seen.Plan
	v.Known, v.Running, v.Cycle, v.Mode, v.Summary, v.Counts = true, !seen.Ended, seen.Cycle, seen.Mode, p.Summary(), p.Counts
	v.Planned, v.Waiting, v.Lost, v.OnCall = len(p.Changes)+seen.Cut, len(p.Held), seen.Cut, p.OnCall
	v.Objections, v.Notes = append(v.Objections, p.Objections...), append(v.Notes, p.Notes...)
	var chosen []reconcile.Change
	for _, list := range [][]reconcile.Change{p.Held, p.Changes} {
		for _, c := range list {
			if f.match(c) {
				chosen = append(chosen, c)
			}
		}
	}
	rank := map[reconcile.Why]int{}
	for i, w := range reconcile.Reasons() {
		rank[w] = i + 1
	}
	slices.SortStableFunc(chosen, func(a, b reconcile.Change) int { return rank[a.Why] - rank[b.Why] })
	v.Changes = pageOf(chosen, f.Page)
	return v
}

// about are the changes, held ones among them, and the notes of the last plan that concern one object.
func (s *Site) about(kind reconcile.Kind, row Row) (changes []reconcile.Change, notes []reconcile.Note) {
	seen := s.latest()
	if seen == nil {
		return nil, nil
	}
	means := func(r reconcile.Ref) bool {
		return r.Kind == kind && (r.Source != "" && r.Source == row.ID || r.Target != "" && r.Target == row.Target)
	}
	for _, list := range [][]reconcile.Change{seen.Plan.Held, seen.Plan.Changes} {
		for _, c := range list {
			if means(c.Object) {
				changes = append(changes, c)
				continue
			}
			c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m reconcile.Membership) bool { return !means(m.User) })
			if len(c.Members) > 0 {
				changes = append(changes, c)
			}
		}
	}
	for _, n := range seen.Plan.Notes {
		if means(n.Object) {
			notes = append(notes, n)
		}
	}
	return changes, notes
}
