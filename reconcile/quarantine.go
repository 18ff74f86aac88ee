package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// The causes of a quarantine.
const (
	CauseCredentials = "credentials" // one side refuses the credential, or what it may do
	CauseEndpoint    = "endpoint"    // nothing of one side answers at its address
	CauseObjects     = "objects"     // most changes of a cycle fail
)

// After returns the quarantine that a cycle leaves behind, nil when there is none. report and err are what the cycle
// ended with, at now; q is the quarantine before it, which may be nil. Credentials that are refused, an address at which
// nothing answers, and a cycle most of whose changes fail begin one. An answer that is late, broken or 5xx does not: such
// a cycle has failed and the next one is due as ever. Any cycle that failed keeps a quarantine that is there. The first
// one that reached its end ends it, unless many changes failed and none was done: a few objects that are refused for good
// do not keep it. A cycle about part of a plan, and one that was interrupted, say nothing.
func (q *Quarantine) After(report Report, err error, now time.Time) *Quarantine {
	if report.Plan.partial || errors.Is(err, context.Canceled) {
		return q
	}
	cause, reason := sickness(report, err)
	failed := err != nil || report.Stopped != "" || report.Count(OutcomeDone) == 0 && report.Count(OutcomeFailed, OutcomeUnknown) >= failuresFrom
	switch {
	case cause == "" && (q == nil || !failed):
		return nil
	case q == nil:
		q = &Quarantine{Since: now}
	}
	after := *q
	if cause != "" {
		after.Cause, after.Reason = cause, reason
	}
	after.Next = now.Add(quarantineGap(now.Sub(q.Since)))
	return &after
}

// Quarantine is the one that was there when the plan was made, nil when there was none.
func (p Plan) Quarantine() *Quarantine { return p.quarantine }

// quarantineGap is how long a sync in quarantine waits for its next cycle: one hour in the first, six until the seventh,
// then a day.
func quarantineGap(age time.Duration) time.Duration {
	switch {
	case age < time.Hour:
		return time.Hour
	case age < 7*time.Hour:
		return 6 * time.Hour
	}
	return 24 * time.Hour
}

// sickness tells what is wrong with the cycle as a whole, "" for nothing.
func sickness(report Report, err error) (cause, reason string) {
	switch {
	case err != nil && refused(err):
		return CauseCredentials, err.Error()
	case err != nil && dead(err):
		return CauseEndpoint, err.Error()
	}
	sent, failed, example := report.failures()
	if sent >= failuresFrom && failed*100 > sent*failuresShare {
		return CauseObjects, fmt.Sprintf("%d of %d changes failed, such as %s: %s", failed, sent, example.Change.Key(), example.Error)
	}
	return "", ""
}

// A cycle is sick when more than failuresShare percent of at least failuresFrom changes fail.
const (
	failuresFrom  = 10
	failuresShare = 40
)

// failures counts what a cycle sent and what of it failed. Changes that failed in an earlier cycle already are no news and
// not counted: a few objects that are refused for good must not slow down everybody else.
func (r Report) failures() (sent, failed int, example Result) {
	before := map[string]bool{}
	for _, w := range r.Plan.waiting {
		before[w.key()] = true
	}
	for _, res := range r.Results {
		if res.Outcome == OutcomeSkipped || res.Change.Verb == VerbLink || before[res.Change.plannedKey()] {
			continue
		}
		sent++
		if res.Outcome == OutcomeFailed || res.Outcome == OutcomeUnknown {
			if failed == 0 {
				example = res
			}
			failed++
		}
	}
	return sent, failed, example
}

// key is the key of the change that waits.
func (w Waiting) key() string {
	return Change{Verb: w.Verb, Object: Ref{Kind: w.Kind, Source: w.Source}}.Key()
}

// refused tells whether one side does not accept the credential. A 403 about one object stops no cycle and comes here in
// no error of a whole one.
func refused(err error) bool {
	if e, ok := errors.AsType[*scimclient.Error](err); ok {
		return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
	}
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Unauthorized()
}

// dead tells whether nothing that speaks the protocol is at the address, the client's own repetitions included.
func dead(err error) bool {
	if e, ok := errors.AsType[*scimclient.Error](err); ok {
		listing := e.Method == http.MethodGet && (e.Path == "/Users" || e.Path == "/Groups")
		return listing && (e.Status/100 == 3 || e.Status == http.StatusNotFound || e.Status == http.StatusGone)
	}
	return errors.Is(err, connectors.ErrUnreachable) || connectors.Unreachable(err)
}

// takeNothingYet holds, for the one cycle after a quarantine, whatever would be taken away: both sides were out of sight
// for long, and a second good cycle judges them afresh. Sets that wait for a yes go on waiting, and an approval keeps.
func (r *ruling) takeNothingYet(losses []loss, q Quarantine) {
	text := fmt.Sprintf("the first run after the quarantine that began %s (%s) takes nothing away", clock(q.Since), q.Cause)
	n := 0
	for _, l := range losses {
		if _, held := r.held[l.key]; held || !l.takes() {
			continue
		}
		r.held[l.key] = text
		n++
	}
	if n > 0 {
		r.objections = append(r.objections, Objection{Axis: AxisQuarantine, Count: n, Text: text,
			Remedy: "nothing is to be done: the next run takes away what is still to go"})
	}
}
