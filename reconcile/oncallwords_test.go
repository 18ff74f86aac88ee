package reconcile

import (
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func TestWordsOfADuty(t *testing.T) {
	shift := func(schedule string, from, to time.Duration) Shift {
		return Shift{Schedule: schedule, Starts: noon.Add(from), Ends: noon.Add(to)}
	}
	const week = 7 * 24 * time.Hour
	tokyo := time.FixedZone("", 9*60*60)
	tests := map[string]struct {
		duty  Duty
		text  string
		paged bool
	}{
		"nothing":                   {},
		"now":                       {Duty{Shifts: []Shift{shift("A", -time.Hour, time.Hour)}}, "on call now: A until Mon 2 Mar 13:00 UTC", true},
		"soon":                      {Duty{Shifts: []Shift{shift("A", 24*time.Hour, 25*time.Hour)}}, "has a shift: A from Tue 3 Mar 12:00 UTC", true},
		"now comes before soon":     {Duty{Shifts: []Shift{shift("B", 24*time.Hour, 25*time.Hour), shift("A", -time.Hour, time.Hour)}}, "on call now: A until Mon 2 Mar 13:00 UTC", true},
		"at the horizon":            {Duty{Shifts: []Shift{shift("A", week, 2*week)}}, "", false},
		"just before the horizon":   {Duty{Shifts: []Shift{shift("A", week-time.Minute, 2*week)}}, "has a shift: A from Mon 9 Mar 11:59 UTC", true},
		"over for three minutes":    {Duty{Shifts: []Shift{shift("A", -time.Hour, -3*time.Minute)}}, "on call now: A until Mon 2 Mar 11:57 UTC", true},
		"over for six minutes":      {Duty{Shifts: []Shift{shift("A", -time.Hour, -6*time.Minute)}}, "", false},
		"begins in three minutes":   {Duty{Shifts: []Shift{shift("A", 3*time.Minute, time.Hour)}}, "on call now: A until Mon 2 Mar 13:00 UTC", true},
		"written in another zone":   {Duty{Shifts: []Shift{{"A", noon.In(tokyo).Add(-time.Hour), noon.In(tokyo).Add(time.Hour)}}}, "on call now: A until Mon 2 Mar 13:00 UTC", true},
		"a shift and a rotation":    {Duty{Shifts: []Shift{shift("A", -time.Hour, time.Hour)}, Rotations: []string{"A"}}, "on call now: A until Mon 2 Mar 13:00 UTC", true},
		"a rotation":                {Duty{Rotations: []string{"A", "B"}}, "in the rotation of A and B", false},
		"an escalation":             {Duty{Escalations: []string{"A (level 2)"}}, "paged by the escalation policy A (level 2)", false},
		"both":                      {Duty{Rotations: []string{"A"}, Escalations: []string{"B (level 1)"}}, "in the rotation of A; paged by the escalation policy B (level 1)", false},
		"four are named":            {Duty{Rotations: []string{"A", "B", "C", "D"}}, "in the rotation of A, B, C and D", false},
		"of five, three are named":  {Duty{Rotations: []string{"A", "B", "C", "D", "E"}}, "in the rotation of A, B, C and 2 more", false},
		"a shift that is past, too": {Duty{Shifts: []Shift{shift("A", -2*week, -week)}, Rotations: []string{"A"}}, "in the rotation of A", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := &duties{of: map[connectors.UserID]Duty{"u-ann": tc.duty}}
			if text, paged := a.text(&person{id: "u-ann"}, noon, week); text != tc.text || paged != tc.paged {
				t.Errorf("%q, %v; want %q, %v", text, paged, tc.text, tc.paged)
			}
		})
	}
}

func TestADisabledStrangerWhoIsOnCallIsLinkedToBeTimed(t *testing.T) {
	w := newWorld().synced("bo").directory(staff("ann")).rootly(account("ann"))
	w.change(func(u *connectors.User) { u.Status, u.StatusDetail = connectors.StatusDisabled, "SUSPENDED" })
	w.in.duties = &duties{asked: map[string]bool{"u-ann": true}, of: map[connectors.UserID]Duty{"u-ann": {Shifts: []Shift{{"A", noon, noon.Add(time.Hour)}}}}}
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Held) != 1 || len(p.refresh) != 1 || p.refresh[0].Target != "t-ann" || !p.refresh[0].OnCall.Equal(noon) {
		t.Errorf("held %v, links %+v", lines(p), p.refresh)
	}
}
