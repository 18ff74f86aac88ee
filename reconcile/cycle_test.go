package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A bench is a whole installation over a simulated company, with a clock of its own.
type installation struct {
	t       fataler
	sim     *sim.Sim
	ends    sim.Endpoints
	target  *scimclient.Client
	rules   *reconcile.Rules
	planner *reconcile.Planner
	store   *store.Store
	clock   time.Time
	hides   bool // the server hides deactivated accounts
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

func install(t fataler, dir string, cfg sim.Config, edit func(o *reconcile.RuleOptions)) *installation {
	t.Helper()
	return installOn(t, dir, cfg, edit, nil)
}

// installOn builds the installation over the sockets that start opens, or without any if start is nil.
func installOn(t fataler, dir string, cfg sim.Config, edit func(o *reconcile.RuleOptions), start func(*sim.Sim) (sim.Endpoints, error)) *installation {
	t.Helper()
	in := &installation{t: t, sim: sim.New(cfg), clock: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), hides: cfg.SCIM.VanishInactive}
	var transport http.RoundTripper
	var err error
	if start == nil {
		in.ends, transport = in.sim.InProcess()
	} else if in.ends, err = start(in.sim); err != nil {
		t.Fatalf("start: %v", err)
	}
	opts := reconcile.RuleOptions{Directory: "okta", Mode: connectors.ScopeAssigned, Push: []string{"oncall-*"}}
	if edit != nil {
		edit(&opts)
	}
	if in.rules, err = reconcile.Compile(opts); err != nil {
		t.Fatalf("rules: %v", err)
	}
	source, err := okta.New(okta.Options{
		OrgURL: in.ends.OktaURL, AllowHTTP: true, APIToken: func() string { return in.ends.OktaToken }, AppID: in.ends.AppID,
		Query: in.rules.Query(), Transport: transport,
	})
	if err != nil {
		t.Fatalf("okta: %v", err)
	}
	in.target, err = scimclient.New(scimclient.Options{
		BaseURL: in.ends.SCIMURL, AllowHTTP: true, Token: func() string { return in.ends.SCIMToken }, Transport: transport, MaxRate: 0,
	})
	if err != nil {
		t.Fatalf("scim: %v", err)
	}
	in.store, err = store.Open(context.Background(), store.Options{
		Path: filepath.Join(dir, "state.db"), Source: source.Tenant(), Target: in.ends.SCIMURL, Now: in.now,
	})
	if err != nil {
		t.Fatalf("store: %v", err)
	}
	in.planner = &reconcile.Planner{Source: source, Target: in.target, TargetURL: in.ends.SCIMURL, Rules: in.rules}
	return in
}

func (in *installation) now() time.Time { return in.clock }

func (in *installation) plan() (reconcile.Plan, error) {
	ledger, err := in.store.Ledger(context.Background())
	if err != nil {
		in.t.Fatalf("ledger: %v", err)
	}
	return in.planner.Plan(context.Background(), ledger, in.clock)
}

// cycle is one run, and what it means for the quarantine. Its errors are the faults' doing and come back.
func (in *installation) cycle(ctx context.Context) (reconcile.Report, error) {
	ledger, err := in.store.Ledger(ctx)
	if err != nil {
		in.t.Fatalf("ledger: %v", err)
	}
	r, err := in.apply(ctx)
	if ierr := in.store.Isolate(ctx, ledger.Quarantine.After(r, err, in.clock)); ierr != nil {
		in.t.Fatalf("isolate: %v", ierr)
	}
	return r, err
}

func (in *installation) apply(ctx context.Context) (reconcile.Report, error) {
	p, err := in.plan()
	if err != nil {
		return reconcile.Report{}, err
	}
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
	return a.Apply(ctx, p)
}

func (in *installation) mustCycle() reconcile.Report {
	in.t.Helper()
	r, err := in.cycle(context.Background())
	if err != nil {
		in.t.Fatalf("cycle: %v", err)
	}
	return r
}

