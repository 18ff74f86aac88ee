package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newEscrow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "escrow",
		Short: "Show and settle changes that failed and wait for another try",
		Long: `A change that Rootly refused is tried again by the next sync, then after 2, 6, 12 and 24 hours, then once a day; a
deactivation by every sync. In between it is planned and not sent. What is sent in the end is what the
directory wants then: nothing is replayed. Nothing is sent by these commands, and a sync that is running does
not have to end first.
` + exitHelp + `0 done; 1 failed, or nobody of that name waits.`,
		Example: `  rootly-idp-sync escrow list
  rootly-idp-sync escrow retry anna@acme.com
  rootly-idp-sync escrow drop oncall-payments`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List what failed, how often, why, and when it is tried again", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return a.escrowList(cmd.Context()) },
		},
		&cobra.Command{
			Use: "retry <who>", Short: "Let the next sync try it again, however long it would have waited", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.escrowSettle(cmd.Context(), args[0], (*store.Store).Retry, "is tried again by the next sync, if it is still wanted then")
			},
		},
		&cobra.Command{
			Use: "drop <who>", Short: "Forget that it failed: it is planned anew, as if for the first time", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.escrowSettle(cmd.Context(), args[0], (*store.Store).Drop, "no longer waits: if it is still wanted, the next sync sends it as if for the first time")
			},
		},
	)
	return cmd
}

func (a *app) escrowList(ctx context.Context) error {
	return a.withStore(ctx, func(_ *pipeline, st *store.Store) error {
		waiting, err := readWaiting(ctx, st)
		if err != nil {
			return err
		}
		p := page{
			title: plural(len(waiting), "change waits", "changes wait") + " for another try",
			data: struct {
				Waiting []waitStatus `json:"waiting"`
			}{waiting},
		}
		if len(waiting) == 0 {
			p.title = "Nothing waits for another try"
		} else {
			s := waitingSection(waiting)
			s.title = ""
			s.lines = []string{"rootly-idp-sync escrow retry <who> does not let it wait, escrow drop <who> forgets that it failed"}
			p.sections = append(p.sections, s)
		}
		return a.show(p, reconcile.TextOptions{})
	})
}

// escrowSettle does one thing to the one object that who means.
func (a *app) escrowSettle(ctx context.Context, who string, settle func(*store.Store, context.Context, reconcile.Ref) error, then string) error {
	return a.withStore(ctx, func(_ *pipeline, st *store.Store) error {
		if err := settle(st, ctx, reconcile.Ref{Name: who}); err != nil {
			return err
		}
		return a.show(page{
			title: fmt.Sprintf("%s %s", who, then),
			data: struct {
				Who  string `json:"who"`
				Then string `json:"then"`
			}{who, then},
		}, reconcile.TextOptions{})
	})
}

type waitStatus struct {
	Kind     reconcile.Kind `json:"kind"`
	Name     string         `json:"name"`
	Verb     reconcile.Verb `json:"verb"`
	Attempts int            `json:"attempts"`
	Next     time.Time      `json:"next"`
	Reason   string         `json:"reason"`
}

func readWaiting(ctx context.Context, st *store.Store) ([]waitStatus, error) {
	ledger, err := st.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	return waitingOf(ledger), nil
}

func waitingOf(ledger reconcile.Ledger) []waitStatus {
	out := []waitStatus{}
	for _, w := range ledger.Waiting {
		out = append(out, waitStatus{w.Kind, w.Name, w.Verb, w.Attempts, w.Next, w.Reason})
	}
	return out
}

func waitingSection(waiting []waitStatus) pageSection {
	s := pageSection{title: "Waiting for another try", header: []string{"what", "who", "tries", "next", "reason"}}
	for _, w := range waiting {
		s.rows = append(s.rows, []string{fmt.Sprintf("%s %s", w.Verb, w.Kind), w.Name, fmt.Sprint(w.Attempts), stamp(w.Next), w.Reason})
	}
	return s
}
