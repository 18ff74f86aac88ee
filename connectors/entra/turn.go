//go:build !noentra

package entra

import (
	"context"
	"sync"
)

// A turn is a lock that is waited for no longer than a context lasts. The zero value is free.
type turn struct {
	mu    sync.Mutex
	taken chan struct{} // closed when whoever has the turn ends it; nil while it is free
}

// take waits for the turn; end gives it to the next one.
func (t *turn) take(ctx context.Context) (end func(), err error) {
	for {
		t.mu.Lock()
		taken := t.taken
		if taken == nil {
			t.taken = make(chan struct{})
			t.mu.Unlock()
			return t.end, nil
		}
		t.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.taken)
	t.taken = nil
}
