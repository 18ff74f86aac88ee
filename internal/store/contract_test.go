package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// contract is what every store promises, whatever database it is on.
type contract interface {
	reconcile.Journal
	Ledger(ctx context.Context) (reconcile.Ledger, error)
	Previous(ctx context.Context) (*connectors.Snapshot, time.Time, error)
	Approve(ctx context.Context, prefix, by string) (reconcile.HeldSet, error)
	HeldSets(ctx context.Context) ([]HeldRecord, error)
	Adopt(ctx context.Context, cycleAt time.Time, links []reconcile.Link, unlink []reconcile.Ref, by string) error
	Pin(ctx context.Context, refs []reconcile.Ref, cycle int64) error
	Unpin(ctx context.Context, who string) (n int, err error)
	Pins(ctx context.Context) ([]Pinned, error)
	Cycles(ctx context.Context, limit int) ([]Cycle, error)
	CyclesDuring(ctx context.Context, f Filter) ([]Cycle, error)
	Changes(ctx context.Context, f Filter) ([]Entry, error)
	CycleChanges(ctx context.Context, cycle int64) ([]Entry, error)
	Escrow(ctx context.Context) ([]reconcile.Waiting, error)
	Retry(ctx context.Context, ref reconcile.Ref) error
	Drop(ctx context.Context, ref reconcile.Ref) error
	Recall(ctx context.Context, key string) ([]byte, error)
	Remember(ctx context.Context, key string, data []byte) error
	Isolate(ctx context.Context, q *reconcile.Quarantine) error
	Fail(ctx context.Context, at time.Time, reason string) (cycle int64, err error)
	LastGood(ctx context.Context) (time.Time, error)
	Links(ctx context.Context) (users, groups int, err error)
	Prune(ctx context.Context, keep time.Duration) error
	Lock(ctx context.Context) (unlock func(), err error)
	Close() error
}

// A place is where one store is: every call opens it once more, as another process would. The test ends them.
type place func(t testing.TB, now func() time.Time) contract

var (
	t0  = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	ada = reconcile.Link{Kind: reconcile.KindUser, Source: "00u1", Target: "r-1", User: &reconcile.UserValues{
		UserName: "ada@acme.com", DisplayName: "Ada", Phones: []connectors.Phone{{Type: "work", Value: "+14155550100"}}, Active: true}}
	ben     = reconcile.Link{Kind: reconcile.KindUser, Source: "00u2", Target: "r-2", User: &reconcile.UserValues{UserName: "ben@acme.com"}}
	oncall  = reconcile.Link{Kind: reconcile.KindGroup, Source: "00g1", Target: "g-1", Group: &reconcile.GroupValues{DisplayName: "oncall", ExternalID: "00g1", Members: []string{"r-1", "r-2"}}}
	waiting = reconcile.Waiting{Kind: reconcile.KindUser, Source: "00u1", Name: "ada@acme.com", Verb: reconcile.VerbUpdate, Attempts: 2, Next: t0.Add(time.Hour), Reason: "400 Bad Request"}
)

func change(v reconcile.Verb, l reconcile.Link) reconcile.Change {
	c := reconcile.Change{Verb: v, Object: reconcile.Ref{Kind: l.Kind, Source: l.Source, Target: l.Target}, Why: reconcile.WhyDirectory, Detail: "by userName"}
	if l.User != nil {
		c.Object.Name = l.User.UserName
		c.Fields = []reconcile.Field{{Name: "displayName", From: "A.", To: l.User.DisplayName, Why: reconcile.WhyDirectory}}
	} else {
		c.Object.Name = l.Group.DisplayName
		c.Members = []reconcile.Membership{{User: reconcile.Ref{Kind: reconcile.KindUser, Source: "00u1", Target: "r-1", Name: "ada@acme.com"}, Why: reconcile.WhyJoined}}
	}
	return c
}

var entries = cmp.Options{cmpopts.IgnoreUnexported(reconcile.Change{}), cmpopts.EquateEmpty()}

