package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// dying is a journal whose process ends when the first outcome of a group is to be recorded.
type dying struct {
	reconcile.Journal
	groups map[int64]bool
}

func (d *dying) Intend(ctx context.Context, cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (int64, error) {
	id, err := d.Journal.Intend(ctx, cycle, c, u, g)
	if c.Object.Kind == reconcile.KindGroup {
		d.groups[id] = true
	}
	return id, err
}

func (d *dying) Settle(ctx context.Context, s reconcile.Settled) error {
	if d.groups[s.Intent] {
		return errors.New("killed")
	}
	return d.Journal.Settle(ctx, s)
}

// TestAGroupMadeInPartHasSpentAndCanBeUndone: a role group is made with three of four people, and the process dies before
// that is on record. What three of them gained counts against the day, and undo takes them out again.
func TestAGroupMadeInPartHasSpentAndCanBeUndone(t *testing.T) {
	for name, dies := range map[string]bool{"after a crash": true, "as Apply records it": false} {
		t.Run(name, func(t *testing.T) {
			in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: -1, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) {
				o.Privileged, o.Guard = []string{"oncall-admins"}, reconcile.Limits{reconcile.AxisPrivileged: {Share: 1, Count: 4, Floor: 4}}
			})
			t.Cleanup(func() { in.store.Close() })
			if _, err := in.sim.Company.CreateGroup(sim.Group{Name: "oncall-other"}); err != nil {
				t.Fatal(err)
			}
			var members []string
			for range 3 {
				p, err := in.sim.Company.Join(sim.Person{Direct: true})
				if err != nil {
					t.Fatal(err)
				}
				members = append(members, p.Login)
			}
			in.mustCycle()
			fourth, err := in.sim.Company.Join(sim.Person{Direct: true})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.sim.Company.CreateGroup(sim.Group{Name: "oncall-admins", Members: append(members, fourth.Login)}); err != nil {
				t.Fatal(err)
			}
			in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Path: sim.SCIMBase + "/Users", Fault: sim.Refusal(400)})
			p, err := in.plan()
			if err != nil {
				t.Fatal(err)
			}
			a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
			if dies {
				a.Journal = &dying{in.store, map[int64]bool{}}
			}
			r, err := a.Apply(context.Background(), p)
			if (err != nil) != dies {
				t.Fatalf("%v%s", err, failures(r))
			}
			if g, ok := in.sim.SCIM.Group("oncall-admins"); !ok || len(g.Members) != 3 {
				t.Fatalf("not made in part: %+v\n%s%s", g, describe(p), failures(r))
			}
			in.mustCycle() // settles what is open
			l, err := in.store.Ledger(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if n := l.Spent[reconcile.AxisPrivileged]; n < 3 {
				t.Errorf("three people gained roles, and %d count against the day", n)
			}
			entries, err := in.store.CycleChanges(context.Background(), r.Cycle)
			if err != nil {
				t.Fatal(err)
			}
			var done []reconcile.Change
			for _, e := range entries {
				if e.Outcome == reconcile.OutcomeDone {
					done = append(done, e.Change)
				}
				if e.Outcome == reconcile.OutcomeSkipped && e.Error == "" {
					t.Errorf("the history says of %s that it was skipped, and not why", e.Change.Key())
				}
			}
			back, err := in.planner.Undo(context.Background(), l, in.clock, done)
			if err != nil {
				t.Fatal(err)
			}
			out := 0
			for _, c := range append(back.Changes, back.Held...) {
				if c.Verb == reconcile.VerbRemove {
					out += len(c.Members)
				}
			}
			if out != 3 {
				t.Errorf("undo takes %d of the three out again:\n%s", out, describe(back))
			}
		})
	}
}
