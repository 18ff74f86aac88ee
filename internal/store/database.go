package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

// A database is what differs between SQLite and PostgreSQL. The queries are one text for both: numbered parameters,
// upserts with ON CONFLICT, ids by RETURNING, times as milliseconds, JSON as text.
type database interface {
	place() string                                        // the file, or user, server and database; never a secret
	prepare(ctx context.Context) error                    // proves that it is ours and brings the schema up to date
	knows() int64                                         // the newest schema that it has a migration to
	reader() *sql.DB                                      // reads, beside the writer
	readOnly() *sql.TxOptions                             // of a transaction that sees one moment
	connect(ctx context.Context) (*sql.Conn, error)       // the writer's connection
	begin(t *tx, fence *Lease) (id string, err error)     // id names the transaction to committed
	committed(t *tx, id string) (done bool, err error)    // what became of a transaction whose COMMIT was not answered
	away(err error) bool                                  // whether connecting failed in a way that passes
	alive(conn *sql.Conn) bool                            // whether the connection can be used after an error
	lock(ctx context.Context, s *Store) (heldLock, error) // takes the writer's lock
	holder(ctx context.Context, s *Store) (string, error) // who has the writer's lock, "" for nobody
	witness(lineage string) (cycle int64, err error)      // the newest cycle that attest was told, 0 for none
	attest(n serial) error                                // remembers, outside the database, how far it has come
	patience() time.Duration                              // the limit of a transaction and of a server's absence; 0 where neither can happen
	clashes(err error) bool                               // whether a unique index refused a row
	explain(err error) error                              // adds what the operator can do
	facts(ctx context.Context) (product string, bytes int64, err error)
	close() error
}

// A heldLock is the writer's lock that is held. release gives it up; lease fences the writes, nil where the lock cannot be
// lost.
type heldLock struct {
	lease   *Lease
	release func()
}

//go:embed migrations
var migrations embed.FS

// newProvider reads the migrations of one database.
func newProvider(dialect goose.Dialect, db *sql.DB, files fs.FS) (*goose.Provider, error) {
	p, err := goose.NewProvider(dialect, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// migrationsOf are the files below migrations/name.
func migrationsOf(name string) (fs.FS, error) {
	sub, err := fs.Sub(migrations, "migrations/"+name)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return sub, nil
}

func newest(p *goose.Provider) int64 {
	sources := p.ListSources()
	return sources[len(sources)-1].Version
}

const readSchema = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// openable refuses a schema of which a newer migration says that this binary is too old for it: it would be read and written
// wrongly without notice. A newer schema that only has more in it is none of its business.
func openable(ctx context.Context, db *sql.DB, place string, known int64) error {
	var have, oldest int64
	if err := db.QueryRowContext(ctx, `SELECT (`+readSchema+`), (SELECT max(oldest) FROM compatible)`).Scan(&have, &oldest); err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if oldest <= known {
		return nil
	}
	return fmt.Errorf("state %s was written by a newer rootly-idp-sync (schema %d, for binaries that know %d; this one knows %d): upgrade this binary, or put back the backup from before the upgrade", place, have, oldest, known)
}

// up applies what is missing, each migration in a transaction of its own with the row that records it.
func up(ctx context.Context, p *goose.Provider, have int64) error {
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate state from schema %d to %d (nothing of the step that failed is left; run again): %w", have, newest(p), err)
	}
	return nil
}

func newDatabase(o Options) (database, error) {
	switch dsn := o.dsn(); {
	case dsn != "" && o.Path != "":
		return nil, fmt.Errorf("open state: both a file and a connection string are given")
	case dsn != "":
		return newPostgres(dsn, o)
	case o.Path != "":
		return newSQLite(o)
	}
	return nil, fmt.Errorf("open state: a path or a connection string must be set")
}

func (o Options) dsn() string {
	if o.DSN == nil {
		return ""
	}
	return o.DSN()
}

func (o Options) lockTTL() time.Duration { return min(cmp.Or(o.LockTTL, WriterTTL), WriterTTL) }

// defaultPipeline is the name of a configuration that stands alone.
const defaultPipeline = "default"

func (o Options) pipeline() string { return cmp.Or(o.Pipeline, defaultPipeline) }
