package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

var soakCycles = flag.Int("cycles", 40, "how many cycles TestSoak runs, quiet ones not counted")

// soakBounds is what the daemon may grow by over the second half of a soak, by the line through its samples: connections
// that wait for the next request come and go, and a few samples see that as a rise.
var soakBounds = usage{heap: 1 << 20, goroutines: 10, files: 10, state: 256 << 10}

// TestSoak runs the daemon, with a state file, a page and notifications, through weeks of a company in which something
// changes each day, where servers fail now and then, the token is refused for a while, a short answer is held, and the
// configuration is changed. It must not grow. `make soak` runs 2,000 cycles; whoever runs it for a company reads the ten lines.
func TestSoak(t *testing.T) {
	s := newSoak(t, *soakCycles)
	var series []usage
	every := max(2, *soakCycles/40)
	for cycle := range *soakCycles {
		s.prepare(cycle)
		s.run()
		if (cycle+1)%every == 0 {
			s.calm()
			series = append(series, s.measure(cycle+1))
		}
	}
	s.stop()
	for i := range 10 {
		t.Log(series[(i+1)*len(series)/10-1])
	}
	t.Logf("%v; %d messages, %d requests that write", s.ends, s.messages.Load(), s.writes)
	for _, want := range []daemon.Result{daemon.ResultGood, daemon.ResultHeld, daemon.ResultFailed} {
		if s.ends[want] == 0 {
			t.Errorf("no cycle ended %s", want)
		}
	}
	if s.messages.Load() == 0 || s.writes == 0 {
		t.Errorf("%d messages, %d requests that write", s.messages.Load(), s.writes)
	}
	if got := growth(series[len(series)/2:]); got.exceeds(soakBounds) {
		t.Errorf("over the second half it grew by %v, more than %v", got, soakBounds)
	}
}

// A usage is what the process holds.
type usage struct{ cycle, heap, goroutines, files, state int }

func (u usage) String() string {
	return fmt.Sprintf("after %4d cycles: heap %6.2f MB, %3d goroutines, %3d open files, state %5.2f MB",
		u.cycle, float64(u.heap)/1e6, u.goroutines, u.files, float64(u.state)/1e6)
}

func (u usage) exceeds(bound usage) bool {
	return u.heap > bound.heap || u.goroutines > bound.goroutines || u.files > bound.files || u.state > bound.state
}

// growth is by how much the line of least squares through each series rises.
func growth(series []usage) usage {
	rise := func(value func(usage) int) int {
		n, x, y, xx, xy := float64(len(series)), 0.0, 0.0, 0.0, 0.0
		for i, u := range series {
			at, v := float64(i), float64(value(u))
			x, y, xx, xy = x+at, y+v, xx+at*at, xy+at*v
		}
		slope := (n*xy - x*y) / (n*xx - x*x)
		return int(slope * (n - 1))
	}
	return usage{
		cycle:      series[len(series)-1].cycle - series[0].cycle,
		heap:       rise(func(u usage) int { return u.heap }),
		goroutines: rise(func(u usage) int { return u.goroutines }),
		files:      rise(func(u usage) int { return u.files }),
		state:      rise(func(u usage) int { return u.state }),
	}
}

