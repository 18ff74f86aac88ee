package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrClosed is returned by writes after Close.
var ErrClosed = errors.New("the store is closed")

// A writer is the one goroutine that writes. Writes that wait at the same moment share a transaction, and so one
// flush to the disk: sixteen workers of an apply are not slowed to the disk's pace.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn  // used by the goroutine alone
	calls chan *call // unbuffered: a caller waits here, and may give up, until its write is taken
	quit  chan struct{}
	done  chan error
	stmts map[string]*sql.Stmt
}

type call struct {
	ctx  context.Context
	do   func(*tx) error
	done chan error
}

const maxBatch = 256

// Another process may write at the same time. SQLite's own waiting slows to ten tries a second, which a process that
// writes without a pause may outlast for ever; the writer asks again after busyPoll, for busyLimit.
const (
	busyPoll  = 10 * time.Millisecond
	busyLimit = 15 * time.Second
)

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA busy_timeout = %d", busyPoll.Milliseconds())); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	w := &writer{db: db, conn: conn, calls: make(chan *call), quit: make(chan struct{}), done: make(chan error, 1), stmts: map[string]*sql.Stmt{}}
	go w.run()
	return w, nil
}

// write runs do in a transaction and returns when it is on the disk, or with the error that undid it. do may be run
// more than once. ctx counts until the transaction begins; then its end is waited for, so that the caller knows.
func (s *Store) write(ctx context.Context, step string, do func(*tx) error) error {
	if err := s.w.write(ctx, do); err != nil {
		return fmt.Errorf("%s: %w", step, explain(s.path, err))
	}
	return nil
}

func (w *writer) write(ctx context.Context, do func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &call{ctx: ctx, do: do, done: make(chan error, 1)}
	select {
	case w.calls <- c:
		return <-c.done
	case <-ctx.Done():
		return ctx.Err()
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
			var errs []error
			for _, st := range w.stmts {
				errs = append(errs, st.Close())
			}
			w.done <- errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
			return
		}
	}
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
	if err == nil || len(batch) == 1 {
		for _, c := range batch {
			c.done <- err
		}
		return
	}
	for _, c := range batch {
		c.done <- w.transact([]*call{c})
	}
}

// transact does not interrupt a transaction that has begun: the contexts of the calls count before it.
func (w *writer) transact(batch []*call) error {
	t := &tx{w}
	if err := t.begin(); err != nil {
		return err
	}
	for _, c := range batch {
		err := c.ctx.Err()
		if err == nil {
			err = c.do(t)
		}
		if err != nil {
			return t.rollback(err)
		}
	}
	if err := t.exec("COMMIT"); err != nil {
		return t.rollback(err)
	}
	return nil
}

// A tx is the transaction that the writer has open. Statements are prepared once for the life of the store.
type tx struct{ w *writer }

// begin waits its turn among the processes that write.
func (t *tx) begin() error {
	for end := time.Now().Add(busyLimit); ; {
		err := t.exec("BEGIN IMMEDIATE")
		if e, ok := errors.AsType[*sqlite.Error](err); !ok || e.Code()&0xff != sqlite3.SQLITE_BUSY || time.Now().After(end) {
			return err
		}
	}
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
	st, err := t.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.w.stmts[query] = st
	return st, nil
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.result(query, args...)
	return err
}

// count runs a statement and returns how many rows it changed.
func (t *tx) count(query string, args ...any) (int64, error) {
	res, err := t.result(query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert runs an INSERT and returns the new row's id, sql.ErrNoRows when there is none.
func (t *tx) insert(query string, args ...any) (id int64, err error) {
	res, err := t.result(query, args...)
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, cmp.Or(err, sql.ErrNoRows)
	}
	return res.LastInsertId()
}

func (t *tx) result(query string, args ...any) (sql.Result, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.Exec(args...)
}

// row reads the one row of a query into dest.
func (t *tx) row(query string, args, dest []any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRow(args...).Scan(dest...)
}
