package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A cycle that takes longer than the schedule leaves no moment without one due. What asks for the daemon's attention
// between two cycles gets it all the same.
func TestCyclesThatOutlastTheScheduleLeaveRoomForAReload(t *testing.T) {
	for name, order := range map[string]func(w *world){
		"by order":       func(w *world) { w.d.Reload() },
		"a changed file": func(*world) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "@every 10m")
				w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
					select {
					case <-time.After(15 * minute):
						return w.good(ctx)
					case <-ctx.Done():
						return reconcile.Report{}, ctx.Err()
					}
				})
				w.begin()
				pass(minute)
				w.write("@every 10m # another")
				order(w)
				pass(50 * minute)
				if s := w.d.State(); s.Config != "@every 10m # another" {
					t.Errorf("after three more cycles the configuration is still %q", s.Config)
				}
				pass(10 * minute)
				w.end()
			})
		})
	}
}

// forgetful is a memory that cannot record a quarantine the first time.
type forgetful struct {
	*store.Memory
	failed *atomic.Bool
}

func (f forgetful) Isolate(ctx context.Context, q *reconcile.Quarantine) error {
	if f.failed.CompareAndSwap(false, true) {
		return errors.New("the server is away")
	}
	return f.Memory.Isolate(ctx, q)
}

// The first good cycle after a quarantine takes nothing away because the ledger tells it of the quarantine: one that the
// store missed is recorded before that cycle begins.
func TestQuarantineThatWasNotRecordedIsRecordedBeforeTheNextCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@every 40m")
		memory := forgetful{w.memory, &atomic.Bool{}}
		w.setCycle(func(context.Context, Watch) (reconcile.Report, error) {
			w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
				w.setCycle(nil)
				ledger, err := w.memory.Ledger(ctx)
				if err != nil || ledger.Quarantine == nil {
					t.Errorf("the cycle after the quarantine knows nothing of it: %v", err)
				}
				return w.good(ctx)
			})
			return reconcile.Report{}, refused()
		})
		load := w.load
		w.d = New(Options{Now: w.now, Env: func(string) string { return "" }, Load: func(ctx context.Context) (*Setup, []string, error) {
			s, files, err := load(ctx)
			if s != nil {
				s.Memory = memory
			}
			return s, files, err
		}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.d.Run(ctx) }()
		pass(2 * time.Hour)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(w.begun) != 3 {
			t.Errorf("cycles began %v", w.begun)
		}
		if l, err := w.memory.Ledger(t.Context()); err != nil || l.Quarantine != nil {
			t.Errorf("after it: %+v, %v", l.Quarantine, err)
		}
	})
}
