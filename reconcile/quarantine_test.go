package reconcile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// outcomes is the report of a cycle that sent changes which ended so.
func outcomes(n map[Outcome]int) Report {
	var r Report
	for _, o := range []Outcome{OutcomeDone, OutcomeFailed, OutcomeNotKept, OutcomeUnknown, OutcomeSkipped} {
		for range n[o] {
			r.Results = append(r.Results, Result{
				Change:  Change{Verb: VerbUpdate, Object: Ref{Kind: KindUser, Source: fmt.Sprintf("u%02d", len(r.Results))}},
				Outcome: o, Error: "500",
			})
		}
	}
	return r
}

// again says that all changes of a report had failed before.
func again(r Report) Report {
	for _, res := range r.Results {
		r.Plan.waiting = append(r.Plan.waiting, Waiting{Kind: KindUser, Source: res.Change.Object.Source, Verb: res.Change.Verb, Attempts: 1})
	}
	return r
}

func listing(status int) error {
	return fmt.Errorf("read Rootly: %w", &scimclient.Error{Op: "list users", Method: http.MethodGet, Path: "/Users", Status: status})
}

func directoryError(status int, code string) error {
	return fmt.Errorf("read the directory: %w", &connectors.Error{Directory: "okta", Status: status, Code: code, Step: "listing the users"})
}

func TestWhatBeginsAQuarantine(t *testing.T) {
	refusedDial := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	tests := map[string]struct {
		report Report
		err    error
		cause  string
	}{
		"the SCIM token is refused":                   {err: listing(401), cause: CauseCredentials},
		"the token may not list":                      {err: listing(403), cause: CauseCredentials},
		"the directory's credential is refused":       {err: directoryError(401, "E0000011"), cause: CauseCredentials},
		"the directory's grant is gone":               {err: directoryError(403, "E0000006"), cause: CauseCredentials},
		"the client secret has expired":               {err: directoryError(400, "invalid_client"), cause: CauseCredentials},
		"Entra refuses the sign-in":                   {err: directoryError(400, "AADSTS7000222"), cause: CauseCredentials},
		"nothing listens":                             {err: fmt.Errorf("list users: %w", refusedDial), cause: CauseEndpoint},
		"the name is unknown":                         {err: &net.DNSError{Name: "rootly.example", IsNotFound: true}, cause: CauseEndpoint},
		"the certificate is somebody else's":          {err: &tls.CertificateVerificationError{Err: x509.HostnameError{}}, cause: CauseEndpoint},
		"the directory cannot be reached":             {err: &connectors.Error{Directory: "okta", Err: connectors.ErrUnreachable}, cause: CauseEndpoint},
		"the SCIM URL is not one":                     {err: listing(404), cause: CauseEndpoint},
		"the SCIM URL moved":                          {err: listing(301), cause: CauseEndpoint},
		"all fail":                                    {report: outcomes(map[Outcome]int{OutcomeFailed: 10}), cause: CauseObjects},
		"five of ten fail":                            {report: outcomes(map[Outcome]int{OutcomeFailed: 3, OutcomeUnknown: 2, OutcomeDone: 5}), cause: CauseObjects},
		"four of ten fail":                            {report: outcomes(map[Outcome]int{OutcomeFailed: 4, OutcomeDone: 6})},
		"nine of nine fail":                           {report: outcomes(map[Outcome]int{OutcomeFailed: 9})},
		"what was not sent did not fail":              {report: outcomes(map[Outcome]int{OutcomeFailed: 5, OutcomeSkipped: 20})},
		"what the server alters did not fail":         {report: outcomes(map[Outcome]int{OutcomeNotKept: 20})},
		"all that fail had failed before":             {report: again(outcomes(map[Outcome]int{OutcomeFailed: 20}))},
		"a 503 of the listing":                        {err: listing(503)},
		"the directory is in trouble":                 {err: directoryError(503, "")},
		"a quota that Google answers 403 to":          {err: directoryError(403, "userRateLimitExceeded")},
		"a rate limit":                                {err: directoryError(429, "E0000047")},
		"a connection that did not come in time":      {err: &net.OpError{Op: "dial", Err: context.DeadlineExceeded}},
		"a name server in trouble":                    {err: &net.DNSError{Name: "rootly.example", IsTemporary: true}},
		"one account is gone":                         {err: &scimclient.Error{Method: http.MethodGet, Path: "/Users/7", Status: 404, SCIM: true}},
		"nobody is in scope":                          {err: ErrNobodyInScope},
		"the run was interrupted":                     {err: fmt.Errorf("interrupted: %w", context.Canceled)},
		"part of a plan, all of which failed":         {report: Report{Plan: Plan{partial: true}, Results: outcomes(map[Outcome]int{OutcomeFailed: 12}).Results}},
		"the token is refused in the middle":          {report: outcomes(map[Outcome]int{OutcomeDone: 30, OutcomeFailed: 1}), err: &scimclient.Error{Status: 401}, cause: CauseCredentials},
		"twenty writes in a row end in no connection": {err: fmt.Errorf("20 writes in a row failed: %w", &scimclient.UnknownError{Err: refusedDial}), cause: CauseEndpoint},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var none *Quarantine
			q := none.After(tc.report, tc.err, noon)
			switch {
			case q == nil && tc.cause != "":
				t.Error("begins none")
			case q != nil && q.Cause != tc.cause:
				t.Errorf("begins %+v, want cause %q", *q, tc.cause)
			case q != nil && (!q.Since.Equal(noon) || !q.Next.Equal(noon.Add(time.Hour)) || q.Reason == ""):
				t.Errorf("%+v: since now, an hour's wait and a reason", *q)
			}
		})
	}
}

