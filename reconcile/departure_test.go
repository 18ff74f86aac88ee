package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

const month = 30 * 24 * time.Hour

// departed is a company that ann left days ago; her account is deactivated, and accounts are deleted after a month.
func departed(days int) *world {
	w := newWorld().synced("bob").rootly(account("ann")).touch(func(u *scimclient.User) { u.Active = false }).linked("ann").
		rules(func(o *RuleOptions) { o.DeleteAfter = month })
	l := w.in.ledger.Users["u-ann"]
	l.User.Active = false
	if days >= 0 {
		l.Left = noon.AddDate(0, 0, -days)
	}
	w.in.ledger.Users["u-ann"] = l
	return w
}

func (w *world) link(name string, edit func(l *Link)) *world {
	l := w.in.ledger.Users[connectors.UserID("u-"+name)]
	edit(&l)
	w.in.ledger.Users[connectors.UserID("u-"+name)] = l
	return w
}

func TestDepartures(t *testing.T) {
	without, err := connectors.NewSnapshot([]connectors.User{staff("bob")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	known := func(edit func(u *connectors.User)) *connectors.Found {
		u := staff("ann")
		edit(&u)
		return &connectors.Found{Known: true, User: u}
	}
	const goes, held, waits = "delete ann@acme.com (gone from the directory)", "held delete ann@acme.com (gone from the directory)", "leaving: ann@acme.com"
	unknown := &connectors.Found{}
	tests := map[string]struct {
		world    *world
		answer   *connectors.Found // nil: the directory cannot be asked about one person
		err      error
		previous *connectors.Snapshot
		want     []string
		left     time.Time // what the ledger remembers afterwards
	}{
		"the time begins with a second answer":                   {world: departed(-1), answer: unknown, previous: &without, want: []string{waits}, left: noon},
		"it begins with a second read":                           {world: departed(-1), previous: &without, want: []string{waits}, left: noon},
		"one absence begins nothing":                             {world: departed(-1), answer: unknown},
		"a second answer that does not come begins nothing":      {world: departed(-1), answer: unknown, err: errors.New("timeout"), previous: &without},
		"deleted softly is deactivated and no more":              {world: departed(-1), answer: &connectors.Found{Known: true, Deleted: true}, previous: &without},
		"out of scope is not gone":                               {world: departed(-1), answer: known(func(u *connectors.User) { u.Status = connectors.StatusDisabled }), previous: &without},
		"who is not due is shown with the day":                   {world: departed(29), answer: unknown, previous: &without, want: []string{waits}, left: noon.AddDate(0, 0, -29)},
		"who is due goes":                                        {world: departed(30), answer: unknown, previous: &without, want: []string{goes}, left: noon.AddDate(0, 0, -30)},
		"due, and absent from two reads of a directory of files": {world: departed(30), previous: &without, want: []string{goes}, left: noon.AddDate(0, 0, -30)},
		"due, and absent from one read only":                     {world: departed(30), want: []string{held}, left: noon.AddDate(0, 0, -30)},
		"due, and the directory does not answer":                 {world: departed(30), answer: unknown, err: errors.New("timeout"), previous: &without, want: []string{held}, left: noon.AddDate(0, 0, -30)},
		"due, and the directory knows them as deleted softly":    {world: departed(30), answer: &connectors.Found{Known: true, Deleted: true}, previous: &without},
		"due, and the directory has them in scope: a short read": {world: departed(30), answer: known(func(*connectors.User) {}), previous: &without, want: []string{held}, left: noon.AddDate(0, 0, -30)},
		"due, and back": {
			world: departed(30).directory(staff("ann")), answer: unknown, previous: &without,
			want: []string{`reactivate ann@acme.com: active "false"→"true" (returned)`}, left: noon.AddDate(0, 0, -30), // cleared with the write
		},
		"back and disabled: known again, so the time is over": {
			world: departed(30).directory(staff("ann")).change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }), answer: unknown,
		},
		"back and frozen: the time is over": {
			world: departed(30).directory(staff("ann")).change(func(u *connectors.User) { u.UserName = "no mail" }), answer: unknown, want: []string{"unmapped: no mail"},
		},
		"reactivated by hand: deactivated first": {
			world: departed(30).touch(func(u *scimclient.User) { u.Active = true }), answer: unknown, previous: &without,
			want: []string{"deactivate ann@acme.com (edited in Rootly)"}, left: noon.AddDate(0, 0, -30), // cleared with the write
		},
		"an account of somebody else by now": {
			world: departed(30).touch(func(u *scimclient.User) { u.ExternalID = "other-idp" }), answer: unknown, want: []string{"conflict: ann@acme.com"}, left: noon.AddDate(0, 0, -30),
		},
		"an address that somebody else is to have": {
			world: departed(30).directory(staff("new")).change(func(u *connectors.User) { u.UserName = "ann@acme.com" }), answer: unknown,
			want: []string{"conflict: ann@acme.com", "conflict: ann@acme.com"}, left: noon.AddDate(0, 0, -30),
		},
		"protected": {
			world: departed(30).rules(func(o *RuleOptions) { o.Protect = []string{"ann@*"} }), answer: unknown, want: []string{"protected: ann@acme.com"}, left: noon.AddDate(0, 0, -30),
		},
		"excluded": {
			world: departed(30).rules(func(o *RuleOptions) { o.Exclude = []string{"ann@*"} }), answer: unknown, left: noon.AddDate(0, 0, -30),
		},
		"pinned": {
			world: func() *world {
				w := departed(30)
				w.in.ledger.Pinned = map[string]bool{"u-ann": true}
				return w
			}(), answer: unknown, want: []string{"pinned: ann@acme.com"}, left: noon.AddDate(0, 0, -30),
		},
		"removals: never": {
			world: departed(30).rules(func(o *RuleOptions) { o.RemovalsNever = true }), answer: unknown, previous: &without, want: []string{held}, left: noon.AddDate(0, 0, -30),
		},
		"the first run after a quarantine": {
			world: func() *world {
				w := departed(30)
				w.in.ledger.Quarantine = &Quarantine{Since: noon.Add(-time.Hour), Cause: CauseEndpoint}
				return w
			}(), answer: unknown, previous: &without, want: []string{held}, left: noon.AddDate(0, 0, -30),
		},
		"without delete_after nobody is deleted, and the time is over": {
			world: departed(30).rules(func(o *RuleOptions) { o.DeleteAfter = 0 }), answer: unknown, previous: &without,
		},
		"not ours": {world: func() *world {
			w := departed(30)
			delete(w.in.ledger.Users, "u-ann")
			return w
		}(), answer: unknown, previous: &without},
		"hidden, as deactivated accounts are on some servers": {
			world: func() *world {
				w := departed(30)
				w.in.users = w.in.users[:1]
				return w
			}(), answer: unknown, previous: &without, want: []string{goes}, left: noon.AddDate(0, 0, -30),
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var source connectors.Connector = &directory{}
			if tc.answer != nil {
				source = finder{&directory{people: map[connectors.UserID]connectors.Found{"u-ann": *tc.answer}, err: tc.err}}
			}
			p := tc.world.confirmed(t, source, tc.previous)
			if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			tc.world.nextRun(p)
			if got := tc.world.in.ledger.Users["u-ann"].Left; !got.Equal(tc.left) {
				t.Errorf("gone since %s, want %s", got, tc.left)
			}
		})
	}
}

