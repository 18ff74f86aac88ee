package daemon

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

// maxJitter is the most by which a cycle is put off, however rarely the schedule runs one.
const maxJitter = 5 * time.Minute

// A Schedule says when cycles are due. Two that were made of the same words are equal by their Text.
type Schedule struct {
	Text   string // what it was made of
	spec   cron.Schedule
	zone   *time.Location
	jitter float64
}

// NewSchedule reads a cron line of five fields, or @every and its like, in a time zone. jitter is the share of the time
// between two slots, up to five minutes, by which a cycle may be put off.
func NewSchedule(spec, zone string, jitter float64) (Schedule, error) {
	parsed, err := cron.ParseStandard(spec)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q: %w", spec, err)
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return Schedule{}, fmt.Errorf("time zone %q: %w", zone, err)
	}
	return Schedule{Text: fmt.Sprintf("%s %s %g", spec, zone, jitter), spec: parsed, zone: loc, jitter: jitter}, nil
}

// Next is the first slot after t. There always is one: the loader of the configuration refuses a day that never comes.
func (s Schedule) Next(t time.Time) time.Time { return s.spec.Next(t.In(s.zone)) }

// due is when the first cycle after t begins: its slot and a part, below one, of the jitter.
func (s Schedule) due(t time.Time, part float64) time.Time {
	slot := s.Next(t)
	most := min(time.Duration(s.jitter*float64(s.Next(slot).Sub(slot))), maxJitter)
	return slot.Add(time.Duration(part * float64(most)))
}

// staleSlack is what a cycle may take before three slots without a good one count as a failure.
const staleSlack = time.Hour

// stale tells whether three slots have passed since the last good cycle.
func (s Schedule) stale(good, now time.Time) bool {
	return now.After(s.Next(s.Next(s.Next(good))).Add(staleSlack))
}
