package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// errPower is what a process sees of the world after its crash.
var errPower = errors.New("the power is off")

// A power is what one process runs on. It fails at one boundary between the process and the world, and nothing that the
// process does from then on gets out.
type power struct {
	fails int    // at this boundary, the first is 1; 0 never
	dies  func() // called once, at that moment

	mu     sync.Mutex
	passed []string
	off    bool
}

// pass is called at each boundary, and tells whether the process is alive behind it.
func (p *power) pass(format string, args ...any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		return errPower
	}
	p.passed = append(p.passed, fmt.Sprintf(format, args...))
	if len(p.passed) == p.fails {
		p.off = true
		p.dies()
		return errPower
	}
	return nil
}

// A fuse is a memory on a power, with a boundary before each write. What is durable behind one is what is durable before the
// next, so a second boundary would prove nothing more.
type fuse struct {
	memory
	*power
	audit *audit
}

func (f fuse) write(name string, do func() error) error {
	if err := f.pass("before %s", name); err != nil {
		return err
	}
	return do()
}

func (f fuse) Begin(ctx context.Context, at time.Time) (cycle int64, err error) {
	err = f.write("begin", func() error { cycle, err = f.memory.Begin(ctx, at); return err })
	return cycle, err
}

func (f fuse) Resolve(ctx context.Context, rs []reconcile.Resolution) error {
	return f.write("resolve", func() error { return f.memory.Resolve(ctx, rs) })
}

func (f fuse) Refresh(ctx context.Context, links []reconcile.Link) error {
	return f.write("refresh", func() error { return f.memory.Refresh(ctx, links) })
}

func (f fuse) Link(ctx context.Context, cycle int64, changes []reconcile.Change, links []reconcile.Link) error {
	return f.write("link", func() error { return f.memory.Link(ctx, cycle, changes, links) })
}

func (f fuse) Hold(ctx context.Context, cycle int64, sets []reconcile.HeldSet) error {
	return f.write("hold", func() error { return f.memory.Hold(ctx, cycle, sets) })
}

func (f fuse) Keep(ctx context.Context, cycle int64, s connectors.Snapshot) error {
	return f.write("keep", func() error { return f.memory.Keep(ctx, cycle, s) })
}

func (f fuse) Intend(ctx context.Context, cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (id int64, err error) {
	err = f.write("intend "+c.Key(), func() error {
		if id, err = f.memory.Intend(ctx, cycle, c, u, g); err == nil {
			f.audit.intended(id, c)
		}
		return err
	})
	return id, err
}

func (f fuse) Settle(ctx context.Context, s reconcile.Settled) error {
	return f.write(fmt.Sprintf("settle %d", s.Intent), func() error {
		f.audit.settled(s.Intent)
		return f.memory.Settle(ctx, s)
	})
}

func (f fuse) Finish(ctx context.Context, cycle int64, sum reconcile.CycleSummary) error {
	return f.write("finish", func() error { return f.memory.Finish(ctx, cycle, sum) })
}

func (f fuse) Prune(ctx context.Context, keep time.Duration) error {
	return f.write("prune", func() error { return f.memory.Prune(ctx, keep) })
}

// An audit knows what is recorded as about to be sent, and objects to a write that is not.
type audit struct {
	mu       sync.Mutex
	open     map[int64]reconcile.Change
	problems []string
}

func (a *audit) intended(id int64, c reconcile.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[id] = c
}

func (a *audit) settled(id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, id)
}

func (a *audit) sent(r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.open {
		kind := map[reconcile.Kind]string{reconcile.KindUser: "/Users", reconcile.KindGroup: "/Groups"}[c.Object.Kind]
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, kind) || c.Object.Target != "" && strings.HasSuffix(r.URL.Path, kind+"/"+c.Object.Target) {
			return
		}
	}
	a.problems = append(a.problems, fmt.Sprintf("%s %s was sent without an intent", r.Method, r.URL.Path))
}

