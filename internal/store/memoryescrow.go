package store

import (
	"bytes"
	"context"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Retry makes the change of a waiting object due now, as Store.Retry does.
func (m *Memory) Retry(ctx context.Context, ref reconcile.Ref) error {
	return m.do(ctx, "retry", func() error {
		w, err := findWaiting(m.waiting(), ref)
		if err != nil {
			return err
		}
		w.Next = m.now()
		m.escrow[object{w.Kind, w.Source}] = w
		return nil
	})
}

// Drop forgets that a waiting object has failed, as Store.Drop does.
func (m *Memory) Drop(ctx context.Context, ref reconcile.Ref) error {
	return m.do(ctx, "drop", func() error {
		w, err := findWaiting(m.waiting(), ref)
		if err != nil {
			return err
		}
		delete(m.escrow, object{w.Kind, w.Source})
		return nil
	})
}

// Recall returns what another part of the program remembers under key, nil when there is nothing.
func (m *Memory) Recall(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.memories[key]), nil
}

// Remember keeps data under key, in the place of what was there; nil forgets it.
func (m *Memory) Remember(ctx context.Context, key string, data []byte) error {
	return m.do(ctx, "remember "+key, func() error {
		if data == nil {
			delete(m.memories, key)
			return nil
		}
		m.memories[key] = bytes.Clone(data)
		return nil
	})
}

// Isolate makes q the quarantine, and nil ends the one there is.
func (m *Memory) Isolate(ctx context.Context, q *reconcile.Quarantine) error {
	return m.do(ctx, "isolate", func() error {
		m.quarantine = cloneQuarantine(q)
		return nil
	})
}

func cloneQuarantine(q *reconcile.Quarantine) *reconcile.Quarantine {
	if q == nil {
		return nil
	}
	c := *q
	return &c
}

// Fail leaves the row of a cycle that ended before it could open one, as Store.Fail does.
func (m *Memory) Fail(ctx context.Context, at time.Time, reason string) (cycle int64, err error) {
	if reason == "" {
		return 0, errNoReason
	}
	err = m.do(ctx, "record failed cycle", func() error {
		cycle = m.begin(at)
		c, err := m.cycle(cycle)
		if err != nil {
			return err
		}
		c.Finished, c.Summary.Error = m.now(), reason
		return nil
	})
	return cycle, err
}

// LastGood is when the last cycle that looked at everything ended without an error, the zero time when none has.
func (m *Memory) LastGood(context.Context) (last time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.cycles {
		if c.Summary.Error == "" && c.Summary.Rules != "" && c.Finished.After(last) {
			last = c.Finished
		}
	}
	return last, nil
}
