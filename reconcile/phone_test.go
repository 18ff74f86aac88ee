package reconcile_test

import (
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// calls installs a company whose first person, by login, has the number that is returned, and syncs it twice.
func calls(t *testing.T, scim sim.SCIMOptions) (in *installation, login string) {
	t.Helper()
	in = install(t, t.TempDir(), sim.Config{Seed: 5, People: 12, Groups: 3, SCIM: scim}, nil)
	t.Cleanup(func() { in.store.Close() })
	if r := in.mustCycle(); r.Count(reconcile.OutcomeDone) != len(r.Results) {
		t.Fatalf("the first run:%s", failures(r))
	}
	in.quiet()
	for _, p := range in.sim.Company.People() {
		if u, ok := in.sim.SCIM.User(p.Login); ok && u.Active && p.MobilePhone != "" {
			return in, p.Login
		}
	}
	t.Fatal("nobody has a number")
	return nil, ""
}

// quiet wants the next plan to be empty.
func (in *installation) quiet() {
	in.t.Helper()
	if p, err := in.plan(); err != nil || !p.Empty() || len(p.Held) > 0 {
		in.t.Fatalf("the plan is not empty: %v\n%s", err, describe(p))
	}
}

// call gives somebody another number in the directory and wants it written by one change.
func (in *installation) call(login, number, want string) {
	in.t.Helper()
	if err := in.sim.Company.EditPerson(login, func(p *sim.Person) { p.MobilePhone = number }); err != nil {
		in.t.Fatalf("%v", err)
	}
	r := in.mustCycle()
	if len(r.Results) != 1 || r.Results[0].Outcome != reconcile.OutcomeDone {
		in.t.Fatalf("the number %q: %s%s", number, describe(r.Plan), failures(r))
	}
	var got []string
	u, _ := in.sim.SCIM.User(login)
	for _, p := range u.Phones {
		got = append(got, p.Value)
	}
	if strings.Join(got, " ") != want {
		in.t.Fatalf("the number %q is kept as %q, want %q", number, got, want)
	}
	in.quiet()
}

func TestPhonesAreComparedAsNumbers(t *testing.T) {
	in, login := calls(t, sim.RootlyLike())
	in.call(login, "(415) 555-0177", "+14155550177")
	if err := in.sim.Company.EditPerson(login, func(p *sim.Person) { p.MobilePhone = "+1 415-555-0177" }); err != nil {
		t.Fatal(err)
	}
	in.quiet()
}

func TestANumberThatIsNoneIsLeftOutAndNeverWrittenAgain(t *testing.T) {
	in, login := calls(t, sim.RootlyLike())
	if err := in.sim.Company.EditPerson(login, func(p *sim.Person) { p.MobilePhone = "ask at the desk" }); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	for range 3 {
		p, err := in.plan()
		if err != nil || !p.Empty() || !strings.Contains(describe(p), "is no number in region US and is left out") {
			t.Fatalf("plan: %v\n%s", err, describe(p))
		}
		in.mustCycle()
	}
}

func TestWhereNumbersAreNotShownTheLastOneWrittenCounts(t *testing.T) {
	scim := sim.RootlyLike()
	scim.HidePhones = true
	in, login := calls(t, scim)
	in.call(login, "(415) 555-0177", "+14155550177")
	in.call(login, "", "")
	in.call(login, "+49 30 901820", "+4930901820")
	if p, err := in.plan(); err != nil || !strings.Contains(describe(p), "what was written last counts as what is there") {
		t.Errorf("plan: %v\n%s", err, describe(p))
	}
	in.sim.SCIM.SetOptions(func(o *sim.SCIMOptions) { o.HidePhones = false })
	in.quiet()
}

func TestNumbersThatOneAccountAloneDoesNotKeepAreANote(t *testing.T) {
	in, login := calls(t, sim.RootlyLike())
	in.sim.SCIM.SetOptions(func(o *sim.SCIMOptions) { o.Forgets = []string{"phoneNumbers"} })
	if err := in.sim.Company.EditPerson(login, func(p *sim.Person) { p.MobilePhone = "(415) 555-0177" }); err != nil {
		t.Fatal(err)
	}
	in.mustCycle()
	in.mustCycle()
	p, err := in.plan()
	if err != nil || !p.Empty() || !strings.Contains(describe(p), "not kept: "+login) {
		t.Errorf("plan: %v\n%s", err, describe(p))
	}
}
