package app

import (
	"context"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// keepHistory is how long finished cycles and their changes stay in the store.
const keepHistory = 90 * 24 * time.Hour

// cycleOptions say how one cycle runs. The zero value applies everything and tells nobody.
type cycleOptions struct {
	only     string                     // one person or group
	planned  func(reconcile.Plan) error // sees the plan before the first write
	progress func(done, total int, c reconcile.Change)
}

// cycle is one run from reading both sides to the report. The writer's lock is held throughout, so two runs never
// write side by side. The error is nil when the report tells the whole story, failures of single objects included.
func (p *pipeline) cycle(ctx context.Context, now func() time.Time, o cycleOptions) (reconcile.Report, error) {
	unlock, err := p.store.Lock(ctx)
	if err != nil {
		return reconcile.Report{}, err
	}
	defer unlock()
	plan, err := p.plan(ctx, now(), o.only)
	if err != nil {
		return reconcile.Report{}, err
	}
	if o.planned != nil {
		if err := o.planned(plan); err != nil {
			return reconcile.Report{}, err
		}
	}
	applier := reconcile.Applier{
		Target: p.target, Journal: p.store, Concurrency: p.cfg.Target.Concurrency, Progress: o.progress, Log: p.log, Now: now,
	}
	report, err := applier.Apply(ctx, plan)
	if err != nil {
		return report, fmt.Errorf("apply: %w", err)
	}
	if err := p.store.Prune(ctx, keepHistory); err != nil && ctx.Err() == nil {
		p.log.Warn("old history was not removed", "error", err)
	}
	return report, nil
}

// plan reads both sides and the ledger and says what a sync would do. It writes nothing to the target.
func (p *pipeline) plan(ctx context.Context, now time.Time, only string) (reconcile.Plan, error) {
	ledger, err := p.store.Ledger(ctx)
	if err != nil {
		return reconcile.Plan{}, err
	}
	planner := reconcile.Planner{Source: p.source, Target: p.target, TargetURL: p.cfg.Target.URL, Rules: p.rules, Log: p.log}
	plan, err := planner.Plan(ctx, ledger, now)
	if err != nil {
		return reconcile.Plan{}, err
	}
	if only != "" {
		return plan.Only(only)
	}
	return plan, nil
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
