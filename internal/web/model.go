package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// What pages and the API show. A page is the value of the API with words around it.

// A Status is how things are now.
type Status struct {
	Source     string                `json:"source" doc:"The directory."`
	Target     string                `json:"target" doc:"Rootly's SCIM endpoint."`
	Version    string                `json:"version"`
	Mode       string                `json:"mode" doc:"observe or apply."`
	Leader     string                `json:"leader"`
	Started    time.Time             `json:"started"`
	Progress   Progress              `json:"progress"`
	LastGood   time.Time             `json:"lastGood,omitzero" doc:"When the last good cycle ended."`
	Last       *daemon.Summary       `json:"last,omitempty" doc:"The last cycle of this daemon."`
	Quarantine *reconcile.Quarantine `json:"quarantine,omitempty"`
	Reload     string                `json:"reloadError,omitempty" doc:"Why the configuration on disk is not the one that runs."`
	Restart    []string              `json:"restartNeeded,omitempty"`
	Counts     *reconcile.Counts     `json:"counts,omitempty" doc:"Both sides as the last plan saw them."`
	Summary    string                `json:"summary,omitempty" doc:"The last plan in a sentence or two."`
	Held       []Held                `json:"held" doc:"What waits for an approval."`
	Escrow     int                   `json:"escrow" doc:"Objects that are tried again later."`
	Urgent     []reconcile.Note      `json:"urgent" doc:"What needs somebody."`
	Cycles     []Cycle               `json:"cycles" doc:"The last ones."`
}

// A Held is one set of changes that waits, or waited, for an approval.
type Held struct {
	reconcile.HeldSet
	State  store.HeldState `json:"state" doc:"waiting, approved, lapsed or used."`
	Until  time.Time       `json:"until,omitzero" doc:"The end of the approval."`
	Used   time.Time       `json:"used,omitzero"`
	UsedIn int64           `json:"usedIn,omitempty" doc:"The cycle that carried it out."`
}

// OnCall tells whether the set holds somebody whom Rootly pages.
func (h Held) OnCall() bool { return h.Axis == reconcile.AxisOnCall }

// Open tells whether the set waits for a yes.
func (h Held) Open() bool { return h.State == store.HeldWaiting || h.State == store.HeldLapsed }

// Short is as much of the fingerprint as people need.
func (h Held) Short() string { return h.Fingerprint[:min(12, len(h.Fingerprint))] }

// A Cycle is one run on record.
type Cycle struct {
	ID       int64     `json:"cycle"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished,omitzero"`
	Seconds  float64   `json:"seconds,omitempty" doc:"How long it took."`
	Result   string    `json:"result" doc:"good, observed, held, partial, failed, or open when it runs or was killed."`
	Planned  int       `json:"planned"`
	Done     int       `json:"done"`
	Failed   int       `json:"failed"`
	Held     int       `json:"held"`
	Skipped  int       `json:"skipped"`
	Error    string    `json:"error,omitempty"`
	Note     string    `json:"note,omitempty" doc:"What it was when it was no sync."`
}

// A Past is one change on record.
type Past struct {
	reconcile.Change
	Cycle   int64             `json:"cycle"`
	At      time.Time         `json:"at"`
	Outcome reconcile.Outcome `json:"outcome" doc:"done, failed, not kept, unknown or skipped; empty while it is not known."`
	Error   string            `json:"error,omitempty"`
}

// A Wait is one object in escrow.
type Wait struct {
	Kind     reconcile.Kind `json:"kind"`
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Verb     reconcile.Verb `json:"verb"`
	Attempts int            `json:"attempts"`
	Next     time.Time      `json:"next"`
	Reason   string         `json:"reason"`
}

// A Page is one page of a list.
type Page[T any] struct {
	Items []T `json:"items"`
	Total int `json:"total" doc:"Items on all pages."`
	Page  int `json:"page" doc:"From 1."`
	Pages int `json:"pages"`
}

// perPage is how many items a page of a list has.
const perPage = 50

// pageOf is page n of list, the nearest one when there is no such page.
func pageOf[T any](list []T, n int) Page[T] {
	p := Page[T]{Total: len(list), Pages: max(1, (len(list)+perPage-1)/perPage)}
	p.Page = min(max(1, n), p.Pages)
	from := (p.Page - 1) * perPage
	p.Items = slices.Clone(list[from:min(from+perPage, len(list))])
	if p.Items == nil {
		p.Items = []T{}
	}
	return p
}

