package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newStatus() *cobra.Command {
	var failOnDrift bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the last cycles, who is managed, and what waits",
		Long: `Shows what the store knows, without the network: who is managed, the last cycles, the sets of changes
that wait for a yes, what undo has pinned, what is tried again later, and how the daemon is. With --fail-on-drift it also
plans, which reads both sides and writes nothing, and tells whether somebody has edited Rootly by hand.
With --config-dir and no --pipeline it shows a line for each pipeline.
` + exitHelp + `0 shown; 1 failed; 3 there is drift (only with --fail-on-drift).`,
		Example: `  rootly-idp-sync status
  rootly-idp-sync status --fail-on-drift --quiet
  rootly-idp-sync status --config-dir /etc/rootly-idp-sync`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			run := a.runStatus
			if a.manyPipelines() {
				run = a.runStatusAll
			}
			code, err := run(cmd.Context(), failOnDrift)
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
	Source string        `json:"source"`
	Target string        `json:"target"`
	Users  int           `json:"managedUsers"`
	Groups int           `json:"managedGroups"`
	Cycles []cycleStatus `json:"cycles"`
	Held   []heldStatus  `json:"held"`
	Pins   []pinStatus   `json:"pins"`
	// Departures are the accounts that are to be deleted, and when.
	Departures []reconcile.Departure `json:"departures"`
	Waiting    []waitStatus          `json:"waiting"`
	Quarantine *reconcile.Quarantine `json:"quarantine,omitempty"`
	Open       []string              `json:"open"`
	Drift      []reconcile.Change    `json:"drift,omitempty"`
	Daemon     *daemon.State         `json:"daemon,omitempty"`
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
	Note     string     `json:"note,omitempty"`
}

type heldStatus struct {
	reconcile.HeldSet
	State store.HeldState `json:"state"`
	Until time.Time       `json:"until,omitzero"` // the approval's end
	Used  time.Time       `json:"used,omitzero"`
	Cycle int64           `json:"usedIn,omitempty"`
}

type pinStatus struct {
	Object reconcile.Ref `json:"object"`
	Cycle  int64         `json:"undone"` // the cycle that was undone
	At     time.Time     `json:"at"`
}

func (a *app) runStatus(ctx context.Context, drift bool) (code exitCode, err error) {
	err = a.withStore(ctx, func(p *pipeline, st *store.Store) error {
		s, err := a.readStatus(ctx, p, st)
		if err != nil {
			return err
		}
		if drift {
			plan, err := p.plan(ctx, a.now())
			if err != nil {
				return err
			}
			if s.Drift = drifted(plan); len(s.Drift) > 0 {
				code = exitDrift
			}
		}
		return a.show(s.page(drift, a.now()), reconcile.TextOptions{})
	})
	return code, err
}

// shownUsed is how long status shows a set that was carried out.
const shownUsed = 7 * 24 * time.Hour

func (a *app) readStatus(ctx context.Context, p *pipeline, st *store.Store) (status, error) {
	s := status{
		Source: p.source.Tenant(), Target: p.cfg.Target.URL,
		Cycles: []cycleStatus{}, Held: []heldStatus{}, Pins: []pinStatus{}, Departures: []reconcile.Departure{}, Waiting: []waitStatus{}, Open: []string{},
	}
	cycles, err := st.Cycles(ctx, 5)
	if err != nil {
		return s, err
	}
	for _, c := range cycles {
		s.Cycles = append(s.Cycles, statusOf(c))
	}
	sets, err := st.HeldSets(ctx)
	if err != nil {
		return s, err
	}
	for _, r := range sets {
		h := heldStatus{HeldSet: r.HeldSet, State: r.State, Used: r.Used, Cycle: r.UsedIn}
		switch {
		case r.State == store.HeldUsed && a.now().Sub(r.Used) > shownUsed:
			continue
		case r.State == store.HeldApproved:
			h.Until = r.Approved.Add(reconcile.ApprovalLife)
		}
		s.Held = append(s.Held, h)
	}
	pins, err := st.Pins(ctx)
	if err != nil {
		return s, err
	}
	for _, pin := range pins {
		s.Pins = append(s.Pins, pinStatus{pin.Object, pin.Cycle, pin.At})
	}
	ledger, err := st.Ledger(ctx)
	if err != nil {
		return s, err
	}
	s.Users, s.Groups = len(ledger.Users), len(ledger.Groups)
	s.Waiting, s.Quarantine = waitingOf(ledger), ledger.Quarantine
	s.Departures = append(s.Departures, p.rules.Departures(ledger)...)
	if s.Daemon, err = recallDaemon(ctx, st); err != nil {
		return s, err
	}
	for _, i := range ledger.Open {
		s.Open = append(s.Open, fmt.Sprintf("%s %s %s (cycle %d)", i.Change.Verb, i.Change.Object.Kind, i.Change.Object.Name, i.Cycle))
	}
	return s, nil
}

