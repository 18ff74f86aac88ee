package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newExplain() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "explain <who>",
		Short: "Tell everything that decides about one person or group",
		Long: `Shows whether the directory has them, what the scope says and which clause decided, each mapped value with
its rule, the account in Rootly and how it was found, what would change and why, and what the guard says to
that. Reads both sides as plan does and writes nothing. who is a userName, a group's name or an id.

--offline asks neither side: it goes by the answer of the directory that the last sync kept, and by what that
sync left in Rootly. It needs no credentials.
` + exitHelp + `0 explained; 1 failed, or neither side has such a person or group.`,
		Example: `  rootly-idp-sync explain anna@acme.com
  rootly-idp-sync explain oncall-payments --offline`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			explain := a.explain
			if offline {
				explain = a.explainOffline
			}
			e, err := explain(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := a.show(explanation{e}, reconcile.TextOptions{}); err != nil {
				return err
			}
			if !e.Known {
				return exitFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "go by what the last sync read; ask nobody")
	return cmd
}

// An explanation has a Markdown form: its text as a block of code, in which nothing is markup.
type explanation struct{ reconcile.Explanation }

// Markdown indents every line of the text, so that no name can end the block.
func (e explanation) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n", reconcile.EscapeMarkdown(e.Summary()))
	for line := range strings.Lines(e.Text(reconcile.TextOptions{})) {
		b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
	}
	return b.String()
}

func (a *app) explain(ctx context.Context, who string) (e reconcile.Explanation, err error) {
	p, err := a.open(ctx)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ledger, err := p.memory.Ledger(ctx)
	if err != nil {
		return e, err
	}
	return p.planner().Explain(ctx, ledger, a.now(), who)
}

func (a *app) explainOffline(ctx context.Context, who string) (e reconcile.Explanation, err error) {
	cfg, rules, err := a.loadOffline()
	if err != nil {
		return e, err
	}
	source, err := a.openSource(cfg, rules)
	if err != nil {
		return e, err
	}
	st, err := a.openExisting(ctx, cfg, source.Tenant())
	if err != nil {
		return e, err
	}
	if st == nil {
		return e, errors.New("--offline goes by what an earlier sync left in the state file, and there is none: leave it out")
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	snap, taken, err := st.Previous(ctx)
	if err != nil {
		return e, err
	}
	if snap == nil {
		return e, errors.New("--offline goes by the last sync that ended well, and there was none yet: leave it out")
	}
	ledger, err := st.Ledger(ctx)
	if err != nil {
		return e, err
	}
	replay, err := lastRead(source, ledger, *snap, taken, rules)
	if err != nil {
		return e, err
	}
	planner := reconcile.Planner{
		Source: replay, Target: reconcile.Remembered(ledger), TargetURL: cfg.Target.URL, Rules: rules, Previous: replay.Previous, Log: a.log,
	}
	return planner.Explain(ctx, ledger, taken, who)
}

// lastRead is the directory as the last good answer has it.
func lastRead(source connectors.Connector, ledger reconcile.Ledger, snap connectors.Snapshot, taken time.Time, rules *reconcile.Rules) (*reconcile.Replay, error) {
	query, err := reconcile.QueryOf(ledger.RuleTexts)
	if err != nil {
		return nil, err
	}
	recorded := reconcile.Recorded{Name: source.Name(), Tenant: source.Tenant(), At: taken, Query: query, Snapshot: snap}
	replay, err := reconcile.NewReplay(recorded, rules.Query())
	if err != nil {
		return nil, fmt.Errorf("the last sync had other rules (leave --offline out): %w", err)
	}
	return replay, nil
}
