package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Lease is a name that one process at a time holds, for a time by the database's clock, in a state on PostgreSQL. Each
// time it is taken its epoch grows by one, so that whatever an earlier holder still does can be told apart and refused. It is
// renewed in the background until it is released or lost.
type Lease struct {
	db     *sql.DB
	place  string
	name   string
	holder string
	epoch  int64
	ttl    time.Duration

	stop  chan struct{}
	ended chan struct{} // closed when nothing renews it any more
	lost  chan struct{}

	mu    sync.Mutex
	until time.Time // this process may believe it holds the lease until then
	cause error     // why lost is closed
}

// Acquire takes the lease of that name for ttl, which its renewals extend. It does not wait: when another process has
// it the error is a *LockedError. A state file has no leases.
func (s *Store) Acquire(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	p, ok := s.db.(*postgres)
	if !ok {
		return nil, fmt.Errorf("state %s cannot be shared: a lease needs PostgreSQL (set state.dsn)", s.db.place())
	}
	return p.acquire(ctx, name, ttl)
}

func (p *postgres) acquire(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	l := &Lease{db: p.pool, place: p.where, name: name, ttl: ttl, holder: process() + " (" + rand.Text()[:8] + ")",
		stop: make(chan struct{}), ended: make(chan struct{}), lost: make(chan struct{})}
	start := time.Now()
	err := p.pool.QueryRowContext(ctx, `INSERT INTO leases (name, holder, epoch, since, expires)
		VALUES ($1, $2, 1, clock_timestamp(), clock_timestamp() + $3 * interval '1 microsecond')
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = leases.epoch + 1, since = excluded.since, expires = excluded.expires
		WHERE leases.expires <= clock_timestamp() RETURNING epoch`, name, l.holder, ttl.Microseconds()).Scan(&l.epoch)
	if errors.Is(err, sql.ErrNoRows) {
		holder, err := p.leaseholder(ctx, name)
		return nil, errors.Join(err, &LockedError{Path: p.where, Holder: holder})
	}
	if err != nil {
		return nil, fmt.Errorf("take lease %s: %w", name, p.explain(err))
	}
	l.trust(start)
	go l.keep()
	return l, nil
}

// leaseholder is who has the lease, in words, "" for nobody.
func (p *postgres) leaseholder(ctx context.Context, name string) (string, error) {
	var holder string
	var since, expires time.Time
	err := p.pool.QueryRowContext(ctx, `SELECT holder, since, expires FROM leases WHERE name = $1 AND expires > clock_timestamp()`, name).Scan(&holder, &since, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read lease %s: %w", name, p.explain(err))
	}
	return fmt.Sprintf("%s since %s; if it was killed, free at %s", holder, since.UTC().Format(time.RFC3339), expires.UTC().Format(time.RFC3339)), nil
}

// Name is what Acquire was given.
func (l *Lease) Name() string { return l.name }

// Epoch tells this holding from every other of the same name.
func (l *Lease) Epoch() int64 { return l.epoch }

// Holder names this process as the others see it.
func (l *Lease) Holder() string { return l.holder }

// Valid tells whether this process may still act as the holder, by its own clocks and without asking: it says no before
// anybody else can hold the lease.
func (l *Lease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	// The monotonic clock stands still while a machine is suspended, the wall clock may be set back: both must agree.
	return l.cause == nil && now.Before(l.until) && now.Round(0).Before(l.until.Round(0))
}

// Lost is closed when the lease went to another holder or ran out before it could be renewed.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Expire declares a lease lost that is not Valid, before its next renewal finds that out, and says why it is.
func (l *Lease) Expire() error {
	return l.fail(&ExpiredError{Path: l.place, Lease: l.name, Reason: fmt.Sprintf("it was not renewed within %s, or this process or its machine stood still", l.ttl)})
}

