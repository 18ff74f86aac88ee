package reconcile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Summary is the plan in one or two sentences.
func (p Plan) Summary() string {
	if len(p.Changes) > 0 {
		return fmt.Sprintf("Plan: %s (%s).", tally(p.Changes, false), count(p.Writes, "request", "requests")) + roleTally(p.Changes) + p.aside()
	}
	return p.idle()
}

// idle is the summary when there is nothing to apply. Only a plan without anything else to tell calls both sides equal.
func (p Plan) idle() string {
	aside := p.aside()
	switch {
	case len(p.Held) > 0:
		return "Nothing to apply now." + aside
	case aside != "":
		return "Nothing to change." + aside
	}
	return "Nothing to change: Rootly matches the directory."
}

// aside says what else the plan has to tell, for the end of a summary.
func (p Plan) aside() string {
	var s string
	if len(p.shortReads()) > 0 {
		s += " The directory's answer was short: nothing is taken away."
	}
	if p.OnCall != nil && p.OnCall.Error != "" {
		s += " Rootly did not say who is on call."
	}
	if len(p.Held) > 0 {
		s += " Held back: " + tally(p.Held, false) + "."
	}
	n := 0
	for _, k := range byKind(p.Notes) {
		if k.urgent {
			n += len(k.notes)
		}
	}
	if n > 0 {
		s += fmt.Sprintf(" %s attention.", count(n, "note needs", "notes need"))
	}
	return s
}

// Summary is the report in a few sentences.
func (r Report) Summary() string {
	done, bad := r.done(), r.notDone()
	var s string
	switch {
	case len(done) > 0:
		s = fmt.Sprintf("Done: %s (cycle %d, %s).", tally(done, true), r.Cycle, r.Took.Round(10*time.Millisecond)) + roleTally(done)
	case len(bad) > 0:
		s = "Nothing was applied."
	case r.Stopped == "":
		return r.Plan.idle()
	}
	if len(bad) > 0 {
		s += " Not done: " + tally(bad.changes(), false) + "."
	}
	if r.Stopped != "" {
		s += " Stopped early: " + prose(r.Stopped) + "."
	}
	return s + r.Plan.aside()
}

// sentence is the size of both sides in words.
func (c Counts) sentence(source string) string {
	excluded := ""
	if c.Excluded > 0 {
		excluded = fmt.Sprintf(", %d excluded", c.Excluded)
	}
	return fmt.Sprintf("Directory %s: %s, %d in scope%s, %s to push. Rootly: %s (%d managed), %s (%d managed).",
		Visible(source), count(c.Directory, "person", "people"), c.InScope, excluded, count(c.Groups, "group", "groups"),
		count(c.TargetUsers, "person", "people"), c.Managed, count(c.TargetGroups, "group", "groups"), c.ManagedGroups)
}

func (r Report) done() []Change {
	var out []Change
	for _, res := range r.Results {
		if res.Outcome == OutcomeDone {
			out = append(out, res.Change)
		}
	}
	return out
}

type results []Result

func (r Report) notDone() results {
	return slices.DeleteFunc(slices.Clone(r.Results), func(res Result) bool { return res.Outcome == OutcomeDone })
}

// unsent tells whether a change was not sent because the whole run was stopped. All of these are told in one line.
func (r Report) unsent(res Result) bool { return r.Stopped != "" && res.Outcome == OutcomeSkipped }

// rest is that line, "" when everything was sent.
func (r Report) rest() string {
	var unsent results
	for _, res := range r.Results {
		if r.unsent(res) {
			unsent = append(unsent, res)
		}
	}
	if len(unsent) == 0 {
		return ""
	}
	return "not sent, and planned again by the next run: " + tally(unsent.changes(), false)
}

func (rs results) changes() []Change {
	out := make([]Change, len(rs))
	for i, r := range rs {
		out[i] = r.Change
	}
	return out
}

// verbs is the order in which verbs are named; words is how.
var verbs = []Verb{VerbLink, VerbCreate, VerbReactivate, VerbUpdate, VerbAdd, VerbRemove, VerbDeactivate, VerbDelete}

var words = map[Verb]struct{ mark, now, past string }{
	VerbLink:       {"=", "take over", "took over"},
	VerbCreate:     {"+", "create", "created"},
	VerbReactivate: {"+", "reactivate", "reactivated"},
	VerbUpdate:     {"~", "update", "updated"},
	VerbAdd:        {"+", "add", "added"},
	VerbRemove:     {"-", "remove", "removed"},
	VerbDeactivate: {"-", "deactivate", "deactivated"},
	VerbDelete:     {"-", "delete", "deleted"},
}

