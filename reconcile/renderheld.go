package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A heldLot is the changes held for one cause: a set that waits for a yes, or a reason that passes by itself.
type heldLot struct {
	why     string
	facts   string   // of a set: which it is and since when it waits
	also    []string // of a set without changes: its people, who wait all the same
	ways    []string // the ways on
	changes []Change
}

// occasions are the axes in words, and what to look at before saying yes.
var occasions = map[Axis]struct{ title, look string }{
	AxisDeactivations: {"Many deactivations at once", ""},
	AxisDeletions:     {"Many deletions at once", ""},
	AxisMemberships:   {"Many memberships removed at once", ""},
	AxisGroups:        {"Many groups left empty at once", ""},
	AxisPrivileged:    {"Many changes of role groups at once", "look at who gains and who loses a role group"},
	AxisRenames:       {"Many userNames changed at once", ""},
	AxisSource:        {"All removals", "look first at the directory: at its health, and at what the credential may read"},
	AxisFirstContact:  {"Removals of the first run", "rootly-idp-sync adopt shows how the directory and this Rootly fit together"},
	AxisOnCall:        {"On call", ""},
	AxisQuarantine:    {"Removals of the first run after a quarantine", ""},
	AxisConfiguration: {"Removals that the configuration causes", "if they are not meant, put the rule back"},
}

// heldLots are first the sets, in the order of the plan, then what waits without one. recorded tells whether the sets
// are in the store, where approve finds them; those of a plan that is only shown may not be.
func (p Plan) heldLots(recorded bool) []heldLot {
	var out []heldLot
	placed := map[string]bool{}
	for _, s := range p.Sets {
		lot := heldLot{
			why:   cmp.Or(occasions[s.Axis].title, string(s.Axis)) + ": " + s.Reason,
			facts: fmt.Sprintf("set %s, first held %s, waiting for %s", s.Fingerprint, clock(s.Created), span(p.At.Sub(s.Created))),
		}
		approve := s.Approval()
		if s.Axis == AxisOnCall {
			lot.why = s.Items[0].Name + ": " + s.Reason
			lot.ways = append(lot.ways, p.holdEnds(s.Fingerprint))
		}
		yes := fmt.Sprintf("if they are right: %s (releases these and no others, once, within %s)", approve, span(ApprovalLife))
		if !s.Created.Before(p.At) {
			lot.facts = fmt.Sprintf("set %s, held for the first time", s.Fingerprint)
			if !recorded {
				yes = "if they are right: run sync, which records the set, then " + approve
			}
		}
		if look := occasions[s.Axis].look; look != "" {
			lot.ways = append(lot.ways, look)
		}
		lot.ways = append(lot.ways, yes)
		for _, c := range p.Held {
			if c.Set == s.Fingerprint {
				lot.changes = append(lot.changes, c)
			}
		}
		if len(lot.changes) == 0 {
			for _, i := range s.Items {
				lot.also = append(lot.also, i.Name)
			}
		}
		placed[s.Fingerprint] = true
		out = append(out, lot)
	}
	first := len(out)
	for _, c := range p.Held {
		if placed[c.Set] {
			continue
		}
		why, way := passing(c.Held)
		i := slices.IndexFunc(out[first:], func(h heldLot) bool { return h.why == why }) + first
		if i < first {
			i = len(out)
			out = append(out, heldLot{why: why})
			if way != "" {
				out[i].ways = []string{way}
			}
		}
		out[i].changes = append(out[i].changes, c)
	}
	return append(out[:first:first], p.objected(out[first:])...)
}

// objected adds the ways on to what is held by an objection without a set, and the objections that hold nothing shown.
func (p Plan) objected(lots []heldLot) []heldLot {
	for _, o := range p.Objections {
		if o.Axis == AxisShortRead || slices.ContainsFunc(p.Sets, func(s HeldSet) bool { return s.Axis == o.Axis && s.Reason == o.Text }) {
			continue
		}
		i := slices.IndexFunc(lots, func(h heldLot) bool { return h.why == o.Text })
		if i < 0 {
			i = len(lots)
			lots = append(lots, heldLot{why: o.Text})
		}
		lots[i].ways = append(lots[i].ways, o.Remedy)
	}
	return lots
}

// passing says in full why a change waits that nobody has to approve, and what ends the wait.
func passing(held string) (why, way string) {
	switch {
	case held == "removals: never":
		return "removals: never is set: nobody is deactivated and no membership is removed", "to let it happen: removals: apply"
	case strings.HasSuffix(held, onceText):
		return held, "nothing is to be done: who is missing in the next run too goes then"
	}
	return held, ""
}

// shortReads are the objections that the directory raised against its own listing. They come before everything else.
func (p Plan) shortReads() []Objection {
	var out []Objection
	for _, o := range p.Objections {
		if o.Axis == AxisShortRead {
			out = append(out, o)
		}
	}
	return out
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch hours := int(d.Hours()); {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return count(int(d.Minutes()), "minute", "minutes")
	case hours < 48:
		return count(hours, "hour", "hours")
	default:
		return count(hours/24, "day", "days")
	}
}

func groupNames(c Change) []string {
	if c.Verb != VerbDeactivate {
		return nil
	}
	names := make([]string, len(c.Groups))
	for i, g := range c.Groups {
		names[i] = g.shown()
	}
	return names
}

// NoteDropped is the kind of note that tells what apply left out, because only the saved or only the fresh plan has it.
const NoteDropped NoteKind = "dropped"

// Note is the drop as a note of the plan that lacks it.
func (d Dropped) Note() Note {
	what := string(d.Change.Verb)
	var names []string
	for _, m := range d.Change.Members {
		names = append(names, m.User.Name)
	}
	if len(names) > 0 {
		what += " " + strings.Join(names, ", ")
	}
	return Note{Kind: NoteDropped, Object: d.Change.Object, Text: what + ": " + d.Reason}
}
