package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// An Applier carries out a plan, recording each change before and after it is sent.
type Applier struct {
	Target      Target
	Journal     Journal
	Concurrency int                                // objects written side by side, at least 1
	Progress    func(done, total int, last Change) // called after each change, never twice at a time; may be nil
	Log         *slog.Logger                       // nil is silent
	Now         func() time.Time                   // nil is time.Now
	// Settle is how long a write in flight, and the record of it, may take after the run was cancelled; 20 s when zero.
	Settle time.Duration
}

// A Result is how one change ended.
type Result struct {
	Change  Change        `json:"change"`
	Outcome Outcome       `json:"outcome"`
	Error   string        `json:"error,omitempty"`
	Remedy  string        `json:"remedy,omitempty"`
	Took    time.Duration `json:"took"` // nanoseconds
}

// A Report is one finished cycle.
type Report struct {
	Plan    Plan          `json:"plan"`
	Cycle   int64         `json:"cycle"`
	Results []Result      `json:"results"`
	Stopped string        `json:"stopped,omitempty"` // why writing ended early
	Took    time.Duration `json:"took"`              // nanoseconds
}

// Count returns how many results have one of the outcomes.
func (r Report) Count(outcomes ...Outcome) int {
	n := 0
	for _, res := range r.Results {
		for _, o := range outcomes {
			if res.Outcome == o {
				n++
			}
		}
	}
	return n
}

// settleTime is Applier.Settle when nothing is said.
const settleTime = 20 * time.Second

// Apply sends the plan's changes in their order. One refused object never stops the others; a refused token, a journal
// that cannot record and a cancelled ctx stop everything not yet sent, and the report says what was and what was not
// done. The error is set when the run was stopped; the report holds in any case.
func (a *Applier) Apply(ctx context.Context, p Plan) (Report, error) {
	r := &run{Applier: a, plan: p, start: a.now(), results: map[string]*Result{}, targets: map[string]string{}, attempts: map[string]int{}, contests: map[string]map[string]Contest{}}
	maps.Copy(r.contests, p.contests)
	for _, w := range p.waiting {
		r.attempts[w.key()] = w.Attempts
	}
	err := r.all(ctx)
	report := Report{Plan: p, Cycle: r.cycle, Took: a.now().Sub(r.start)}
	for _, c := range p.Changes {
		res, ok := r.results[c.Key()]
		if !ok {
			res = &Result{Change: c, Outcome: OutcomeSkipped, Error: "not sent"}
		}
		report.Results = append(report.Results, *res)
	}
	if err != nil {
		report.Stopped = err.Error()
	}
	if r.cycle != 0 {
		fctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
		defer cancel()
		if ferr := a.Journal.Finish(fctx, r.cycle, r.summary(report)); ferr != nil {
			err = errors.Join(err, fmt.Errorf("record the end of the cycle: %w", ferr))
			report.Stopped = err.Error()
		}
	}
	return report, err
}

func (a *Applier) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// A run is one Apply.
type run struct {
	*Applier
	plan  Plan
	cycle int64
	start time.Time

	mu       sync.Mutex
	attempts map[string]int // of what is in escrow, by change key
	contests map[string]map[string]Contest

	results map[string]*Result // by change key
	targets map[string]string  // directory id → SCIM id of what this run created
	done    int
	sick    int   // writes in a row that the server could not answer properly
	stop    error // first reason to send nothing more
}