func TestDeletionsHaveALimitOfTheirOwn(t *testing.T) {
	w := newWorld().rules(func(o *RuleOptions) { o.DeleteAfter = month })
	for _, n := range names("p", 10) {
		w.synced(n)
	}
	for _, n := range []string{"x", "y", "z"} {
		w.rootly(account(n)).touch(func(u *scimclient.User) { u.Active = false }).linked(n).
			link(n, func(l *Link) { l.User.Active, l.Left = false, noon.Add(-2*month) })
	}
	p := w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	if len(p.Sets) != 1 || p.Sets[0].Axis != AxisDeletions || len(p.Changes) != 0 {
		t.Fatalf("three of ten managed people would be deleted: %q %+v", lines(p), p.Sets)
	}
	w.in.ledger.Held = p.Sets
	w.in.ledger.Held[0].Approved = noon
	if p = w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{}); len(p.Changes) != 3 {
		t.Errorf("approved: %q", lines(p))
	}
	w.in.ledger.Held = nil
	w.rules(func(o *RuleOptions) { o.Guard = Limits{AxisDeletions: {Floor: 3}} })
	if p = w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{}); len(p.Changes) != 3 {
		t.Errorf("within guard.deletions: %q", lines(p))
	}
}

func TestAShorterTimeDeletesNobodyWithoutAYes(t *testing.T) {
	w := departed(10)
	if p := w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{}); !p.Empty() {
		t.Fatalf("plan: %q", lines(p))
	}
	before, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.in.ledger.Rules, w.in.ledger.RuleTexts = before.hash, before.texts
	p := w.rules(func(o *RuleOptions) { o.DeleteAfter = month / 10 }).confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	if len(p.Changes) != 0 || len(p.Sets) != 1 || p.Sets[0].Axis != AxisConfiguration || !strings.Contains(p.Sets[0].Reason, "delete_after") {
		t.Errorf("delete_after was shortened: %q %+v", lines(p), p.Sets)
	}
}

