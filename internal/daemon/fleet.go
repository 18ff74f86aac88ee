package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// FleetOptions are what a Fleet is made of. List and New are needed.
type FleetOptions struct {
	// List names the pipelines that there are now, and the file of each.
	List func() (files map[string]string, err error)
	// New makes the Daemon of a pipeline: when it begins, and again each time that the one before has ended with an error. m
	// is the same each time.
	New func(m *Member) *Daemon
	// Removed is told of a pipeline that is no longer listed and has ended. It may be nil.
	Removed func(name string)
	// Reload loads again what the process has once, from the files. It may be nil.
	Reload func(ctx context.Context) (files []string, err error)
	Files  []string // what Reload reads, as known at the start
	Log    *slog.Logger
	Env    func(string) string // os.Getenv when nil; where systemd says that it listens
	Listen string              // of health, "" serves nothing
	// Serve begins to serve whatever shows the pipelines to people. It may be nil.
	Serve func() (stop func(), err error)
	// Metrics are served beside health. They may be nil.
	Metrics http.Handler
}

// A Fleet runs a Daemon for each of several pipelines, side by side. Whatever becomes of one of them, the others go on; one
// that has failed begins anew with a Daemon of its own. Its exported methods are safe for concurrent use.
type Fleet struct {
	o          FleetOptions
	log        *slog.Logger
	supervisor *supervisor
	reloads    chan struct{}
	born       time.Time
	beat       atomic.Int64 // nanoseconds from born to the last turn of Run's loop
	stopping   atomic.Bool

	mu       sync.Mutex
	members  map[string]*Member
	problem  string // why what the process has once cannot be used as it is on disk
	unlisted string // why the pipelines cannot be listed

	// Run's own.
	wg      sync.WaitGroup
	failed  chan error          // one that ends the process
	fresh   map[string]contents // of pipelines that are new, when they were seen first
	missing map[string]bool     // pipelines that were not listed the last time
	loaded  contents            // of what the process has once
	changed contents            // of that, when it was last seen to differ
}

// NewFleet returns a Fleet that does nothing yet.
func NewFleet(o FleetOptions) *Fleet {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	return &Fleet{
		o: o, log: o.Log, supervisor: newSupervisor(o.Env, o.Log), reloads: make(chan struct{}, 1), born: time.Now(), members: map[string]*Member{},
		failed: make(chan error, 1), fresh: map[string]contents{}, missing: map[string]bool{}, loaded: read(o.Files),
	}
}

// Run runs the pipelines until ctx ends, and waits for the end of each. Its error is nil when all of them stopped in good
// order, within their grace. It ends by itself only when one has to be stopped and does not stop: then nothing but the end
// of the process is sure to keep it from writing.
func (f *Fleet) Run(ctx context.Context) error {
	files, err := f.o.List()
	if err != nil {
		return err
	}
	stopHealth, err := serveHealth(f.o.Listen, probes(f.alive, f.Readiness, func() http.Handler { return f.o.Metrics }), f.log)
	if err != nil {
		return err
	}
	defer stopHealth()
	if f.o.Serve != nil {
		stop, err := f.o.Serve()
		if err != nil {
			return err
		}
		defer stop()
	}
	stopWatchdog := f.supervisor.watch(f.alive)
	defer stopWatchdog()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.start(ctx, name)
	}
	f.log.Info("started", "pipelines", len(files), "health", f.o.Listen)
	f.supervisor.ready()
	err = f.turn(ctx)
	f.stopping.Store(true)
	f.supervisor.stopping()
	cancel()
	f.wg.Wait()
	select {
	case late := <-f.failed:
		err = errors.Join(err, late)
	default:
	}
	f.log.Info("stopped", "pipelines", len(files))
	return err
}

// turn looks at the files every so often until ctx ends, or a pipeline fails in a way that must end the process.
func (f *Fleet) turn(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		f.beat.Store(int64(time.Since(f.born)))
		if f.supervisor.socket != "" {
			f.supervisor.send("STATUS=" + f.Readiness(ctx).Reason)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-f.failed:
			return err
		case <-f.reloads:
			f.reload(ctx)
			f.scan(ctx)
		case <-tick.C:
			if now := read(slices.Collect(maps.Keys(f.loaded))); maps.Equal(now, f.loaded) {
				f.changed = nil
			} else if !maps.Equal(now, f.changed) {
				f.changed = now
			} else {
				f.reload(ctx)
			}
			f.scan(ctx)
		}
	}
}

