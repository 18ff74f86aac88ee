package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// HeldState is how far a held set has come.
type HeldState string

// The states of a held set.
const (
	HeldWaiting  HeldState = "waiting"
	HeldApproved HeldState = "approved"
	HeldLapsed   HeldState = "lapsed" // approved, but not used within reconcile.ApprovalLife: it waits again
	HeldUsed     HeldState = "used"   // carried out; an approval is good for one use
)

// A HeldRecord is a held set as it was recorded, with what has become of it.
type HeldRecord struct {
	reconcile.HeldSet
	State  HeldState
	Cycle  int64     // the cycle that recorded it
	Used   time.Time // zero until used
	UsedIn int64     // the cycle that carried it out
}

// state tells, of a record that is complete but for it, how far it has come at now.
func (r HeldRecord) state(now time.Time) HeldState {
	switch {
	case !r.Used.IsZero():
		return HeldUsed
	case r.Approved.IsZero():
		return HeldWaiting
	case now.Sub(r.Approved) > reconcile.ApprovalLife:
		return HeldLapsed
	}
	return HeldApproved
}

// Hold makes sets the ones that wait. A set that is known is left as it is. One that is not among them is deleted,
// unless its approval is still good or it was used.
func (s *Store) Hold(ctx context.Context, cycle int64, sets []reconcile.HeldSet) error {
	if err := named(sets); err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	return s.record(ctx, "hold", func(t *tx) error {
		if err := s.isOpen(t, cycle); err != nil {
			return err
		}
		now := s.now()
		unused, err := s.readHeld(ctx, t, "AND used IS NULL")
		if err != nil {
			return err
		}
		for _, r := range unused {
			among := slices.ContainsFunc(sets, func(set reconcile.HeldSet) bool { return set.Fingerprint == r.Fingerprint })
			if among || r.State == HeldApproved {
				continue
			}
			// One that was approved since it was read, outside this run's lock, stays.
			err := t.exec(`DELETE FROM held_sets WHERE pipeline = $1 AND fingerprint = $2 AND used IS NULL AND (approved IS NULL OR approved <= $3)`,
				s.pipeline, r.Fingerprint, millis(r.Approved))
			if err != nil {
				return err
			}
		}
		for _, set := range sets {
			items, err := encode(set.Items, len(set.Items) == 0)
			if err != nil {
				return fmt.Errorf("encode set %s: %w", set.Fingerprint, err)
			}
			err = t.exec(`INSERT INTO held_sets (pipeline, fingerprint, axis, reason, items, cycle, created) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
				s.pipeline, set.Fingerprint, set.Axis, set.Reason, items, cycle, millis(createdAt(set, now)))
			if err != nil {
				return fmt.Errorf("set %q: %w", set.Fingerprint, err)
			}
		}
		return nil
	})
}

func named(sets []reconcile.HeldSet) error {
	if slices.ContainsFunc(sets, func(s reconcile.HeldSet) bool { return s.Fingerprint == "" }) {
		return errors.New("a set has no fingerprint")
	}
	return nil
}

func createdAt(set reconcile.HeldSet, now time.Time) time.Time {
	if set.Created.IsZero() {
		return now
	}
	return set.Created
}

// Approve says yes to the one waiting set whose fingerprint begins with prefix: the next cycle within
// reconcile.ApprovalLife carries out what of it is still planned, once. It needs no lock and waits for other writers.
func (s *Store) Approve(ctx context.Context, prefix, by string) (reconcile.HeldSet, error) {
	var set reconcile.HeldSet
	err := s.write(ctx, "approve", func(t *tx) error {
		records, err := s.readHeld(ctx, t, "")
		if err != nil {
			return err
		}
		now := fromMillis(millis(s.now()))
		if set, err = approve(records, prefix, by, now); err != nil {
			return err
		}
		n, err := t.count(`UPDATE held_sets SET approved = $1, approver = $2 WHERE pipeline = $3 AND fingerprint = $4 AND used IS NULL`,
			millis(now), set.By, s.pipeline, set.Fingerprint)
		if err == nil && n == 0 {
			err = fmt.Errorf("set %s is no longer held: a run that ended just now does not plan it any more (`status` lists the sets)", set.Fingerprint)
		}
		return err
	})
	if err != nil {
		return reconcile.HeldSet{}, err
	}
	return set, nil
}

// Waiting returns the set that Approve would say yes to.
func (s *Store) Waiting(ctx context.Context, prefix string) (reconcile.HeldSet, error) {
	records, err := s.HeldSets(ctx)
	if err != nil {
		return reconcile.HeldSet{}, err
	}
	return approve(records, prefix, "nobody yet", s.now())
}

// minPrefix is how much of a fingerprint must be given: less is a typing error away from another set.
const minPrefix = 6

// approve is the set as by's yes leaves it, or why there can be none. The newest record comes first.
func approve(records []HeldRecord, prefix, by string, now time.Time) (reconcile.HeldSet, error) {
	by, err := decider(by)
	if err != nil {
		return reconcile.HeldSet{}, err
	}
	prefix = strings.TrimSpace(prefix)
	if len(prefix) < minPrefix {
		return reconcile.HeldSet{}, fmt.Errorf("fingerprint %q is too short: give at least its first %d characters (`status` lists the sets)", prefix, minPrefix)
	}
	r, err := findHeld(records, prefix)
	if err != nil {
		return reconcile.HeldSet{}, err
	}
	switch r.State {
	case HeldUsed:
		return reconcile.HeldSet{}, fmt.Errorf("set %s was approved by %s and carried out in cycle %d, and an approval is good once: if it is planned again, the next sync records it anew (`status` lists the sets)", r.Fingerprint, r.By, r.UsedIn)
	case HeldApproved:
		return reconcile.HeldSet{}, fmt.Errorf("set %s was approved by %s at %s already: the next sync carries it out, until %s",
			r.Fingerprint, r.By, r.Approved.Format(time.RFC3339), r.Approved.Add(reconcile.ApprovalLife).Format(time.RFC3339))
	}
	set := r.HeldSet
	set.Approved, set.By = now, by
	return set, nil
}

// findHeld looks among the sets that were not used first: one that was used may have come back.
func findHeld(records []HeldRecord, prefix string) (HeldRecord, error) {
	var unused, used []HeldRecord
	for _, r := range records {
		switch {
		case !strings.HasPrefix(r.Fingerprint, prefix):
		case r.State == HeldUsed:
			used = append(used, r)
		case r.Fingerprint == prefix:
			return r, nil
		default:
			unused = append(unused, r)
		}
	}
	switch {
	case len(unused) == 1:
		return unused[0], nil
	case len(unused) > 1:
		var names []string
		for _, r := range unused {
			names = append(names, r.Fingerprint)
		}
		slices.Sort(names)
		return HeldRecord{}, fmt.Errorf("fingerprint %s is ambiguous, it begins %s: give more of it", prefix, strings.Join(names, " and "))
	case len(used) > 0:
		return used[0], nil
	}
	return HeldRecord{}, fmt.Errorf("no held set has the fingerprint %s: it is recorded by the next sync; `status` lists the sets", prefix)
}

// decider is the name of who decides, which every decision records.
func decider(by string) (string, error) {
	by = strings.TrimSpace(by)
	if by == "" {
		return "", errors.New("nobody is named: say who decides with --by")
	}
	return by, nil
}

// HeldSets returns every set on record, the newest first: those that wait, and until retention those that were used.
func (s *Store) HeldSets(ctx context.Context) ([]HeldRecord, error) {
	records, err := s.readHeld(ctx, s.ro, "")
	if err != nil {
		return nil, fmt.Errorf("read held sets: %w", s.db.explain(err))
	}
	return records, nil
}

// readHeld reads the newest first. where, when given, narrows the query.
func (s *Store) readHeld(ctx context.Context, q querier, where string) ([]HeldRecord, error) {
	now := s.now()
	var records []HeldRecord
	err := each(ctx, q, func(rows *sql.Rows) error {
		var r HeldRecord
		var items sql.RawBytes
		var created int64
		var approved, used sql.NullInt64
		if err := rows.Scan(&r.Fingerprint, &r.Axis, &r.Reason, &items, &r.Cycle, &created, &approved, &r.By, &used, &r.UsedIn); err != nil {
			return err
		}
		if err := decode(items, &r.Items); err != nil {
			return fmt.Errorf("held set %s: %w", r.Fingerprint, err)
		}
		r.Created = fromMillis(created)
		r.Approved, r.Used = instant(approved), instant(used)
		r.State = r.state(now)
		records = append(records, r)
		return nil
	}, `SELECT fingerprint, axis, reason, items, cycle, created, approved, approver, used, used_in FROM held_sets WHERE pipeline = $1 `+
		where+` ORDER BY id DESC`, s.pipeline)
	return records, err
}

// heldNow are the sets that a cycle must know, by fingerprint: those that wait, and those with an approval that is
// still good. An approval that has lapsed is none.
func heldNow(records []HeldRecord) []reconcile.HeldSet {
	var sets []reconcile.HeldSet
	for _, r := range records {
		switch r.State {
		case HeldUsed:
			continue
		case HeldLapsed:
			r.Approved, r.By = time.Time{}, ""
		}
		sets = append(sets, r.HeldSet)
	}
	slices.SortFunc(sets, func(a, b reconcile.HeldSet) int { return cmp.Compare(a.Fingerprint, b.Fingerprint) })
	return sets
}
