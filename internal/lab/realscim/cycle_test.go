package realscim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// An installation syncs a simulated company, read through Okta's SDK, to a server.
type installation struct {
	t       *testing.T
	company *sim.Company
	peer    peer
	target  *scimclient.Client
	planner reconcile.Planner
	memory  *store.Memory
	clock   time.Time
}

func install(t *testing.T, p peer, f *fault) *installation {
	t.Helper()
	world := sim.New(sim.Config{Seed: 7, People: 300, Groups: 6})
	ends, transport := world.InProcess()
	limits := reconcile.Limits{}
	for _, axis := range []reconcile.Axis{
		reconcile.AxisDeactivations, reconcile.AxisMemberships, reconcile.AxisGroups, reconcile.AxisRenames,
	} {
		limits[axis] = reconcile.Limit{Share: 1, Count: 1000, Floor: 1000}
	}
	rules, err := reconcile.Compile(reconcile.RuleOptions{
		Directory: "okta", Mode: connectors.ScopeAssigned, Push: []string{"oncall-*", "everybody"}, Guard: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	source, err := okta.New(okta.Options{
		OrgURL: ends.OktaURL, AllowHTTP: true, APIToken: func() string { return ends.OktaToken }, AppID: ends.AppID,
		Query: rules.Query(), Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	in := &installation{t: t, company: world.Company, peer: p, clock: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	in.target = p.client(t, f.wrap, func(o *scimclient.Options) { o.PageSize = 100 })
	in.memory = store.NewMemory(func() time.Time { return in.clock })
	in.planner = reconcile.Planner{
		Source: source, Target: in.target, TargetURL: p.base, Rules: rules,
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			s, _, err := in.memory.Previous(ctx)
			return s, err
		},
	}
	return in
}

// plan is the plan of the next cycle, 40 minutes on.
func (in *installation) plan() reconcile.Plan {
	in.t.Helper()
	in.clock = in.clock.Add(40 * time.Minute)
	ledger, err := in.memory.Ledger(in.t.Context())
	if err != nil {
		in.t.Fatal(err)
	}
	p, err := in.planner.Plan(in.t.Context(), ledger, in.clock)
	if err != nil {
		in.t.Fatalf("plan: %v", err)
	}
	return p
}

func (in *installation) cycle() reconcile.Report {
	in.t.Helper()
	a := &reconcile.Applier{Target: in.target, Journal: in.memory, Concurrency: 8, Now: func() time.Time { return in.clock }}
	r, err := a.Apply(in.t.Context(), in.plan())
	if err != nil {
		in.t.Fatalf("apply: %v", err)
	}
	return r
}

// settles runs cycles until one plans nothing. In the first each change must be done, unless failures are expected.
func (in *installation) settles(what string, failures bool) reconcile.Report {
	in.t.Helper()
	first := in.cycle()
	for _, res := range first.Results {
		if res.Outcome != reconcile.OutcomeDone && !failures {
			in.t.Errorf("%s: %s %s: %s: %s", what, res.Change.Verb, res.Change.Object.Name, res.Outcome, res.Error)
		}
	}
	last := in.plan()
	for range 3 {
		if last.Empty() || !failures {
			break
		}
		in.clock = in.clock.Add(24 * time.Hour) // what failed waits in escrow
		in.cycle()
		last = in.plan()
	}
	for _, c := range slices.Concat(last.Changes, last.Held) {
		in.t.Errorf("%s: and the next plan has: %s %s %v %v (%s %s)", what, c.Verb, c.Object.Name, c.Fields, c.Members, c.Why, c.Held)
	}
	return first
}

// agrees fails unless the server holds the company as it is.
func (in *installation) agrees(what string) {
	in.t.Helper()
	users, err := in.target.Users(in.t.Context())
	if err != nil {
		in.t.Fatal(err)
	}
	byName, ids := map[string]scimclient.User{}, map[string]string{}
	for _, u := range users {
		byName[strings.ToLower(u.UserName)] = u
	}
	for _, p := range in.company.People() {
		u, there := byName[strings.ToLower(p.Login)]
		ids[p.Login] = u.ID
		off := p.Status == sim.StatusDeprovisioned || p.Status == sim.StatusSuspended || p.Status == sim.StatusStaged || !p.Assigned
		switch {
		case !off && !there:
			in.t.Errorf("%s: %s is missing", what, p.Login)
		case there && u.Active == off:
			in.t.Errorf("%s: %s (%s, assigned %t): active is %t", what, p.Login, p.Status, p.Assigned, u.Active)
		case !off && (u.GivenName != p.FirstName || u.FamilyName != p.LastName):
			in.t.Errorf("%s: %s is called %s %s", what, p.Login, u.GivenName, u.FamilyName)
		case !off && p.MobilePhone == "" && len(u.Phones) > 0:
			in.t.Errorf("%s: %s still has the phone %v", what, p.Login, u.Phones)
		}
	}
	groups, err := in.target.Groups(in.t.Context())
	if err != nil {
		in.t.Fatal(err)
	}
	for _, g := range in.company.Groups() {
		if g.Name != "everybody" && !strings.HasPrefix(g.Name, "oncall-") {
			continue
		}
		i := slices.IndexFunc(groups, func(h scimclient.Group) bool { return h.DisplayName == g.Name })
		if i < 0 {
			in.t.Errorf("%s: no group %s", what, g.Name)
			continue
		}
		var want []string
		for _, login := range g.Members {
			if u := byName[strings.ToLower(login)]; u.Active {
				want = append(want, u.ID)
			}
		}
		active := slices.DeleteFunc(memberIDs(groups[i]), func(id string) bool {
			return !slices.ContainsFunc(users, func(u scimclient.User) bool { return u.ID == id && u.Active })
		})
		if slices.Sort(want); !slices.Equal(active, want) {
			in.t.Errorf("%s: %s has %d active members, want %d", what, g.Name, len(active), len(want))
		}
	}
}

// someone is a person in the app by name and on duty; not twice the same.
func (in *installation) someone() string {
	in.t.Helper()
	for _, p := range in.company.People() {
		if p.Status == sim.StatusActive && p.Direct && p.MobilePhone != "" {
			if err := in.company.EditPerson(p.Login, func(p *sim.Person) { p.MobilePhone = "" }); err != nil {
				in.t.Fatal(err)
			}
			return p.Login
		}
	}
	in.t.Fatal("nobody is left")
	return ""
}

func (in *installation) must(errs ...error) {
	in.t.Helper()
	if err := errors.Join(errs...); err != nil {
		in.t.Fatal(err)
	}
}

// everybody founds a group of 250 people who are in scope.
func (in *installation) everybody() {
	in.t.Helper()
	var logins []string
	for _, p := range in.company.People() {
		if p.Assigned && p.Status == sim.StatusActive && len(logins) < 250 {
			logins = append(logins, p.Login)
		}
	}
	if len(logins) < 150 {
		in.t.Fatalf("only %d people are in scope", len(logins))
	}
	_, err := in.company.CreateGroup(sim.Group{Name: "everybody", Members: logins})
	in.must(err)
}

func TestWholeCycles(t *testing.T) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			wholeCycles(install(t, s.open(), &fault{}))
		})
	}
}

