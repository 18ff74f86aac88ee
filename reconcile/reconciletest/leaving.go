// Package reconciletest walks the table of leaving with any connector: every way in which somebody may be missing or
// disabled, on every occasion, in every number, with the real engine, SCIM client and guard over the simulated company.
package reconciletest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A Directory is a connector on the simulated company, and how people leave there.
type Directory struct {
	// New connects to the company. s is for connectors that the simulator does not serve, such as files.
	New func(t testing.TB, s *sim.Sim, ends sim.Endpoints, transport http.RoundTripper, q connectors.Query) connectors.Connector
	// Mode and Groups are the scope.
	Mode   connectors.ScopeMode
	Groups []string
	// Unassign takes a person out of that scope; nil where there is no leaving it but by leaving the directory.
	Unassign func(c *sim.Company, login string) error
	// CutShort and Empty damage the listing of people from now on.
	CutShort, Empty func(s *sim.Sim)
	// Tombstones is set when the directory says of a deleted person that they are deleted, and not merely unknown.
	Tombstones bool
	// Listed is set when only a listing says who left the scope, so that it takes a second read.
	Listed bool
}

// A cause is one way to leave, or to seem to.
type cause struct {
	name  string
	leave func(w *walk, login string) error
	// damaged reads end in an error; flickering ones contradict themselves when asked again.
	damaged, flickers bool
}

var occasions = []string{"normal", "first contact", "configuration changed"}

var numbers = map[string]int{"below the floor": 1, "above the share": 9, "protected": 1}

// WalkLeaving checks the whole table: what becomes of everybody who leaves, after one run, after the next, and after a
// yes for what is held.
func WalkLeaving(t *testing.T, d Directory) {
	causes := []cause{
		{name: "disabled", leave: func(w *walk, login string) error { return w.sim.Company.Suspend(login) }},
		{name: "gone", leave: func(w *walk, login string) error {
			if err := w.sim.Company.Leave(login); err != nil {
				return err
			}
			return w.sim.Company.Delete(login)
		}},
		{name: "short page", damaged: true, leave: func(w *walk, _ string) error { d.CutShort(w.sim); return nil }},
		{name: "empty answer", damaged: true, leave: func(w *walk, _ string) error { d.Empty(w.sim); return nil }},
		{name: "contradiction", flickers: true, leave: func(w *walk, login string) error { w.flicker = append(w.flicker, login); return nil }},
	}
	if d.Unassign != nil {
		causes = append(causes, cause{name: "unassigned", leave: func(w *walk, login string) error { return d.Unassign(w.sim.Company, login) }})
	}
	for _, c := range causes {
		for _, occasion := range occasions {
			for number, n := range numbers {
				t.Run(c.name+", "+occasion+", "+number, func(t *testing.T) {
					t.Parallel()
					w := newWalk(t, d, number == "protected", n)
					w.arrive(occasion)
					for _, login := range w.leavers {
						if err := c.leave(w, login); err != nil {
							t.Fatal(err)
						}
					}
					w.check(d, c, occasion, number)
				})
			}
		}
	}
}

// A walk is one cell of the table.
type walk struct {
	t       *testing.T
	sim     *sim.Sim
	ends    sim.Endpoints
	target  *scimclient.Client
	source  connectors.Connector
	opts    reconcile.RuleOptions
	memory  *store.Memory
	clock   time.Time
	leavers []string
	flicker []string // who looks disabled in the listing only
	finds   bool
}

