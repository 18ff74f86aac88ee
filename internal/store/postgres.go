package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// A postgres is a state in a schema of its own on a server, which several processes may share. The writer's lock is a
// lease.
type postgres struct {
	where    string // "app@db.example:5432/sync": without the password
	password string // a server may repeat it
	files    fs.FS
	known    int64 // set by prepare
	pool     *sql.DB
	ttl      time.Duration

	writer string // random: this process's row of commits
	number int64  // of the writer's latest transaction; used by the writer alone

	mu   sync.Mutex
	seen map[string]int64 // by lineage, the newest cycle that this process knows
}

var _ database = (*postgres)(nil)

// postgresSchema holds all our tables, unless the connection string sets another search_path.
const postgresSchema = "rootly_idp_sync"

// WriterTTL is how long the writer's lock of a killed run stays taken on PostgreSQL. It is longer than a server takes to
// start again.
const WriterTTL = time.Minute

func newPostgres(dsn string, o Options) (*postgres, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The error may repeat the string, and so a password.
		return nil, errors.New("open state: state.dsn is no PostgreSQL connection string (write postgres://user@host:5432/database?sslmode=verify-full, the password in it or in PGPASSWORD; escape special characters in it as %40)")
	}
	for name, value := range map[string]string{"search_path": postgresSchema, "application_name": "rootly-idp-sync"} {
		if cfg.RuntimeParams[name] == "" {
			cfg.RuntimeParams[name] = value
		}
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	p := &postgres{password: cfg.Password, writer: rand.Text(), seen: map[string]int64{}, where: fmt.Sprintf("%s@%s/%s", cfg.User, net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port)), cfg.Database), ttl: o.lockTTL()}
	if p.files, err = migrationsOf("postgres"); err != nil {
		return nil, err
	}
	p.pool = stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(p.session))
	p.pool.SetMaxOpenConns(8)
	p.pool.SetMaxIdleConns(3)
	p.pool.SetConnMaxIdleTime(5 * time.Minute)
	return p, nil
}

// session makes a COMMIT mean that the row is on the disk, whatever the server's default is, and has the server end a
// transaction whose process stands still: its locks would keep the next leader from writing for as long as it does.
func (p *postgres) session(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, fmt.Sprintf(`SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
		SET idle_in_transaction_session_timeout = %d`, p.patience().Milliseconds()))
	return err
}

func (p *postgres) place() string { return p.where }

func (p *postgres) knows() int64 { return p.known }

// patience is shorter than WriterTTL: a run whose server comes back in time goes on.
func (p *postgres) patience() time.Duration { return p.ttl * 3 / 4 }

func (p *postgres) reader() *sql.DB { return p.pool }

func (p *postgres) readOnly() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// abandoned is when a row of commits belongs to no process any more.
const abandoned = 24 * time.Hour

func (p *postgres) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Rows that stay, because the server is away or the process was killed, go with a later close.
	_, _ = p.pool.ExecContext(ctx, `DELETE FROM commits WHERE writer = $1 OR at < $2`, p.writer, millis(time.Now().Add(-abandoned)))
	return p.pool.Close()
}

// prepare makes the schema and its tables, or brings them up to date. Several processes may do so at once.
func (p *postgres) prepare(ctx context.Context) error {
	if err := p.pool.PingContext(ctx); err != nil {
		return err
	}
	var path string
	var exists bool
	err := p.pool.QueryRowContext(ctx, `SELECT current_setting('search_path'), current_schema() IS NOT NULL`).Scan(&path, &exists)
	if err != nil {
		return err
	}
	if !exists {
		// Two processes may find it missing at once: the slower one's error is none.
		_, err := p.pool.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgx.Identifier{path}.Sanitize())
		if e, ok := errors.AsType[*pgconn.PgError](err); err != nil && (!ok || e.Code != "23505") {
			return fmt.Errorf("create schema %s: %w", path, err)
		}
	}
	provider, err := newProvider(goose.DialectPostgres, p.pool, p.files)
	if err != nil {
		return err
	}
	have, err := p.schema(ctx)
	if err != nil {
		return err
	}
	p.known = newest(provider)
	if have > p.known {
		return openable(ctx, p.pool, p.where, p.known)
	}
	if have == p.known {
		return nil
	}
	unlock, err := p.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return up(ctx, provider, have)
}

// alone waits until no other process changes the schema, and keeps others waiting until unlock, or the connection's end.
func (p *postgres) alone(ctx context.Context) (unlock func(), err error) {
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext(current_schema()))`); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func() {
		if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock_all()`); err != nil {
			// The lock ends with the session, which must not go back to the pool.
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		conn.Close()
	}, nil
}

