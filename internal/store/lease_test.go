package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// shortLived is a store on PostgreSQL whose writer's lock is good for ttl.
func shortLived(t testing.TB, dsn string, ttl time.Duration) *Store {
	t.Helper()
	s := openAt(t, onServer(dsn, func() time.Time { return t0 }))
	s.db.(*postgres).ttl = ttl
	return s
}

// asleep makes the holder forget to renew its lease and lets the lease run out at the server, as a pause of the whole
// process does.
func asleep(t testing.TB, s *Store) {
	t.Helper()
	l := s.fence()
	close(l.stop)
	<-l.ended
	l.stop = make(chan struct{}) // Release closes it
	_, err := s.ro.ExecContext(context.Background(), `UPDATE leases SET expires = clock_timestamp() WHERE name = $1`, l.name)
	must(t, err)
}

func TestOneWriterAtATimeOnPostgreSQL(t *testing.T) {
	ctx, dsn := t.Context(), startPostgres(t).Database(t)
	s, other := shortLived(t, dsn, time.Minute), shortLived(t, dsn, time.Minute)
	unlock, err := s.Lock(ctx)
	must(t, err)
	_, err = other.Lock(ctx)
	if e, ok := errors.AsType[*LockedError](err); !ok || !strings.Contains(e.Error(), "pid ") || !strings.Contains(e.Error(), "if it was killed, free at") {
		t.Errorf("err = %v", err)
	}
	if h, err := other.Check(ctx); err != nil || !strings.Contains(h.Holder, "pid ") {
		t.Errorf("holder %q, %v", h.Holder, err)
	}
	ledger(t, other)                                        // readers are not kept out,
	must(t, other.Remember(ctx, "notices", []byte("sent"))) // nor is what needs no lock
	unlock()
	unlock, err = other.Lock(ctx)
	must(t, err)
	if got := other.fence().Epoch(); got != 2 {
		t.Errorf("epoch %d of the second holder, want 2", got)
	}
	unlock()
}

func TestAStaleHolderCommitsNothing(t *testing.T) {
	ctx, dsn := t.Context(), startPostgres(t).Database(t)
	s, other := shortLived(t, dsn, time.Hour), shortLived(t, dsn, time.Hour)
	unlock, err := s.Lock(ctx)
	must(t, err)
	cycle := begin(t, s)
	asleep(t, s)
	stale := func(step string, err error) {
		t.Helper()
		if e, ok := errors.AsType[*ExpiredError](err); !ok || !strings.Contains(e.Error(), "writes nothing more") {
			t.Errorf("%s: %v", step, err)
		}
	}
	_, err = s.Intend(ctx, cycle, change(reconcile.VerbCreate, ada), ada.User, nil)
	stale("nobody has taken it yet", err)
	unlockOther, err := other.Lock(ctx)
	must(t, err)
	stale("refresh", s.Refresh(ctx, []reconcile.Link{ada}))
	stale("keep", s.Hold(ctx, cycle, []reconcile.HeldSet{layoff}))
	stale("finish", s.Finish(ctx, cycle, reconcile.CycleSummary{Rules: "old"}))
	if s.fence().Valid() || !strings.Contains(s.fence().Err().Error(), "its time ran out") {
		t.Errorf("the stale lease is valid, or lost because %v", s.fence().Err())
	}
	must(t, other.Refresh(ctx, []reconcile.Link{ben}))
	unlock()
	must(t, other.Refresh(ctx, []reconcile.Link{ben})) // giving up what is lost takes it from nobody
	unlockOther()
	if l := ledger(t, other); len(l.Users) != 1 || l.Rules != "" || len(l.Open) != 0 {
		t.Errorf("the stale holder got through: %+v", l)
	}
}

