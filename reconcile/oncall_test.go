package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/rootly"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

const (
	ann, bo = "ann@acme.example", "bo@acme.example"
	primary = "Payments primary"
	aDay    = 24 * time.Hour
)

// staffed is an installation in which ann and bo share a pushed group and a schedule, and Rootly's API is asked.
func staffed(t *testing.T, edit func(o *reconcile.RuleOptions)) *installation {
	t.Helper()
	var in *installation
	cfg := sim.Config{Seed: 1, People: 6, Groups: -1, SCIM: sim.RootlyLike(), Rootly: sim.RootlyOptions{Now: func() time.Time { return in.clock }}}
	in = install(t, t.TempDir(), cfg, edit)
	t.Cleanup(func() { in.store.Close() })
	_, transport := in.sim.InProcess()
	pager, err := rootly.New(rootly.Options{BaseURL: in.ends.RootlyURL, APIKey: func() string { return in.ends.RootlyAPIKey }, Transport: transport, Now: in.now})
	if err != nil {
		t.Fatal(err)
	}
	in.planner.Pager = pager
	in.planner.Previous = in.previous
	_, err = in.sim.Company.CreateGroup(sim.Group{Name: "oncall-payments", Type: "OKTA_GROUP"})
	check(t, err)
	for _, login := range []string{ann, bo} {
		_, err := in.sim.Company.Join(sim.Person{Login: login, Email: login, FirstName: "A", LastName: "B", Department: "SRE", Direct: true, Status: sim.StatusActive}, "oncall-payments")
		check(t, err)
	}
	in.mustCycle()
	check(t, in.sim.Rootly.AddSchedule(primary))
	return in
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// shift gives somebody a shift that begins and ends so long after the first cycle.
func (in *installation) shift(t *testing.T, who string, from, to time.Duration) {
	t.Helper()
	check(t, in.sim.Rootly.AddShift(primary, who, in.clock.Add(from), in.clock.Add(to)))
}

// previous is the last good snapshot of the store.
func (in *installation) previous(ctx context.Context) (*connectors.Snapshot, error) {
	s, _, err := in.store.Previous(ctx)
	return s, err
}

func (in *installation) active(who string) bool {
	u, _ := in.sim.SCIM.User(who)
	return u.Active
}

// stays tells whether somebody is as before, membership included.
func (in *installation) stays(who string) bool {
	return in.active(who) && slices.Contains(in.sim.SCIM.MembersOf("oncall-payments"), who)
}

// kinds are the notes of a plan about one person.
func kinds(p reconcile.Plan, who string) string {
	var out []string
	for _, n := range p.Notes {
		if n.Object.Name == who {
			out = append(out, string(n.Kind))
		}
	}
	return strings.Join(out, ", ")
}

// TestOnCallMatrix lets ann leave in each way and each situation under each policy, runs a cycle every twelve hours, and
// says when she goes and with which note. A shift in it never ends: only the longest hold ends it.
func TestOnCallMatrix(t *testing.T) {
	const at0, never = time.Duration(0), time.Duration(-1)
	leaves := map[string]struct {
		leave func(c *sim.Company) error
		first time.Duration // when the directory has confirmed it: who is gone must be absent from two reads
		hold  time.Duration
	}{
		"disabled":   {func(c *sim.Company) error { return c.Suspend(ann) }, at0, 2 * aDay},
		"unassigned": {func(c *sim.Company) error { return c.Unassign(ann) }, at0, 7 * aDay},
		"gone":       {func(c *sim.Company) error { return errors.Join(c.Leave(ann), c.Delete(ann)) }, 12 * time.Hour, 7 * aDay},
	}
	situations := map[string]struct {
		arrange    func(t *testing.T, in *installation)
		held       bool   // under the policy hold
		text       string // what the plan says of her
		err        bool
		holdNote   string // with which she goes under hold
		warnNote   string
		keyRefused bool
	}{
		"on call now": {func(t *testing.T, in *installation) { in.shift(t, ann, -time.Hour, 60*aDay) },
			true, "on call now: Payments primary until Fri 1 May 12:00 UTC", false, "released", "on call", false},
		"shift soon": {func(t *testing.T, in *installation) { in.shift(t, ann, 5*aDay, 60*aDay) },
			true, "has a shift: Payments primary from Sat 7 Mar 12:00 UTC", false, "released", "on call", false},
		"rotation only": {func(t *testing.T, in *installation) { check(t, in.sim.Rootly.AddSchedule("Search", ann, bo)) },
			false, "in the rotation of Search", false, "on call", "on call", false},
		"escalation only": {func(t *testing.T, in *installation) { check(t, in.sim.Rootly.AddPolicy("Payments", primary, ann)) },
			false, "paged by the escalation policy Payments (level 1)", false, "on call", "on call", false},
		"nothing": {func(*testing.T, *installation) {}, false, "", false, "", "", false},
		"API down": {func(_ *testing.T, in *installation) {
			in.sim.Faults.Add(sim.Rule{Side: sim.SideRootly, Fault: sim.HTMLPage()})
		}, true, "unknown whether on call", true, "released", "on call", false},
		"key revoked": {func(_ *testing.T, in *installation) {
			in.sim.Faults.Add(sim.Rule{Side: sim.SideRootly, Fault: sim.Refusal(401)})
		}, true, "unknown whether on call", true, "released", "on call", true},
	}
	for leaving, l := range leaves {
		for situation, s := range situations {
			for _, policy := range []reconcile.OnCallPolicy{reconcile.HoldOnCall, reconcile.WarnOnCall, reconcile.IgnoreOnCall} {
				t.Run(string(policy)+"/"+leaving+"/"+situation, func(t *testing.T) {
					t.Parallel()
					in := staffed(t, func(o *reconcile.RuleOptions) { o.OnCall.Policy = policy })
					s.arrange(t, in)
					check(t, l.leave(in.sim.Company))
					in.sim.Log.Reset()
					start, went, note := in.clock, never, ""
					for went == never && in.clock.Sub(start) < 10*aDay {
						r := in.mustCycle()
						after := in.clock.Sub(start)
						if in.active(ann) {
							if !in.stays(ann) {
								t.Fatalf("after %s she is active and lost her group", after)
							}
							if after >= l.first && (len(r.Plan.Held) != 1 || r.Plan.Held[0].Held != r.Plan.Held[0].OnCall || len(r.Plan.OnCall.Held) != 1 || len(r.Plan.Objections) > 0) {
								t.Fatalf("after %s: %s%+v", after, describe(r.Plan), r.Plan.OnCall)
							}
						} else {
							went, note = after, kinds(r.Plan, ann)
						}
						if after == l.first && policy != reconcile.IgnoreOnCall {
							if got := onCallText(r.Plan); got != s.text {
								t.Errorf("the plan says %q, want %q", got, s.text)
							}
							if o := r.Plan.OnCall; o == nil || o.Asked != 1 || (o.Error != "") != s.err || o.Refused != s.keyRefused {
								t.Errorf("the plan's word about Rootly: %+v", o)
							}
						}
						in.clock = in.clock.Add(12 * time.Hour)
					}
					wantWent, wantNote := l.first, ""
					switch {
					case policy == reconcile.HoldOnCall && s.held:
						wantWent, wantNote = l.first+l.hold, s.holdNote
					case policy == reconcile.HoldOnCall:
						wantNote = s.holdNote
					case policy == reconcile.WarnOnCall:
						wantNote = s.warnNote
					}
					if went != wantWent || note != wantNote {
						t.Errorf("went after %s with note %q, want %s and %q", went, note, wantWent, wantNote)
					}
					if asked := in.sim.Log.Count("", "/v1/"); (asked == 0) != (policy == reconcile.IgnoreOnCall) {
						t.Errorf("Rootly was asked %d times", asked)
					}
					if p, err := in.plan(); err != nil || !p.Empty() || len(p.Held) > 0 {
						t.Errorf("the plan after it: %v\n%s", err, describe(p))
					}
				})
			}
		}
	}
}

// onCallText is what a plan says of the one who leaves in it.
func onCallText(p reconcile.Plan) string {
	for _, c := range slices.Concat(p.Changes, p.Held) {
		if c.Verb == reconcile.VerbDeactivate {
			return c.OnCall
		}
	}
	return "nobody leaves"
}

func TestAHoldEndsWithTheShift(t *testing.T) {
	tests := map[string]struct {
		then func(t *testing.T, in *installation)
		note string
	}{
		"somebody else has it": {func(t *testing.T, in *installation) { check(t, in.sim.Rootly.Cover(primary, ann, bo)) }, "covered"},
		"it is over":           {func(_ *testing.T, in *installation) { in.clock = in.clock.Add(9 * time.Hour) }, "covered"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			in := staffed(t, nil)
			in.shift(t, ann, -time.Hour, 8*time.Hour)
			check(t, in.sim.Company.Suspend(ann))
			in.mustCycle()
			if !in.stays(ann) {
				t.Fatal("she did not stay")
			}
			tc.then(t, in)
			r := in.mustCycle()
			if in.active(ann) || kinds(r.Plan, ann) != tc.note {
				t.Errorf("active %v\n%s", in.active(ann), describe(r.Plan))
			}
		})
	}
}

