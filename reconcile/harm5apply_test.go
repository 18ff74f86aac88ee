package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Taking back a cycle takes away the accounts that it made. Who of them is on call is held as any leaver is.
func TestUndoTakesNobodyOffThePager(t *testing.T) {
	in := staffed(t, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	in.shift(t, ann, -time.Hour, 8*time.Hour)
	p := in.undo(1)
	var goes, held []reconcile.Verb
	note := func(list *[]reconcile.Verb, changes []reconcile.Change) {
		for _, c := range changes {
			about := func(r reconcile.Ref) bool { return r.Name == ann }
			if about(c.Object) || slices.ContainsFunc(c.Members, func(m reconcile.Membership) bool { return about(m.User) }) {
				*list = append(*list, c.Verb)
			}
		}
	}
	note(&goes, p.Changes)
	note(&held, p.Held)
	if want := []reconcile.Verb{reconcile.VerbDeactivate, reconcile.VerbRemove}; len(goes) > 0 || !slices.Equal(slices.Sorted(slices.Values(held)), want) {
		t.Errorf("ann is on call now: %v go, %v are held", goes, held)
	}
}

// What an undo put back into a group that is gone stays there until it is unpinned.
func TestUndoOfAnEmptiedGroupLasts(t *testing.T) {
	in := removing(t, reconcile.OnRemovedEmpty)
	name := oncallGroup(t, in)
	check(t, in.sim.Company.DeleteGroup(name))
	in.mustCycle()
	r := in.mustCycle()
	if got := in.sim.SCIM.MembersOf(name); len(got) != 0 {
		t.Fatalf("members %v", got)
	}
	p := in.undo(r.Cycle)
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
	check(t, in.store.Pin(t.Context(), p.Pins(), r.Cycle))
	_, err := a.Apply(t.Context(), p)
	check(t, err)
	back := in.sim.SCIM.MembersOf(name)
	in.mustCycle()
	if got := in.sim.SCIM.MembersOf(name); len(back) == 0 || !slices.Equal(got, back) {
		t.Errorf("members %v, the undo put back %v", got, back)
	}
}

// The userName of a deactivated account that the server hides is not free. Whose it was is said, each time.
func TestANameThatAHiddenAccountHolds(t *testing.T) {
	o := sim.RootlyLike()
	o.VanishInactive, o.IgnoreFilters = true, true
	in := install(t, t.TempDir(), sim.Config{Seed: 1, People: 12, Groups: -1, SCIM: o}, func(o *reconcile.RuleOptions) { o.Guard = wideOpen })
	defer in.store.Close()
	in.mustCycle()
	users := in.sim.SCIM.Users()
	former, _ := in.sim.Company.PersonByLogin(users[0].UserName)
	check(t, in.sim.Company.Suspend(former.Login))
	in.mustCycle()
	check(t, in.sim.Company.ChangeEmail(former.Login, "elsewhere@"+sim.Domain))
	_, err := in.sim.Company.Join(sim.Person{Login: former.Login, Direct: true, Status: sim.StatusActive})
	check(t, err)
	r := in.mustCycle()
	if got := failures(r); !strings.Contains(got, "the account "+users[0].ID+", which this tool deactivated when "+former.ID+" of the directory left") {
		t.Errorf("the results: %s", got)
	}
	if u, _ := in.sim.SCIM.User(users[0].ID); u.Active || u.ExternalID != users[0].ExternalID {
		t.Errorf("the account was handed on: %+v", u)
	}
}