func (r *run) all(ctx context.Context) error {
	var err error
	if r.cycle, err = r.Journal.Begin(ctx, r.start); err != nil {
		return fmt.Errorf("record the cycle: %w", err)
	}
	if err := r.Journal.Resolve(ctx, r.plan.resolved); err != nil {
		return fmt.Errorf("record what an earlier run left open: %w", err)
	}
	if err := r.Journal.Refresh(ctx, r.believed(ctx)); err != nil {
		return fmt.Errorf("refresh the ledger: %w", err)
	}
	if err := r.Journal.Hold(ctx, r.cycle, r.plan.Sets); err != nil {
		return fmt.Errorf("record what is held: %w", err)
	}
	for p, ss := range steps(r.plan.Changes) {
		if len(ss) == 0 {
			continue
		}
		if phase(p) == phaseLink {
			err = r.link(ctx, ss)
		} else {
			err = r.phase(ctx, ss)
		}
		if err != nil {
			return err
		}
	}
	if r.plan.short {
		return nil
	}
	if err := r.Journal.Keep(ctx, r.cycle, r.plan.snapshot); err != nil {
		return fmt.Errorf("keep the directory's answer: %w", err)
	}
	return nil
}

// believed are the links to be refreshed. That an account which we deactivated is active again is not taken from a listing: one
// that lags shows it as it was before, and the next good one would look as if a hand had deactivated it since.
func (r *run) believed(ctx context.Context) []Link {
	links := r.plan.refresh
	keep := make([]bool, len(links))
	g := errgroup.Group{}
	g.SetLimit(max(1, r.Concurrency))
	for i, l := range links {
		if l.Kind != KindUser || !r.plan.woken[l.Source] {
			keep[i] = true
			continue
		}
		g.Go(func() error {
			u, err := r.Target.User(ctx, l.Target)
			keep[i] = err == nil && u.Active
			return nil
		})
	}
	_ = g.Wait() // what cannot be read is not believed
	var out []Link
	for i, l := range links {
		if keep[i] {
			out = append(out, l)
		}
	}
	return out
}

// link takes over objects as they are.
func (r *run) link(ctx context.Context, ss []step) error {
	var changes []Change
	var links []Link
	for _, s := range ss {
		c := s[0]
		changes = append(changes, c)
		links = append(links, r.linkOf(c, c.Object.Target, r.plan.members[c.Object.Source]))
	}
	if err := r.Journal.Link(ctx, r.cycle, changes, links); err != nil {
		return fmt.Errorf("record links: %w", err)
	}
	for _, c := range changes {
		r.finish(Result{Change: c, Outcome: OutcomeDone})
	}
	return nil
}

// phase runs its steps side by side, those that wait for one another in turns.
func (r *run) phase(ctx context.Context, ss []step) error {
	for len(ss) > 0 {
		var now, later []step
		open := map[string]bool{}
		for _, s := range ss {
			for _, c := range s {
				open[c.Key()] = true
			}
		}
		for _, s := range ss {
			if waits(s, open) {
				later = append(later, s)
			} else {
				now = append(now, s)
			}
		}
		if len(now) == 0 {
			now, later = ss, nil // cannot happen: deadlocked names are frozen; sending decides
		}
		g := errgroup.Group{}
		g.SetLimit(max(1, r.Concurrency))
		for _, s := range now {
			if err := r.stopped(ctx); err != nil {
				break
			}
			g.Go(func() error { r.step(ctx, s); return nil })
		}
		_ = g.Wait() // steps report through r.stop and r.results
		if err := r.stopped(ctx); err != nil {
			return err
		}
		ss = later
	}
	return nil
}

// waits tells whether a step needs another one of its own phase to be over.
func waits(s step, open map[string]bool) bool {
	own := map[string]bool{}
	for _, c := range s {
		own[c.Key()] = true
	}
	for _, c := range s {
		for _, k := range c.After {
			if open[k] && !own[k] {
				return true
			}
		}
	}
	return false
}

