package reconcile_test

import (
	"context"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// removing is an installation in line, whose directory then loses the group oncall-payments.
func removing(t *testing.T, policy reconcile.OnRemoved) *installation {
	t.Helper()
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 40, Groups: 10, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) {
		o.OnRemoved, o.Guard = policy, wideOpen
	})
	t.Cleanup(func() { in.store.Close() })
	in.planner.Previous = func(ctx context.Context) (*connectors.Snapshot, error) {
		snap, _, err := in.store.Previous(ctx)
		return snap, err
	}
	in.mustCycle()
	in.mustCycle()
	if len(in.sim.SCIM.MembersOf(oncallGroup(t, in))) == 0 {
		t.Fatal("the group has no members")
	}
	return in
}

func oncallGroup(t *testing.T, in *installation) string {
	t.Helper()
	for _, g := range in.sim.Company.Groups() {
		if strings.HasPrefix(g.Name, "oncall-") {
			return g.Name
		}
	}
	t.Fatal("no group is pushed")
	return ""
}

// undo plans the way back from a cycle.
func (in *installation) undo(cycle int64) reconcile.Plan {
	in.t.Helper()
	ctx := context.Background()
	entries, err := in.store.CycleChanges(ctx, cycle)
	if err != nil {
		in.t.Fatalf("history: %v", err)
	}
	var done []reconcile.Change
	for _, e := range entries {
		if e.Outcome == reconcile.OutcomeDone {
			done = append(done, e.Change)
		}
	}
	ledger, err := in.store.Ledger(ctx)
	if err != nil {
		in.t.Fatalf("ledger: %v", err)
	}
	p, err := in.planner.Undo(ctx, ledger, in.clock, done)
	if err != nil {
		in.t.Fatalf("undo: %v", err)
	}
	return p
}

func TestAGroupThatIsGoneIsDeletedAfterTwoReads(t *testing.T) {
	in := removing(t, reconcile.OnRemovedDelete)
	name := oncallGroup(t, in)
	if err := in.sim.Company.DeleteGroup(name); err != nil {
		t.Fatal(err)
	}
	in.mustCycle() // the last good read had the group
	if _, there := in.sim.SCIM.Group(name); !there {
		t.Fatal("deleted after one read")
	}
	r := in.mustCycle()
	if _, there := in.sim.SCIM.Group(name); there || r.Count(reconcile.OutcomeDone) != 1 {
		t.Fatalf("not deleted:\n%s%s", describe(r.Plan), failures(r))
	}
	p, err := in.plan()
	if err != nil || !p.Empty() || len(p.Held)+len(p.Notes) > 0 {
		t.Errorf("the next plan: %v\n%s", err, describe(p))
	}
	back := in.undo(r.Cycle)
	if !back.Empty() || len(back.Notes) != 1 || !strings.Contains(back.Notes[0].Text, "cannot be brought back by us; in it were ") {
		t.Errorf("undo:\n%s", describe(back))
	}
}

func TestAnEmptiedGroupIsRefilledByUndo(t *testing.T) {
	in := removing(t, reconcile.OnRemovedEmpty)
	name := oncallGroup(t, in)
	if err := in.sim.Company.DeleteGroup(name); err != nil {
		t.Fatal(err)
	}
	in.mustCycle() // whom the group had assigned to the app leave now
	before := in.sim.SCIM.MembersOf(name)
	r := in.mustCycle()
	if after := in.sim.SCIM.MembersOf(name); len(after) != 0 {
		t.Fatalf("%q are still in it:\n%s", after, describe(r.Plan))
	}
	if p, err := in.plan(); err != nil || !p.Empty() {
		t.Errorf("the next plan: %v\n%s", err, describe(p))
	}
	back := in.undo(r.Cycle)
	if len(back.Changes) != 1 || len(back.Changes[0].Members) != len(before) {
		t.Fatalf("undo of %d members:\n%s", len(before), describe(back))
	}
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Now: in.now}
	if _, err := a.Apply(context.Background(), back); err != nil {
		t.Fatal(err)
	}
	if now := in.sim.SCIM.MembersOf(name); strings.Join(now, " ") != strings.Join(before, " ") {
		t.Errorf("members %q, were %q", now, before)
	}
}