// failures are the results of a run that were not done, in lines.
func failures(r reconcile.Report) string {
	var b strings.Builder
	for _, res := range r.Results {
		if res.Outcome != reconcile.OutcomeDone {
			fmt.Fprintf(&b, "\n%s: %s: %s", res.Change.Key(), res.Outcome, res.Error)
		}
	}
	return b.String()
}

// describe is a plan in lines, for failures.
func describe(p reconcile.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s %s %v %v (%s %s)\n", c.Verb, c.Object.Name, c.Fields, c.Members, c.Why, c.Detail)
	}
	for _, c := range p.Held {
		fmt.Fprintf(&b, "held %s %s: %s\n", c.Verb, c.Object.Name, c.Held)
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "%s: %s: %s\n", n.Kind, n.Object.Name, n.Text)
	}
	return b.String()
}

var wideOpen = reconcile.Limits{
	reconcile.AxisDeactivations: {Share: 1, Count: 1000, Floor: 1000}, reconcile.AxisMemberships: {Share: 1, Count: 1000, Floor: 1000},
	reconcile.AxisGroups: {Share: 1, Count: 1000, Floor: 1000}, reconcile.AxisRenames: {Share: 1, Count: 1000, Floor: 1000},
	reconcile.AxisDeletions: {Share: 1, Count: 1000, Floor: 1000},
}

func TestApplyThenPlanIsEmpty(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 1, People: 60, Groups: 10}, nil)
	defer in.store.Close()
	first := in.mustCycle()
	if n := first.Count(reconcile.OutcomeDone); n != len(first.Results) || n < 50 {
		t.Fatalf("%d of %d changes done", n, len(first.Results))
	}
	writes := in.sim.Log.CountWrites()
	if writes != first.Plan.Writes {
		t.Errorf("%d requests written, the plan said %d", writes, first.Plan.Writes)
	}
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	if !p.Empty() || len(p.Held) > 0 {
		t.Errorf("second plan is not empty:\n%s", describe(p))
	}
	if got := in.sim.Log.CountWrites(); got != writes {
		t.Errorf("planning wrote %d times", got-writes)
	}
	in.sim.Company.NextDay()
	before := in.sim.Log.CountWrites()
	day := in.mustCycle()
	if day.Plan.Empty() || day.Count(reconcile.OutcomeDone) != len(day.Results) {
		t.Errorf("the next day: %+v", day.Results)
	}
	if got := in.sim.Log.CountWrites() - before; got != day.Plan.Writes {
		t.Errorf("%d requests written, the plan said %d:\n%s", got, day.Plan.Writes, describe(day.Plan))
	}
	if p, err := in.plan(); err != nil || !p.Empty() {
		t.Errorf("plan after the day: %v\n%s", err, describe(p))
	}
}

// deleteAfter is longer than all that TestConverges lets pass before it looks at deletions.
const deleteAfter = 20 * 24 * time.Hour