// suite proves the contract at fresh places.
func suite(t *testing.T, fresh func(t testing.TB) place) {
	now := func() time.Time { return t0 }
	tests := map[string]func(ctx context.Context, t *testing.T, s contract, reopen func() contract){
		"a new store knows nobody": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			l := ledger(t, s)
			if len(l.Users)+len(l.Groups)+len(l.Waiting)+len(l.Open) != 0 || l.Rules != "" {
				t.Errorf("ledger = %+v", l)
			}
		},
		"an intent without outcome is open after a crash, with what it leads to": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
			cycle := begin(t, s)
			user, group := change(reconcile.VerbCreate, ada), change(reconcile.VerbAdd, oncall)
			u := intend(t, s, cycle, user, ada)
			g := intend(t, s, cycle, group, oncall)
			want := []reconcile.Intent{{ID: u, Cycle: cycle, Change: user, User: ada.User}, {ID: g, Cycle: cycle, Change: group, Group: oncall.Group}}
			if diff := cmp.Diff(want, ledger(t, reopen()).Open, entries); diff != "" {
				t.Errorf("open (-want +got):\n%s", diff)
			}
		},
		"settling puts the link, closes the intent and ends the escrow": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
			cycle := begin(t, s)
			must(t, s.Settle(ctx, reconcile.Settled{Intent: intend(t, s, cycle, change(reconcile.VerbUpdate, ada), ada), Outcome: reconcile.OutcomeFailed, Error: "400", Wait: &waiting}))
			if diff := cmp.Diff([]reconcile.Waiting{waiting}, ledger(t, reopen()).Waiting); diff != "" {
				t.Errorf("waiting (-want +got):\n%s", diff)
			}
			linked := ada
			linked.Stuck = map[string]reconcile.Stuck{"displayName": {Value: "Ada", Tries: 2}}
			must(t, s.Settle(ctx, reconcile.Settled{Intent: intend(t, s, cycle, change(reconcile.VerbUpdate, ada), ada), Outcome: reconcile.OutcomeDone, Link: &linked}))
			must(t, s.Settle(ctx, reconcile.Settled{Intent: intend(t, s, cycle, change(reconcile.VerbAdd, oncall), oncall), Outcome: reconcile.OutcomeNotKept, Link: &oncall}))
			l := ledger(t, reopen())
			want := reconcile.Ledger{Users: map[connectors.UserID]reconcile.Link{"00u1": linked}, Groups: map[connectors.GroupID]reconcile.Link{"00g1": oncall}}
			if diff := cmp.Diff(want, l, entries); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		},
		"a deleted object is unlinked and leaves escrow": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			cycle := begin(t, s)
			must(t, s.Refresh(ctx, []reconcile.Link{ada, ben}))
			must(t, s.Settle(ctx, reconcile.Settled{Intent: intend(t, s, cycle, change(reconcile.VerbDelete, ada), ada), Outcome: reconcile.OutcomeFailed, Wait: &waiting}))
			ref := reconcile.Ref{Kind: reconcile.KindUser, Source: "00u1", Target: "r-1"}
			must(t, s.Settle(ctx, reconcile.Settled{Intent: intend(t, s, cycle, change(reconcile.VerbDelete, ada), ada), Outcome: reconcile.OutcomeDone, Unlink: &ref}))
			want := reconcile.Ledger{Users: map[connectors.UserID]reconcile.Link{"00u2": ben}}
			if diff := cmp.Diff(want, ledger(t, s), entries); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
		},
		"an unknown outcome stays open until it is resolved, any other is final": func(ctx context.Context, t *testing.T, s contract, reopen func() contract) {
			cycle := begin(t, s)
			id := intend(t, s, cycle, change(reconcile.VerbCreate, ada), ada)
			must(t, s.Settle(ctx, reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeUnknown, Error: "timeout"}))
			open := ledger(t, reopen()).Open
			if len(open) != 1 || open[0].ID != id || !cmp.Equal(open[0].User, ada.User) {
				t.Errorf("open = %+v", open)
			}
			must(t, s.Resolve(ctx, []reconcile.Resolution{{Intent: id, Outcome: reconcile.OutcomeDone, Link: &ada}}))
			l := ledger(t, s)
			if len(l.Open) != 0 || !cmp.Equal(l.Users["00u1"], ada) {
				t.Errorf("ledger = %+v", l)
			}
			if err := s.Settle(ctx, reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeFailed}); err == nil {
				t.Error("a settled intent was settled again")
			}
		},
		"resolving, refreshing and linking happen as a whole or not at all": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			cycle := begin(t, s)
			id := intend(t, s, cycle, change(reconcile.VerbCreate, ada), ada)
			twin := ben
			twin.Target = ada.Target
			for step, err := range map[string]error{
				"resolve": s.Resolve(ctx, []reconcile.Resolution{{Intent: id, Outcome: reconcile.OutcomeDone, Link: &ada}, {Intent: id + 1, Outcome: reconcile.OutcomeDone}}),
				"refresh": s.Refresh(ctx, []reconcile.Link{ada, twin}),
				"link":    s.Link(ctx, cycle, []reconcile.Change{change(reconcile.VerbLink, ada)}, []reconcile.Link{ada, twin}),
			} {
				if err == nil {
					t.Errorf("%s: no error", step)
				}
			}
			l := ledger(t, s)
			if len(l.Users) != 0 || len(l.Open) != 1 || len(changes(t, s, Filter{})) != 1 {
				t.Errorf("something of it stayed: %+v", l)
			}
		},
		"objects taken over are linked and in the history": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			cycle := begin(t, s)
			must(t, s.Link(ctx, cycle, []reconcile.Change{change(reconcile.VerbLink, ada), change(reconcile.VerbLink, ben)}, []reconcile.Link{ada, ben}))
			if users, groups, err := s.Links(ctx); users != 2 || groups != 0 || err != nil {
				t.Errorf("links = %d, %d, %v", users, groups, err)
			}
			got := changes(t, s, Filter{})
			if len(got) != 2 || got[0].Outcome != reconcile.OutcomeDone || len(ledger(t, s).Open) != 0 {
				t.Errorf("changes = %+v", got)
			}
		},
		"the rules are those of the last cycle that ended well": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "one", Planned: 3, Done: 2, Failed: 1, Held: 4, Skipped: 5}))
			must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "two", Error: "401"}))
			running := begin(t, s)
			if got := ledger(t, s).Rules; got != "one" {
				t.Errorf("rules = %q, want one", got)
			}
			cycles, err := s.Cycles(ctx, 0)
			must(t, err)
			want := []Cycle{
				{ID: running, Started: t0},
				{ID: running - 1, Started: t0, Finished: t0, Summary: reconcile.CycleSummary{Rules: "two", Error: "401"}},
				{ID: running - 2, Started: t0, Finished: t0, Summary: reconcile.CycleSummary{Rules: "one", Planned: 3, Done: 2, Failed: 1, Held: 4, Skipped: 5}},
			}
			if diff := cmp.Diff(want, cycles); diff != "" {
				t.Errorf("cycles (-want +got):\n%s", diff)
			}
			if err := s.Finish(ctx, running-1, reconcile.CycleSummary{}); err == nil {
				t.Error("a finished cycle was finished again")
			}
			if _, err := s.Intend(ctx, running-1, change(reconcile.VerbCreate, ada), ada.User, nil); err == nil {
				t.Error("a finished cycle took another intent")
			}
		},
		"the history is found by person, cycle and time": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			first := begin(t, s)
			create := intend(t, s, first, change(reconcile.VerbCreate, ada), ada)
			other := intend(t, s, first, change(reconcile.VerbCreate, ben), ben)
			must(t, s.Refresh(ctx, []reconcile.Link{ada}))
			second := begin(t, s)
			join := intend(t, s, second, change(reconcile.VerbAdd, oncall), oncall)
			for name, tc := range map[string]struct {
				filter Filter
				want   []int64
			}{
				"everything":        {Filter{}, []int64{join, other, create}},
				"limit":             {Filter{Limit: 1}, []int64{join}},
				"cycle":             {Filter{Cycle: first}, []int64{other, create}},
				"directory id":      {Filter{Person: "00u1"}, []int64{join, create}},
				"the id alone":      {Filter{ID: "00u1"}, []int64{join, create}},
				"no name, as an id": {Filter{ID: "ADA@acme.com"}, nil},
				"SCIM id":           {Filter{Person: "r-1"}, []int64{join, create}},
				"user name":         {Filter{Person: "ADA@acme.com"}, []int64{join, create}},
				"group name":        {Filter{Person: "oncall"}, []int64{join}},
				"person and cycle":  {Filter{Person: "00u1", Cycle: first}, []int64{create}},
				"stranger":          {Filter{Person: "eve@acme.com"}, nil},
				"since now":         {Filter{Since: t0}, []int64{join, other, create}},
				"since later":       {Filter{Since: t0.Add(time.Second)}, nil},
				"until now":         {Filter{Until: t0}, nil},
				"until later":       {Filter{Person: "00u1", Since: t0, Until: t0.Add(time.Second)}, []int64{join, create}},
				"a quote is a name": {Filter{Person: `' OR 1=1 --`}, nil},
			} {
				var got []int64
				for _, e := range changes(t, s, tc.filter) {
					got = append(got, e.ID)
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("%s: changes %v, want %v", name, got, tc.want)
				}
			}
		},
		"an entry tells everything about its change": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			cycle := begin(t, s)
			id := intend(t, s, cycle, change(reconcile.VerbUpdate, ada), ada)
			must(t, s.Settle(ctx, reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeFailed, Error: "400 Bad Request", Took: 20 * time.Millisecond}))
			want := []Entry{{ID: id, Cycle: cycle, Change: change(reconcile.VerbUpdate, ada), Outcome: reconcile.OutcomeFailed, Error: "400 Bad Request", Intended: t0, Settled: t0, Took: 20 * time.Millisecond}}
			if diff := cmp.Diff(want, changes(t, s, Filter{}), entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		},
		"a refused write fails its own caller only": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			cycle := begin(t, s)
			var wg sync.WaitGroup
			errs := make([]error, 64)
			for i := range errs {
				wg.Go(func() {
					if i%4 == 0 {
						errs[i] = s.Settle(ctx, reconcile.Settled{Intent: 1 << 40, Outcome: reconcile.OutcomeDone})
						return
					}
					_, errs[i] = s.Intend(ctx, cycle, change(reconcile.VerbCreate, ada), ada.User, nil)
				})
			}
			wg.Wait()
			for i, err := range errs {
				if (err != nil) != (i%4 == 0) {
					t.Errorf("call %d: %v", i, err)
				}
			}
			if got := len(ledger(t, s).Open); got != 48 {
				t.Errorf("%d intents, want 48", got)
			}
		},
		"a cancelled caller has written nothing": func(ctx context.Context, t *testing.T, s contract, _ func() contract) {
			cycle := begin(t, s)
			cancelled, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := s.Intend(cancelled, cycle, change(reconcile.VerbCreate, ada), ada.User, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("err = %v", err)
			}
			if got := ledger(t, s).Open; len(got) != 0 {
				t.Errorf("open = %+v", got)
			}
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			open := fresh(t)
			test(t.Context(), t, open(t, now), func() contract { return open(t, now) })
		})
	}
	for name, test := range daemonTests {
		t.Run(name, func(t *testing.T) {
			open := fresh(t)
			test(t.Context(), t, open(t, now), func() contract { return open(t, now) })
		})
	}
	for name, test := range trustTests {
		t.Run(name, func(t *testing.T) {
			at := t0
			open := fresh(t)
			test(t.Context(), t, &at, func() contract { return open(t, func() time.Time { return at }) })
		})
	}
	t.Run("old history goes, open intents stay", func(t *testing.T) { pruneLaw(t, fresh(t)) })
	t.Run("a store behaves as a map", func(t *testing.T) { modelLaw(t, fresh) })
}