// Err says why the lease is lost, nil while it is not.
func (l *Lease) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// Release gives the lease up, so that another process need not wait for its end. It is called once, after the last
// act as its holder.
func (l *Lease) Release(ctx context.Context) error {
	close(l.stop)
	<-l.ended
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	_, err := l.db.ExecContext(ctx, `UPDATE leases SET expires = clock_timestamp() WHERE name = $1 AND holder = $2 AND epoch = $3`, l.name, l.holder, l.epoch)
	if err != nil {
		return fmt.Errorf("release lease %s (it ends by itself within %s): %w", l.name, l.ttl, err)
	}
	return nil
}

// trustMargin is the part of a lease's time that its holder does not rely on.
const trustMargin = 10

// trust believes in the lease from the start of the try that got it: the database counts from a later moment.
func (l *Lease) trust(start time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = start.Add(l.ttl - l.ttl/trustMargin)
}

// keep renews the lease four times in its life, and more often while that fails.
func (l *Lease) keep() {
	defer close(l.ended)
	wait := l.ttl / 4
	for {
		timer := time.NewTimer(wait)
		select {
		case <-l.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		switch err := l.renew(); {
		case err == nil:
			wait = l.ttl / 4
		case l.Err() != nil:
			return
		default:
			wait = min(l.ttl/20, time.Until(l.deadline()))
		}
	}
}

func (l *Lease) renew() error {
	start := time.Now()
	ctx, cancel := context.WithDeadline(context.Background(), l.deadline())
	defer cancel()
	res, err := l.db.ExecContext(ctx, `UPDATE leases SET expires = clock_timestamp() + $4 * interval '1 microsecond'
		WHERE name = $1 AND holder = $2 AND epoch = $3 AND expires > clock_timestamp()`, l.name, l.holder, l.epoch, l.ttl.Microseconds())
	var n int64
	if err == nil {
		n, err = res.RowsAffected()
	}
	switch {
	case err == nil && n == 1:
		l.trust(start)
		return nil
	case err == nil:
		return l.lose(ctx)
	case !l.Valid():
		return l.fail(&ExpiredError{Path: l.place, Lease: l.name, Reason: fmt.Sprintf("it could not be renewed for %s: %v", l.ttl, err)})
	}
	return err
}

func (l *Lease) deadline() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until
}

// lose says, from the row, how the lease came to be no longer ours.
func (l *Lease) lose(ctx context.Context) error {
	var holder string
	var epoch int64
	reason := "its time ran out"
	err := l.db.QueryRowContext(ctx, `SELECT holder, epoch FROM leases WHERE name = $1`, l.name).Scan(&holder, &epoch)
	if err == nil && epoch != l.epoch {
		reason = fmt.Sprintf("its time ran out and %s took it", holder)
	}
	return l.fail(&ExpiredError{Path: l.place, Lease: l.name, Reason: fmt.Sprintf("%s (ours was epoch %d)", reason, l.epoch)})
}

func (l *Lease) fail(cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = cause
		close(l.lost)
	}
	return l.cause
}

// guard proves, in the transaction that t is, that the lease is still held, and keeps others from taking it before the
// transaction has ended.
func (l *Lease) guard(t *tx) error {
	if err := l.Err(); err != nil {
		return err // also when the database would still let it: the process has been told that it lost
	}
	var one int
	err := t.row(`SELECT 1 FROM leases WHERE name = $1 AND holder = $2 AND epoch = $3 AND expires > clock_timestamp() FOR SHARE`,
		[]any{l.name, l.holder, l.epoch}, []any{&one})
	if errors.Is(err, sql.ErrNoRows) {
		return l.lose(t.ctx)
	}
	return err
}

// An ExpiredError says that a run has lost the writer's lock, or a process its lease, before it was done.
type ExpiredError struct {
	Path   string // the state
	Lease  string
	Reason string
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("state %s: lease %s was lost: %s; this run writes nothing more, and the next one begins anew from what is recorded", e.Path, e.Lease, e.Reason)
}
