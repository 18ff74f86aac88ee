package reconcile

import (
	"fmt"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// TestDefaultLimitsFitCompaniesOfAllSizes lets a day happen in companies of all sizes with the limits as they come: what
// is usual goes without asking, what is not waits for one yes, and what is added is never kept waiting.
func TestDefaultLimitsFitCompaniesOfAllSizes(t *testing.T) {
	t.Parallel()
	teams := func(n int) int { return max(2, n/10) }
	company := func(n int) *world {
		w := newWorld()
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("p%05d", i)
		}
		w.synced(all...)
		for g := range teams(n) {
			var members []string
			for i := g; i < n; i += teams(n) {
				members = append(members, all[i])
			}
			w.syncedGroup(fmt.Sprintf("oncall-%04d", g), members...)
		}
		return w
	}
	disable := func(w *world, n int) {
		for i := range n {
			w.in.snapshot.Users[i].Status = connectors.StatusDisabled
		}
	}
	// move puts n people, one of each team in turn, into the next team.
	move := func(w *world, n int) {
		gs := w.in.snapshot.Groups
		for k := range n {
			from, to := &gs[k%len(gs)], &gs[(k+1)%len(gs)]
			if len(from.Members) < 2 {
				continue
			}
			who := from.Members[0]
			from.Members = append([]connectors.UserID(nil), from.Members[1:]...)
			to.Members = append(append([]connectors.UserID(nil), to.Members...), who)
		}
	}
	rename := func(w *world, n int) {
		for i := range n {
			u := &w.in.snapshot.Users[len(w.in.snapshot.Users)-1-i]
			u.UserName = "new." + u.UserName
		}
	}
	days := map[string]struct {
		happens func(w *world, n int)
		waits   map[int]bool // by size of the company
	}{
		"a quiet day":            {happens: func(w *world, n int) { disable(w, max(1, n/1000)); move(w, max(1, n/500)); rename(w, 1) }},
		"the end of a quarter":   {happens: func(w *world, n int) { disable(w, min(max(2, n/50), 90)) }},
		"a team is dissolved":    {happens: func(w *world, n int) { move(w, min(n/10+1, 90)) }},
		"a layoff of 15 percent": {happens: func(w *world, n int) { disable(w, n*15/100) }, waits: map[int]bool{20_000: true}},
		"half the company leaves": {happens: func(w *world, n int) { disable(w, n/2) },
			waits: map[int]bool{20: true, 200: true, 20_000: true}},
		"all teams are cut anew": {
			happens: func(w *world, n int) {
				gs := w.in.snapshot.Groups
				first := gs[0].Members
				for i := range gs[:len(gs)-1] {
					gs[i].Members = gs[i+1].Members
				}
				gs[len(gs)-1].Members = first
			},
			waits: map[int]bool{20: true, 200: true, 20_000: true},
		},
	}
	for name, day := range days {
		for _, n := range []int{20, 200, 20_000} {
			t.Run(fmt.Sprintf("%s, %d people", name, n), func(t *testing.T) {
				w := company(n)
				day.happens(w, n)
				w.directory(staff("joiner"))
				p, err := w.plan(t)
				if err != nil {
					t.Fatal(err)
				}
				if waits := len(p.Sets) > 0; waits != day.waits[n] {
					t.Fatalf("waits: %t, want %t; %+v", waits, day.waits[n], p.Objections)
				}
				creates, adds, takes := 0, 0, 0
				for _, c := range p.Changes {
					switch {
					case c.Verb == VerbCreate:
						creates++
					case c.Verb == VerbAdd:
						adds++
					case c.destructive():
						takes++
					}
				}
				if creates != 1 || name == "all teams are cut anew" && adds == 0 {
					t.Errorf("%d created, %d groups with new members: additions wait for nothing", creates, adds)
				}
				if day.waits[n] {
					if takes > 0 {
						t.Errorf("%d removals go beside %d that wait", takes, len(p.Held))
					}
					// One yes for each set, and the next run does all of it.
					for i := range p.Sets {
						p.Sets[i].Approved = noon
					}
					w.in.ledger.Held = p.Sets
					if p, err = w.plan(t); err != nil || len(p.Held) > 0 || len(p.Objections) > 0 {
						t.Errorf("approved, and %d still wait: %v %+v", len(p.Held), err, p.Objections)
					}
				}
			})
		}
	}
}
