package reconcile

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// mustPlan is plan without an error.
func (w *world) mustPlan(t *testing.T) Plan {
	t.Helper()
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// lookups are findings about people, by name.
func lookups(p proof, names ...string) findings {
	f := findings{people: map[string]finding{}}
	for _, n := range names {
		f.people["u-"+n] = finding{proof: p, text: "asked again"}
	}
	return f
}

// nextRun is the ledger after a cycle that ended well: its rules are the known ones, its sets wait.
func (w *world) nextRun(p Plan) *world {
	w.in.ledger.Rules, w.in.ledger.RuleTexts, w.in.ledger.Held = p.rules, p.texts, p.Sets
	for _, l := range p.refresh {
		if l.Kind == KindUser {
			w.in.ledger.Users[connectors.UserID(l.Source)] = l
		} else {
			w.in.ledger.Groups[connectors.GroupID(l.Source)] = l
		}
	}
	w.in.findings = findings{}
	return w
}

func fourOfTen() *world {
	return newWorld().synced(names("p", 10)...).leave("p00", "p01", "p02", "p03")
}

func TestAnApprovalDoesNotOverruleADirectoryThatTakesTheLeaverBack(t *testing.T) {
	w := fourOfTen()
	set := w.mustPlan(t).Sets[0]
	set.Approved, set.By = noon.Add(-time.Hour), "Ada"
	w.in.ledger.Held = []HeldSet{set}
	w.in.findings = lookups(contradicted, "p00")
	if goes, held := deactivated(w.mustPlan(t)); goes != "" {
		t.Errorf("goes %q, held %q: asked again the directory says p00 is in scope, so the read was short", goes, held)
	}
}

func TestWhoCouldNotBeAskedAboutStillCountsAgainstTheLimit(t *testing.T) {
	w := fourOfTen()
	set := w.mustPlan(t).Sets[0]
	w.in.ledger.Held = []HeldSet{set}
	w.in.findings = lookups(unproven, "p03") // a lookup that timed out
	if goes, held := deactivated(w.mustPlan(t)); goes != "" {
		t.Errorf("goes %q, held %q: a held set of four is released because one lookup failed", goes, held)
	}
	w.in.ledger.Held = nil
	if goes, held := deactivated(w.mustPlan(t)); goes != "" {
		t.Errorf("goes %q, held %q: four leavers of ten pass a limit of three because one lookup failed", goes, held)
	}
}

func TestAHeldSetOutlivesARunThatCannotJudgeIt(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"the directory contradicts itself about somebody else": func(w *world) {
			w.leave("p05").in.findings = lookups(contradicted, "p05")
		},
		"the lookups failed": func(w *world) { w.in.findings = lookups(unproven, "p00", "p01") },
		"removals: never":    func(w *world) { w.opts.RemovalsNever = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld().synced(names("p", 10)...).leave("p00", "p01")
			w.in.ledger.Rules = ""
			p := w.mustPlan(t)
			if len(p.Sets) != 1 || p.Sets[0].Axis != AxisFirstContact {
				t.Fatalf("sets: %+v", p.Sets)
			}
			opts := w.opts
			spoil(w.nextRun(p))
			p = w.mustPlan(t)
			w.opts, w.in.snapshot.Users[5].Status = opts, connectors.StatusActive
			p = w.nextRun(p).mustPlan(t)
			if goes, held := deactivated(p); goes != "" {
				t.Errorf("goes %q, held %q: held at first contact, and nobody said yes", goes, held)
			}
		})
	}
}

func TestFirstContactAlsoHoldsWhatWasInDoubtThen(t *testing.T) {
	w := newWorld().synced(names("p", 10)...).leave("p00")
	w.in.ledger.Rules = ""
	w.in.findings = lookups(unproven, "p00")
	p := w.nextRun(w.mustPlan(t)).mustPlan(t)
	if goes, held := deactivated(p); goes != "" {
		t.Errorf("goes %q, held %q: first contact, and nobody said yes", goes, held)
	}
}

func TestFirstContactIsNotOverWhileRemovalsAreOff(t *testing.T) {
	w := newWorld().synced(names("p", 10)...).leave("p00").rules(func(o *RuleOptions) { o.RemovalsNever = true })
	w.in.ledger.Rules = ""
	p := w.nextRun(w.mustPlan(t)).rules(func(o *RuleOptions) { o.RemovalsNever = false }).mustPlan(t)
	if goes, held := deactivated(p); goes != "" {
		t.Errorf("goes %q, held %q: the first run that may take away takes at once", goes, held)
	}
}

// On first contact nobody goes, also where the directory cannot be asked again: a group with members of its own is not
// even taken over.
func TestFirstContactTakesNoGroupFromItsMembers(t *testing.T) {
	w := newWorld().directory(staff("bob"), staff("ann")).rootly(account("bob"), account("ann")).
		group("oncall-a", "bob").rootlyGroup("oncall-a", "bob", "ann")
	w.in.ledger.Rules = ""
	p := w.confirmed(t, &directory{}, nil)
	w.linked("bob", "ann").nextRun(p)
	for _, p := range []Plan{p, w.confirmed(t, &directory{}, &w.in.snapshot)} {
		if len(taken(p)) != 0 || !slices.ContainsFunc(p.Notes, func(n Note) bool { return n.Kind == NoteConflict }) {
			t.Errorf("ann is taken out of oncall-a, and nobody said yes: %q", lines(p))
		}
	}
}

