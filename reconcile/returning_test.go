package reconcile_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// Most servers keep the memberships of a deactivated account. SCIMMY and scim2-server do, and so does the simulator here.
func TestReturningPersonLosesWhatEndedMeanwhile(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 40, Groups: 8}, nil)
	defer in.store.Close()
	company := in.sim.Company
	login, kept, ended := "ada@acme.example", "oncall-kept", "oncall-ended"
	_, err := company.Join(sim.Person{Login: login, Email: login, Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{kept, ended} {
		if _, err := company.CreateGroup(sim.Group{Name: name, Members: []string{login}}); err != nil {
			t.Fatal(err)
		}
	}
	in.mustCycle()
	if err := errors.Join(company.Suspend(login), company.RemoveMember(ended, login)); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	u, ok := in.sim.SCIM.User(login)
	if !ok || u.Active || !isMember(t, in, ended, u.ID) {
		t.Fatalf("%+v: want an inactive account in its old groups", u)
	}
	if err := company.Unsuspend(login); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	if u, _ = in.sim.SCIM.User(login); !u.Active {
		t.Error("the account was not reactivated")
	}
	if isMember(t, in, ended, u.ID) || !isMember(t, in, kept, u.ID) {
		t.Errorf("member of what has ended: %t, of what has not: %t", isMember(t, in, ended, u.ID), isMember(t, in, kept, u.ID))
	}
	p, err := in.plan()
	if err != nil || !p.Empty() {
		t.Errorf("the next plan: %v\n%s", err, describe(p))
	}
}

func isMember(t *testing.T, in *installation, group, id string) bool {
	t.Helper()
	g, ok := in.sim.SCIM.Group(group)
	if !ok {
		t.Fatalf("no group %s", group)
	}
	return slices.ContainsFunc(g.Members, func(m sim.SCIMMember) bool { return m.Value == id })
}
