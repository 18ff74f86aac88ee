package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Ledger reads what a cycle must know when it begins, as it was at one moment. It needs no lock.
func (s *Store) Ledger(ctx context.Context) (reconcile.Ledger, error) {
	tx, err := s.ro.BeginTx(ctx, s.db.readOnly())
	if err != nil {
		return reconcile.Ledger{}, fmt.Errorf("read ledger: %w", s.db.explain(err))
	}
	defer tx.Rollback() // it has read only
	var l reconcile.Ledger
	steps := []func() error{
		func() error { return s.readRules(ctx, tx, &l) },
		func() error { return s.readUsers(ctx, tx, &l) },
		func() error { return s.readGroups(ctx, tx, &l) },
		func() (err error) { l.Waiting, err = s.readEscrow(ctx, tx); return err },
		func() (err error) { l.Open, err = s.readOpen(ctx, tx); return err },
		func() error {
			records, err := s.readHeld(ctx, tx, "AND used IS NULL")
			l.Held = heldNow(records)
			return err
		},
		func() (err error) { l.Spent, err = s.readSpent(ctx, tx); return err },
		func() error {
			pins, err := s.readPins(ctx, tx)
			l.Pinned = pinned(pins)
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return reconcile.Ledger{}, fmt.Errorf("read ledger: %w", s.db.explain(err))
		}
	}
	return l, nil
}

func (s *Store) readRules(ctx context.Context, tx *sql.Tx, l *reconcile.Ledger) error {
	var texts, quarantine []byte
	if err := tx.QueryRowContext(ctx, `SELECT rules, texts, quarantine FROM meta WHERE pipeline = $1`, s.pipeline).Scan(&l.Rules, &texts, &quarantine); err != nil {
		return err
	}
	return errors.Join(decode(texts, &l.RuleTexts), decode(quarantine, &l.Quarantine))
}

// spendingWindow is how far back what was taken away counts.
const spendingWindow = 24 * time.Hour

// readSpent sums what was done, in whatever cycle, also one that was stopped or killed.
func (s *Store) readSpent(ctx context.Context, tx *sql.Tx) (map[reconcile.Axis]int, error) {
	spent := map[reconcile.Axis]int{}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var spends sql.RawBytes
		if err := rows.Scan(&spends); err != nil {
			return err
		}
		var one map[reconcile.Axis]int
		err := decode(spends, &one)
		for axis, n := range one {
			spent[axis] += n
		}
		return err
	}, `SELECT spends FROM changes WHERE pipeline = $1 AND spends IS NOT NULL AND settled > $2 AND outcome = 'done'`,
		s.pipeline, millis(s.now().Add(-spendingWindow)))
	return spent, err
}

