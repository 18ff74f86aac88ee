package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// TestALaggingReplicaDoublesNobody reads Rootly once from a copy that knows nobody yet, while people and groups are renamed in
// the directory, so that no name stands in the way of making them anew.
func TestALaggingReplicaDoublesNobody(t *testing.T) {
	o := sim.RootlyLike()
	o.DuplicateGroups = true
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: 6, SCIM: o}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	old := in.sim.SCIM.Clone()
	in.mustCycle()
	group := oncallGroup(t, in)
	if err := in.sim.Company.RenameGroup(group, group+"-2"); err != nil {
		t.Fatal(err)
	}
	for _, p := range in.sim.Company.People() {
		if p.Assigned {
			if err := in.sim.Company.ChangeEmail(p.Login, "new."+p.Login); err != nil {
				t.Fatal(err)
			}
		}
	}
	users, groups := len(in.sim.SCIM.Users()), len(in.sim.SCIM.Groups())
	in.planner.Target = in.replica(old)
	r := in.mustCycle()
	if now := len(in.sim.SCIM.Users()); now != users {
		t.Errorf("%d accounts, were %d", now, users)
	}
	if now := len(in.sim.SCIM.Groups()); now != groups {
		t.Errorf("%d groups, were %d", now, groups)
	}
	if text := failures(r); !strings.Contains(text, "was missing when Rootly was read, and is there now; the next run decides") {
		t.Errorf("nobody is told why: %s", text)
	}
	in.planner.Target = in.target
	in.mustCycle()
	if p, err := in.plan(); err != nil || len(p.Changes) > 0 || len(p.Held) > 0 {
		t.Errorf("%v, still planned:\n%s", err, describe(p))
	}
}

// replica reads from an older copy of the target.
func (in *installation) replica(old *sim.SCIM) reconcile.Reader {
	in.t.Helper()
	c, err := scimclient.New(scimclient.Options{
		BaseURL: in.ends.SCIMURL, Token: func() string { return in.ends.SCIMToken }, Transport: sim.Transport(http.HandlerFunc(old.ServeHTTP)),
	})
	if err != nil {
		in.t.Fatalf("replica: %v", err)
	}
	return c
}

