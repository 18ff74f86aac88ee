package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func heldSet(fingerprint string, people ...string) reconcile.HeldSet {
	set := reconcile.HeldSet{Fingerprint: fingerprint, Axis: reconcile.AxisDeactivations, Reason: "40 of 100 people would be deactivated", Created: t0}
	for _, p := range people {
		set.Items = append(set.Items, reconcile.HeldItem{Key: "deactivate user " + p, Name: p + "@acme.com"})
	}
	return set
}

func approved(set reconcile.HeldSet, by string, at time.Time) reconcile.HeldSet {
	set.Approved, set.By = at, by
	return set
}

var (
	layoff  = heldSet("a1b2c3d4e5", "00u1", "00u2")
	cleanup = heldSet("a1b2c3ffff", "00u3")
)

func hold(t fataler, s contract, sets ...reconcile.HeldSet) int64 {
	t.Helper()
	cycle := begin(t, s)
	must(t, s.Hold(context.Background(), cycle, sets))
	return cycle
}

func wantHeld(t *testing.T, s contract, want ...reconcile.HeldSet) {
	t.Helper()
	if diff := cmp.Diff(want, ledger(t, s).Held, entries); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

func states(t fataler, s contract) string {
	t.Helper()
	records, err := s.HeldSets(context.Background())
	must(t, err)
	var out []string
	for _, r := range records {
		out = append(out, r.Fingerprint+" "+string(r.State))
	}
	return strings.Join(out, ", ")
}

func mustApprove(t fataler, s contract, prefix string) {
	t.Helper()
	_, err := s.Approve(context.Background(), prefix, "alice")
	must(t, err)
}

// trustTests prove how sets are held and approved, what is remembered, adopted and pinned. They may move the clock; open
// opens the store once more.
var trustTests = map[string]func(ctx context.Context, t *testing.T, at *time.Time, open func() contract){
	"the sets that wait are those of the last cycle": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		hold(t, s, layoff, cleanup)
		wantHeld(t, open(), layoff, cleanup)
		hold(t, s, cleanup)
		wantHeld(t, open(), cleanup)
		hold(t, s)
		wantHeld(t, open())
	},
	"a set on record does not change": func(ctx context.Context, t *testing.T, at *time.Time, open func() contract) {
		s := open()
		hold(t, s, layoff)
		*at = t0.Add(time.Hour)
		edited := heldSet(layoff.Fingerprint, "00u9")
		edited.Axis, edited.Reason, edited.Created, edited.Approved, edited.By = reconcile.AxisGroups, "another", *at, *at, "eve"
		hold(t, s, edited)
		wantHeld(t, s, layoff)
	},
	"a set comes without an approval and with a time": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		set := approved(layoff, "eve", t0)
		set.Created = time.Time{}
		hold(t, s, set)
		wantHeld(t, s, layoff)
		if err := s.Hold(ctx, begin(t, s), []reconcile.HeldSet{{}}); err == nil {
			t.Error("a set without fingerprint was recorded")
		}
		done := begin(t, s)
		must(t, s.Finish(ctx, done, reconcile.CycleSummary{}))
		if err := s.Hold(ctx, done, nil); err == nil {
			t.Error("a finished cycle recorded sets")
		}
	},
	"an approval is for one set, says who and when, and outlives a cycle that does not name the set": func(ctx context.Context, t *testing.T, at *time.Time, open func() contract) {
		s := open()
		hold(t, s, layoff, cleanup)
		*at = t0.Add(time.Hour)
		got, err := open().Approve(ctx, "a1b2c3d", " alice ")
		must(t, err)
		want := approved(layoff, "alice", *at)
		if diff := cmp.Diff(want, got, entries); diff != "" {
			t.Errorf("approved (-want +got):\n%s", diff)
		}
		wantHeld(t, s, want, cleanup)
		hold(t, s)
		wantHeld(t, s, want)
	},
	"an approval is good for one use": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		hold(t, s, layoff, cleanup)
		mustApprove(t, s, layoff.Fingerprint)
		cycle := begin(t, s)
		must(t, s.Finish(ctx, cycle, reconcile.CycleSummary{Used: []string{layoff.Fingerprint, cleanup.Fingerprint, "never seen"}, Error: "stopped"}))
		wantHeld(t, s, cleanup)
		if got, want := states(t, s), "a1b2c3ffff waiting, a1b2c3d4e5 used"; got != want {
			t.Errorf("sets: %s, want %s", got, want)
		}
		records, err := s.HeldSets(ctx)
		must(t, err)
		if r := records[1]; r.UsedIn != cycle || r.Used != t0 || r.By != "alice" {
			t.Errorf("used: %+v", r)
		}

		hold(t, s, layoff) // the same people, planned once more
		wantHeld(t, s, layoff)
		if got, want := states(t, s), "a1b2c3d4e5 waiting, a1b2c3d4e5 used"; got != want {
			t.Errorf("sets: %s, want %s", got, want)
		}
		mustApprove(t, s, layoff.Fingerprint)
	},
	"an approval that was not used in a day is none": func(ctx context.Context, t *testing.T, at *time.Time, open func() contract) {
		s := open()
		hold(t, s, layoff)
		mustApprove(t, s, layoff.Fingerprint)
		*at = t0.Add(reconcile.ApprovalLife)
		wantHeld(t, s, approved(layoff, "alice", t0))
		*at = at.Add(time.Second)
		wantHeld(t, s, layoff)
		if got, want := states(t, s), "a1b2c3d4e5 lapsed"; got != want {
			t.Errorf("sets: %s, want %s", got, want)
		}
		hold(t, s, layoff)
		got, err := s.Approve(ctx, layoff.Fingerprint, "bob")
		must(t, err)
		wantHeld(t, s, got)
		if want := approved(layoff, "bob", *at); !cmp.Equal(want, got, entries) {
			t.Errorf("approved: %+v", got)
		}
		*at = at.Add(25 * time.Hour)
		hold(t, s)
		wantHeld(t, s)
	},
	"what cannot be approved says why and what to do": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		used := heldSet("0123456789", "00u7")
		hold(t, s, layoff, cleanup, used)
		mustApprove(t, s, used.Fingerprint)
		cycle := begin(t, s)
		must(t, s.Finish(ctx, cycle, reconcile.CycleSummary{Used: []string{used.Fingerprint}}))
		mustApprove(t, s, layoff.Fingerprint)
		for name, tc := range map[string]struct {
			prefix, by string
			want       []string
		}{
			"nobody":    {cleanup.Fingerprint, " ", []string{"nobody is named", "--by"}},
			"too short": {"a1b2c", "alice", []string{"too short", "6 characters"}},
			"unknown":   {"ffffff", "alice", []string{"no held set", "recorded by the next sync", "`status` lists the sets"}},
			"wildcards": {"%%%%%%", "alice", []string{"no held set"}},
			"ambiguous": {"a1b2c3", "alice", []string{"ambiguous", layoff.Fingerprint, cleanup.Fingerprint, "more of it"}},
			"approved":  {"a1b2c3d", "bob", []string{"approved by alice at 2026-05-04T09:00:00Z", "next sync", "until 2026-05-05T09:00:00Z"}},
			"used":      {"012345", "bob", []string{"approved by alice", fmt.Sprint("carried out in cycle ", cycle), "good once"}},
		} {
			_, err := s.Approve(ctx, tc.prefix, tc.by)
			if err == nil {
				t.Errorf("%s: approved", name)
				continue
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: error %q does not say %q", name, err, part)
				}
			}
		}
		wantHeld(t, s, approved(layoff, "alice", t0), cleanup)
	},
	"used sets are kept until retention": func(ctx context.Context, t *testing.T, at *time.Time, open func() contract) {
		s := open()
		hold(t, s, layoff, cleanup)
		mustApprove(t, s, layoff.Fingerprint)
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Used: []string{layoff.Fingerprint}}))
		*at = t0.Add(399 * 24 * time.Hour)
		must(t, s.Prune(ctx, 0))
		if got, want := states(t, s), "a1b2c3ffff waiting, a1b2c3d4e5 used"; got != want {
			t.Errorf("sets: %s, want %s", got, want)
		}
		*at = t0.Add(401 * 24 * time.Hour)
		must(t, s.Prune(ctx, 0))
		if got, want := states(t, s), "a1b2c3ffff waiting"; got != want {
			t.Errorf("sets: %s, want %s", got, want)
		}
	},
	"what was done in the last day is spent, whatever became of its cycle": func(ctx context.Context, t *testing.T, at *time.Time, open func() contract) {
		s := open()
		cycle := begin(t, s)
		spend := func(outcome reconcile.Outcome, spends map[reconcile.Axis]int) int64 {
			c := change(reconcile.VerbDeactivate, ada)
			c.Spends = spends
			id := intend(t, s, cycle, c, ada)
			if outcome != "" {
				must(t, s.Settle(ctx, reconcile.Settled{Intent: id, Outcome: outcome}))
			}
			return id
		}
		one := map[reconcile.Axis]int{reconcile.AxisDeactivations: 1}
		spend(reconcile.OutcomeDone, one)
		spend(reconcile.OutcomeDone, map[reconcile.Axis]int{reconcile.AxisMemberships: 7, reconcile.AxisGroups: 1})
		spend(reconcile.OutcomeDone, nil)
		spend(reconcile.OutcomeFailed, one)
		spend(reconcile.OutcomeSkipped, one)
		unknown := spend(reconcile.OutcomeUnknown, one)
		spend("", one)
		*at = t0.Add(time.Hour)
		spend(reconcile.OutcomeDone, one)
		want := map[reconcile.Axis]int{reconcile.AxisDeactivations: 2, reconcile.AxisMemberships: 7, reconcile.AxisGroups: 1}
		s = open()
		l := ledger(t, s)
		if diff := cmp.Diff(want, l.Spent, entries); diff != "" {
			t.Errorf("spent (-want +got):\n%s", diff)
		}
		if !cmp.Equal(l.Open[0].Change.Spends, one) {
			t.Errorf("an open change lost what it spends: %+v", l.Open[0].Change)
		}
		must(t, s.Finish(ctx, cycle, reconcile.CycleSummary{Error: "stopped"}))
		must(t, s.Resolve(ctx, []reconcile.Resolution{{Intent: unknown, Outcome: reconcile.OutcomeDone}}))
		*at = t0.Add(24 * time.Hour)
		want = map[reconcile.Axis]int{reconcile.AxisDeactivations: 2} // an hour old when they were settled
		if diff := cmp.Diff(want, ledger(t, s).Spent, entries); diff != "" {
			t.Errorf("spent a day later (-want +got):\n%s", diff)
		}
		*at = t0.Add(25 * time.Hour)
		if got := ledger(t, s).Spent; len(got) != 0 {
			t.Errorf("spent after the window: %v", got)
		}
	},
	"the texts of the rules come with their hash": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		first := map[string]string{"scope.where": `user.department == "SRE"`, "map.phone": ""}
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "one", RuleTexts: first}))
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "two", RuleTexts: map[string]string{"scope.where": ""}, Error: "401"}))
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{}))
		if l := ledger(t, open()); l.Rules != "one" || !cmp.Equal(l.RuleTexts, first) {
			t.Errorf("rules %q: %v", l.Rules, l.RuleTexts)
		}
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "three"}))
		if l := ledger(t, s); l.Rules != "three" || len(l.RuleTexts) != 0 {
			t.Errorf("rules %q: %v", l.Rules, l.RuleTexts)
		}
	},
	"the last good snapshot comes back as it was": func(ctx context.Context, t *testing.T, at *time.Time, open func() contract) {
		s := open()
		if snap, taken, err := s.Previous(ctx); snap != nil || !taken.IsZero() || err != nil {
			t.Errorf("a new store has a snapshot: %v, %v, %v", snap, taken, err)
		}
		cycle := begin(t, s)
		must(t, s.Keep(ctx, cycle, connectors.Snapshot{Users: []connectors.User{{ID: "old"}}}))
		*at = t0.Add(40 * time.Minute)
		must(t, s.Keep(ctx, cycle, company(50)))
		must(t, s.Finish(ctx, cycle, reconcile.CycleSummary{}))
		*at = t0.Add(time.Hour)
		if err := s.Keep(ctx, cycle, connectors.Snapshot{}); err == nil {
			t.Error("a finished cycle kept a snapshot")
		}
		snap, taken, err := open().Previous(ctx)
		must(t, err)
		if diff := cmp.Diff(company(50), *snap, entries); diff != "" || taken != t0.Add(40*time.Minute) {
			t.Errorf("taken %s; snapshot (-want +got):\n%s", taken, diff)
		}
	},
	"what was adopted is linked and says by whom": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "r"}))
		must(t, s.Refresh(ctx, []reconcile.Link{ada, ben}))
		moved := reconcile.Link{Kind: reconcile.KindUser, Source: "00u9", Target: ada.Target, User: ada.User}
		must(t, s.Adopt(ctx, t0, []reconcile.Link{moved, oncall}, []reconcile.Ref{{Kind: reconcile.KindUser, Source: ada.Source, Name: "ada@acme.com"}, {Kind: reconcile.KindUser, Target: ben.Target}}, "alice"))
		l := ledger(t, open())
		want := reconcile.Ledger{Users: map[connectors.UserID]reconcile.Link{"00u9": moved}, Groups: map[connectors.GroupID]reconcile.Link{"00g1": oncall}, Rules: "r"}
		if diff := cmp.Diff(want, l, entries); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		cycles, err := s.Cycles(ctx, 1)
		must(t, err)
		if c := cycles[0]; c.Note != "adopted by alice" || c.Finished.IsZero() || c.Summary.Done != 4 || c.Summary.Planned != 4 {
			t.Errorf("cycle %+v", c)
		}
		got, err := s.CycleChanges(ctx, cycles[0].ID)
		must(t, err)
		var lines []string
		for _, e := range got {
			o := e.Change.Object
			lines = append(lines, fmt.Sprint(e.Change.Verb, " ", o.Source, " ", o.Target, " ", o.Name, " ", e.Change.Why, " ", e.Change.Detail, " ", e.Outcome))
		}
		wantLines := []string{
			"unlink 00u1 r-1 ada@acme.com adopted by alice done", "unlink 00u2 r-2  adopted by alice done",
			"link 00u9 r-1 ada@acme.com adopted by alice done", "link 00g1 g-1 oncall adopted by alice done",
		}
		if diff := cmp.Diff(wantLines, lines); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	},
	"an adoption happens as a whole or not at all": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		must(t, s.Refresh(ctx, []reconcile.Link{ada}))
		twin := ben
		twin.Target = ada.Target
		for name, tc := range map[string]struct {
			links  []reconcile.Link
			unlink []reconcile.Ref
			by     string
			want   string
		}{
			"nobody":            {links: []reconcile.Link{ben}, want: "--by"},
			"two for one":       {links: []reconcile.Link{oncall, twin}, by: "alice", want: "stands for 00u1 already"},
			"no such link":      {links: []reconcile.Link{ben}, unlink: []reconcile.Ref{{Kind: reconcile.KindUser, Source: "00u7"}}, by: "alice", want: "00u7 is not linked"},
			"linked otherwise":  {unlink: []reconcile.Ref{{Kind: reconcile.KindUser, Source: ada.Source, Target: "r-9"}}, by: "alice", want: "not linked"},
			"a link without id": {unlink: []reconcile.Ref{{Kind: reconcile.KindUser, Name: "ada"}}, by: "alice", want: "no id"},
		} {
			if err := s.Adopt(ctx, t0, tc.links, tc.unlink, tc.by); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		must(t, s.Adopt(ctx, t0, nil, nil, "alice"))
		cycles, err := s.Cycles(ctx, 0)
		must(t, err)
		if l := ledger(t, s); len(l.Users) != 1 || len(l.Groups) != 0 || len(l.Open) != 0 || len(cycles) != 0 || len(changes(t, s, Filter{})) != 0 {
			t.Errorf("something of it stayed: %+v, %+v", l, cycles)
		}
	},
	"what is pinned stays so until it is unpinned": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		refs := []reconcile.Ref{{Kind: reconcile.KindUser, Source: "00u1", Target: "r-1", Name: "ada@acme.com"},
			{Kind: reconcile.KindUser, Source: "00u2", Target: "r-2", Name: "ben@acme.com"}, {Kind: reconcile.KindGroup, Source: "00g1", Target: "g-1", Name: "oncall"}}
		must(t, s.Pin(ctx, refs, 7))
		must(t, s.Pin(ctx, refs[:1], 8))
		if err := s.Pin(ctx, []reconcile.Ref{refs[2], {Kind: reconcile.KindUser, Name: "eve"}}, 9); err == nil || !strings.Contains(err.Error(), "user eve has no directory id") {
			t.Errorf("err = %v", err)
		}
		got, err := open().Pins(ctx)
		must(t, err)
		want := []Pinned{{refs[2], 7, t0}, {refs[0], 8, t0}, {refs[1], 7, t0}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pins (-want +got):\n%s", diff)
		}
		for _, tc := range []struct {
			who  string
			n    int
			left string
		}{{"eve", 0, "00g1 00u1 00u2"}, {"ADA@acme.com", 1, "00g1 00u2"}, {"r-2", 1, "00g1"}, {"", 1, ""}, {"", 0, ""}} {
			n, err := s.Unpin(ctx, tc.who)
			must(t, err)
			var left []string
			for id := range ledger(t, s).Pinned {
				left = append(left, id)
			}
			slices.Sort(left)
			if n != tc.n || strings.Join(left, " ") != tc.left {
				t.Errorf("unpin %q: %d gone, %v left", tc.who, n, left)
			}
		}
	},
	"a cycle's changes come all, in order, with the ids that were given": func(ctx context.Context, t *testing.T, _ *time.Time, open func() contract) {
		s := open()
		other := begin(t, s)
		intend(t, s, other, change(reconcile.VerbUpdate, ben), ben)
		cycle := begin(t, s)
		create := change(reconcile.VerbCreate, ada)
		create.Object.Target = ""
		id := intend(t, s, cycle, create, ada)
		must(t, s.Settle(ctx, reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone, Link: &ada}))
		must(t, s.Link(ctx, cycle, slices.Repeat([]reconcile.Change{change(reconcile.VerbAdd, oncall)}, 150), nil))
		got, err := s.CycleChanges(ctx, cycle)
		must(t, err)
		if len(got) != 151 || !slices.IsSortedFunc(got, func(a, b Entry) int { return int(a.ID - b.ID) }) {
			t.Fatalf("%d changes, want 151 in order", len(got))
		}
		if diff := cmp.Diff(change(reconcile.VerbCreate, ada), got[0].Change, entries); diff != "" || got[0].Outcome != reconcile.OutcomeDone {
			t.Errorf("outcome %s; created (-want +got):\n%s", got[0].Outcome, diff)
		}
		if diff := cmp.Diff(change(reconcile.VerbAdd, oncall), got[150].Change, entries); diff != "" {
			t.Errorf("added (-want +got):\n%s", diff)
		}
		if list, err := s.CycleChanges(ctx, begin(t, s)); len(list) != 0 || err != nil {
			t.Errorf("an empty cycle: %v, %v", list, err)
		}
		if _, err := s.CycleChanges(ctx, 1<<40); err == nil || !strings.Contains(err.Error(), "history") {
			t.Errorf("err = %v", err)
		}
	},
}
