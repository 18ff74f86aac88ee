// Package store keeps what must outlive a cycle in one SQLite file: who we manage and what we wrote last, every change
// with its intent and outcome, what keeps failing, what waits for a person's yes, the last answer of the directory, and
// which directory and target all of it belongs to. A Memory does the same for one process.
package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Options say where the state is and what it belongs to.
type Options struct {
	Path     string // the SQLite file; its directory must exist
	Source   string // the directory's tenant
	Target   string // the SCIM base URL
	Pipeline string // "default" when empty
	// AllowOther opens a store that is bound to another pair too, for Relink; until then Begin refuses.
	AllowOther bool
	Log        *slog.Logger
	Now        func() time.Time // time.Now when nil
}

// A Store is an open state file, bound to one directory and one target. Its methods are safe for concurrent use.
type Store struct {
	path     string
	pipeline string
	log      *slog.Logger
	now      func() time.Time
	ro       *sql.DB // reads, each of one consistent state, beside the writer
	w        *writer

	mu      sync.Mutex
	own     pair   // what the caller works with
	bound   pair   // what the file belongs to, as was read last
	release func() // gives up the writer's lock, nil without it
}

var _ reconcile.Journal = (*Store)(nil)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks our files in SQLite's header; the first migration writes it.
const applicationID = 0x52497379

// Open opens the state file, or creates it with mode 0600 and binds it to Source and Target. It proves that the file is
// ours, undamaged, writable, not newer than this binary and bound to the same pair; an error says which of these fails
// and what to do.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Path == "" || o.Source == "" || o.Target == "" {
		return nil, fmt.Errorf("open state: path %q, source %q and target %q must all be set", o.Path, o.Source, o.Target)
	}
	s := &Store{path: o.Path, pipeline: cmp.Or(o.Pipeline, "default"), own: pair{o.Source, o.Target}, log: o.Log, now: o.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.prepareFile(); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(o.Path, "_txlock=immediate&_pragma=synchronous(full)&_pragma=foreign_keys(1)"))
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", o.Path, err)
	}
	db.SetMaxOpenConns(1)
	if err := s.prepare(ctx, db, o.AllowOther); err != nil {
		return nil, errors.Join(explain(o.Path, err), db.Close())
	}
	s.ro, err = sql.Open("sqlite", dsn(o.Path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", o.Path, err), db.Close())
	}
	s.ro.SetMaxOpenConns(max(2, runtime.GOMAXPROCS(0)))
	if s.w, err = newWriter(ctx, db); err != nil {
		return nil, errors.Join(explain(o.Path, err), s.ro.Close(), db.Close())
	}
	return s, nil
}

// Close ends the store after the writes that are under way.
func (s *Store) Close() error {
	return errors.Join(s.w.close(), s.ro.Close())
}

func dsn(path, query string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()}
	return u.String() + "?_pragma=busy_timeout(5000)&" + query
}

// prepareFile proves with the file system's own errors what SQLite would only call "unable to open".
func (s *Store) prepareFile() error {
	if dir, err := os.Stat(filepath.Dir(s.path)); err != nil {
		return fileError(err)
	} else if !dir.IsDir() {
		return fmt.Errorf("%s is no directory (set another state.path)", filepath.Dir(s.path))
	}
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileError(err)
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fileError(err)
	}
	if n > 0 && string(head[:n]) != magic {
		return fmt.Errorf("%s is no SQLite database (set state.path to a file of its own, or move this one away)", s.path)
	}
	if info, err := f.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		s.log.Warn("state file can be read by others (chmod 600 it: it holds names and addresses)", "path", s.path, "mode", info.Mode().Perm())
	}
	return nil
}

