// Package daemon runs cycles on a schedule, unattended: one at a time, with quarantine when they keep failing, a
// configuration that is reloaded between them, health checks, and an orderly stop. What a cycle is it does not know.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Setup is one configuration at work.
type Setup struct {
	Settings Settings
	// Cycle runs one cycle. A context that ends stops it in good order: nothing new is sent, what is under way ends and is
	// recorded within the grace.
	Cycle  func(ctx context.Context, w Watch) (reconcile.Report, error)
	Memory Memory
	// Notify tells people what they have to know of a cycle. It may be nil.
	Notify func(ctx context.Context, e Ended)
	// Elect opens the way to choose one of several replicas. It is called once, of the first Setup; nil when this is the
	// only one.
	Elect func(ctx context.Context) (Elector, error)
	Close func() error
}

// Settings are what the daemon itself needs of a configuration.
type Settings struct {
	Mode         string // as people read it: "observe", "apply"
	Schedule     Schedule
	RunAtStart   bool
	Grace        time.Duration
	HealthListen string // "" serves nothing
	Metrics      bool   // beside health
	// Fixed are values, by their keys in the configuration, that only a restart changes.
	Fixed       map[string]string
	Fingerprint string // differs when anything of the configuration does, secrets included
	// ElectionTime is how long Once waits to lead.
	ElectionTime time.Duration
}

// A Watch is told how far a cycle is. Its functions are called one at a time.
type Watch struct {
	Planned  func(changes int)
	Progress func(done, total int)
}

// Memory is what the daemon needs of the store. No method needs the writer's lock.
type Memory interface {
	Ledger(ctx context.Context) (reconcile.Ledger, error)
	Fail(ctx context.Context, at time.Time, reason string) (cycle int64, err error)
	Isolate(ctx context.Context, q *reconcile.Quarantine) error
	LastGood(ctx context.Context) (time.Time, error)
	Recall(ctx context.Context, key string) ([]byte, error)
	Remember(ctx context.Context, key string, data []byte) error
}

// Ended is a cycle that ended, for Notify.
type Ended struct {
	Report     reconcile.Report
	Err        error
	Result     Result
	At         time.Time
	Took       time.Duration
	Quarantine *reconcile.Quarantine // after this cycle
	LastGood   time.Time             // this cycle's end, if it was one
	Next       time.Time             // when the next cycle begins, zero when none does
	Reload     string                // why a changed configuration is not in effect, "" when the one on disk is
}

// Options are what a Daemon is made of. Only Load is needed.
type Options struct {
	// Load opens the configuration as it is now. It names the files that it is made of, beside an error too as far as they
	// are known: when one of them changes, Load is called again.
	Load   func(ctx context.Context) (*Setup, []string, error)
	Log    *slog.Logger
	Now    func() time.Time    // time.Now when nil; the wall clock decides when a cycle is due
	Jitter func() float64      // from 0 to below 1; random when nil
	Env    func(string) string // os.Getenv when nil; where systemd says that it listens
	// Serve begins to serve whatever shows the daemon to people, once the first configuration is open; stop is called before
	// the last one is closed. It may be nil.
	Serve func() (stop func(), err error)
	// Metrics are served beside health where Settings.Metrics says so. It may be nil.
	Metrics http.Handler
	// Ended is told of every cycle that ended, before anybody is notified. It may be nil.
	Ended func(ctx context.Context, e Ended)
}

// A Daemon is one run of the program as a service. Its exported methods are safe for concurrent use.
type Daemon struct {
	o          Options
	log        *slog.Logger
	supervisor *supervisor
	board      *board
	runNow     chan struct{}
	reloads    chan struct{}
	retired    chan struct{} // closed by Retire
	retire     sync.Once

	mu    sync.RWMutex // guards setup, which only the loop replaces
	setup *Setup

	term atomic.Pointer[Term] // nil while this replica does not lead

	busy atomic.Bool  // a cycle runs
	beat atomic.Int64 // nanoseconds from born to the loop's last turn
	born time.Time
	ping probe

	// The loop's own.
	once       bool      // there is no next cycle
	due        time.Time // the wall clock's
	seen       time.Time // the wall clock at the last turn
	looked     time.Time // when the files were looked at last
	quarantine *reconcile.Quarantine
	unrecorded bool    // the store has another quarantine, or none
	elector    Elector // nil when this is the only replica
	listen     string  // where health is served
	fixed      map[string]string
	files      []string // of the configuration
	loaded     contents // of files, when they were loaded last
	changed    contents // of files, when they were last seen to differ
}

