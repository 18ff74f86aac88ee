package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A rival is another writer: before each of our runs it sets one thing back.
type rival struct {
	name string
	act  func(in *installation) error
	// ends tells whether we give way. A deactivation is repeated for ever.
	ends bool
}

func rivals(person, leaver sim.Person, group string) []rival {
	return []rival{
		{"keeps its displayName", func(in *installation) error {
			return in.sim.SCIM.EditUser(person.Login, func(u *sim.SCIMUser) { u.DisplayName = "Native" })
		}, true},
		{"keeps its familyName", func(in *installation) error {
			return in.sim.SCIM.EditUser(person.Login, func(u *sim.SCIMUser) { u.FamilyName = "Native" })
		}, true},
		{"takes everybody out of a group", func(in *installation) error {
			return in.sim.SCIM.EditGroup(group, func(g *sim.SCIMGroup) { g.Members = nil })
		}, true},
		{"puts somebody into a group", func(in *installation) error {
			u, ok := in.sim.SCIM.User("break-glass@acme.example")
			if !ok {
				return fmt.Errorf("no break-glass account")
			}
			return in.sim.SCIM.EditGroup(group, func(g *sim.SCIMGroup) {
				if !slices.ContainsFunc(g.Members, func(m sim.SCIMMember) bool { return m.Value == u.ID }) {
					g.Members = append(g.Members, sim.SCIMMember{Value: u.ID, Type: "User"})
				}
			})
		}, true},
		{"names the group its own way", func(in *installation) error {
			return in.sim.SCIM.EditGroup(group, func(g *sim.SCIMGroup) { g.DisplayName = "Native group" })
		}, true},
		{"reactivates a leaver", func(in *installation) error {
			return in.sim.SCIM.EditUser(leaver.Login, func(u *sim.SCIMUser) { u.Active = true })
		}, false},
	}
}

// TestASecondWriterIsNotFoughtForEver: whatever another writer turns back before each run, our writes of it stop within
// four runs, everything else comes into line, and a deactivation is repeated as long as it takes. When the other writer
// ends and the values are taken back, Rootly is in line.
func TestASecondWriterIsNotFoughtForEver(t *testing.T) {
	t.Parallel()
	var each []string
	for _, r := range rivals(sim.Person{}, sim.Person{}, "") {
		each = append(each, r.name)
	}
	for _, name := range each {
		t.Run(name, func(t *testing.T) { fightRivals(t, name) })
	}
	t.Run("all of them", func(t *testing.T) { fightRivals(t, each...) })
}