// prepare brings a file that may be empty, old, foreign or damaged to one that is ours and bound, or says why not.
// Nothing is written before the file is known to be ours.
func (s *Store) prepare(ctx context.Context, db *sql.DB, allowOther bool) error {
	have, err := s.schema(ctx, db)
	if err != nil {
		return err
	}
	var answer string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&answer); err != nil {
		return err
	}
	if answer != "ok" {
		return fmt.Errorf("state %s is damaged: %s (restore it from a backup, or move it away: the next run is then a first contact, which holds removals)", s.path, answer)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&answer); err != nil {
		return err
	}
	if answer != "wal" {
		return fmt.Errorf("state %s: no write-ahead log on this file system (put state.path on a local disk)", s.path)
	}
	if err := s.migrate(ctx, db, have); err != nil {
		return err
	}
	return s.bind(ctx, db, allowOther)
}

// migrate brings the schema up to this binary's. Only the holder of the writer's lock may change it.
func (s *Store) migrate(ctx context.Context, db *sql.DB, have int64) error {
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	want := newest(provider)
	if have == want {
		return nil
	}
	unlock, err := lock(s.path, s.now())
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate state from schema %d to %d: %w", have, want, err)
	}
	return nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

func newest(p *goose.Provider) int64 {
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

// schema returns the version of the file's schema, 0 for an empty file. It refuses databases of other programs and of
// newer versions of this one.
func (s *Store) schema(ctx context.Context, db *sql.DB) (version int64, err error) {
	var id, tables int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, err
	}
	// An interrupted first run may have left goose's own, still empty, table.
	const others = `SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'goose%' AND tbl_name NOT LIKE 'sqlite%'`
	if err := db.QueryRowContext(ctx, others).Scan(&tables); err != nil {
		return 0, err
	}
	switch {
	case id == 0 && tables == 0:
		return 0, nil
	case id != applicationID:
		return 0, fmt.Errorf("state %s is the database of another program (set state.path to a file of its own)", s.path)
	}
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&version); err != nil {
		return 0, err
	}
	provider, err := newProvider(db)
	if err != nil {
		return 0, err
	}
	if known := newest(provider); version > known {
		return 0, fmt.Errorf("state %s was written by a newer rootly-idp-sync (schema %d, this one knows %d): upgrade this binary, or set another state.path", s.path, version, known)
	}
	return version, nil
}

// A Health is what doctor shows of a store that works.
type Health struct {
	Path     string
	Pipeline string
	Source   string
	Target   string
	Lineage  string // random, made with the store: a copy has the same one
	Schema   int64
	Users    int // linked
	Groups   int // linked
	Open     int // intents without outcome
	Waiting  int // objects in escrow
	Bytes    int64
}

// Check writes to the store, so that a full or read-only disk shows, and counts what is in it.
func (s *Store) Check(ctx context.Context) (Health, error) {
	h := Health{Path: s.path, Pipeline: s.pipeline}
	err := s.write(ctx, "check", func(tx *tx) error {
		return tx.exec(`UPDATE meta SET checked = ? WHERE pipeline = ?`, millis(s.now()), s.pipeline)
	})
	if err != nil {
		return h, err
	}
	const q = `SELECT source, target, lineage,
		(SELECT max(version_id) FROM goose_db_version WHERE is_applied),
		(SELECT count(*) FROM links WHERE pipeline = ?1 AND kind = 'user'),
		(SELECT count(*) FROM links WHERE pipeline = ?1 AND kind = 'group'),
		(SELECT count(*) FROM changes WHERE pipeline = ?1 AND (outcome IS NULL OR outcome = 'unknown')),
		(SELECT count(*) FROM escrow WHERE pipeline = ?1),
		(SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)
		FROM meta WHERE pipeline = ?1`
	err = s.ro.QueryRowContext(ctx, q, s.pipeline).Scan(&h.Source, &h.Target, &h.Lineage, &h.Schema, &h.Users, &h.Groups, &h.Open, &h.Waiting, &h.Bytes)
	if err != nil {
		return h, fmt.Errorf("count state: %w", explain(s.path, err))
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