func TestGrowthIsSeenThroughNoise(t *testing.T) {
	noise := []int{3, -2, 0, 4, -5, 1, 2, -3, 5, -4, 0, -1, 3, -3, 2, 0, -2, 4, -4, 1}
	for name, perSample := range map[string]int{"flat": 0, "a leak": 2, "shrinking": -2} {
		var series []usage
		for i, n := range noise {
			series = append(series, usage{cycle: i, heap: 1000 + 10*n + 10*perSample*i, goroutines: 20 + perSample*i, files: 9, state: 7})
		}
		got, bound := growth(series), usage{heap: 50, goroutines: 4}
		if got.exceeds(bound) != (perSample > 0) || got.goroutines != 19*perSample || got.files != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A soak is a daemon in this process, and the world round it. Time passes between cycles only.
type soak struct {
	t        *testing.T
	dir      string
	step     time.Duration
	now      atomic.Int64 // the daemon's clock, as nanoseconds since 1970
	dice     *rand.Rand
	sim      *sim.Sim
	ends     map[daemon.Result]int
	config   string // without what reloads change
	daemon   *daemon.Daemon
	updates  <-chan daemon.State
	ended    chan error
	stop     func()
	messages atomic.Int32
	writes   int
	away     []string // who left by mistake, and comes back
	hired    []string // whoever came lately, the eldest first
}

func newSoak(t *testing.T, cycles int) *soak {
	t.Helper()
	s := &soak{t: t, dir: t.TempDir(), dice: rand.New(rand.NewPCG(1, 2)), ends: map[daemon.Result]int{}}
	// A short soak takes longer steps, so that it too outlasts what is kept.
	s.step = max(40*time.Minute, 30*24*time.Hour/time.Duration(cycles))
	s.now.Store(time.Now().UnixNano())
	s.sim = sim.New(sim.Config{Seed: 1, People: 60, Groups: 8, LogLimit: 1, SCIM: sim.RootlyLike(), Okta: sim.OktaOptions{RateLimit: 1 << 30}})
	at, err := s.sim.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.sim.Close() })
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		s.messages.Add(1)
	}))
	t.Cleanup(hook.Close)
	s.config = fmt.Sprintf(`mode: apply
schedule: "@every 8760h" # each cycle is asked for
health: {listen: "127.0.0.1:0", metrics: true}
http: {listen: "127.0.0.1:0"}
source: {okta: {org_url: %q, app_id: %s, api_token: %q}}
scope: {mode: assigned}
groups: {push: ["*"]}
target: {url: %q, token: %q, max_rate: 0, concurrency: 2}
rootly: {api_url: %q, api_key: %q}
delete_after: 7d
guard: {deletions: {floor: 10}}
notify: {stale_after: 4h, webhook: {url: %q, secret: soaked-for-weeks-and-weeks}}
state: {path: state.db, keep: 7d}
`, at.OktaURL, at.AppID, at.OktaToken, at.SCIMURL, at.SCIMToken, at.RootlyURL, at.RootlyAPIKey, hook.URL)
	s.configure(25)

	a := &app{
		Stdio: Stdio{Out: io.Discard, Err: io.Discard}, log: slog.New(slog.DiscardHandler),
		now: func() time.Time { return time.Unix(0, s.now.Load()) },
		openers: map[string]Opener{"okta": func(cfg *config.Config, with OpenOptions) (connectors.Connector, error) {
			o := cfg.Source.Okta
			return okta.New(okta.Options{OrgURL: o.OrgURL, AppID: o.AppID, APIToken: o.APIToken.Reveal, Query: with.Query, Log: with.Log})
		}},
	}
	a.service.Store(true)
	a.flags.config = filepath.Join(s.dir, "rootly-idp-sync.yaml")
	s.daemon = a.newService()
	ctx, cancel := context.WithCancel(t.Context())
	s.ended = make(chan error, 1)
	go func() { s.ended <- s.daemon.Run(ctx) }()
	updates, unsubscribe := s.daemon.Subscribe()
	s.updates = updates
	s.stop = func() {
		cancel()
		if err := <-s.ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
		unsubscribe()
	}
	s.await() // the one at the start
	return s
}

// configure writes the configuration with another grace.
func (s *soak) configure(grace int) {
	s.t.Helper()
	tmp := filepath.Join(s.dir, "new")
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%sgrace: %ds\n", s.config, grace), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, "rootly-idp-sync.yaml")); err != nil {
		s.t.Fatal(err)
	}
}

// run lets the time of one step pass, and the daemon run a cycle.
func (s *soak) run() {
	s.t.Helper()
	s.now.Add(int64(s.step))
	s.daemon.RunNow()
	s.await()
	s.ends[s.daemon.State().Last.Result]++
	s.writes += s.sim.Log.CountWrites()
	s.sim.Log.Reset()
	s.sim.Faults.Clear()
}

// await waits for the end of the cycle that began when the daemon's clock was what it is.
func (s *soak) await() {
	s.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		select {
		case st := <-s.updates:
			if st.Phase == daemon.PhaseWaiting && st.Last != nil && st.Last.Ended.UnixNano() == s.now.Load() {
				return
			}
		case err := <-s.ended:
			s.t.Fatalf("the daemon ended with %v", err)
		case <-deadline:
			s.t.Fatalf("the cycle does not end: %+v", s.daemon.State())
		}
	}
}

