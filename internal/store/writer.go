package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"
)

// ErrClosed is returned by writes after Close.
var ErrClosed = errors.New("the store is closed")

// A writer is the one goroutine that writes. Writes that wait at the same moment share a transaction, and so one
// flush to the disk: sixteen workers of an apply are not slowed to the disk's pace. When the connection breaks the
// writer makes another and runs the transaction again, unless its COMMIT turns out to have been done.
type writer struct {
	db    database
	log   *slog.Logger
	conn  *sql.Conn  // used by the goroutine alone; nil while the server is away
	calls chan *call // unbuffered: a caller waits here, and may give up, until its write is taken
	quit  chan struct{}
	done  chan error
	stmts map[string]*sql.Stmt
}

type call struct {
	ctx   context.Context
	fence *Lease // must still be held when do is committed; nil for a write that needs no lock
	do    func(*tx) error
	done  chan error
}

const maxBatch = 256

func newWriter(ctx context.Context, db database, log *slog.Logger) (*writer, error) {
	conn, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, log: log, conn: conn, calls: make(chan *call), quit: make(chan struct{}), done: make(chan error, 1), stmts: map[string]*sql.Stmt{}}
	go w.run()
	return w, nil
}

// write runs do in a transaction and returns when it is on the disk, or with the error that undid it. do may be run
// more than once. ctx counts until the transaction begins; then its end is waited for, so that the caller knows.
func (s *Store) write(ctx context.Context, step string, do func(*tx) error) error {
	return s.send(ctx, step, nil, do)
}

// record is write for the journal of a run: while the Store has the writer's lock, only the lock's holder gets it
// committed.
func (s *Store) record(ctx context.Context, step string, do func(*tx) error) error {
	return s.send(ctx, step, s.fence(), do)
}

func (s *Store) send(ctx context.Context, step string, fence *Lease, do func(*tx) error) error {
	if err := s.w.write(&call{ctx: ctx, fence: fence, do: do, done: make(chan error, 1)}); err != nil {
		return fmt.Errorf("%s: %w", step, s.db.explain(err))
	}
	return nil
}

func (w *writer) write(c *call) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	select {
	case w.calls <- c:
		return <-c.done
	case <-c.ctx.Done():
		return c.ctx.Err()
	case <-w.quit:
		return ErrClosed
	}
}

// close must be called once. It waits for the write under way.
func (w *writer) close() error {
	close(w.quit)
	return <-w.done
}

func (w *writer) run() {
	for {
		select {
		case c := <-w.calls:
			w.commit(w.gather(c))
		case <-w.quit:
			w.done <- w.drop()
			return
		}
	}
}

// drop gives the connection back. With one that is broken nothing is lost.
func (w *writer) drop() error {
	if w.conn == nil {
		return nil
	}
	alive := w.db.alive(w.conn)
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.Close())
	}
	err := errors.Join(append(errs, w.conn.Close())...)
	w.conn = nil
	clear(w.stmts)
	if !alive {
		return nil
	}
	return err
}

