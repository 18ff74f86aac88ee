// Package leader chooses one of several replicas by a Lease of Kubernetes or by a lease in PostgreSQL. Neither is a fence by
// itself: what a leader may still do it asks its own clocks, before every write.
package leader

import (
	"sync"
	"time"
)

// A window is the time in which this process may believe that it holds a lease: from the start of the last renewal that
// succeeded, and for less than the others wait. Once it was found closed, the lease is lost for good.
type window struct {
	now  func() time.Time
	lost chan struct{}

	mu    sync.Mutex
	until time.Time
	cause error
}

func newWindow(now func() time.Time) *window {
	return &window{now: now, lost: make(chan struct{})}
}

// open extends the window, which opens it the first time.
func (w *window) open(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if until.After(w.until) {
		w.until = until
	}
}

// allow is nil within the window. It asks both clocks: the monotonic one stands still while a machine is suspended, the wall
// clock may be set back.
func (w *window) allow() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); w.cause == nil && !(now.Before(w.until) && now.Round(0).Before(w.until.Round(0))) {
		w.fail(errExpired)
	}
	return w.cause
}

// close ends the window for the cause, unless it has ended for another.
func (w *window) close(cause error) {
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

// watch finds the window closed when its time is over, until stop ends.
func (w *window) watch(stop <-chan struct{}) {
	for {
		w.mu.Lock()
		left := w.until.Sub(w.now())
		w.mu.Unlock()
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
			if w.allow() != nil {
				return
			}
		case <-w.lost:
			timer.Stop()
			return
		case <-stop:
			timer.Stop()
			return
		}
	}
}
