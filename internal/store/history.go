package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Cycle is one run as it was recorded. Finished is zero while it runs, and for ever when it was killed.
type Cycle struct {
	ID       int64
	Started  time.Time
	Finished time.Time
	Summary  reconcile.CycleSummary
	Note     string // what it was when it was no sync: "adopted by alice"
}

// What the history has besides a plan's own words.
const (
	VerbUnlink       reconcile.Verb    = "unlink"    // a link given up by Adopt; nothing was sent
	WhyAdopted       reconcile.Why     = "adopted"   // somebody decided it; Detail says who
	OutcomeAbandoned reconcile.Outcome = "abandoned" // still unknown when Relink left its directory or target
)

// An Entry is one recorded change. Outcome is "" while the change is open.
type Entry struct {
	ID       int64
	Cycle    int64
	Change   reconcile.Change
	User     *reconcile.UserValues  // what an open change leads to
	Group    *reconcile.GroupValues // what an open change leads to
	Outcome  reconcile.Outcome
	Error    string
	Intended time.Time
	Settled  time.Time // zero while open
	Took     time.Duration
}

// A Filter chooses entries; a zero field does not restrict.
type Filter struct {
	Cycle int64
	// Person is a person's or group's name, directory id or, while linked, SCIM id. A person's history has the changes
	// of groups that the person joined or left.
	Person string
	// ID is a directory id and nothing else, which is found by the index alone. It takes the place of Person.
	ID    string
	Since time.Time
	Until time.Time // the first moment that is not shown
	Limit int       // 100 when zero
}

func (f Filter) since() int64 {
	if f.Since.IsZero() {
		return math.MinInt64
	}
	return millis(f.Since)
}

func (f Filter) until() int64 {
	if f.Until.IsZero() {
		return math.MaxInt64
	}
	return millis(f.Until)
}

// during tells whether the moment t is in the filter's time.
func (f Filter) during(t time.Time) bool { return f.since() <= millis(t) && millis(t) < f.until() }

// Cycles returns the latest cycles, newest first, 20 when limit is not positive.
func (s *Store) Cycles(ctx context.Context, limit int) ([]Cycle, error) {
	return s.CyclesDuring(ctx, Filter{Limit: limit})
}

// CyclesDuring returns the latest cycles that began in the filter's time, newest first, 20 when it has no limit; only
// the filter's cycle if it names one. A person in it does not count.
func (s *Store) CyclesDuring(ctx context.Context, f Filter) ([]Cycle, error) {
	var list []Cycle
	err := each(ctx, s.ro, func(rows *sql.Rows) error {
		var c Cycle
		var started int64
		var finished sql.NullInt64
		m := &c.Summary
		if err := rows.Scan(&c.ID, &started, &finished, &m.Rules, &m.Planned, &m.Done, &m.Failed, &m.Held, &m.Skipped, &m.Error, &c.Note); err != nil {
			return err
		}
		c.Started, c.Finished = fromMillis(started), instant(finished)
		list = append(list, c)
		return nil
	}, `SELECT id, started, finished, rules, planned, done, failed, held, skipped, error, note FROM cycles
		WHERE pipeline = $1 AND started >= $2 AND started < $3 AND ($4 = 0 OR id = $4) ORDER BY id DESC LIMIT $5`,
		s.pipeline, f.since(), f.until(), f.Cycle, cmp.Or(max(f.Limit, 0), 20))
	if err != nil {
		return nil, fmt.Errorf("read cycles: %w", s.db.explain(err))
	}
	return list, nil
}

// Changes returns the entries that the filter chooses, newest first.
func (s *Store) Changes(ctx context.Context, f Filter) ([]Entry, error) {
	args := []any{s.pipeline}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	where := ""
	if f.Cycle != 0 {
		where += ` AND cycle = ` + arg(f.Cycle)
	}
	if !f.Since.IsZero() || !f.Until.IsZero() {
		where += ` AND intended >= ` + arg(f.since()) + ` AND intended < ` + arg(f.until())
	}
	if f.Person != "" || f.ID != "" {
		ids, err := []string{f.ID}, error(nil)
		if f.ID == "" {
			ids, err = s.idsOf(ctx, f.Person)
		}
		if err != nil {
			return nil, fmt.Errorf("read changes: %w", s.db.explain(err))
		}
		who := make([]string, len(ids))
		for i, id := range ids {
			who[i] = arg(id)
		}
		among := ` IN (` + strings.Join(who, ", ") + `)`
		where += ` AND id IN (
			SELECT id FROM changes WHERE pipeline = $1 AND source` + among + `
			UNION SELECT change FROM change_people WHERE pipeline = $1 AND person` + among + `)`
	}
	query := `SELECT ` + entryColumns + ` FROM changes WHERE pipeline = $1` + where + ` ORDER BY id DESC LIMIT ` + arg(cmp.Or(max(f.Limit, 0), 100))
	var list []Entry
	err := each(ctx, s.ro, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		list = append(list, e)
		return err
	}, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read changes: %w", s.db.explain(err))
	}
	return list, nil
}

