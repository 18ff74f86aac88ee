package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

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
