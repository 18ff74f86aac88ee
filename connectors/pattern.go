package connectors

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Fold is how names and addresses are compared everywhere: trimmed, Unicode NFC, lower case.
func Fold(s string) string {
	s = strings.TrimSpace(s)
	if ascii(s) {
		return strings.ToLower(s)
	}
	return norm.NFC.String(strings.ToLower(norm.NFC.String(s)))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// A Pattern names people or groups the way an operator writes them: "id:" and an exact id, or a name in which only *
// is special and letter case does not count.
type Pattern struct {
	text  string
	id    string   // for "id:…"
	parts []string // folded pieces between the stars, for names
}

// ParsePattern reads a pattern. The empty one is an error, for it would be a typing mistake.
func ParsePattern(s string) (Pattern, error) {
	text := strings.TrimSpace(s)
	if id, ok := strings.CutPrefix(text, "id:"); ok {
		if id == "" {
			return Pattern{}, fmt.Errorf("pattern %q has no id after \"id:\"", s)
		}
		return Pattern{text: text, id: id}, nil
	}
	if text == "" {
		return Pattern{}, fmt.Errorf("an empty pattern matches nothing; write a name, a name with *, or id:…")
	}
	return Pattern{text: text, parts: strings.Split(Fold(text), "*")}, nil
}

// Match tells whether the pattern means the object with this id or one of these names.
func (p Pattern) Match(id string, names ...string) bool {
	if p.id != "" {
		return p.id == id
	}
	for _, n := range names {
		if n != "" && p.matchFolded(Fold(n)) {
			return true
		}
	}
	return false
}

func (p Pattern) matchFolded(s string) bool {
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(p.parts) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

// Exact tells whether the pattern can mean one object only: an id or a name without a star.
func (p Pattern) Exact() bool { return p.id != "" || len(p.parts) == 1 }

// ID is the id of an "id:…" pattern, else "".
func (p Pattern) ID() string { return p.id }

// String is the pattern as the operator wrote it.
func (p Pattern) String() string { return p.text }

// Patterns is a list of which any may match.
type Patterns []Pattern

// ParsePatterns reads a list of patterns, stopping at the first bad one.
func ParsePatterns(list []string) (Patterns, error) {
	var out Patterns
	for _, s := range list {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Match returns the first pattern that means the object, or false.
func (ps Patterns) Match(id string, names ...string) (Pattern, bool) {
	for _, p := range ps {
		if p.Match(id, names...) {
			return p, true
		}
	}
	return Pattern{}, false
}
