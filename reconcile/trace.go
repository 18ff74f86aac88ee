package reconcile

import "context"

// A Step is a part of a cycle, as a trace names it.
type Step string

// The steps, in their order; the first three are done side by side.
const (
	StepFetch    Step = "fetch"       // the directory is read
	StepUsers    Step = "read users"  // of Rootly
	StepGroups   Step = "read groups" // of Rootly
	StepUnlisted Step = "read unlisted"
	StepPlan     Step = "plan" // scope to diff
	StepConfirm  Step = "confirm"
	StepOnCall   Step = "on call"
	StepGuard    Step = "guard"
	StepApply    Step = "apply"
	StepReport   Step = "report" // what ends the cycle in the records
)

// A Tally is what a step came to, in numbers by words of the code.
type Tally map[string]int

// A Trace is told of each step when it begins. What the step does runs under the context that is returned; ended is called
// once, when it is over. A nil Trace tells nobody.
type Trace func(ctx context.Context, s Step) (_ context.Context, ended func(Tally, error))

// Step runs f as a step.
func (t Trace) Step(ctx context.Context, s Step, f func(context.Context) (Tally, error)) error {
	if t == nil {
		_, err := f(ctx)
		return err
	}
	ctx, ended := t(ctx, s)
	tally, err := f(ctx)
	ended(tally, err)
	return err
}

// pure is Step for what only computes.
func (t Trace) pure(ctx context.Context, s Step, f func() Tally) {
	if t == nil {
		f()
		return
	}
	_, ended := t(ctx, s)
	ended(f(), nil)
}