func TestWhatEndsAQuarantine(t *testing.T) {
	tests := map[string]struct {
		report Report
		err    error
		ends   bool
	}{
		"a cycle with nothing to do":              {ends: true},
		"a cycle that did something":              {report: outcomes(map[Outcome]int{OutcomeDone: 1, OutcomeFailed: 3}), ends: true},
		"a cycle that did nothing of what it had": {report: again(outcomes(map[Outcome]int{OutcomeFailed: 10}))},
		"a cycle in which the usual few failed":   {report: again(outcomes(map[Outcome]int{OutcomeFailed: 9})), ends: true},
		"a cycle that failed for another reason":  {err: listing(503)},
		"a cycle that was stopped":                {report: Report{Stopped: "the disk is full"}, err: errors.New("record an intent: the disk is full")},
		"a cycle about one person":                {report: Report{Plan: Plan{partial: true}}},
		"a cycle that was interrupted":            {err: context.Canceled},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			q := &Quarantine{Since: noon, Cause: CauseCredentials, Reason: "401", Next: noon.Add(time.Hour)}
			after := q.After(tc.report, tc.err, noon.Add(2*time.Hour))
			if (after == nil) != tc.ends {
				t.Fatalf("leaves %+v, ends: %t", after, tc.ends)
			}
			if after != nil && (after.Cause != q.Cause || after.Since != q.Since) {
				t.Errorf("%+v: the cause and the beginning are those of %+v", *after, *q)
			}
		})
	}
}

// TestAQuarantineSlowsDownToADay fails every cycle for forty days of virtual time, each as soon as it may begin.
func TestAQuarantineSlowsDownToADay(t *testing.T) {
	var q *Quarantine
	var gaps []string
	now := noon
	for now.Before(noon.AddDate(0, 0, 40)) {
		q = q.After(Report{}, listing(401), now)
		if gaps = append(gaps, q.Next.Sub(now).String()); !q.Since.Equal(noon) {
			t.Fatalf("began %s, want %s", q.Since, noon)
		}
		now = q.Next
	}
	if got := strings.Join(gaps[:5], " "); got != "1h0m0s 6h0m0s 24h0m0s 24h0m0s 24h0m0s" {
		t.Errorf("gaps %s …", got)
	}
	if len(gaps) != 42 {
		t.Errorf("%d cycles in 40 days", len(gaps))
	}
}

// TestQuarantineLaws: whatever the cycles end with, the next one is at most a day away, a failure never ends a quarantine,
// a good cycle always does, and what is stored is never changed in place.
func TestQuarantineLaws(t *testing.T) {
	ends := []struct {
		report Report
		err    error
		good   bool
	}{
		{good: true}, {report: outcomes(map[Outcome]int{OutcomeDone: 12}), good: true}, {report: outcomes(map[Outcome]int{OutcomeFailed: 12})},
		{err: listing(401)}, {err: listing(404)}, {err: listing(503)}, {err: directoryError(403, "E0000006")},
	}
	rapid.Check(t, func(rt *rapid.T) {
		var q *Quarantine
		now := noon
		for range rapid.IntRange(1, 20).Draw(rt, "cycles") {
			end := rapid.SampledFrom(ends).Draw(rt, "end")
			now = now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "minutes")) * time.Minute)
			var before Quarantine
			if q != nil {
				before = *q
			}
			after := q.After(end.report, end.err, now)
			switch {
			case q != nil && *q != before:
				rt.Fatalf("%+v became %+v", before, *q)
			case end.good && after != nil:
				rt.Fatalf("a good cycle leaves %+v", *after)
			case q != nil && !end.good && after == nil:
				rt.Fatal("a failure ends a quarantine")
			case after != nil && (!after.Next.After(now) || after.Next.Sub(now) > 24*time.Hour || after.Since.After(now) || after.Cause == ""):
				rt.Fatalf("at %s: %+v", now, *after)
			case q != nil && after != nil && !after.Since.Equal(q.Since):
				rt.Fatalf("began %s, then %s", q.Since, after.Since)
			}
			q = after
		}
	})
}

