package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Summary is the explanation in one or two sentences.
func (e Explanation) Summary() string {
	name := Visible(e.Object.Name)
	switch {
	case !e.Known:
		return fmt.Sprintf("%s is in neither the directory nor Rootly.", Visible(quoted(e.Who)))
	case e.Blocked != "":
		return fmt.Sprintf("%s: nothing is planned for anybody. %s.", name, upperFirst(prose(e.Blocked)))
	case len(e.Changes) > 0:
		s := fmt.Sprintf("%s will be %s.", name, e.deeds(e.Changes))
		if len(e.Held) > 0 {
			s += fmt.Sprintf(" Held back: would be %s.", e.deeds(e.Held))
		}
		return s
	case len(e.Held) > 0:
		return fmt.Sprintf("%s: nothing changes now. Held back: would be %s.", name, e.deeds(e.Held))
	}
	for _, n := range e.Notes {
		switch n.Kind {
		case NoteStuck:
		case NoteConflict, NoteUnmapped:
			return fmt.Sprintf("%s: nothing changes, and somebody has to look at it (%s).", name, n.Kind)
		default:
			return fmt.Sprintf("%s: nothing changes (%s).", name, n.Kind)
		}
	}
	switch {
	case e.Object.Source == "":
		return name + ": nothing changes. Only Rootly knows this " + string(e.Object.Kind) + ", and it is not ours to touch."
	case e.Rootly.Managed && e.Decision.In:
		return name + ": nothing changes. Rootly matches the directory."
	case e.Rootly.Shown && e.Rootly.Active:
		return fmt.Sprintf("%s: nothing changes (%s).", name, Visible(e.Decision.Verdict))
	}
	return fmt.Sprintf("%s: nothing changes. Not wanted in Rootly (%s), and not active there.", name, Visible(e.Decision.Verdict))
}

// deeds names what changes do to the object explained: "created (joined), added to oncall-b (joined)".
func (e Explanation) deeds(changes []Change) string {
	var out []string
	for _, c := range changes {
		own := c.Object.id() == e.Object.id()
		s := past[c.Verb]
		switch {
		case c.Verb == VerbAdd && own:
			s = "given " + count(len(c.Members), "member", "members")
		case c.Verb == VerbRemove && own:
			s = "stripped of " + count(len(c.Members), "member", "members")
		case c.Verb == VerbAdd:
			s = "added to " + Visible(c.Object.Name)
		case c.Verb == VerbRemove:
			s = "removed from " + Visible(c.Object.Name)
		}
		out = append(out, fmt.Sprintf("%s (%s)", s, c.Why))
	}
	return strings.Join(out, ", ")
}

// JSON is the explanation for programs.
func (e Explanation) JSON() ([]byte, error) {
	return Document(struct {
		Format  string `json:"format"`
		Summary string `json:"summary"`
		Explanation
	}{"rootly-idp-sync/explanation/v1", e.Summary(), e})
}

// Text shows the explanation to a person: what will happen first, then each side and each step that led to it.
func (e Explanation) Text(o TextOptions) string {
	t := text{o: o}
	t.line(o.Palette.Strong, e.Summary())
	t.line(o.Palette.Faint, fmt.Sprintf("Directory %s and Rootly as of %s.", Visible(e.Source), e.At.UTC().Format("2006-01-02 15:04 UTC")))
	if !e.Known {
		e.unknown(&t)
		return t.b.String()
	}
	e.sides(&t)
	e.decision(&t)
	e.values(&t)
	e.places(&t)
	e.again(&t)
	if len(e.Changes) > 0 {
		t.title("What will happen")
		t.list(e.Changes)
	}
	e.held(&t)
	if e.Pinned {
		t.title("Pinned")
		t.line(nil, "  An undo restored this "+string(e.Object.Kind)+"; it is left as it is until it is unpinned.")
	}
	e.retries(&t)
	t.notes(e.Notes)
	return t.b.String()
}

