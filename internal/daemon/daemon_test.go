package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a daemon in virtual time: what its cycles do is written by the test, what they leave is in a real memory.
type world struct {
	t      *testing.T
	memory *store.Memory
	start  time.Time
	shift  time.Duration // by which the wall clock was set
	file   string        // the configuration, whose text is the schedule, or "bad…"
	d      *Daemon
	stop   context.CancelFunc
	ended  chan error

	mu      sync.Mutex
	begun   []time.Duration // since the start, when each cycle began
	running int
	cycle   func(ctx context.Context, w Watch) (reconcile.Report, error)
	told    []Ended
	closed  int
	log     strings.Builder
	mode    string
	noStart bool
	listen  string
	elect   func(context.Context) (Elector, error)
}

func newWorld(t *testing.T, schedule string) *world {
	w := &world{t: t, start: time.Now(), file: filepath.Join(t.TempDir(), "config"), mode: "apply"}
	w.memory = store.NewMemory(w.now)
	w.write(schedule)
	return w
}

func (w *world) write(text string) {
	if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
		w.t.Error(err)
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.shift)
}

func (w *world) set(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shift += by
}

func (w *world) load(context.Context) (*Setup, []string, error) {
	files := []string{w.file}
	data, err := os.ReadFile(w.file)
	if err != nil {
		return nil, files, err
	}
	text := string(data)
	if strings.HasPrefix(text, "bad") {
		return nil, files, errors.New("the file is " + text)
	}
	spec, _, _ := strings.Cut(text, "#")
	schedule, err := NewSchedule(strings.TrimSpace(spec), "UTC", 0)
	if err != nil {
		return nil, files, err
	}
	return &Setup{
		Settings: Settings{Mode: w.mode, Schedule: schedule, RunAtStart: !w.noStart, Grace: 25 * time.Second, Fingerprint: text, HealthListen: w.listen, ElectionTime: 2 * minute},
		Elect:    w.elect,
		Memory:   w.memory,
		Notify: func(_ context.Context, e Ended) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, e)
		},
		Close: func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.closed++
			return nil
		},
		Cycle: w.run,
	}, files, nil
}

func (w *world) run(ctx context.Context, watch Watch) (reconcile.Report, error) {
	w.mu.Lock()
	w.begun = append(w.begun, time.Since(w.start))
	w.running++
	if w.running > 1 {
		w.t.Error("two cycles at a time")
	}
	f := w.cycle
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running--
	}()
	if f == nil {
		return w.good(ctx)
	}
	return f(ctx, watch)
}

// good is a cycle that finds nothing to do, recorded as one.
func (w *world) good(ctx context.Context) (reconcile.Report, error) {
	id, err := w.memory.Begin(ctx, w.now())
	if err != nil {
		return reconcile.Report{}, err
	}
	return reconcile.Report{Cycle: id}, w.memory.Finish(ctx, id, reconcile.CycleSummary{Rules: "r"})
}

func (w *world) setCycle(f func(ctx context.Context, watch Watch) (reconcile.Report, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cycle = f
}

// begin starts the daemon; the test's end stops it.
func (w *world) begin() {
	ctx, stop := context.WithCancel(w.t.Context())
	w.stop, w.ended = stop, make(chan error, 1)
	w.d = New(Options{Load: w.load, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: w.now, Jitter: func() float64 { return 0 }, Env: func(string) string { return "" }})
	go func() { w.ended <- w.d.Run(ctx) }()
	synctest.Wait()
}

func (w *world) end() {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Errorf("the daemon ended with: %v", err)
	}
}

func (w *world) begins(want ...time.Duration) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if diff := cmp.Diff(want, w.begun); diff != "" {
		w.t.Errorf("cycles began at (-want +got):\n%s", diff)
	}
}

// pass lets virtual time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const minute = time.Minute

func TestCyclesFollowTheSchedule(t *testing.T) {
	tests := map[string]struct {
		schedule string
		noStart  bool
		pass     time.Duration
		want     []time.Duration
	}{
		"every":                {schedule: "@every 40m", pass: 2*time.Hour + minute, want: []time.Duration{0, 40 * minute, 80 * minute, 120 * minute}},
		"hourly":               {schedule: "@hourly", pass: 125 * minute, want: []time.Duration{0, 60 * minute, 120 * minute}},
		"cron":                 {schedule: "*/40 * * * *", pass: 101 * minute, want: []time.Duration{0, 40 * minute, 60 * minute, 100 * minute}},
		"not at the start":     {schedule: "@every 40m", noStart: true, pass: 50 * minute, want: []time.Duration{40 * minute}},
		"nothing due the year": {schedule: "0 0 1 6 *", noStart: true, pass: 24 * time.Hour, want: nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tc.schedule)
				w.noStart = tc.noStart
				w.begin()
				pass(tc.pass)
				w.begins(tc.want...)
				w.end()
			})
		})
	}
}