// TestConverges lets random days pass in random companies, with hands in Rootly, habits of the server and faults on both
// sides in the middle of runs. When the faults stop, four runs bring Rootly in line (three, and the one after a quarantine
// that takes nothing away), the next plan is empty, and nobody has written to an account that is not ours. Whoever is gone
// for good is deleted when their time has come, and nobody else ever is.
func TestConverges(t *testing.T) {
	t.Parallel()
	// The companies are small and many: the garbage of few megabytes would be collected all the time. Benchmarks do without this.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := mkdir(t)
		if err != nil {
			rt.Fatalf("%v", err)
		}
		scim := sim.RootlyLike()
		scim.Seed = rapid.Uint64().Draw(rt, "ids")
		for _, habit := range rapid.SliceOfDistinct(rapid.SampledFrom(habitNames), func(s string) string { return s }).Draw(rt, "habits") {
			habits[habit](&scim)
		}
		// A PUT and an If-Match have to read first: a server that demands one of them and hides accounts leaves no way back.
		scim.VanishInactive = scim.VanishInactive && !scim.NoPatch && !scim.RequireIfMatch
		in := install(rt, dir, sim.Config{Seed: rapid.Uint64Range(1, 50).Draw(rt, "seed"), People: 14, Groups: 8, SCIM: scim},
			func(o *reconcile.RuleOptions) { o.Guard, o.DeleteAfter = wideOpen, deleteAfter })
		defer in.store.Close()
		in.remember()
		local, err := in.sim.SCIM.AddUser(sim.SCIMUser{UserName: "break-glass@acme.example", DisplayName: "Break Glass", Active: true})
		if err != nil {
			rt.Fatalf("%v", err)
		}

		for range rapid.IntRange(1, 4).Draw(rt, "days") {
			for range rapid.IntRange(0, 4).Draw(rt, "edits") {
				rapid.SampledFrom(edits).Draw(rt, "edit")(rt, in)
			}
			in.sim.Faults.Clear()
			for range rapid.IntRange(0, 2).Draw(rt, "faults") {
				in.sim.Faults.Add(drawFault(rt))
			}
			r, err := in.cycle(context.Background())
			rt.Logf("run: %v%s", err, failures(r))
			in.clock = in.clock.Add(25 * time.Hour)
		}
		in.sim.Faults.Clear()
		for range 4 {
			r := in.mustCycle()
			rt.Logf("good run:%s\n%s", failures(r), describe(r.Plan))
			in.clock = in.clock.Add(25 * time.Hour)
			for _, s := range r.Plan.Sets { // a run that was cut off is still first contact
				if _, err := in.store.Approve(context.Background(), s.Fingerprint, "law"); err != nil {
					rt.Fatalf("approve: %v", err)
				}
			}
		}
		p, err := in.plan()
		if err != nil {
			rt.Fatalf("plan: %v", err)
		}
		if !p.Empty() {
			rt.Fatalf("not in line after four good runs:\n%s", describe(p))
		}
		for _, e := range in.sim.Log.Writes() {
			if strings.Contains(e.Path, local.ID) {
				rt.Fatalf("wrote to an account that is not ours: %s", e)
			}
		}
		in.checkOutcome(rt, p)
		if n := in.sim.Log.Count(http.MethodDelete, "/scim/Users"); n > 0 {
			rt.Fatalf("%d accounts deleted before their time", n)
		}
		in.checkDeletions(rt)
	})
}

// checkDeletions lets the time of everybody who is gone come.
func (in *installation) checkDeletions(rt *rapid.T) {
	here := map[string]bool{}
	for _, p := range in.sim.Company.People() {
		here[p.ID] = true
	}
	owner := map[string]string{} // SCIM id → directory id
	ledger, err := in.store.Ledger(context.Background())
	if err != nil {
		rt.Fatalf("%v", err)
	}
	for id, l := range ledger.Users {
		owner[l.Target] = string(id)
	}
	var p reconcile.Plan
	for range 3 {
		in.clock = in.clock.Add(deleteAfter)
		p = in.mustCycle().Plan
	}
	for _, e := range in.sim.Log.Writes() {
		escaped, ok := strings.CutPrefix(e.Path, "/scim/Users/")
		id, err := url.PathUnescape(escaped)
		if err != nil {
			rt.Fatalf("%v", err)
		}
		if ok && e.Method == http.MethodDelete && (owner[id] == "" || here[owner[id]]) {
			rt.Fatalf("deleted the account of %q, who is in the directory or not ours: %s", owner[id], e)
		}
	}
	noted := map[string]bool{}
	for _, n := range p.Notes {
		noted[n.Object.Source] = true
	}
	if ledger, err = in.store.Ledger(context.Background()); err != nil {
		rt.Fatalf("%v", err)
	}
	for id := range ledger.Users {
		if !here[string(id)] && !noted[string(id)] {
			rt.Fatalf("%s is gone for good and still ours:\n%s", id, describe(p))
		}
	}
}

