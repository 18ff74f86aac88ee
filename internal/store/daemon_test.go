package store

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// daemonTests are the part of the contract that an unattended sync needs.
var daemonTests = map[string]func(ctx context.Context, t *testing.T, s contract, reopen func() contract){
	"a link remembers since when a person is gone, on call and contested": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
		l, g := ada, oncall
		l.Left, l.OnCall = t0.Add(-time.Hour), t0.Add(-time.Minute)
		l.Contested = map[string]reconcile.Contest{"displayName": {Value: "A. L.", Times: 2}}
		g.Contested = map[string]reconcile.Contest{"member r-1": {Times: 3}}
		must(t, s.Refresh(ctx, []reconcile.Link{l, g, ben}))
		got := ledger(t, reopen())
		for source, want := range map[string]reconcile.Link{"00u1": l, "00u2": ben} {
			if diff := cmp.Diff(want, got.Users[connectors.UserID(source)], entries); diff != "" {
				t.Errorf("link of %s (-want +got):\n%s", source, diff)
			}
		}
		if diff := cmp.Diff(g, got.Groups["00g1"], entries); diff != "" {
			t.Errorf("link of the group (-want +got):\n%s", diff)
		}
		must(t, s.Refresh(ctx, []reconcile.Link{ada}))
		if diff := cmp.Diff(ada, ledger(t, s).Users["00u1"], entries); diff != "" {
			t.Errorf("link of somebody who is back (-want +got):\n%s", diff)
		}
	},
	"a quarantine lasts until it is ended": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
		q := &reconcile.Quarantine{Since: t0, Reason: "target: 401 (put a new token into target.token)", Cause: "credentials", Next: t0.Add(24 * time.Hour)}
		must(t, s.Isolate(ctx, q))
		if diff := cmp.Diff(q, ledger(t, reopen()).Quarantine); diff != "" {
			t.Errorf("quarantine (-want +got):\n%s", diff)
		}
		must(t, s.Isolate(ctx, nil))
		if got := ledger(t, s).Quarantine; got != nil {
			t.Errorf("after its end: %+v", got)
		}
	},
	"what a part remembers is its own": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
		must(t, s.Remember(ctx, "notices", []byte("one")))
		must(t, s.Remember(ctx, "facts", []byte{0, 0xff, '\''}))
		must(t, s.Remember(ctx, "notices", []byte("two")))
		must(t, s.Remember(ctx, "gone", []byte("x")))
		must(t, s.Remember(ctx, "gone", nil))
		other := reopen()
		for key, want := range map[string]string{"notices": "two", "facts": "\x00\xff'", "gone": "", "never": ""} {
			data, err := other.Recall(ctx, key)
			if must(t, err); string(data) != want || (data == nil) != (want == "") {
				t.Errorf("%s = %q, want %q", key, data, want)
			}
		}
	},
	"a cycle that never began is in the history with its reason": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
		id, err := s.Fail(ctx, t0.Add(-time.Second), "read target: 503")
		must(t, err)
		cycles, err := reopen().Cycles(ctx, 0)
		must(t, err)
		want := []Cycle{{ID: id, Started: t0.Add(-time.Second), Finished: t0, Summary: reconcile.CycleSummary{Error: "read target: 503"}}}
		if diff := cmp.Diff(want, cycles); diff != "" {
			t.Errorf("cycles (-want +got):\n%s", diff)
		}
		if _, err := s.Fail(ctx, t0, ""); err == nil {
			t.Error("a failure without a reason was recorded")
		}
	},
	"cycles are found by time": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
		var ids []int64
		for day := range 3 {
			id, err := s.Fail(ctx, t0.AddDate(0, 0, day), "503")
			must(t, err)
			ids = append(ids, id)
		}
		for name, tc := range map[string]struct {
			filter Filter
			want   []int64
		}{
			"all, newest first": {Filter{}, []int64{ids[2], ids[1], ids[0]}},
			"since":             {Filter{Since: t0.AddDate(0, 0, 1)}, []int64{ids[2], ids[1]}},
			"until":             {Filter{Until: t0.AddDate(0, 0, 1)}, []int64{ids[0]}},
			"between, limited":  {Filter{Since: t0, Until: t0.AddDate(0, 0, 2), Limit: 1}, []int64{ids[1]}},
		} {
			cycles, err := s.CyclesDuring(ctx, tc.filter)
			must(t, err)
			var got []int64
			for _, c := range cycles {
				got = append(got, c.ID)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: cycles %v, want %v", name, got, tc.want)
			}
		}
	},
	"the last good cycle is one that looked at everything": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
		good := func(want time.Time) {
			t.Helper()
			if got, err := reopen().LastGood(ctx); err != nil || !got.Equal(want) {
				t.Errorf("last good cycle %v, %v, want %v", got, err, want)
			}
		}
		good(time.Time{})
		_, err := s.Fail(ctx, t0, "503")
		must(t, err)
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "r", Error: "401"}))
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Done: 1})) // of one person only
		must(t, s.Adopt(ctx, t0, []reconcile.Link{ada}, nil, "root"))
		begin(t, s)
		good(time.Time{})
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "r"}))
		good(t0)
	},
	"an object in escrow is retried or dropped by id or name": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
		wait := func(l reconcile.Link, name string) reconcile.Waiting {
			w := reconcile.Waiting{Kind: l.Kind, Source: l.Source, Name: name, Verb: reconcile.VerbUpdate, Attempts: 3, Next: t0.Add(time.Hour), Reason: "400"}
			intent := intend(t, s, begin(t, s), change(w.Verb, l), l)
			must(t, s.Settle(ctx, reconcile.Settled{Intent: intent, Outcome: reconcile.OutcomeFailed, Wait: &w}))
			return w
		}
		if err := s.Retry(ctx, reconcile.Ref{Name: "ada"}); err == nil || !strings.Contains(err.Error(), "nothing else is") {
			t.Errorf("retry with an empty escrow: %v", err)
		}
		a, g := wait(ada, "ops"), wait(oncall, "Ops")
		for ref, want := range map[reconcile.Ref]string{
			{Name: "eve"}: "these are: group Ops (00g1), user ops (00u1)",
			{Name: "ops"}: "may be any of group Ops (00g1), user ops (00u1)",
			{Kind: reconcile.KindGroup, Source: "00u1"}: "not waiting",
			{}: "not waiting",
		} {
			for step, f := range map[string]func(context.Context, reconcile.Ref) error{"retry": s.Retry, "drop": s.Drop} {
				if err := f(ctx, ref); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s %+v: %v, want %q", step, ref, err, want)
				}
			}
		}
		must(t, s.Retry(ctx, reconcile.Ref{Kind: reconcile.KindUser, Name: "OPS"}))
		a.Next = t0
		if diff := cmp.Diff([]reconcile.Waiting{a, g}, ledger(t, reopen()).Waiting); diff != "" {
			t.Errorf("after retry (-want +got):\n%s", diff)
		}
		must(t, s.Drop(ctx, reconcile.Ref{Source: "00u1"}))
		must(t, s.Drop(ctx, reconcile.Ref{Name: "00g1"}))
		if left := ledger(t, reopen()).Waiting; len(left) != 0 {
			t.Errorf("after drop: %+v", left)
		}
	},
}
