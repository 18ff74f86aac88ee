package leader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

// KubernetesOptions say which Lease of which cluster the replicas compete for.
type KubernetesOptions struct {
	Kubeconfig    string // "" for the cluster that this pod runs in
	Namespace     string // "" for the pod's own, or the kubeconfig's
	Name          string
	Identity      string // of this process; no other may have it
	LeaseDuration time.Duration
	RenewDeadline time.Duration
	RetryPeriod   time.Duration
	// Before is called before each try to take a Lease that nobody holds; it may wait, and its error is the try's. It may be nil.
	Before func(ctx context.Context) error
	Log    *slog.Logger // silent when nil
}

// Kubernetes elects by a Lease object, with the election of client-go.
type Kubernetes struct {
	o    KubernetesOptions
	lock resourcelock.Interface
	now  func() moment
}

var _ daemon.Elector = (*Kubernetes)(nil)

// NewKubernetes finds the cluster and the namespace. It sends nothing.
func NewKubernetes(o KubernetesOptions) (*Kubernetes, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	cluster, namespace, err := connect(o.Kubeconfig)
	if err != nil {
		return nil, err
	}
	if o.Namespace == "" {
		o.Namespace = namespace
	}
	if o.Namespace == "" {
		return nil, errors.New("ha.mode kubernetes: the namespace is not known: write ha.namespace")
	}
	// A request that hangs must leave time for another one before the deadline.
	cluster.Timeout = max(o.RenewDeadline/2, time.Second)
	cluster.UserAgent = "rootly-idp-sync"
	cluster.WarningHandler = rest.NoWarnings{}
	client, err := coordinationv1.NewForConfig(cluster)
	if err != nil {
		return nil, fmt.Errorf("ha.mode kubernetes: %w", err)
	}
	// What client-go says beside the election, such as of a token that cannot be read, goes where everything goes.
	tellKlog.Do(func() { klog.SetSlogLogger(o.Log.With("part", "client-go")) })
	return &Kubernetes{o: o, now: clocks(), lock: &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace}, Client: client,
		LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity},
	}}, nil
}

// tellKlog guards the logger that client-go has for the whole process: it may not be set while anything is elected.
var tellKlog sync.Once

// namespaceFile is where a pod finds its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func connect(kubeconfig string) (cluster *rest.Config, namespace string, err error) {
	if kubeconfig == "" {
		if cluster, err = rest.InClusterConfig(); err != nil {
			return nil, "", fmt.Errorf("ha.mode kubernetes: %w (run in a pod whose service account token is mounted, or write ha.kubeconfig)", err)
		}
		data, _ := os.ReadFile(namespaceFile)
		return cluster, strings.TrimSpace(string(data)), nil
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, nil)
	if cluster, err = loader.ClientConfig(); err == nil {
		namespace, _, err = loader.Namespace()
	}
	if err != nil {
		return nil, "", fmt.Errorf("ha.kubeconfig %s: %w", filepath.Base(kubeconfig), err)
	}
	return cluster, namespace, nil
}

// Close has nothing to end: a Campaign or the Term that it gave does.
func (k *Kubernetes) Close() error { return nil }

// Campaign stands for election until this process leads or ctx ends.
func (k *Kubernetes) Campaign(ctx context.Context, seen func(daemon.Standing)) (daemon.Term, error) {
	t := &leaseTerm{window: newWindow(k.now), identity: k.lock.Identity(), ended: make(chan struct{})}
	lock := &trustedLock{Interface: k.lock, term: t, trust: k.o.RenewDeadline, seen: seen, before: k.o.Before}
	began := make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: k.o.Name, ReleaseOnCancel: true,
		LeaseDuration: k.o.LeaseDuration, RenewDeadline: k.o.RenewDeadline, RetryPeriod: k.o.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(began) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("ha.mode kubernetes: %w", err)
	}
	// The election outlives ctx: a leader that is told to stop renews until its last write is answered.
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	// Its own log lines repeat at each try what the lock below tells once.
	run = klog.NewContext(run, logr.FromSlogHandler(quiet(k.o.Log).Handler()))
	t.stop = stop
	go func() {
		defer close(t.ended)
		elector.Run(run)
		t.window.shut(errUnrenewed)
	}()
	select {
	case <-began:
		go func() {
			t.window.watch(t.ended)
			t.stop() // one that lost the lease does not take it again
		}()
		return t, nil
	case <-ctx.Done():
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer cancel()
		return nil, errors.Join(ctx.Err(), t.Release(rctx)) // it may have been elected at this moment
	}
}

