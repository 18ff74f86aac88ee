package lab

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// journal is the store as one process sees it: it fails as disks and databases do, refuses a process that no longer
// leads, and ends processes. What it holds is durable at once.
type journal struct{ p *process }

var _ reconcile.Journal = (*journal)(nil)

var (
	errFenced = errors.New("another process leads by now")
	errDisk   = errors.New("the disk is full")
)

// do carries out one call of the store, under the faults that are armed for it.
func (j *journal) do(f func() error) error {
	p := j.p
	w := p.w
	switch {
	case p.dead:
		return errCrashed
	case p.epoch != w.epoch:
		return errFenced
	}
	kind, salt := "", uint32(0)
	for i := range p.armed {
		a := &p.armed[i]
		if a.Phase == PhaseStore && a.fresh && p.ops >= int(a.salt%12) {
			kind, salt, a.fresh = a.Kind, a.salt, false
			w.runner.Coverage[a.Cell]++
			break
		}
	}
	p.ops++
	switch kind {
	case faultErrBefore:
		return errDisk
	case faultCrash:
		p.die()
		return errCrashed
	case faultClock:
		p.jump(salt)
	}
	err := f()
	switch {
	case err != nil:
	case kind == faultErrAfter:
		return errDisk
	case kind == faultCrashAfter:
		p.die()
		return errCrashed
	case kind == faultLeader:
		p.told = salt%2 == 0 // else it stands still right after it has asked whether it leads
		p.yield()
	}
	return err
}

// yieldIn is yield at a request of its own, whose place at the world this process gives up for as long.
func (p *process) yieldIn() {
	p.told = true
	p.w.mu.Unlock()
	defer p.w.mu.Lock()
	p.yield()
}

// jump sets the clock of whatever runs. What was taken away in this cycle may be recorded by either clock: the oracle
// believes the earlier one, by which it is forgotten sooner.
func (p *process) jump(salt uint32) {
	w := p.w
	d := jumps[int(salt)%len(jumps)]
	w.skew += d
	for i := p.takenBefore; d < 0 && i < len(w.taken); i++ {
		w.taken[i].at = w.taken[i].at.Add(d)
	}
	w.tell("  the clock jumps by %s", d)
}

// yield lets another process take over and run a whole cycle, while this one stands still and then goes on.
func (p *process) yield() {
	w := p.w
	w.tell("  another process takes over")
	mine, armed := w.process, w.armed
	w.start()
	w.armed = nil
	w.cycle()
	w.armed = armed
	w.tell("  the first process goes on (%d intents)", len(mine.intents))
}

// Begin opens a cycle.
func (j *journal) Begin(ctx context.Context, at time.Time) (cycle int64, err error) {
	err = j.do(func() error { cycle, err = j.p.w.memory.Begin(ctx, at); return err })
	return cycle, err
}

// Resolve settles what earlier processes left open.
func (j *journal) Resolve(ctx context.Context, rs []reconcile.Resolution) error {
	w := j.p.w
	ledger, err := w.memory.Ledger(ctx)
	if err != nil {
		return err
	}
	open := map[int64]intent{}
	for _, i := range ledger.Open {
		open[i.ID] = intent{change: i.Change, user: i.User, group: i.Group}
	}
	return j.do(func() error {
		if err := w.memory.Resolve(ctx, rs); err != nil {
			return err
		}
		for _, r := range rs {
			if j.p.lied {
				w.unreliable = true
			}
			id := cmp.Or(linked(r.Link), open[r.Intent].change.Object.Target)
			switch {
			case r.Outcome == reconcile.OutcomeSkipped || w.replay.edited[id]:
				w.replay.copy(w, id) // in part, or before a hand was on it
			case r.Outcome == reconcile.OutcomeDone:
				w.replay.apply(w, open[r.Intent], r.Link)
			}
		}
		clear(w.replay.edited)
		return nil
	})
}

// Refresh replaces links.
func (j *journal) Refresh(ctx context.Context, links []reconcile.Link) error {
	return j.do(func() error { return j.p.w.memory.Refresh(ctx, links) })
}

// Link takes over objects as they are.
func (j *journal) Link(ctx context.Context, cycle int64, changes []reconcile.Change, links []reconcile.Link) error {
	return j.do(func() error { return j.p.w.memory.Link(ctx, cycle, changes, links) })
}

// Hold makes sets the ones that wait.
func (j *journal) Hold(ctx context.Context, cycle int64, sets []reconcile.HeldSet) error {
	return j.do(func() error { return j.p.w.memory.Hold(ctx, cycle, sets) })
}

// Keep remembers the directory's answer.
func (j *journal) Keep(ctx context.Context, cycle int64, s connectors.Snapshot) error {
	return j.do(func() error { return j.p.w.memory.Keep(ctx, cycle, s) })
}

// Intend records a change that is about to be sent.
func (j *journal) Intend(ctx context.Context, cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (id int64, err error) {
	err = j.do(func() error {
		if id, err = j.p.w.memory.Intend(ctx, cycle, c, u, g); err == nil {
			j.p.intents[id] = intent{change: c, user: u, group: g}
		}
		return err
	})
	if err != nil {
		delete(j.p.intents, id)
	}
	return id, err
}

// Settle records how a change ended, and has the oracle compare that with what was seen at the target.
func (j *journal) Settle(ctx context.Context, s reconcile.Settled) error {
	p := j.p
	return j.do(func() error {
		if err := p.w.memory.Settle(ctx, s); err != nil {
			return err
		}
		i := p.intents[s.Intent]
		if s.Outcome != reconcile.OutcomeUnknown {
			delete(p.intents, s.Intent)
		}
		p.w.settled(i, s)
		return nil
	})
}

// Finish closes the cycle.
func (j *journal) Finish(ctx context.Context, cycle int64, sum reconcile.CycleSummary) error {
	w := j.p.w
	return j.do(func() error {
		err := w.memory.Finish(ctx, cycle, sum)
		if err == nil && sum.Rules != "" {
			w.contacted, w.settledBy = true, w.rules
		}
		return err
	})
}