// gather takes every call that waits already. It does not wait for more, but lets callers whom the last commit woke
// come first: they are about to write again.
func (w *writer) gather(first *call) []*call {
	runtime.Gosched()
	batch := []*call{first}
	for len(batch) < maxBatch {
		select {
		case c := <-w.calls:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// commit runs the batch in one transaction. When that fails each call gets a transaction of its own, so that the
// error meets the call that caused it and no other.
func (w *writer) commit(batch []*call) {
	err := w.transact(batch)
	if _, away := errors.AsType[*awayError](err); err == nil || away || len(batch) == 1 {
		for _, c := range batch {
			c.done <- err
		}
		return
	}
	for _, c := range batch {
		c.done <- w.transact([]*call{c})
	}
}

// transact runs the batch until it is committed or refused. While the server is away it waits, as long as somebody
// waits for the batch, and awayLimit at most.
func (w *writer) transact(batch []*call) error {
	var doubt string // the transaction whose COMMIT was not answered
	for until := time.Now().Add(w.db.patience()); ; {
		err := w.reconnect()
		if err != nil && !w.db.away(err) {
			return err
		}
		if err == nil && doubt != "" {
			var done bool
			if done, err = w.committed(doubt); done {
				return nil
			} else if err == nil {
				doubt = ""
			}
		}
		if err == nil && doubt == "" {
			doubt, err = w.attempt(batch)
		}
		if err == nil || w.conn != nil && w.db.alive(w.conn) && doubt == "" {
			return err
		}
		if !w.pause(until, batch) {
			return &awayError{err}
		}
		w.log.Debug("the state's server is away, trying again", "error", err)
	}
}

// An awayError says that the server did not come back while somebody waited for it.
type awayError struct{ cause error }

func (e *awayError) Error() string {
	return fmt.Sprintf("the connection to the state broke and could not be made again: %v", e.cause)
}

func (e *awayError) Unwrap() error { return e.cause }

// awayPoll is the time between two tries to reach a server that is away.
const awayPoll = 100 * time.Millisecond

// pause waits before the next try, and tells whether there is to be one.
func (w *writer) pause(until time.Time, batch []*call) bool {
	wanted := slices.ContainsFunc(batch, func(c *call) bool { return c.ctx.Err() == nil })
	if !wanted || time.Now().After(until) {
		return false
	}
	timer := time.NewTimer(awayPoll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.quit:
		return false
	}
}

// reconnect makes a connection when there is none that works.
func (w *writer) reconnect() error {
	if w.conn != nil && w.db.alive(w.conn) {
		return nil
	}
	if err := w.drop(); err != nil {
		return err
	}
	ctx, cancel := w.bounded()
	defer cancel()
	conn, err := w.db.connect(ctx)
	w.conn = conn
	return err
}

// bounded ends what a server does not answer. A file needs no end, and is quicker without one.
func (w *writer) bounded() (context.Context, context.CancelFunc) {
	if limit := w.db.patience(); limit > 0 {
		return context.WithTimeout(context.Background(), limit)
	}
	return context.Background(), func() {}
}

func (w *writer) committed(id string) (bool, error) {
	ctx, cancel := w.bounded()
	defer cancel()
	return w.db.committed(&tx{w, ctx}, id)
}

// attempt does not interrupt a transaction that has begun: the contexts of the calls count before it. doubt names the
// transaction when its COMMIT may or may not have been done.
func (w *writer) attempt(batch []*call) (doubt string, err error) {
	ctx, cancel := w.bounded()
	defer cancel()
	t := &tx{w, ctx}
	var fence *Lease
	for _, c := range batch {
		if c.fence != nil {
			fence = c.fence
		}
	}
	id, err := w.db.begin(t, fence)
	if err != nil {
		return "", t.rollback(err)
	}
	for _, c := range batch {
		err := c.ctx.Err()
		if err == nil {
			err = c.do(t)
		}
		if err != nil {
			return "", t.rollback(err)
		}
	}
	if err := t.exec("COMMIT"); err != nil {
		if w.db.alive(w.conn) {
			id = "" // it was answered: refused
		}
		return id, t.rollback(err)
	}
	return "", nil
}

// A tx is the transaction that the writer has open. Statements are prepared once for the life of the connection.
type tx struct {
	w   *writer
	ctx context.Context
}

func (t *tx) rollback(cause error) error {
	// After a full disk SQLite has rolled back by itself and refuses; the cause is what the caller must know.
	_ = t.exec("ROLLBACK")
	return cause
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st, ok := t.w.stmts[query]; ok {
		return st, nil
	}
	st, err := t.w.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, err
	}
	t.w.stmts[query] = st
	return st, nil
}

// QueryContext runs a query that is not worth keeping prepared.
func (t *tx) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.w.conn.QueryContext(t.ctx, query, args...)
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.count(query, args...)
	return err
}

// count runs a statement and returns how many rows it changed.
func (t *tx) count(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(t.ctx, readable(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert runs an INSERT that returns the new row's id, sql.ErrNoRows when there is none.
func (t *tx) insert(query string, args ...any) (id int64, err error) {
	err = t.row(query+" RETURNING id", args, []any{&id})
	return id, err
}

// row reads the one row of a query into dest.
func (t *tx) row(query string, args, dest []any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, readable(args)...).Scan(dest...)
}

// readable replaces, in texts, what a database's text cannot hold and some server's message might: bytes that are no
// UTF-8, and NUL.
func readable(args []any) []any {
	for i, a := range args {
		if v := reflect.ValueOf(a); v.Kind() == reflect.String {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(v.String(), "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}
