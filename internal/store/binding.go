package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// A pair is one directory and one target. Links mean something between these two only.
type pair struct{ source, target string }

// Source is the directory's tenant that the store is bound to.
func (s *Store) Source() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound.source
}

// Target is the SCIM base URL that the store is bound to.
func (s *Store) Target() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bound.target
}

const readBinding = `SELECT source, target FROM meta WHERE pipeline = $1`

// bind writes the pair into a new store and compares it in an old one.
func (s *Store) bind(ctx context.Context, o Options) error {
	err := s.ro.QueryRowContext(ctx, readBinding, s.pipeline).Scan(&s.bound.source, &s.bound.target)
	if errors.Is(err, sql.ErrNoRows) {
		if o.AtWork != nil && !o.AllowOther {
			if err := s.unknown(ctx, o.AtWork); err != nil {
				return err
			}
		}
		s.fresh = true
		err = s.write(ctx, "bind state", func(t *tx) error {
			err := t.exec(`INSERT INTO meta (pipeline, lineage, source, target, bound) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
				s.pipeline, rand.Text(), s.own.source, s.own.target, millis(s.now()))
			if err != nil {
				return err
			}
			return t.row(readBinding, []any{s.pipeline}, []any{&s.bound.source, &s.bound.target})
		})
	}
	if err != nil {
		return fmt.Errorf("read binding: %w", s.db.explain(err))
	}
	if s.own != s.bound && !o.AllowOther {
		return s.foreign(s.own, s.bound)
	}
	return nil
}

// unknown refuses to begin an empty ledger for a directory and a target that the state knows as another pipeline, unless
// that one is at work too: its file was renamed, or it is named now and was not.
func (s *Store) unknown(ctx context.Context, atWork func(string) bool) error {
	rows, err := s.ro.QueryContext(ctx, `SELECT pipeline FROM meta WHERE source = $1 AND target = $2 AND pipeline <> $3 ORDER BY pipeline`, s.own.source, s.own.target, s.pipeline)
	if err != nil {
		return fmt.Errorf("read binding: %w", s.db.explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		var other string
		if err := rows.Scan(&other); err != nil {
			return fmt.Errorf("read binding: %w", err)
		}
		if atWork(other) {
			continue
		}
		remedy := fmt.Sprintf("name the file %s.yaml to go on with what is known", other)
		if s.pipeline == defaultPipeline {
			remedy = fmt.Sprintf("go on with --config-dir and --pipeline %s", other)
		}
		return fmt.Errorf("state %s knows directory %s and target %s as the pipeline %s, and this one is %s (%s; adopt --relink gives this one an empty ledger of its own)",
			s.db.place(), s.own.source, s.own.target, other, s.pipeline, remedy)
	}
	return rows.Err()
}

// stillBound proves that the store belongs to the caller's pair now: another process may have bound it anew since Open.
func (s *Store) stillBound(t *tx) error {
	var bound pair
	if err := t.row(readBinding, []any{s.pipeline}, []any{&bound.source, &bound.target}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bound = bound
	if s.own != bound {
		return s.foreign(s.own, bound)
	}
	return nil
}

func (s *Store) foreign(own, bound pair) error {
	return fmt.Errorf("state %s belongs to directory %s and target %s, not to %s and %s: set another state.path for this pair, put the old source and target.url back, or bind it anew with `adopt --relink`",
		s.db.place(), bound.source, bound.target, own.source, own.target)
}

// Relink binds the store to another directory or target. What was known between the old two goes: links, escrow, sets
// that wait, pins, the last snapshot, the quarantine, what other parts remember and the rules, so that the next cycle is a first contact. The history stays, with a row
// that says by whom; changes of unknown outcome are settled as OutcomeAbandoned. The caller has the writer's lock.
func (s *Store) Relink(ctx context.Context, source, target, by string) error {
	by, err := decider(by)
	switch {
	case err != nil:
		return fmt.Errorf("relink: %w", err)
	case source == "" || target == "":
		return fmt.Errorf("relink: source %q and target %q must both be set", source, target)
	case !s.hasLock():
		return errors.New("relink: the writer's lock is not held")
	}
	next := pair{source, target}
	err = s.record(ctx, "relink", func(t *tx) error {
		var bound pair
		if err := t.row(readBinding, []any{s.pipeline}, []any{&bound.source, &bound.target}); err != nil {
			return err
		}
		if bound == next {
			return fmt.Errorf("state %s belongs to directory %s and target %s already: nothing is to be bound anew", s.db.place(), source, target)
		}
		for _, forget := range []string{
			`DELETE FROM links WHERE pipeline = $1`,
			`DELETE FROM escrow WHERE pipeline = $1`,
			`DELETE FROM held_sets WHERE pipeline = $1 AND used IS NULL`,
			`DELETE FROM pins WHERE pipeline = $1`,
			`DELETE FROM snapshots WHERE pipeline = $1`,
			`DELETE FROM memories WHERE pipeline = $1`,
		} {
			if err := t.exec(forget, s.pipeline); err != nil {
				return err
			}
		}
		now := millis(s.now())
		err := t.exec(`UPDATE changes SET outcome = $1, settled = $2, wanted = NULL WHERE pipeline = $3 AND (outcome IS NULL OR outcome = 'unknown')`,
			OutcomeAbandoned, now, s.pipeline)
		if err != nil {
			return err
		}
		note := fmt.Sprintf("relinked by %s: was %s and %s", by, bound.source, bound.target)
		if err := t.exec(`INSERT INTO cycles (pipeline, started, finished, note) VALUES ($1, $2, $2, $3)`, s.pipeline, now, note); err != nil {
			return err
		}
		return t.exec(`UPDATE meta SET source = $1, target = $2, bound = $3, rules = '', texts = NULL, quarantine = NULL WHERE pipeline = $4`, source, target, now, s.pipeline)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own, s.bound = next, next
	return nil
}
