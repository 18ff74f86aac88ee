package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nasty is a name that would run in a page that believed it.
const nasty = `<img src=x onerror="document.title='broken'">`

// A staff list is a directory whose answers the test writes.
type staffList struct {
	mu     sync.Mutex
	users  []connectors.User
	groups []connectors.Group
}

func (*staffList) Name() string   { return "file" }
func (*staffList) Tenant() string { return "file:staff" }

func (l *staffList) Fetch(context.Context) (connectors.Snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return connectors.NewSnapshot(append([]connectors.User(nil), l.users...), append([]connectors.Group(nil), l.groups...))
}

// hire puts people u00, u01, … into the directory, and all of them into the group oncall.
func (l *staffList) hire(from, to int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.groups) == 0 {
		l.groups = []connectors.Group{{ID: "g1", Name: "oncall"}}
	}
	for i := from; i < to; i++ {
		id := fmt.Sprintf("u%02d", i)
		u := connectors.User{
			ID: connectors.UserID(id), UserName: id + "@acme.example", Email: id + "@acme.example", GivenName: "Person", FamilyName: fmt.Sprint(i),
			Status: connectors.StatusActive, StatusDetail: "ACTIVE",
		}
		if i == 1 {
			u.GivenName, u.FamilyName, u.DisplayName = nasty, "", nasty
		}
		l.users = append(l.users, u)
		l.groups[0].Members = append(l.groups[0].Members, u.ID)
	}
}

// dismiss disables the first n.
func (l *staffList) dismiss(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		l.users[i].Status, l.users[i].StatusDetail = connectors.StatusDisabled, "SUSPENDED"
	}
}

// A board is a daemon whose state the test writes.
type board struct {
	mu     sync.Mutex
	state  daemon.State
	subs   map[chan daemon.State]bool
	orders int
}

func (b *board) State() daemon.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

func (b *board) Subscribe() (<-chan daemon.State, func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ch := make(chan daemon.State, 16)
	ch <- b.state
	if b.subs == nil {
		b.subs = map[chan daemon.State]bool{}
	}
	b.subs[ch] = true
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, ch)
	}
}

func (b *board) RunNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders++
	b.state.Phase = daemon.PhasePlanning
}

func (b *board) set(f func(*daemon.State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
	for ch := range b.subs {
		ch <- b.state
	}
}

// A pager pages whom the test names.
type pager map[connectors.UserID]bool

func (p pager) Duties(_ context.Context, leavers []reconcile.Leaver, from, _ time.Time) (map[connectors.UserID]reconcile.Duty, error) {
	out := map[connectors.UserID]reconcile.Duty{}
	for _, l := range leavers {
		if p[l.ID] {
			out[l.ID] = reconcile.Duty{Shifts: []reconcile.Shift{{Schedule: "Payments primary", Starts: from, Ends: from.Add(8 * time.Hour)}}}
		}
	}
	return out, nil
}

// A memory is a store in memory or in a file.
type memory interface {
	Records
	reconcile.Journal
	Cycles(ctx context.Context, limit int) ([]store.Cycle, error)
}

// A world is a site over real cycles against the simulated Rootly, without a socket.
type world struct {
	t       testing.TB
	staff   staffList
	board   board
	pages   pager
	memory  memory
	planner *reconcile.Planner
	target  *scimclient.Client
	rootly  *sim.SCIM
	site    *Site
	cycles  []int64
	// strangers are the SCIM ids of accounts that nobody here owns.
	strangers []string
	at        time.Time
	pace      time.Duration // what each look of the applier at the clock takes
	mu        sync.Mutex
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func newWorld(t testing.TB, people int) *world {
	return newWorldOn(t, people, func(w *world, _ string) memory { return store.NewMemory(w.now) })
}

// newFiledWorld keeps its records in a file, as most daemons do.
func newFiledWorld(t testing.TB, people int) *world {
	return newWorldOn(t, people, func(w *world, target string) memory {
		st, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "state.db"), Source: "file:staff", Target: target, Now: w.now})
		if err != nil {
			t.Fatal(err)
		}
		unlock, err := st.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			unlock()
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		return st
	})
}