// releaseTime is how long a replica that is elected while it stops may take to give that up.
const releaseTime = 2 * time.Second

// quiet lets the log's debug level through only if the log shows that.
func quiet(log *slog.Logger) *slog.Logger {
	if log.Enabled(context.Background(), slog.LevelDebug) {
		return log
	}
	return slog.New(slog.DiscardHandler)
}

var (
	errExpired   = errors.New("the lease could not be renewed in time, or this process or its machine stood still")
	errUnrenewed = errors.New("the lease could not be renewed")
	errReleased  = errors.New("leadership was given up")
	errWithheld  = errors.New("the lease is given up after the last write only")
)

// A leaseTerm is the time in which this process holds the Lease.
type leaseTerm struct {
	window    *window
	identity  string
	stop      context.CancelFunc
	ended     chan struct{} // closed when nothing renews the Lease any more
	releasing atomic.Bool
}

func (t *leaseTerm) Leader() string        { return t.identity }
func (t *leaseTerm) Allow() error          { return t.window.allow() }
func (t *leaseTerm) Lost() <-chan struct{} { return t.window.lost }
func (t *leaseTerm) Err() error            { return t.window.err() }

// Release closes the window and then has client-go give the Lease up.
func (t *leaseTerm) Release(ctx context.Context) error {
	t.window.shut(errReleased)
	t.releasing.Store(true)
	t.stop()
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("give up the lease: %w", ctx.Err())
	}
}

// A trustedLock is a Lease that opens the window of its term with each renewal, and that is given up by Release alone: client-go
// by itself would do so as soon as a renewal fails, with writes under way.
type trustedLock struct {
	resourcelock.Interface
	term   *leaseTerm
	trust  time.Duration
	seen   func(daemon.Standing)
	last   *daemon.Standing
	before func(context.Context) error
	held   bool // it was taken, and is renewed since
}

// Get reads the Lease and tells who holds it.
func (l *trustedLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.Interface.Get(ctx)
	switch {
	case err == nil:
		l.tell(daemon.Standing{Leader: record.HolderIdentity})
	case !apierrors.IsNotFound(err):
		l.tell(daemon.Standing{Err: l.explain(err)})
	}
	return record, raw, err
}

// Create makes the Lease and takes it.
func (l *trustedLock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, r, l.Interface.Create)
}

// Update takes the Lease, renews it or gives it up.
func (l *trustedLock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if r.HolderIdentity == "" && !l.term.releasing.Load() {
		return errWithheld
	}
	return l.write(ctx, r, l.Interface.Update)
}

func (l *trustedLock) write(ctx context.Context, r resourcelock.LeaderElectionRecord, send func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	// Who takes it while this one waits has changed its version, so that the try fails.
	if l.before != nil && !l.held {
		if err := l.before(ctx); err != nil {
			return err
		}
	}
	// The others count from when they see the renewal, which is later than this.
	start := l.term.window.now()
	err := send(ctx, r)
	switch {
	case err == nil && r.HolderIdentity == l.Identity():
		l.held = true
		l.term.window.extend(start.add(l.trust))
	case err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err): // that is another candidate's luck
		l.tell(daemon.Standing{Err: l.explain(err)})
	}
	return err
}

// tell passes on what differs from the last time. client-go calls the lock from one goroutine.
func (l *trustedLock) tell(s daemon.Standing) {
	if s.Leader == l.Identity() || l.last != nil && *l.last == s {
		return
	}
	if s.Err != nil && l.last != nil && l.last.Err != nil {
		return // the same trouble, most likely, with another request's number
	}
	l.last = &s
	l.seen(s)
}

// explain adds to an answer of the API server what the operator can do about it.
func (l *trustedLock) explain(err error) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("lease %s: %w (let the service account get and update this Lease, and create leases)", l.Describe(), err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("lease %s: %w (the service account's token is refused: has it been replaced?)", l.Describe(), err)
	}
	return fmt.Errorf("lease %s: %w", l.Describe(), err)
}
