package app

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newPlan() *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a sync would change, and why; write nothing",
		Long: `Reads the directory and Rootly and shows every change with its reason, what the guard holds, and
what needs attention. Nothing is written to Rootly.

--out saves the plan for apply, which carries out what of it still holds then. --snapshot plans with a
recording of the directory (sources inspect --save), and with what the state file remembers of Rootly, if
there is one: it asks neither side and needs no credentials, so it tells in CI what new rules would do.
` + exitHelp + `0 shown; 1 failed; with --detailed-exitcode also 2 when there are changes to apply and
4 when the guard holds some.`,
		Example: `  rootly-idp-sync plan
  rootly-idp-sync plan --out plan.json && rootly-idp-sync apply plan.json
  rootly-idp-sync plan --snapshot people.json.gz --config new-rules.yaml
  rootly-idp-sync plan --detailed-exitcode --output markdown >> "$GITHUB_STEP_SUMMARY"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			code, err := a.runPlan(cmd.Context(), o)
			if err != nil || !o.detailed {
				return err
			}
			return code.outcome()
		},
	}
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 2 when there are changes, 4 when the guard holds some")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "show at most this many creations, updates and additions for each reason; removals are always shown")
	cmd.Flags().StringVar(&o.out, "out", "", "save the plan to this file, for apply")
	cmd.Flags().StringVar(&o.snapshot, "snapshot", "", "plan with this recording of the directory; nothing is asked")
	cmd.MarkFlagsMutuallyExclusive("out", "snapshot")
	return cmd
}

type planOptions struct {
	detailed bool
	limit    int
	out      string
	snapshot string
}

func (a *app) runPlan(ctx context.Context, o planOptions) (code exitCode, err error) {
	if o.snapshot != "" {
		plan, err := a.replay(ctx, o.snapshot)
		if err != nil {
			return exitFailed, err
		}
		return codeOfPlan(plan), a.show(plan, reconcile.TextOptions{Limit: o.limit})
	}
	p, err := a.open(ctx)
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	plan, err := p.asCycle(p.plan)(ctx, a.now())
	if err != nil {
		return exitFailed, err
	}
	if o.out != "" {
		if err := save(o.out, func(w io.Writer) error { return reconcile.SavePlan(w, plan) }); err != nil {
			return exitFailed, err
		}
		a.note("The plan is in %s. Next: rootly-idp-sync apply %s", o.out, o.out)
	}
	a.noteUnasked(p.cfg, plan)
	return codeOfPlan(plan), a.show(plan, reconcile.TextOptions{Limit: o.limit})
}

func codeOfPlan(p reconcile.Plan) exitCode {
	switch {
	case len(p.Objections) > 0:
		return exitHeld
	case !p.Empty():
		return exitPending
	}
	return exitDone
}

func (a *app) newSync() *cobra.Command {
	var dryRun bool
	var only string
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Plan, then apply the plan",
		Long: `Reads the directory and Rootly, plans, and applies what the guard lets through. Run it as often as
you like: a second run right after the first changes nothing. An interrupt finishes the requests
under way and records the rest; the next run goes on from there.
` + exitHelp + `0 done or nothing to do; 1 failed; 4 the guard holds changes; 5 applied in part. With --dry-run
nothing is written, and the exit code is 0, 1 or 4.`,
		Example: `  rootly-idp-sync sync --dry-run
  rootly-idp-sync sync --only anna@acme.com
  rootly-idp-sync sync --output json > report.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			code, err := a.runSync(cmd.Context(), dryRun, only)
			if err != nil {
				return err
			}
			return code.outcome()
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the plan and stop")
	cmd.Flags().StringVar(&only, "only", "", "only changes about this person or group: userName, directory id or SCIM id")
	return cmd
}

func (a *app) runSync(ctx context.Context, dryRun bool, only string) (code exitCode, err error) {
	p, err := a.open(ctx)
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if dryRun {
		return a.dryRun(ctx, p, p.planOnly(only))
	}
	return a.carryOut(ctx, p, cycleOptions{plan: p.planOnly(only)})
}

// dryRun shows a plan. Its exit code is that of a sync that stops there.
func (a *app) dryRun(ctx context.Context, p *pipeline, plan planFunc) (exitCode, error) {
	made, err := p.asCycle(plan)(ctx, a.now())
	if err != nil {
		return exitFailed, err
	}
	a.noteUnasked(p.cfg, made)
	code := exitDone
	if len(made.Objections) > 0 {
		code = exitHeld
	}
	return code, a.show(made, reconcile.TextOptions{})
}

// carryOut runs a cycle in sight of whoever started it. On a terminal they see the plan, the progress and what did not
// go as planned; elsewhere the report is whole.
func (a *app) carryOut(ctx context.Context, p *pipeline, o cycleOptions) (exitCode, error) {
	live := terminal(a.Out) && a.flags.output.String() == string(formatText)
	bar := a.newProgress()
	o.progress = bar.step
	decide := o.planned
	o.planned = func(plan reconcile.Plan) error {
		a.noteUnasked(p.cfg, plan)
		if live {
			if err := a.show(plan, reconcile.TextOptions{}); err != nil {
				return err
			}
		}
		if decide != nil {
			return decide(plan)
		}
		return nil
	}
	report, err := p.cycle(ctx, a.now, o)
	bar.end()
	if report.Cycle == 0 {
		return exitFailed, err
	}
	if err != nil { // stopped on the way: what was done is told all the same
		a.complain(err)
	}
	// Only the daemon slows down by itself. What it left is over with a good run of any kind.
	if err := p.endQuarantine(ctx, report, err, a.now()); err != nil {
		return exitFailed, err
	}
	return codeOf(report), a.show(report, reconcile.TextOptions{Brief: live})
}
