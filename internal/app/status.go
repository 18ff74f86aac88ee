package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newStatus() *cobra.Command {
	var failOnDrift bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the last cycles, who is managed, and what waits",
		Long: `Shows what the store knows, without the network. With --fail-on-drift it also plans, which reads both
sides and writes nothing, and tells whether somebody has edited Rootly by hand.
` + exitHelp + `0 shown; 1 failed; 3 there is drift (only with --fail-on-drift).`,
		Example: `  rootly-idp-sync status
  rootly-idp-sync status --fail-on-drift --quiet`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			code, err := a.runStatus(cmd.Context(), failOnDrift)
			if err != nil {
				return err
			}
			return code.outcome()
		},
	}
	cmd.Flags().BoolVar(&failOnDrift, "fail-on-drift", false, "plan, and exit 3 when somebody has edited Rootly by hand")
	return cmd
}

// A status is what the store and, when asked, a plan say about how things are.
type status struct {
	Source  string             `json:"source"`
	Target  string             `json:"target"`
	Users   int                `json:"managedUsers"`
	Groups  int                `json:"managedGroups"`
	Cycles  []cycleStatus      `json:"cycles"`
	Waiting []waitStatus       `json:"waiting"`
	Open    []string           `json:"open"`
	Drift   []reconcile.Change `json:"drift,omitempty"`
}

type cycleStatus struct {
	Cycle    int64      `json:"cycle"`
	Started  time.Time  `json:"started"`
	Finished *time.Time `json:"finished,omitempty"`
	Planned  int        `json:"planned"`
	Done     int        `json:"done"`
	Failed   int        `json:"failed"`
	Held     int        `json:"held"`
	Skipped  int        `json:"skipped"`
	Error    string     `json:"error,omitempty"`
}

type waitStatus struct {
	Kind     reconcile.Kind `json:"kind"`
	Name     string         `json:"name"`
	Verb     reconcile.Verb `json:"verb"`
	Attempts int            `json:"attempts"`
	Next     time.Time      `json:"next"`
	Reason   string         `json:"reason"`
}

func (a *app) runStatus(ctx context.Context, drift bool) (code exitCode, err error) {
	p, err := a.open(ctx)
	if err != nil {
		return exitFailed, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	s, err := readStatus(ctx, p)
	if err != nil {
		return exitFailed, err
	}
	if drift {
		plan, err := p.plan(ctx, a.now(), "")
		if err != nil {
			return exitFailed, err
		}
		if s.Drift = drifted(plan); len(s.Drift) > 0 {
			code = exitDrift
		}
	}
	return code, a.show(s.page(drift), reconcile.TextOptions{})
}

func readStatus(ctx context.Context, p *pipeline) (status, error) {
	s := status{Source: p.source.Tenant(), Target: p.cfg.Target.URL, Cycles: []cycleStatus{}, Waiting: []waitStatus{}, Open: []string{}}
	cycles, err := p.store.Cycles(ctx, 5)
	if err != nil {
		return s, err
	}
	for _, c := range cycles {
		s.Cycles = append(s.Cycles, statusOf(c))
	}
	ledger, err := p.store.Ledger(ctx)
	if err != nil {
		return s, err
	}
	s.Users, s.Groups = len(ledger.Users), len(ledger.Groups)
	for _, w := range ledger.Waiting {
		s.Waiting = append(s.Waiting, waitStatus{w.Kind, w.Name, w.Verb, w.Attempts, w.Next, w.Reason})
	}
	for _, i := range ledger.Open {
		s.Open = append(s.Open, fmt.Sprintf("%s %s %s (cycle %d)", i.Change.Verb, i.Change.Object.Kind, i.Change.Object.Name, i.Cycle))
	}
	return s, nil
}

func statusOf(c store.Cycle) cycleStatus {
	m := c.Summary
	out := cycleStatus{c.ID, c.Started, nil, m.Planned, m.Done, m.Failed, m.Held, m.Skipped, m.Error}
	if !c.Finished.IsZero() {
		out.Finished = &c.Finished
	}
	return out
}

// drifted are the changes that set back what somebody did by hand in Rootly, held ones included.
func drifted(p reconcile.Plan) []reconcile.Change {
	var out []reconcile.Change
	for _, list := range [][]reconcile.Change{p.Changes, p.Held} {
		for _, c := range list {
			if driftIn(c) {
				out = append(out, c)
			}
		}
	}
	return out
}

func driftIn(c reconcile.Change) bool {
	if c.Why == reconcile.WhyDrift {
		return true
	}
	for _, f := range c.Fields {
		if f.Why == reconcile.WhyDrift {
			return true
		}
	}
	for _, m := range c.Members {
		if m.Why == reconcile.WhyDrift {
			return true
		}
	}
	return false
}

func (s status) page(drift bool) page {
	p := page{title: fmt.Sprintf("%s → %s: %s and %s managed", s.Source, s.Target,
		plural(s.Users, "person", "people"), plural(s.Groups, "group", "groups")), data: s}
	last := pageSection{title: "Last cycles", header: []string{"cycle", "started", "took", "planned", "done", "failed", "held", "skipped", "ended"}}
	for _, c := range s.Cycles {
		took, ended := "", "in order"
		switch {
		case c.Finished == nil:
			ended = "running, or killed"
		case c.Error != "":
			ended = c.Error
		}
		if c.Finished != nil {
			took = c.Finished.Sub(c.Started).Round(10 * time.Millisecond).String()
		}
		last.rows = append(last.rows, []string{fmt.Sprint(c.Cycle), c.Started.UTC().Format(time.DateTime) + " UTC", took,
			fmt.Sprint(c.Planned), fmt.Sprint(c.Done), fmt.Sprint(c.Failed), fmt.Sprint(c.Held), fmt.Sprint(c.Skipped), ended})
	}
	if len(s.Cycles) == 0 {
		last.lines = []string{"none yet: rootly-idp-sync plan shows what the first would do"}
	}
	p.sections = append(p.sections, last)
	if len(s.Waiting) > 0 {
		waiting := pageSection{title: "Waiting for another try", header: []string{"what", "who", "tries", "next", "reason"}}
		for _, w := range s.Waiting {
			waiting.rows = append(waiting.rows, []string{fmt.Sprintf("%s %s", w.Verb, w.Kind), w.Name, fmt.Sprint(w.Attempts),
				w.Next.UTC().Format(time.DateTime) + " UTC", w.Reason})
		}
		p.sections = append(p.sections, waiting)
	}
	if len(s.Open) > 0 {
		p.sections = append(p.sections, pageSection{title: "Outcome unknown: the next run reads what became of it", lines: s.Open})
	}
	if drift {
		edited := pageSection{title: "Edited in Rootly by hand"}
		for _, c := range s.Drift {
			edited.lines = append(edited.lines, fmt.Sprintf("%s %s %s", c.Verb, c.Object.Kind, c.Object.Name))
		}
		if len(s.Drift) == 0 {
			edited.lines = []string{"nothing"}
		}
		p.sections = append(p.sections, edited)
	}
	return p
}
