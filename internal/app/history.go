package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newHistory() *cobra.Command {
	f := store.Filter{}
	var since, until moment
	cmd := &cobra.Command{
		Use:   "history [who | cycle]",
		Short: "Show earlier cycles and what they changed",
		Long: `Without an argument it lists the cycles, the newest first: their numbers are what undo takes. With --cycle
it shows the changes of one cycle, with a name or an id those of one person or group, each with its reason
and how it ended. --since and --until narrow each of them to a time: a date, a moment as in
2026-05-04T09:00:00Z, or how long ago, as in 36h or 7d. Nothing is sent.
` + exitHelp + `0 shown; 1 failed, or there is no such cycle.`,
		Example: `  rootly-idp-sync history
  rootly-idp-sync history --cycle 12
  rootly-idp-sync history --who anna@acme.com --since 7d
  rootly-idp-sync history --since 2026-05-01 --until 2026-06-01 --output json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && f.Person != "" {
				return errors.New("somebody is named twice: keep --who or the argument")
			}
			f.Person = cmp.Or(f.Person, strings.Join(args, ""))
			f.Since, f.Until = since.before(a.now()), until.before(a.now())
			if !f.Until.IsZero() && !f.Since.Before(f.Until) {
				return errors.New("--since is not before --until")
			}
			if n, err := strconv.ParseInt(strings.Join(args, ""), 10, 64); err == nil && f.Cycle == 0 {
				f.Person, f.Cycle = "", n // a bare number is what undo takes, too
			}
			return a.withStore(cmd.Context(), func(_ *pipeline, st *store.Store) error {
				p, err := history(cmd.Context(), st, f)
				if err != nil {
					return err
				}
				return a.show(p, reconcile.TextOptions{})
			})
		},
	}
	cmd.Flags().Int64Var(&f.Cycle, "cycle", 0, "only the changes of this cycle")
	cmd.Flags().StringVar(&f.Person, "who", "", "only the changes of this person or group, by name or id")
	cmd.Flags().Var(&since, "since", "only from this time on")
	cmd.Flags().Var(&until, "until", "only before this time")
	cmd.Flags().IntVar(&f.Limit, "limit", 100, "show at most this many, the newest ones")
	return cmd
}

// A pastChange is one recorded change, for programs.
type pastChange struct {
	reconcile.Change
	Cycle   int64             `json:"cycle"`
	At      time.Time         `json:"at"`
	Outcome reconcile.Outcome `json:"outcome"` // "" while it is not known
	Error   string            `json:"error,omitempty"`
}

func history(ctx context.Context, st *store.Store, f store.Filter) (page, error) {
	if f.Cycle == 0 && f.Person == "" {
		cycles, err := st.CyclesDuring(ctx, f)
		if err != nil {
			return page{}, err
		}
		list := make([]cycleStatus, len(cycles))
		for i, c := range cycles {
			list[i] = statusOf(c)
		}
		s := cyclesSection(list)
		s.lines = []string{"rootly-idp-sync history --cycle N shows the changes of one, rootly-idp-sync undo N takes them back"}
		return page{title: plural(len(list), "cycle", "cycles"), sections: []pageSection{s}, data: map[string]any{"cycles": list}}, nil
	}
	if f.Cycle != 0 {
		if _, err := st.CycleChanges(ctx, f.Cycle); err != nil { // an unknown cycle is an error, an idle one is not
			return page{}, err
		}
	}
	entries, err := st.Changes(ctx, f)
	if err != nil {
		return page{}, err
	}
	changes := make([]pastChange, len(entries))
	s := pageSection{header: []string{"cycle", "when", "change", "who", "why", "ended"}}
	for i, e := range entries {
		changes[i] = pastChange{e.Change, e.Cycle, e.Intended, e.Outcome, e.Error}
		s.rows = append(s.rows, changes[i].rows()...)
	}
	return page{title: plural(len(changes), "change", "changes"), sections: []pageSection{s}, data: map[string]any{"changes": changes}}, nil
}

// rows are the change and, below it, what each attribute was and became, and who joined or left.
func (c pastChange) rows() [][]string {
	why, ended := string(c.Why), string(c.Outcome)
	if c.Detail != "" {
		why += " (" + c.Detail + ")"
	}
	if ended == "" {
		ended = "not known yet"
	}
	if c.Error != "" {
		ended += ": " + c.Error
	}
	rows := [][]string{{fmt.Sprint(c.Cycle), stamp(c.At), fmt.Sprintf("%s %s", c.Verb, c.Object.Kind), c.Object.Name, why, ended}}
	below := func(name, what string) { rows = append(rows, []string{"", "", "", "  " + name, what, ""}) }
	for _, f := range c.Fields {
		if c.Verb != reconcile.VerbCreate {
			below(f.Name, fmt.Sprintf("%q → %q", f.From, f.To))
		}
	}
	for _, m := range c.Members {
		below(m.User.Name, string(m.Why))
	}
	return rows
}
