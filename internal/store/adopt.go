package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Adopt gives up the links that unlink names and puts links, as somebody decided: all of it or, when a link to be given
// up is not there or an object of the target would stand for two, nothing. It leaves a cycle of its own in the
// history. The caller has the writer's lock, for a cycle under way has read the ledger already.
func (s *Store) Adopt(ctx context.Context, cycleAt time.Time, links []reconcile.Link, unlink []reconcile.Ref, by string) error {
	changes, note, err := adoption(links, unlink, by)
	if err != nil || len(changes) == 0 {
		return err
	}
	return s.record(ctx, "adopt", func(t *tx) error {
		if err := s.stillBound(t); err != nil {
			return err
		}
		cycle, err := t.insert(`INSERT INTO cycles (pipeline, started, planned, done, note) VALUES ($1, $2, $3, $4, $5)`,
			s.pipeline, millis(cycleAt), len(changes), len(changes), note)
		if err != nil {
			return err
		}
		for i, ref := range unlink {
			object := &changes[i].Object
			err := t.row(`DELETE FROM links WHERE pipeline = $1 AND kind = $2 AND ($3 = '' OR source = $3) AND ($4 = '' OR target = $4)
				RETURNING source, target`, []any{s.pipeline, ref.Kind, ref.Source, ref.Target}, []any{&object.Source, &object.Target})
			if errors.Is(err, sql.ErrNoRows) {
				return notLinked(ref)
			}
			if err != nil {
				return err
			}
		}
		if err := s.link(t, cycle, changes, links); err != nil {
			return err
		}
		return t.exec(`UPDATE cycles SET finished = $1 WHERE id = $2`, millis(s.now()), cycle)
	})
}

// adoption is what Adopt leaves in the history: the links given up, then those put, each in the order given.
func adoption(links []reconcile.Link, unlink []reconcile.Ref, by string) (changes []reconcile.Change, note string, err error) {
	if by, err = decider(by); err != nil {
		return nil, "", fmt.Errorf("adopt: %w", err)
	}
	for _, ref := range unlink {
		if ref.Source == "" && ref.Target == "" {
			return nil, "", fmt.Errorf("adopt: the link of %s %q to be given up has no id", ref.Kind, ref.Name)
		}
		changes = append(changes, reconcile.Change{Verb: VerbUnlink, Object: ref, Why: WhyAdopted, Detail: "by " + by})
	}
	for _, l := range links {
		ref := reconcile.Ref{Kind: l.Kind, Source: l.Source, Target: l.Target, Name: cmp.Or(linkName(l), l.Source)}
		changes = append(changes, reconcile.Change{Verb: reconcile.VerbLink, Object: ref, Why: WhyAdopted, Detail: "by " + by})
	}
	return changes, "adopted by " + by, nil
}

func notLinked(ref reconcile.Ref) error {
	return fmt.Errorf("%s %s is not linked (any more): run `adopt` again to see how things are", ref.Kind, cmp.Or(ref.Name, ref.Source, ref.Target))
}

// A Pinned object was restored by undo and is left as it is until it is unpinned.
type Pinned struct {
	Object reconcile.Ref
	Cycle  int64 // the cycle that was given to Pin
	At     time.Time
}

// Pin keeps the objects as they are from now on. Each must have its directory id. One that is pinned already belongs to
// the newer cycle then.
func (s *Store) Pin(ctx context.Context, refs []reconcile.Ref, cycle int64) error {
	if err := pinnable(refs); err != nil || len(refs) == 0 {
		return err
	}
	return s.write(ctx, "pin", func(t *tx) error {
		for _, r := range refs {
			err := t.exec(`INSERT INTO pins (pipeline, kind, source, target, name, cycle, pinned) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (pipeline, kind, source) DO UPDATE SET target = excluded.target, name = excluded.name, cycle = excluded.cycle, pinned = excluded.pinned`,
				s.pipeline, r.Kind, r.Source, r.Target, r.Name, cycle, millis(s.now()))
			if err != nil {
				return fmt.Errorf("%s %s: %w", r.Kind, r.Source, err)
			}
		}
		return nil
	})
}

func pinnable(refs []reconcile.Ref) error {
	var errs []error
	for _, r := range refs {
		if r.Source == "" {
			errs = append(errs, fmt.Errorf("pin: %s %s has no directory id", r.Kind, cmp.Or(r.Name, r.Target)))
		}
	}
	return errors.Join(errs...)
}

// Unpin lets go of whom who names, by name in any case, directory id or SCIM id, or of everything when who is "". It
// returns how many pins that were.
func (s *Store) Unpin(ctx context.Context, who string) (n int, err error) {
	err = s.write(ctx, "unpin", func(t *tx) error {
		rows, err := t.count(`DELETE FROM pins WHERE pipeline = $1 AND ($2 = '' OR source = $2 OR target = $2 OR lower(name) = lower($2))`, s.pipeline, who)
		n = int(rows)
		return err
	})
	return n, err
}

// Pins returns what is pinned, by kind and directory id.
func (s *Store) Pins(ctx context.Context) ([]Pinned, error) {
	pins, err := s.readPins(ctx, s.ro)
	if err != nil {
		return nil, fmt.Errorf("read pins: %w", s.db.explain(err))
	}
	return pins, nil
}

func (s *Store) readPins(ctx context.Context, q querier) ([]Pinned, error) {
	var pins []Pinned
	err := each(ctx, q, func(rows *sql.Rows) error {
		var p Pinned
		var at int64
		o := &p.Object
		if err := rows.Scan(&o.Kind, &o.Source, &o.Target, &o.Name, &p.Cycle, &at); err != nil {
			return err
		}
		p.At = fromMillis(at)
		pins = append(pins, p)
		return nil
	}, `SELECT kind, source, target, name, cycle, pinned FROM pins WHERE pipeline = $1 ORDER BY kind, source`, s.pipeline)
	return pins, err
}

func pinned(pins []Pinned) map[string]bool {
	ids := make(map[string]bool, len(pins))
	for _, p := range pins {
		ids[p.Object.Source] = true
	}
	return ids
}