func statusOf(c store.Cycle) cycleStatus {
	m := c.Summary
	out := cycleStatus{c.ID, c.Started, nil, m.Planned, m.Done, m.Failed, m.Held, m.Skipped, m.Error, c.Note}
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
			if c.Drift() {
				out = append(out, c)
			}
		}
	}
	return out
}

func (s status) page(drift bool, now time.Time) page {
	p := page{title: fmt.Sprintf("%s → %s: %s and %s managed", s.Source, s.Target,
		plural(s.Users, "person", "people"), plural(s.Groups, "group", "groups")), data: s}
	last := cyclesSection(s.Cycles)
	last.title = "Last cycles"
	if len(s.Cycles) == 0 {
		last.lines = []string{"none yet: rootly-idp-sync plan shows what the first would do"}
	}
	if s.Quarantine != nil {
		p.sections = append(p.sections, quarantineSection(*s.Quarantine))
	}
	p.sections = append(p.sections, last)
	if s.Daemon != nil {
		p.sections = append(p.sections, daemonSection(*s.Daemon, now))
	}
	for _, h := range s.Held {
		p.sections = append(p.sections, h.section())
	}
	if len(s.Pins) > 0 {
		pins := pageSection{title: "Pinned: restored by undo, left as they are until rootly-idp-sync undo --unpin <who>", header: []string{"what", "who", "undone cycle", "since"}}
		for _, pin := range s.Pins {
			pins.rows = append(pins.rows, []string{string(pin.Object.Kind), pin.Object.Name, fmt.Sprint(pin.Cycle), stamp(pin.At)})
		}
		p.sections = append(p.sections, pins)
	}
	if len(s.Departures) > 0 {
		p.sections = append(p.sections, departuresSection(s.Departures))
	}
	if len(s.Waiting) > 0 {
		p.sections = append(p.sections, waitingSection(s.Waiting))
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

// cyclesSection is a table of cycles.
func cyclesSection(cycles []cycleStatus) pageSection {
	s := pageSection{header: []string{"cycle", "started", "took", "planned", "done", "failed", "held", "skipped", "ended"}}
	for _, c := range cycles {
		took, ended := "", "in order"
		switch {
		case c.Finished == nil:
			ended = "running, or killed"
		case c.Error != "":
			ended = c.Error
		case c.Note != "":
			ended = c.Note
		}
		if c.Finished != nil {
			took = c.Finished.Sub(c.Started).Round(10 * time.Millisecond).String()
		}
		s.rows = append(s.rows, []string{fmt.Sprint(c.Cycle), stamp(c.Started), took,
			fmt.Sprint(c.Planned), fmt.Sprint(c.Done), fmt.Sprint(c.Failed), fmt.Sprint(c.Held), fmt.Sprint(c.Skipped), ended})
	}
	return s
}

// shownItems is how many losses of a set status lists.
const shownItems = 10

func (h heldStatus) section() pageSection {
	s := pageSection{title: fmt.Sprintf("Held set %s (%s): %s", h.Fingerprint, plural(len(h.Items), "change", "changes"), h.State)}
	s.lines = append(s.lines, h.Reason, "first held "+stamp(h.Created))
	switch h.State {
	case store.HeldWaiting:
		s.lines = append(s.lines, "if it is right: "+h.Approval())
	case store.HeldApproved:
		s.lines = append(s.lines, fmt.Sprintf("approved by %s until %s: the next sync carries out what of it is still planned", h.By, stamp(h.Until)))
	case store.HeldLapsed:
		s.lines = append(s.lines, fmt.Sprintf("approved by %s at %s, and not used in time; if it is still right: %s", h.By, stamp(h.Approved), h.Approval()))
	case store.HeldUsed:
		s.lines = append(s.lines, fmt.Sprintf("approved by %s, carried out in cycle %d at %s", h.By, h.Cycle, stamp(h.Used)))
	}
	for _, line := range itemLines(h.HeldSet, shownItems) {
		s.lines = append(s.lines, "- "+line)
	}
	return s
}

func quarantineSection(q reconcile.Quarantine) pageSection {
	return pageSection{title: "In quarantine since " + stamp(q.Since), lines: []string{
		q.Cause + ": " + q.Reason,
		"the daemon's next cycle is at " + stamp(q.Next) + "; a changed configuration or secret, or an order to run, begins one before",
		"the first good cycle ends it, and takes nothing away",
	}}
}

func departuresSection(departures []reconcile.Departure) pageSection {
	s := pageSection{title: "Gone from the directory: deleted on their day, unless they are back", header: []string{"who", "gone since", "deleted"}}
	for _, d := range departures {
		s.rows = append(s.rows, []string{d.Object.Name, d.Left.UTC().Format(time.DateOnly), d.Due.UTC().Format(time.DateOnly)})
	}
	return s
}