// New returns a Daemon that does nothing yet.
func New(o Options) *Daemon {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Env == nil {
		o.Env = os.Getenv
	}
	d := &Daemon{o: o, log: o.Log, board: &board{}, runNow: make(chan struct{}, 1), reloads: make(chan struct{}, 1), retired: make(chan struct{}), born: time.Now()}
	d.supervisor = newSupervisor(o.Env, o.Log)
	return d
}

// now is the wall clock alone: the monotonic one stands still while a machine sleeps and knows nothing of a clock that
// is set.
func (d *Daemon) now() time.Time { return d.o.Now().Round(0) }

// RunNow begins a cycle at once, or when the one that runs has ended. It also ends the wait of a quarantine.
func (d *Daemon) RunNow() { signalOnce(d.runNow) }

// Reload loads the configuration again, once no cycle runs.
func (d *Daemon) Reload() { signalOnce(d.reloads) }

// Retire ends Run in good order as soon as no cycle runs.
func (d *Daemon) Retire() { d.retire.Do(func() { close(d.retired) }) }

func (d *Daemon) isRetired() bool {
	select {
	case <-d.retired:
		return true
	default:
		return false
	}
}

func signalOnce(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// State is the daemon as it is now.
func (d *Daemon) State() State { return d.board.get() }

// Subscribe sends the State now and after each change of it; who is slow gets the newest only. cancel must be called.
func (d *Daemon) Subscribe() (updates <-chan State, cancel func()) { return d.board.subscribe() }

// Run opens the configuration and runs cycles until ctx ends. Of several replicas only the one that leads does; the others
// stand by. Its error is nil when it was stopped in good order, within the grace.
func (d *Daemon) Run(ctx context.Context) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	defer d.close()
	stopHealth, err := serveHealth(d.listen, d.Handler(), d.log)
	if err != nil {
		return err
	}
	defer stopHealth()
	if d.o.Serve != nil {
		stop, err := d.o.Serve()
		if err != nil {
			return err
		}
		defer stop()
	}
	stopWatchdog := d.supervisor.watch(d.alive)
	defer stopWatchdog()

	term, err := d.elect(ctx)
	switch {
	case err != nil && (ctx.Err() != nil || d.isRetired()):
		d.supervisor.stopping()
		d.log.Info("stopped", "standby", true)
		return nil
	case err != nil:
		return err
	}
	ctx, end, err := d.take(ctx, term)
	if err != nil {
		return err
	}
	defer end()
	if err := d.cycles(ctx); err != nil {
		return err // with requests under way leadership is not given up: it runs out
	}
	return d.resign(term)
}

// cycles runs one cycle after another until ctx ends.
func (d *Daemon) cycles(ctx context.Context) error {
	now := d.now()
	d.seen = now
	d.due = d.nextDue(now)
	switch {
	case d.quarantine != nil && d.State().Config == d.current().Settings.Fingerprint:
		d.log.Warn("in quarantine: a changed configuration or SIGUSR1 begins a cycle before its time", "reason", d.quarantine.Reason, "next", d.due)
	case d.quarantine != nil || d.current().Settings.RunAtStart:
		d.due = now
	}
	s := d.current().Settings
	d.board.update(func(st *State) {
		st.Phase, st.Mode, st.Config, st.Next = PhaseWaiting, s.Mode, s.Fingerprint, d.due
	})
	d.log.Info("started", "mode", s.Mode, "next", d.due, "health", d.listen)
	d.supervisor.ready()
	d.keep(ctx)
	for d.wait(ctx) {
		if _, err := d.turn(ctx); err != nil {
			return err
		}
	}
	d.supervisor.stopping()
	d.board.update(func(st *State) { st.Phase = PhaseStopped })
	d.keep(ctx)
	d.log.Info("stopped")
	return nil
}

// Once runs one cycle, as a CronJob does. In a quarantine that is not over it runs none and says so; neither while another
// replica leads.
func (d *Daemon) Once(ctx context.Context) (reconcile.Report, error) {
	if err := d.open(ctx); err != nil {
		return reconcile.Report{}, err
	}
	defer d.close()
	d.once = true
	wait, cancel := context.WithTimeout(ctx, d.current().Settings.ElectionTime)
	defer cancel()
	term, err := d.elect(wait)
	switch {
	case err != nil && ctx.Err() != nil:
		return reconcile.Report{}, ctx.Err()
	case err != nil && wait.Err() != nil:
		s := d.State()
		return reconcile.Report{}, fmt.Errorf("no cycle was run: %s leads (wait until it has ended, or stop it) %s", cmp.Or(s.Leader, "nobody that is known"), s.ElectionError)
	case err != nil:
		return reconcile.Report{}, err
	}
	ctx, end, err := d.take(ctx, term)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer end()
	s, last := d.current().Settings, d.State()
	if q := d.quarantine; q != nil && last.Config == s.Fingerprint && d.now().Before(q.Next) {
		return reconcile.Report{}, errors.Join(fmt.Errorf("in quarantine until %s, no cycle was run: %s (mend that; a changed configuration ends the wait, and so does rootly-idp-sync sync)",
			q.Next.UTC().Format(time.RFC3339), q.Reason), d.resign(term))
	}
	d.board.update(func(st *State) { st.Mode, st.Config = s.Mode, s.Fingerprint })
	ended, err := d.turn(ctx)
	if err != nil {
		return reconcile.Report{}, err
	}
	return ended.Report, errors.Join(ended.Err, d.resign(term))
}

