package leader

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// A cluster keeps one Lease, as the API server does.
type cluster struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
	began   map[string]time.Time // by replica, when it last took the Lease
}

// A candidate is the Lease as one replica reaches it.
type candidate struct {
	*cluster
	t        *testing.T
	identity string
	have     int // the version that it read or wrote last

	mu     sync.Mutex
	hung   chan struct{} // closed when requests are answered again; nil while they are
	refuse error
	term   daemon.Term // must be over before the Lease is given up
}

// wait is the way to the API server.
func (c *candidate) wait(ctx context.Context) error {
	c.mu.Lock()
	hung, refuse := c.hung, c.refuse
	c.mu.Unlock()
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return refuse
}

func (c *candidate) hang() (answer func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hung := make(chan struct{})
	c.hung = hung
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hung = nil
		close(hung)
	}
}

func (c *candidate) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if err := c.wait(ctx); err != nil {
		return nil, nil, err
	}
	c.cluster.mu.Lock()
	defer c.cluster.mu.Unlock()
	if c.record == nil {
		return nil, nil, apierrors.NewNotFound(leases, "sync")
	}
	c.have = c.version
	r := *c.record
	raw, err := json.Marshal(r)
	return &r, raw, err
}

func (c *candidate) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return c.put(ctx, r, true)
}

func (c *candidate) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return c.put(ctx, r, false)
}

func (c *candidate) put(ctx context.Context, r resourcelock.LeaderElectionRecord, create bool) error {
	if r.HolderIdentity == "" && (c.term == nil || c.term.Allow() == nil) {
		c.t.Error("the Lease is given up while its holder may write")
	}
	if err := c.wait(ctx); err != nil {
		return err
	}
	c.cluster.mu.Lock()
	defer c.cluster.mu.Unlock()
	switch {
	case create && c.record != nil:
		return apierrors.NewAlreadyExists(leases, "sync")
	case !create && c.have != c.version:
		return apierrors.NewConflict(leases, "sync", errors.New("it was changed"))
	}
	if c.record == nil || c.record.HolderIdentity != r.HolderIdentity {
		c.began[r.HolderIdentity] = time.Now()
	}
	c.version++
	c.record, c.have = &r, c.version
	return nil
}

func (c *candidate) RecordEvent(string) {}
func (c *candidate) Identity() string   { return c.identity }
func (c *candidate) Describe() string   { return "default/sync" }

func (c *cluster) candidate(t *testing.T, identity string, now func() moment) (*candidate, *Kubernetes) {
	lock := &candidate{cluster: c, t: t, identity: identity}
	return lock, &Kubernetes{lock: lock, now: now, o: KubernetesOptions{
		Name: "sync", Identity: identity, Log: slog.New(slog.DiscardHandler),
		LeaseDuration: 60 * time.Second, RenewDeadline: 40 * time.Second, RetryPeriod: 15 * time.Second,
	}}
}

// since is when the replica took the Lease.
func (c *cluster) since(identity string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began[identity]
}

func (c *cluster) holder() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.HolderIdentity
}

func newCluster() *cluster { return &cluster{began: map[string]time.Time{}} }

func ignore(daemon.Standing) {}

// lead elects the candidate, which must be able to win.
func lead(t *testing.T, c *candidate, k *Kubernetes) daemon.Term {
	t.Helper()
	term, err := k.Campaign(t.Context(), ignore)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.term = term
	return term
}

// lastWrite writes every 50 ms as long as the term allows it, and sends the time of the last write.
func lastWrite(term daemon.Term) <-chan time.Time {
	last := make(chan time.Time, 1)
	go func() {
		var at time.Time
		for term.Allow() == nil {
			at = time.Now()
			time.Sleep(50 * time.Millisecond)
		}
		last <- at
	}()
	return last
}

func TestALeaderWhoseAPIServerHangsWritesNothingOnceAnotherLeads(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 7 * time.Second, 14 * time.Second, 15 * time.Second, 29 * time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			first, k1 := c.candidate(t, "first", clocks())
			second, k2 := c.candidate(t, "second", clocks())
			term := lead(t, first, k1)
			last := lastWrite(term)
			time.Sleep(after)
			hung := time.Now()
			answer := first.hang()
			other := lead(t, second, k2)
			at := <-last
			if took := c.since("second"); !at.Before(took) {
				t.Errorf("hung after %s: a write %s after the other one took over", after, at.Sub(took))
			}
			if held := at.Sub(hung); held > k1.o.RenewDeadline || held < k1.o.RenewDeadline-k1.o.RetryPeriod-time.Second {
				t.Errorf("hung after %s: it wrote for another %s", after, held)
			}
			answer()
			<-term.Lost()
			time.Sleep(5 * time.Minute)
			if holder := c.holder(); holder != "second" || term.Allow() == nil {
				t.Errorf("hung after %s: %s holds the Lease, the first one's term allows: %v", after, holder, term.Allow())
			}
			if err := other.Release(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASuspendedLeaderIsNoLeaderWhenItWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asleep atomic.Int64
		steady := clocks()
		first, k := newCluster().candidate(t, "first", func() moment {
			m := steady()
			return moment{m.steady, m.wall.Add(time.Duration(asleep.Load()))}
		})
		term := lead(t, first, k)
		if err := term.Allow(); err != nil {
			t.Error(err)
		}
		asleep.Store(int64(time.Hour))
		if term.Allow() == nil {
			t.Error("after an hour asleep it writes")
		}
		<-term.Lost()
		if term.Err() == nil {
			t.Error("nobody says why the term is lost")
		}
		time.Sleep(time.Minute) // its election ends by itself
	})
}