func TestConfigurationAlsoHoldsWhatWasInDoubtThen(t *testing.T) {
	w := newWorld().synced(names("p", 10)...).rules(func(o *RuleOptions) { o.Where = `user.userName < "p09"` })
	w.in.ledger.Rules, w.in.ledger.RuleTexts = "before", RuleOptions{Directory: "test", Mode: connectors.ScopeAll, Push: []string{"oncall-*"}}.keyed()
	w.in.findings = lookups(unproven, "p09")
	p := w.nextRun(w.mustPlan(t)).mustPlan(t)
	if goes, held := deactivated(p); goes != "" {
		t.Errorf("goes %q, held %q: scope.where put them out, and nobody said yes", goes, held)
	}
}

func TestUndoForgetsNoHeldSet(t *testing.T) {
	w := fourOfTen()
	set := w.mustPlan(t).Sets[0]
	w.in.ledger.Held = []HeldSet{set}
	p := w.undo(t)
	if !slices.ContainsFunc(p.Sets, func(s HeldSet) bool { return s.Fingerprint == set.Fingerprint }) {
		t.Errorf("Hold forgets what is not among the plan's sets, and these are %+v", p.Sets)
	}
}

// undo plans the way back from changes over what the world says.
func (w *world) undo(t *testing.T, done ...Change) Plan {
	t.Helper()
	if _, err := w.plan(t); err != nil { // settles rules and order
		t.Fatal(err)
	}
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	p := &Planner{Source: still{snapshot: w.in.snapshot}, Target: held{users: w.in.users, groups: w.in.groups}, Rules: r}
	plan, err := p.Undo(context.Background(), w.in.ledger, noon, done)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// still is a directory that does not change and knows what it lists.
type still struct{ snapshot connectors.Snapshot }

func (s still) Name() string                                       { return "test" }
func (s still) Tenant() string                                     { return "test" }
func (s still) Fetch(context.Context) (connectors.Snapshot, error) { return s.snapshot, nil }
func (s still) Lookup(_ context.Context, id connectors.UserID) (connectors.Found, error) {
	for _, u := range s.snapshot.Users {
		if u.ID == id {
			return connectors.Found{Known: true, User: u}, nil
		}
	}
	return connectors.Found{}, nil
}

func (s still) Members(_ context.Context, id connectors.GroupID) ([]connectors.UserID, bool, error) {
	for _, g := range s.snapshot.Groups {
		if g.ID == id {
			return g.Members, true, nil
		}
	}
	return nil, false, nil
}

// held is a target that only holds.
type held struct {
	users  []scimclient.User
	groups []scimclient.Group
}

var notThere = &scimclient.Error{Op: "read", Status: 404, SCIM: true}

func (h held) Users(context.Context) ([]scimclient.User, error)   { return slices.Clone(h.users), nil }
func (h held) Groups(context.Context) ([]scimclient.Group, error) { return slices.Clone(h.groups), nil }
func (h held) User(_ context.Context, id string) (scimclient.User, error) {
	for _, u := range h.users {
		if u.ID == id {
			return u, nil
		}
	}
	return scimclient.User{}, notThere
}
func (h held) Group(context.Context, string) (scimclient.Group, error) {
	return scimclient.Group{}, notThere
}
func (h held) FindUsers(_ context.Context, name string) (out []scimclient.User, _ error) {
	for _, u := range h.users {
		if sameFolded(u.UserName, name) {
			out = append(out, u)
		}
	}
	return out, nil
}
func (h held) FindGroups(context.Context, string) ([]scimclient.Group, error) { return nil, nil }

func TestUndoLeavesProtectedAndExcludedPeopleAlone(t *testing.T) {
	for name, edit := range map[string]func(o *RuleOptions){
		"guard.protect": func(o *RuleOptions) { o.Protect = []string{"ann@*"} },
		"scope.exclude": func(o *RuleOptions) { o.Exclude = []string{"ann@*"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld().synced("bob", "ann").rules(edit)
			p := w.undo(t, Change{Verb: VerbCreate, Object: Ref{Kind: KindUser, Source: "u-ann", Target: "t-ann", Name: "ann@acme.com"}})
			if goes, _ := deactivated(p); goes != "" {
				t.Errorf("undo deactivates %s", goes)
			}
		})
	}
}

func TestEverythingUndoPinsCanBePinned(t *testing.T) {
	w := newWorld().synced("bob").rootly(account("local")).touch(func(u *scimclient.User) { u.ExternalID = "" }).syncedGroup("oncall-a", "bob")
	p := w.undo(t, Change{
		Verb: VerbRemove, Object: Ref{Kind: KindGroup, Source: "g-oncall-a", Target: "tg-oncall-a", Name: "oncall-a"},
		Members: []Membership{{User: Ref{Kind: KindUser, Target: "t-local", Name: "local@acme.com"}}},
	})
	if len(p.Changes) != 1 {
		t.Fatalf("plan: %q", lines(p))
	}
	for _, r := range p.Pins() {
		if r.Source == "" {
			t.Errorf("%+v has no directory id: the store refuses it, and all other pins with it", r)
		}
	}
}

func TestUndoOfAChainOfRenamesFreesNamesFirst(t *testing.T) {
	w := newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.UserName = "anna@acme.com" }).
		touch(func(u *scimclient.User) { u.UserName = "anna@acme.com" }).
		synced("new").change(func(u *connectors.User) { u.UserName = "ann@acme.com" }).touch(func(u *scimclient.User) { u.UserName = "ann@acme.com" })
	rename := func(who, from, to string) Change {
		return Change{Verb: VerbUpdate, Object: Ref{Kind: KindUser, Source: "u-" + who, Target: "t-" + who, Name: to},
			Fields: []Field{{Name: "userName", From: from, To: to}}}
	}
	p := w.undo(t, rename("ann", "ann@acme.com", "anna@acme.com"), rename("new", "new@acme.com", "ann@acme.com"))
	for _, c := range p.Changes {
		if c.Object.Source == "u-ann" && len(c.After) == 0 {
			t.Errorf("ann gets back a name that another account still has: %q", lines(p))
		}
	}
}