// reload loads anew what the process has once. What cannot be used changes nothing.
func (f *Fleet) reload(ctx context.Context) {
	if f.o.Reload == nil {
		return
	}
	f.supervisor.reloading()
	defer f.supervisor.ready()
	files, err := f.o.Reload(ctx)
	f.loaded, f.changed = read(append(slices.Collect(maps.Keys(f.loaded)), files...)), nil
	f.trouble(&f.problem, err, "the changed configuration of the process cannot be used, the running one stays")
}

// trouble keeps what is wrong with the process as a whole, and says it once.
func (f *Fleet) trouble(with *string, err error, message string) {
	text := ""
	if err != nil {
		text = oneLine(err)
	}
	f.mu.Lock()
	before := *with
	*with = text
	f.mu.Unlock()
	if text != "" && text != before {
		f.log.Error(message, "error", text)
	}
}

// scan starts the pipelines that were added and stops those that were removed. A file is new or gone when two looks agree, as
// with one that changes: it may be on its way to its place.
func (f *Fleet) scan(ctx context.Context) {
	files, err := f.o.List()
	f.trouble(&f.unlisted, err, "the pipelines cannot be listed, those that run go on")
	if err != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if f.member(name) != nil {
			continue
		}
		now := read([]string{files[name]})
		if !maps.Equal(now, f.fresh[name]) {
			f.fresh[name] = now
			continue
		}
		delete(f.fresh, name)
		f.log.Info("pipeline added", "pipeline", name)
		f.start(ctx, name)
	}
	for _, m := range f.Members() {
		_, listed := files[m.name]
		switch {
		case listed:
			delete(f.missing, m.name)
			continue
		case !f.missing[m.name]:
			f.missing[m.name] = true
			continue
		}
		if m.retire() {
			f.log.Info("pipeline removed: it ends after its cycle, and what is known of it stays in the store", "pipeline", m.name)
		}
	}
	maps.DeleteFunc(f.fresh, func(name string, _ contents) bool { _, listed := files[name]; return !listed })
}

func (f *Fleet) start(ctx context.Context, name string) {
	m := newMember(name)
	f.mu.Lock()
	f.members[name] = m
	f.mu.Unlock()
	f.wg.Go(func() {
		err := m.run(ctx, f.o.New, f.log.With("pipeline", name))
		if err != nil {
			select {
			case f.failed <- fmt.Errorf("pipeline %s: %w", name, err):
			default: // the process ends already
			}
		}
		if ctx.Err() != nil || err != nil {
			return
		}
		f.mu.Lock()
		delete(f.members, name)
		f.mu.Unlock()
		if f.o.Removed != nil {
			f.o.Removed(name)
		}
	})
}

func (f *Fleet) member(name string) *Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[name]
}

// Members are the pipelines, by name. One that was removed is among them until it has ended.
func (f *Fleet) Members() []*Member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*Member
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		out = append(out, f.members[name])
	}
	return out
}

// RunNow begins a cycle of each pipeline at once, or when the one that runs has ended. One that has failed is tried again.
func (f *Fleet) RunNow() {
	for _, m := range f.Members() {
		m.RunNow()
	}
}

// Reload loads every configuration again, each once no cycle of it runs, and looks for files that came and went.
func (f *Fleet) Reload() {
	signalOnce(f.reloads)
	for _, m := range f.Members() {
		m.reload()
	}
}

// most is how many pipelines that this replica leads still make it more patient.
const most = 4

// Yield waits before this replica tries to lead one pipeline more: the longer, up to retry and a quarter, the more it leads
// already. Of several replicas the one with the least to do so comes first, mostly. Who leads is decided by the lease alone.
func (f *Fleet) Yield(ctx context.Context, retry time.Duration) error {
	luck := rand.N(retry/most + 1)
	for waited := time.Duration(0); ; {
		left := luck + time.Duration(min(f.leads(), most))*retry/most - waited
		if left <= 0 {
			return nil
		}
		// It may come to lead another one meanwhile.
		step := min(left, max(retry/most, time.Millisecond))
		timer := time.NewTimer(step)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		waited += step
	}
}

func (f *Fleet) leads() (n int) {
	for _, m := range f.Members() {
		if d := m.daemon.Load(); d != nil && d.Allow() == nil {
			n++
		}
	}
	return n
}

// alive tells whether this loop turns, and that of each pipeline.
func (f *Fleet) alive() bool {
	if f.stopping.Load() {
		return true
	}
	const patience = 12 * lookEvery
	if time.Since(f.born)-time.Duration(f.beat.Load()) >= patience {
		return false
	}
	for _, m := range f.Members() {
		// One that is still opening its store has not turned yet, and has its own limits.
		if d := m.daemon.Load(); d != nil && d.beat.Load() != 0 && !d.alive() {
			return false
		}
	}
	return true
}