// stopped returns why nothing more may be sent, or nil.
func (r *run) stopped(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == nil && ctx.Err() != nil {
		r.stop = fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	return r.stop
}

func (r *run) halt(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stop == nil {
		r.stop = err
	}
}

// step carries out one step, unless something that it waits for did not succeed.
func (r *run) step(ctx context.Context, s step) {
	if r.stopped(ctx) != nil {
		return
	}
	for _, c := range s {
		for _, k := range c.After {
			if res := r.result(k); res != nil && res.Outcome != OutcomeDone && res.Outcome != OutcomeNotKept {
				for _, c := range s {
					r.finish(Result{Change: c, Outcome: OutcomeSkipped, Error: fmt.Sprintf("waits for %q, which ended %s", k, res.Outcome)})
				}
				return
			}
		}
	}
	// What is sent is also finished and recorded: from here on a cancelled run cuts in only after a grace.
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(cmp.Or(r.Settle, settleTime)):
			cancel()
		case <-sending.Done():
		}
	})()
	if s[0].Object.Kind == KindUser {
		r.user(sending, s[0])
	} else {
		r.group(sending, s)
	}
}

func (r *run) result(key string) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results[key]
}

// sickAfter is how many writes in a row may end in 5xx, 429 or silence before the rest is left for the next run.
const sickAfter = 20