// A read in which somebody is missing is one absence and no leaving: no proof is asked for, since nothing is taken.
func TestOneAbsenceDoesNotReverseADeactivationByHand(t *testing.T) {
	w := newWorld().synced("bob", "ann").touch(func(u *scimclient.User) { u.Active = false })
	all := slices.Clone(w.in.snapshot.Users)
	w.in.snapshot.Users = all[:1]
	p := w.mustPlan(t)
	w.nextRun(p)
	w.in.snapshot.Users = all
	if p = w.mustPlan(t); !p.Empty() {
		t.Errorf("reactivates whom somebody deactivated in Rootly by hand: %q", lines(p))
	}
}

func TestAnAccountMadeByALostAnswerIsFoundThoughAnOldLinkDangles(t *testing.T) {
	// ann's account was deleted in Rootly; the run that made her another one was killed before the answer came.
	killed := func() *world {
		w := newWorld().synced("bob").linked("ann").directory(staff("ann")).
			rootly(account("ann")).touch(func(u *scimclient.User) { u.ID = "t-ann-again" })
		w.in.ledger.Open = []Intent{{ID: 1, Cycle: 1, User: w.in.ledger.Users["u-ann"].User, Change: Change{
			Verb: VerbCreate, Object: Ref{Kind: KindUser, Source: "u-ann", Target: "t-ann", Name: "ann@acme.com"}}}}
		w.in.hidden = map[string]bool{"t-ann": true}
		w.in.ledger, _ = resolve(w.in.ledger, w.in)
		return w
	}
	if goes, _ := deactivated(killed().leave("ann").mustPlan(t)); goes != "ann" {
		t.Error("ann is disabled, and the account that we made for her stays active in silence")
	}
	if p := killed().mustPlan(t); len(p.Notes) > 0 {
		t.Errorf("ann's own account, with her externalId, is taken for somebody else's for ever: %q %s", lines(p), p.Notes[0].Text)
	}
}

func TestAnAccountOfSomebodyElseByNowIsNotDeactivated(t *testing.T) {
	w := newWorld().synced("bob").rootly(account("ann")).linked("ann").touch(func(u *scimclient.User) { u.ExternalID = "other-idp" })
	if p := w.mustPlan(t); !p.Empty() {
		t.Errorf("the account carries the externalId of somebody else: %q", lines(p))
	}
}

func TestAGroupOfSomebodyElseByNowIsAConflict(t *testing.T) {
	w := newWorld().synced("bob", "ann").syncedGroup("oncall-a", "bob")
	w.in.groups[0].ExternalID = "other-idp"
	w.in.groups[0].Members = append(w.in.groups[0].Members, scimclient.Member{Value: "t-ann"})
	if p := w.mustPlan(t); !p.Empty() {
		t.Errorf("the group carries the externalId of somebody else: %q", lines(p))
	}
}

// Whom we cannot judge or must not touch yet keeps their place, whether or not we link their account.
func TestUnlinkedPeopleInDoubtKeepTheirMemberships(t *testing.T) {
	for name, edit := range map[string]func(u *connectors.User){
		"not activated yet":          func(u *connectors.User) { u.Status = connectors.StatusStaged },
		"a userName that is no mail": func(u *connectors.User) { u.UserName = "eve" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld().synced("bob").directory(staff("eve")).change(edit).rootly(account("eve")).syncedGroup("oncall-a", "bob", "eve")
			if p := w.mustPlan(t); !p.Empty() {
				t.Errorf("the directory has eve in the group: %q", lines(p))
			}
		})
	}
}

