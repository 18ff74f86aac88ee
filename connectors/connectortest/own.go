package connectortest

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// An Own is one kind of connector whose directory does not speak HTTP, with a small directory in process behind it that
// is damaged by means of its own. It is held to the same contract as a Harness.
type Own struct {
	// New makes a connector to a directory with this damage, "" for none, and a function that mends it. It runs
	// outside the bubble.
	New func(tb testing.TB, damage string) (c connectors.Connector, mend func())
	// Want is what Fetch returns when all goes well.
	Want connectors.Snapshot
	// Damages must each end Fetch in an error; Answers must also end Lookup and Members in one.
	Damages, Answers []string
	// Silence is the damage by which the directory never answers.
	Silence string

	UnknownUser  connectors.UserID
	UnknownGroup connectors.GroupID
	// Live is like New, with a directory that can be changed; Live.Server is not used.
	Live func(tb testing.TB) (connectors.Connector, Live)
}

// RunOwn checks the connector of an Own, which is a connectors.Finder, against the whole contract.
func RunOwn(t *testing.T, o Own) {
	if len(o.Damages) == 0 || len(o.Want.Users) == 0 || o.Silence == "" {
		t.Fatal("the harness needs damages, and people to find")
	}
	h := Harness{Want: o.Want}
	t.Run("identity", func(t *testing.T) {
		a, _ := o.New(t, "")
		b, _ := o.New(t, o.Silence)
		if a.Name() == "" || a.Tenant() == "" || a.Tenant() != b.Tenant() {
			t.Errorf("Name %q, Tenant %q, then %q", a.Name(), a.Tenant(), b.Tenant())
		}
	})
	t.Run("reads everything", func(t *testing.T) {
		c, _ := o.New(t, "")
		for range 2 {
			wantFetch(t, c, o.Want)
		}
	})
	for _, damage := range o.Damages {
		t.Run("damage/"+damage, func(t *testing.T) {
			c, mend := o.New(t, damage)
			snap, err := fetch(t, c, &wire{})
			if err == nil {
				t.Errorf("Fetch returned %d users and %d groups and no error", len(snap.Users), len(snap.Groups))
			}
			checkNothing(t, snap)
			mend()
			wantFetch(t, c, o.Want)
		})
	}
	for _, damage := range o.Answers {
		for who, ask := range questions(h) {
			t.Run("damage/"+who+"/"+damage, func(t *testing.T) {
				c, _ := o.New(t, damage)
				got, err := asked(t, c, &wire{}, ask)
				if err == nil {
					t.Errorf("no error, and %+v", got)
				}
				checkZero(t, got)
			})
		}
	}
	t.Run("cancellation", func(t *testing.T) { runOwnCancel(t, o, h) })
	t.Run("finds everybody", func(t *testing.T) {
		c, _ := o.New(t, "")
		for _, u := range o.Want.Users {
			wantAnswer(t, c, lookup(u.ID), expected(h, u))
		}
		for _, g := range o.Want.Groups {
			wantAnswer(t, c, members(g.ID), answered{Members: g.Members, Known: true})
		}
		wantAnswer(t, c, lookup(o.UnknownUser), answered{})
		wantAnswer(t, c, members(o.UnknownGroup), answered{})
		for name, ask := range map[string]question{"Lookup": lookup(""), "Members": members("")} {
			if got, err := asked(t, c, &wire{}, ask); err == nil {
				t.Errorf("%s of an empty id returned %+v and no error", name, got)
			}
		}
	})
	t.Run("changes", func(t *testing.T) { runOwnChanges(t, o) })
}

func wantFetch(t *testing.T, c connectors.Connector, want connectors.Snapshot) {
	t.Helper()
	snap, err := fetch(t, c, &wire{})
	if err != nil {
		t.Fatalf("Fetch: %v", err)
	}
	if diff := cmp.Diff(want, snap, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Fetch (-want +got):\n%s", diff)
	}
	checkOrder(t, snap)
}

func wantAnswer(t *testing.T, c connectors.Connector, ask question, want answered) {
	t.Helper()
	got, err := asked(t, c, &wire{}, ask)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// runOwnCancel ends the context before a call and while the directory does not answer.
func runOwnCancel(t *testing.T, o Own, h Harness) {
	calls := questions(h)
	calls["Fetch"] = func(ctx context.Context, f connectors.Finder) (answered, error) {
		snap, err := f.(connectors.Connector).Fetch(ctx)
		checkNothing(t, snap)
		return answered{}, err
	}
	for name, call := range calls {
		for _, after := range []time.Duration{0, 100 * time.Millisecond} {
			c, _ := o.New(t, o.Silence)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start := time.Now()
				if after == 0 {
					cancel()
				} else {
					defer time.AfterFunc(after, cancel).Stop()
				}
				got, err := askRecovered(t, ctx, c, call)
				if took := time.Since(start); err == nil || took > after+maxReaction {
					t.Errorf("%s returned %v, %s after the context ended", name, err, took-after)
				}
				checkZero(t, got)
			})
		}
	}
}

// runOwnChanges changes the directory: what is asked afresh is the new state.
func runOwnChanges(t *testing.T, o Own) {
	somebody := func(u connectors.User) bool { return u.Status == connectors.StatusActive }
	i := slices.IndexFunc(o.Want.Users, somebody)
	if i < 0 {
		t.Fatal("the harness's directory has nobody active")
	}
	id := o.Want.Users[i].ID
	c, live := o.Live(t)
	live.Disable(id)
	if got, err := asked(t, c, &wire{}, lookup(id)); err != nil || !got.Found.Known || got.Found.User.Status != connectors.StatusDisabled {
		t.Errorf("disabled: %+v, %v", got.Found, err)
	}
	live.Delete(id)
	if got, err := asked(t, c, &wire{}, lookup(id)); err != nil || got.Found.Known && !got.Found.Deleted {
		t.Errorf("deleted: %+v, %v", got.Found, err)
	}
	for _, g := range o.Want.Groups {
		if len(g.Members) == 0 {
			continue
		}
		c, live := o.Live(t)
		live.Remove(g.ID, g.Members[0])
		wantAnswer(t, c, members(g.ID), answered{Members: g.Members[1:], Known: true})
		live.DeleteGroup(g.ID)
		wantAnswer(t, c, members(g.ID), answered{})
		return
	}
}