func TestReleasingMakesRoomAtOnceAndShutsTheWindowFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first, k1 := c.candidate(t, "first", clocks())
		second, k2 := c.candidate(t, "second", clocks())
		term := lead(t, first, k1) // the candidate itself checks the order
		var seen []string
		took := make(chan time.Time)
		go func() {
			other, err := k2.Campaign(t.Context(), func(s daemon.Standing) { seen = append(seen, s.Leader) })
			if err != nil {
				t.Error(err)
			}
			took <- time.Now()
			second.term = other
			if err := other.Release(t.Context()); err != nil {
				t.Error(err)
			}
			close(took)
		}()
		time.Sleep(3 * time.Minute)
		if err := term.Allow(); err != nil {
			t.Errorf("a leader that renews is lost: %v", err)
		}
		start := time.Now()
		if err := term.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if wait := (<-took).Sub(start); wait > 15*time.Second*6/5*2 {
			t.Errorf("the other one took over after %s", wait)
		}
		<-took
		if got := strings.Join(seen, " "); got != "first" && got != "first " {
			t.Errorf("the standby saw %q", got)
		}
	})
}

func TestAReleaseThatIsNotAnsweredIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, k := newCluster().candidate(t, "first", clocks())
		term := lead(t, first, k)
		defer first.hang()()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := term.Release(ctx); err == nil || time.Since(start) != 3*time.Second {
			t.Errorf("Release = %v after %s", err, time.Since(start))
		}
		if term.Allow() == nil {
			t.Error("it writes after Release")
		}
	})
}

// TestWhoStandsBackLosesToWhoDoesNot, and renews without standing back once it leads.
func TestWhoStandsBackLosesToWhoDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		lazy, busy := c.candidate(t, "pod-a", clocks())
		waits := 0
		busy.o.Before = func(ctx context.Context) error {
			waits++
			return sleep(ctx, 10*time.Second)
		}
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan daemon.Term, 1)
		go func() {
			term, _ := busy.Campaign(ctx, ignore) // of a campaign that is stopped
			over <- term
		}()
		time.Sleep(time.Second)
		idle, k := c.candidate(t, "pod-b", clocks())
		term := lead(t, idle, k)
		if got := c.holder(); got != "pod-b" {
			t.Errorf("%s leads", got)
		}
		time.Sleep(5 * time.Minute)
		if got := c.holder(); got != "pod-b" || waits != 1 {
			t.Errorf("%s leads, and the other one stood back %d times from a Lease that is held", got, waits)
		}
		if err := term.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := <-over
		time.Sleep(5 * time.Minute)
		if got := c.holder(); got != "pod-a" || other.Allow() != nil || waits != 2 {
			t.Errorf("%s leads, allowed %v, after standing back %d times", got, other.Allow(), waits)
		}
		stop()
		lazy.mu.Lock()
		lazy.term = other
		lazy.mu.Unlock()
		if err := other.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAStandbyIsStoppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first, k1 := c.candidate(t, "first", clocks())
		_, k2 := c.candidate(t, "second", clocks())
		term := lead(t, first, k1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := k2.Campaign(ctx, ignore); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("err = %v after %s", err, time.Since(start))
		}
		if err := term.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestWhatKeepsAStandbyFromTheLeaseIsToldOnceWithARemedy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lock, k := newCluster().candidate(t, "first", clocks())
		lock.refuse = apierrors.NewForbidden(leases, "sync", errors.New("no rule"))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var seen []daemon.Standing
		if _, err := k.Campaign(ctx, func(s daemon.Standing) { seen = append(seen, s) }); err == nil {
			t.Error("elected without a Lease")
		}
		if len(seen) != 1 || !strings.Contains(seen[0].Err.Error(), "let the service account get and update this Lease") {
			t.Errorf("told %v", seen)
		}
	})
}
