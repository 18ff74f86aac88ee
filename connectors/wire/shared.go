package wire

import (
	"context"
	"sync"
	"time"
)

// freshFor is how long one reading serves. It is short beside the time between two cycles, so that no answer serves two
// of them.
const freshFor = time.Minute

// A Shared is a listing that the questions about single people have in common for a minute from when it was begun. Its
// zero value is ready.
type Shared[T any] struct {
	asking Turn
	mu     sync.Mutex
	value  T
	at     time.Time
	known  bool
}

// Forget has the next Get read again. A connector calls it when a Fetch begins: what confirms a reading comes after it.
func (s *Shared[T]) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none T
	s.value, s.known = none, false
}

// Get returns what was read within the last minute, or else what read finds. Somebody else's reading is waited for as
// long as ctx lasts, and does not fail this one.
func (s *Shared[T]) Get(ctx context.Context, read func() (T, error)) (T, error) {
	if v, ok := s.current(); ok {
		return v, nil
	}
	var none T
	end, err := s.asking.Take(ctx)
	if err != nil {
		return none, err
	}
	defer end()
	if v, ok := s.current(); ok {
		return v, nil
	}
	at := time.Now()
	v, err := read()
	if err != nil {
		return none, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.at, s.known = v, at, true
	return v, nil
}

func (s *Shared[T]) current() (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := time.Since(s.at)
	return s.value, s.known && age >= 0 && age < freshFor
}
