// Package leader chooses one of several replicas by a Lease of Kubernetes or by a lease in PostgreSQL. Neither is a fence by
// itself: what a leader may still do it asks its own clocks, before every write.
package leader

import (
	"sync"
	"time"
)

// A moment is one on both clocks: the steady one stands still while a machine is suspended, the wall clock may be set.
type moment struct {
	steady time.Duration
	wall   time.Time
}

func (m moment) add(d time.Duration) moment { return moment{m.steady + d, m.wall.Add(d)} }

// before tells whether both clocks say so.
func (m moment) before(other moment) bool {
	return m.steady < other.steady && m.wall.Before(other.wall)
}

// clocks reads the machine's.
func clocks() func() moment {
	start := time.Now()
	return func() moment {
		now := time.Now()
		return moment{now.Sub(start), now.Round(0)}
	}
}

// A window is the time in which this process may believe that it holds a lease: from the start of the last renewal that
// succeeded, and for less than the others wait. Once it was found closed, the lease is lost for good.
type window struct {
	now  func() moment
	lost chan struct{}

	mu    sync.Mutex
	until moment
	cause error
}

func newWindow(now func() moment) *window {
	return &window{now: now, lost: make(chan struct{})}
}

// extend keeps the window open until then, and opens it the first time.
func (w *window) extend(until moment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.until = until
}

// allow is nil within the window.
func (w *window) allow() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == nil && !w.now().before(w.until) {
		w.fail(errExpired)
	}
	return w.cause
}

// shut ends the window for the cause, unless it has ended for another.
func (w *window) shut(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == nil {
		w.fail(cause)
	}
}

func (w *window) fail(cause error) {
	w.cause = cause
	close(w.lost)
}

func (w *window) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

// watch finds the window closed when its time is over. It returns then, or when stop is closed.
func (w *window) watch(stop <-chan struct{}) {
	for w.allow() == nil {
		w.mu.Lock()
		now := w.now()
		left := min(w.until.steady-now.steady, w.until.wall.Sub(now.wall))
		w.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-w.lost:
		case <-stop:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}