// checkOutcome compares Rootly with the company, conflicts and hands' deactivations aside.
func (in *installation) checkOutcome(rt *rapid.T, p reconcile.Plan) {
	noted := map[string]bool{}
	for _, n := range p.Notes {
		noted[n.Object.Source] = true
	}
	byExternal := map[string]sim.SCIMUser{}
	for _, u := range in.sim.SCIM.Users() {
		if _, twice := byExternal[u.ExternalID]; twice && u.ExternalID != "" {
			rt.Fatalf("two accounts for %s", u.ExternalID)
		}
		byExternal[u.ExternalID] = u
	}
	for _, person := range in.sim.Company.People() {
		if noted[person.ID] {
			continue
		}
		u, ok := byExternal[person.ID]
		off := person.Status == sim.StatusDeprovisioned || person.Status == sim.StatusSuspended || !person.Assigned
		switch {
		case person.Status == sim.StatusStaged:
		case off && ok && u.Active:
			rt.Fatalf("%s is %s, assigned %t, and still active", person.Login, person.Status, person.Assigned)
		case !off && (!ok || !u.Active):
			rt.Fatalf("%s should be active: %+v", person.Login, u)
		case !off && !strings.EqualFold(u.UserName, person.Login):
			rt.Fatalf("%s is called %s", person.Login, u.UserName)
		}
	}
}

var habits = map[string]func(o *sim.SCIMOptions){
	"vanish":      func(o *sim.SCIMOptions) { o.VanishInactive = true },
	"keep member": func(o *sim.SCIMOptions) { o.DropMemberships = false },
	"page cap":    func(o *sim.SCIMOptions) { o.PageCap = 5 },
	"no patch":    func(o *sim.SCIMOptions) { o.NoPatch = true },
	"204":         func(o *sim.SCIMOptions) { o.PatchNoContent = true },
	"hide":        func(o *sim.SCIMOptions) { o.HideMembers = true },
	"odd ids":     func(o *sim.SCIMOptions) { o.OddIDs = true },
	"etags":       func(o *sim.SCIMOptions) { o.ETags, o.RequireIfMatch = true, true },
	"exact":       func(o *sim.SCIMOptions) { o.ExactFilters = true },
	"cursors":     func(o *sim.SCIMOptions) { o.Cursors = true },
}

var habitNames = slices.Sorted(func(yield func(string) bool) {
	for n := range habits {
		if !yield(n) {
			return
		}
	}
})

func drawFault(rt *rapid.T) sim.Rule {
	r := sim.Rule{Times: rapid.IntRange(1, 3).Draw(rt, "times"), After: rapid.IntRange(0, 25).Draw(rt, "after")}
	if rapid.Bool().Draw(rt, "write") {
		r.Side, r.Method = sim.SideSCIM, rapid.SampledFrom([]string{http.MethodPost, http.MethodPatch}).Draw(rt, "method")
		r.Fault = rapid.SampledFrom([]sim.Fault{
			sim.AppliedThenCut(), sim.AppliedThenRefused(500), sim.Cut(), sim.Refusal(500), sim.Refusal(403), sim.Refusal(401),
			sim.Refusal(400), sim.CutInBody(), sim.NoContent(), sim.HTMLPage(), sim.Gateway(404),
		}).Draw(rt, "fault")
		return r
	}
	r.Side, r.Method = rapid.SampledFrom([]sim.Side{sim.SideOkta, sim.SideSCIM}).Draw(rt, "side"), http.MethodGet
	r.Fault = rapid.SampledFrom([]sim.Fault{
		sim.EmptyPage(), sim.Body("null"), sim.Body("{}"), sim.Body(""), sim.NoListKey(), sim.TruncatedJSON(), sim.NullElement(),
		sim.RepeatPage(), sim.Refusal(401), sim.HTMLPage(), sim.ErrorWith200(), sim.CutInBody(),
	}).Draw(rt, "fault")
	return r
}

