package store

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func TestRelink(t *testing.T) {
	ctx, path := t.Context(), statePath(t)
	old := openAt(t, options(path))
	used := heldSet("0123456789", "00u7")
	must(t, old.Refresh(ctx, []reconcile.Link{ada, oncall}))
	cycle := hold(t, old, layoff, used)
	must(t, old.Keep(ctx, cycle, company(3)))
	must(t, old.Pin(ctx, []reconcile.Ref{{Kind: reconcile.KindUser, Source: "00u1"}}, cycle))
	must(t, old.Settle(ctx, reconcile.Settled{Intent: intend(t, old, cycle, change(reconcile.VerbUpdate, ada), ada), Outcome: reconcile.OutcomeFailed, Wait: &waiting}))
	open := intend(t, old, cycle, change(reconcile.VerbCreate, ben), ben)
	mustApprove(t, old, layoff.Fingerprint)
	mustApprove(t, old, used.Fingerprint)
	must(t, old.Finish(ctx, cycle, reconcile.CycleSummary{Rules: "r", RuleTexts: map[string]string{"a": "b"}, Used: []string{used.Fingerprint}}))

	o := options(path)
	o.Source, o.Target, o.AllowOther = "okta:new.okta.com", "https://eu.rootly.com/scim", true
	s := openAt(t, o)
	if s.Source() != "okta:acme.okta.com" || s.Target() != "https://rootly.com/scim" {
		t.Errorf("bound to %s and %s", s.Source(), s.Target())
	}
	if _, err := s.Begin(ctx, t0); err == nil || !strings.Contains(err.Error(), "adopt --relink") {
		t.Errorf("begin on another pair's store: %v", err)
	}
	if err := s.Adopt(ctx, t0, []reconcile.Link{ben}, nil, "alice"); err == nil || !strings.Contains(err.Error(), "adopt --relink") {
		t.Errorf("adopt on another pair's store: %v", err)
	}
	if err := s.Relink(ctx, o.Source, o.Target, "alice"); err == nil || !strings.Contains(err.Error(), "lock") {
		t.Errorf("relink without the lock: %v", err)
	}
	unlock, err := s.Lock(ctx)
	must(t, err)
	defer unlock()
	for name, err := range map[string]error{
		"nobody":    s.Relink(ctx, o.Source, o.Target, ""),
		"no target": s.Relink(ctx, o.Source, "", "alice"),
		"same pair": s.Relink(ctx, old.Source(), old.Target(), "alice"),
	} {
		if err == nil {
			t.Errorf("%s: relinked", name)
		}
	}
	if l := ledger(t, s); len(l.Users) != 1 || l.Rules != "r" {
		t.Fatalf("a refused relink left %+v", l)
	}

	must(t, s.Relink(ctx, o.Source, o.Target, "alice"))
	if s.Source() != o.Source || s.Target() != o.Target {
		t.Errorf("bound to %s and %s", s.Source(), s.Target())
	}
	if diff := cmp.Diff(reconcile.Ledger{}, ledger(t, s), entries); diff != "" {
		t.Errorf("ledger of a first contact (-want +got):\n%s", diff)
	}
	if snap, _, err := s.Previous(ctx); snap != nil || err != nil {
		t.Errorf("snapshot = %v, %v", snap, err)
	}
	if got := states(t, s); got != "0123456789 used" {
		t.Errorf("sets: %s", got)
	}
	cycles, err := s.Cycles(ctx, 0)
	must(t, err)
	if len(cycles) != 2 || cycles[0].Note != "relinked by alice: was okta:acme.okta.com and https://rootly.com/scim" || cycles[0].Finished.IsZero() {
		t.Errorf("cycles = %+v", cycles)
	}
	if e := changes(t, s, Filter{}); len(e) != 2 || e[0].ID != open || e[0].Outcome != OutcomeAbandoned {
		t.Errorf("history = %+v", e)
	}
	begin(t, s)
	if _, err := old.Begin(ctx, t0); err == nil || !strings.Contains(err.Error(), "belongs to directory okta:new.okta.com") {
		t.Errorf("a process that was left behind began a cycle: %v", err)
	}
	if _, err := Open(ctx, options(path)); err == nil {
		t.Error("opened for the old pair")
	}
}

// TestALedgerIsNotBegunTwiceForOneDirectoryAndTarget: a file that was renamed, or moved into a directory of pipelines, would
// begin with an empty ledger beside the one that knows who is managed.
func TestALedgerIsNotBegunTwiceForOneDirectoryAndTarget(t *testing.T) {
	tests := map[string]struct {
		first, second string
		peers         []string
		allow         bool
		want          string // of the error, "" for none
	}{
		"into a directory": {first: "", second: "acme", want: "as the pipeline default, and this one is acme (name the file default.yaml to go on with what is known"},
		"out of one":       {first: "acme", second: "", want: "as the pipeline acme, and this one is default (go on with --config-dir and --pipeline acme"},
		"renamed":          {first: "acme", second: "acme-corp", want: "name the file acme.yaml to go on"},
		"both at work":     {first: "acme", second: "acme-eu", peers: []string{"acme"}},
		"begun anew":       {first: "acme", second: "acme-eu", allow: true},
		"the same":         {first: "acme", second: "acme"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(statePath(t))
			o.Pipeline = tc.first
			openAt(t, o)
			o.Pipeline, o.AllowOther = tc.second, tc.allow
			o.AtWork = func(name string) bool { return slices.Contains(tc.peers, name) }
			s, err := Open(t.Context(), o)
			if err == nil {
				defer s.Close()
				if fresh := tc.first != tc.second; s.Fresh() != fresh {
					t.Errorf("fresh: %t, want %t", s.Fresh(), fresh)
				}
			}
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want one that says %q", err, tc.want)
			}
		})
	}
}