// TestContendedCommitsAreNeverStale lets two writers commit while each keeps losing the lock to the other at whatever
// moment: the epochs of what is on the disk only grow in the order in which the rows were written.
func TestContendedCommitsAreNeverStale(t *testing.T) {
	ctx, dsn := t.Context(), startPostgres(t).Database(t)
	const commits = 10_000
	first := shortLived(t, dsn, time.Hour)
	_, err := first.ro.Exec(`CREATE TABLE proof (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, epoch BIGINT NOT NULL)`)
	must(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	written, refused := 0, 0
	more := func(ok bool) bool {
		mu.Lock()
		defer mu.Unlock()
		if ok {
			written++
		} else {
			refused++
		}
		return written < commits
	}
	expire := func(s *Store) {
		_, err := s.ro.ExecContext(ctx, `UPDATE leases SET expires = clock_timestamp()`)
		must(t, err)
	}
	for _, s := range []*Store{first, shortLived(t, dsn, time.Hour)} {
		wg.Go(func() {
			for going := true; going; {
				unlock, err := s.Lock(ctx)
				if _, held := errors.AsType[*LockedError](err); held {
					expire(s) // the other one is, so to speak, asleep
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				epoch := s.fence().Epoch()
				var workers sync.WaitGroup
				for range 16 {
					workers.Go(func() {
						for range 8 {
							err := s.record(ctx, "prove", func(t *tx) error {
								return t.exec(`INSERT INTO proof (epoch) VALUES ($1)`, epoch)
							})
							if _, stale := errors.AsType[*ExpiredError](err); err != nil && !stale {
								t.Error(err)
							}
							more(err == nil)
						}
					})
				}
				workers.Wait()
				mu.Lock()
				going = written < commits
				mu.Unlock()
				unlock()
			}
		})
	}
	wg.Wait()
	var rows, epochs, stale int
	must(t, first.ro.QueryRow(`SELECT count(*), count(DISTINCT epoch), count(*) FILTER (WHERE epoch < before)
		FROM (SELECT epoch, max(epoch) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM proof) p`).Scan(&rows, &epochs, &stale))
	if rows != written || stale != 0 || epochs < 10 || refused == 0 {
		t.Errorf("%d rows of %d, %d stale, %d epochs, %d refused", rows, written, stale, epochs, refused)
	}
	t.Logf("%d commits in %d epochs, %d refused, %d stale", rows, epochs, refused, stale)
}

func TestALeaseEndsForItsHolderBeforeAnotherCanHaveIt(t *testing.T) {
	ctx, dsn := t.Context(), startPostgres(t).Database(t)
	s, other := shortLived(t, dsn, time.Minute), shortLived(t, dsn, time.Minute)
	l, err := s.Acquire(ctx, "leader", time.Second)
	must(t, err)
	if l.Name() != "leader" || l.Epoch() != 1 || !l.Valid() {
		t.Errorf("lease %s, epoch %d, valid %v", l.Name(), l.Epoch(), l.Valid())
	}
	if _, err := other.Acquire(ctx, "leader", time.Second); err == nil {
		t.Error("two processes hold one lease")
	}
	elsewhere, err := other.Acquire(ctx, "another", time.Second)
	must(t, err)
	must(t, elsewhere.Release(ctx))

	_, err = s.ro.Exec(`ALTER TABLE leases RENAME TO away`) // renewals fail from here on
	must(t, err)
	<-l.Lost()
	if l.Valid() || !strings.Contains(fmt.Sprint(l.Err()), "could not be renewed") {
		t.Errorf("valid %v, err %v", l.Valid(), l.Err())
	}
	var free time.Time
	must(t, s.ro.QueryRow(`SELECT expires FROM away WHERE name = 'leader'`).Scan(&free))
	if !l.deadline().Before(free) { // both clocks are this machine's
		t.Errorf("trusted until %v, free for others at %v", l.deadline(), free)
	}
	_, err = s.ro.Exec(`ALTER TABLE away RENAME TO leases`)
	must(t, err)
	must(t, l.Release(ctx))
	again, err := other.Acquire(ctx, "leader", time.Second)
	must(t, err)
	if again.Epoch() != 2 {
		t.Errorf("epoch %d, want 2", again.Epoch())
	}
	must(t, again.Release(ctx))
	if again.Valid() {
		t.Error("a released lease is valid")
	}
}

func TestAStateFileHasNoLeases(t *testing.T) {
	s := openAt(t, options(statePath(t)))
	if _, err := s.Acquire(t.Context(), "leader", time.Second); err == nil || !strings.Contains(err.Error(), "state.dsn") {
		t.Errorf("err = %v", err)
	}
}
