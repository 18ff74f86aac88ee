package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An Elector chooses one of several replicas, which then leads: it alone runs cycles.
type Elector interface {
	// Campaign waits until this replica leads. seen is told who does whenever that changes, never twice at a time.
	Campaign(ctx context.Context, seen func(Standing)) (Term, error)
	Close() error
}

// A Standing is who leads, as a replica sees it that does not.
type Standing struct {
	Leader string // "" while nobody is known to lead
	Err    error  // why that cannot be told
}

// A Term is the time in which this replica leads. Its methods are safe for concurrent use.
type Term interface {
	// Leader is the name under which the others see this replica.
	Leader() string
	// Allow is nil while this replica may write: it says no before any other can lead. It asks nobody and takes no time.
	// Once it said no, the term is lost.
	Allow() error
	// Lost is closed when the term has ended, at the latest soon after another replica may lead.
	Lost() <-chan struct{}
	// Err says why the term has ended, nil while it has not.
	Err() error
	// Release ends the term, so that the others need not wait for its time to run out. It is called once, after the last
	// answer to a write.
	Release(ctx context.Context) error
}

// alone is the term of the only replica, which no other can end.
type alone struct{}

func (alone) Leader() string                { return "single" }
func (alone) Allow() error                  { return nil }
func (alone) Lost() <-chan struct{}         { return nil }
func (alone) Err() error                    { return nil }
func (alone) Release(context.Context) error { return nil }

// A LostError says that this replica no longer leads. It counts as a cancellation: nothing new is sent after it.
type LostError struct{ Cause error }

func (e *LostError) Error() string {
	return fmt.Sprintf("this replica no longer leads: %v", e.Cause)
}

// Unwrap gives the cause, and makes the error a cancellation.
func (e *LostError) Unwrap() []error { return []error{e.Cause, context.Canceled} }

var errStandby = errors.New("this replica stands by: another one may lead")

// Allow is nil while this process may write, to Rootly or to the store. It is asked right before each write.
func (d *Daemon) Allow() error {
	t := d.term.Load()
	if t == nil {
		return errStandby
	}
	return (*t).Allow()
}

// releaseTime is how long giving up leadership may take; then it runs out by itself.
const releaseTime = 3 * time.Second

// elect waits until this replica leads. Until then it answers probes and loads a changed configuration, and writes nothing.
func (d *Daemon) elect(ctx context.Context) (Term, error) {
	setup := d.current()
	if setup.Elect == nil {
		return alone{}, nil
	}
	elector, err := setup.Elect(ctx)
	if err != nil {
		return nil, err
	}
	d.elector = elector
	d.board.update(func(s *State) { s.Phase, s.Leader, s.Next = PhaseStandby, "", time.Time{} })
	d.log.Info("standing by", "health", d.listen)
	d.supervisor.ready()
	type outcome struct {
		term Term
		err  error
	}
	over := make(chan outcome, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	retired := d.retired
	go func() {
		term, err := elector.Campaign(ctx, d.see)
		over <- outcome{term, err}
	}()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		d.beat.Store(int64(time.Since(d.born)))
		d.supervisor.status(d.State())
		select {
		case o := <-over:
			return o.term, o.err
		case <-retired:
			cancel()
			retired = nil
		case <-d.runNow:
			d.log.Info("no cycle was begun: this replica stands by", "leader", d.State().Leader)
		case <-d.reloads:
			d.reload(ctx)
		case <-tick.C:
			d.look(ctx)
		}
	}
}

// see takes note of who leads.
func (d *Daemon) see(s Standing) {
	text := ""
	if s.Err != nil {
		text = oneLine(s.Err)
		d.log.Warn("who leads cannot be told", "error", text)
	} else {
		d.log.Info("another replica leads", "leader", s.Leader)
	}
	d.board.update(func(st *State) { st.Leader, st.ElectionError = s.Leader, text })
}

// take makes this replica the leader until the term ends: the context ends then, too.
func (d *Daemon) take(ctx context.Context, t Term) (context.Context, context.CancelFunc, error) {
	d.term.Store(&t)
	_, single := t.(alone)
	if !single {
		d.log.Info("this replica leads", "identity", t.Leader())
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
		defer cancel()
		if err := d.recall(rctx); err != nil { // as the leader before this one left it
			return nil, nil, errors.Join(err, d.resign(t))
		}
	}
	d.board.update(func(s *State) { s.Leader, s.ElectionError = t.Leader(), "" })
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-t.Lost():
			cancel(&LostError{t.Err()})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-over }, nil
}

// resign ends a term after the last write. Its error is that the term was lost before.
func (d *Daemon) resign(t Term) error {
	if err := t.Err(); err != nil {
		return &LostError{err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	if err := t.Release(ctx); err != nil {
		d.log.Warn("leadership was not given up; it runs out by itself", "error", err)
	}
	return nil
}