func (p *postgres) schema(ctx context.Context) (version int64, err error) {
	var exists bool
	if err := p.pool.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = p.pool.QueryRowContext(ctx, readSchema).Scan(&version)
	return version, err
}

func (p *postgres) connect(ctx context.Context) (*sql.Conn, error) { return p.pool.Conn(ctx) }

// begin opens a transaction whose commit proves that the fence still stands.
func (p *postgres) begin(t *tx, fence *Lease) (id string, err error) {
	if err := t.exec("BEGIN"); err != nil {
		return "", err
	}
	if fence != nil {
		if err := fence.guard(t); err != nil {
			return "", err
		}
	}
	p.number++
	id = strconv.FormatInt(p.number, 10)
	return id, t.exec(mark+`number = excluded.number, at = excluded.at`, p.writer, p.number, millis(time.Now()))
}

// mark is set by every transaction of the writer: its row says which one was the last to be committed. The server's own
// transaction numbers prove nothing, for one that crashes gives out again those that it had not yet put on the disk.
const mark = `INSERT INTO commits (writer, number, at) VALUES ($1, $2, $3) ON CONFLICT (writer) DO UPDATE SET `

// committed waits for the row, and so for a transaction that the server has not yet ended.
func (p *postgres) committed(t *tx, id string) (bool, error) {
	var number int64
	err := t.row(mark+`at = excluded.at RETURNING commits.number`, []any{p.writer, 0, millis(time.Now())}, []any{&number})
	return strconv.FormatInt(number, 10) == id, err
}

func (p *postgres) away(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return !ok || e.Code == "57P03" || e.Code == "57P01" || e.Code == "57P02" || e.Code == "53300"
}

func (p *postgres) alive(conn *sql.Conn) bool {
	closed := true
	err := conn.Raw(func(driverConn any) error {
		closed = driverConn.(*stdlib.Conn).Conn().IsClosed()
		return nil
	})
	return err == nil && !closed
}

func writerLease(s *Store) string { return "writer/" + s.pipeline }

func (p *postgres) lock(ctx context.Context, s *Store) (heldLock, error) {
	l, err := p.acquire(ctx, writerLease(s), p.ttl)
	if err != nil {
		return heldLock{}, err
	}
	return heldLock{lease: l, release: func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.Release(ctx); err != nil {
			s.log.Warn("the writer's lock was not given up", "error", err)
		}
	}}, nil
}

func (p *postgres) holder(ctx context.Context, s *Store) (string, error) {
	return p.leaseholder(ctx, writerLease(s))
}

func (p *postgres) clashes(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "23505"
}

func (p *postgres) facts(ctx context.Context) (product string, bytes int64, err error) {
	const q = `SELECT 'PostgreSQL ' || current_setting('server_version'), CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS bigint)
		FROM pg_class c WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND c.relkind = 'r'`
	err = p.pool.QueryRowContext(ctx, q).Scan(&product, &bytes)
	return product, bytes, err
}

// explain adds to an error of the server, or of the way there, what the operator can do about it.
func (p *postgres) explain(err error) error {
	err = redact.Error(err, p.password)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		if remedy := postgresRemedy(refused.Code); remedy != "" {
			return fmt.Errorf("state %s: %w (%s)", p.where, err, remedy)
		}
		return fmt.Errorf("state %s: %w", p.where, err)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return fmt.Errorf("state %s: the server cannot be reached (is it running, and are host, port and sslmode in state.dsn right?): %w", p.where, err)
	}
	return err
}

// postgresRemedy is what to do about an error of the server, by its SQLSTATE, "" when only the error itself can tell.
func postgresRemedy(code string) string {
	switch code {
	case "28P01", "28000":
		return "the server refuses the user or the password: correct state.dsn or state.dsn_file, or allow the user in pg_hba.conf"
	case "3D000":
		return "create the database, or correct its name in state.dsn"
	case "42501":
		return "let the user create the schema: GRANT CREATE ON DATABASE, or create schema " + postgresSchema + " for it"
	case "25006":
		return "this server only reads: name the primary in state.dsn, or add target_session_attrs=read-write"
	case "53100", "53200":
		return "the server has no space left: free some, then run again; nothing recorded so far is lost"
	case "53300":
		return "the server has no connection left: raise max_connections; up to 8 are used by each process"
	case "57P01", "57P02", "57P03":
		return "the server is being stopped or started: run again when it is up"
	}
	return ""
}
