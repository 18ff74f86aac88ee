package app

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newPlan() *cobra.Command {
	var detailed bool
	var limit int
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a sync would change, and why; write nothing",
		Long: `Reads the directory and Rootly and shows every change with its reason, what the guard holds, and
what needs attention. Nothing is written to Rootly.
` + exitHelp + `0 shown; 1 failed; with --detailed-exitcode also 2 when there are changes to apply and
4 when the guard holds some.`,
		Example: `  rootly-idp-sync plan
  rootly-idp-sync plan --detailed-exitcode --output markdown >> "$GITHUB_STEP_SUMMARY"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			code, err := a.runPlan(cmd.Context(), reconcile.TextOptions{Limit: limit})
			if err != nil || !detailed {
				return err
			}
			return code.outcome()
		},
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there are changes, 4 when the guard holds some")
	cmd.Flags().IntVar(&limit, "limit", 0, "show at most this many creations, updates and additions for each reason; removals are always shown")
	return cmd
}

func (a *app) runPlan(ctx context.Context, o reconcile.TextOptions) (code exitCode, err error) {
	p, err := a.open(ctx)
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	plan, err := p.plan(ctx, a.now(), "")
	if err != nil {
		return exitFailed, err
	}
	if err := a.show(plan, o); err != nil {
		return exitFailed, err
	}
	return codeOfPlan(plan), nil
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
		plan, err := p.plan(ctx, a.now(), only)
		if err != nil {
			return exitFailed, err
		}
		if len(plan.Objections) > 0 {
			code = exitHeld
		}
		return code, a.show(plan, reconcile.TextOptions{})
	}
	// On a terminal somebody sees the plan, the progress and what did not go as planned; elsewhere the report is whole.
	live := terminal(a.Out) && a.flags.output.String() == string(formatText)
	bar := a.newProgress()
	o := cycleOptions{only: only, progress: bar.step}
	if live {
		o.planned = func(plan reconcile.Plan) error { return a.show(plan, reconcile.TextOptions{}) }
	}
	report, err := p.cycle(ctx, a.now, o)
	bar.end()
	if report.Cycle == 0 {
		return exitFailed, err
	}
	if err != nil { // stopped on the way: what was done is told all the same
		a.complain(err)
	}
	return codeOf(report), a.show(report, reconcile.TextOptions{Brief: live})
}