func cycleOf(c store.Cycle) Cycle {
	m := c.Summary
	out := Cycle{
		ID: c.ID, Started: c.Started, Finished: c.Finished, Planned: m.Planned, Done: m.Done, Failed: m.Failed, Held: m.Held, Skipped: m.Skipped, Error: m.Error, Note: c.Note,
	}
	if !c.Finished.IsZero() {
		out.Seconds = c.Finished.Sub(c.Started).Seconds()
	}
	switch {
	case c.Finished.IsZero():
		out.Result = "open"
	case m.Error != "":
		out.Result = string(daemon.ResultFailed)
	case m.Failed > 0:
		out.Result = string(daemon.ResultPartial)
	case m.Rules == "" && m.Planned > 0 && m.Skipped == m.Planned:
		out.Result = string(daemon.ResultObserved)
	case m.Held > 0:
		out.Result = string(daemon.ResultHeld)
	default:
		out.Result = string(daemon.ResultGood)
	}
	return out
}

func pastOf(e store.Entry) Past {
	return Past{Change: e.Change, Cycle: e.Cycle, At: e.Intended, Outcome: e.Outcome, Error: e.Error}
}

func heldOf(r store.HeldRecord) Held {
	h := Held{HeldSet: r.HeldSet, State: r.State, Used: r.Used, UsedIn: r.UsedIn}
	if r.State == store.HeldApproved {
		h.Until = r.Approved.Add(reconcile.ApprovalLife)
	}
	return h
}

// shownCycles are those on the first page.
const shownCycles = 5

func (s *Site) status(ctx context.Context) (Status, error) {
	state := s.daemon.State()
	st := Status{
		Version: s.build.Version, Mode: state.Mode, Leader: state.Leader, Started: state.Started, Progress: progressOf(state, s.now()),
		LastGood: state.LastGood, Last: state.Last, Quarantine: state.Quarantine, Reload: state.ReloadError, Restart: state.RestartNeeded,
		Held: []Held{}, Urgent: []reconcile.Note{}, Cycles: []Cycle{},
	}
	if seen := s.latest(); seen != nil {
		st.Counts, st.Summary = &seen.Plan.Counts, seen.Plan.Summary()
		for _, n := range seen.Plan.Notes {
			if n.Kind.Urgent() {
				st.Urgent = append(st.Urgent, n)
			}
		}
	}
	err := s.live.Use(func(p Pipeline) error {
		st.Source, st.Target = p.Source, p.Target
		sets, err := p.Records.HeldSets(ctx)
		if err != nil {
			return err
		}
		for _, r := range sets {
			if r.State != store.HeldUsed {
				st.Held = append(st.Held, heldOf(r))
			}
		}
		waiting, err := p.Records.Escrow(ctx)
		if err != nil {
			return err
		}
		st.Escrow = len(waiting)
		cycles, err := p.Records.CyclesDuring(ctx, store.Filter{Limit: shownCycles})
		for _, c := range cycles {
			st.Cycles = append(st.Cycles, cycleOf(c))
		}
		return err
	})
	return st, err
}

// held are the sets on record: those that wait, and those that were carried out.
func (s *Site) held(ctx context.Context) ([]Held, error) {
	out := []Held{}
	err := s.live.Use(func(p Pipeline) error {
		sets, err := p.Records.HeldSets(ctx)
		for _, r := range sets {
			out = append(out, heldOf(r))
		}
		return err
	})
	return out, err
}

// heldSet is the set with the fingerprint, of several the one that waits.
func (s *Site) heldSet(ctx context.Context, fingerprint string) (Held, error) {
	all, err := s.held(ctx)
	if err != nil {
		return Held{}, err
	}
	var found *Held
	for i := range all {
		if h := &all[i]; h.Fingerprint == fingerprint && (found == nil || found.State == store.HeldUsed) {
			found = h
		}
	}
	if found == nil {
		return Held{}, refusal{http.StatusNotFound, fmt.Errorf("no held set has the fingerprint %s (those that wait are on the page Now)", fingerprint)}
	}
	return *found, nil
}

