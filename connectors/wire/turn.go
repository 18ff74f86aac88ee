package wire

import (
	"context"
	"sync"
)

// A Turn is a lock that is waited for no longer than a context lasts. The zero value is free.
type Turn struct {
	mu    sync.Mutex
	taken chan struct{} // closed when whoever has the turn ends it; nil while it is free
}

// Take waits for the turn; end gives it to the next one.
func (t *Turn) Take(ctx context.Context) (end func(), err error) {
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

func (t *Turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.taken)
	t.taken = nil
}
