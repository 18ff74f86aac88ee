package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// recordTime is how long the store may take to record what came of a cycle.
const recordTime = 10 * time.Second

// notifyTime is how long all channels together may take to tell people.
const notifyTime = 2 * time.Minute

// turn runs one cycle and waits for its end: for ever while the daemon is to run, and for the grace once ctx has ended.
// Its error is that the grace was not enough; how the cycle ended is in Ended.
func (d *Daemon) turn(ctx context.Context) (Ended, error) {
	d.busy.Store(true)
	defer d.busy.Store(false)
	setup, start := d.current(), d.now()
	if d.unrecorded { // the cycle learns of its quarantine from the store
		d.record(ctx)
	}
	d.due = d.nextDue(start) // slots that pass while the cycle runs are made up by one cycle
	d.board.update(func(s *State) { s.Phase, s.Done, s.Total, s.Next = PhasePlanning, 0, 0, d.due })
	d.supervisor.status(d.State())
	watch := Watch{
		Planned: func(changes int) {
			d.board.update(func(s *State) { s.Phase, s.Total = PhaseApplying, changes })
		},
		Progress: func(done, total int) {
			d.board.update(func(s *State) { s.Done, s.Total = done, total })
		},
	}
	e := Ended{}
	over := make(chan struct{})
	go func() {
		defer close(over)
		e.Report, e.Err = setup.Cycle(ctx, watch)
	}()
	select {
	case <-over:
		return d.after(ctx, start, e), nil
	case <-ctx.Done():
	}
	d.supervisor.stopping()
	d.board.update(func(s *State) { s.Phase = PhaseStopping })
	grace := time.NewTimer(setup.Settings.Grace)
	defer grace.Stop()
	select {
	case <-over:
		return d.after(ctx, start, e), nil
	case <-grace.C:
		return Ended{}, &unansweredError{setup.Settings.Grace}
	}
}

// An unansweredError says that the grace has passed and the cycle has not ended: what it sent may still be on its way.
type unansweredError struct{ grace time.Duration }

func (e *unansweredError) Error() string {
	return fmt.Sprintf("stopped with requests still under way after %s: each is recorded, and the next start looks up what became of it (a longer grace waits longer)", e.grace)
}

// retryLocked is when a cycle that found the state in use is tried again, where a leader that was killed may have left it so.
const retryLocked = 15 * time.Second

// after records what came of a cycle, tells people, and says when the next one is due. A replica that no longer leads
// leaves all of that to the one that does.
func (d *Daemon) after(ctx context.Context, start time.Time, e Ended) Ended {
	stopped, told := ctx.Err() != nil, ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	setup, now := d.current(), d.now()
	e.Result, e.At, e.Took = resultOf(e.Report, e.Err, stopped, setup.Settings.Mode), now, now.Sub(start)
	sum := summaryOf(e)
	if d.Allow() != nil {
		d.logCycle(sum)
		return e
	}
	if e.Result == ResultFailed && sum.Cycle == 0 {
		var err error
		if sum.Cycle, err = setup.Memory.Fail(ctx, start, e.Err.Error()); err != nil {
			d.log.Warn("the failed cycle was not recorded", "error", err)
		}
	}
	if e.Result != ResultSkipped && e.Result != ResultInterrupted {
		d.isolate(ctx, e, now)
	}
	before := d.State()
	e.Quarantine, e.LastGood, e.Reload = d.quarantine, before.LastGood, before.ReloadError
	if e.Result.good() {
		e.LastGood = now
	}
	d.due = d.afterCycle(e.Result, now)
	if e.Result == ResultSkipped && d.elector != nil {
		d.due = earlier(d.due, now.Add(retryLocked))
	}
	e.Next = d.due
	if d.o.Ended != nil {
		d.o.Ended(ctx, e)
	}
	d.board.update(func(s *State) {
		s.Phase, s.Done, s.Total, s.Next = PhaseWaiting, 0, 0, d.due
		s.Last, s.LastGood, s.Quarantine = &sum, e.LastGood, d.quarantine
		if stopped || d.once {
			s.Phase = PhaseStopped
		}
	})
	d.logCycle(sum)
	d.keep(ctx)
	if setup.Notify != nil && !stopped { // whoever could not be told now is told after the next cycle
		told, cancel := context.WithTimeout(told, notifyTime)
		defer cancel()
		setup.Notify(told, e)
	}
	return e
}

