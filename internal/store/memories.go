package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Recall returns what another part of the program remembers under key, nil when there is nothing.
func (s *Store) Recall(ctx context.Context, key string) ([]byte, error) {
	var data []byte
	err := s.ro.QueryRowContext(ctx, `SELECT data FROM memories WHERE pipeline = $1 AND key = $2`, s.pipeline, key).Scan(&data)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("recall %s: %w", key, s.db.explain(err))
	}
	return data, nil
}

// Remember keeps data under key, in the place of what was there; nil forgets it. It needs no lock.
func (s *Store) Remember(ctx context.Context, key string, data []byte) error {
	return s.write(ctx, "remember "+key, func(t *tx) error {
		if data == nil {
			return t.exec(`DELETE FROM memories WHERE pipeline = $1 AND key = $2`, s.pipeline, key)
		}
		return t.exec(`INSERT INTO memories (pipeline, key, data) VALUES ($1, $2, $3)
			ON CONFLICT (pipeline, key) DO UPDATE SET data = excluded.data`, s.pipeline, key, data)
	})
}

// Isolate makes q the quarantine, and nil ends the one there is. It needs no lock.
func (s *Store) Isolate(ctx context.Context, q *reconcile.Quarantine) error {
	text, err := encode(q, q == nil)
	if err != nil {
		return fmt.Errorf("isolate: %w", err)
	}
	return s.write(ctx, "isolate", func(t *tx) error {
		return t.exec(`UPDATE meta SET quarantine = $1 WHERE pipeline = $2`, text, s.pipeline)
	})
}

// Fail leaves the row of a cycle that began at the given time and ended, for the reason given, before it could open
// one. It needs no lock.
func (s *Store) Fail(ctx context.Context, at time.Time, reason string) (cycle int64, err error) {
	if reason == "" {
		return 0, errNoReason
	}
	err = s.write(ctx, "record failed cycle", func(t *tx) error {
		cycle, err = t.insert(`INSERT INTO cycles (pipeline, started, finished, error) VALUES ($1, $2, $3, $4)`,
			s.pipeline, millis(at), millis(s.now()), reason)
		return err
	})
	return cycle, err
}

var errNoReason = errors.New("record failed cycle: no reason given")

// LastGood is when the last cycle that looked at everything ended without an error, the zero time when none has.
func (s *Store) LastGood(ctx context.Context) (time.Time, error) {
	var finished sql.NullInt64
	err := s.ro.QueryRowContext(ctx, `SELECT max(finished) FROM cycles WHERE pipeline = $1 AND error = '' AND rules <> ''`, s.pipeline).Scan(&finished)
	if err != nil {
		return time.Time{}, fmt.Errorf("read last good cycle: %w", s.db.explain(err))
	}
	return instant(finished), nil
}
