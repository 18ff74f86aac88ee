package reconcile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Palette colours the words of a text rendering. A nil function leaves its words plain, so the zero value is right
// for files and pipes.
type Palette struct {
	Add, Change, Remove, Warn, Strong, Faint func(string) string
}

// TextOptions say how a plan or report is shown as text. The zero value shows everything, without colour.
type TextOptions struct {
	Palette Palette
	// Limit shortens each list of changes that only give. Whatever takes something away is always shown whole.
	Limit int
	// Brief leaves out of a report what went as planned, for a reader who has just seen the plan.
	Brief bool
}

// Text shows the plan to a person: one sentence, the changes by reason with what takes something away last, what is
// held, what needs attention, and below a long listing the sentence again, so that neither end lacks it.
func (p Plan) Text(o TextOptions) string {
	t := text{o: o}
	t.line(o.Palette.Strong, p.Summary())
	t.line(o.Palette.Faint, p.Counts.sentence(p.Source))
	t.line(o.Palette.Faint, p.Cost.sentence())
	t.shortReads(p)
	t.roles(p.Changes, p.Held)
	t.onCall(p)
	t.changes(p.Changes)
	t.held(p)
	t.notes(p.Notes)
	return t.closed(p.Summary())
}

// Text shows the report to a person, in the order of Plan.Text, with what did not succeed after what did.
func (r Report) Text(o TextOptions) string {
	t := text{o: o, recorded: true}
	t.line(o.Palette.Strong, r.Summary())
	if !o.Brief {
		t.line(o.Palette.Faint, r.Plan.Counts.sentence(r.Plan.Source))
	}
	t.shortReads(r.Plan)
	t.onCall(r.Plan)
	if !o.Brief {
		t.roles(r.done(), r.Plan.Held)
		t.changes(r.done())
	}
	t.failures(r)
	t.held(r.Plan)
	t.notes(r.Plan.Notes)
	return t.closed(r.Summary())
}

// text collects the lines of one rendering.
type text struct {
	o        TextOptions
	recorded bool // the sets of the plan are in the store
	b        strings.Builder
}

func (t *text) line(colour func(string) string, s string) {
	t.b.WriteString(paint(colour, s))
	t.b.WriteByte('\n')
}

// closed repeats the summary below a text that has scrolled it away.
func (t *text) closed(summary string) string {
	if strings.Count(t.b.String(), "\n") > 20 {
		t.gap()
		t.line(t.o.Palette.Strong, summary)
	}
	return t.b.String()
}

func (t *text) gap() { t.b.WriteByte('\n') }

func (t *text) title(s string) {
	t.gap()
	t.line(t.o.Palette.Strong, s)
}

func paint(colour func(string) string, s string) string {
	if colour == nil || s == "" {
		return s
	}
	return colour(s)
}

func (t *text) changes(changes []Change) {
	for _, s := range byReason(changes) {
		t.title(fmt.Sprintf("%s (%s)", s.title, count(len(s.changes), "change", "changes")))
		t.list(s.changes)
	}
}

// list writes one line a change. Only lists of one giving verb are shortened.
func (t *text) list(changes []Change) {
	width := 0
	for _, c := range changes {
		width = max(width, utf8.RuneCountInString(Visible(c.Object.Name)))
	}
	width = min(width, 44)
	shown, left := map[Verb]int{}, map[Verb]int{}
	for _, c := range changes {
		if t.o.Limit > 0 && shown[c.Verb] == t.o.Limit && !c.destructive() {
			left[c.Verb]++
			continue
		}
		shown[c.Verb]++
		t.change(c, width)
	}
	for _, v := range verbs {
		if left[v] > 0 {
			t.line(t.o.Palette.Faint, fmt.Sprintf("  … %d more to %s", left[v], words[v].now))
		}
	}
}