func TestTheOneWhoCoversIsHeldInTurn(t *testing.T) {
	in := staffed(t, nil)
	in.shift(t, ann, -time.Hour, 8*time.Hour)
	check(t, errors.Join(in.sim.Company.Suspend(ann), in.sim.Company.Suspend(bo)))
	in.sim.Log.Reset()
	in.mustCycle()
	if !in.stays(ann) || in.active(bo) {
		t.Errorf("ann stays %v, bo is active %v", in.stays(ann), in.active(bo))
	}
	if users, shifts := in.sim.Log.Count("GET", "/v1/users"), in.sim.Log.Count("GET", "/v1/shifts"); users != 2 || shifts != 1 {
		t.Errorf("two leavers cost %d look-ups and %d calls for shifts", users, shifts)
	}
}

func TestNobodyIsAskedAboutWithoutLeavers(t *testing.T) {
	in := staffed(t, nil)
	check(t, in.sim.Company.RemoveMember("oncall-payments", bo)) // loses a membership and stays
	check(t, in.sim.Company.Rename(ann, "Anna", "Lund"))
	in.sim.Log.Reset()
	r := in.mustCycle()
	if n := in.sim.Log.Count("", "/v1/"); n != 0 || r.Plan.OnCall != nil {
		t.Errorf("%d requests, %+v", n, r.Plan.OnCall)
	}
}

