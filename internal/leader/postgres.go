package leader

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
)

// Postgres elects by a lease in the database of the state.
type Postgres struct {
	leases *store.Leases
	name   string
	ttl    time.Duration
	retry  time.Duration
	before func(context.Context) error
}

var _ daemon.Elector = (*Postgres)(nil)

// PostgresOptions say which lease of which database the replicas compete for.
type PostgresOptions struct {
	DSN           func() string
	Name          string
	LeaseDuration time.Duration
	RetryPeriod   time.Duration
	// Before is called before each try; it may wait. Its error ends the campaign. It may be nil.
	Before func(ctx context.Context) error
}

// NewPostgres opens the database.
func NewPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	leases, err := store.OpenLeases(ctx, o.DSN)
	if err != nil {
		return nil, err
	}
	return &Postgres{leases: leases, name: "leader/" + o.Name, ttl: o.LeaseDuration, retry: o.RetryPeriod, before: o.Before}, nil
}

// Close ends the connections, after the term has been released.
func (p *Postgres) Close() error { return p.leases.Close() }

// Campaign tries to take the lease until it succeeds or ctx ends.
func (p *Postgres) Campaign(ctx context.Context, seen func(daemon.Standing)) (daemon.Term, error) {
	var last daemon.Standing
	for {
		if p.before != nil {
			if err := p.before(ctx); err != nil {
				return nil, err
			}
		}
		lease, err := p.leases.Acquire(ctx, p.name, p.ttl)
		if err == nil {
			return postgresTerm{lease}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		now := daemon.Standing{Err: err}
		if _, taken := errors.AsType[*store.LockedError](err); taken {
			now.Leader, now.Err = p.leases.Holder(ctx, p.name)
		}
		// An error repeats at each try; that there is one is told once.
		if ctx.Err() == nil && (now.Leader != last.Leader || (now.Err == nil) != (last.Err == nil)) {
			seen(now)
			last = now
		}
		if err := sleep(ctx, p.retry+rand.N(p.retry/5+1)); err != nil {
			return nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// A postgresTerm is the time in which this process holds the lease.
type postgresTerm struct{ *store.Lease }

// Leader is the process as the lease names it.
func (t postgresTerm) Leader() string { return t.Holder() }

// Allow asks the lease's own window, which closes before the database gives the lease to another process.
func (t postgresTerm) Allow() error {
	if t.Valid() {
		return nil
	}
	return t.Expire()
}
