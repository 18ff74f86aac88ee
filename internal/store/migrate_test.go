package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// nextSchema is what a later version might do to the tables of this one.
const nextSchema = `-- +goose Up
ALTER TABLE links ADD COLUMN colour TEXT;
UPDATE links SET colour = 'red';
CREATE TABLE colours (name TEXT NOT NULL PRIMARY KEY);
INSERT INTO colours (name) VALUES ('red');
DROP INDEX links_name;
DELETE FROM links;
UPDATE compatible SET oldest = 2;
`

func laterVersion(t *testing.T, name string) fs.FS {
	t.Helper()
	files, err := migrationsOf(name)
	must(t, err)
	first, err := fs.ReadFile(files, "00001_init.sql")
	must(t, err)
	return fstest.MapFS{"00001_init.sql": {Data: first}, "00002_next.sql": {Data: []byte(nextSchema)}}
}

// TestAKilledMigrationLeavesTheOldSchemaWhole ends the process, as far as the database can see, before every single
// statement of a migration: this version opens what is left as if nothing had happened.
func TestAKilledMigrationLeavesTheOldSchemaWhole(t *testing.T) {
	tests := map[string]func(t *testing.T) (o Options, later func(*fuse) database){
		"sqlite": func(t *testing.T) (Options, func(*fuse) database) {
			o := options(statePath(t))
			return o, func(f *fuse) database {
				db, err := newSQLite(filled(o))
				must(t, err)
				db.files, db.rw = laterVersion(t, "sqlite"), f.around(db.rw)
				db.rw.SetMaxOpenConns(1)
				return db
			}
		},
		"postgres": func(t *testing.T) (Options, func(*fuse) database) {
			dsn := startPostgres(t).Database(t)
			o := onServer(dsn, time.Now)
			return o, func(f *fuse) database {
				db, err := newPostgres(dsn, filled(o))
				must(t, err)
				db.files, db.pool = laterVersion(t, "postgres"), f.around(db.pool)
				return db
			}
		},
	}
	for name, start := range tests {
		t.Run(name, func(t *testing.T) {
			o, later := start(t)
			s := openAt(t, o)
			must(t, s.Refresh(t.Context(), []reconcile.Link{ada}))
			broken := 0
			for n := 0; ; n++ {
				f := &fuse{left: n}
				db := later(f)
				err := db.prepare(t.Context())
				_ = db.close() // its connections may be broken already
				must(t, f.behind.Close())
				if err == nil {
					break
				}
				if !errors.Is(err, errKilled) {
					t.Fatalf("statement %d: %v", n, err)
				}
				broken++
				again, err := Open(t.Context(), o)
				if err != nil && strings.Contains(err.Error(), "schema 2") {
					continue // it was killed after its commit
				}
				must(t, err)
				h, err := again.Check(t.Context())
				if err != nil || h.Schema != 1 || h.Users != 1 {
					t.Errorf("killed at statement %d: %+v, %v", n, h, err)
				}
				var colours int
				if again.ro.QueryRow(`SELECT count(*) FROM colours`).Scan(&colours) == nil {
					t.Errorf("killed at statement %d: a table of the next schema is there", n)
				}
				must(t, again.Close())
			}
			if broken < 8 {
				t.Errorf("killed only %d times", broken)
			}
			_, err := Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), "newer rootly-idp-sync (schema 2, for binaries that know 2; this one knows 1)") || !strings.Contains(err.Error(), "upgrade") {
				t.Errorf("an older version opens it: %v", err)
			}
		})
	}
}

// filled are the options as Open completes them.
func filled(o Options) Options {
	o.Log, o.Now = slog.New(slog.DiscardHandler), time.Now
	return o
}

var errKilled = errors.New("killed")

// A fuse lets so many statements through to a database and then none.
type fuse struct {
	left   int
	behind *sql.DB
}

func (f *fuse) blown() bool {
	f.left--
	return f.left < 0
}

// around takes the place of db.
func (f *fuse) around(db *sql.DB) *sql.DB {
	f.behind = db
	return sql.OpenDB(fusedConnector{f, db})
}

type fusedConnector struct {
	fuse *fuse
	db   *sql.DB
}

func (c fusedConnector) Driver() driver.Driver { return c.db.Driver() }

// Connect takes a connection of the wrapped pool and keeps it for itself.
func (c fusedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &fusedConn{fuse: c.fuse, conn: conn}, nil
}

// A fusedConn speaks to the connection through database/sql, so that it need not know the driver.
type fusedConn struct {
	fuse *fuse
	conn *sql.Conn
	tx   *sql.Tx
}

var (
	_ driver.ExecerContext  = (*fusedConn)(nil)
	_ driver.QueryerContext = (*fusedConn)(nil)
	_ driver.ConnBeginTx    = (*fusedConn)(nil)
)

func (c *fusedConn) Prepare(string) (driver.Stmt, error) { return nil, driver.ErrSkip }

func (c *fusedConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// Close is the end of the process for the database: an open transaction is rolled back.
func (c *fusedConn) Close() error { return c.conn.Close() }

func (c *fusedConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	if c.fuse.blown() {
		return nil, errKilled
	}
	var err error
	c.tx, err = c.conn.BeginTx(ctx, nil)
	return c, err
}

func (c *fusedConn) Commit() error {
	if c.fuse.blown() {
		return errors.Join(errKilled, c.Rollback())
	}
	return c.tx.Commit()
}

func (c *fusedConn) Rollback() error { return c.tx.Rollback() }

func (c *fusedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.fuse.blown() {
		return nil, errKilled
	}
	return c.conn.ExecContext(ctx, query, values(args)...)
}

func (c *fusedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.fuse.blown() {
		return nil, errKilled
	}
	rows, err := c.conn.QueryContext(ctx, query, values(args)...)
	if err != nil {
		return nil, err
	}
	return &fusedRows{rows}, nil
}

func values(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a.Value
	}
	return out
}

type fusedRows struct{ *sql.Rows }

func (r *fusedRows) Columns() []string {
	names, _ := r.Rows.Columns()
	return names
}

func (r *fusedRows) Next(dest []driver.Value) error {
	if !r.Rows.Next() {
		return cmp.Or(r.Err(), io.EOF)
	}
	into := make([]any, len(dest))
	for i := range dest {
		into[i] = new(any)
	}
	err := r.Scan(into...)
	for i := range dest {
		dest[i] = *into[i].(*any)
	}
	return err
}