func (e Explanation) again(t *text) {
	if e.Again == nil {
		return
	}
	t.title("Asked a second time, because something would be taken away")
	lead := map[string]string{
		string(confirmed):    "The directory says the same: ",
		string(contradicted): "The directory says the opposite, so nobody loses anything in this run: ",
		string(unproven):     "That is not certain yet, so it is not taken away: ",
	}[e.Again.Result]
	if e.Object.Kind == KindGroup && e.Again.Result == string(confirmed) {
		lead = ""
	}
	t.line(nil, "  "+upperFirst(lead+prose(e.Again.Text))+".")
}

// retries tells of failures that nothing held tells of already.
func (e Explanation) retries(t *text) {
	if len(e.Held) > 0 {
		return
	}
	for _, r := range e.Retries {
		t.title("Failed before")
		t.line(nil, fmt.Sprintf("  %s failed %s, the last time with: %s", r.Verb, count(r.Attempts, "time", "times"), prose(r.Reason)))
	}
}

func (e Explanation) unknown(t *text) {
	if e.Blocked != "" {
		t.gap()
		t.line(t.o.Palette.Warn, "  ! "+prose(e.Blocked))
	}
	t.gap()
	t.line(nil, "  The directory's answer may leave out people and groups that scope and push do not ask for.")
	if len(e.Near) > 0 {
		t.line(nil, "  Did you mean:")
		for _, n := range e.Near {
			t.line(nil, "    "+Visible(n))
		}
	}
}

// sides says what the directory and Rootly have.
func (e Explanation) sides(t *text) {
	t.title("In the directory")
	d := e.Directory
	switch {
	case !d.Listed:
		t.line(nil, "  Not in its answer.")
	case e.Object.Kind == KindUser:
		status := string(d.Status)
		if d.Detail != "" && !strings.EqualFold(d.Detail, status) {
			status += " (" + Visible(d.Detail) + ")"
		}
		t.line(nil, fmt.Sprintf("  %s, id %s, %s.", Visible(d.Name), Visible(d.ID), status))
	default:
		t.line(nil, fmt.Sprintf("  %s, id %s, %s.", Visible(d.Name), Visible(d.ID), count(d.Members, "member", "members")))
	}
	t.title("In Rootly")
	r := e.Rootly
	what := "account"
	if e.Object.Kind == KindGroup {
		what = "group"
	}
	switch {
	case r.Target == "" && len(r.Namesakes) == 0:
		t.line(nil, "  No such "+what+".")
	case r.Target == "":
		for _, n := range r.Namesakes {
			t.line(nil, fmt.Sprintf("  The %s %s, id %s, has the same name or externalId and is not managed by us.", what, Visible(n.Name), Visible(n.Target)))
		}
	case !r.Shown:
		t.line(nil, fmt.Sprintf("  We manage the %s %s, and Rootly does not show it any more.", what, Visible(r.Target)))
	default:
		state := ""
		if what == "account" && !r.Active {
			state = "deactivated "
		}
		t.line(nil, fmt.Sprintf("  The %s%s %s, id %s: %s.", state, what, Visible(r.Name), Visible(r.Target), r.how()))
	}
}

// how says in words how an object of Rootly was found, and whose it is.
func (m Matched) how() string {
	switch {
	case m.Managed:
		return "managed by us since an earlier run"
	case m.How == "none":
		return "not managed by us"
	}
	return "found by " + Visible(m.How) + ", not managed by us yet"
}

