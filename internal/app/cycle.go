package app

import (
	"context"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A planFunc makes the plan of one cycle from what both sides and the ledger say at now.
type planFunc func(ctx context.Context, now time.Time) (reconcile.Plan, error)

// cycleOptions say how one cycle runs. The zero value applies everything and tells nobody.
type cycleOptions struct {
	plan     planFunc                   // the pipeline's own when nil
	planned  func(reconcile.Plan) error // sees the plan before the first write
	progress func(done, total int, c reconcile.Change)
	observe  bool          // record the plan and write nothing to the target
	settle   time.Duration // what a cancelled cycle may take to end what is under way; the applier's own when zero
}

// cycle is one run from reading both sides to the report. The writer's lock is held throughout, so two runs never
// write side by side. The error is nil when the report tells the whole story, failures of single objects included.
func (p *pipeline) cycle(ctx context.Context, now func() time.Time, o cycleOptions) (reconcile.Report, error) {
	mode := "apply"
	if o.observe {
		mode = "observe"
	}
	ctx, span := p.tracer.Start(ctx, "cycle")
	report, err := p.locked(ctx, now, o)
	p.endCycle(span, mode, report, err)
	return report, err
}

// locked is cycle, from the lock on.
func (p *pipeline) locked(ctx context.Context, now func() time.Time, o cycleOptions) (reconcile.Report, error) {
	unlock, err := p.memory.Lock(ctx)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer unlock()
	if o.plan == nil {
		o.plan = p.plan
	}
	plan, err := o.plan(ctx, now())
	if err != nil {
		return reconcile.Report{}, err
	}
	if o.planned != nil {
		if err := o.planned(plan); err != nil {
			return reconcile.Report{}, err
		}
	}
	var report reconcile.Report
	err = p.trace().Step(ctx, reconcile.StepApply, func(ctx context.Context) (_ reconcile.Tally, err error) {
		if o.observe {
			report, err = reconcile.Observe(ctx, p.memory, plan, now)
		} else {
			applier := reconcile.Applier{
				Target: p.target, Journal: p.memory, Concurrency: p.cfg.Target.Concurrency, Progress: o.progress, Log: p.log, Now: now, Settle: o.settle,
			}
			report, err = applier.Apply(ctx, plan)
		}
		return reconcile.Tally{"changes": len(plan.Changes), "done": report.Count(reconcile.OutcomeDone)}, err
	})
	if err != nil {
		return report, fmt.Errorf("apply: %w", err)
	}
	_ = p.trace().Step(ctx, reconcile.StepReport, func(ctx context.Context) (reconcile.Tally, error) {
		err := p.memory.Prune(ctx, p.cfg.State.Retention())
		if err != nil && ctx.Err() == nil {
			p.log.Warn("old history was not removed", "error", err)
		}
		return nil, err
	})
	return report, nil
}

// endQuarantine ends the daemon's quarantine after a good cycle of another verb. None is begun: whoever ran it sees what is
// wrong.
func (p *pipeline) endQuarantine(ctx context.Context, report reconcile.Report, err error, now time.Time) error {
	if (&reconcile.Quarantine{Since: now}).After(report, err, now) != nil {
		return nil
	}
	return p.memory.Isolate(ctx, nil)
}

// plan reads both sides and the ledger and says what a sync would do. It writes nothing to the target.
func (p *pipeline) plan(ctx context.Context, now time.Time) (reconcile.Plan, error) {
	ledger, err := p.memory.Ledger(ctx)
	if err != nil {
		return reconcile.Plan{}, err
	}
	plan, err := p.planner().Plan(ctx, ledger, now)
	if err != nil {
		return reconcile.Plan{}, err
	}
	if p.cfg.State.None {
		plan = withoutApproval(plan)
	}
	return plan, nil
}

// planOnly is plan narrowed to one person or group; "" means everything.
func (p *pipeline) planOnly(who string) planFunc {
	if who == "" {
		return p.plan
	}
	return func(ctx context.Context, now time.Time) (reconcile.Plan, error) {
		plan, err := p.plan(ctx, now)
		if err != nil {
			return reconcile.Plan{}, err
		}
		return plan.Only(who)
	}
}

func (p *pipeline) planner() *reconcile.Planner {
	return &reconcile.Planner{
		Source: p.source, Target: p.target, TargetURL: p.cfg.Target.URL, Rules: p.rules, Storeless: p.cfg.State.None, Pager: p.pager, Log: p.log, Trace: p.trace(),
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			snap, _, err := p.memory.Previous(ctx)
			return snap, err
		},
	}
}

// withoutApproval takes the held sets out of a plan that nobody can approve, there being no store to keep the yes in.
func withoutApproval(plan reconcile.Plan) reconcile.Plan {
	plan.Sets = nil
	for i := range plan.Held {
		plan.Held[i].Set = ""
	}
	for i := range plan.Objections {
		o := &plan.Objections[i]
		axis := o.Axis
		switch axis {
		case reconcile.AxisShortRead, reconcile.AxisQuarantine:
			continue
		case reconcile.AxisSource:
			axis = reconcile.AxisDeactivations // whose limit it goes by
		}
		o.Remedy = fmt.Sprintf("with state: none no more than the floors go at once; if it is right: raise guard.%s.floor for one run, or give state a path and approve", axis)
	}
	return plan
}

// codeOf is the exit code that a report stands for.
func codeOf(r reconcile.Report) exitCode {
	done, failed := 0, 0
	for _, res := range r.Results {
		if res.Outcome == reconcile.OutcomeDone {
			done++
		} else {
			failed++
		}
	}
	switch {
	case done > 0 && (failed > 0 || r.Stopped != ""):
		return exitPartial
	case failed > 0 || r.Stopped != "":
		return exitFailed
	case len(r.Plan.Objections) > 0:
		return exitHeld
	}
	return exitDone
}
