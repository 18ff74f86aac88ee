package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newUndo() *cobra.Command {
	var dryRun, unpin, all bool
	cmd := &cobra.Command{
		Use:   "undo <cycle> | undo --unpin <who> | undo --unpin --all",
		Short: "Take back what an earlier cycle did",
		Long: `Plans the way back from one cycle: prior values, prior memberships, accounts as they were. What has changed
since then is left and noted. The plan is guarded and shown like any other, then applied. Everybody in it is
pinned: later runs leave them as they are, or they would do the same thing again, until you unpin them.
history and status show the numbers of the cycles.
` + exitHelp + `0 done or nothing to do; 1 failed; 4 the guard holds changes; 5 applied in part. With --dry-run
nothing is written, and the exit code is 0, 1 or 4.`,
		Example: `  rootly-idp-sync undo 12 --dry-run
  rootly-idp-sync undo 12
  rootly-idp-sync undo --unpin anna@acme.com
  rootly-idp-sync undo --unpin --all`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, what := cmd.Context(), strings.Join(args, "")
			switch {
			case unpin && !dryRun && all != (what != ""):
				return a.withStore(ctx, func(_ *pipeline, st *store.Store) error { return a.unpin(ctx, st, what) })
			case unpin || all:
				return errors.New("--unpin lets go of what earlier undos pinned: name a person or group, or give --all")
			case what == "":
				return errors.New("say which cycle to undo: rootly-idp-sync history lists them")
			}
			cycle, err := strconv.ParseInt(what, 10, 64)
			if err != nil || cycle <= 0 {
				return fmt.Errorf("%q is no number of a cycle: rootly-idp-sync history lists them", what)
			}
			return a.withStore(ctx, func(p *pipeline, st *store.Store) error { return a.undo(ctx, p, st, cycle, dryRun) })
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show the plan and stop")
	cmd.Flags().BoolVar(&unpin, "unpin", false, "let later runs sync the named person or group again")
	cmd.Flags().BoolVar(&all, "all", false, "with --unpin: everybody whom undo has pinned")
	return cmd
}

func (a *app) undo(ctx context.Context, p *pipeline, st *store.Store, cycle int64, dryRun bool) error {
	plan := func(ctx context.Context, now time.Time) (reconcile.Plan, error) {
		entries, err := st.CycleChanges(ctx, cycle)
		if err != nil {
			return reconcile.Plan{}, err
		}
		var done []reconcile.Change
		for _, e := range entries {
			if e.Outcome == reconcile.OutcomeDone {
				done = append(done, e.Change)
			}
		}
		ledger, err := st.Ledger(ctx)
		if err != nil {
			return reconcile.Plan{}, err
		}
		return p.planner().Undo(ctx, ledger, now, done)
	}
	run := func() (exitCode, error) {
		if dryRun {
			return a.dryRun(ctx, p, plan)
		}
		return a.carryOut(ctx, p, cycleOptions{plan: plan, planned: func(plan reconcile.Plan) error {
			// Somebody whom the directory does not know is not synced, so there is nothing to keep a later run from.
			known := slices.DeleteFunc(slices.Clone(plan.Pins()), func(r reconcile.Ref) bool { return r.Source == "" })
			return st.Pin(ctx, known, cycle)
		}})
	}
	code, err := run()
	if err != nil {
		return err
	}
	if code == exitHeld {
		a.note("What is held of an undo is carried out by the undo: after the approval run rootly-idp-sync undo %d again.", cycle)
	}
	return code.outcome()
}

func (a *app) unpin(ctx context.Context, st *store.Store, who string) error {
	n, err := st.Unpin(ctx, who)
	if err != nil {
		return err
	}
	if n == 0 && who != "" {
		return fmt.Errorf("nobody called %q is pinned: rootly-idp-sync status lists who is", who)
	}
	return a.show(page{
		title:    fmt.Sprintf("%s unpinned: the next sync brings them in line with the directory again", plural(n, "object", "objects")),
		sections: []pageSection{{lines: []string{"see what that would be: rootly-idp-sync plan"}}},
		data: struct {
			Unpinned int `json:"unpinned"`
		}{n},
	}, reconcile.TextOptions{})
}