func newWorldOn(t testing.TB, people int, remember func(w *world, target string) memory) *world {
	w := &world{t: t, pages: pager{}, at: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)}
	w.staff.hire(0, people)
	s := sim.New(sim.Config{Seed: 1, People: -1, Groups: -1, SCIM: sim.RootlyLike()})
	ends, transport := s.InProcess()
	w.rootly, w.memory = s.SCIM, remember(w, ends.SCIMURL)
	var err error
	w.target, err = scimclient.New(scimclient.Options{BaseURL: ends.SCIMURL, Token: func() string { return ends.SCIMToken }, Transport: transport, Concurrency: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.target.Close)
	rules, err := reconcile.Compile(reconcile.RuleOptions{Directory: "file", Mode: connectors.ScopeAll, Push: []string{"oncall"}, Where: `user.email != "" && user.department != "Robots"`})
	if err != nil {
		t.Fatal(err)
	}
	w.planner = &reconcile.Planner{Source: &w.staff, Target: w.target, TargetURL: ends.SCIMURL, Rules: rules, Pager: w.pages,
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			s, _, err := w.memory.Previous(ctx)
			return s, err
		}}
	w.board.state = daemon.State{Phase: daemon.PhaseWaiting, Mode: "apply", Leader: "single", Started: w.at, Next: w.at.Add(40 * time.Minute)}
	w.site = New(Options{Daemon: &w.board, Now: w.now, Build: Build{Version: "v1.2.3", Commit: "abc", Go: "go1.26"}})
	t.Cleanup(w.site.roster.drop)
	w.site.Use(t.Context(), &Pipeline{Source: "file:staff", Target: ends.SCIMURL, Config: []byte("schedule: '@every 40m'\ntarget:\n  token: '***'\n"), Records: w.memory, Rules: rules})
	w.allow(Access{Listen: "127.0.0.1:8080"})
	return w
}

func (w *world) allow(a Access) {
	w.t.Helper()
	if err := w.site.Configure(a); err != nil {
		w.t.Fatal(err)
	}
}

// cycle runs one, as the daemon does.
func (w *world) cycle() reconcile.Report {
	w.t.Helper()
	ctx := w.t.Context()
	ledger, err := w.memory.Ledger(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := w.planner.Plan(ctx, ledger, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	w.site.Planned(plan)
	a := &reconcile.Applier{Target: w.target, Journal: w.memory, Concurrency: 4, Now: func() time.Time {
		w.pass(w.pace)
		return w.now()
	}}
	report, err := a.Apply(ctx, plan)
	if err != nil {
		w.t.Fatal(err)
	}
	w.cycles = append(w.cycles, report.Cycle)
	w.pass(3 * time.Second)
	result := daemon.ResultGood
	if len(plan.Objections) > 0 {
		result = daemon.ResultHeld
	}
	w.site.Ended(ctx, daemon.Ended{Report: report, Result: result, At: w.now(), Took: 3 * time.Second})
	w.board.set(func(s *daemon.State) {
		s.LastGood, s.Next = w.now(), w.now().Add(40*time.Minute)
		s.Last = &daemon.Summary{Cycle: report.Cycle, Result: result, Ended: w.now()}
	})
	w.pass(40 * time.Minute)
	return report
}

// busy has a first cycle, one that holds somebody on call, and one that holds eleven more.
func (w *world) busy() {
	w.t.Helper()
	w.cycle()
	w.leave()
}

// leave has the cycles of busy after the first.
func (w *world) leave() {
	w.t.Helper()
	w.pages["u00"] = true
	w.staff.dismiss(1)
	w.cycle()
	w.staff.dismiss(12)
	w.cycle()
}

// ask sends a request and returns the answer with its body.
func (w *world) ask(method, path, body string, head ...string) (*http.Response, string) {
	w.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:999"
	if method == http.MethodPost && !strings.HasPrefix(path, apiPrefix) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(head); i += 2 {
		if head[i] == "Host" {
			r.Host = head[i+1]
		}
		r.Header.Set(head[i], head[i+1])
	}
	rec := httptest.NewRecorder()
	w.site.Handler().ServeHTTP(rec, r)
	data, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Result(), string(data)
}

// page is a page that must be there.
func (w *world) page(path string) string {
	w.t.Helper()
	answer, body := w.ask(http.MethodGet, path, "")
	if answer.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %s\n%s", path, answer.Status, body)
	}
	return body
}