func TestSlotsMissedByALongCycleAreMadeUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			w.setCycle(nil)
			time.Sleep(150 * minute)
			return w.good(ctx)
		})
		w.begin()
		pass(4*time.Hour + minute)
		w.begins(0, 150*minute, 180*minute, 240*minute)
		w.end()
	})
}

func TestClockThatIsSet(t *testing.T) {
	tests := map[string]struct {
		by   time.Duration
		at   time.Duration
		want []time.Duration // real time
	}{
		// The wall clock reads 1:30 and then 2:30: the slot of 2:00 is made up, that of 3:00 is half an hour away.
		"an hour forward":  {by: time.Hour, at: 90 * minute, want: []time.Duration{0, 60 * minute, 90*minute + lookEvery, 120 * minute}},
		"a day forward":    {by: 24 * time.Hour, at: 90 * minute, want: []time.Duration{0, 60 * minute, 90*minute + lookEvery, 120 * minute}},
		"an hour backward": {by: -time.Hour, at: 90 * minute, want: []time.Duration{0, 60 * minute, 120 * minute}},
		"a year backward":  {by: -365 * 24 * time.Hour, at: 90 * minute, want: []time.Duration{0, 60 * minute, 120 * minute}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "@hourly")
				w.begin()
				pass(tc.at)
				w.set(tc.by)
				pass(31 * minute)
				w.begins(tc.want...)
				w.end()
			})
		})
	}
}

func TestJitterPutsOffWithinItsBounds(t *testing.T) {
	at := time.Date(2026, 5, 1, 10, 20, 0, 0, time.UTC)
	for _, tc := range []struct {
		spec   string
		jitter float64
		most   time.Duration
	}{{"@hourly", 0.05, 3 * minute}, {"@every 40m", 0.05, 2 * minute}, {"0 3 * * *", 0.5, maxJitter}, {"@hourly", 0, 0}} {
		s, err := NewSchedule(tc.spec, "UTC", tc.jitter)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.due(at, 0); !got.Equal(s.Next(at)) {
			t.Errorf("%s: without jitter due at %s, want %s", tc.spec, got, s.Next(at))
		}
		for range 100 {
			if late := s.due(at, rand.Float64()).Sub(s.Next(at)); late < 0 || late > tc.most {
				t.Errorf("%s: put off by %s, at most %s are allowed", tc.spec, late, tc.most)
			}
		}
	}
}

func TestScheduleIsReadInItsTimeZone(t *testing.T) {
	s, err := NewSchedule("0 9 * * *", "Europe/Berlin", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ from, want string }{
		{"2026-01-15T00:00:00Z", "2026-01-15T08:00:00Z"},
		{"2026-07-15T00:00:00Z", "2026-07-15T07:00:00Z"},
		{"2026-03-29T00:30:00Z", "2026-03-29T07:00:00Z"}, // the night in which summer time begins
		{"2026-10-25T00:30:00Z", "2026-10-25T08:00:00Z"}, // and ends
	} {
		from, err := time.Parse(time.RFC3339, tc.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(from).UTC().Format(time.RFC3339); got != tc.want {
			t.Errorf("after %s comes %s, want %s", tc.from, got, tc.want)
		}
	}
}

func TestRunNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.begin()
		pass(10 * minute)
		w.d.RunNow()
		synctest.Wait()
		w.begins(0, 10*minute)

		// While a cycle runs any number of orders are one more, after it.
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			w.setCycle(nil)
			time.Sleep(5 * minute)
			return w.good(ctx)
		})
		w.d.RunNow()
		pass(minute)
		w.d.RunNow()
		w.d.RunNow()
		pass(30 * minute)
		w.begins(0, 10*minute, 10*minute, 15*minute)
		w.end()
	})
}

func refused() error {
	return fmt.Errorf("read Rootly: %w", &scimclient.Error{Op: "list users", Method: http.MethodGet, Path: "/Users", Status: http.StatusUnauthorized})
}

func failing(err error) func(context.Context, Watch) (reconcile.Report, error) {
	return func(context.Context, Watch) (reconcile.Report, error) { return reconcile.Report{}, err }
}

func TestQuarantineSlowsTheCycleUntilOneIsGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.setCycle(failing(refused()))
		w.begin()
		s := w.d.State()
		if s.Quarantine == nil || s.Quarantine.Cause != reconcile.CauseCredentials || s.Last.Result != ResultFailed || s.Last.Cycle == 0 {
			t.Fatalf("state after a refused token: %+v", s)
		}
		since := s.Quarantine.Since
		pass(5 * 24 * time.Hour)
		w.mu.Lock()
		if n := len(w.begun); n > 8 {
			t.Errorf("%d cycles in five days of quarantine", n)
		}
		last := w.begun[len(w.begun)-1] - w.begun[len(w.begun)-2]
		w.mu.Unlock()
		if last < 24*time.Hour {
			t.Errorf("the last two cycles are %s apart, want a day", last)
		}
		if s := w.d.State(); !s.Quarantine.Since.Equal(since) || len(w.told) != len(w.begun) {
			t.Errorf("the quarantine began again at %s, was %s; told %d times", s.Quarantine.Since, since, len(w.told))
		}
		ledger, err := w.memory.Ledger(t.Context())
		if err != nil || ledger.Quarantine == nil {
			t.Errorf("recorded: %v, %v", ledger.Quarantine, err)
		}

		w.setCycle(nil)
		w.d.RunNow()
		synctest.Wait()
		if s := w.d.State(); s.Quarantine != nil || s.Last.Result != ResultGood || s.Next.Sub(w.now()) > 40*minute {
			t.Errorf("state after a good cycle: %+v", s)
		}
		if ledger, err := w.memory.Ledger(t.Context()); err != nil || ledger.Quarantine != nil {
			t.Errorf("recorded after a good cycle: %v, %v", ledger.Quarantine, err)
		}
		w.end()
	})
}

func TestChangedConfigurationEndsTheWaitOfAQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.setCycle(failing(refused()))
		w.begin()
		pass(10 * minute)
		w.setCycle(nil)
		w.write("@every 40m # a new token")
		pass(3 * lookEvery)
		if s := w.d.State(); s.Quarantine != nil {
			t.Errorf("still in quarantine: %+v", s)
		}
		w.end()
	})
}

func TestGoodCycleOfAnotherRunEndsTheWaitOfAQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.setCycle(failing(refused()))
		w.begin()
		pass(10 * minute)
		if _, err := w.good(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.memory.Isolate(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		pass(lookEvery)
		if s := w.d.State(); s.Quarantine != nil || s.Next.Sub(w.now()) > 40*minute || s.LastGood.IsZero() {
			t.Errorf("state: %+v", s)
		}
		w.end()
	})
}

func TestQuarantineOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.setCycle(failing(refused()))
		w.begin()
		w.end()
		w.begin() // the same configuration
		pass(10 * minute)
		w.begins(0)
		if _, err := w.d.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "in quarantine until") {
			t.Errorf("run --once: %v", err)
		}
		w.end()
		w.write("@every 40m # mended while nobody ran")
		w.setCycle(nil)
		w.begin()
		w.begins(0, 10*minute)
		w.end()
	})
}

// TestSourceThatIsDownForADay: nothing but failed cycles, at the schedule's pace, and the first good one mends it.
func TestSourceThatIsDownForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.begin()
		good := w.d.State().LastGood
		w.setCycle(failing(errors.New("read the directory: 503 Service Unavailable")))
		pass(24 * time.Hour)
		s := w.d.State()
		if !s.LastGood.Equal(good) || s.Last.Result != ResultFailed || s.Quarantine != nil {
			t.Errorf("state after a day: %+v", s)
		}
		if r := w.d.Readiness(t.Context()); r.Ready || !strings.Contains(r.Reason, "no good cycle for 2") {
			t.Errorf("readiness after a day: %+v", r)
		}
		cycles, err := w.memory.Cycles(t.Context(), 100)
		if err != nil || len(cycles) != 37 || cycles[0].Summary.Error == "" {
			t.Errorf("%d cycles are recorded, the last %+v, %v", len(cycles), cycles[0], err)
		}
		w.setCycle(nil)
		pass(40 * minute)
		if r := w.d.Readiness(t.Context()); !r.Ready {
			t.Errorf("readiness after a good cycle: %+v", r)
		}
		w.end()
	})
}

func TestLockHeldByAnotherRunIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		w.setCycle(failing(&store.LockedError{Path: "state.db"}))
		w.begin()
		if s := w.d.State(); s.Last.Result != ResultSkipped || s.Quarantine != nil {
			t.Errorf("state: %+v", s)
		}
		if cycles, err := w.memory.Cycles(t.Context(), 10); err != nil || len(cycles) != 0 {
			t.Errorf("recorded: %v, %v", cycles, err)
		}
		w.setCycle(nil)
		pass(50 * minute)
		w.begins(0, minute, 41*minute) // the lock may be that of a process that was killed
		w.end()
	})
}

func TestStopWaitsForTheCycleWithinTheGrace(t *testing.T) {
	for _, tc := range []struct {
		name  string
		takes time.Duration
		want  string
	}{{"in time", 20 * time.Second, ""}, {"too late", 2 * minute, "stopped with requests still under way after 25s"}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "@hourly")
				w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
					<-ctx.Done()
					time.Sleep(tc.takes)
					return reconcile.Report{Cycle: 7, Stopped: "interrupted"}, fmt.Errorf("apply: interrupted: %w", context.Cause(ctx))
				})
				w.begin()
				pass(minute)
				before := time.Now()
				w.stop()
				err := <-w.ended
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("ended with %v, want %q", err, tc.want)
				}
				if took := time.Since(before); took > 25*time.Second {
					t.Errorf("stopping took %s", took)
				}
				if s := w.d.State(); tc.want == "" && (s.Phase != PhaseStopped || s.Last.Result != ResultInterrupted) {
					t.Errorf("state: %+v", s)
				}
				time.Sleep(tc.takes) // the cycle that was left alone
			})
		})
	}
}