func TestTheFirstRunAfterAQuarantineTakesNothingAway(t *testing.T) {
	sick := func(w *world) *world {
		w.in.ledger.Quarantine = &Quarantine{Since: noon.Add(-9 * time.Hour), Cause: CauseCredentials, Reason: "401", Next: noon}
		return w
	}
	well := func(w *world) *world {
		w.in.ledger.Quarantine = nil
		return w
	}
	t.Run("and the next one does", func(t *testing.T) {
		w := sick(newWorld().synced(names("p", 10)...).leave("p00").synced("ann").change(func(u *connectors.User) { u.Title, u.FamilyName = "Boss", "Smith" }).
			group("oncall-a").rootlyGroup("oncall-a", "p01").linkedGroup("oncall-a", "p01"))
		p := w.mustPlan(t)
		if len(taken(p)) != 0 || len(p.Sets) != 0 || len(p.Held) != 2 {
			t.Errorf("plan: %q, sets %+v", lines(p), p.Sets)
		}
		if len(p.Objections) != 1 || p.Objections[0].Axis != AxisQuarantine || p.Objections[0].Count != 3 || !strings.Contains(p.Objections[0].Text, "credentials") {
			t.Errorf("objections: %+v", p.Objections)
		}
		if !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Verb == VerbUpdate }) {
			t.Errorf("what is given does not wait: %q", lines(p))
		}
		if p = well(w.nextRun(p)).mustPlan(t); len(taken(p)) != 2 || len(p.Held) != 0 {
			t.Errorf("the second good run: %q", lines(p))
		}
	})
	t.Run("and what is too much then waits for a yes", func(t *testing.T) {
		w := sick(fourOfTen())
		p := w.mustPlan(t)
		if goes, _ := deactivated(p); goes != "" || len(p.Sets) != 1 {
			t.Errorf("goes %q, sets %+v", goes, p.Sets)
		}
	})
	t.Run("an approval keeps", func(t *testing.T) {
		w := fourOfTen()
		set := w.mustPlan(t).Sets[0]
		set.Approved, set.By = noon.Add(-time.Hour), "Ada"
		w.in.ledger.Held = []HeldSet{set}
		p := sick(w).mustPlan(t)
		if goes, _ := deactivated(p); goes != "" || len(p.used) != 0 {
			t.Errorf("goes %q, used %v", goes, p.used)
		}
		if goes, _ := deactivated(well(w).mustPlan(t)); goes == "" {
			t.Error("the second good run does not use the yes")
		}
	})
	t.Run("a changed rule is not forgotten over it", func(t *testing.T) {
		w := sick(newWorld().synced(names("p", 10)...).rules(func(o *RuleOptions) { o.Where = `user.userName < "p09"` }))
		w.in.ledger.Rules, w.in.ledger.RuleTexts = "before", map[string]string{}
		p := well(w.nextRun(w.mustPlan(t))).mustPlan(t)
		if goes, held := deactivated(p); goes != "" {
			t.Errorf("goes %q, held %q: scope.where put them out, and nobody said yes", goes, held)
		}
	})
}

// A run whose read was short judges no loss. It must not count as the one that has seen the new rules, or the first one.
func TestAShortReadDoesNotUseUpFirstContactOrAChangedRule(t *testing.T) {
	for name, rules := range map[string]string{"first contact": "", "a changed rule": "before"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld().synced(names("p", 10)...).leave("p00").rules(func(o *RuleOptions) { o.Where = `user.userName != "p01@acme.com"` })
			w.in.ledger.Rules, w.in.ledger.RuleTexts = rules, nil
			w.in.findings = lookups(contradicted, "p00")
			w.nextRun(w.mustPlan(t))
			w.in.snapshot.Users[0].Status = connectors.StatusActive
			if goes, held := deactivated(w.mustPlan(t)); goes != "" {
				t.Errorf("goes %q, held %q: nobody said yes", goes, held)
			}
		})
	}
}
