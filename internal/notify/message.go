package notify

import (
	"fmt"
	"slices"
	"time"
)

// A Message is what one channel is sent: about one event, in words that need no knowledge of the program. All texts are
// single lines of bounded length.
type Message struct {
	ID     string    `json:"id"` // the same when a delivery is repeated
	Event  Event     `json:"event"`
	Phase  Phase     `json:"phase"`
	Sync   string    `json:"sync,omitempty"`
	Title  string    `json:"title"`
	At     time.Time `json:"at"`
	Since  time.Time `json:"since"`
	Told   []string  `json:"happened,omitempty"` // what happened
	Means  string    `json:"meaning"`            // for people on call
	Items  []string  `json:"items,omitempty"`    // the people or objects, not all of them if More says so
	More   int       `json:"more,omitempty"`
	Facts  []Pair    `json:"figures,omitempty"`
	Steps  []string  `json:"commands,omitempty"` // what to run next
	Link   string    `json:"link,omitempty"`     // the status page
	Footer string    `json:"footer,omitempty"`   // when one hears of it again

	thread string // what the messages about one cause have in common
}

// Total is how many people or objects the message is about.
func (m Message) Total() int { return len(m.Items) + m.More }

// compose makes the message of one batch.
func (n *Notifier) compose(s state, b batch, channel string, now time.Time) Message {
	var records []record
	parts := []string{channel, string(b.event), string(b.phase)}
	for _, key := range b.keys {
		r := s.Records[key]
		records = append(records, r)
		parts = append(parts, key, r.First.UTC().Format(time.RFC3339Nano), fmt.Sprint(r.Count, r.Flips))
	}
	m := message(b, records, now)
	m.ID, m.thread = digest(parts...), digest(n.o.Sync, b.keys[0])
	m.Sync, m.Link = line(n.o.Sync, 200), n.o.PublicURL
	return m
}

// message puts what several records say of one event into one message.
func message(b batch, records []record, now time.Time) Message {
	w := wordsOf[b.event]
	m := Message{Event: b.event, Phase: b.phase, At: now.UTC(), Means: w.meaning}
	switch b.phase {
	case PhaseChanged:
		m.Title = w.changed
	case PhaseReminder:
		m.Title = "Reminder: " + w.title
	case PhaseRecovered:
		m.Title, m.Means = w.recovered, w.relief
	default:
		m.Title = w.title
	}
	next, about := now.Add(365*day), 0
	for _, r := range records {
		c := r.Condition
		if began := since(r); m.Since.IsZero() || began.Before(m.Since) {
			m.Since = began
		}
		if c.Text != "" && !slices.Contains(m.Told, c.Text) && len(m.Told) < mostSteps {
			m.Told = append(m.Told, c.Text)
		}
		m.Items = append(m.Items, c.Items...)
		m.More += c.Count - len(c.Items)
		for _, p := range c.Facts {
			if !slices.Contains(m.Facts, p) && len(m.Facts) < 2*mostSteps {
				m.Facts = append(m.Facts, p)
			}
		}
		for _, step := range c.Steps {
			if !slices.Contains(m.Steps, step) {
				m.Steps = append(m.Steps, step)
			}
		}
		about = max(about, r.Count+1)
		if t := now.Add(gap(r.Count + 1)); t.Before(next) {
			next = t
		}
	}
	if over := len(m.Items) - mostItems; over > 0 {
		m.Items, m.More = m.Items[:mostItems], m.More+over
	}
	if len(m.Steps) > mostSteps {
		m.Steps = append(m.Steps[:mostSteps-1], "rootly-idp-sync status")
	}
	if m.Total() > 0 {
		m.Title += fmt.Sprintf(" (%d)", m.Total())
	}
	m.Since = m.Since.UTC()
	m.close(records, about, next)
	return m
}

// close says how long it lasted, or when one hears of it again.
func (m *Message) close(records []record, about int, next time.Time) {
	switch {
	case m.Phase == PhaseRecovered:
		m.Facts, m.Steps = nil, nil
		gone := records[0].Gone
		for i := range m.Told {
			m.Told[i] = "It was: " + m.Told[i]
		}
		m.Told = append(m.Told, fmt.Sprintf("It lasted %s.", span(gone.Sub(m.Since))))
		if records[0].Flips >= mostFlips {
			m.Told = append(m.Told, "It came and went several times, so its end is told after a day without it.")
		}
	case records[0].Once:
		m.Footer = "This is told once."
	case records[0].Flips >= mostFlips:
		m.Footer = "It comes and goes, so it counts as lasting until a day has passed without it."
	default:
		m.Footer = fmt.Sprintf("Message %d about this. The next comes on %s, unless it is over before: then you are told.", about, clock(next))
	}
}

// since is when the subject of a record began, as far as anybody knows.
func since(r record) time.Time {
	if c := r.Condition.Since; !c.IsZero() && c.Before(r.First) {
		return c
	}
	return r.First
}
