// Package store keeps what must outlive a cycle, in one SQLite file or in a PostgreSQL database: who we manage and what
// we wrote last, every change with its intent and outcome, what keeps failing, what waits for a person's yes, the last
// answer of the directory, and which directory and target all of it belongs to. A Memory does the same for one process.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Options say where the state is and what it belongs to. Either Path or DSN is given.
type Options struct {
	Path     string        // the SQLite file; its directory must exist
	DSN      func() string // the PostgreSQL connection string
	Source   string        // the directory's tenant
	Target   string        // the SCIM base URL
	Pipeline string        // "default" when empty
	LockTTL  time.Duration // how long the writer's lock of a killed run stays taken on PostgreSQL; WriterTTL when zero, and at most that
	// AtWork tells of another pipeline with the same source and target whether it is at work with this state too. One that is not
	// is most likely this one by an earlier name. Nil means that each is.
	AtWork func(pipeline string) bool
	// AllowOther opens a store that is bound to another pair too, for Relink; until then Begin refuses.
	AllowOther bool
	Log        *slog.Logger
	Now        func() time.Time // time.Now when nil
}

// A Store is an open state, bound to one directory and one target. Its methods are safe for concurrent use.
type Store struct {
	db       database
	pipeline string
	log      *slog.Logger
	now      func() time.Time
	ro       *sql.DB // reads, each of one consistent state, beside the writer
	w        *writer

	fresh bool // Open made the binding

	mu    sync.Mutex
	own   pair      // what the caller works with
	bound pair      // what the state belongs to, as was read last
	held  *heldLock // the writer's lock, nil without it
}

var _ reconcile.Journal = (*Store)(nil)

// Open opens the state, or creates it and binds it to Source and Target; a file gets mode 0600. It proves that the state is
// ours, undamaged, writable, not too new for this binary and bound to the same pair; an error says which of these fails
// and what to do.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Source == "" || o.Target == "" {
		return nil, fmt.Errorf("open state: source %q and target %q must both be set", o.Source, o.Target)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := newDatabase(o)
	if err != nil {
		return nil, err
	}
	return open(ctx, db, o)
}

func open(ctx context.Context, db database, o Options) (*Store, error) {
	s := &Store{db: db, pipeline: o.pipeline(), own: pair{o.Source, o.Target}, log: o.Log, now: o.Now, ro: db.reader()}
	err := db.prepare(ctx)
	if err != nil {
		return nil, errors.Join(db.explain(err), db.close())
	}
	if s.w, err = newWriter(ctx, db, o.Log); err != nil {
		return nil, errors.Join(db.explain(err), db.close())
	}
	if err := s.bind(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Place is where the store is: the file, or user, server and database.
func (s *Store) Place() string { return s.db.place() }

// Fresh tells whether Open found nothing of this pipeline and made its binding.
func (s *Store) Fresh() bool { return s.fresh }

// Close ends the store after the writes that are under way.
func (s *Store) Close() error {
	return errors.Join(s.w.close(), s.db.close())
}

// A Health is what doctor shows of a store that works.
type Health struct {
	Place    string // the file, or user, server and database
	Product  string // "SQLite 3.50.1", "PostgreSQL 15.18"
	Pipeline string
	Source   string
	Target   string
	Lineage  string // random, made with the store: a copy has the same one
	Schema   int64
	Holder   string // who has the writer's lock, "" for nobody
	Users    int    // linked
	Groups   int    // linked
	Open     int    // intents without outcome
	Waiting  int    // objects in escrow
	Bytes    int64
}

// Check writes to the store, so that a full or read-only disk shows, and counts what is in it.
func (s *Store) Check(ctx context.Context) (Health, error) {
	h := Health{Place: s.db.place(), Pipeline: s.pipeline}
	err := s.write(ctx, "check", func(t *tx) error {
		return t.exec(`UPDATE meta SET checked = $1 WHERE pipeline = $2`, millis(s.now()), s.pipeline)
	})
	if err != nil {
		return h, err
	}
	const q = `SELECT source, target, lineage, (` + readSchema + `),
		(SELECT count(*) FROM links WHERE pipeline = $1 AND kind = 'user'),
		(SELECT count(*) FROM links WHERE pipeline = $1 AND kind = 'group'),
		(SELECT count(*) FROM changes WHERE pipeline = $1 AND (outcome IS NULL OR outcome = 'unknown')),
		(SELECT count(*) FROM escrow WHERE pipeline = $1)
		FROM meta WHERE pipeline = $1`
	err = s.ro.QueryRowContext(ctx, q, s.pipeline).Scan(&h.Source, &h.Target, &h.Lineage, &h.Schema, &h.Users, &h.Groups, &h.Open, &h.Waiting)
	if err == nil {
		h.Product, h.Bytes, err = s.db.facts(ctx)
	}
	if err == nil && !s.hasLock() {
		h.Holder, err = s.db.holder(ctx, s)
	}
	if err != nil {
		return h, fmt.Errorf("count state: %w", s.db.explain(err))
	}
	return h, nil
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// orNull is t as a column keeps it, nil for the zero time.
func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return millis(t)
}

func instant(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return fromMillis(ms.Int64)
}