// tally counts changes in words: "create 3 people and 1 group, add 12 members to 2 groups".
func tally(changes []Change, past bool) string {
	var parts []string
	for _, v := range verbs {
		people, groups, members := 0, 0, 0
		for _, c := range changes {
			switch {
			case c.Verb != v:
			case c.Object.Kind == KindUser:
				people++
			default:
				groups++
				members += len(c.Members)
			}
		}
		if people+groups == 0 {
			continue
		}
		var objects []string
		if people > 0 {
			objects = append(objects, count(people, "person", "people"))
		}
		if groups > 0 {
			objects = append(objects, count(groups, "group", "groups"))
		}
		what := strings.Join(objects, " and ")
		switch v {
		case VerbAdd:
			what = count(members, "member", "members") + " to " + what
		case VerbRemove:
			what = count(members, "member", "members") + " from " + what
		}
		verb := words[v].now
		if past {
			verb = words[v].past
		}
		parts = append(parts, verb+" "+what)
	}
	return strings.Join(parts, ", ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// A section is the changes of one reason. What takes something away comes last: that is where a reader of a long
// listing looks.
type section struct {
	why     Why
	title   string
	changes []Change
}

var reasons = []section{
	{why: WhyFirstMatch, title: "Matched: found in Rootly, taken over"},
	{why: WhyJoined, title: "Joined: new in scope"},
	{why: WhyReturned, title: "Returned: in scope again"},
	{why: WhyDirectory, title: "Changed in the directory"},
	{why: WhyDrift, title: "Edited in Rootly: set back to what the directory says"},
	{why: WhyConfig, title: "Configuration changed: scope, push or map"},
	{why: WhyUndo, title: "Undo: back to what it was before that cycle"},
	{why: WhyLeftScope, title: "Left scope: still in the directory"},
	{why: WhyDisabled, title: "Disabled in the directory"},
	{why: WhyGone, title: "Gone from the directory"},
}

func byReason(changes []Change) []section {
	var out []section
	for _, r := range reasons {
		for _, c := range changes {
			if c.Why == r.why {
				r.changes = append(r.changes, c)
			}
		}
		if len(r.changes) > 0 {
			out = append(out, r)
		}
	}
	var other []Change
	for _, c := range changes {
		if !slices.ContainsFunc(reasons, func(r section) bool { return r.why == c.Why }) {
			other = append(other, c)
		}
	}
	if len(other) > 0 {
		out = append(out, section{title: "Other changes", changes: other})
	}
	return out
}

type noteSection struct {
	kind   NoteKind
	title  string
	urgent bool // somebody has to do something
	notes  []Note
}

// noteKinds runs from what may be ignored to what needs somebody.
var noteKinds = []noteSection{
	{kind: NoteExcluded, title: "Excluded: left as they are"},
	{kind: NoteProtected, title: "Protected: left as they are"},
	{kind: NoteLeft, title: "Left alone"},
	{kind: NoteByHand, title: "Deactivated in Rootly by hand: left so"},
	{kind: NoteLeaving, title: "Gone from the directory: deactivated, and deleted later"},
	{kind: NotePinned, title: "Pinned: restored by undo, left as they are until unpinned"},
	{kind: NoteWaiting, title: "Waiting for another try"},
	{kind: NoteRole, title: "Role groups", urgent: true},
	{kind: NoteDropped, title: "Left out: the saved plan and the present one differ"},
	{kind: NoteCovered, title: "No longer on call: go now"},
	{kind: NoteContested, title: "Another writer: left as it is", urgent: true},
	{kind: NoteStuck, title: "Not kept by Rootly", urgent: true},
	{kind: NoteUnmapped, title: "Cannot be mapped: left as they are", urgent: true},
	{kind: NoteConflict, title: "Conflicts: everybody concerned is left as they are", urgent: true},
	{kind: NoteOnCall, title: "Paged by Rootly, and go all the same", urgent: true},
	{kind: NoteReleased, title: "Held for as long as anybody is, and go while Rootly pages them", urgent: true},
}

func byKind(notes []Note) []noteSection {
	var out []noteSection
	other := noteSection{title: "Other notes"}
	for _, n := range notes {
		if !slices.ContainsFunc(noteKinds, func(k noteSection) bool { return k.kind == n.Kind }) {
			other.notes = append(other.notes, n)
		}
	}
	for _, k := range append([]noteSection{other}, noteKinds...) {
		for _, n := range notes {
			if k.kind == n.Kind && k.kind != "" {
				k.notes = append(k.notes, n)
			}
		}
		if len(k.notes) > 0 {
			out = append(out, k)
		}
	}
	return out
}

// reason is the end of a change's line: why, and what exactly.
func (c Change) reason() string {
	var s string
	if c.Object.Role {
		s = "role group, "
	}
	if len(c.Members) > 0 {
		s += count(len(c.Members), "member", "members") + ", "
	}
	s += string(c.Why)
	if c.Detail != "" {
		s += " (" + prose(c.Detail) + ")"
	}
	return s
}

// shownFields are the fields worth a line: a new object's are all new, and the verb already says active.
func (c Change) shownFields() []Field {
	if c.Verb == VerbCreate {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Fields), func(f Field) bool {
		return f.Name == "active" && (c.Verb == VerbDeactivate || c.Verb == VerbReactivate)
	})
}

type whoAndWhy struct {
	why   Why
	names []string
}

func membersByWhy(c Change) []whoAndWhy {
	var out []whoAndWhy
	for _, m := range c.Members {
		i := slices.IndexFunc(out, func(w whoAndWhy) bool { return w.why == m.Why })
		if i < 0 {
			i = len(out)
			out = append(out, whoAndWhy{why: m.Why})
		}
		out[i].names = append(out[i].names, Visible(m.User.Name))
	}
	return out
}

// Visible makes a string from a directory or a server harmless on a terminal: control and formatting characters, which
// could colour, hide or reverse what follows, are shown as escapes.
func Visible(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case hidden(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) }

// prose makes a text of several lines one visible line.
func prose(s string) string {
	return Visible(strings.ReplaceAll(strings.TrimSpace(s), "\n", "; "))
}
