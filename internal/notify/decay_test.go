package notify

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	start   = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	all     = func(Event) bool { return true }
	none    = func(Event) bool { return false }
	trouble = condition{Key: "quarantine", Event: Quarantine, Cause: "endpoint"}
)

// step looks once and delivers everything.
func step(s state, now time.Time, present ...condition) (state, []Phase) {
	s = s.observe(present, all, none, now)
	var phases []Phase
	for _, b := range s.due() {
		phases = append(phases, b.phase)
		s = s.told(b, now)
	}
	return s, phases
}

func TestOneCauseIsToldEverMoreRarely(t *testing.T) {
	var s state
	var days []int
	for hour := 0; hour < 60*24; hour++ {
		var phases []Phase
		if s, phases = step(s, start.Add(time.Duration(hour)*time.Hour), trouble); len(phases) > 0 {
			days = append(days, hour/24)
		}
	}
	if diff := cmp.Diff([]int{0, 1, 2, 3, 6, 9, 12, 19, 26, 33, 40, 47, 54}, days); diff != "" {
		t.Errorf("days with a message (-want +got):\n%s", diff)
	}
	s, phases := step(s, start.Add(60*day))
	if diff := cmp.Diff([]Phase{PhaseRecovered}, phases); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	if s, phases = step(s, start.Add(61*day)); len(phases) > 0 || len(s.Records) > 0 {
		t.Errorf("after the end: %v, and %d records are kept", phases, len(s.Records))
	}
}

func TestWhatEachLookTells(t *testing.T) {
	other := trouble
	other.Cause = "credentials"
	quiet := trouble
	quiet.quiet = true
	held := condition{Key: "on_call_held/1", Event: OnCallHeld}
	released := condition{Key: "on_call_released/1", Event: OnCallReleased, once: true, ends: held.Key}
	type look struct {
		after   time.Duration
		present []condition
		want    []Phase
	}
	tests := map[string][]look{
		"another cause is told at once": {
			{0, []condition{trouble}, []Phase{PhaseFirst}}, {time.Hour, []condition{other}, []Phase{PhaseChanged}}, {time.Hour, []condition{other}, nil},
			{23 * time.Hour, []condition{other}, []Phase{PhaseReminder}},
		},
		"what something else tells is not told": {
			{0, []condition{quiet}, nil}, {time.Hour, nil, nil},
		},
		"what something else tells meanwhile is not over": {
			{0, []condition{trouble}, []Phase{PhaseFirst}}, {48 * time.Hour, []condition{quiet}, nil}, {time.Hour, nil, []Phase{PhaseRecovered}},
		},
		"a relapse is told, twice": {
			{0, []condition{trouble}, []Phase{PhaseFirst}}, {time.Hour, nil, []Phase{PhaseRecovered}},
			{time.Hour, []condition{trouble}, []Phase{PhaseFirst}}, {time.Hour, nil, []Phase{PhaseRecovered}},
			{time.Hour, []condition{trouble}, []Phase{PhaseFirst}}, {time.Hour, nil, []Phase{PhaseRecovered}},
			{time.Hour, []condition{trouble}, nil}, {time.Hour, nil, nil}, {time.Hour, []condition{trouble}, nil},
			{time.Hour, nil, nil}, {23 * time.Hour, nil, nil}, {time.Hour, nil, []Phase{PhaseRecovered}},
		},
		"a leaver who is released is told of once, and the hold just ends": {
			{0, []condition{held}, []Phase{PhaseFirst}}, {time.Hour, []condition{released}, []Phase{PhaseFirst}}, {time.Hour, []condition{released}, nil}, {time.Hour, nil, nil},
		},
		"two of one event are one message": {
			{0, []condition{held, {Key: "on_call_held/2", Event: OnCallHeld}}, []Phase{PhaseFirst}}, {time.Hour, nil, []Phase{PhaseRecovered}},
		},
		"a clock that was years ahead silences nothing": {
			{10 * 365 * day, []condition{trouble}, []Phase{PhaseFirst}}, {-10 * 365 * day, []condition{trouble}, nil}, {day, []condition{trouble}, []Phase{PhaseReminder}},
		},
	}
	for name, looks := range tests {
		t.Run(name, func(t *testing.T) {
			var s state
			now := start
			for i, l := range looks {
				now = now.Add(l.after)
				var got []Phase
				s, got = step(s, now, l.present...)
				if diff := cmp.Diff(l.want, got); diff != "" {
					t.Fatalf("look %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestWhatIsUnknownIsNeitherOverNorRepeated(t *testing.T) {
	s, _ := step(state{}, start, trouble)
	s = s.observe(nil, all, all, start.Add(48*time.Hour))
	if due := s.due(); len(due) > 0 {
		t.Errorf("due: %v", due)
	}
	if _, phases := step(s, start.Add(49*time.Hour)); len(phases) != 1 || phases[0] != PhaseRecovered {
		t.Errorf("then it is over, and %v is told", phases)
	}
}

// TestDecayLaws walks random days: the clock runs and jumps, the cause comes and goes, deliveries fail, the program dies
// between a delivery and its record, and starts again from what was recorded.
func TestDecayLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s state
		now, lastTold, presentSince := start, time.Time{}, time.Time{}
		var told []Phase
		troubles := 0 // crashes and failed deliveries
		for range rapid.IntRange(1, 120).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 36*60).Draw(t, "minutes")) * time.Minute)
			if rapid.IntRange(0, 19).Draw(t, "jump") == 0 {
				now = now.Add(-time.Hour)
			}
			present := rapid.IntRange(0, 9).Draw(t, "present") > 1
			var conditions []condition
			if present {
				conditions = []condition{trouble}
			}
			s = s.observe(conditions, all, none, now)
			recorded := s
			fails := rapid.IntRange(0, 9).Draw(t, "fails") == 0
			for _, b := range s.due() {
				if fails {
					troubles++
					break
				}
				told, lastTold = append(told, b.phase), now
				if s = s.told(b, now); rapid.IntRange(0, 9).Draw(t, "crash") == 0 {
					troubles++
					break
				}
				recorded = s
			}
			s = reread(t, recorded)
			switch {
			case !present || fails:
				presentSince = time.Time{}
			case presentSince.IsZero():
				presentSince = now
			}
			if silent := now.Sub(lastTold); !presentSince.IsZero() && silent > 7*day+time.Hour && now.Sub(presentSince) > 7*day {
				t.Fatalf("silent for %s while it lasts", silent)
			}
			if len(told) > 0 && told[0] == PhaseReminder {
				t.Fatal("the first message was a reminder")
			}
		}
		if most := int(now.Sub(start)/day+2)*2*(mostFlips+1) + troubles; len(told) > most {
			t.Fatalf("%d messages in %s", len(told), now.Sub(start))
		}
		// Whatever happened, an end that lasts is told in the end, once.
		for range 4 {
			now = now.Add(day)
			var phases []Phase
			s, phases = step(s, now)
			told = append(told, phases...)
		}
		if len(told) > 0 && told[len(told)-1] != PhaseRecovered {
			t.Fatalf("its end was never told: %v", told)
		}
		if len(s.Records) > 0 {
			t.Fatalf("%d records are kept of what is long over", len(s.Records))
		}
	})
}

func reread(t *rapid.T, s state) (out state) {
	data, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
