package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A ballot is an Elector whose outcome the test decides.
type ballot struct {
	won chan *reign

	mu   sync.Mutex
	seen func(Standing)
}

func (b *ballot) Campaign(ctx context.Context, seen func(Standing)) (Term, error) {
	b.mu.Lock()
	b.seen = seen
	b.mu.Unlock()
	select {
	case t := <-b.won:
		return t, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *ballot) Close() error { return nil }

// say tells the replica who leads.
func (b *ballot) say(s Standing) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen(s)
}

// A reign is a Term that the test ends.
type reign struct {
	lost chan struct{}

	mu       sync.Mutex
	cause    error
	released bool
	busy     func() bool // a cycle runs; must be over before Release
	early    bool        // it was not
}

func newReign() *reign { return &reign{lost: make(chan struct{})} }

func (r *reign) Leader() string        { return "pod-a" }
func (r *reign) Lost() <-chan struct{} { return r.lost }
func (r *reign) Err() error            { r.mu.Lock(); defer r.mu.Unlock(); return r.cause }
func (r *reign) Allow() error          { return r.Err() }

func (r *reign) lose(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cause = cause
	close(r.lost)
}

func (r *reign) Release(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released, r.early = true, r.busy != nil && r.busy()
	return nil
}

// replica starts a daemon of several.
func replica(t *testing.T) (*world, *ballot) {
	w := newWorld(t, "@hourly")
	b := &ballot{won: make(chan *reign, 1)}
	w.elect = func(context.Context) (Elector, error) { return b, nil }
	w.begin()
	return w, b
}

func TestAStandbyRunsNoCycleAndWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := replica(t)
		b.say(Standing{Leader: "pod-b"})
		w.d.RunNow()
		pass(5 * time.Hour)
		w.begins()
		if kept, err := w.memory.Recall(t.Context(), StateKey); err != nil || kept != nil {
			t.Errorf("a standby left %q in the store, %v", kept, err)
		}
		if w.d.Allow() == nil {
			t.Error("a standby may write")
		}
		if r := w.d.Readiness(t.Context()); !r.Ready || r.Role != "standby" || r.Leader != "pod-b" || r.Reason != "ready to take over from pod-b" {
			t.Errorf("readiness %+v", r)
		}
		b.say(Standing{Err: errors.New("forbidden")})
		pass(probeLife)
		if r := w.d.Readiness(t.Context()); r.Ready || !strings.Contains(r.Reason, "who leads cannot be told") {
			t.Errorf("readiness %+v", r)
		}
		w.end()
	})
}

func TestAStandbyTakesOverWithWhatTheLeaderLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := replica(t)
		pass(3 * time.Hour)
		// Meanwhile the one that leads fell into quarantine.
		q := reconcile.Quarantine{Since: w.now(), Next: w.now().Add(time.Hour), Cause: reconcile.CauseCredentials, Reason: "401"}
		if err := w.memory.Isolate(t.Context(), &q); err != nil {
			t.Fatal(err)
		}
		r := newReign()
		b.won <- r
		synctest.Wait()
		if s := w.d.State(); s.Leader != "pod-a" || w.d.Allow() != nil {
			t.Errorf("state %+v, allow %v", s, w.d.Allow())
		}
		pass(minute)
		w.begins(3 * time.Hour) // the one that leaves nothing of its configuration is no reason to wait
		if ready := w.d.Readiness(t.Context()); ready.Role != "leader" || ready.Quarantine {
			t.Errorf("after a good cycle: %+v", ready)
		}
		w.end()
		if !r.released {
			t.Error("leadership was not given up")
		}
	})
}

func TestLeadershipIsGivenUpAfterTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := replica(t)
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			<-ctx.Done()
			time.Sleep(20 * time.Second) // the last answer
			return reconcile.Report{}, ctx.Err()
		})
		r := newReign()
		r.busy = func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.running > 0 }
		b.won <- r
		pass(minute)
		w.end()
		if !r.released || r.early {
			t.Errorf("given up %t, before the last answer %t", r.released, r.early)
		}
	})
}

func TestLeadershipIsNotGivenUpWithRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := replica(t)
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			<-ctx.Done()
			time.Sleep(time.Hour)
			return reconcile.Report{}, ctx.Err()
		})
		r := newReign()
		b.won <- r
		pass(minute)
		w.stop()
		if err := <-w.ended; err == nil || r.released {
			t.Errorf("ended with %v, given up %t", err, r.released)
		}
		pass(time.Hour)
	})
}

func TestALeaderThatIsLostStopsAndRecordsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := replica(t)
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			<-ctx.Done()
			return reconcile.Report{Stopped: "interrupted"}, context.Cause(ctx)
		})
		r := newReign()
		b.won <- r
		pass(minute)
		before, err := w.memory.Recall(t.Context(), StateKey)
		if err != nil || before == nil {
			t.Fatalf("the leader left %q, %v", before, err)
		}
		r.lose(errors.New("paused"))
		err = <-w.ended
		if lost, ok := errors.AsType[*LostError](err); !ok || lost.Cause.Error() != "paused" {
			t.Errorf("ended with %v", err)
		}
		after, err := w.memory.Recall(t.Context(), StateKey)
		if err != nil || string(after) != string(before) {
			t.Errorf("it changed what it left to %s, %v", after, err)
		}
		if len(w.told) != 0 || r.released {
			t.Errorf("it told %d times, and gave up what it had lost: %t", len(w.told), r.released)
		}
		w.stop()
	})
}

func TestOnceWaitsForItsTurnAndSaysWhoLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		b := &ballot{won: make(chan *reign, 1)}
		w.elect = func(context.Context) (Elector, error) { return b, nil }
		once := func() error {
			d := New(Options{Load: w.load, Now: w.now})
			go func() { time.Sleep(time.Second); b.say(Standing{Leader: "pod-b"}) }()
			_, err := d.Once(t.Context())
			return err
		}
		start := time.Now()
		if err := once(); err == nil || !strings.Contains(err.Error(), "no cycle was run: pod-b leads") || time.Since(start) != 2*minute {
			t.Errorf("err = %v after %s", err, time.Since(start))
		}
		w.begins()
		r := newReign()
		b.won <- r
		if err := once(); err != nil || !r.released {
			t.Errorf("err = %v, given up %t", err, r.released)
		}
		time.Sleep(minute)
	})
}