func TestARefillThatDoesNotComeDoesNotEmptyAGroup(t *testing.T) {
	w := newWorld().synced("ann", "bob", "cid", "dan").directory(staff("new")).
		group("oncall-a", "new").rootlyGroup("oncall-a", "ann", "bob").linkedGroup("oncall-a", "ann", "bob").
		group("oncall-b", "new").rootlyGroup("oncall-b", "cid", "dan").linkedGroup("oncall-b", "cid", "dan")
	w.in.ledger.Waiting = []Waiting{{Kind: KindUser, Source: "u-new", Verb: VerbCreate, Attempts: 3, Next: noon.Add(time.Hour), Reason: "400"}}
	p := w.mustPlan(t)
	if len(taken(p)) > 0 {
		t.Errorf("two groups are left empty, the limit is one, and no objection: %q %+v", lines(p), p.Objections)
	}
}

func TestAFrozenMemberKeepsAHandMadeGroupFromBeingTakenOver(t *testing.T) {
	w := newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.UserName = "ann" }). // for one day
													group("oncall-a", "bob").rootlyGroup("oncall-a", "bob", "ann")
	w.in.groups[0].ExternalID = ""
	p := w.mustPlan(t)
	if slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Object.Kind == KindGroup }) {
		t.Errorf("taken over without a yes, and ann goes once she is mended: %q", lines(p))
	}
}

func TestAnOpenCreationTakesOverNoHandMadeGroup(t *testing.T) {
	w := newWorld().synced("bob", "ann").group("oncall-a", "bob").rootlyGroup("oncall-a", "bob", "ann")
	w.in.groups[0].ExternalID = ""
	w.in.ledger.Open = []Intent{{ID: 1, Cycle: 1, Group: &GroupValues{DisplayName: "oncall-a", ExternalID: "g-oncall-a"},
		Change: Change{Verb: VerbCreate, Object: Ref{Kind: KindGroup, Source: "g-oncall-a", Name: "oncall-a"}}}}
	w.in.ledger, _ = resolve(w.in.ledger, w.in)
	if p := w.mustPlan(t); len(taken(p)) > 0 {
		t.Errorf("the request may never have been sent, the group is somebody's: %q", lines(p))
	}
}

func TestOpenIntentsThatDidNotHappenAreNotDone(t *testing.T) {
	w := newWorld().synced("bob", "ann").syncedGroup("oncall-a", "bob", "ann")
	wrote := *w.in.ledger.Users["u-bob"].User
	wrote.Phones = []connectors.Phone{{Type: "mobile", Value: "+14155550100"}}
	bob, group := Ref{Kind: KindUser, Source: "u-bob", Target: "t-bob"}, Ref{Kind: KindGroup, Source: "g-oncall-a", Target: "tg-oncall-a"}
	w.in.ledger.Open = []Intent{
		{ID: 1, User: &wrote, Change: Change{Verb: VerbUpdate, Object: bob, Fields: []Field{{Name: "phoneNumbers.mobile", To: "+14155550100"}}}},
		{ID: 2, User: &wrote, Change: Change{Verb: VerbUpdate, Object: bob, Fields: []Field{{Name: "emails", From: "bob@acme.com", To: "bobby@acme.com"}}}},
		{ID: 3, Group: &GroupValues{DisplayName: "oncall-a"}, Change: Change{Verb: VerbRemove, Object: group, Members: []Membership{{User: Ref{Kind: KindUser, Source: "u-ann", Target: "t-ann"}}}}},
		{ID: 4, Group: &GroupValues{DisplayName: "oncall-z"}, Change: Change{Verb: VerbUpdate, Object: group, Fields: []Field{{Name: "displayName", From: "oncall-a", To: "oncall-z"}}}},
	}
	_, rs := resolve(w.in.ledger, w.in)
	for _, r := range rs {
		if r.Outcome == OutcomeDone {
			t.Errorf("intent %d is recorded as done, and Rootly shows nothing of it", r.Intent)
		}
	}
}

// Whoever was created in the run that put them into a group had no SCIM id in its plan.
func TestAnOpenAdditionOfANewcomerIsSettled(t *testing.T) {
	for name, tc := range map[string]struct {
		members []string
		want    Outcome
	}{
		"the request arrived":       {[]string{"bob", "ann"}, OutcomeDone},
		"the request never arrived": {[]string{"bob"}, OutcomeFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld().synced("bob", "ann").syncedGroup("oncall-a", tc.members...)
			w.in.ledger.Open = []Intent{{ID: 1, Group: &GroupValues{DisplayName: "oncall-a", ExternalID: "g-oncall-a"}, Change: Change{
				Verb: VerbAdd, Object: Ref{Kind: KindGroup, Source: "g-oncall-a", Target: "tg-oncall-a", Name: "oncall-a"},
				Members: []Membership{{User: Ref{Kind: KindUser, Source: "u-ann", Name: "ann@acme.com"}}},
			}}}
			if _, rs := resolve(w.in.ledger, w.in); len(rs) != 1 || rs[0].Outcome != tc.want {
				t.Errorf("resolutions %+v, want %s", rs, tc.want)
			}
		})
	}
}

