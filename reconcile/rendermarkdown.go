package reconcile

import (
	"fmt"
	"strings"
	"unicode"
)

// Markdown is the plan for a pull request or the summary of a CI run, in the order of Plan.Text.
func (p Plan) Markdown() string {
	var m markdown
	m.heading("Plan")
	m.paragraph("**" + EscapeMarkdown(p.Summary()) + "**")
	m.paragraph(EscapeMarkdown(p.Counts.sentence(p.Source)))
	m.paragraph(EscapeMarkdown(p.Cost.sentence()))
	m.shortReads(p)
	m.roles(p.Changes, p.Held)
	m.onCall(p)
	m.changes(p.Changes)
	m.held(p)
	m.notes(p.Notes)
	return m.b.String()
}

// Markdown is the report for the summary of a CI run, in the order of Report.Text.
func (r Report) Markdown() string {
	m := markdown{recorded: true}
	m.heading("Sync")
	m.paragraph("**" + EscapeMarkdown(r.Summary()) + "**")
	m.paragraph(EscapeMarkdown(r.Plan.Counts.sentence(r.Plan.Source)))
	m.shortReads(r.Plan)
	m.roles(r.done(), r.Plan.Held)
	m.onCall(r.Plan)
	m.changes(r.done())
	m.failures(r)
	m.held(r.Plan)
	m.notes(r.Plan.Notes)
	return m.b.String()
}

// markdown collects the lines of one rendering. Names and values stand in code spans, where no markup, link or mention
// of a directory's making can take effect; all other text is escaped.
type markdown struct {
	b        strings.Builder
	recorded bool // the sets of the plan are in the store
}

func (m *markdown) heading(s string) { fmt.Fprintf(&m.b, "## %s\n", s) }

func (m *markdown) paragraph(s string) { fmt.Fprintf(&m.b, "\n%s\n", s) }

func (m *markdown) title(s string) { fmt.Fprintf(&m.b, "\n### %s\n\n", EscapeMarkdown(s)) }

func (m *markdown) item(depth int, s string) {
	fmt.Fprintf(&m.b, "%s- %s\n", strings.Repeat("  ", depth), s)
}

func (m *markdown) changes(changes []Change) {
	for _, s := range byReason(changes) {
		m.title(fmt.Sprintf("%s (%s)", s.title, count(len(s.changes), "change", "changes")))
		m.list(0, s.changes)
	}
}

func (m *markdown) list(depth int, changes []Change) {
	for _, c := range changes {
		m.item(depth, fmt.Sprintf("**%s** %s %s: %s", c.Verb, c.Object.Kind, code(c.Object.Name), EscapeMarkdown(c.reason())))
		for _, f := range c.shownFields() {
			why := ""
			if f.Why != "" && f.Why != c.Why {
				why = " (" + EscapeMarkdown(string(f.Why)) + ")"
			}
			m.item(depth+1, fmt.Sprintf("%s: %s → %s%s", code(f.Name), codeValue(f.From), codeValue(f.To), why))
		}
		if c.OnCall != "" && c.OnCall != c.Held {
			m.item(depth+1, "⚠️ "+EscapeMarkdown(c.OnCall))
		}
		m.names(depth+1, "is in ", groupNames(c))
		for _, w := range membersByWhy(c) {
			why := ""
			if w.why != "" && w.why != c.Why {
				why = EscapeMarkdown(string(w.why)) + ": "
			}
			m.names(depth+1, why, w.names)
		}
	}
}

func (m *markdown) names(depth int, prefix string, names []string) {
	if len(names) == 0 {
		return
	}
	coded := make([]string, len(names))
	for i, n := range names {
		coded[i] = code(n)
	}
	m.item(depth, prefix+strings.Join(coded, ", "))
}

func (m *markdown) shortReads(p Plan) {
	for _, o := range p.shortReads() {
		m.paragraph("⚠️ **" + EscapeMarkdown(o.Text) + "**")
		m.b.WriteByte('\n')
		m.item(0, "→ "+EscapeMarkdown(o.Remedy))
	}
}

func (m *markdown) held(p Plan) {
	lots := p.heldLots(m.recorded)
	if len(lots) == 0 {
		return
	}
	m.title(fmt.Sprintf("Held back, not applied (%s)", count(len(p.Held), "change", "changes")))
	for _, h := range lots {
		m.item(0, "⚠️ "+EscapeMarkdown(h.why))
		if h.facts != "" {
			m.item(1, EscapeMarkdown(h.facts))
		}
		for _, way := range h.ways {
			m.remedy(way)
		}
		m.list(1, h.changes)
		m.names(1, "", h.also)
	}
}

func (m *markdown) notes(notes []Note) {
	for _, n := range byKind(notes) {
		m.title(fmt.Sprintf("%s (%d)", n.title, len(n.notes)))
		for _, note := range n.notes {
			m.item(0, fmt.Sprintf("%s %s: %s", note.Object.Kind, code(note.Object.Name), EscapeMarkdown(note.Text)))
			m.remedy(note.Remedy)
		}
	}
}

func (m *markdown) failures(r Report) {
	bad := r.notDone()
	if len(bad) == 0 && r.Stopped == "" {
		return
	}
	m.title(fmt.Sprintf("Not done (%s)", count(len(bad), "change", "changes")))
	if r.Stopped != "" {
		m.item(0, "⚠️ stopped early: "+EscapeMarkdown(r.Stopped))
	}
	for _, res := range bad {
		if r.unsent(res) {
			continue
		}
		c := res.Change
		line := fmt.Sprintf("**%s** %s %s: %s", c.Verb, c.Object.Kind, code(c.Object.Name), res.Outcome)
		if res.Error != "" {
			line += ": " + EscapeMarkdown(res.Error)
		}
		m.item(0, line)
		m.remedy(res.Remedy)
	}
	if rest := r.rest(); rest != "" {
		m.item(0, EscapeMarkdown(rest))
	}
}

func (m *markdown) remedy(s string) {
	if s != "" {
		m.item(1, "→ "+EscapeMarkdown(s))
	}
}

// code sets s as a code span whose fence no run of backticks in s can close.
func code(s string) string {
	s = Visible(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if s == "" || len(fence) > 1 || strings.TrimSpace(s) != s {
		s = " " + s + " "
	}
	return fence + s + fence
}

func codeValue(s string) string {
	if s == "" {
		return "(none)"
	}
	return code(s)
}

// bareLinks breaks what forges make a link of without any markup.
var bareLinks = strings.NewReplacer("://", `\://`, "www.", `www\.`)

// EscapeMarkdown makes every character that could be markup, a link or a mention stand for itself. Forges look for mentions
// in the finished HTML, so an @ that begins a word is cut from its name by an empty comment. An e-mail is left whole.
func EscapeMarkdown(s string) string {
	var b strings.Builder
	before := ' '
	for _, r := range prose(s) {
		switch {
		case r == '@' && !unicode.IsLetter(before) && !unicode.IsDigit(before):
			b.WriteString("@<!-- -->")
		case strings.ContainsRune("\\`*_[]<>|~&$", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return bareLinks.Replace(b.String())
}
