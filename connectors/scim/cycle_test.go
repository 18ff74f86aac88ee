package scim

import (
	"context"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// One strict SCIM server is synced into another, of other habits: joined, renamed, moved, deactivated and gone. Each plan
// after it is empty.
func TestFromOneServerIntoAnother(t *testing.T) {
	from := sim.NewSCIM(sim.SCIMOptions{Seed: 1, PageCap: 3, HideMembers: true, OmitMemberTypes: true, OmitEmptyMembers: true})
	into := sim.NewSCIM(sim.RootlyLike())
	add := func(name string) sim.SCIMUser {
		t.Helper()
		u, err := from.AddUser(sim.SCIMUser{UserName: name + "@acme.example", DisplayName: name, Active: true,
			Emails: []sim.SCIMValue{{Value: name + "@acme.example", Type: "work", Primary: true}}})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	ann, bob, cid, dora := add("ann"), add("bob"), add("cid"), add("dora")
	member := func(u sim.SCIMUser) sim.SCIMMember { return sim.SCIMMember{Value: u.ID, Type: "User"} }
	if _, err := from.AddGroup(sim.SCIMGroup{DisplayName: "oncall", Members: []sim.SCIMMember{member(ann), member(bob), member(cid)}}); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	rules, err := reconcile.Compile(reconcile.RuleOptions{Directory: vendor, Mode: connectors.ScopeAll, Push: []string{"oncall"}})
	must(err)
	source := connect(t, Options{BaseURL: "https://from.example" + sim.SCIMBase, Token: func() string { return sim.DefaultSCIMToken },
		Query: rules.Query(), Transport: sim.Transport(from)})
	target, err := scimclient.New(scimclient.Options{BaseURL: "https://into.example" + sim.SCIMBase, Token: func() string { return sim.DefaultSCIMToken },
		Transport: sim.Transport(into)})
	must(err)
	clock := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	memory := store.NewMemory(now)
	cycle := func() reconcile.Report {
		t.Helper()
		clock = clock.Add(40 * time.Minute)
		ledger, err := memory.Ledger(t.Context())
		must(err)
		p := reconcile.Planner{Source: source, Target: target, TargetURL: "https://into.example" + sim.SCIMBase, Rules: rules,
			Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
				s, _, err := memory.Previous(ctx)
				return s, err
			}}
		plan, err := p.Plan(t.Context(), ledger, clock)
		must(err)
		a := reconcile.Applier{Target: target, Journal: memory, Concurrency: 2, Now: now}
		r, err := a.Apply(t.Context(), plan)
		must(err)
		return r
	}
	settle := func() {
		t.Helper()
		for range 3 {
			cycle()
		}
		if r := cycle(); !r.Plan.Empty() {
			t.Errorf("the plan is not empty in the end:\n%s", r.Plan.Text(reconcile.TextOptions{}))
		}
	}
	settle()
	if got := into.MembersOf("oncall"); len(got) != 3 || len(into.Users()) != 4 {
		t.Fatalf("members %v, %d users", got, len(into.Users()))
	}

	must(from.EditUser(ann.ID, func(u *sim.SCIMUser) { u.DisplayName = "Anna" }))
	must(from.EditUser(bob.ID, func(u *sim.SCIMUser) { u.Active = false }))
	must(from.EditGroup("oncall", func(g *sim.SCIMGroup) { g.Members = []sim.SCIMMember{member(ann), member(bob), member(dora)} }))
	must(from.RemoveUser(cid.ID))
	settle()
	for name, want := range map[string]struct {
		shown  string
		active bool
	}{"ann": {"Anna", true}, "bob": {"bob", false}, "cid": {"cid", false}, "dora": {"dora", true}} {
		if u, _ := into.User(name + "@acme.example"); u.DisplayName != want.shown || u.Active != want.active {
			t.Errorf("%s is %q, active %v", name, u.DisplayName, u.Active)
		}
	}
	if got := into.MembersOf("oncall"); len(got) != 2 || got[0] != "ann@acme.example" || got[1] != "dora@acme.example" {
		t.Errorf("members %v", got)
	}
}