func wholeCycles(in *installation) {
	t, company := in.t, in.company
	s := session{t, in.peer}
	adopted := in.someone()
	old := s.user(strings.ToUpper(adopted[:1])+adopted[1:], object{"displayName": nil})
	stranger := s.user("break-glass@acme.example")
	strangers := s.get(stranger).body
	s.group("oncall-taken")
	_, err := company.CreateGroup(sim.Group{Name: "oncall-taken", Members: []string{adopted}})
	in.must(err)
	in.everybody()

	first := in.settles("first contact", false)
	if len(first.Results) < 150 {
		t.Errorf("only %d changes", len(first.Results))
	}
	in.agrees("first contact")
	if u := s.get(old).body; u["externalId"] == nil || u["active"] != true {
		t.Errorf("the account that was there was not taken over: %v", u)
	}

	renamed, moved, suspended, unassigned, left := in.someone(), in.someone(), in.someone(), in.someone(), in.someone()
	_, err = company.Join(sim.Person{FirstName: "Zoë", LastName: "O'Brien", Direct: true}, "everybody")
	in.must(err,
		company.Rename(renamed, "Åsa", "van der Berg-Ng"), company.ChangeEmail(moved, "moved."+moved), company.Suspend(suspended),
		company.Unassign(unassigned), company.Leave(left),
		company.RenameGroup("oncall-taken", "oncall-renamed"), company.AddMember("oncall-renamed", renamed), company.RemoveMember("oncall-renamed", adopted))
	everybody, _ := company.GroupByName("everybody")
	for _, login := range slices.Clone(everybody.Members)[:120] {
		in.must(company.RemoveMember("everybody", login))
	}
	in.settles("a day", false)
	in.agrees("a day")

	in.must(company.Unsuspend(suspended), company.Assign(unassigned), company.AddMember("everybody", suspended))
	in.settles("back again", false)
	in.agrees("back again")

	if got := s.get(stranger).body; fmt.Sprint(got) != fmt.Sprint(strangers) {
		t.Errorf("somebody who is not ours was touched: %v", got)
	}
}

func TestCyclesUnderFaults(t *testing.T) {
	faults := map[string]*fault{
		"429 to every sixtieth write":          {refuse: everyNth(60)},
		"every seventh write loses its answer": {lose: everyNth(7)},
	}
	for name, f := range faults {
		for _, s := range servers() {
			t.Run(name+", "+s.name, func(t *testing.T) {
				t.Parallel()
				in := install(t, s.open(), &fault{refuse: f.refuse, lose: f.lose})
				in.everybody()
				in.settles("first contact", true)
				for day := range 2 {
					in.company.NextDay()
					in.settles(fmt.Sprintf("day %d", day+1), true)
				}
				in.agrees("in the end")
				users, err := in.target.Users(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for _, u := range users {
					if seen[u.ExternalID] {
						t.Errorf("two accounts for %s", u.ExternalID)
					}
					seen[u.ExternalID] = true
				}
			})
		}
	}
}
