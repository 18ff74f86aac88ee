package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/notify"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func TestEveryFactOfACycleIsTold(t *testing.T) {
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	plan := func(edit func(*reconcile.Plan)) daemon.Ended {
		e := daemon.Ended{Report: reconcile.Report{Plan: reconcile.Plan{At: at}}}
		edit(&e.Report.Plan)
		return e
	}
	told := func(edit func(*notify.Facts)) notify.Facts {
		f := notify.Facts{Planned: true}
		edit(&f)
		return f
	}
	set := reconcile.HeldSet{Fingerprint: "abc", Axis: reconcile.AxisDeactivations, Reason: "9 of 20"}
	short := reconcile.Objection{Axis: reconcile.AxisShortRead, Count: 2, Text: "contradicts itself", Remedy: "look there"}
	hold := reconcile.OnCallHold{Object: reconcile.Ref{Source: "u1", Name: "ann@acme.example"}, Schedule: "Payments", Until: at.Add(time.Hour)}
	leaver := notify.Leaver{ID: "u1", UserName: "ann@acme.example", Schedule: "Payments", Until: at.Add(time.Hour)}
	quarantine := &reconcile.Quarantine{Since: at, Cause: "endpoint"}
	refusedBy := func(status int) error {
		return fmt.Errorf("apply: %w", &scimclient.Error{Op: "create user", Status: status})
	}
	tests := map[string]struct {
		ended daemon.Ended
		want  notify.Facts
	}{
		"a cycle without a plan": {daemon.Ended{Err: errors.New("fetch okta: no answer"), Quarantine: quarantine, LastGood: at, Next: at.Add(time.Hour), Reload: "mode is wrong"},
			notify.Facts{Error: "fetch okta: no answer", Quarantine: quarantine, LastGood: at, NextApproval: at.Add(time.Hour), Reload: "mode is wrong"}},
		"who is managed": {plan(func(p *reconcile.Plan) { p.Counts.Managed = 20 }), told(func(f *notify.Facts) { f.Managed = 20 })},
		"what waits for a yes": {plan(func(p *reconcile.Plan) { p.Sets = []reconcile.HeldSet{set} }),
			told(func(f *notify.Facts) { f.Held = []reconcile.HeldSet{set} })},
		"what nobody can say yes to": {plan(func(p *reconcile.Plan) { p.Objections = []reconcile.Objection{short} }),
			told(func(f *notify.Facts) { f.Objections = []reconcile.Objection{short} })},
		"who is on call, once": {plan(func(p *reconcile.Plan) {
			p.OnCall = &reconcile.OnCall{Held: []reconcile.OnCallHold{hold}}
			p.Sets = []reconcile.HeldSet{{Fingerprint: "def", Axis: reconcile.AxisOnCall}}
			p.Objections = []reconcile.Objection{{Axis: reconcile.AxisOnCall, Text: "on call now"}}
		}), told(func(f *notify.Facts) { f.OnCall = []notify.Leaver{leaver} })},
		"who is held no longer": {plan(func(p *reconcile.Plan) { p.OnCall = &reconcile.OnCall{Released: []reconcile.OnCallHold{hold}} }),
			told(func(f *notify.Facts) { f.Released = []notify.Leaver{leaver} })},
		"an API key that is refused": {plan(func(p *reconcile.Plan) { p.OnCall = &reconcile.OnCall{Error: "401", Refused: true} }),
			told(func(f *notify.Facts) { f.APIKeyError = "401" })},
		"an API that does not answer": {plan(func(p *reconcile.Plan) { p.OnCall = &reconcile.OnCall{Error: "no answer"} }), told(func(*notify.Facts) {})},
		"a token that Rootly refuses": {daemon.Ended{Err: refusedBy(http.StatusUnauthorized)},
			notify.Facts{Error: refusedBy(401).Error(), Refusals: []notify.Refusal{{Side: "Rootly", Error: errors.Unwrap(refusedBy(401)).Error()}}}},
		"a Rootly in trouble": {daemon.Ended{Err: refusedBy(http.StatusServiceUnavailable)}, notify.Facts{Error: refusedBy(503).Error()}},
		"credentials that the directory refuses": {daemon.Ended{Err: &connectors.Error{Directory: "okta", Status: 401, Step: "listing people"}},
			notify.Facts{Error: (&connectors.Error{Directory: "okta", Status: 401, Step: "listing people"}).Error(),
				Refusals: []notify.Refusal{{Side: "okta:acme", Error: (&connectors.Error{Directory: "okta", Status: 401, Step: "listing people"}).Error()}}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, factsOf(tc.ended, "okta:acme")); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnotherWriterIsTold: the count of turned back values is the engine's own.
func TestAnotherWriterIsTold(t *testing.T) {
	p := newPlant(t, newFileDisk(t), sixty, 4)
	p.good()
	victim := p.sim.SCIM.Users()[0]
	var facts notify.Facts
	for range 5 {
		p.must(p.sim.SCIM.EditUser(victim.ID, func(u *sim.SCIMUser) { u.DisplayName = "By Another" }))
		facts = factsOf(daemon.Ended{Report: p.good()}, "okta")
	}
	if len(facts.Writers) != 1 || facts.Writers[0].Object.Name != victim.UserName || !strings.Contains(facts.Writers[0].What, "displayName") || facts.Writers[0].Times < 3 {
		t.Errorf("told of %+v, want displayName of %s", facts.Writers, victim.UserName)
	}
}