// A group that was deleted by hand is made anew. If the answer is lost, the group is found by its externalId, whatever the
// old link says.
func TestAGroupMadeByALostAnswerIsFoundThoughAnOldLinkDangles(t *testing.T) {
	w := newWorld().synced("ann").group("oncall-a", "ann").linkedGroup("oncall-a", "ann").rootlyGroup("oncall-a", "ann")
	w.in.groups[0].ID, w.in.groups[0].ExternalID = "tg-new", "g-oncall-a"
	group, values := Ref{Kind: KindGroup, Source: "g-oncall-a", Target: "tg-oncall-a"}, &GroupValues{DisplayName: "oncall-a", ExternalID: "g-oncall-a"}
	ann := Membership{User: Ref{Kind: KindUser, Source: "u-ann", Target: "t-ann"}}
	w.in.ledger.Open = []Intent{
		{ID: 1, Group: values, Change: Change{Verb: VerbCreate, Object: group}},
		{ID: 2, Group: values, Change: Change{Verb: VerbAdd, Object: group, Members: []Membership{ann}}},
	}
	ledger, rs := resolve(w.in.ledger, w.in)
	for _, r := range rs {
		if r.Outcome != OutcomeDone {
			t.Errorf("intent %d is recorded as %s", r.Intent, r.Outcome)
		}
	}
	if got := ledger.Groups["g-oncall-a"].Target; got != "tg-new" {
		t.Errorf("linked to %q", got)
	}
}

// On a server that hides deactivated accounts an open deactivation was made if the account can no longer be read; else
// whoever returns would be created anew, and be refused.
func TestAnOpenDeactivationOfAHiddenAccountIsDone(t *testing.T) {
	for name, hidden := range map[string]bool{"read by id, it is not there": true, "not asked about": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld().synced("ann", "bob")
			off := *w.in.ledger.Users["u-bob"].User
			off.Active = false
			w.in.users, w.in.hidden = w.in.users[:1], map[string]bool{"t-bob": hidden}
			w.in.ledger.Open = []Intent{{ID: 1, User: &off, Change: Change{
				Verb: VerbDeactivate, Object: Ref{Kind: KindUser, Source: "u-bob", Target: "t-bob"}, Fields: []Field{{Name: "active", From: "true", To: "false"}},
			}}}
			ledger, rs := resolve(w.in.ledger, w.in)
			if done := rs[0].Outcome == OutcomeDone; done != hidden || ledger.Users["u-bob"].User.Active == hidden {
				t.Errorf("outcome %s, link %+v", rs[0].Outcome, ledger.Users["u-bob"].User)
			}
		})
	}
}

// A run that ends between a deactivation and its record leaves it open. It was made all the same, and the day's allowance
// is that much smaller, also for the plan that settles it.
func TestWhatACrashLeftOpenCountsAgainstTheDay(t *testing.T) {
	w := newWorld().synced(names("p", 10)...).leave("p00", "p01", "p02", "p03")
	w.in.users[0].Active = false
	off := *w.in.ledger.Users["u-p00"].User
	off.Active = false
	w.in.ledger.Open = []Intent{{ID: 1, User: &off, Change: Change{
		Verb: VerbDeactivate, Object: Ref{Kind: KindUser, Source: "u-p00", Target: "t-p00"}, Fields: []Field{{Name: "active", From: "true", To: "false"}},
		Spends: map[Axis]int{AxisDeactivations: 1},
	}}}
	var rs []Resolution
	if w.in.ledger, rs = resolve(w.in.ledger, w.in); len(rs) != 1 || rs[0].Outcome != OutcomeDone {
		t.Fatalf("resolutions: %+v", rs)
	}
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if goes, held := deactivated(p); goes != "" || held != "p01 p02 p03" {
		t.Errorf("goes %q, held %q: with the one before they are four of ten, and three may go", goes, held)
	}
}

// Readings of one directory that disagree keep people in a group; they put nobody in.
func TestAnOldReadingPutsNobodyIntoAGroup(t *testing.T) {
	w := newWorld().synced("ann", "bob", "eve").group("oncall-a", "bob").rootlyGroup("oncall-a", "ann", "bob").linkedGroup("oncall-a", "ann", "bob")
	before, err := connectors.NewSnapshot([]connectors.User{staff("ann"), staff("bob"), staff("eve")},
		[]connectors.Group{{ID: "g-oncall-a", Name: "oncall-a", Members: []connectors.UserID{"u-ann", "u-bob", "u-eve"}}})
	if err != nil {
		t.Fatal(err)
	}
	p := w.confirmed(t, &directory{}, &before)
	for _, c := range p.Changes {
		if c.Verb == VerbAdd {
			t.Errorf("%s, whom the directory took out of the group, is put into it: %q", c.Members[0].User.Name, lines(p))
		}
	}
}

