package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A flotilla is a fleet in virtual time, with a world for each pipeline.
type flotilla struct {
	t     *testing.T
	f     *Fleet
	stop  context.CancelFunc
	ended chan error

	mu      sync.Mutex
	worlds  map[string]*world
	daemons map[string][]*Daemon
	removed []string
}

func newFlotilla(t *testing.T, names ...string) *flotilla {
	f := &flotilla{t: t, worlds: map[string]*world{}, daemons: map[string][]*Daemon{}}
	for _, name := range names {
		f.add(name)
	}
	f.f = NewFleet(FleetOptions{
		List: func() (map[string]string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			files := map[string]string{}
			for name, w := range f.worlds {
				files[name] = w.file
			}
			return files, nil
		},
		New: func(m *Member) *Daemon {
			f.mu.Lock()
			defer f.mu.Unlock()
			w := f.worlds[m.Name()]
			d := New(Options{Load: w.load, Now: w.now, Jitter: func() float64 { return 0 }, Env: func(string) string { return "" }})
			f.daemons[m.Name()] = append(f.daemons[m.Name()], d)
			return d
		},
		Removed: func(name string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.removed = append(f.removed, name)
		},
		Env: func(string) string { return "" },
	})
	return f
}

func (f *flotilla) add(name string) *world {
	w := newWorld(f.t, "@hourly")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.worlds[name] = w
	return w
}

func (f *flotilla) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.worlds, name)
}

func (f *flotilla) begin() {
	ctx, stop := context.WithCancel(f.t.Context())
	f.stop, f.ended = stop, make(chan error, 1)
	go func() { f.ended <- f.f.Run(ctx) }()
	synctest.Wait()
}

func (f *flotilla) end() {
	f.t.Helper()
	f.stop()
	if err := <-f.ended; err != nil {
		f.t.Errorf("the fleet ended with: %v", err)
	}
}

// begun is how many Daemons a pipeline has had.
func (f *flotilla) begun(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.daemons[name])
}

func (f *flotilla) names() (names []string) {
	for _, m := range f.f.Members() {
		names = append(names, m.Name())
	}
	return names
}

func TestAPipelineThatCannotRunStopsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme", "beta")
		f.worlds["beta"].write("bad: secret-looking")
		f.begin()
		pass(61 * minute)
		f.worlds["acme"].begins(0, 60*minute)
		f.worlds["beta"].begins()
		r := f.f.Readiness(t.Context())
		if r.Ready || !strings.Contains(r.Reason, "beta: it does not run") || strings.Contains(r.Reason, "acme") || strings.Contains(r.Reason, "secret") {
			t.Errorf("readiness %+v", r)
		}
		if !f.f.alive() {
			t.Error("the process counts as dead")
		}
		if s := f.f.member("beta").State(); !strings.Contains(s.ReloadError, "the file is bad") || s.Phase != PhaseStopped {
			t.Errorf("state %+v", s)
		}
		// It is mended, and found so at the second look.
		f.worlds["beta"].write("@hourly")
		pass(3 * lookEvery)
		f.worlds["beta"].begins(61*minute + 2*lookEvery)
		if r := f.f.Readiness(t.Context()); !r.Ready || r.Reason != "ready: 2 pipelines, 2 of them led here" {
			t.Errorf("readiness %+v", r)
		}
		f.end()
	})
}

// TestAPipelineWhoseStoreIsDownIsTriedAgain at growing gaps, or when somebody asks.
func TestAPipelineWhoseStoreIsDownIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme")
		f.worlds["acme"].write("bad")
		f.begin()
		var tries []time.Duration
		start := time.Now()
		for seen := 1; time.Since(start) < 12*minute; pass(time.Second) {
			if n := f.begun("acme"); n > seen {
				seen = n
				tries = append(tries, time.Since(start))
			}
		}
		want := []time.Duration{15 * time.Second, 45 * time.Second, 105 * time.Second, 225 * time.Second, 465 * time.Second}
		if diff := cmp.Diff(want, tries); diff != "" {
			t.Errorf("tried again at (-want +got):\n%s", diff)
		}
		f.f.RunNow()
		synctest.Wait()
		if n := f.begun("acme"); n != 7 {
			t.Errorf("%d tries, want 7: somebody asked", n)
		}
		f.end()
	})
}