func (e Explanation) decision(t *text) {
	title, d := "Is it pushed?", e.Decision
	if e.Object.Kind == KindUser {
		title = "Are they in scope?"
	}
	t.title(title)
	line := "  " + upperFirst(Visible(d.Verdict))
	if d.Text != "" {
		line += ": " + prose(d.Text)
	}
	t.line(nil, line+".")
	t.remedy(d.Remedy)
	if d.Verdict == string(standDisabled) || d.Verdict == string(standStaged) {
		return // the account's state decided, whatever scope says
	}
	for _, c := range d.Clauses {
		if !c.Decided || c.Text == d.Text {
			continue
		}
		line := fmt.Sprintf("    because %s is %s", prose(c.Text), prose(c.Result))
		for i, r := range c.Reads {
			line += map[bool]string{true: "; ", false: ", "}[i == 0] + Visible(r.Name) + " is " + value(Field{}, r.Value)
		}
		t.line(nil, line)
	}
}

// values sets the mapped attributes in columns: what, value, rule. What the default rule leaves empty is left out.
func (e Explanation) values(t *text) {
	if len(e.Values) == 0 {
		return
	}
	title := "Values for Rootly, each with its rule"
	if !e.Decision.In {
		title = "Values for Rootly if they were wanted there, each with its rule"
	}
	t.title(title)
	list := slices.DeleteFunc(slices.Clone(e.Values), func(v MappedValue) bool { return v.Value == "" && v.Rule == "default" })
	names, values := 0, 0
	for _, v := range list {
		names = max(names, len(v.Attribute))
		values = max(values, utf8.RuneCountInString(Visible(v.Value)))
	}
	values = min(values, 44)
	for _, v := range list {
		shown := Visible(v.Value)
		if v.Value == "" {
			shown = "-"
		}
		pad := strings.Repeat(" ", max(0, values-utf8.RuneCountInString(shown)))
		t.line(nil, fmt.Sprintf("  %-*s  %s%s  %s", names, v.Attribute, shown, pad, paint(t.o.Palette.Faint, prose(v.rule()))))
		if v.Problem != "" {
			t.line(t.o.Palette.Warn, "    ! "+prose(v.Problem))
		}
	}
}

// rule says where a value comes from, the expression with its key.
func (v MappedValue) rule() string {
	if v.Rule == "default" || v.Rule == "not managed" || strings.HasPrefix(v.Rule, "default: ") {
		return v.Rule
	}
	return "map." + v.Attribute + ": " + v.Rule
}

// places lists memberships: a person's all, a group's only where something differs.
func (e Explanation) places(t *text) {
	if len(e.Places) == 0 {
		return
	}
	title := "Pushed groups"
	if e.Object.Kind == KindGroup {
		directory, wanted, rootly := 0, 0, 0
		for _, p := range e.Places {
			directory, wanted, rootly = directory+one(p.Directory), wanted+one(p.Wanted), rootly+one(p.Rootly)
		}
		title = fmt.Sprintf("Members: %d in the directory, %d of them wanted, %d in Rootly", directory, wanted, rootly)
	}
	t.title(title)
	same := 0
	for _, p := range e.Places {
		if p.Why == "" && e.Object.Kind == KindGroup {
			same++
			continue
		}
		line := fmt.Sprintf("  %s: %s", p.Object.shown(), p.sides())
		if p.Why != "" {
			line += "; " + prose(p.Why)
		}
		t.line(nil, line)
	}
	if same > 0 {
		t.line(t.o.Palette.Faint, fmt.Sprintf("  %s the same on both sides", count(same, "member is", "members are")))
	}
}

func (p Place) sides() string {
	switch {
	case p.Directory && p.Rootly:
		return "on both sides"
	case p.Directory:
		return "in the directory only"
	}
	return "in Rootly only"
}

// held shows held changes below their cause, and the sets that an approval would release.
func (e Explanation) held(t *text) {
	if len(e.Held) == 0 {
		return
	}
	t.held(Plan{At: e.At, Held: e.Held, Objections: e.Objections, Sets: e.Sets, OnCall: e.onCall})
	for _, s := range e.Sets {
		if more := len(s.Items) - 1; more > 0 {
			t.line(nil, fmt.Sprintf("    an approval of set %s releases all that is in it: this and %s", Visible(s.Fingerprint), count(more, "other", "others")))
		}
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