func fightRivals(t *testing.T, names ...string) {
	in := install(t, t.TempDir(), sim.Config{Seed: 7, People: 14, Groups: 4}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	defer in.store.Close()
	_, err := in.sim.SCIM.AddUser(sim.SCIMUser{UserName: "break-glass@acme.example", DisplayName: "Break Glass", Active: true})
	_, err1 := in.sim.Company.CreateGroup(sim.Group{Name: "oncall-law"})
	person, err2 := in.sim.Company.Join(sim.Person{Direct: true}, "oncall-law")
	leaver, err3 := in.sim.Company.Join(sim.Person{Direct: true}, "oncall-law")
	if err := errors.Join(err, err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	if err := in.sim.Company.Suspend(leaver.Login); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	group, _ := in.sim.SCIM.Group("oncall-law")
	chosen := slices.DeleteFunc(rivals(person, leaver, group.ID), func(r rival) bool { return !slices.Contains(names, r.name) })
	yields := slices.ContainsFunc(chosen, func(r rival) bool { return r.ends })
	for run := range 8 {
		for _, r := range chosen {
			if err := r.act(in); err != nil {
				t.Fatalf("%s: %v", r.name, err)
			}
		}
		if run == 5 { // something of the directory's, in the middle of it
			if err := in.sim.Company.Rename(in.provisioned(0).Login, "Zoë", "O'Brien"); err != nil {
				t.Fatal(err)
			}
		}
		in.clock = in.clock.Add(time.Hour)
		r := in.mustCycle()
		if u, _ := in.sim.SCIM.User(leaver.Login); u.Active {
			t.Fatalf("run %d leaves the leaver active:\n%s", run, describe(r.Plan))
		}
		if contested := r.Plan.Contested(); (len(contested) > 0) != (yields && run >= 3) {
			t.Fatalf("run %d, contested: %+v", run, contested)
		}
		done := 0
		for _, res := range r.Results {
			switch c := res.Change; {
			case res.Outcome != reconcile.OutcomeDone:
				t.Fatalf("run %d: %s", run, failures(r))
			case run == 5 && c.Why == reconcile.WhyDirectory:
				done++
			case run >= 3 && c.Verb != reconcile.VerbDeactivate:
				t.Fatalf("run %d still writes: %s (%s)", run, c.Key(), c.Why)
			}
		}
		if run == 5 && done == 0 {
			t.Fatal("what the directory changes is not written")
		}
	}

	// The other writer ends; an operator takes the values back.
	ledger, err := in.store.Ledger(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a, err := in.planner.Adopt(context.Background(), ledger, in.clock)
	if err != nil {
		t.Fatal(err)
	}
	links, unlink, _, err := a.Choose("")
	if err == nil {
		err = in.store.Adopt(context.Background(), in.clock, links, unlink, "law")
	}
	if err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	if p, err := in.plan(); err != nil || !p.Empty() || len(p.Contested()) > 0 {
		t.Fatalf("not in line: %v\n%s", err, describe(p))
	}
}

// remember gives the planner the last good snapshot as a witness, as the command does.
func (in *installation) remember() {
	in.planner.Previous = func(ctx context.Context) (*connectors.Snapshot, error) {
		s, _, err := in.store.Previous(ctx)
		return s, err
	}
}

// provisioned is the nth person who has an active account.
func (in *installation) provisioned(n int) sim.Person {
	in.t.Helper()
	for _, p := range in.sim.Company.People() {
		if u, ok := in.sim.SCIM.User(p.Login); ok && u.Active {
			if n == 0 {
				return p
			}
			n--
		}
	}
	in.t.Fatalf("too few people have an account")
	return sim.Person{}
}

// TestTheLadder lets forty-five days pass over a company that two people leave: one returns, the other is purged from the
// directory, and their account is deleted on its day and not before.
func TestTheLadder(t *testing.T) {
	t.Parallel()
	const days = 30
	in := install(t, t.TempDir(), sim.Config{Seed: 5, People: 20, Groups: 4}, func(o *reconcile.RuleOptions) { o.DeleteAfter = days * 24 * time.Hour })
	defer in.store.Close()
	in.remember()
	in.mustCycle()
	gone, back := in.provisioned(0), in.provisioned(1)
	for _, p := range []sim.Person{gone, back} {
		if err := in.sim.Company.Leave(p.Login); err != nil {
			t.Fatal(err)
		}
	}
	purged := in.clock.AddDate(0, 0, 5) // until then both are in the directory, deactivated
	var left, deleted time.Time
	for end := in.clock.AddDate(0, 0, 45); in.clock.Before(end); in.clock = in.clock.Add(12 * time.Hour) {
		if in.clock.Equal(purged) {
			if err := errors.Join(in.sim.Company.Delete(gone.Login), in.sim.Company.Return(back.Login), in.sim.Company.Assign(back.Login)); err != nil {
				t.Fatal(err)
			}
		}
		r := in.mustCycle()
		if f := failures(r); f != "" {
			t.Fatalf("%s: %s", in.clock, f)
		}
		ledger, err := in.store.Ledger(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if due := in.rules.Departures(ledger); len(due) > 0 && left.IsZero() {
			left = due[0].Left
			if len(due) != 1 || due[0].Object.Source != gone.ID || !strings.Contains(describe(r.Plan), "will be deleted on "+due[0].Due.Format(time.DateOnly)) {
				t.Errorf("departures %+v in\n%s", due, describe(r.Plan))
			}
		}
		if _, ok := in.sim.SCIM.User(gone.Login); !ok && deleted.IsZero() {
			deleted = in.clock
		}
	}
	if left.Before(purged) || deleted.Sub(left) < days*24*time.Hour || deleted.Sub(left) > (days+1)*24*time.Hour {
		t.Errorf("in the directory until %s, gone since %s, deleted %s", purged, left, deleted)
	}
	if u, ok := in.sim.SCIM.User(back.Login); !ok || !u.Active {
		t.Errorf("who returned: %+v, found %t", u, ok)
	}
	if ledger, err := in.store.Ledger(context.Background()); err != nil || len(in.rules.Departures(ledger)) != 0 {
		t.Errorf("the link goes with the account: %v", err)
	}
}

// TestEscrowOverVirtualTime refuses one person's every update and another's deactivation for four days of runs every
// forty minutes: the update is sent at growing gaps up to a day, the deactivation every time.
func TestEscrowOverVirtualTime(t *testing.T) {
	t.Parallel()
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 20, Groups: 2}, nil)
	defer in.store.Close()
	in.mustCycle()
	bad, leaver := in.provisioned(0), in.provisioned(1)
	for _, p := range []sim.Person{bad, leaver} {
		u, ok := in.sim.SCIM.User(p.Login)
		if !ok {
			t.Fatalf("%s has no account", p.Login)
		}
		in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPatch, Path: "/scim/Users/" + u.ID, Fault: sim.Refusal(400)})
		in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPut, Path: "/scim/Users/" + u.ID, Fault: sim.Refusal(400)})
	}
	if err := in.sim.Company.Rename(bad.Login, "First", "Wish"); err != nil {
		t.Fatal(err)
	}
	if err := in.sim.Company.Suspend(leaver.Login); err != nil {
		t.Fatal(err)
	}
	start := in.clock
	var sent []time.Duration
	deactivations, runs := 0, 0
	for ; in.clock.Before(start.AddDate(0, 0, 4)); in.clock = in.clock.Add(40 * time.Minute) {
		runs++
		for _, res := range in.mustCycle().Results {
			switch {
			case res.Change.Verb == reconcile.VerbDeactivate:
				deactivations++
			case res.Change.Object.Source == bad.ID:
				sent = append(sent, in.clock.Sub(start))
			}
		}
	}
	if deactivations != runs {
		t.Errorf("%d deactivations in %d runs: they are tried every time", deactivations, runs)
	}
	want := []time.Duration{0, 40 * time.Minute, 160 * time.Minute, 520 * time.Minute, 1240 * time.Minute, 2680 * time.Minute, 4120 * time.Minute, 5560 * time.Minute}
	if !slices.Equal(sent, want) {
		t.Errorf("the update was sent after %v, want %v", sent, want)
	}

	// The wish changes while its change waits. What is sent once it may be is the new one.
	if err := in.sim.Company.Rename(bad.Login, "Second", "Wish"); err != nil {
		t.Fatal(err)
	}
	in.sim.Faults.Clear()
	if r := in.mustCycle(); slices.ContainsFunc(r.Results, func(res reconcile.Result) bool { return res.Change.Object.Source == bad.ID }) {
		t.Errorf("sent before its time: %+v", r.Results)
	}
	in.clock = in.clock.Add(24 * time.Hour)
	in.mustCycle()
	if u, _ := in.sim.SCIM.User(bad.Login); u.GivenName != "Second" {
		t.Errorf("sent %q, the wish of long ago", u.GivenName)
	}
}

// A wish that goes away while its change waits leaves nothing to send.
func TestEscrowReplaysNothing(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 20, Groups: 2}, nil)
	defer in.store.Close()
	in.mustCycle()
	p := in.provisioned(0)
	if err := in.sim.Company.Rename(p.Login, "Other", p.LastName); err != nil {
		t.Fatal(err)
	}
	in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPatch, Fault: sim.Refusal(400)})
	in.mustCycle()
	in.sim.Faults.Clear()
	if err := in.sim.Company.Rename(p.Login, p.FirstName, p.LastName); err != nil {
		t.Fatal(err)
	}
	in.sim.Log.Reset()
	in.clock = in.clock.Add(24 * time.Hour)
	in.mustCycle()
	if n := in.sim.Log.CountWrites(); n != 0 {
		t.Errorf("%d writes: %v", n, in.sim.Log.Writes())
	}
	if ledger, err := in.store.Ledger(context.Background()); err != nil || len(ledger.Waiting) != 0 {
		t.Errorf("what nobody plans any more does not wait: %v %+v", err, ledger.Waiting)
	}
}
