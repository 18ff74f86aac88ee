package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Begin opens a cycle and returns its number. It refuses when the store is, or was meanwhile, bound to another directory
// or target than the caller's.
func (s *Store) Begin(ctx context.Context, at time.Time) (cycle int64, err error) {
	err = s.record(ctx, "begin cycle", func(t *tx) error {
		if err := s.stillBound(t); err != nil {
			return err
		}
		cycle, err = t.insert(`INSERT INTO cycles (pipeline, started) VALUES ($1, $2)`, s.pipeline, millis(at))
		return err
	})
	return cycle, err
}

func (s *Store) isOpen(t *tx, cycle int64) error {
	err := t.row(`SELECT id FROM cycles WHERE id = $1 AND pipeline = $2 AND finished IS NULL`, []any{cycle, s.pipeline}, []any{&cycle})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("cycle %d is not open", cycle)
	}
	return err
}

// Resolve settles open intents of earlier runs in one transaction: outcome and link together.
func (s *Store) Resolve(ctx context.Context, rs []reconcile.Resolution) error {
	if len(rs) == 0 {
		return nil
	}
	return s.record(ctx, "resolve open changes", func(t *tx) error {
		for _, r := range rs {
			if err := s.settle(t, reconcile.Settled{Intent: r.Intent, Outcome: r.Outcome, Link: r.Link}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Refresh replaces links in one transaction.
func (s *Store) Refresh(ctx context.Context, links []reconcile.Link) error {
	if len(links) == 0 {
		return nil
	}
	return s.record(ctx, "refresh links", func(t *tx) error { return s.putLinks(t, links) })
}

// Link takes over objects that need no write: their links and, as done, their changes, in one transaction.
func (s *Store) Link(ctx context.Context, cycle int64, changes []reconcile.Change, links []reconcile.Link) error {
	if len(changes) == 0 && len(links) == 0 {
		return nil
	}
	return s.record(ctx, "link objects", func(t *tx) error { return s.link(t, cycle, changes, links) })
}

func (s *Store) link(t *tx, cycle int64, changes []reconcile.Change, links []reconcile.Link) error {
	for _, c := range changes {
		id, err := s.intend(t, cycle, c, nil, nil)
		if err != nil {
			return err
		}
		if err := s.settle(t, reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone}); err != nil {
			return err
		}
	}
	return s.putLinks(t, links)
}

// Intend records a change that is about to be sent; the row is on the disk when Intend returns. After an error there
// is none, and the request must not be sent.
func (s *Store) Intend(ctx context.Context, cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (intent int64, err error) {
	err = s.record(ctx, "record intent", func(t *tx) error {
		intent, err = s.intend(t, cycle, c, u, g)
		return err
	})
	return intent, err
}

func (s *Store) intend(t *tx, cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (int64, error) {
	if err := s.isOpen(t, cycle); err != nil {
		return 0, err
	}
	fields, err1 := encode(c.Fields, len(c.Fields) == 0)
	members, err2 := encode(c.Members, len(c.Members) == 0)
	groups, err3 := encode(c.Groups, len(c.Groups) == 0)
	user, err4 := encode(u, u == nil)
	group, err5 := encode(g, g == nil)
	spends, err6 := encode(c.Spends, len(c.Spends) == 0)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return 0, fmt.Errorf("encode %s: %w", c.Key(), err)
	}
	wanted := user
	if g != nil {
		wanted = group
	}
	id, err := t.insert(`INSERT INTO changes
		(pipeline, cycle, verb, kind, source, target, name, why, detail, fields, members, groups, spends, wanted, intended)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		s.pipeline, cycle, c.Verb, c.Object.Kind, c.Object.Source, c.Object.Target, c.Object.Name, c.Why, c.Detail,
		fields, members, groups, spends, wanted, millis(s.now()))
	if err != nil {
		return 0, err
	}
	for _, m := range c.Members {
		person := m.User.Source
		if person == "" {
			person = m.User.Target
		}
		if err := t.exec(`INSERT INTO change_people (pipeline, person, change) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, s.pipeline, person, id); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// Settle records how an intent ended and what follows for links and escrow, in one transaction that is on the disk
// when Settle returns. An object that succeeds leaves escrow. An intent is settled once, save that one with outcome unknown
// stays open.
func (s *Store) Settle(ctx context.Context, st reconcile.Settled) error {
	return s.record(ctx, "record outcome", func(t *tx) error { return s.settle(t, st) })
}

func (s *Store) settle(t *tx, st reconcile.Settled) error {
	if st.Outcome == "" {
		return fmt.Errorf("change %d: no outcome given", st.Intent)
	}
	var kind reconcile.Kind
	var source, target string
	if st.Link != nil {
		target = st.Link.Target // a created object has its SCIM id only now
	}
	err := t.row(`UPDATE changes SET outcome = $3, error = $4, took = $5, settled = $6, wanted = CASE WHEN $3 = 'unknown' THEN wanted END,
		target = CASE WHEN target = '' THEN $7 ELSE target END
		WHERE pipeline = $1 AND id = $2 AND (outcome IS NULL OR outcome = 'unknown') RETURNING kind, source`,
		[]any{s.pipeline, st.Intent, st.Outcome, st.Error, st.Took.Microseconds(), millis(s.now()), target}, []any{&kind, &source})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("change %d is not open", st.Intent)
	}
	if err != nil {
		return err
	}
	if st.Link != nil {
		if err := s.putLinks(t, []reconcile.Link{*st.Link}); err != nil {
			return err
		}
	}
	if st.Unlink != nil {
		err := t.exec(`DELETE FROM links WHERE pipeline = $1 AND kind = $2 AND (source = $3 OR target = $4)`, s.pipeline, st.Unlink.Kind, st.Unlink.Source, st.Unlink.Target)
		if err != nil {
			return err
		}
	}
	switch {
	case st.Wait != nil:
		w := st.Wait
		return t.exec(`INSERT INTO escrow (pipeline, kind, source, name, verb, attempts, next, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (pipeline, kind, source) DO UPDATE SET name = excluded.name, verb = excluded.verb, attempts = excluded.attempts, next = excluded.next, reason = excluded.reason`,
			s.pipeline, w.Kind, w.Source, w.Name, w.Verb, w.Attempts, millis(w.Next), w.Reason)
	case st.Link != nil || st.Unlink != nil || st.Outcome == reconcile.OutcomeDone:
		return t.exec(`DELETE FROM escrow WHERE pipeline = $1 AND kind = $2 AND source = $3`, s.pipeline, kind, source)
	}
	return nil
}

func (s *Store) putLinks(t *tx, links []reconcile.Link) error {
	for _, l := range links {
		row, err := encodeLink(l)
		if err != nil {
			return fmt.Errorf("encode link of %s %s: %w", l.Kind, l.Source, err)
		}
		err = t.exec(`INSERT INTO links (pipeline, kind, source, target, name, last, members, stuck, gone, on_call, contested)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (pipeline, kind, source) DO UPDATE SET target = excluded.target, name = excluded.name, last = excluded.last, members = excluded.members,
			stuck = excluded.stuck, gone = excluded.gone, on_call = excluded.on_call, contested = excluded.contested`,
			s.pipeline, l.Kind, l.Source, l.Target, row.name, row.last, row.members, row.stuck, orNull(l.Left), orNull(l.OnCall), row.contested)
		if s.db.clashes(err) {
			return alreadyLinked(l, s.standsFor(t, l))
		}
		if err != nil {
			return fmt.Errorf("link %s %s to %s: %w", l.Kind, l.Source, l.Target, err)
		}
	}
	return nil
}

// standsFor is who the object of the target is linked to. A refused row ends the transaction of one of the databases, so
// the reader is asked, which sees what was committed before.
func (s *Store) standsFor(t *tx, l reconcile.Link) string {
	other := "somebody else"
	_ = s.ro.QueryRowContext(t.ctx, `SELECT source FROM links WHERE pipeline = $1 AND kind = $2 AND target = $3`, s.pipeline, l.Kind, l.Target).Scan(&other)
	return other
}

func alreadyLinked(l reconcile.Link, other string) error {
	return fmt.Errorf("link %s %s to %s: that object stands for %s already (see what `adopt` says of the two)", l.Kind, l.Source, l.Target, other)
}

// Finish closes the cycle. The rules, hash and texts, become the ledger's only when the cycle ended without an error: a
// stopped one may not have looked at everything that the new rules mean. Used sets are used either way.
func (s *Store) Finish(ctx context.Context, cycle int64, sum reconcile.CycleSummary) error {
	texts, err := encode(sum.RuleTexts, len(sum.RuleTexts) == 0)
	if err != nil {
		return fmt.Errorf("finish cycle: encode rules: %w", err)
	}
	return s.record(ctx, "finish cycle", func(t *tx) error {
		n, err := t.count(`UPDATE cycles SET finished = $1, rules = $2, planned = $3, done = $4, failed = $5, held = $6, skipped = $7, error = $8
			WHERE pipeline = $9 AND id = $10 AND finished IS NULL`,
			millis(s.now()), sum.Rules, sum.Planned, sum.Done, sum.Failed, sum.Held, sum.Skipped, sum.Error, s.pipeline, cycle)
		switch {
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("cycle %d is not open", cycle)
		}
		for _, w := range sum.Moot {
			if err := t.exec(`DELETE FROM escrow WHERE pipeline = $1 AND kind = $2 AND source = $3 AND verb = $4`, s.pipeline, w.Kind, w.Source, w.Verb); err != nil {
				return err
			}
		}
		for _, fingerprint := range sum.Used {
			err := t.exec(`UPDATE held_sets SET used = $1, used_in = $2 WHERE pipeline = $3 AND fingerprint = $4 AND used IS NULL AND approved IS NOT NULL`,
				millis(s.now()), cycle, s.pipeline, fingerprint)
			if err != nil {
				return err
			}
		}
		if sum.Error != "" || sum.Rules == "" {
			return nil
		}
		return t.exec(`UPDATE meta SET rules = $1, texts = $2 WHERE pipeline = $3`, sum.Rules, texts, s.pipeline)
	})
}

// DefaultRetention is how long changes and cycles are kept when nothing else is said: a year's review and a month.
const DefaultRetention = 400 * 24 * time.Hour

// Prune deletes changes, cycles and used held sets older than keep, or than DefaultRetention when keep is zero. Open intents and their
// cycles stay, and so does the newest cycle, which tells how far the store has come. One call deletes a bounded number of rows, in short transactions; the rest waits for the next call.
func (s *Store) Prune(ctx context.Context, keep time.Duration) error {
	if keep < 0 {
		return fmt.Errorf("prune: retention %s is negative", keep)
	}
	if keep == 0 {
		keep = DefaultRetention
	}
	before := millis(s.now().Add(-keep))
	err := s.record(ctx, "prune", func(t *tx) error {
		return t.exec(`DELETE FROM held_sets WHERE pipeline = $1 AND used < $2`, s.pipeline, before)
	})
	if err != nil {
		return err
	}
	const step, rounds = 200, 100
	for range rounds {
		var changes, cycles int64
		err := s.record(ctx, "prune", func(t *tx) (err error) {
			changes, err = t.count(`DELETE FROM changes WHERE id IN (SELECT id FROM changes
				WHERE pipeline = $1 AND intended < $2 AND outcome <> 'unknown' ORDER BY intended LIMIT $3)`, s.pipeline, before, step)
			if err != nil || changes == step {
				return err
			}
			cycles, err = t.count(`DELETE FROM cycles WHERE id IN (SELECT id FROM cycles c
				WHERE pipeline = $1 AND started < $2 AND NOT EXISTS (SELECT 1 FROM changes WHERE cycle = c.id)
					AND id < (SELECT max(id) FROM cycles WHERE pipeline = $1) ORDER BY started LIMIT $3)`, s.pipeline, before, step)
			return err
		})
		if err != nil {
			return err
		}
		if changes < step && cycles < step {
			return nil
		}
	}
	return nil
}

// encode returns v as JSON text, or nil, which a database keeps as NULL, for nothing.
func encode(v any, empty bool) (any, error) {
	if empty {
		return nil, nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}
