package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Delivery is how one message fared at one channel. Err is nil when it was taken.
type Delivery struct {
	Channel string
	ID      string
	Skipped bool // the channel is not told of such an event
	Err     error
}

// Test sends a message that is marked as a test, about made-up people, to the channel of that name or, if it is "", to each
// that is told of the event. It remembers nothing and tries each once.
func (n *Notifier) Test(ctx context.Context, channel string, event Event, now time.Time) ([]Delivery, error) {
	if !slices.Contains(Events(), event) {
		return nil, fmt.Errorf("there is no event %q: the events are %s", event, join(Events()))
	}
	var names []string
	var out []Delivery
	for _, r := range n.routes {
		names = append(names, r.Name())
		if channel != "" && channel != r.Name() {
			continue
		}
		d := Delivery{Channel: r.Name(), Skipped: channel == "" && !r.wants(event)}
		if !d.Skipped {
			m := n.sample(event, r.Name(), now)
			d.ID, d.Err = m.ID, send(ctx, r.channel, m)
		}
		out = append(out, d)
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("nobody is told anything: the configuration names no channel (add email, slack, webhook or rootly below notify)")
	case len(out) == 0:
		return nil, fmt.Errorf("the configuration names no channel %q: it names %s", channel, strings.Join(names, ", "))
	}
	return out, nil
}

// sample is a first message of an event, as it would be.
func (n *Notifier) sample(e Event, channel string, now time.Time) Message {
	var s state
	s = s.observe(samples(e, now).conditions(now, now, 4*time.Hour), func(have Event) bool { return have == e }, func(Event) bool { return true }, now)
	for _, b := range s.due() {
		m := n.compose(s, b, channel, now)
		m.ID = digest(m.ID, now.String()) // each test is a message of its own
		m.Phase, m.Title, m.Footer = PhaseTest, "Test: "+m.Title, "This is a test, sent by rootly-idp-sync notify test. Nothing has happened, and the people in it are made up."
		return m
	}
	return Message{} // every event has a sample, as a test holds
}

// samples are facts in which an event occurs, and no other event tells of it.
func samples(e Event, now time.Time) Facts {
	leaver := Leaver{ID: "00u1", UserName: "alice@example.com", Schedule: "Payments primary", Until: now.Add(2 * day)}
	gone := Leaver{ID: "00u2", UserName: "bob@example.com", Schedule: "Payments secondary", Until: now}
	if e == NoGoodCycle {
		return Facts{Planned: true, LastGood: now.Add(-5 * time.Hour), Error: "read target: answered 503 Service Unavailable"}
	}
	return Facts{
		Planned: true, Managed: 412,
		Held: []reconcile.HeldSet{{
			Fingerprint: "3f9b61c20d47", Axis: reconcile.AxisDeactivations, Created: now, Reason: "2 of 412 people would be deactivated",
			Items: []reconcile.HeldItem{{Name: "carol@example.com"}, {Name: "dave@example.com"}},
		}},
		OnCall: []Leaver{leaver}, Released: []Leaver{gone},
		Writers:     []Contested{{Object: reconcile.Ref{Kind: reconcile.KindUser, Source: "00u3", Name: "erin@example.com"}, What: "name.givenName", Times: 3}},
		APIKeyError: "Rootly's REST API: 401 Unauthorized",
		Refusals:    []Refusal{{Side: "Rootly", Error: "401 Unauthorized"}},
		Quarantine:  &reconcile.Quarantine{Since: now, Cause: "endpoint", Reason: "Rootly's SCIM endpoint does not answer", Next: now.Add(day)},
		LastGood:    now.Add(-5 * time.Hour),
		Reload:      "target.url (line 14) is missing",
	}
}

func join(events []Event) string {
	var out []string
	for _, e := range events {
		out = append(out, string(e))
	}
	return strings.Join(out, ", ")
}
