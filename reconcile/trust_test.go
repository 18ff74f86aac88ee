package reconcile_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// rootly is what the target holds, by userName: names, activity, groups.
func (in *installation) rootly() map[string]string {
	groups := map[string][]string{}
	for _, g := range in.sim.SCIM.Groups() {
		for _, m := range in.sim.SCIM.MembersOf(g.ID) {
			groups[m] = append(groups[m], g.DisplayName)
		}
	}
	out := map[string]string{}
	for _, u := range in.sim.SCIM.Users() {
		state := "inactive"
		if u.Active {
			state = "active"
		}
		slices.Sort(groups[u.UserName])
		out[u.ID] = u.UserName + " " + u.GivenName + " " + u.FamilyName + " " + u.DisplayName + " " + state
		for _, g := range groups[u.UserName] {
			out[u.ID] += " " + g
		}
	}
	return out
}

func TestUndoRestoresTheDayBefore(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 1, People: 60, Groups: 10, SCIM: sim.RootlyLike()}, nil)
	defer in.store.Close()
	in.mustCycle()
	before := in.rootly()
	in.sim.Company.NextDay()
	day := in.mustCycle()
	after := in.rootly()
	if maps.Equal(before, after) {
		t.Fatal("nothing happened on that day")
	}
	entries, err := in.store.CycleChanges(context.Background(), day.Cycle)
	if err != nil {
		t.Fatal(err)
	}
	var done []reconcile.Change
	for _, e := range entries {
		if e.Outcome == reconcile.OutcomeDone {
			done = append(done, e.Change)
		}
	}
	ledger, err := in.store.Ledger(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := in.planner.Undo(context.Background(), ledger, in.clock, done)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.store.Pin(context.Background(), plan.Pins(), day.Cycle); err != nil {
		t.Fatal(err)
	}
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
	r, err := a.Apply(context.Background(), plan)
	if err != nil || r.Count(reconcile.OutcomeDone) != len(r.Results) {
		t.Fatalf("undo: %v%s", err, failures(r))
	}
	want := maps.Clone(before)
	for id, u := range in.rootly() {
		if _, old := before[id]; !old {
			want[id] = u // who joined that day stays, inactive
			if user, _ := in.sim.SCIM.User(id); user.Active {
				t.Errorf("%s joined that day and is still active", user.UserName)
			}
		}
	}
	if diff := cmp.Diff(want, in.rootly()); diff != "" {
		t.Errorf("Rootly after the undo (-the day before +now):\n%s", diff)
	}
	if p, err := in.plan(); err != nil || !p.Empty() {
		t.Errorf("what undo restored is pinned, and yet: %v\n%s", err, describe(p))
	}
	if _, err := in.store.Unpin(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	if diff := cmp.Diff(after, in.rootly()); diff != "" {
		t.Errorf("unpinned, the day is done again (-then +now):\n%s", diff)
	}
}

func TestApprovedSetGoesOnce(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 2, People: 20, Groups: 5, SCIM: sim.RootlyLike()}, nil)
	defer in.store.Close()
	in.mustCycle()
	victims := in.sim.SCIM.Users()[:8]
	suspend := func() {
		for _, u := range victims {
			if err := in.sim.Company.Suspend(u.UserName); err != nil {
				t.Fatal(err)
			}
		}
	}
	active := func() int {
		n := 0
		for _, u := range victims {
			if now, _ := in.sim.SCIM.User(u.ID); now.Active {
				n++
			}
		}
		return n
	}
	suspend()
	held := in.mustCycle()
	if len(held.Plan.Sets) != 1 || active() != 8 {
		t.Fatalf("%d sets, %d of 8 active:\n%s", len(held.Plan.Sets), active(), describe(held.Plan))
	}
	again := in.mustCycle()
	if len(again.Plan.Sets) != 1 || again.Plan.Sets[0].Fingerprint != held.Plan.Sets[0].Fingerprint {
		t.Fatalf("the set has another name on the next run: %+v", again.Plan.Sets)
	}
	if _, err := in.store.Approve(context.Background(), held.Plan.Sets[0].Fingerprint, "Ada"); err != nil {
		t.Fatal(err)
	}
	if released := in.mustCycle(); active() != 0 || len(released.Plan.Objections) > 0 {
		t.Fatalf("%d of 8 active after the approval:\n%s", active(), describe(released.Plan))
	}
	for _, u := range victims {
		if err := in.sim.Company.Unsuspend(u.UserName); err != nil {
			t.Fatal(err)
		}
	}
	in.mustCycle()
	suspend()
	if third := in.mustCycle(); active() != 8 || len(third.Plan.Sets) != 1 {
		t.Fatalf("an approval is good for one use, and %d of 8 are active:\n%s", active(), describe(third.Plan))
	}
	if _, err := in.store.Approve(context.Background(), held.Plan.Sets[0].Fingerprint, "Ada"); err != nil {
		t.Errorf("the set came again and cannot be approved again: %v", err)
	}
}
