package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// text says what Rootly would page the person for, "" for nothing, and whether that is now or soon; not knowing is.
func (a *duties) text(p *person, now time.Time, horizon time.Duration) (text string, paged bool) {
	if a.err != nil {
		return "unknown whether on call", true
	}
	duty := a.of[connectors.UserID(p.id)]
	var running, coming []string
	for _, s := range a.shifts(p, now, horizon) {
		switch {
		case s.Starts.After(now.Add(clockSkew)):
			coming = append(coming, s.Schedule+" from "+dayAndHour(s.Starts))
		default:
			running = append(running, s.Schedule+" until "+dayAndHour(s.Ends))
		}
	}
	switch {
	case len(running) > 0:
		return "on call now: " + listed(running), true
	case len(coming) > 0:
		return "has a shift: " + listed(coming), true
	}
	var parts []string
	if len(duty.Rotations) > 0 {
		parts = append(parts, "in the rotation of "+listed(duty.Rotations))
	}
	if len(duty.Escalations) > 0 {
		parts = append(parts, "paged by the escalation policy "+listed(duty.Escalations))
	}
	return strings.Join(parts, "; "), false
}

// shifts are those of a person that count, the first first.
func (a *duties) shifts(p *person, now time.Time, horizon time.Duration) []Shift {
	shifts := slices.DeleteFunc(slices.Clone(a.of[connectors.UserID(p.id)].Shifts), func(s Shift) bool {
		return !s.Ends.After(now.Add(-clockSkew)) || !s.Starts.Before(now.Add(horizon))
	})
	slices.SortFunc(shifts, func(a, b Shift) int {
		return cmp.Or(a.Starts.Compare(b.Starts), a.Ends.Compare(b.Ends), cmp.Compare(a.Schedule, b.Schedule))
	})
	return shifts
}

// listed names the first few.
func listed(names []string) string {
	const most = 3
	if more := len(names) - most; more > 1 {
		names = append(names[:most:most], fmt.Sprintf("%d more", more))
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	return names[0]
}

// dayAndHour is a time of a shift. The zone is said, for the reader, the schedule and this host may be in three.
func dayAndHour(t time.Time) string { return t.UTC().Format("Mon 2 Jan 15:04 UTC") }

// onCall says above the changes that Rootly did not tell who is on call.
func (t *text) onCall(p Plan) {
	if p.OnCall == nil || p.OnCall.Error == "" {
		return
	}
	t.gap()
	t.line(t.o.Palette.Warn, "!! "+prose(p.OnCall.trouble()))
	t.remedy(p.OnCall.remedy())
}

// onCall is the same as text's.
func (m *markdown) onCall(p Plan) {
	if p.OnCall == nil || p.OnCall.Error == "" {
		return
	}
	m.paragraph("⚠️ **" + EscapeMarkdown(p.OnCall.trouble()) + "**")
	m.b.WriteByte('\n')
	m.item(0, "→ "+EscapeMarkdown(p.OnCall.remedy()))
}

func (o *OnCall) trouble() string { return "Rootly did not say who is on call: " + o.Error }

func (o *OnCall) remedy() string {
	way := "look at rootly.api_url and at Rootly's status; rootly-idp-sync doctor tries the key"
	if o.Refused {
		way = "renew rootly.api_key; rootly-idp-sync doctor tries it"
	}
	if len(o.Held) > 0 {
		way += "; until then whoever leaves waits, for no longer than on_call.hold_max"
	}
	return way
}

// holdEnds says what ends the hold of a set of one person.
func (p Plan) holdEnds(set string) string {
	if p.OnCall != nil {
		for _, h := range p.OnCall.Held {
			if h.Set == set {
				return fmt.Sprintf("ends by itself when the shift is somebody else's, and at the latest %s", clock(h.Until))
			}
		}
	}
	return ""
}
