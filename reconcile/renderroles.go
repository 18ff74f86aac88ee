package reconcile

import (
	"fmt"
	"slices"
)

// A roleMove is who enters or leaves one group that carries roles, in one way.
type roleMove struct {
	group  string
	gains  bool
	held   bool
	people []string
}

// lead is the move in words, without the names.
func (m roleMove) lead() string {
	verb := "gains"
	switch {
	case m.gains && len(m.people) != 1:
		verb = "gain"
	case !m.gains && len(m.people) == 1:
		verb = "loses"
	case !m.gains:
		verb = "lose"
	}
	s := fmt.Sprintf("%s %s role group %s", count(len(m.people), "person", "people"), verb, Visible(m.group))
	if m.held {
		s += " (held back)"
	}
	return s
}

// roleMoves are the changes of role groups, deactivations included, in the order of the changes.
func roleMoves(changes []Change, held bool) []roleMove {
	var out []roleMove
	put := func(group string, gains bool, name string) {
		i := slices.IndexFunc(out, func(m roleMove) bool { return m.group == group && m.gains == gains })
		if i < 0 {
			i = len(out)
			out = append(out, roleMove{group: group, gains: gains, held: held})
		}
		out[i].people = append(out[i].people, name)
	}
	for _, c := range changes {
		if c.Object.Role {
			for _, m := range c.Members {
				put(c.Object.Name, c.Verb == VerbAdd, m.User.Name)
			}
		}
		for _, g := range c.Groups {
			if g.Role {
				put(g.Name, false, c.Object.Name)
			}
		}
	}
	return out
}

// roleTally is a sentence of its own for a summary, "" when no role group changes.
func roleTally(changes []Change) string {
	granted, taken := 0, 0
	for _, m := range roleMoves(changes, false) {
		if m.gains {
			granted += len(m.people)
		} else {
			taken += len(m.people)
		}
	}
	if granted+taken == 0 {
		return ""
	}
	return fmt.Sprintf(" Role groups: %d gained, %d lost.", granted, taken)
}

// shown is an object's name for people, a role group's with that word.
func (r Ref) shown() string {
	if r.Role {
		return Visible(r.Name) + " (role group)"
	}
	return Visible(r.Name)
}

// roles sets apart who gains and who loses a role group, above all changes.
func (t *text) roles(p Plan) {
	moves := append(roleMoves(p.Changes, false), roleMoves(p.Held, true)...)
	if len(moves) == 0 {
		return
	}
	t.title("Role groups")
	for _, m := range moves {
		t.line(t.o.Palette.Warn, "  ! "+m.lead())
		t.names("      ", m.people)
	}
}

// roles is text.roles in Markdown.
func (m *markdown) roles(p Plan) {
	moves := append(roleMoves(p.Changes, false), roleMoves(p.Held, true)...)
	if len(moves) == 0 {
		return
	}
	m.title("Role groups")
	for _, move := range moves {
		m.item(0, "⚠️ "+EscapeMarkdown(move.lead()))
		m.names(1, "", move.people)
	}
}
