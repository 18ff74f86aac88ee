package reconcile

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// paging asks the pager about everybody in the directory.
func (w *world) paging(answer *duties) *world {
	answer.asked = map[string]bool{}
	for _, u := range w.in.snapshot.Users {
		answer.asked[string(u.ID)] = true
	}
	w.in.duties = answer
	return w
}

// Three leavers a cycle pass a floor of three, and are held on call. None of them is taken away yet, but each has been let
// go: the next three of the day are six.
func TestWhoWaitsForAShiftCountsAgainstTheLimitOfTheDay(t *testing.T) {
	w := newWorld().synced(names("p", 12)...)
	for i := range 4 {
		w.leave(names("p", 12)[3*i : 3*i+2]...).paging(&duties{err: context.DeadlineExceeded})
		p := w.mustPlan(t)
		if goes, _ := deactivated(p); goes != "" {
			t.Fatalf("goes %q", goes)
		}
		held := 0
		for _, s := range p.Sets {
			if s.Axis == AxisOnCall {
				held++
			}
		}
		if held > 3 {
			t.Fatalf("run %d: the guard has let %d leavers of twelve go, and its floor is three: they all go when the hold ends", i, held)
		}
		w.nextRun(p)
	}
}

// One object that Rootly refuses for good must not keep a sync in quarantine, in which nobody is ever taken away.
func TestOneRefusedObjectKeepsNoQuarantineForEver(t *testing.T) {
	q := &Quarantine{Since: noon, Cause: CauseCredentials, Reason: "401", Next: noon.Add(time.Hour)}
	for day := range 10 {
		q = q.After(again(outcomes(map[Outcome]int{OutcomeFailed: 1})), nil, noon.Add(time.Duration(day)*24*time.Hour))
		if q == nil {
			return
		}
	}
	t.Errorf("after ten days in which the credential was accepted and everything was read: %+v; whoever left is still active", *q)
}

// Who moves from a group that is gone into a role group whose grant waits is at no moment in neither.
func TestAGroupThatIsGoneIsNotDeletedWhileItsMembersEntryElsewhereWaits(t *testing.T) {
	p := names("p", 10)
	w := admins(p[:6], p[:2]).rootlyGroup("oncall-old", p[2:6]...).linkedGroup("oncall-old", p[2:6]...).
		rules(func(o *RuleOptions) { o.OnRemoved = OnRemovedDelete })
	plan := w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
	for _, c := range plan.Changes {
		if c.Verb == VerbDelete {
			t.Errorf("the four are put out of oncall-old while their entry into oncall-admins waits for a yes: %q", lines(plan))
		}
	}
}

// groupsOf is a target with groups that hears deletions.
type groupsOf struct {
	refusing
	groups  map[string]scimclient.Group
	deleted []string
}

func (g *groupsOf) Group(_ context.Context, id string) (scimclient.Group, error) {
	if found, ok := g.groups[id]; ok {
		return found, nil
	}
	return scimclient.Group{}, &scimclient.Error{Status: 404, SCIM: true}
}

func (g *groupsOf) DeleteGroup(_ context.Context, id string) error {
	g.deleted = append(g.deleted, id)
	return nil
}

// A deletion is of what the plan saw: whoever was put into the group since then is not put out with it.
func TestAGroupIsNotDeletedWithMembersThatThePlanDidNotSee(t *testing.T) {
	tests := map[string]struct {
		edit    func(g *scimclient.Group)
		absent  bool
		deleted bool
		outcome Outcome
	}{
		"as the plan saw it": {edit: func(*scimclient.Group) {}, deleted: true, outcome: OutcomeDone},
		"one member less":    {edit: func(g *scimclient.Group) { g.Members = g.Members[:1] }, deleted: true, outcome: OutcomeDone},
		"not there any more": {edit: func(*scimclient.Group) {}, absent: true, deleted: true, outcome: OutcomeDone},
		"a member was put in by hand": {edit: func(g *scimclient.Group) {
			g.Members = append(g.Members, scimclient.Member{Value: "t-hand", Type: "User"})
		}, outcome: OutcomeSkipped},
		"it was given to another directory": {edit: func(g *scimclient.Group) { g.ExternalID = "other-idp" }, outcome: OutcomeSkipped},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := gone(OnRemovedDelete, "ann", "bob")
			p := w.confirmed(t, finder{&directory{}}, &connectors.Snapshot{})
			if len(p.Changes) != 1 || p.Changes[0].Verb != VerbDelete {
				t.Fatalf("plan: %q", lines(p))
			}
			g := w.in.groups[0]
			tc.edit(&g)
			target, book := &groupsOf{groups: map[string]scimclient.Group{}}, &scribe{}
			if !tc.absent {
				target.groups[g.ID] = g
			}
			r, err := (&Applier{Target: target, Journal: book}).Apply(t.Context(), p)
			if err != nil || len(r.Results) != 1 || r.Results[0].Outcome != tc.outcome {
				t.Fatalf("report: %v %+v", err, r.Results)
			}
			if (len(target.deleted) == 1) != tc.deleted {
				t.Errorf("deleted %v", target.deleted)
			}
		})
	}
}

// moved is ann on her way from oncall-a to oncall-b.
func moved() *world {
	return newWorld().synced("bob", "ann").group("oncall-a", "bob").rootlyGroup("oncall-a", "ann", "bob").linkedGroup("oncall-a", "ann", "bob").
		group("oncall-b", "ann").rootlyGroup("oncall-b").linkedGroup("oncall-b")
}

func TestSyncingTheGroupThatSomebodyLeavesTakesThemToTheOther(t *testing.T) {
	p, err := moved().mustPlan(t).Only("oncall-a")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"add oncall-b: ann@acme.com (changed in the directory)", "remove oncall-a: ann@acme.com (changed in the directory)"}
	if got := lines(p); !slices.Equal(got, want) {
		t.Errorf("plan %q: ann would be in neither group", got)
	}
}

func TestASavedPlanTakesNobodyOutWhoseEntryElsewhereItLacks(t *testing.T) {
	w := moved()
	fresh := w.mustPlan(t)
	saved := fresh
	saved.Changes = slices.DeleteFunc(slices.Clone(fresh.Changes), func(c Change) bool { return c.Verb == VerbAdd })
	other := *findChange(fresh, VerbAdd)
	other.Members = []Membership{{User: Ref{Kind: KindUser, Source: "u-bob", Target: "t-bob", Name: "bob@acme.com"}}}
	fresh.Changes[slices.IndexFunc(fresh.Changes, func(c Change) bool { return c.Verb == VerbAdd })].Members = append(slices.Clone(findChange(fresh, VerbAdd).Members), other.Members...)
	saved.Changes = append(saved.Changes, other)
	kept, _, err := fresh.Intersect(saved)
	if err != nil {
		t.Fatal(err)
	}
	if findChange(kept, VerbRemove) != nil {
		t.Errorf("plan %q: ann would be in neither group", lines(kept))
	}
}

func findChange(p Plan, verb Verb) *Change {
	if i := slices.IndexFunc(p.Changes, func(c Change) bool { return c.Verb == verb }); i >= 0 {
		return &p.Changes[i]
	}
	return nil
}