func pruneLaw(t *testing.T, open place) {
	ctx := t.Context()
	at := t0
	s := open(t, func() time.Time { return at })
	old := begin(t, s)
	open1 := intend(t, s, old, change(reconcile.VerbCreate, ada), ada)
	must(t, s.Link(ctx, old, slices.Repeat([]reconcile.Change{change(reconcile.VerbAdd, oncall)}, 300), nil))
	must(t, s.Finish(ctx, old, reconcile.CycleSummary{Rules: "r"}))
	must(t, s.Finish(ctx, begin(t, s), reconcile.CycleSummary{Rules: "r"}))
	newest := begin(t, s)
	must(t, s.Finish(ctx, newest, reconcile.CycleSummary{Rules: "r"}))
	at = t0.Add(399 * 24 * time.Hour)
	must(t, s.Prune(ctx, 0))
	if got := len(changes(t, s, Filter{Limit: 1000})); got != 301 {
		t.Fatalf("%d changes a day before their time, want 301", got)
	}
	at = t0.Add(401 * 24 * time.Hour)
	must(t, s.Prune(ctx, 0))
	got := changes(t, s, Filter{Limit: 1000})
	cycles, err := s.Cycles(ctx, 0)
	must(t, err)
	if len(got) != 1 || got[0].ID != open1 || len(cycles) != 2 || cycles[0].ID != newest || cycles[1].ID != old || ledger(t, s).Rules != "r" {
		t.Errorf("left: %d changes, cycles %+v", len(got), cycles)
	}
}

