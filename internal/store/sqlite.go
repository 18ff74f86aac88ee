package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// A sqliteFile is a state in one file. The writer's lock is a lock of the file system.
type sqliteFile struct {
	path  string
	log   *slog.Logger
	now   func() time.Time
	files fs.FS
	known int64   // set by prepare
	rw    *sql.DB // one connection: prepare's, then the writer's
	ro    *sql.DB
}

var _ database = (*sqliteFile)(nil)

// applicationID marks our files in SQLite's header; the first migration writes it.
const applicationID = 0x52497379

// newSQLite creates the file, with mode 0600, when there is none.
func newSQLite(o Options) (*sqliteFile, error) {
	f := &sqliteFile{path: o.Path, log: o.Log, now: o.Now}
	var err error
	if f.files, err = migrationsOf("sqlite"); err != nil {
		return nil, err
	}
	if err := f.prepareFile(); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if f.rw, err = sql.Open("sqlite", sqliteDSN(o.Path, "_txlock=immediate&_pragma=synchronous(full)&_pragma=foreign_keys(1)")); err != nil {
		return nil, fmt.Errorf("open state %s: %w", o.Path, err)
	}
	f.rw.SetMaxOpenConns(1)
	if f.ro, err = sql.Open("sqlite", sqliteDSN(o.Path, "_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", o.Path, err), f.rw.Close())
	}
	f.ro.SetMaxOpenConns(max(2, runtime.GOMAXPROCS(0)))
	return f, nil
}

func sqliteDSN(path, query string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath()}
	return u.String() + "?_pragma=busy_timeout(5000)&" + query
}

func (f *sqliteFile) place() string { return f.path }

func (f *sqliteFile) knows() int64 { return f.known }

func (f *sqliteFile) patience() time.Duration { return 0 }

func (f *sqliteFile) reader() *sql.DB { return f.ro }

func (f *sqliteFile) readOnly() *sql.TxOptions { return &sql.TxOptions{ReadOnly: true} }

func (f *sqliteFile) close() error { return errors.Join(f.ro.Close(), f.rw.Close()) }

// prepareFile proves with the file system's own errors what SQLite would only call "unable to open".
func (f *sqliteFile) prepareFile() error {
	if dir, err := os.Stat(filepath.Dir(f.path)); err != nil {
		return fileError(err)
	} else if !dir.IsDir() {
		return fmt.Errorf("%s is no directory (set another state.path)", filepath.Dir(f.path))
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fileError(err)
	}
	defer file.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fileError(err)
	}
	if n > 0 && string(head[:n]) != magic {
		return fmt.Errorf("%s is no SQLite database (set state.path to a file of its own, or move this one away)", f.path)
	}
	if info, err := file.Stat(); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		f.log.Warn("state file can be read by others (chmod 600 it: it holds names and addresses)", "path", f.path, "mode", info.Mode().Perm())
	}
	return nil
}

// prepare brings a file that may be empty, old, foreign or damaged to one that is ours, or says why not. Nothing is
// written before the file is known to be ours.
func (f *sqliteFile) prepare(ctx context.Context) error {
	provider, err := newProvider(goose.DialectSQLite3, f.rw, f.files)
	if err != nil {
		return err
	}
	have, err := f.schema(ctx)
	if err != nil {
		return err
	}
	f.known = newest(provider)
	if have > f.known {
		if err := openable(ctx, f.rw, f.path, f.known); err != nil {
			return err
		}
	}
	var answer string
	if err := f.rw.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&answer); err != nil {
		return err
	}
	if answer != "ok" {
		return fmt.Errorf("state %s is damaged: %s (restore it from a backup, or move it away: the next run is then a first contact, which holds removals)", f.path, answer)
	}
	if err := f.rw.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&answer); err != nil {
		return err
	}
	if answer != "wal" {
		return fmt.Errorf("state %s: no write-ahead log on this file system (put state.path on a local disk)", f.path)
	}
	if have >= f.known {
		return nil
	}
	// Only the holder of the writer's lock may change the schema.
	unlock, err := lockFile(f.path, f.now())
	if err != nil {
		return err
	}
	defer unlock()
	return up(ctx, provider, have)
}

// schema returns the version of the file's schema, 0 for an empty file. It refuses databases of other programs.
func (f *sqliteFile) schema(ctx context.Context) (version int64, err error) {
	var id, tables int64
	if err := f.rw.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, err
	}
	// An interrupted first run may have left goose's own, still empty, table.
	const others = `SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'goose%' AND tbl_name NOT LIKE 'sqlite%'`
	if err := f.rw.QueryRowContext(ctx, others).Scan(&tables); err != nil {
		return 0, err
	}
	switch {
	case id == 0 && tables == 0:
		return 0, nil
	case id != applicationID:
		return 0, fmt.Errorf("state %s is the database of another program (set state.path to a file of its own)", f.path)
	}
	err = f.rw.QueryRowContext(ctx, readSchema).Scan(&version)
	return version, err
}

// Another process may write at the same time. SQLite's own waiting slows to ten tries a second, which a process that
// writes without a pause may outlast for ever; the writer asks again after busyPoll, for busyLimit.
const (
	busyPoll  = 10 * time.Millisecond
	busyLimit = 15 * time.Second
)

func (f *sqliteFile) connect(ctx context.Context) (*sql.Conn, error) {
	conn, err := f.rw.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyPoll.Milliseconds())); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// begin waits its turn among the processes that write.
func (f *sqliteFile) begin(t *tx, _ *Lease) (string, error) {
	for end := time.Now().Add(busyLimit); ; {
		err := t.exec("BEGIN IMMEDIATE")
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return "", err
		}
	}
}

// committed is never asked: a file answers every COMMIT.
func (f *sqliteFile) committed(*tx, string) (bool, error) { return false, nil }

func (f *sqliteFile) away(error) bool { return false }

func (f *sqliteFile) alive(*sql.Conn) bool { return true }

func (f *sqliteFile) clashes(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}

func (f *sqliteFile) facts(ctx context.Context) (product string, bytes int64, err error) {
	const q = `SELECT 'SQLite ' || sqlite_version(), page_count * page_size FROM pragma_page_count, pragma_page_size`
	err = f.ro.QueryRowContext(ctx, q).Scan(&product, &bytes)
	return product, bytes, err
}

// explain adds to an error of SQLite what the operator can do about it.
func (f *sqliteFile) explain(err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	path := f.path
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("state %s: the disk is full (free some space, then run again; nothing recorded so far is lost): %w", path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("state %s is read-only (make the file and its directory writable for this user, or set another state.path): %w", path, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("state %s cannot be opened (its directory must exist and be writable for this user): %w", path, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("state %s: the disk gives errors or is full (check the disk and its free space): %w", path, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("state %s is damaged (restore it from a backup, or move it away: the next run is then a first contact, which holds removals): %w", path, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("state %s is no SQLite database (set state.path to a file of its own, or move this one away): %w", path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("state %s is busy (another process writes to it; try again): %w", path, err)
	}
	return fmt.Errorf("state %s: %w", path, err)
}