var edits = []func(rt *rapid.T, in *installation){
	func(rt *rapid.T, in *installation) {
		_, _ = in.sim.Company.Join(sim.Person{Direct: true}, "oncall-payments")
	},
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.Leave(in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) {
		p := in.someone(rt)
		_ = errors.Join(in.sim.Company.Leave(p.Login), in.sim.Company.Delete(p.Login))
	},
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.Suspend(in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.Unsuspend(in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.Unassign(in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.Assign(in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) {
		_ = in.sim.Company.Rename(in.someone(rt).Login, "Zoë", "O'Brien")
	},
	func(rt *rapid.T, in *installation) {
		p := in.someone(rt)
		_ = in.sim.Company.ChangeEmail(p.Login, "new."+p.Login)
	},
	func(rt *rapid.T, in *installation) { // an address is reused
		_ = in.sim.Company.ChangeEmail(in.someone(rt).Login, in.someone(rt).Login)
	},
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.AddMember(in.group(rt), in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) {
		_ = in.sim.Company.RemoveMember(in.group(rt), in.someone(rt).Login)
	},
	func(rt *rapid.T, in *installation) {
		_ = in.sim.Company.RenameGroup(in.group(rt), fmt.Sprintf("oncall-%d", rapid.IntRange(1, 99).Draw(rt, "number")))
	},
	func(rt *rapid.T, in *installation) { _ = in.sim.Company.DeleteGroup(in.group(rt)) },
	func(rt *rapid.T, in *installation) {
		_ = in.sim.SCIM.EditUser(in.someone(rt).Login, func(u *sim.SCIMUser) { u.DisplayName = "By Hand" })
	},
	func(rt *rapid.T, in *installation) {
		// Where deactivated accounts are hidden, one deactivated by hand looks like one deleted by hand: creating it
		// anew is refused, again every day. TestHiddenAccountDeactivatedByHand has that case.
		_ = in.sim.SCIM.EditUser(in.someone(rt).Login, func(u *sim.SCIMUser) { u.Active = !u.Active || in.hides })
	},
	func(rt *rapid.T, in *installation) { _ = in.sim.SCIM.RemoveUser(in.someone(rt).Login) },
	func(rt *rapid.T, in *installation) { _ = in.sim.SCIM.RemoveGroup(in.group(rt)) },
	func(rt *rapid.T, in *installation) {
		_ = in.sim.SCIM.EditGroup(in.group(rt), func(g *sim.SCIMGroup) { g.Members = nil })
	},
}

func (in *installation) someone(rt *rapid.T) sim.Person {
	return rapid.SampledFrom(in.sim.Company.People()).Draw(rt, "someone")
}

func (in *installation) group(rt *rapid.T) string {
	var names []string
	for _, g := range in.sim.Company.Groups() {
		if strings.HasPrefix(g.Name, "oncall-") {
			names = append(names, g.Name)
		}
	}
	if len(names) == 0 {
		return "oncall-none"
	}
	return rapid.SampledFrom(names).Draw(rt, "group")
}

func TestHiddenAccountDeactivatedByHand(t *testing.T) {
	scim := sim.RootlyLike()
	scim.VanishInactive = true
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 20, Groups: 5, SCIM: scim}, nil)
	defer in.store.Close()
	in.mustCycle()
	victim := in.sim.SCIM.Users()[0]
	if err := in.sim.SCIM.EditUser(victim.ID, func(u *sim.SCIMUser) { u.Active = false }); err != nil {
		t.Fatal(err)
	}
	r := in.mustCycle()
	if !strings.Contains(failures(r), "deactivated by hand") {
		t.Errorf("results: %s", failures(r))
	}
	if u, _ := in.sim.SCIM.User(victim.ID); u.Active || len(in.sim.SCIM.Users()) != r.Plan.Counts.TargetUsers+1 {
		t.Errorf("the account was reactivated or doubled: %+v", u)
	}
}

func TestInterruptedRunIsFinishedByTheNext(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 80, Groups: 10}, nil)
	defer in.store.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now, Progress: func(done, _ int, _ reconcile.Change) {
		if done == 20 {
			cancel(errors.New("ctrl-c"))
		}
	}}
	r, err := a.Apply(ctx, p)
	if err == nil || !strings.Contains(r.Stopped, "ctrl-c") {
		t.Fatalf("stopped %q, error %v", r.Stopped, err)
	}
	done, skipped := r.Count(reconcile.OutcomeDone), r.Count(reconcile.OutcomeSkipped)
	if done < 20 || done > 30 || done+skipped != len(r.Results) {
		t.Errorf("%d done, %d not sent, of %d", done, skipped, len(r.Results))
	}
	ledger, err := in.store.Ledger(context.Background())
	if err != nil || len(ledger.Open) > 0 || len(ledger.Users) != done {
		t.Errorf("ledger after the interruption: %v, %d open, %d links for %d done", err, len(ledger.Open), len(ledger.Users), done)
	}
	in.mustCycle()
	if p, err := in.plan(); err != nil || !p.Empty() {
		t.Errorf("plan after the rerun: %v\n%s", err, describe(p))
	}
}