func (s *Store) countLinks(ctx context.Context, tx *sql.Tx, kind reconcile.Kind) (n int, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM links WHERE pipeline = $1 AND kind = $2`, s.pipeline, kind).Scan(&n)
	return n, err
}

func (s *Store) readUsers(ctx context.Context, tx *sql.Tx, l *reconcile.Ledger) error {
	n, err := s.countLinks(ctx, tx, reconcile.KindUser)
	if err != nil {
		return err
	}
	l.Users = make(map[connectors.UserID]reconcile.Link, n)
	return each(ctx, tx, func(rows *sql.Rows) error {
		link := reconcile.Link{Kind: reconcile.KindUser}
		if _, err := scanLink(rows, &link, &link.User); err != nil {
			return err
		}
		l.Users[connectors.UserID(link.Source)] = link
		return nil
	}, `SELECT `+linkColumns+` FROM links WHERE pipeline = $1 AND kind = 'user'`, s.pipeline)
}

// readGroups comes after readUsers: members are mostly linked people, whose ids are then kept once.
func (s *Store) readGroups(ctx context.Context, tx *sql.Tx, l *reconcile.Ledger) error {
	n, err := s.countLinks(ctx, tx, reconcile.KindGroup)
	if err != nil {
		return err
	}
	ids := make(map[string]string, len(l.Users))
	for _, u := range l.Users {
		ids[u.Target] = u.Target
	}
	l.Groups = make(map[connectors.GroupID]reconcile.Link, n)
	return each(ctx, tx, func(rows *sql.Rows) error {
		link := reconcile.Link{Kind: reconcile.KindGroup}
		members, err := scanLink(rows, &link, &link.Group)
		if err != nil {
			return err
		}
		if link.Group != nil {
			if link.Group.Members, err = decodeMembers(members, ids); err != nil {
				return fmt.Errorf("link of group %s: %w", link.Source, err)
			}
		}
		l.Groups[connectors.GroupID(link.Source)] = link
		return nil
	}, `SELECT `+linkColumns+` FROM links WHERE pipeline = $1 AND kind = 'group'`, s.pipeline)
}

const linkColumns = `source, target, last, members, stuck, gone, on_call, contested`

// scanLink reads a link, its values into last. The members are good until the next row.
func scanLink(rows *sql.Rows, l *reconcile.Link, last any) (members sql.RawBytes, err error) {
	var values, stuck, contested sql.RawBytes
	var left, onCall sql.NullInt64
	if err := rows.Scan(&l.Source, &l.Target, &values, &members, &stuck, &left, &onCall, &contested); err != nil {
		return nil, err
	}
	if err := errors.Join(decode(values, last), decode(stuck, &l.Stuck), decode(contested, &l.Contested)); err != nil {
		return nil, fmt.Errorf("link of %s %s: %w", l.Kind, l.Source, err)
	}
	l.Left, l.OnCall = instant(left), instant(onCall)
	return members, nil
}

func (s *Store) readOpen(ctx context.Context, tx *sql.Tx) ([]reconcile.Intent, error) {
	var open []reconcile.Intent
	err := each(ctx, tx, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		if err != nil {
			return err
		}
		open = append(open, reconcile.Intent{ID: e.ID, Cycle: e.Cycle, Change: e.Change, User: e.User, Group: e.Group})
		return nil
	}, `SELECT `+entryColumns+` FROM changes WHERE pipeline = $1 AND (outcome IS NULL OR outcome = 'unknown') ORDER BY id`, s.pipeline)
	return open, err
}

func (s *Store) readEscrow(ctx context.Context, q querier) ([]reconcile.Waiting, error) {
	var list []reconcile.Waiting
	err := each(ctx, q, func(rows *sql.Rows) error {
		var w reconcile.Waiting
		var next int64
		if err := rows.Scan(&w.Kind, &w.Source, &w.Name, &w.Verb, &w.Attempts, &next, &w.Reason); err != nil {
			return err
		}
		w.Next = fromMillis(next)
		list = append(list, w)
		return nil
	}, `SELECT kind, source, name, verb, attempts, next, reason FROM escrow WHERE pipeline = $1 ORDER BY next, kind, source`, s.pipeline)
	return list, err
}

// A querier is a *sql.DB or a *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls row for every row of the query and returns the first error, also one that ends the rows early.
func each(ctx context.Context, q querier, row func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// linkRow is a link as its table keeps it.
type linkRow struct {
	name      string // userName or displayName, to be found by
	last      string
	members   []byte
	stuck     any
	contested any
}

func encodeLink(l reconcile.Link) (linkRow, error) {
	var row linkRow
	row.name = linkName(l)
	var values any = l.User
	if l.Kind == reconcile.KindGroup {
		values = l.Group
		if l.Group != nil {
			row.members = encodeMembers(l.Group.Members)
			values = reconcile.GroupValues{DisplayName: l.Group.DisplayName, ExternalID: l.Group.ExternalID}
		}
	}
	last, err := json.Marshal(values)
	if err != nil {
		return linkRow{}, err
	}
	row.last = string(last)
	var err1, err2 error
	row.stuck, err1 = encode(l.Stuck, len(l.Stuck) == 0)
	row.contested, err2 = encode(l.Contested, len(l.Contested) == 0)
	return row, errors.Join(err1, err2)
}

// linkName is the userName or displayName that was written last.
func linkName(l reconcile.Link) string {
	switch {
	case l.User != nil:
		return l.User.UserName
	case l.Group != nil:
		return l.Group.DisplayName
	}
	return ""
}

func decode(b []byte, v any) error {
	if len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, v)
}

func encodeMembers(ids []string) []byte {
	n := 0
	for _, id := range ids {
		n += binary.MaxVarintLen16 + len(id)
	}
	b := make([]byte, 0, n)
	for _, id := range ids {
		b = binary.AppendUvarint(b, uint64(len(id)))
		b = append(b, id...)
	}
	return b
}

// decodeMembers takes the strings of known where it can, so that an id is in memory once however many groups have it.
func decodeMembers(b []byte, known map[string]string) ([]string, error) {
	count, err := 0, error(nil)
	for rest := b; len(rest) > 0; count++ {
		if _, rest, err = cut(rest); err != nil {
			return nil, err
		}
	}
	if count == 0 {
		return nil, nil
	}
	ids := make([]string, 0, count)
	for rest := b; len(rest) > 0; {
		var raw []byte
		if raw, rest, err = cut(rest); err != nil {
			return nil, err
		}
		id, ok := known[string(raw)]
		if !ok {
			id = string(raw)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func cut(b []byte) (id, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errors.New("member list is damaged")
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}