// brake counts writes that the server could not answer properly, and ends the run when nothing else comes.
func (r *run) brake(err error, unknown bool) {
	e, refused := errors.AsType[*scimclient.Error](err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !unknown && !(refused && (e.Status >= 500 || e.Status == http.StatusTooManyRequests)) {
		r.sick = 0
		return
	}
	if r.sick++; r.sick == sickAfter && r.stop == nil {
		r.stop = fmt.Errorf("%d writes in a row failed on Rootly's side, the rest is left for the next run: %w", sickAfter, err)
	}
}

func (r *run) finish(res Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[res.Change.Key()] = &res
	r.done++
	if r.Progress != nil {
		r.Progress(r.done, len(r.plan.Changes), res.Change)
	}
	if r.Log == nil {
		return
	}
	level := slog.LevelInfo
	attrs := []any{"cycle", r.cycle, "outcome", res.Outcome, "verb", res.Change.Verb, "kind", res.Change.Object.Kind,
		"object", res.Change.Object.key(), "why", res.Change.Why, "took", res.Took}
	if res.Outcome != OutcomeDone {
		level = slog.LevelWarn
		attrs = append(attrs, "error", res.Error)
	}
	r.Log.Log(context.Background(), level, "change", attrs...)
}

// intend records that a change is about to be sent. Without that row it is not sent, and nothing after it.
func (r *run) intend(ctx context.Context, c Change) (int64, bool) {
	id, err := r.Journal.Intend(ctx, r.cycle, c, c.record, c.group)
	if err != nil {
		r.halt(fmt.Errorf("record an intent: %w", err))
		return 0, false
	}
	return id, true
}

// settle records how a change ended. An unknown outcome stays open in the journal; the next run reads and settles it.
func (r *run) settle(ctx context.Context, c Change, s Settled, err error) {
	res := Result{Change: c, Outcome: s.Outcome, Took: s.Took}
	if err != nil {
		res.Error, s.Error, res.Remedy = err.Error(), err.Error(), remedyOf(err)
	}
	if s.Outcome == OutcomeFailed {
		s.Wait = r.escrow(c, err)
	}
	if jerr := r.Journal.Settle(ctx, s); jerr != nil {
		r.halt(fmt.Errorf("record an outcome: %w", jerr))
	}
	r.finish(res)
}

// classify turns what a write returned into its outcome, and stops the run when the refusal is not about this object, or when
// one write after the other fails.
func (r *run) classify(ctx context.Context, err error) Outcome {
	o := r.outcome(ctx, err)
	r.brake(err, o == OutcomeUnknown)
	return o
}

// outcome is what one write came to, whatever those before it did.
func (r *run) outcome(ctx context.Context, err error) Outcome {
	if err == nil {
		return OutcomeDone
	}
	if _, ok := errors.AsType[*scimclient.NotKeptError](err); ok {
		return OutcomeNotKept
	}
	if _, ok := errors.AsType[*scimclient.UnknownError](err); ok {
		return OutcomeUnknown
	}
	if _, ok := errors.AsType[*scimclient.WithheldError](err); ok {
		r.halt(err)
		return OutcomeUnknown // an earlier try of the same change may have been sent
	}
	if _, ok := errors.AsType[*linkedError](err); ok {
		return OutcomeFailed
	}
	if _, ok := errors.AsType[*overtakenError](err); ok {
		return OutcomeSkipped // never sent, and nobody's refusal
	}
	e, ok := errors.AsType[*scimclient.Error](err)
	switch {
	case !ok:
		return OutcomeUnknown // a context that ended, a transport that broke: nothing is known
	case e.Status == http.StatusUnauthorized:
		r.halt(err)
	case e.Status == http.StatusForbidden:
		if perr := r.Target.Probe(ctx); perr != nil {
			r.halt(err)
		}
	}
	return OutcomeFailed
}

// escrowGaps are how long a failed change waits before it is sent again, by attempts so far: at the next run, then at
// growing distances up to a day.
var escrowGaps = []time.Duration{0, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, lastGap}

const lastGap = 24 * time.Hour

// escrow says when a failed change is due again. Deactivations are due at every run.
func (r *run) escrow(c Change, err error) *Waiting {
	w := &Waiting{Kind: c.Object.Kind, Source: c.Object.Source, Name: c.Object.Name, Verb: cmp.Or(c.planned, c.Verb), Attempts: r.attempts[c.plannedKey()] + 1, Next: r.now()}
	if c.Verb != VerbDeactivate {
		w.Next = w.Next.Add(escrowGaps[min(w.Attempts-1, len(escrowGaps)-1)])
	}
	if err != nil {
		w.Reason = err.Error()
	}
	return w
}

// linkOf is the ledger's row for a change that succeeded.
func (r *run) linkOf(c Change, target string, members []string) Link {
	l := Link{Kind: c.Object.Kind, Source: c.Object.Source, Target: target, Stuck: maps.Clone(r.plan.stuck[c.Object.key()]), Contested: r.contested(c)}
	for _, f := range c.Fields {
		delete(l.Stuck, f.Name)
	}
	if c.Object.Kind == KindUser {
		l.User = c.record
	} else {
		g := *c.group
		g.Members = members
		l.Group = &g
	}
	return l
}

func remedyOf(err error) string {
	e, ok := errors.AsType[*scimclient.Error](err)
	if !ok {
		return ""
	}
	switch e.Status {
	case http.StatusUnauthorized:
		return "the SCIM token is wrong or revoked: copy it anew from Integrations > SSO > SCIM Token in Rootly into target.token"
	case http.StatusForbidden:
		return "Rootly refuses this object; its SCIM log (Integrations > SSO > SCIM Logs) has the reason"
	case http.StatusConflict:
		return "another account in Rootly has the same userName and is not ours to take; look for it there, deactivated accounts included"
	case http.StatusBadRequest:
		return "Rootly refuses a value of this object; mend it in the directory or in map"
	}
	return ""
}

func (r *run) summary(rep Report) CycleSummary {
	s := CycleSummary{
		Planned: len(r.plan.Changes), Held: len(r.plan.Held), Error: rep.Stopped,
		Done: rep.Count(OutcomeDone), Failed: rep.Count(OutcomeFailed, OutcomeNotKept, OutcomeUnknown), Skipped: rep.Count(OutcomeSkipped),
	}
	// A part of a plan, or a run that was stopped, has not brought Rootly under these rules yet.
	if rep.Stopped == "" && !r.plan.partial {
		s.Rules, s.RuleTexts, s.Used, s.Moot = r.plan.rules, r.plan.texts, r.plan.used, r.plan.moot()
	}
	return s
}

// moot is the escrow of changes that nobody plans any more.
func (p Plan) moot() []Waiting {
	planned := map[string]bool{}
	for _, c := range slices.Concat(p.Changes, p.Held) {
		planned[c.Key()] = true
	}
	return slices.DeleteFunc(slices.Clone(p.waiting), func(w Waiting) bool {
		return planned[w.key()]
	})
}