func TestAnApprovalOfARenameIsGoodForThatNameOnly(t *testing.T) {
	company := func(to string) *world {
		w := newWorld().synced(names("p", 10)...)
		for i := range 4 {
			w.in.snapshot.Users[i].UserName = fmt.Sprintf("%s%d@acme.com", to, i)
		}
		return w
	}
	set := company("seen").mustPlan(t).Sets[0]
	set.Approved, set.By = noon.Add(-time.Hour), "Ada"
	w := company("other")
	w.in.ledger.Held = []HeldSet{set}
	for _, c := range w.mustPlan(t).Changes {
		if c.renames() {
			t.Errorf("%s was not what Ada saw", c.Object.Name)
		}
	}
}

func TestALeaverIsAskedAboutThoughALargeSetWaits(t *testing.T) {
	all := names("p", maxConfirmations)
	w := newWorld().synced("bob", "zoe").synced(all...).leave("zoe").leave(all...)
	asked := finder{&directory{people: map[connectors.UserID]connectors.Found{}}}
	for _, u := range w.in.snapshot.Users {
		asked.people[u.ID] = connectors.Found{Known: true, User: u}
	}
	p := w.confirmed(t, asked, nil)
	for range 3 { // while the set waits for its yes
		p = w.nextRun(p).confirmed(t, asked, nil)
	}
	for _, s := range p.Sets {
		if slices.ContainsFunc(s.Items, func(i HeldItem) bool { return strings.HasPrefix(i.Name, "zoe") }) {
			return
		}
	}
	if goes, _ := deactivated(p); !strings.Contains(goes, "zoe") {
		t.Error("zoe is never asked about: neither goes nor can be approved")
	}
}

func TestOneMemberOfARemovalSpendsOne(t *testing.T) {
	w := newWorld().synced(names("p", 20)...).group("oncall-a", names("p", 20)[8:]...).
		rootlyGroup("oncall-a", names("p", 20)...).linkedGroup("oncall-a", names("p", 20)...)
	p, err := w.mustPlan(t).Only("p00@acme.com")
	if err != nil || len(p.Changes) != 1 || len(p.Changes[0].Members) != 1 {
		t.Fatalf("%v %q", err, lines(p))
	}
	if n := p.Changes[0].Spends[AxisMemberships]; n != 1 {
		t.Errorf("one removal spends %d of the day's allowance", n)
	}
}

func TestStorelessTellsOfTwoAccountsOfOnePerson(t *testing.T) {
	w := newWorld().synced("bob").directory(staff("ann")).leave("ann").rootly(account("ann"), account("ann")).
		touch(func(u *scimclient.User) { u.ID, u.UserName = "t-ann-2", "ann.two@acme.com" })
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	l, err := derive(context.Background(), still{}, r, w.in)
	if err != nil {
		t.Fatal(err)
	}
	w.in.ledger = l
	p := w.mustPlan(t)
	if !p.Empty() || !slices.ContainsFunc(p.Notes, func(n Note) bool { return n.Kind == NoteConflict && strings.Contains(n.Text, "2 accounts") }) {
		t.Errorf("two active accounts carry her externalId, and nobody is told: %q", lines(p))
	}
}

// A server that never keeps two attributes is tried twice for each, not for ever.
func TestStuckAttributesComeToRest(t *testing.T) {
	w := newWorld().synced("ann").change(func(u *connectors.User) { u.FamilyName = "Smith" })
	target := &refusing{held: held{users: w.in.users}, forgets: []string{"name"}}
	for run := range 20 {
		if run == 3 {
			w.change(func(u *connectors.User) { u.Email = "a@other.com" })
			target.forgets = append(target.forgets, "emails")
		}
		p := w.run(t, target)
		if run > 15 && len(p.Changes) > 0 {
			t.Errorf("run %d: %q", run, lines(p))
		}
	}
}

func TestMembersThatDoNotStickComeToRest(t *testing.T) {
	w := newWorld().synced("ann", "bob").group("oncall-a", "ann", "bob").rootlyGroup("oncall-a", "ann").linkedGroup("oncall-a", "ann")
	target := &refusing{held: held{users: w.in.users, groups: w.in.groups}}
	var p Plan
	for range 6 {
		p = w.run(t, target)
	}
	if len(p.Changes) > 0 || len(p.Notes) == 0 {
		t.Errorf("the sixth run tries it again, and no note says so: %q", lines(p))
	}
}

func TestAReactivationThatIsNotKeptIsNobodysHand(t *testing.T) {
	w := newWorld().synced("bob", "ann").touch(func(u *scimclient.User) { u.Active = false })
	w.in.ledger.Users["u-ann"].User.Active = false                                  // by us
	target := &refusing{held: held{users: w.in.users}, forgets: []string{"active"}} // no seat is free, say
	w.run(t, target)
	p := w.mustPlan(t)
	if slices.ContainsFunc(p.Notes, func(n Note) bool { return n.Kind == NoteByHand }) {
		t.Errorf("we could not reactivate ann, and say that somebody else deactivated her: %q", lines(p))
	}
}

