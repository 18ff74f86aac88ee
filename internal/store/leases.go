package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Leases are the leases of a database on PostgreSQL, for those who need nothing else of it. They have connections of
// their own, so that a lease outlives the Store of one configuration.
type Leases struct{ db *postgres }

// OpenLeases opens the database and brings its schema up to date.
func OpenLeases(ctx context.Context, dsn func() string) (*Leases, error) {
	p, err := newPostgres(dsn(), Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return nil, err
	}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(p.explain(err), p.close())
	}
	return &Leases{p}, nil
}

// Acquire takes a lease as Store.Acquire does.
func (l *Leases) Acquire(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	return l.db.acquire(ctx, name, ttl)
}

// Holder names the process that has the lease, "" when none does.
func (l *Leases) Holder(ctx context.Context, name string) (holder string, err error) {
	err = l.db.pool.QueryRowContext(ctx, `SELECT holder FROM leases WHERE name = $1 AND expires > clock_timestamp()`, name).Scan(&holder)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read lease %s: %w", name, l.db.explain(err))
	}
	return holder, nil
}

// Close ends the connections. A lease that was not released ends by itself.
func (l *Leases) Close() error { return l.db.close() }