// With five hundred others to be asked about, those who lose their access come first.
func TestDeparturesWaitWhereTheDirectoryIsAskedAboutMany(t *testing.T) {
	w := departed(30)
	for _, n := range names("p", maxConfirmations) {
		w.synced(n).change(func(u *connectors.User) { u.Status = connectors.StatusDisabled })
	}
	p := w.confirmed(t, &directory{}, &connectors.Snapshot{})
	i := slices.IndexFunc(p.Held, func(c Change) bool { return c.Verb == VerbDelete })
	if i < 0 || !strings.Contains(p.Held[i].Held, "not asked again") {
		t.Errorf("ann's deletion was not confirmed, and is in the plan: %v", taken(p))
	}
}

// deleting is a target that hears deletions.
type deleting struct {
	refusing
	deleted []string
}

func (d *deleting) DeleteUser(_ context.Context, id string) error {
	d.deleted = append(d.deleted, id)
	return nil
}

func TestADeletionLooksOnceMore(t *testing.T) {
	tests := map[string]struct {
		account func(u *scimclient.User)
		absent  bool
		deleted bool
		outcome Outcome
	}{
		"deactivated as ever":           {account: func(u *scimclient.User) { u.Active = false }, deleted: true, outcome: OutcomeDone},
		"reactivated in the meantime":   {account: func(*scimclient.User) {}, outcome: OutcomeSkipped},
		"not there, or hidden from GET": {account: func(*scimclient.User) {}, absent: true, deleted: true, outcome: OutcomeDone},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := departed(30).confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
			target, book := &deleting{}, &scribe{}
			if !tc.absent {
				u := account("ann")
				tc.account(&u)
				target.users = []scimclient.User{u}
			}
			r, err := (&Applier{Target: target, Journal: book}).Apply(context.Background(), p)
			if err != nil || len(r.Results) != 1 || r.Results[0].Outcome != tc.outcome {
				t.Fatalf("report: %v %+v", err, r.Results)
			}
			if (len(target.deleted) == 1) != tc.deleted {
				t.Errorf("deleted %v", target.deleted)
			}
			if forgotten := len(book.settled) == 1 && book.settled[0].Unlink != nil; forgotten != tc.deleted {
				t.Errorf("settled %+v: the link goes with the account and not without", book.settled)
			}
		})
	}
}

// A deletion whose answer was lost is planned again: it is no write that reading could show to have happened.
func TestALostDeletionIsPlannedAgain(t *testing.T) {
	w := departed(30)
	w.in.ledger.Open = []Intent{{ID: 7, Change: Change{Verb: VerbDelete, Object: Ref{Kind: KindUser, Source: "u-ann", Target: "t-ann"}}}}
	ledger, rs := resolve(w.in.ledger, w.in)
	if len(rs) != 1 || rs[0].Outcome != OutcomeFailed || rs[0].Link != nil {
		t.Fatalf("resolutions: %+v", rs)
	}
	w.in.ledger = ledger
	if p := w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{}); len(p.Changes) != 1 || p.Changes[0].Verb != VerbDelete {
		t.Errorf("plan: %q", lines(p))
	}
}

func TestUndoSaysThatADeletionIsForGood(t *testing.T) {
	w := newWorld().synced("bob")
	p := w.undo(t, Change{Verb: VerbDelete, Object: Ref{Kind: KindUser, Source: "u-ann", Target: "t-ann", Name: "ann@acme.com"}})
	if len(p.Changes) != 0 || len(p.Notes) != 1 || !strings.Contains(p.Notes[0].Text, "cannot be brought back") {
		t.Errorf("plan: %q %+v", lines(p), p.Notes)
	}
}

func TestDeparturesAreListedByDay(t *testing.T) {
	w := departed(3)
	w.linked("eve").link("eve", func(l *Link) { l.Left = noon.AddDate(0, 0, -5) }).linked("dan")
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range r.Departures(w.in.ledger) {
		got = append(got, d.Object.Name+" "+day(d.Due))
	}
	if diff := cmp.Diff([]string{"eve@acme.com 2026-03-27", "ann@acme.com 2026-03-29"}, got); diff != "" {
		t.Errorf("departures (-want +got):\n%s", diff)
	}
}