// afterCycle is when the next cycle is due: as the schedule said when this one began, which may be by now, unless the
// quarantine has begun, changed or ended. One that was skipped is tried again soon: the lock of a process that was killed
// outlives it for a while, and its successor must not wait for another slot.
func (d *Daemon) afterCycle(r Result, now time.Time) time.Time {
	switch {
	case r == ResultSkipped && !d.once:
		return earlier(d.due, now.Add(store.WriterTTL))
	case d.quarantine != nil || d.State().Quarantine != nil:
		return d.nextDue(now)
	}
	return d.due
}

// isolate begins, keeps or ends the quarantine.
func (d *Daemon) isolate(ctx context.Context, e Ended, now time.Time) {
	q := d.quarantine.After(e.Report, e.Err, now)
	switch {
	case q == nil && d.quarantine == nil:
		return
	case q == nil:
		d.log.Info("quarantine ended", "since", d.quarantine.Since, "reason", d.quarantine.Reason)
	case d.quarantine == nil || d.quarantine.Cause != q.Cause:
		d.log.Error("in quarantine: cycles are rare until one succeeds", "cause", q.Cause, "reason", q.Reason, "next", q.Next)
	}
	d.quarantine = q
	d.record(ctx)
}

// record makes the store's quarantine the daemon's.
func (d *Daemon) record(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	err := d.current().Memory.Isolate(ctx, d.quarantine)
	if d.unrecorded = err != nil; d.unrecorded {
		d.log.Warn("the quarantine was not recorded", "error", err)
	}
}

func resultOf(r reconcile.Report, err error, stopped bool, mode string) Result {
	_, locked := errors.AsType[*store.LockedError](err)
	switch {
	case locked:
		return ResultSkipped
	case err != nil && stopped && errors.Is(err, context.Canceled):
		return ResultInterrupted
	case err != nil || r.Stopped != "":
		return ResultFailed
	case mode == ModeObserve:
		return ResultObserved
	case r.Count(reconcile.OutcomeFailed, reconcile.OutcomeNotKept, reconcile.OutcomeUnknown, reconcile.OutcomeSkipped) > 0:
		return ResultPartial
	case len(r.Plan.Objections) > 0:
		return ResultHeld
	}
	return ResultGood
}

// ModeObserve is the mode in which nothing is written.
const ModeObserve = "observe"

func summaryOf(e Ended) Summary {
	r := e.Report
	s := Summary{
		Cycle: r.Cycle, Result: e.Result, Ended: e.At, Took: e.Took,
		Planned: len(r.Plan.Changes), Held: len(r.Plan.Held), Done: r.Count(reconcile.OutcomeDone),
		Failed:  r.Count(reconcile.OutcomeFailed, reconcile.OutcomeNotKept, reconcile.OutcomeUnknown),
		Skipped: r.Count(reconcile.OutcomeSkipped),
	}
	if e.Result == ResultObserved {
		s.Skipped = s.Planned
	}
	if e.Err != nil {
		s.Error = oneLine(e.Err)
	}
	return s
}

// logCycle is the one line that each cycle leaves.
func (d *Daemon) logCycle(s Summary) {
	level := slog.LevelInfo
	switch s.Result {
	case ResultFailed:
		level = slog.LevelError
	case ResultPartial, ResultHeld, ResultSkipped:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.Int64("cycle", s.Cycle), slog.String("result", string(s.Result)),
		slog.Int("planned", s.Planned), slog.Int("done", s.Done), slog.Int("failed", s.Failed), slog.Int("held", s.Held), slog.Int("skipped", s.Skipped),
		slog.Duration("took", s.Took.Round(time.Millisecond)),
	}
	if !d.due.IsZero() {
		attrs = append(attrs, slog.Time("next", d.due))
	}
	if s.Error != "" {
		attrs = append(attrs, slog.String("error", s.Error))
	}
	d.log.LogAttrs(context.Background(), level, "cycle ended", attrs...)
}

// keep leaves the state in the store, for status and for the next start. Only the replica that leads does.
func (d *Daemon) keep(ctx context.Context) {
	if d.Allow() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	d.board.update(func(s *State) { s.Updated = d.now() })
	s := d.State()
	d.supervisor.status(s)
	data, err := json.Marshal(s)
	if err == nil {
		err = d.current().Memory.Remember(ctx, StateKey, data)
	}
	if err != nil {
		d.log.Warn("the daemon's state was not recorded", "error", err)
	}
}