// open loads the first configuration and what an earlier run of the daemon has left in the store.
func (d *Daemon) open(ctx context.Context) error {
	setup, files, err := d.o.Load(ctx)
	d.remember(files, nil)
	if err != nil {
		return err
	}
	d.replace(setup)
	d.listen, d.fixed = setup.Settings.HealthListen, setup.Settings.Fixed
	host, _ := os.Hostname()
	d.board.update(func(s *State) {
		*s = State{Started: d.now(), PID: os.Getpid(), Host: host, Mode: setup.Settings.Mode, Phase: PhaseStarting}
	})
	if err := d.recall(ctx); err != nil {
		return errors.Join(err, setup.Close())
	}
	return nil
}

// recall takes over what an earlier run of the daemon, or the leader before this one, has left in the store.
func (d *Daemon) recall(ctx context.Context) error {
	m := d.current().Memory
	data, err := m.Recall(ctx, StateKey)
	if err != nil {
		return err
	}
	last, err := Decode(data)
	if err != nil {
		d.log.Warn("what the last run left cannot be read", "error", err)
	}
	good, err := m.LastGood(ctx)
	if err != nil {
		return err
	}
	ledger, err := m.Ledger(ctx)
	if err != nil {
		return err
	}
	d.quarantine = ledger.Quarantine
	if last.LastGood.After(good) {
		good = last.LastGood // one that only observed leaves nothing else
	}
	d.board.update(func(s *State) {
		s.LastGood, s.Last, s.Quarantine, s.Config = good, last.Last, d.quarantine, last.Config
	})
	return nil
}

func (d *Daemon) close() {
	if d.elector != nil {
		if err := d.elector.Close(); err != nil {
			d.log.Warn("the election was not left in order", "error", err)
		}
	}
	if err := d.current().Close(); err != nil {
		d.log.Warn("not closed in order", "error", err)
	}
}

func (d *Daemon) current() *Setup {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.setup
}

func (d *Daemon) replace(next *Setup) (old *Setup) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old, d.setup = d.setup, next
	return old
}

// nextDue is when the schedule, and a quarantine if there is one, let the next cycle begin, zero if none does. A clock that was wrong when
// the quarantine began cannot make it longer than a day.
func (d *Daemon) nextDue(now time.Time) time.Time {
	if d.once {
		return time.Time{}
	}
	due := d.current().Settings.Schedule.due(now, d.o.Jitter())
	if q := d.quarantine; q != nil {
		if next := earlier(q.Next, now.Add(24*time.Hour)); next.After(due) {
			due = next
		}
	}
	return due
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// wait returns true when a cycle is due, and false when ctx has ended or the daemon has retired.
func (d *Daemon) wait(ctx context.Context) bool {
	for ctx.Err() == nil && !d.isRetired() {
		d.beat.Store(int64(time.Since(d.born)))
		now := d.now()
		if now.Before(d.seen) {
			// The clock was set back: what was due at a time that is far off now is due by the schedule from here.
			d.due = earlier(d.due, d.nextDue(now))
			d.board.update(func(s *State) { s.Next = d.due })
		}
		d.seen = now
		if !now.Before(d.due) {
			if d.attend(ctx); !now.Before(d.due) {
				return true
			}
			continue
		}
		timer := time.NewTimer(min(d.due.Sub(now), lookEvery))
		select {
		case <-ctx.Done():
		case <-d.retired:
		case <-d.runNow:
			d.log.Info("cycle asked for")
			d.due = now
		case <-d.reloads:
			d.reload(ctx)
		case <-timer.C:
			d.look(ctx)
		}
		timer.Stop()
	}
	return false
}

// alive tells whether the loop turns: a cycle runs, or the last look at the clock is recent.
func (d *Daemon) alive() bool {
	const patience = 12 * lookEvery
	return d.busy.Load() || time.Since(d.born)-time.Duration(d.beat.Load()) < patience
}
