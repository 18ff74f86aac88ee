package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// TestARefusedRecreationWaits: an account that is to be made anew and is refused for good is tried again at growing
// distances, like any other change, and not at every run.
func TestARefusedRecreationWaits(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: 6, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	in.mustCycle()
	group, _ := in.sim.Company.GroupByName(oncallGroup(t, in))
	login := group.Members[0]
	if err := in.sim.Company.Suspend(login); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	gone, _ := in.sim.SCIM.User(login)
	if err := errors.Join(in.sim.SCIM.RemoveUser(gone.ID), in.sim.Company.Unsuspend(login)); err != nil {
		t.Fatal(err)
	}
	in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Path: sim.SCIMBase + "/Users", Fault: sim.Refusal(400)})
	for i := range 6 { // ten minutes apart: at once, once more at the next run, then not for two hours
		before := in.sim.Log.Count(http.MethodPost, "/scim/Users")
		r := in.mustCycle()
		sent := in.sim.Log.Count(http.MethodPost, "/scim/Users") - before
		waiting, err := in.store.Escrow(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("run %d: %d creations sent%s; in escrow: %+v", i+1, sent, failures(r), waiting)
		if i >= 2 && sent > 0 {
			t.Errorf("run %d sends the refused creation again", i+1)
		}
		if i == 1 && len(waiting) != 1 {
			t.Errorf("run %d failed, and nothing is in escrow", i+1)
		}
		in.clock = in.clock.Add(10 * time.Minute)
	}
}

// deaf answers nothing any more.
type deaf struct {
	reconcile.Target
	asked atomic.Int32
}

func (d *deaf) User(context.Context, string) (scimclient.User, error) {
	d.asked.Add(1)
	return scimclient.User{}, errors.New("read user: no answer: connection refused")
}

func (d *deaf) CreateUser(context.Context, scimclient.User) (scimclient.User, error) {
	return scimclient.User{}, &scimclient.UnknownError{Op: "create user"}
}

// TestTheBrakeAlsoCountsLooksBeforeACreation: a server that stopped answering ends the run after twenty writes.
func TestTheBrakeAlsoCountsLooksBeforeACreation(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 80, Groups: -1, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	in.mustCycle()
	for _, u := range in.sim.SCIM.Users() {
		if err := in.sim.SCIM.RemoveUser(u.ID); err != nil {
			t.Fatal(err)
		}
	}
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{Target: in.target}
	a := &reconcile.Applier{Target: d, Journal: in.store, Concurrency: 1, Now: in.now}
	r, err := a.Apply(context.Background(), p)
	if err == nil || !strings.Contains(r.Stopped, "in a row failed") {
		t.Errorf("of %d changes %d were tried, each with four requests and their pauses; stopped: %q", len(p.Changes), d.asked.Load(), r.Stopped)
	}
}

// TestAHiddenAccountThatIsGoneKeepsNobodyOut: a sync of one group alone brings nobody back, so it must not name accounts that
// nobody can see either: a strict server refuses the whole request for one that is gone.
func TestAHiddenAccountThatIsGoneKeepsNobodyOut(t *testing.T) {
	o := sim.RootlyLike()
	o.DropUnknownMembers = false
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: 6, SCIM: o}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	name := oncallGroup(t, in)
	other, err := in.sim.Company.Join(sim.Person{Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	group, _ := in.sim.Company.GroupByName(name)
	login := group.Members[0]
	if err := in.sim.Company.Suspend(login); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	gone, _ := in.sim.SCIM.User(login)
	if err := errors.Join(in.sim.SCIM.RemoveUser(gone.ID), in.sim.Company.Unsuspend(login), in.sim.Company.AddMember(name, other.Login)); err != nil {
		t.Fatal(err)
	}
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Only(name); err != nil {
		t.Fatal(err)
	}
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
	r, err := a.Apply(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := in.sim.SCIM.User(other.Login)
	if !isMember(t, in, name, u.ID) {
		t.Errorf("%s is kept out:%s\n%s", other.Login, failures(r), describe(r.Plan))
	}
}

// TestALaggingReplicaIsolatesNobody: that the next run decides is no failure of Rootly's objects, and no reason to let the next
// run wait.
func TestALaggingReplicaIsolatesNobody(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 60, Groups: 6, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	old := in.sim.SCIM.Clone()
	in.mustCycle()
	in.planner.Target = in.replica(old)
	r := in.mustCycle()
	l, err := in.store.Ledger(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if l.Quarantine != nil {
		t.Errorf("%d of %d changes were overtaken: %+v", r.Count(reconcile.OutcomeFailed), len(r.Results), *l.Quarantine)
	}
}
