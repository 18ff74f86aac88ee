package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Observe records a plan as a cycle and carries out nothing of it: not a request, not a link. What is held, and the
// directory's answer as a witness for the next cycle, are recorded as Apply does it. The rules are not: when applying
// begins, it is under rules that Rootly has not been brought under yet.
func Observe(ctx context.Context, j Journal, p Plan, now func() time.Time) (Report, error) {
	start := now()
	cycle, err := j.Begin(ctx, start)
	if err != nil {
		return Report{Plan: p}, fmt.Errorf("record the cycle: %w", err)
	}
	err = observe(ctx, j, cycle, p)
	report := Report{Plan: p, Cycle: cycle, Took: now().Sub(start)}
	sum := CycleSummary{Planned: len(p.Changes), Held: len(p.Held), Skipped: len(p.Changes)}
	if err != nil {
		report.Stopped, sum.Error = err.Error(), err.Error()
	}
	fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if ferr := j.Finish(fctx, cycle, sum); ferr != nil {
		err = errors.Join(err, fmt.Errorf("record the end of the cycle: %w", ferr))
		report.Stopped = err.Error()
	}
	return report, err
}

func observe(ctx context.Context, j Journal, cycle int64, p Plan) error {
	if err := j.Hold(ctx, cycle, p.Sets); err != nil {
		return fmt.Errorf("record what is held: %w", err)
	}
	if p.short {
		return nil
	}
	if err := j.Keep(ctx, cycle, p.snapshot); err != nil {
		return fmt.Errorf("keep the directory's answer: %w", err)
	}
	return nil
}