func TestAShiftCountsUpToTheHorizon(t *testing.T) {
	for days, stays := range map[time.Duration]bool{6: true, 8: false} {
		in := staffed(t, nil)
		in.shift(t, ann, days*aDay, (days+1)*aDay)
		check(t, in.sim.Company.Suspend(ann))
		in.mustCycle()
		if in.stays(ann) != stays {
			t.Errorf("with a shift in %d days: stays %v", days, !stays)
		}
	}
}

func TestTheAccountsOwnAddressFindsThePerson(t *testing.T) {
	in := staffed(t, nil)
	in.shift(t, ann, -time.Hour, 8*time.Hour)
	check(t, in.sim.Company.ChangeEmail(ann, "ann.lund@acme.example"))
	check(t, in.sim.Company.Suspend("ann.lund@acme.example"))
	if in.mustCycle(); !in.stays(ann) {
		t.Error("the directory's new address hid her shift")
	}
}

func TestWhoIsUrgentGoes(t *testing.T) {
	in := staffed(t, func(o *reconcile.RuleOptions) {
		o.OnCall.Urgent = `user.department == "SRE" && user.status == "disabled"`
	})
	in.shift(t, ann, -time.Hour, 8*time.Hour)
	check(t, in.sim.Company.Suspend(ann))
	r := in.mustCycle()
	if in.active(ann) || kinds(r.Plan, ann) != "on call" {
		t.Errorf("active %v\n%s", in.active(ann), describe(r.Plan))
	}
	_, err := reconcile.Compile(reconcile.RuleOptions{Mode: "all", OnCall: reconcile.OnCallOptions{Urgent: "user.departmnt == 1"}})
	if err == nil || !strings.Contains(err.Error(), "on_call.urgent: ") {
		t.Errorf("error %v", err)
	}
}

func TestAReturnEndsTheHoldAndItsClock(t *testing.T) {
	in := staffed(t, nil)
	in.shift(t, ann, -time.Hour, 30*aDay)
	check(t, in.sim.Company.Suspend(ann))
	in.mustCycle()
	check(t, in.sim.Company.Unsuspend(ann))
	in.clock = in.clock.Add(aDay)
	in.mustCycle()
	check(t, in.sim.Company.Suspend(ann))
	in.clock = in.clock.Add(aDay)
	r := in.mustCycle()
	if !in.stays(ann) || !r.Plan.OnCall.Held[0].Since.Equal(in.clock) {
		t.Errorf("held since %v, want %v", r.Plan.OnCall.Held, in.clock)
	}
}

