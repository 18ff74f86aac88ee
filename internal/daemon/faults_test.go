package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A staff list is a directory whose answers the test writes.
type staffList struct {
	names atomic.Pointer[[]string]
	down  atomic.Pointer[error]
}

func (*staffList) Name() string   { return "file" }
func (*staffList) Tenant() string { return "file:staff" }

func (l *staffList) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	if err := l.down.Load(); err != nil {
		return connectors.Snapshot{}, *err
	}
	var users []connectors.User
	for _, name := range *l.names.Load() {
		users = append(users, connectors.User{
			ID: connectors.UserID(name), UserName: name + "@acme.example", Email: name + "@acme.example",
			GivenName: name, FamilyName: "Jones", Status: connectors.StatusActive, StatusDetail: "ACTIVE",
		})
	}
	return connectors.NewSnapshot(users, nil)
}

func (l *staffList) set(names ...string) { l.names.Store(&names) }

// A plant is a world whose cycles are real: planned and applied against the simulated Rootly, without a socket.
type plant struct {
	*world
	staff staffList
	sim   *sim.Sim
}

func newPlant(t *testing.T, people int) *plant {
	p := &plant{world: newWorld(t, "@every 40m"), sim: sim.New(sim.Config{Seed: 1, People: -1, Groups: -1, SCIM: sim.RootlyLike()})}
	var names []string
	for i := range people {
		names = append(names, fmt.Sprintf("u%02d", i))
	}
	p.staff.set(names...)
	ends, transport := p.sim.InProcess()
	target, err := scimclient.New(scimclient.Options{
		BaseURL: ends.SCIMURL, Token: func() string { return ends.SCIMToken }, Transport: transport, MaxRate: 25, Concurrency: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	rules, err := reconcile.Compile(reconcile.RuleOptions{Directory: "file", Mode: connectors.ScopeAll})
	if err != nil {
		t.Fatal(err)
	}
	planner := &reconcile.Planner{Source: &p.staff, Target: target, TargetURL: ends.SCIMURL, Rules: rules,
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			s, _, err := p.memory.Previous(ctx)
			return s, err
		}}
	p.setCycle(func(ctx context.Context, w Watch) (reconcile.Report, error) {
		ledger, err := p.memory.Ledger(ctx)
		if err != nil {
			return reconcile.Report{}, err
		}
		plan, err := planner.Plan(ctx, ledger, p.now())
		if err != nil {
			return reconcile.Report{}, err
		}
		w.Planned(len(plan.Changes))
		a := &reconcile.Applier{Target: target, Journal: p.memory, Concurrency: 4, Now: p.now}
		report, err := a.Apply(ctx, plan)
		if err != nil {
			err = fmt.Errorf("apply: %w", err)
		}
		return report, err
	})
	return p
}

func (p *plant) active() int {
	n := 0
	for _, u := range p.sim.SCIM.Users() {
		if u.Active {
			n++
		}
	}
	return n
}

// TestNobodyIsRemovedWhileTheSourceIsDownForADay: the directory does not answer, then answers in full again, and nobody
// has lost anything; the quarantine that began is one, and over.
func TestNobodyIsRemovedWhileTheSourceIsDownForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t, 12)
		p.begin()
		pass(minute)
		if n := p.active(); n != 12 {
			t.Fatalf("%d people are active, want 12: %+v", n, p.d.State().Last)
		}
		for name, down := range map[string]error{
			"unreachable": &connectors.Error{Directory: "file", Step: "listing people", Err: connectors.ErrUnreachable},
			"refused":     &connectors.Error{Directory: "file", Status: 401, Code: "invalid_token", Step: "listing people"},
			"damaged":     connectors.Damaged("file", "listing people", "half a page"),
			"slow":        errors.New("listing people: deadline exceeded"),
		} {
			writes := p.sim.Log.CountWrites()
			p.staff.down.Store(&down)
			pass(24 * time.Hour)
			if n := p.active(); n != 12 || p.sim.Log.CountWrites() != writes {
				t.Errorf("%s: %d people are active, %d writes were sent", name, n, p.sim.Log.CountWrites()-writes)
			}
			since := map[time.Time]bool{}
			p.mu.Lock()
			for _, e := range p.told {
				if e.Quarantine != nil {
					since[e.Quarantine.Since] = true
				}
			}
			p.told = nil
			p.mu.Unlock()
			if len(since) > 1 {
				t.Errorf("%s: %d quarantines began, want one at most", name, len(since))
			}
			p.staff.down.Store(nil)
			pass(25 * time.Hour)
			if s := p.d.State(); s.Last.Result != ResultGood || s.Quarantine != nil {
				t.Errorf("%s: a day after it is back: %+v %+v", name, s.Last, s.Quarantine)
			}
		}
		p.end()
	})
}

