package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newApprove() *cobra.Command {
	var by string
	var includeOnCall bool
	cmd := &cobra.Command{
		Use:   "approve <fingerprint>",
		Short: "Say yes to one set of held changes",
		Long: `Releases the held set with that fingerprint, which plan, sync and status show; its first six characters
are enough. The next sync within 24 hours carries out what of exactly this set is still planned, once.
Somebody who returns in between is left alone, somebody who is added waits in another set. Nothing is sent to
Rootly now, and a sync that is running does not have to end first.

Somebody who is on call waits in a set of their own, which is released only with --include-on-call.
` + exitHelp + `0 approved; 1 not.`,
		Example: `  rootly-idp-sync status
  rootly-idp-sync approve 60cd1b7adb9b --by alice`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := decider(by)
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(_ *pipeline, st *store.Store) error {
				if err := wantsWord(cmd.Context(), st, args[0], includeOnCall); err != nil {
					return err
				}
				return a.approve(cmd.Context(), st, args[0], name)
			})
		},
	}
	cmd.Flags().BoolVar(&includeOnCall, "include-on-call", false, "release somebody whom Rootly pages")
	decisionFlags(cmd, &by)
	return cmd
}

// An approval is what approve shows: what was released, by whom, until when.
type approval struct {
	Fingerprint string         `json:"fingerprint"`
	Axis        reconcile.Axis `json:"axis"`
	Reason      string         `json:"reason"`
	By          string         `json:"by"`
	Approved    time.Time      `json:"approved"`
	Until       time.Time      `json:"until"`
	Items       []string       `json:"items"`
}

func (a *app) approve(ctx context.Context, st *store.Store, fingerprint, by string) error {
	set, err := st.Approve(ctx, fingerprint, by)
	if err != nil {
		return err
	}
	out := approval{
		Fingerprint: set.Fingerprint, Axis: set.Axis, Reason: set.Reason, By: set.By, Approved: set.Approved,
		Until: set.Approved.Add(reconcile.ApprovalLife), Items: itemNames(set),
	}
	return a.show(page{
		title: fmt.Sprintf("Approved by %s until %s: set %s, %s", out.By, stamp(out.Until), out.Fingerprint, plural(len(out.Items), "change", "changes")),
		sections: []pageSection{
			{title: "Held because", lines: []string{out.Reason}},
			{title: "Released", lines: itemLines(set, len(set.Items))},
			{title: "Next", lines: []string{"the next sync carries out what of it is still planned, once: rootly-idp-sync sync"}},
		},
		data: out,
	}, reconcile.TextOptions{})
}

func itemNames(set reconcile.HeldSet) []string {
	names := make([]string, len(set.Items))
	for i, item := range set.Items {
		names[i] = item.Name
	}
	return names
}

// itemLines says what a set takes away, a line for each loss and at most limit of them: the first word of a loss's key
// is its verb.
func itemLines(set reconcile.HeldSet, limit int) []string {
	var lines []string
	for i, item := range set.Items {
		if i == limit {
			lines = append(lines, fmt.Sprintf("… and %d more", len(set.Items)-limit))
			break
		}
		verb, _, _ := strings.Cut(item.Key, " ")
		lines = append(lines, verb+" "+item.Name)
	}
	return lines
}

func stamp(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