func TestTheGuardsYesAndThePagersAreTwo(t *testing.T) {
	in := staffed(t, func(o *reconcile.RuleOptions) {
		o.Guard = reconcile.Limits{reconcile.AxisDeactivations: {}}
	})
	ctx := t.Context()
	in.shift(t, ann, -time.Hour, 30*aDay)
	check(t, in.sim.Company.Suspend(ann))
	r := in.mustCycle()
	if len(r.Plan.Sets) != 1 || len(r.Plan.OnCall.Held) != 0 || r.Plan.Held[0].OnCall == "" {
		t.Fatalf("the guard comes first and the plan shows both:\n%s", describe(r.Plan))
	}
	_, err := in.store.Approve(ctx, r.Plan.Sets[0].Fingerprint, "erin")
	check(t, err)
	for range 3 { // the guard's yes is used up by the hold: its lapsing after a day takes nothing back
		r = in.mustCycle()
		if !in.stays(ann) || len(r.Plan.Sets) != 1 || r.Plan.Sets[0].Axis != reconcile.AxisOnCall || len(r.Plan.Objections) > 0 {
			t.Fatalf("%s%+v", describe(r.Plan), r.Plan.Sets)
		}
		in.clock = in.clock.Add(15 * time.Hour)
	}
	set := r.Plan.Sets[0]
	if want := "rootly-idp-sync approve " + set.Fingerprint + " --include-on-call"; set.Approval() != want {
		t.Errorf("the command is %q, want %q", set.Approval(), want)
	}
	_, err = in.store.Approve(ctx, set.Fingerprint, "erin")
	check(t, err)
	r = in.mustCycle()
	if in.active(ann) || kinds(r.Plan, ann) != "on call" {
		t.Errorf("active %v\n%s", in.active(ann), describe(r.Plan))
	}
	ledger, err := in.store.Ledger(ctx)
	check(t, err)
	if len(ledger.Held) > 0 {
		t.Errorf("a yes is left over: %+v", ledger.Held)
	}
}

// A pagerFunc answers every question with an error.
type pagerFunc func(ctx context.Context) error

func (f pagerFunc) Duties(ctx context.Context, _ []reconcile.Leaver, _, _ time.Time) (map[connectors.UserID]reconcile.Duty, error) {
	return nil, f(ctx)
}

func TestACancelledQuestionIsNoHold(t *testing.T) {
	in := staffed(t, nil)
	check(t, in.sim.Company.Suspend(ann))
	ctx, cancel := context.WithCancel(t.Context())
	in.planner.Pager = pagerFunc(func(ctx context.Context) error { cancel(); return ctx.Err() })
	ledger, err := in.store.Ledger(t.Context())
	check(t, err)
	if _, err := in.planner.Plan(ctx, ledger, in.clock); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestTheTextSaysWhoIsHeldAndUntilWhen(t *testing.T) {
	in := staffed(t, nil)
	in.shift(t, ann, -time.Hour, 8*time.Hour)
	check(t, in.sim.Company.Suspend(ann))
	p, err := in.plan()
	check(t, err)
	for _, text := range []string{p.Text(reconcile.TextOptions{}), p.Markdown()} {
		for _, want := range []string{
			"on call now: Payments primary until Mon 2 Mar 20:00 UTC", "ends by itself when the shift is somebody else's, and at the latest 2026-03-04 12:00 UTC", "--include-on-call",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in:\n%s", want, text)
			}
		}
	}
	in.sim.Faults.Add(sim.Rule{Side: sim.SideRootly, Fault: sim.Refusal(403)})
	p, err = in.plan()
	check(t, err)
	for _, text := range []string{p.Text(reconcile.TextOptions{}), p.Markdown()} {
		if !strings.Contains(text, "Rootly did not say who is on call: rootly api: 403 looking up a user") || !strings.Contains(text, "renew rootly.api\\_key") && !strings.Contains(text, "renew rootly.api_key") {
			t.Errorf("the refusal is missing in:\n%s", text)
		}
	}
	if !strings.Contains(p.Summary(), "Rootly did not say who is on call.") {
		t.Errorf("summary: %s", p.Summary())
	}
}