// TestALostPipelineBeginsAnewAfterItsLastAnswer: nothing of the leader that was is left when the standby stands for election.
func TestALostPipelineBeginsAnewAfterItsLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme", "beta")
		b := &ballot{won: make(chan *reign, 1)}
		w := f.worlds["acme"]
		w.elect = func(context.Context) (Elector, error) { return b, nil }
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			<-ctx.Done()
			time.Sleep(20 * time.Second) // the last answer
			return reconcile.Report{Stopped: "interrupted"}, context.Cause(ctx)
		})
		f.begin()
		first := newReign()
		b.won <- first
		pass(minute)
		first.lose(errors.New("paused"))
		pass(19 * time.Second)
		if n := f.begun("acme"); n != 1 {
			t.Error("it began anew before the last answer")
		}
		pass(2 * time.Second)
		if n := f.begun("acme"); n != 2 {
			t.Fatalf("%d daemons, want 2", n)
		}
		old, now := f.daemons["acme"][0], f.daemons["acme"][1]
		if old.Allow() == nil || now.Allow() == nil {
			t.Error("one that does not lead may write")
		}
		w.setCycle(nil)
		b.won <- newReign()
		pass(minute)
		if old.Allow() == nil || now.Allow() != nil {
			t.Errorf("the new term lets the old daemon write (%v), or not the new one (%v)", old.Allow(), now.Allow())
		}
		if s := f.f.member("acme").State(); s.Phase != PhaseWaiting || s.ReloadError != "" {
			t.Errorf("state %+v", s)
		}
		pass(2 * time.Hour)
		if n := f.begun("beta"); n != 1 {
			t.Errorf("another pipeline began %d times", n)
		}
		f.end()
	})
}

// TestAPipelineThatDoesNotStopEndsTheProcess: with requests under way only its end is sure to keep it from writing.
func TestAPipelineThatDoesNotStopEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme", "beta")
		b := &ballot{won: make(chan *reign, 1)}
		w := f.worlds["acme"]
		w.elect = func(context.Context) (Elector, error) { return b, nil }
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			<-ctx.Done()
			time.Sleep(time.Hour)
			return reconcile.Report{}, ctx.Err()
		})
		f.begin()
		r := newReign()
		b.won <- r
		pass(minute)
		lost := time.Now()
		r.lose(errors.New("paused"))
		err := <-f.ended
		if err == nil || !strings.Contains(err.Error(), "pipeline acme: stopped with requests still under way") || time.Since(lost) != 25*time.Second {
			t.Errorf("ended with %v after %s", err, time.Since(lost))
		}
		f.stop()
		pass(time.Hour)
	})
}

func TestPipelinesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme", "beta")
		b, r := &ballot{won: make(chan *reign, 1)}, newReign()
		gone, finished := f.worlds["beta"], make(chan struct{})
		gone.elect = func(context.Context) (Elector, error) { return b, nil }
		gone.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			time.Sleep(10 * minute)
			close(finished)
			return gone.good(ctx)
		})
		r.busy = func() bool { gone.mu.Lock(); defer gone.mu.Unlock(); return gone.running > 0 }
		f.begin()
		b.won <- r
		pass(minute)
		f.remove("beta")
		added := f.add("gamma")
		pass(lookEvery)
		if got := f.names(); slices.Contains(got, "gamma") {
			t.Error("a file that was seen once only is a pipeline already")
		}
		pass(lookEvery)
		added.begins(2 * lookEvery)
		if diff := cmp.Diff([]string{"acme", "beta", "gamma"}, f.names()); diff != "" {
			t.Errorf("the removed one is to finish its cycle (-want +got):\n%s", diff)
		}
		<-finished
		synctest.Wait()
		if !r.released || r.early {
			t.Errorf("given up %t, before the last answer %t", r.released, r.early)
		}
		if diff := cmp.Diff([]string{"acme", "gamma"}, f.names()); diff != "" {
			t.Errorf("pipelines (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"beta"}, f.removed); diff != "" {
			t.Errorf("removed (-want +got):\n%s", diff)
		}
		if kept, err := gone.memory.Recall(t.Context(), StateKey); err != nil || kept == nil {
			t.Errorf("of the removed one is left %q, %v", kept, err)
		}
		// It comes back.
		gone.elect = nil
		gone.setCycle(nil)
		f.mu.Lock()
		f.worlds["beta"] = gone
		f.mu.Unlock()
		pass(3 * lookEvery)
		if n := f.begun("beta"); n != 2 {
			t.Errorf("%d daemons of the one that came back, want 2", n)
		}
		f.worlds["acme"].begins(0)
		f.end()
	})
}