// modelLaw runs random writes against the store and a map, and reopens the store in between.
func modelLaw(t *testing.T, fresh func(t testing.TB) place) {
	rapid.Check(t, func(rt *rapid.T) {
		open := fresh(t)
		now := func() time.Time { return t0 }
		s := open(t, now)
		ctx := t.Context()
		cycle := begin(t, s)
		links, escrow, intents := map[connectors.UserID]reconcile.Link{}, map[string]reconcile.Waiting{}, map[int64]string{}
		person := rapid.IntRange(0, 5)
		link := func(n int, name string) reconcile.Link {
			return reconcile.Link{Kind: reconcile.KindUser, Source: fmt.Sprint("u", n), Target: fmt.Sprint("t", n), User: &reconcile.UserValues{UserName: name, Active: true}}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"refresh": func(rt *rapid.T) {
				l := link(person.Draw(rt, "person"), rapid.String().Draw(rt, "name"))
				must(rt, s.Refresh(ctx, []reconcile.Link{l}))
				links[connectors.UserID(l.Source)] = l
			},
			"intend": func(rt *rapid.T) {
				l := link(person.Draw(rt, "person"), "x")
				intents[intend(rt, s, cycle, change(reconcile.VerbUpdate, l), l)] = l.Source
			},
			"settle": func(rt *rapid.T) {
				if len(intents) == 0 {
					rt.Skip("nothing is open")
				}
				var ids []int64
				for id := range intents {
					ids = append(ids, id)
				}
				slices.Sort(ids)
				id := rapid.SampledFrom(ids).Draw(rt, "intent")
				source := intents[id]
				st := reconcile.Settled{Intent: id, Outcome: rapid.SampledFrom([]reconcile.Outcome{
					reconcile.OutcomeDone, reconcile.OutcomeFailed, reconcile.OutcomeUnknown, reconcile.OutcomeSkipped}).Draw(rt, "outcome")}
				if st.Outcome != reconcile.OutcomeUnknown {
					delete(intents, id)
				}
				switch rapid.IntRange(0, 3).Draw(rt, "what follows") {
				case 0:
					if st.Outcome == reconcile.OutcomeDone {
						delete(escrow, source)
					}
				case 1:
					l := links[connectors.UserID(source)]
					l = reconcile.Link{Kind: reconcile.KindUser, Source: source, Target: "t" + source[1:], User: l.User, Stuck: map[string]reconcile.Stuck{"a": {Value: "b", Tries: 1}}}
					st.Link = &l
					links[connectors.UserID(source)] = l
					delete(escrow, source)
				case 2:
					w := reconcile.Waiting{Kind: reconcile.KindUser, Source: source, Attempts: rapid.IntRange(0, 9).Draw(rt, "attempts"), Next: t0}
					st.Wait = &w
					escrow[source] = w
				case 3:
					st.Unlink = &reconcile.Ref{Kind: reconcile.KindUser, Source: source}
					delete(links, connectors.UserID(source))
					delete(escrow, source)
				}
				must(rt, s.Settle(ctx, st))
			},
			"crash": func(*rapid.T) { s = open(t, now) },
			"": func(rt *rapid.T) {
				l := ledger(rt, s)
				if diff := cmp.Diff(links, l.Users, entries); diff != "" {
					rt.Fatalf("links (-want +got):\n%s", diff)
				}
				waiting := map[string]reconcile.Waiting{}
				for _, w := range l.Waiting {
					waiting[w.Source] = w
				}
				if diff := cmp.Diff(escrow, waiting); diff != "" {
					rt.Fatalf("escrow (-want +got):\n%s", diff)
				}
				open := map[int64]string{}
				for _, i := range l.Open {
					open[i.ID] = i.Change.Object.Source
				}
				if diff := cmp.Diff(intents, open); diff != "" {
					rt.Fatalf("open (-want +got):\n%s", diff)
				}
			},
		})
	})
}

// fataler is a *testing.T, a *testing.B or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func must(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t fataler, s contract) int64 {
	t.Helper()
	cycle, err := s.Begin(context.Background(), t0)
	must(t, err)
	return cycle
}

func intend(t fataler, s contract, cycle int64, c reconcile.Change, l reconcile.Link) int64 {
	t.Helper()
	id, err := s.Intend(context.Background(), cycle, c, l.User, l.Group)
	must(t, err)
	return id
}

func ledger(t fataler, s contract) reconcile.Ledger {
	t.Helper()
	l, err := s.Ledger(context.Background())
	must(t, err)
	return l
}

func changes(t fataler, s contract, f Filter) []Entry {
	t.Helper()
	list, err := s.Changes(context.Background(), f)
	must(t, err)
	return list
}