func TestWrongTokenStopsBeforeTheSecondWrite(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 40, Groups: 5}, nil)
	defer in.store.Close()
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Fault: sim.Refusal(401)})
	a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: 4, Now: in.now}
	r, err := a.Apply(context.Background(), p)
	if e, ok := errors.AsType[*scimclient.Error](err); !ok || e.Status != http.StatusUnauthorized {
		t.Errorf("error %v, want a 401", err)
	}
	if n := in.sim.Log.CountWrites(); n > 4 {
		t.Errorf("%d writes after the token was refused, want at most the 4 that were under way", n)
	}
	if r.Count(reconcile.OutcomeDone) != 0 {
		t.Errorf("results: %+v", r.Results)
	}
}

func TestOneRefusedPersonStopsNobodyElse(t *testing.T) {
	in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 40, Groups: 5}, nil)
	defer in.store.Close()
	in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Path: "/scim/Users", After: 5, Times: 1, Fault: sim.Refusal(403)})
	r := in.mustCycle()
	if failed := r.Count(reconcile.OutcomeFailed); failed != 1 {
		t.Fatalf("%d failed, want 1: %+v", failed, r.Results)
	}
	ledger, err := in.store.Ledger(context.Background())
	if err != nil || len(ledger.Waiting) != 1 {
		t.Fatalf("escrow: %v %+v", err, ledger.Waiting)
	}
	in.mustCycle()
	if p, err := in.plan(); err != nil || !p.Empty() {
		t.Errorf("plan after the next run: %v\n%s", err, describe(p))
	}
	if ledger, err = in.store.Ledger(context.Background()); err != nil || len(ledger.Waiting) != 0 {
		t.Errorf("escrow after success: %v %+v", err, ledger.Waiting)
	}
}

func TestAListingThatLacksAnActiveAccountOfOursIsShort(t *testing.T) {
	for name, habit := range map[string]func(o *sim.SCIMOptions){
		"capped pages that are their own total": func(o *sim.SCIMOptions) { o.PageCap, o.TotalIsPageSize = 3, true },
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t, t.TempDir(), sim.Config{Seed: 3, People: 20, Groups: 6}, nil)
			defer in.store.Close()
			in.mustCycle()
			in.sim.SCIM.SetOptions(habit)
			if p, err := in.plan(); err == nil || !strings.Contains(err.Error(), "the listing was short") {
				t.Errorf("error %v, plan:\n%s", err, describe(p))
			}
		})
	}
}
