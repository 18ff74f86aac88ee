// Package web shows people and programs what the daemon did and is going to do: the status page, the JSON API and the
// metrics, and it decides who may look and who may approve.
package web

import (
	"context"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Daemon runs the cycles that the page tells of.
type Daemon interface {
	State() daemon.State
	Subscribe() (updates <-chan daemon.State, cancel func())
	RunNow()
}

// Records are what is read of the store, and the one thing that is written to it for people: their approvals.
type Records interface {
	CyclesDuring(ctx context.Context, f store.Filter) ([]store.Cycle, error)
	Changes(ctx context.Context, f store.Filter) ([]store.Entry, error)
	CycleChanges(ctx context.Context, cycle int64) ([]store.Entry, error)
	HeldSets(ctx context.Context) ([]store.HeldRecord, error)
	Approve(ctx context.Context, fingerprint, by string) (reconcile.HeldSet, error)
	Escrow(ctx context.Context) ([]reconcile.Waiting, error)
	Pins(ctx context.Context) ([]store.Pinned, error)
	Ledger(ctx context.Context) (reconcile.Ledger, error)
	Previous(ctx context.Context) (*connectors.Snapshot, time.Time, error)
	Recall(ctx context.Context, key string) ([]byte, error)
	Remember(ctx context.Context, key string, data []byte) error
}

// A Pipeline is the configuration at work, as the page needs it.
type Pipeline struct {
	Source  string // the directory's tenant
	Target  string // the SCIM base URL
	Config  []byte // the effective configuration, secrets masked
	Records Records
	Rules   *reconcile.Rules
}

// Options are what a Site is made of. Log, Now and Build may be left out.
type Options struct {
	Daemon Daemon
	Log    *slog.Logger
	Now    func() time.Time
	Build  Build
}

// A Site is the status page, the API and the metrics of one daemon. It is safe for concurrent use.
type Site struct {
	*door
	daemon  Daemon
	log     *slog.Logger
	Metrics *Metrics
	live    Live
	name    string // of the pipeline, "" for one that stands alone
	base    string // what its paths begin with: "", or /p/ and the name
	navs    []nav

	seen    atomic.Pointer[Seen]
	roster  rosterCache
	streams atomic.Int32

	handler   http.Handler
	scraped   http.Handler // the metrics
	templates map[string]*template.Template
}

// A door is what the sites of a process share: the address, and who may come in.
type door struct {
	now     func() time.Time
	build   Build
	guard   atomic.Pointer[guard] // who may, as configured last
	address atomic.Pointer[string]

	logins   logins
	sessions sessions
	limits   limits
	stop     chan struct{} // closed when serving ends: streams end with it
	stopping sync.Once
}

// New returns a Site that knows nothing yet: Use gives it a pipeline, Configure says who may see it.
func New(o Options) *Site {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := newSite(o, &door{now: o.Now, build: o.Build, stop: make(chan struct{})}, "")
	s.Metrics.process(o.Build)
	s.scraped = s.Metrics.Handler()
	s.handler = s.routes(s.allRoutes())
	return s
}

// newSite makes the site of a pipeline; its routes are still to be made.
func newSite(o Options, d *door, name string) *Site {
	s := &Site{door: d, daemon: o.Daemon, log: o.Log, name: name, Metrics: newMetrics(name), navs: navs}
	if name != "" {
		s.base = pipelinePrefix + name
	}
	s.templates = s.parseTemplates()
	if o.Daemon != nil {
		s.Metrics.register.MustRegister(gaugeCollector{s})
	}
	return s
}

// Use makes p what is shown. It waits for those who read the one before, so that its store may be closed afterwards; a
// nil p ends showing anything.
func (s *Site) Use(ctx context.Context, p *Pipeline) {
	s.live.set(p)
	s.roster.forget()
	if p == nil {
		return
	}
	if s.seen.Load() == nil {
		if err := s.recall(ctx, p.Records); err != nil {
			s.log.Warn("the plan of the last cycle is not known until the next one", "error", err)
		}
	}
}

// Drop ends showing p, if it is what is shown, and waits for those who read it.
func (s *Site) Drop(p *Pipeline) { s.live.drop(p) }

// errStarting is what a page says before the first configuration is open and after the last is closed.
var errStarting = errors.New("the daemon is starting or stopping: nothing is open to be shown (try again in a moment)")

// A Live is the pipeline at work, which may be replaced at any time.
type Live struct {
	mu sync.RWMutex
	p  *Pipeline
}

func (l *Live) set(p *Pipeline) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.p = p
}

func (l *Live) drop(p *Pipeline) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.p == p {
		l.p = nil
	}
}

// Use calls f with the pipeline, which is not closed meanwhile. f must not wait for whoever asked.
func (l *Live) Use(f func(p Pipeline) error) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.p == nil {
		return errStarting
	}
	return f(*l.p)
}