// idsOf are the directory ids that person may mean. They are read first: with the ids at hand a server sees that few rows
// are asked for, and takes the indexes.
func (s *Store) idsOf(ctx context.Context, person string) ([]string, error) {
	ids := []string{person}
	err := each(ctx, s.ro, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT source FROM changes WHERE pipeline = $1 AND lower(name) = lower($2)
		UNION SELECT source FROM links WHERE pipeline = $1 AND (target = $2 OR lower(name) = lower($2))`, s.pipeline, person)
	return ids, err
}

// CycleChanges returns all entries of a cycle in their order, as undo needs them: an object that the cycle created has
// the SCIM id that it got.
func (s *Store) CycleChanges(ctx context.Context, cycle int64) ([]Entry, error) {
	var list []Entry
	err := each(ctx, s.ro, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		list = append(list, e)
		return err
	}, `SELECT `+entryColumns+` FROM changes WHERE cycle = $1 AND pipeline = $2 ORDER BY id`, cycle, s.pipeline)
	if err == nil && len(list) == 0 {
		err = s.ro.QueryRowContext(ctx, `SELECT id FROM cycles WHERE id = $1 AND pipeline = $2`, cycle, s.pipeline).Scan(&cycle)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noCycle(cycle)
	}
	if err != nil {
		return nil, fmt.Errorf("read changes of cycle %d: %w", cycle, s.db.explain(err))
	}
	return list, nil
}

func noCycle(cycle int64) error {
	return fmt.Errorf("there is no cycle %d on record (`history` lists them)", cycle)
}

// Escrow returns the objects that wait for a later cycle, the next one first.
func (s *Store) Escrow(ctx context.Context) ([]reconcile.Waiting, error) {
	list, err := s.readEscrow(ctx, s.ro)
	if err != nil {
		return nil, fmt.Errorf("read escrow: %w", s.db.explain(err))
	}
	return list, nil
}

// Links counts who and what we manage.
func (s *Store) Links(ctx context.Context) (users, groups int, err error) {
	err = s.ro.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE kind = 'user'), count(*) FILTER (WHERE kind = 'group') FROM links WHERE pipeline = $1`, s.pipeline).Scan(&users, &groups)
	if err != nil {
		return 0, 0, fmt.Errorf("count links: %w", s.db.explain(err))
	}
	return users, groups, nil
}

const entryColumns = `id, cycle, verb, kind, source, target, name, why, detail, fields, members, groups, spends, wanted, intended, settled, took, outcome, error`

func scanEntry(rows *sql.Rows) (Entry, error) {
	var e Entry
	var fields, members, groups, spends, wanted sql.RawBytes
	var intended, took int64
	var settled sql.NullInt64
	var outcome sql.NullString
	c := &e.Change
	err := rows.Scan(&e.ID, &e.Cycle, &c.Verb, &c.Object.Kind, &c.Object.Source, &c.Object.Target, &c.Object.Name, &c.Why, &c.Detail,
		&fields, &members, &groups, &spends, &wanted, &intended, &settled, &took, &outcome, &e.Error)
	if err != nil {
		return Entry{}, err
	}
	var values any = &e.User
	if c.Object.Kind == reconcile.KindGroup {
		values = &e.Group
	}
	if err := errors.Join(decode(fields, &c.Fields), decode(members, &c.Members), decode(groups, &c.Groups), decode(spends, &c.Spends), decode(wanted, values)); err != nil {
		return Entry{}, fmt.Errorf("change %d: %w", e.ID, err)
	}
	e.Outcome, e.Took = reconcile.Outcome(outcome.String), time.Duration(took)*time.Microsecond
	e.Intended, e.Settled = fromMillis(intended), instant(settled)
	return e, nil
}