// TestAFileThatIsGoneForAMomentIsNotRemoved: editors and copies replace files.
func TestAFileThatIsGoneForAMomentIsNotRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme")
		f.begin()
		w := f.worlds["acme"]
		for range 5 {
			f.remove("acme")
			pass(lookEvery)
			f.mu.Lock()
			f.worlds["acme"] = w
			f.mu.Unlock()
			pass(lookEvery)
		}
		if n := f.begun("acme"); n != 1 {
			t.Errorf("it began %d times", n)
		}
		f.end()
	})
}

func TestAllPipelinesEndWithinOneGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "a", "b", "c", "d")
		for _, w := range f.worlds {
			w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
				<-ctx.Done()
				time.Sleep(24 * time.Second)
				return reconcile.Report{}, ctx.Err()
			})
		}
		f.begin()
		pass(minute)
		told := time.Now()
		f.end()
		if took := time.Since(told); took != 24*time.Second {
			t.Errorf("it took %s", took)
		}
		for name, w := range f.worlds {
			if w.closed != 1 {
				t.Errorf("%s was closed %d times", name, w.closed)
			}
		}
	})
}

func TestOrdersReachEveryPipeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme", "beta")
		f.begin()
		pass(minute)
		f.f.RunNow()
		synctest.Wait()
		for _, w := range f.worlds {
			w.begins(0, minute)
			w.write("@every 30m")
		}
		f.f.Reload()
		synctest.Wait()
		for name := range f.worlds {
			if m := f.f.member(name); !strings.HasPrefix(m.State().Config, "@every 30m") {
				t.Errorf("%s runs with %q", name, m.State().Config)
			}
		}
		f.end()
	})
}

// TestWhoLeadsMoreStandsBackLonger and never longer than a retry and a quarter of it.
func TestWhoLeadsMoreStandsBackLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const retry = 20 * time.Second
		for led := range 7 {
			var names []string
			for i := range led {
				names = append(names, fmt.Sprint("p", i))
			}
			f := newFlotilla(t, names...)
			f.begin()
			start := time.Now()
			if err := f.f.Yield(t.Context(), retry); err != nil {
				t.Fatal(err)
			}
			least := time.Duration(min(led, most)) * retry / most
			if took := time.Since(start); took < least || took > least+retry/most {
				t.Errorf("leading %d it waited %s, want %s and up to a quarter of %s more", led, took, least, retry)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := f.f.Yield(ctx, retry); led > 0 && err == nil {
				t.Error("it waits although it is told to stop")
			}
			f.end()
		}
	})
}

// TestWhatTheProcessHasOnceIsLoadedAgain when its file changes or somebody asks; what cannot be used is told.
func TestWhatTheProcessHasOnceIsLoadedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlotilla(t, "acme")
		process := f.worlds["acme"].file + "-process"
		var loads []string
		f.f.o.Reload = func(context.Context) ([]string, error) {
			text, err := os.ReadFile(process)
			if loads = append(loads, string(text)); err == nil && string(text) == "bad" {
				err = errors.New("it is bad")
			}
			return []string{process}, err
		}
		f.f.loaded = read([]string{process})
		f.begin()
		write := func(text string) {
			if err := os.WriteFile(process, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			pass(3 * lookEvery)
		}
		write("bad")
		if r := f.f.Readiness(t.Context()); r.Ready || !strings.Contains(r.Reason, "the configuration of the process cannot be used") {
			t.Errorf("readiness %+v", r)
		}
		write("good")
		if r := f.f.Readiness(t.Context()); !r.Ready {
			t.Errorf("readiness %+v", r)
		}
		f.f.Reload()
		synctest.Wait()
		if diff := cmp.Diff([]string{"bad", "good", "good"}, loads); diff != "" {
			t.Errorf("loads (-want +got):\n%s", diff)
		}
		if got := slices.Collect(maps.Keys(f.f.loaded)); len(got) != 1 {
			t.Errorf("files %v", got)
		}
		f.end()
	})
}
