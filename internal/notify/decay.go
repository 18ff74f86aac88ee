package notify

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Phase is where in its life the subject of a message is.
type Phase string

// The phases.
const (
	PhaseFirst     Phase = "first"
	PhaseChanged   Phase = "changed" // it lasts, for another reason
	PhaseReminder  Phase = "reminder"
	PhaseRecovered Phase = "recovered"
	PhaseTest      Phase = "test"
)

const day = 24 * time.Hour

// gap is how long after the n-th message about a cause the next one is due: daily for three days, every three days to
// the seventh message, then weekly.
func gap(n int) time.Duration {
	switch {
	case n <= 3:
		return day
	case n <= 6:
		return 3 * day
	}
	return 7 * day
}

const (
	// mostFlips is how often within a day something may end and begin anew, or change its cause, before it counts as
	// lasting: its end is then told after a day without it.
	mostFlips = 3
	// mostRecords bounds what is remembered for one channel; what is beyond it is told when something else is over.
	mostRecords = 500
	// forgetAfter is when an end that could not be told is no longer worth telling.
	forgetAfter = 14 * day
)

// A record is what one channel was told of one condition.
type record struct {
	Condition condition `json:"condition"` // as last seen
	First     time.Time `json:"first"`
	Last      time.Time `json:"last,omitzero"`  // the last message about it
	Count     int       `json:"count"`          // messages since it began, or since its cause changed
	Due       Phase     `json:"due,omitempty"`  // a message that is not delivered yet
	Gone      time.Time `json:"gone,omitzero"`  // since when it is no longer the case
	Over      bool      `json:"over,omitempty"` // its end was told
	Once      bool      `json:"once,omitempty"`
	Flips     int       `json:"flips,omitempty"`
	Flipped   time.Time `json:"flipped,omitzero"`
}

// seen is the record after its condition was found to be the case.
func (r record) seen(c condition, now time.Time) record {
	r = r.notAfter(now)
	changed := !r.First.IsZero() && r.Condition.Cause != c.Cause
	returned := r.Over
	r.Gone, r.Over = time.Time{}, false
	r.Condition, r.Once = c, c.once
	switch {
	case r.First.IsZero():
		r.First, r.Due = now, PhaseFirst
	case returned:
		if r = r.flip(now); r.Flips < mostFlips {
			r.First, r.Due, r.Count = now, PhaseFirst, 0
		}
	case changed:
		if r = r.flip(now); r.Flips < mostFlips {
			r.Count = 0
			if r.Due != PhaseFirst {
				r.Due = PhaseChanged
			}
		}
	case r.Due == PhaseRecovered:
		r.Due = "" // it is back before its end was told
	}
	switch {
	case r.Due != "":
	case r.Count == 0:
		r.Due = PhaseFirst
	case now.Sub(r.Last) >= gap(r.Count):
		r.Due = PhaseReminder
	}
	return r
}

// missed is the record after its condition was found to be over. Once it says keep no more, it is forgotten.
func (r record) missed(now time.Time) (_ record, keep bool) {
	r = r.notAfter(now)
	if r.Gone.IsZero() {
		r.Gone = now
	}
	away := now.Sub(r.Gone)
	switch {
	case r.Over:
		return r, away < day
	case away >= forgetAfter:
		return r, false
	case r.Once: // its only message is still to be delivered
	case r.Flips < mostFlips || away >= day:
		r.Due = PhaseRecovered
	}
	return r, true
}

// told is the record after what was due has been delivered.
func (r record) told(now time.Time) record {
	if r.Due == PhaseRecovered || r.Once {
		r.Over = true
		if r.Gone.IsZero() {
			r.Gone = now
		}
	} else {
		r.Count++
	}
	r.Due, r.Last = "", now
	return r
}

func (r record) flip(now time.Time) record {
	if now.Sub(r.Flipped) >= day {
		r.Flips = 0
	}
	r.Flips++
	r.Flipped = now
	return r
}

// notAfter takes back what lies in the future: the clock was wrong then, and must not silence anything for as long as it
// was ahead.
func (r record) notAfter(now time.Time) record {
	for _, t := range []*time.Time{&r.First, &r.Last, &r.Gone, &r.Flipped} {
		if t.After(now) {
			*t = now
		}
	}
	return r
}

// A state is what one channel was told.
type state struct {
	Since   time.Time         `json:"since"` // of the first look
	Records map[string]record `json:"records,omitempty"`
}

// observe is the state after a look at the conditions at now, which a channel gets those of that wants them. Of events
// that are unknown nothing is concluded.
func (s state) observe(conditions []condition, wants, unknown func(Event) bool, now time.Time) state {
	out := state{Since: s.Since, Records: map[string]record{}}
	if out.Since.IsZero() || out.Since.After(now) {
		out.Since = now
	}
	present := map[string]bool{}
	for _, c := range conditions {
		old, known := s.Records[c.Key]
		if !wants(c.Event) || present[c.Key] {
			continue
		}
		present[c.Key] = true
		switch {
		case c.quiet && !known:
		case c.quiet:
			out.Records[c.Key] = old
		case c.once && known: // it has its one message, or has it before it
			out.Records[c.Key] = old
		case known || len(out.Records) < mostRecords:
			out.Records[c.Key] = old.seen(c, now)
		}
		present[c.ends] = present[c.ends] || c.ends != ""
	}
	for key, r := range s.Records {
		event := r.Condition.Event
		if !wants(event) || present[key] {
			continue
		}
		if unknown(event) {
			out.Records[key] = r
		} else if r, keep := r.missed(now); keep {
			out.Records[key] = r
		}
	}
	return out
}

// A batch is the keys of one message: what is due of one event in one phase.
type batch struct {
	event Event
	phase Phase
	keys  []string
}

// due are the messages to send, in the order of Events.
func (s state) due() []batch {
	var out []batch
	for _, e := range Events() {
		for _, p := range []Phase{PhaseFirst, PhaseChanged, PhaseReminder, PhaseRecovered} {
			b := batch{event: e, phase: p}
			for _, key := range slices.Sorted(maps.Keys(s.Records)) {
				if r := s.Records[key]; r.Condition.Event == e && r.Due == p {
					b.keys = append(b.keys, key)
				}
			}
			if len(b.keys) > 0 {
				out = append(out, b)
			}
		}
	}
	return out
}

// told is the state after a batch has been delivered.
func (s state) told(b batch, now time.Time) state {
	out := state{Since: s.Since, Records: maps.Clone(s.Records)}
	for _, key := range b.keys {
		out.Records[key] = out.Records[key].told(now)
	}
	return out
}

// with is the state and, over it, what newer says.
func (s state) with(newer state) state {
	out := state{Since: s.Since, Records: map[string]record{}}
	if out.Since.IsZero() {
		out.Since = newer.Since
	}
	maps.Copy(out.Records, s.Records)
	maps.Copy(out.Records, newer.Records)
	return out
}

// equal tells whether both would be remembered alike.
func (s state) equal(o state) bool {
	a, errA := json.Marshal(s)
	b, errB := json.Marshal(o)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