func (t *text) change(c Change, width int) {
	name := Visible(c.Object.Name)
	pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(name)))
	head := fmt.Sprintf("  %s %-10s %-5s %s", words[c.Verb].mark, c.Verb, c.Object.Kind, name)
	t.b.WriteString(paint(t.colour(c), head))
	t.line(t.o.Palette.Faint, pad+"  "+c.reason())
	for _, f := range c.shownFields() {
		why := ""
		if f.Why != "" && f.Why != c.Why {
			why = "  (" + string(f.Why) + ")"
		}
		t.line(nil, fmt.Sprintf("      %s: %s → %s%s", Visible(f.Name), value(f, f.From), value(f, f.To), paint(t.o.Palette.Faint, why)))
	}
	if c.OnCall != "" && c.OnCall != c.Held {
		t.line(t.o.Palette.Warn, "      "+prose(c.OnCall))
	}
	t.names("      is in ", groupNames(c))
	for _, m := range membersByWhy(c) {
		prefix := "      "
		if m.why != "" && m.why != c.Why {
			prefix += string(m.why) + ": "
		}
		names := m.names
		if more := len(names) - t.o.Limit; t.o.Limit > 0 && more > 1 && !c.destructive() {
			names = append(names[:t.o.Limit:t.o.Limit], fmt.Sprintf("and %d more", more))
		}
		for _, l := range wrap(names, prefix, 100) {
			t.line(nil, l)
		}
	}
}

func (t *text) colour(c Change) func(string) string {
	switch {
	case c.destructive():
		return t.o.Palette.Remove
	case c.Verb == VerbUpdate || c.Verb == VerbLink:
		return t.o.Palette.Change
	default:
		return t.o.Palette.Add
	}
}

// shortReads is said before anything else: it means that the directory cannot be trusted at this moment.
func (t *text) shortReads(p Plan) {
	for _, o := range p.shortReads() {
		t.gap()
		t.line(t.o.Palette.Warn, "!! "+prose(o.Text))
		t.remedy(o.Remedy)
	}
}

// held sets the held changes apart, each lot below its cause and the way on.
func (t *text) held(p Plan) {
	lots := p.heldLots(t.recorded)
	if len(lots) == 0 {
		return
	}
	t.title(fmt.Sprintf("Held back, not applied (%s)", count(len(p.Held), "change", "changes")))
	for i, h := range lots {
		if i > 0 {
			t.gap()
		}
		t.line(t.o.Palette.Warn, "  ! "+prose(h.why))
		if h.facts != "" {
			t.line(nil, "    "+prose(h.facts))
		}
		for _, way := range h.ways {
			t.remedy(way)
		}
		t.list(h.changes)
		t.names("      ", h.also)
	}
}

// names sets names into lines.
func (t *text) names(prefix string, names []string) {
	if len(names) == 0 {
		return
	}
	visible := make([]string, len(names))
	for i, n := range names {
		visible[i] = Visible(n)
	}
	for _, l := range wrap(visible, prefix, 100) {
		t.line(nil, l)
	}
}

func (t *text) notes(notes []Note) {
	for _, n := range byKind(notes) {
		t.title(fmt.Sprintf("%s (%d)", n.title, len(n.notes)))
		for _, note := range n.notes {
			mark := "·"
			if n.urgent {
				mark = paint(t.o.Palette.Warn, "!")
			}
			t.line(nil, fmt.Sprintf("  %s %s %s: %s", mark, note.Object.Kind, Visible(note.Object.Name), prose(note.Text)))
			t.remedy(note.Remedy)
		}
	}
}

func (t *text) failures(r Report) {
	bad := r.notDone()
	if len(bad) == 0 && r.Stopped == "" {
		return
	}
	t.title(fmt.Sprintf("Not done (%s)", count(len(bad), "change", "changes")))
	if r.Stopped != "" {
		t.line(t.o.Palette.Warn, "  ! stopped early: "+prose(r.Stopped))
	}
	for _, res := range bad {
		if r.unsent(res) {
			continue
		}
		c := res.Change
		line := fmt.Sprintf("  ! %s %s %s: %s", c.Verb, c.Object.Kind, Visible(c.Object.Name), res.Outcome)
		if res.Error != "" {
			line += ": " + prose(res.Error)
		}
		t.line(t.o.Palette.Warn, line)
		t.remedy(res.Remedy)
	}
	if rest := r.rest(); rest != "" {
		t.line(nil, "  · "+rest)
	}
}

func (t *text) remedy(s string) {
	if s != "" {
		t.line(nil, "    → "+prose(s))
	}
}

// wrap sets names into lines of about width, the first after prefix, the others below it.
func wrap(names []string, prefix string, width int) []string {
	var lines []string
	line, empty := prefix, true
	for i, n := range names {
		if i < len(names)-1 {
			n += ","
		}
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(n) > width {
			lines = append(lines, line)
			line, empty = "      ", true
		}
		if !empty {
			line += " "
		}
		line, empty = line+n, false
	}
	return append(lines, line)
}

func value(f Field, v string) string {
	switch {
	case v == "":
		return "(none)"
	case f.Name == "active":
		return Visible(v)
	default:
		return strconv.Quote(v)
	}
}