func TestChangingTheWorkAddressLeavesOtherAddresses(t *testing.T) {
	w := newWorld().synced("ann").change(func(u *connectors.User) { u.Email = "a@other.com" }).
		touch(func(u *scimclient.User) {
			u.Emails = append(u.Emails, scimclient.Email{Value: "ann@home.example", Type: "home"})
		})
	target := &refusing{held: held{users: w.in.users}}
	w.run(t, target)
	if es := target.users[0].Emails; !slices.ContainsFunc(es, func(e scimclient.Email) bool { return e.Type == "home" }) {
		t.Errorf("an address that nobody here manages is gone: %+v", es)
	}
}

func TestACreationThatLinksAnExistingGroupTakesNobodyOut(t *testing.T) {
	w := newWorld().synced("bob", "ann").group("oncall-a", "bob")
	target := &refusing{held: held{users: w.in.users}, inGroup: []string{"t-ann"}}
	w.run(t, target)
	w.in.groups = target.groups
	if p := w.mustPlan(t); len(taken(p)) > 0 {
		t.Errorf("Rootly linked a hand-made group; its members go without a yes: %q", lines(p))
	}
}

// A group that was created and then not filled is ours, unless the server answered with one that has other members.
func TestACreatedGroupWhoseMembersAreRefused(t *testing.T) {
	refusal := &scimclient.Error{Op: "change members", Status: http.StatusNotFound}
	notKept := &scimclient.NotKeptError{Op: "change members", Attributes: []string{"members"}, Members: []string{"t-bob"}}
	for name, tc := range map[string]struct {
		err     error
		inGroup []string
		want    []Outcome // of the creation and of the addition
		linked  bool
	}{
		"refused":                              {refusal, nil, []Outcome{OutcomeDone, OutcomeFailed}, true},
		"refused, with members of its own":     {refusal, []string{"t-ann"}, []Outcome{OutcomeFailed, OutcomeFailed}, false},
		"not let in":                           {notKept, nil, []Outcome{OutcomeNotKept, OutcomeNotKept}, true},
		"not let in, with members of its own":  {notKept, []string{"t-ann"}, []Outcome{OutcomeFailed, OutcomeFailed}, false},
		"all is well, with members of its own": {nil, []string{"t-ann"}, []Outcome{OutcomeFailed, OutcomeFailed}, false},
	} {
		w := newWorld().synced("bob", "ann").group("oncall-a", "bob")
		target := &refusing{held: held{users: w.in.users}, inGroup: tc.inGroup, created: tc.err}
		j := w.apply(t, target, w.mustPlan(t))
		var got []Outcome
		linked := false
		for _, s := range j.settled {
			got, linked = append(got, s.Outcome), linked || s.Link != nil
		}
		if !slices.Equal(got, tc.want) || linked != tc.linked {
			t.Errorf("%s: %v, linked %t", name, got, linked)
		}
	}
}

func TestAShortReadIsNotKeptAsTheLastGoodOne(t *testing.T) {
	w := fourOfTen()
	w.in.findings = lookups(contradicted, "p00")
	j := w.apply(t, &refusing{held: held{users: w.in.users}}, w.mustPlan(t))
	if j.kept {
		t.Error("a read that the directory itself contradicts is a witness of the next run's absences")
	}
}

// run plans and applies once, and brings the world's ledger and Rootly forward.
func (w *world) run(t *testing.T, target *refusing) Plan {
	t.Helper()
	w.in.users = target.users
	if len(target.groups) > 0 {
		w.in.groups = target.groups
	}
	p := w.mustPlan(t)
	j := w.apply(t, target, p)
	for _, s := range j.settled {
		if s.Link == nil {
			continue
		}
		if s.Link.Kind == KindUser {
			w.in.ledger.Users[connectors.UserID(s.Link.Source)] = *s.Link
		} else {
			w.in.ledger.Groups[connectors.GroupID(s.Link.Source)] = *s.Link
		}
	}
	w.nextRun(p)
	return p
}