// A wire is the way to both sides on a power: the first boundary is before a request is sent, the second, of one that asks
// for a change, when it is done and its answer is on the way.
type wire struct {
	http.RoundTripper
	*power
	audit *audit
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := w.pass("before %s %s", r.Method, r.URL.Path); err != nil {
		return nil, err
	}
	writes := r.Method != http.MethodGet
	if writes {
		w.audit.sent(r)
	}
	answer, err := w.RoundTripper.RoundTrip(r)
	if writes && err == nil {
		if err := w.pass("after %s %s", r.Method, r.URL.Path); err != nil {
			return nil, errors.Join(err, answer.Body.Close())
		}
	}
	return answer, err
}

// A disk is a durable state: what one process leaves is what the next one opens.
type disk interface {
	options() store.Options
	// crash is called at the moment of a crash.
	crash() error
}

// A fileDisk is a state file and what SQLite has beside it. Whoever crashes goes on with files that nobody looks at again.
type fileDisk struct {
	dir    string
	images int
}

func newFileDisk(t testing.TB) disk {
	d := &fileDisk{dir: t.TempDir()}
	if err := os.Mkdir(d.at(), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *fileDisk) at() string { return filepath.Join(d.dir, fmt.Sprint(d.images)) }

func (d *fileDisk) options() store.Options {
	return store.Options{Path: filepath.Join(d.at(), "state.db")}
}

func (d *fileDisk) crash() error {
	last := d.at()
	d.images++
	if err := os.Mkdir(d.at(), 0o700); err != nil {
		return err
	}
	for _, name := range []string{"state.db", "state.db-wal", "state.db.lock", "state.db.serial"} {
		data, err := os.ReadFile(filepath.Join(last, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(d.at(), name), data, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// A serverDisk is a pipeline in a database that all share. What a dead process does not send does not get there.
type serverDisk struct{ dsn, pipeline string }

func (d serverDisk) options() store.Options {
	return store.Options{DSN: func() string { return d.dsn }, Pipeline: d.pipeline}
}

func (serverDisk) crash() error { return nil }

// A plant is a company, its Rootly and a durable state, on which one process after the other runs.
type plant struct {
	t           testing.TB
	sim         *sim.Sim
	ends        sim.Endpoints
	transport   http.RoundTripper
	disk        disk
	concurrency int
	clock       time.Time
	problems    []string
	closing     func() // called at the end of a process, before it closes its store; may be nil
}

// sixty is how many people of a company are 60 in scope, one more or less.
const sixty = 90

func newPlant(t testing.TB, d disk, people, concurrency int) *plant {
	p := &plant{t: t, sim: sim.New(sim.Config{Seed: 11, People: people, Groups: 8, SCIM: sim.RootlyLike()}), disk: d, concurrency: concurrency}
	p.ends, p.transport = p.sim.InProcess()
	p.clock = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	return p
}

func (p *plant) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// process starts the program, runs a cycle and ends it, in good order if it does not crash on the way at the boundary fails.
// It returns the boundaries that the process came to.
func (p *plant) process(fails int) (r reconcile.Report, boundaries []string, err error) {
	p.clock = p.clock.Add(time.Hour)
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	w := &power{fails: fails, dies: func() {
		p.must(p.disk.crash())
		cancel()
	}}
	a := &audit{open: map[int64]reconcile.Change{}}
	way := wire{p.transport, w, a}
	rules, err := reconcile.Compile(reconcile.RuleOptions{Directory: "okta", Mode: connectors.ScopeAssigned, Push: []string{"oncall-*"}})
	p.must(err)
	source, err := okta.New(okta.Options{
		OrgURL: p.ends.OktaURL, APIToken: func() string { return p.ends.OktaToken }, AppID: p.ends.AppID, Query: rules.Query(), Transport: way,
	})
	p.must(err)
	target, err := scimclient.New(scimclient.Options{BaseURL: p.ends.SCIMURL, Token: func() string { return p.ends.SCIMToken }, Transport: way, Concurrency: p.concurrency})
	p.must(err)
	st := p.open()
	line := &pipeline{
		cfg:   &config.Config{Target: config.Target{URL: p.ends.SCIMURL, Concurrency: p.concurrency}},
		rules: rules, source: source, target: target, memory: fuse{st, w, a}, log: nil,
	}
	r, err = line.cycle(ctx, func() time.Time { return p.clock }, cycleOptions{settle: time.Nanosecond})
	if p.closing != nil {
		p.closing()
	}
	p.must(line.close())
	p.problems = append(p.problems, a.problems...)
	if w.off {
		err = errPower
	}
	return r, w.passed, err
}

func (p *plant) open() *store.Store {
	o := p.disk.options()
	o.Source, o.Target, o.Now = "okta:test", p.ends.SCIMURL, func() time.Time { return p.clock }
	st, err := store.Open(p.t.Context(), o)
	p.must(err)
	return st
}

// aDay lets a working day pass: people join, leave, change their names and addresses, and groups are made, renamed and
// changed.
func (p *plant) aDay() {
	p.sim.Company.NextDay()
	c := p.sim.Company
	var rotas []sim.Group
	for _, g := range c.Groups() {
		if strings.HasPrefix(g.Name, "oncall-") && len(g.Members) > 2 {
			rotas = append(rotas, g)
		}
	}
	_, err := c.Join(sim.Person{Login: "new.one@acme.example", Email: "new.one@acme.example", FirstName: "New", LastName: "One", Direct: true}, rotas[0].Name)
	p.must(err)
	_, err = c.CreateGroup(sim.Group{Name: "oncall-brand-new", Members: []string{"new.one@acme.example", rotas[1].Members[0]}})
	p.must(err)
	p.must(c.RenameGroup(rotas[1].Name, "oncall-renamed"))
	p.must(c.RemoveMember(rotas[2].Name, rotas[2].Members[1]))
}

// An end is all that a plant comes to, ids of Rootly and times aside, in lines that compare.
type end struct {
	Users, Groups, Links, Done, Spent, Problems []string
	Rules                                       string
}

func (p *plant) end() end {
	e := end{Problems: p.problems}
	names, external := map[string]string{}, map[string]bool{}
	for _, u := range p.sim.SCIM.Users() {
		names[u.ID] = u.UserName
		e.Users = append(e.Users, fmt.Sprint(u.UserName, " ", u.ExternalID, " ", u.Active, " ", u.DisplayName, u.Emails, u.Phones))
		if external[u.ExternalID] {
			e.Problems = append(e.Problems, "two accounts of "+u.UserName)
		}
		external[u.ExternalID] = true
	}
	for _, g := range p.sim.SCIM.Groups() {
		names[g.ID] = g.DisplayName
		e.Groups = append(e.Groups, fmt.Sprint(g.DisplayName, " ", g.ExternalID, " ", p.sim.SCIM.MembersOf(g.ID)))
	}
	st := p.open()
	defer st.Close()
	ledger, err := st.Ledger(p.t.Context())
	p.must(err)
	for id, l := range ledger.Users {
		e.Links = append(e.Links, fmt.Sprint("user ", id, " ", names[l.Target], " ", *l.User))
		delete(names, l.Target)
	}
	for id, l := range ledger.Groups {
		e.Links = append(e.Links, fmt.Sprint("group ", id, " ", names[l.Target], " ", len(l.Group.Members)))
		delete(names, l.Target)
	}
	for id, name := range names {
		e.Problems = append(e.Problems, fmt.Sprintf("orphan: nobody owns %s (%s)", name, id))
	}
	for _, i := range ledger.Open {
		e.Problems = append(e.Problems, "open: "+i.Change.Key())
	}
	for axis, n := range ledger.Spent {
		e.Spent = append(e.Spent, fmt.Sprint(axis, " ", n))
	}
	e.Rules = ledger.Rules
	history, err := st.Changes(p.t.Context(), store.Filter{Limit: 10_000})
	p.must(err)
	for _, h := range history {
		if h.Outcome == reconcile.OutcomeDone {
			e.Done = append(e.Done, fmt.Sprint(h.Change.Key(), " ", h.Change.Object.Name, " ", len(h.Change.Fields), " ", len(h.Change.Members)))
		}
	}
	created := map[string]int{}
	for _, entry := range p.sim.Log.Writes() {
		if entry.Method == http.MethodPost && entry.Status == http.StatusConflict {
			e.Problems = append(e.Problems, "created twice: "+entry.Body)
		} else if entry.Method == http.MethodPost {
			created[entry.Body]++
		}
	}
	for body, n := range created {
		if n > 1 {
			e.Problems = append(e.Problems, fmt.Sprintf("created %d times: %s", n, body))
		}
	}
	for _, list := range [][]string{e.Users, e.Groups, e.Links, e.Done, e.Spent, e.Problems} {
		slices.Sort(list)
	}
	return e
}

// scenario runs the first apply and a day, with a crash of the process of one of them and a fresh start after it.
func (p *plant) scenario(day bool, fails int) (boundaries []string, e end) {
	p.t.Helper()
	crash := func(here bool) {
		if !here {
			p.good()
			return
		}
		var err error
		_, boundaries, err = p.process(fails)
		if fails == 0 {
			p.must(err)
		} else if !errors.Is(err, errPower) {
			p.t.Fatalf("no crash at boundary %d: %v", fails, err)
		} else {
			p.good()
		}
	}
	crash(!day)
	if day {
		p.aDay()
		crash(true)
	}
	plan := p.good().Plan
	if !plan.Empty() || len(plan.Held) > 0 {
		p.problems = append(p.problems, fmt.Sprintf("there is more to do: %d changes, %d held", len(plan.Changes), len(plan.Held)))
	}
	return boundaries, p.end()
}

func (p *plant) good() reconcile.Report {
	p.t.Helper()
	r, _, err := p.process(0)
	p.must(err)
	for _, res := range r.Results {
		if res.Outcome != reconcile.OutcomeDone {
			p.problems = append(p.problems, fmt.Sprintf("%s: %s: %s", res.Change.Key(), res.Outcome, res.Error))
		}
	}
	return r
}

var everyBoundary = flag.Int("boundary", 11, "crash at one in so many boundaries; make crashes takes each")

// TestACrashAnywhereEndsInTheSameState counts the boundaries of a first apply and of a day, and crashes at each of them:
// before a request is sent, when it is done and not answered, when the answer is there and not stored, when it is stored
// and nobody knows. The next process finds what the disk and Rootly have, and brings both to what they are without a crash.
func TestACrashAnywhereEndsInTheSameState(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		crashEverywhere(t, 1, *everyBoundary, newFileDisk)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		pg := pgtest.For(t)
		dsn := pg.Database(t)
		var disks atomic.Int64
		crashEverywhere(t, 4, 7**everyBoundary, func(testing.TB) disk { return serverDisk{dsn, fmt.Sprint("pipeline ", disks.Add(1))} })
	})
}

func crashEverywhere(t *testing.T, concurrency, every int, newDisk func(t testing.TB) disk) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // sixty people at a time, whose garbage would be collected all the time
	for _, day := range []bool{false, true} {
		boundaries, want := newPlant(t, newDisk(t), sixty, concurrency).scenario(day, 0)
		if len(want.Problems) > 0 || len(want.Users) < 60 {
			t.Fatalf("without a crash: %d users, %v", len(want.Users), want.Problems)
		}
		t.Logf("%d boundaries, day %t", len(boundaries), day)
		// Side by side, for most of the time is spent waiting for disks.
		next := make(chan int)
		var workers sync.WaitGroup
		for range 16 {
			workers.Go(func() {
				for i := range next {
					t.Run(fmt.Sprintf("%s %d", map[bool]string{false: "first apply", true: "day"}[day], i), func(t *testing.T) {
						_, got := newPlant(t, newDisk(t), sixty, concurrency).scenario(day, i)
						if diff := cmp.Diff(want, got); diff != "" {
							t.Errorf("a crash at %q (-without it +got):\n%s", boundaries[i-1], diff)
						}
					})
				}
			})
		}
		for i := every; i <= len(boundaries); i += every {
			next <- i
		}
		close(next)
		workers.Wait()
	}
}