// prepare is what happens in the world before a cycle.
func (s *soak) prepare(cycle int) {
	s.t.Helper()
	c := s.sim.Company
	var errs []error
	do := func(err error) { errs = append(errs, err) }
	people := slices.DeleteFunc(c.People(), func(p sim.Person) bool {
		return p.Status != sim.StatusActive || !p.Assigned || slices.Contains(s.hired, p.Login)
	})
	someone := func() sim.Person { return people[s.dice.IntN(len(people))] }
	groups := c.Groups()
	s.comeBack()
	p := someone()
	do(c.Rename(p.Login, p.FirstName, fmt.Sprintf("Name%d", cycle)))
	g, who := groups[s.dice.IntN(len(groups))], someone().Login
	if slices.Contains(g.Members, who) && len(g.Members) > 3 {
		do(c.RemoveMember(g.Name, who))
	} else {
		do(c.AddMember(g.Name, who))
	}
	if cycle%5 == 1 {
		login := someone().Login
		s.away = append(s.away, login)
		do(c.Suspend(login))
	}
	if cycle%7 == 2 { // by hand, in Rootly
		if u, ok := s.sim.SCIM.User(someone().Login); ok {
			do(s.sim.SCIM.EditUser(u.ID, func(u *sim.SCIMUser) { u.DisplayName = fmt.Sprintf("Hand %d", cycle) }))
		}
	}
	if cycle%10 == 3 { // one comes, and who has been here longest goes for good
		joined, err := c.Join(sim.Person{Direct: true, Status: sim.StatusActive}, g.Name)
		do(err)
		if s.hired = append(s.hired, joined.Login); len(s.hired) > 3 {
			do(c.Leave(s.hired[0]))
			do(c.Delete(s.hired[0]))
			c.EmptyBin()
			s.hired = s.hired[1:]
		}
	}
	switch {
	case cycle%20 == 4: // most of the company is suspended by mistake
		for _, p := range people[:len(people)/2] {
			if !slices.Contains(s.away, p.Login) {
				s.away = append(s.away, p.Login)
				do(c.Suspend(p.Login))
			}
		}
	case cycle%20 == 9:
		s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPatch, Fault: sim.AppliedThenRefused(502), Times: 1})
	case cycle%20 == 12:
		s.sim.Faults.Add(sim.Rule{Side: sim.SideOkta, Path: "/api/v1/apps", Fault: sim.TruncatedJSON()})
	case cycle%20 == 15:
		s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Refusal(http.StatusUnauthorized)})
	case cycle%20 == 18:
		s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPatch, Fault: sim.Refusal(http.StatusBadRequest), Times: 1})
	}
	if cycle%15 == 7 {
		s.configure(20 + cycle%10)
		s.daemon.Reload()
	}
	if err := errors.Join(errs...); err != nil {
		s.t.Fatalf("cycle %d: %v", cycle, err)
	}
}

// comeBack ends what was done by mistake.
func (s *soak) comeBack() {
	s.t.Helper()
	for _, login := range s.away {
		if err := s.sim.Company.Unsuspend(login); err != nil {
			s.t.Fatal(err)
		}
	}
	s.away = nil
}

// calm lets two cycles run in which nobody is away and nothing fails: the second has nothing to do, and so all samples are
// taken of the same.
func (s *soak) calm() {
	s.t.Helper()
	s.comeBack()
	s.run()
	s.run()
	if last := s.daemon.State().Last; last.Result != daemon.ResultGood || last.Planned > 0 {
		s.t.Errorf("with nothing wrong: %+v", *last)
	}
}

// measure takes a sample while nothing runs.
func (s *soak) measure(cycle int) usage {
	s.t.Helper()
	for range 4 { // what is let go of holds something itself, through a pool or a finalizer
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{cycle: cycle, heap: int(m.HeapAlloc), goroutines: runtime.NumGoroutine()}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // other systems than Linux do not say
		s.t.Fatal(err)
	}
	u.files = len(open)
	files, err := filepath.Glob(filepath.Join(s.dir, "state.db*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			u.state += int(info.Size())
		}
	}
	return u
}