func (w *world) apply(t *testing.T, target Target, p Plan) *scribe {
	t.Helper()
	j := &scribe{}
	if _, err := (&Applier{Target: target, Journal: j, Concurrency: 1, Now: func() time.Time { return noon }}).Apply(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	return j
}

// A scribe is a journal that is only looked at. Its applier has one worker.
type scribe struct {
	settled []Settled
	kept    bool
}

func (j *scribe) Begin(context.Context, time.Time) (int64, error)        { return 1, nil }
func (j *scribe) Resolve(context.Context, []Resolution) error            { return nil }
func (j *scribe) Refresh(context.Context, []Link) error                  { return nil }
func (j *scribe) Link(context.Context, int64, []Change, []Link) error    { return nil }
func (j *scribe) Hold(context.Context, int64, []HeldSet) error           { return nil }
func (j *scribe) Finish(context.Context, int64, CycleSummary) error      { return nil }
func (j *scribe) Keep(context.Context, int64, connectors.Snapshot) error { j.kept = true; return nil }
func (j *scribe) Settle(_ context.Context, s Settled) error {
	j.settled = append(j.settled, s)
	return nil
}
func (j *scribe) Intend(context.Context, int64, Change, *UserValues, *GroupValues) (int64, error) {
	return 1, nil
}

// refusing is a target that accepts updates, does not keep the attributes it forgets, and never a member. A created
// group has members already.
type refusing struct {
	held
	forgets []string
	inGroup []string
	created error // beside a created group
}

func (r *refusing) CreateUser(context.Context, scimclient.User) (scimclient.User, error) {
	return scimclient.User{}, fmt.Errorf("not here")
}

func (r *refusing) UpdateUser(_ context.Context, id string, e scimclient.UserEdit) (scimclient.User, error) {
	for i := range r.users {
		u := &r.users[i]
		if u.ID != id {
			continue
		}
		var lost []string
		keep := func(name string, set bool, do func()) {
			switch {
			case !set:
			case slices.Contains(r.forgets, name):
				lost = append(lost, name)
			default:
				do()
			}
		}
		keep("userName", e.UserName != nil, func() { u.UserName = *e.UserName })
		keep("name", e.GivenName != nil, func() { u.GivenName, u.FamilyName = *e.GivenName, *e.FamilyName })
		keep("displayName", e.DisplayName != nil, func() { u.DisplayName = *e.DisplayName })
		keep("emails", e.Emails != nil, func() { u.Emails = *e.Emails })
		keep("active", e.Active != nil, func() { u.Active = *e.Active })
		if len(lost) > 0 {
			return *u, &scimclient.NotKeptError{Op: "update user", Attributes: lost}
		}
		return *u, nil
	}
	return scimclient.User{}, notThere
}
func (r *refusing) DeleteUser(context.Context, string) error { return nil }
func (r *refusing) CreateGroup(_ context.Context, g scimclient.Group) (scimclient.Group, error) {
	g.ID = "tg-new"
	for _, id := range r.inGroup {
		g.Members = append(g.Members, scimclient.Member{Value: id, Type: "User"})
	}
	r.groups = append(r.groups, g)
	return g, r.created
}
func (r *refusing) UpdateGroup(context.Context, string, scimclient.GroupEdit) (scimclient.Group, error) {
	return scimclient.Group{}, fmt.Errorf("not here")
}
func (r *refusing) ChangeMembers(_ context.Context, id string, add, remove []string) (scimclient.Group, error) {
	for _, g := range r.groups {
		if g.ID == id {
			return g, &scimclient.NotKeptError{Op: "change members", Attributes: []string{"members"}, Members: append(add, remove...)}
		}
	}
	return scimclient.Group{}, notThere
}
func (r *refusing) DeleteGroup(context.Context, string) error { return nil }
func (r *refusing) Probe(context.Context) error               { return nil }

// Rootly may have two groups of one name; which of them the listing has last decides nothing.
func TestTheOrderOfGroupsOfOneNameDoesNotMatter(t *testing.T) {
	plan := func(order ...int) []string {
		w := newWorld().synced("bob").
			group("oncall-a").rootlyGroup("oncall-old").linkedGroup("oncall-old").
			group("oncall-new").rootlyGroup("oncall-a").rootlyGroup("oncall-a")
		delete(w.in.ledger.Groups, "g-oncall-old")
		link := func(source, target, name string) {
			w.in.ledger.Groups[connectors.GroupID(source)] = Link{Kind: KindGroup, Source: source, Target: target, Group: &GroupValues{DisplayName: name, ExternalID: source}}
		}
		link("g-oncall-a", "1", "oncall-old") // 1 is to be called oncall-a, 2 is to give that name up, 3 is nobody's
		link("g-oncall-new", "2", "oncall-a")
		for i, external := range []string{"g-oncall-a", "g-oncall-new", ""} {
			w.in.groups[i].ID, w.in.groups[i].ExternalID = fmt.Sprint(i+1), external
		}
		all := slices.Clone(w.in.groups)
		for i, n := range order {
			w.in.groups[i] = all[n]
		}
		return lines(w.mustPlan(t))
	}
	if one, other := plan(0, 1, 2), plan(0, 2, 1); !slices.Equal(one, other) {
		t.Errorf("one order %q, the other %q", one, other)
	}
}

func TestNothingIsSentBeforeWhatItWaitsFor(t *testing.T) {
	w := newWorld().synced("bob", "cid").change(func(u *connectors.User) { u.UserName = "cyd@acme.com" }).touch(func(u *scimclient.User) { u.Active = false }).
		synced("ben").change(func(u *connectors.User) { u.UserName = "cid@acme.com" }).
		directory(staff("new")).change(func(u *connectors.User) { u.UserName = "ben@acme.com" })
	w.in.ledger.Users["u-cid"].User.Active = false // by us: cid is back under another name, ben gets the old one, new gets ben's
	p := w.mustPlan(t)
	at := map[string]phase{}
	for ph, ss := range steps(p.Changes) {
		for _, s := range ss {
			for _, c := range s {
				at[c.Key()] = phase(ph)
			}
		}
	}
	for _, c := range p.Changes {
		for _, k := range c.After {
			if at[k] > at[c.Key()] {
				t.Errorf("%s is sent before %s, which it waits for: %q", c.Key(), k, lines(p))
			}
		}
	}
}