// approve records a yes. Whoever is on call is released only by saying so.
func (s *Site) approve(ctx context.Context, fingerprint, by string, includeOnCall bool) (Held, error) {
	h, err := s.heldSet(ctx, fingerprint)
	switch {
	case err != nil:
		return Held{}, err
	case !h.Open():
		return Held{}, refusal{http.StatusConflict, fmt.Errorf("set %s waits for nobody: it is %s (the next cycle says what is held now)", h.Short(), h.State)}
	case h.OnCall() && !includeOnCall:
		return Held{}, refusal{http.StatusConflict, fmt.Errorf("set %s holds somebody whom Rootly pages: %s (hand the shift over in Rootly, or say that they are to be released all the same)", h.Short(), h.Reason)}
	case !h.OnCall() && includeOnCall:
		return Held{}, refusal{http.StatusConflict, fmt.Errorf("set %s holds nobody for being on call (approve it without that word; who of it is on call then waits in a set of their own)", h.Short())}
	}
	err = s.live.Use(func(p Pipeline) error {
		_, err := p.Records.Approve(ctx, h.Fingerprint, by)
		return err
	})
	if err != nil {
		return Held{}, refusal{http.StatusConflict, err}
	}
	s.log.Info("approved", "set", h.Fingerprint, "axis", h.Axis, "changes", len(h.Items), "by", by)
	return s.heldSet(ctx, fingerprint)
}

func (s *Site) escrow(ctx context.Context) ([]Wait, error) {
	out := []Wait{}
	err := s.live.Use(func(p Pipeline) error {
		waiting, err := p.Records.Escrow(ctx)
		for _, w := range waiting {
			out = append(out, waitOf(w))
		}
		return err
	})
	return out, err
}

func waitOf(w reconcile.Waiting) Wait {
	return Wait{w.Kind, w.Source, w.Name, w.Verb, w.Attempts, w.Next, w.Reason}
}

// cycles are the ones that began before until, the newest first.
func (s *Site) cycles(ctx context.Context, until time.Time, limit int) ([]Cycle, error) {
	out := []Cycle{}
	err := s.live.Use(func(p Pipeline) error {
		cycles, err := p.Records.CyclesDuring(ctx, store.Filter{Until: until, Limit: limit})
		for _, c := range cycles {
			out = append(out, cycleOf(c))
		}
		return err
	})
	return out, err
}

// A CycleDetail is one cycle with its changes.
type CycleDetail struct {
	Cycle
	Changes Page[Past] `json:"changes"`
}

func (s *Site) cycle(ctx context.Context, id int64) (c Cycle, changes []Past, err error) {
	err = s.live.Use(func(p Pipeline) error {
		entries, err := p.Records.CycleChanges(ctx, id)
		if err != nil {
			return refusal{http.StatusNotFound, err}
		}
		for _, e := range entries {
			changes = append(changes, pastOf(e))
		}
		cycles, err := p.Records.CyclesDuring(ctx, store.Filter{Cycle: id})
		if err == nil && len(cycles) == 0 {
			err = refusal{http.StatusNotFound, fmt.Errorf("there is no cycle %d on record (the history lists them)", id)}
		}
		if err == nil {
			c = cycleOf(cycles[0])
		}
		return err
	})
	return c, changes, err
}

// onRoster calls f with everybody the last good cycle knew of.
func (s *Site) onRoster(ctx context.Context, f func(p Pipeline, r *roster) error) error {
	return s.live.Use(func(p Pipeline) error {
		newest, err := p.Records.CyclesDuring(ctx, store.Filter{Limit: 1})
		if err != nil {
			return err
		}
		id := int64(0)
		if len(newest) > 0 {
			id = newest[0].ID
		}
		r, err := s.roster.of(ctx, p.Records, id, s.latest())
		if err != nil {
			return err
		}
		return f(p, r)
	})
}

// phaseText says what the daemon does, in words.
func phaseText(s daemon.State, now time.Time) string {
	switch s.Phase {
	case daemon.PhasePlanning:
		return "Reading both sides and comparing them"
	case daemon.PhaseApplying:
		return fmt.Sprintf("Applying: %d of %d changes", s.Done, s.Total)
	case daemon.PhaseWaiting:
		if s.Next.IsZero() {
			return "Waiting"
		}
		if !s.Next.After(now) {
			return "The next cycle is about to begin"
		}
		return "Waiting for the next cycle, " + within(s.Next.Sub(now))
	case daemon.PhaseStandby:
		if s.Leader == "" {
			return "Standing by: another replica may lead"
		}
		return "Standing by: " + s.Leader + " leads"
	case daemon.PhaseStopping:
		return "Stopping: what is under way is finished"
	}
	word := string(s.Phase)
	if word == "" {
		return "Starting"
	}
	return strings.ToUpper(word[:1]) + word[1:]
}