func newWalk(t *testing.T, d Directory, protected bool, leavers int) *walk {
	w := &walk{t: t, sim: sim.New(sim.Config{Seed: 5, People: 40, Groups: 8, SCIM: sim.RootlyLike()}), clock: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	var transport http.RoundTripper
	w.ends, transport = w.sim.InProcess()
	w.opts = reconcile.RuleOptions{Directory: "walk", Mode: d.Mode, Groups: d.Groups}
	w.source = d.New(t, w.sim, w.ends, transport, w.rules().Query())
	_, w.finds = w.source.(connectors.Finder)
	var err error
	if w.target, err = scimclient.New(scimclient.Options{BaseURL: w.ends.SCIMURL, Token: func() string { return w.ends.SCIMToken }, Transport: transport}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.target.Close)
	w.memory = store.NewMemory(w.now)
	snapshot, err := w.source.Fetch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range snapshot.Users {
		p := w.rules().Preview(u, snapshot)
		if person, ok := w.sim.Company.PersonByLogin(p.Values.UserName); ok && p.InScope && person.Direct && len(w.leavers) < leavers {
			w.leavers = append(w.leavers, person.Login)
		}
	}
	if len(w.leavers) < leavers {
		t.Fatalf("only %d people can leave", len(w.leavers))
	}
	if protected {
		w.opts.Protect = w.leavers
	}
	return w
}

func (w *walk) now() time.Time { return w.clock }

func (w *walk) rules() *reconcile.Rules {
	r, err := reconcile.Compile(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// arrive brings Rootly in line and sets the occasion for the next run.
func (w *walk) arrive(occasion string) {
	protect := w.opts.Protect
	w.opts.Protect = nil
	for range 2 { // where Rootly was empty there is nothing to hold
		if _, err := w.run(); err != nil {
			w.t.Fatal(err)
		}
	}
	if n := w.active(); n != len(w.leavers) {
		w.t.Fatalf("%d of %d are active at the start", n, len(w.leavers))
	}
	w.opts.Protect = protect
	switch occasion {
	case "first contact":
		w.memory = store.NewMemory(w.now) // the ledger is lost
	case "configuration changed":
		w.opts.Where = `user.userName != "nobody@acme.example"`
	}
}

// run is one cycle: plan and apply.
func (w *walk) run() (reconcile.Report, error) {
	w.clock = w.clock.Add(40 * time.Minute)
	ctx := context.Background()
	ledger, err := w.memory.Ledger(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	p := reconcile.Planner{Source: w.seen(), Target: w.target, TargetURL: w.ends.SCIMURL, Rules: w.rules(),
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			s, _, err := w.memory.Previous(ctx)
			return s, err
		}}
	plan, err := p.Plan(ctx, ledger, w.clock)
	if err != nil {
		return reconcile.Report{}, err
	}
	a := reconcile.Applier{Target: w.target, Journal: w.memory, Concurrency: 2, Now: w.now}
	return a.Apply(ctx, plan)
}

// active counts the leavers who are active in Rootly.
func (w *walk) active() int {
	n := 0
	for _, login := range w.leavers {
		if u, ok := w.sim.SCIM.User(login); ok && u.Active {
			n++
		}
	}
	return n
}

// outcome is what a cell of the table expects.
type outcome string

const (
	stays   outcome = "stays active"
	goes    outcome = "is deactivated"
	waits   outcome = "waits for a yes"
	refused outcome = "the run is refused"
)

// expected is the table: what becomes of the leavers in the run, and in the one after it.
func expected(d Directory, c cause, occasion, number string, finds bool) (first, second outcome) {
	large := number == "above the share"
	organic := func() outcome {
		if large {
			return waits
		}
		return goes
	}
	switch {
	case c.damaged:
		return refused, refused
	case number == "protected":
		return stays, stays
	case c.flickers && finds:
		return stays, stays // the fresh answer takes them back, and no removal of that run is believed
	case c.flickers || c.name == "disabled":
		if occasion == "first contact" {
			return waits, waits
		}
		return organic(), organic()
	case occasion == "first contact":
		return stays, stays // nobody's link, nobody's leaver
	case c.name == "gone" && d.Tombstones:
		return organic(), organic()
	case occasion == "configuration changed":
		return waits, waits // because of the rules, for all we can tell
	case c.name == "unassigned" && finds && !d.Listed:
		return organic(), organic()
	case large:
		return waits, waits // in doubt as well, and too many all the same
	}
	return stays, organic() // absent from one read proves nothing
}

func (w *walk) check(d Directory, c cause, occasion, number string) {
	first, second := expected(d, c, occasion, number, w.finds)
	var sets []reconcile.HeldSet
	for i, want := range []outcome{first, second} {
		writes := w.sim.Log.CountWrites()
		r, err := w.run()
		active := w.active()
		got := stays
		switch {
		case err != nil:
			got = refused
			if w.sim.Log.CountWrites() != writes {
				w.t.Error("a refused run has written")
			}
		case active == 0:
			got = goes
		case active == len(w.leavers) && len(r.Plan.Sets) > 0:
			got = waits
		case active != len(w.leavers):
			got = outcome(fmt.Sprintf("%d of %d stay", active, len(w.leavers)))
		}
		if got != want {
			w.t.Fatalf("run %d: %s; want: %s\n%v\n%s", i+1, got, want, err, r.Plan.Text(reconcile.TextOptions{}))
		}
		sets = r.Plan.Sets
	}
	if second != waits {
		return
	}
	for _, s := range sets {
		if _, err := w.memory.Approve(context.Background(), s.Fingerprint, "Ada"); err != nil {
			w.t.Fatal(err)
		}
	}
	// An answer that lacks many people was no witness before the yes, so whose absence needs one has to wait for one more
	// run after it.
	r, err := w.run()
	if err == nil && (c.name == "gone" || c.name == "unassigned" && d.Listed) && w.active() != 0 {
		r, err = w.run()
	}
	if err != nil || w.active() != 0 {
		w.t.Errorf("approved, and %d of %d are still active: %v\n%s", w.active(), len(w.leavers), err, r.Plan.Text(reconcile.TextOptions{}))
	}
	if r, err = w.run(); err != nil || !r.Plan.Empty() {
		w.t.Errorf("and then the plan is not empty: %v\n%s", err, r.Plan.Text(reconcile.TextOptions{}))
	}
}

// seen is the directory as the engine sees it: the listing of a flickering one calls people disabled whom a fresh answer
// has active.
func (w *walk) seen() connectors.Connector {
	if len(w.flicker) == 0 {
		return w.source
	}
	f := flickering{w.source, w}
	if finder, ok := w.source.(connectors.Finder); ok {
		return struct {
			connectors.Connector
			connectors.Finder
		}{f, finder}
	}
	return f
}

type flickering struct {
	connectors.Connector
	walk *walk
}

func (f flickering) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	for _, login := range f.walk.flicker {
		if err := f.walk.sim.Company.Suspend(login); err != nil {
			return connectors.Snapshot{}, err
		}
	}
	s, err := f.Connector.Fetch(ctx)
	for _, login := range f.walk.flicker {
		if back := f.walk.sim.Company.Unsuspend(login); back != nil {
			return connectors.Snapshot{}, back
		}
	}
	return s, err
}

// ListFault damages from now on every answer of a side below a path.
func ListFault(side sim.Side, path string, fault sim.Fault) func(s *sim.Sim) {
	return func(s *sim.Sim) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		s.Faults.Add(sim.Rule{Side: side, Method: http.MethodGet, Path: path, Fault: fault})
	}
}