// TestTargetThatAnswers429ForTenMinutes: the cycle waits it out or leaves the rest to the next one, and all arrive once.
func TestTargetThatAnswers429ForTenMinutes(t *testing.T) {
	for _, retryAfter := range []string{"30", "3600", ""} {
		t.Run("Retry-After "+retryAfter, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlant(t, 40)
				p.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, After: 20, Fault: sim.TooMany(retryAfter)})
				p.begin()
				pass(10 * minute)
				if n := p.active(); n == 0 || n == 40 {
					t.Errorf("%d people are active in the middle of it", n)
				}
				sent := p.sim.Log.Count("", "")
				if sent > 600 {
					t.Errorf("%d requests were sent in ten minutes of 429", sent)
				}
				p.sim.Faults.Clear()
				pass(24 * time.Hour)
				if s := p.d.State(); p.active() != 40 || len(p.sim.SCIM.Users()) != 40 || s.Quarantine != nil || s.Last.Result != ResultGood {
					t.Errorf("a day later %d of %d are active: %+v %+v", p.active(), len(p.sim.SCIM.Users()), s.Last, s.Quarantine)
				}
				p.end()
			})
		})
	}
}

// TestClockThatIsSetTakesNobodyAway: whatever the clock says, a leaver goes and nobody else.
func TestClockThatIsSetTakesNobodyAway(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlant(t, 12)
			p.begin()
			pass(minute)
			p.staff.set("u00", "u01", "u02", "u03", "u04", "u05", "u06", "u07", "u08", "u09", "u10")
			p.set(by)
			pass(3 * time.Hour)
			if n := p.active(); n != 11 {
				t.Errorf("set by %s: %d people are active, want 11: %+v", by, n, p.d.State().Last)
			}
			p.end()
		})
	}
}

// cycles is how many have begun.
func (p *plant) cycles() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.begun)
}

// TestClockThatIsSetInMidCycle: the rolling day goes on counting, an approval is carried out once, who is in escrow is tried
// again, and the schedule keeps its pace, while the clock jumps an hour in each of these moments.
func TestClockThatIsSetInMidCycle(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlant(t, 40)
				everybody := *p.staff.names.Load()
				p.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(2 * time.Second)},
					sim.Rule{Side: sim.SideSCIM, Method: "POST", Path: "/scim/Users", Times: 1, Fault: sim.Refusal(400)})
				wantActive := func(step string, want int) {
					t.Helper()
					if n := p.active(); n != want {
						t.Errorf("%s: %d people are active, want %d: %+v", step, n, want, p.d.State().Last)
					}
				}
				p.begin()
				pass(6 * time.Second)
				p.set(by) // while people are created
				pass(3 * time.Hour)
				wantActive("one creation was refused, and tried again", 40)

				p.staff.set(everybody[:35]...)
				p.set(-by)
				pass(2 * time.Hour)
				wantActive("five leave", 35)

				p.set(by)
				p.staff.set(everybody[:29]...)
				pass(2 * time.Hour)
				wantActive("six more are over the day's limit", 35)
				ledger, err := p.memory.Ledger(t.Context())
				if err != nil || len(ledger.Held) != 1 || len(ledger.Held[0].Items) != 6 || ledger.Spent[reconcile.AxisDeactivations] != 5 {
					t.Fatalf("held %+v, spent %v, %v", ledger.Held, ledger.Spent, err)
				}
				if _, err := p.memory.Approve(t.Context(), ledger.Held[0].Fingerprint, "test"); err != nil {
					t.Fatal(err)
				}
				p.set(-by)
				p.d.RunNow()
				pass(7 * time.Second)
				p.set(by) // while they are deactivated
				pass(5 * minute)
				wantActive("with a yes", 29)
				if ledger, err = p.memory.Ledger(t.Context()); err != nil || len(ledger.Held) != 0 || len(ledger.Open) != 0 || len(ledger.Waiting) != 0 {
					t.Errorf("afterwards: %+v %+v %+v, %v", ledger.Held, ledger.Open, ledger.Waiting, err)
				}
				before := p.cycles()
				pass(4 * time.Hour)
				if n := p.cycles() - before; n != 6 {
					t.Errorf("%d cycles in four hours, want 6", n)
				}
				p.end()
			})
		})
	}
}

func TestStoppedInMidCycleTheRestIsForTheNextStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t, 30)
		p.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: "POST", Fault: sim.Latency(5 * time.Second)})
		p.begin()
		pass(12 * time.Second)
		before := time.Now()
		p.end()
		if took := time.Since(before); took > 6*time.Second {
			t.Errorf("stopping took %s", took)
		}
		ledger, err := p.memory.Ledger(t.Context())
		if err != nil || len(ledger.Open) != 0 {
			t.Errorf("open intents: %v, %v", ledger.Open, err)
		}
		s := p.d.State()
		if n := p.active(); n == 0 || n == 30 || s.Last.Done != n || s.Last.Done+s.Last.Skipped != 30 || s.Last.Result != ResultInterrupted {
			t.Errorf("%d people are active: %+v", p.active(), s.Last)
		}
		p.sim.Faults.Clear()
		p.begin()
		pass(10 * minute)
		if n := p.active(); n != 30 || len(p.sim.SCIM.Users()) != 30 {
			t.Errorf("after the next start %d of %d are active", n, len(p.sim.SCIM.Users()))
		}
		p.end()
	})
}

var _ Memory = (*store.Store)(nil)