// TestALaggingReplicaBlamesNoHand: somebody is suspended and back, as they were or with another name, and in between Rootly is
// read as it was before. They must not count as deactivated by hand, which would leave them deactivated.
func TestALaggingReplicaBlamesNoHand(t *testing.T) {
	for name, comesBack := range map[string]func(c *sim.Company, login string) error{
		"as they were": (*sim.Company).Unsuspend,
		"with another name": func(c *sim.Company, login string) error {
			return errors.Join(c.Unsuspend(login), c.Rename(login, "Zoe", "Zimmer"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: 6, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
			t.Cleanup(func() { in.store.Close() })
			in.mustCycle()
			old := in.sim.SCIM.Clone()
			group, _ := in.sim.Company.GroupByName(oncallGroup(t, in))
			login := group.Members[0]
			if err := in.sim.Company.Suspend(login); err != nil {
				t.Fatal(err)
			}
			in.mustCycle()
			if err := comesBack(in.sim.Company, login); err != nil {
				t.Fatal(err)
			}
			in.planner.Target = in.replica(old)
			lagging := in.mustCycle()
			in.planner.Target = in.target
			r := in.mustCycle()
			if u, _ := in.sim.SCIM.User(login); !u.Active {
				t.Errorf("%s is left deactivated; the lagging run did\n%s\nthe good one\n%s", login, describe(lagging.Plan), describe(r.Plan))
			}
		})
	}
}

// TestAReturningAccountThatIsGoneIsRecordedAsCreated: whether a deactivated account is hidden or deleted shows only when it
// is to come back. The history must say that another one was made, and of what.
func TestAReturningAccountThatIsGoneIsRecordedAsCreated(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: 6, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	in.mustCycle()
	group, ok := in.sim.Company.GroupByName(oncallGroup(t, in))
	if !ok || len(group.Members) == 0 {
		t.Fatal("nobody is on call")
	}
	login := group.Members[0]
	person, _ := in.sim.Company.PersonByLogin(login)
	if err := in.sim.Company.Suspend(login); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	before, ok := in.sim.SCIM.User(login)
	if !ok || before.Active {
		t.Fatalf("not deactivated: %+v", before)
	}
	if err := in.sim.SCIM.RemoveUser(before.ID); err != nil {
		t.Fatal(err)
	}
	if err := in.sim.Company.Unsuspend(login); err != nil {
		t.Fatal(err)
	}
	r := in.mustCycle()
	after, ok := in.sim.SCIM.User(login)
	if !ok || !after.Active || after.ID == before.ID {
		t.Fatalf("%+v%s", after, failures(r))
	}
	entries, err := in.store.CycleChanges(context.Background(), r.Cycle)
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[reconcile.Verb]reconcile.Outcome{}
	for _, e := range entries {
		if e.Change.Object.Source != person.ID {
			continue
		}
		outcomes[e.Change.Verb] = e.Outcome
		if e.Change.Verb != reconcile.VerbCreate {
			continue
		}
		given := map[string]string{}
		for _, f := range e.Change.Fields {
			given[f.Name] = f.To
		}
		if given["userName"] != login || given["name.familyName"] != person.LastName || given["active"] != "true" {
			t.Errorf("the record of the creation: %v", given)
		}
	}
	if outcomes[reconcile.VerbReactivate] != reconcile.OutcomeSkipped || outcomes[reconcile.VerbCreate] != reconcile.OutcomeDone {
		t.Errorf("recorded: %v", outcomes)
	}
	for _, res := range r.Results {
		if res.Change.Object.Source == person.ID && (res.Change.Verb != reconcile.VerbCreate || res.Outcome != reconcile.OutcomeDone) {
			t.Errorf("reported: %s %s", res.Change.Key(), res.Outcome)
		}
	}
	if p, err := in.plan(); err != nil || len(p.Changes) > 0 {
		t.Errorf("%v, still planned:\n%s", err, describe(p))
	}
}

// TestAnAccountInTheWayKeepsItsLetterCase: userName is not case-sensitive (RFC 7643 section 4.1.1), so another letter case is no
// other name, here as in an ordinary update.
func TestAnAccountInTheWayKeepsItsLetterCase(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: -1, SCIM: sim.RootlyLike()}, nil)
	t.Cleanup(func() { in.store.Close() })
	in.mustCycle()
	person, err := in.sim.Company.Join(sim.Person{Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	shout := strings.ToUpper(person.Login)
	made, err := in.sim.SCIM.AddUser(sim.SCIMUser{UserName: shout, Active: true}) // after the plan was made
	if err != nil {
		t.Fatal(err)
	}
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
	r, err := a.Apply(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if u, _ := in.sim.SCIM.User(made.ID); u.UserName != shout || u.ExternalID != person.ID {
		t.Errorf("%+v%s", u, failures(r))
	}
}

// TestNobodyIsLetInByTheIdOfADeletedAccount: a server may refuse a whole request for one member that it does not know.
func TestNobodyIsLetInByTheIdOfADeletedAccount(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 12, Groups: 6, SCIM: sim.RootlyLike()}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	t.Cleanup(func() { in.store.Close() })
	in.mustCycle()
	name := oncallGroup(t, in)
	group, _ := in.sim.SCIM.Group(name)
	gone, _ := in.sim.SCIM.User(group.Members[0].Value)
	if err := in.sim.SCIM.RemoveUser(gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := in.sim.SCIM.RemoveGroup(group.ID); err != nil {
		t.Fatal(err)
	}
	in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Path: sim.SCIMBase + "/Users", Fault: sim.Refusal(400)})
	r := in.mustCycle()
	for _, res := range r.Results {
		if res.Change.Verb == reconcile.VerbAdd && res.Outcome != reconcile.OutcomeSkipped {
			t.Errorf("%s ended %s: %s", res.Change.Key(), res.Outcome, res.Error)
		}
	}
	if !strings.Contains(failures(r), "members do not exist in Rootly yet: "+gone.UserName) {
		t.Errorf("nobody is told who is missing:%s", failures(r))
	}
	in.sim.Faults.Clear()
	in.mustCycle()
	if p, err := in.plan(); err != nil || len(p.Changes) > 0 {
		t.Errorf("%v, still planned:\n%s", err, describe(p))
	}
}
