package connectors

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPattern(t *testing.T) {
	tests := []struct {
		pattern, id, name string
		want              bool
	}{
		{"SRE", "1", "sre", true},
		{"  SRE ", "1", "sre\t", true},
		{"SRE", "1", "SRE team", false},
		{"oncall-*", "1", "OnCall-DB", true},
		{"oncall-*", "1", "oncall-", true},
		{"oncall-*", "1", "my oncall-db", false},
		{"*-db", "1", "oncall-db", true},
		{"*call*db*", "1", "oncall-the-db-one", true},
		{"*call*db*", "1", "db-oncall", false},
		{"a*a", "1", "a", false},
		{"a*a", "1", "aa", true},
		{"*", "1", "anything", true},
		{"*", "1", "", false},
		{"**", "1", "anything", true},
		{"a.c", "1", "abc", false},
		{"a?c", "1", "abc", false},
		{"[ab]", "1", "a", false},
		{"café", "1", "CAFE\u0301", true},
		{"ÄÖ*", "1", "äöü", true},
		{"id:00g1", "00g1", "whatever", true},
		{"id:00g1", "00G1", "00g1", false},
		{"id:*", "00g1", "whatever", false},
		{"00g1", "00g1", "whatever", false},
	}
	for _, tc := range tests {
		p, err := ParsePattern(tc.pattern)
		if err != nil {
			t.Errorf("%q: %v", tc.pattern, err)
			continue
		}
		if got := p.Match(tc.id, tc.name); got != tc.want {
			t.Errorf("%q matches id %q, name %q: %v", tc.pattern, tc.id, tc.name, got)
		}
	}
}

func TestPatternRefusesWhatNamesNothing(t *testing.T) {
	for _, s := range []string{"", " \t", "id:"} {
		if _, err := ParsePattern(s); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	if _, err := ParsePatterns([]string{"a", ""}); err == nil {
		t.Error("a list with an empty pattern was taken")
	}
}

func TestPatternSaysWhatItIs(t *testing.T) {
	for s, want := range map[string]struct {
		exact bool
		id    string
	}{" SRE": {true, ""}, "s*": {false, ""}, "id:00g1": {true, "00g1"}} {
		p, err := ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		if p.Exact() != want.exact || p.ID() != want.id || p.String() != strings.TrimSpace(s) {
			t.Errorf("%q: exact %v, id %q, text %q", s, p.Exact(), p.ID(), p)
		}
	}
}

func TestPatternsReturnTheFirstMatch(t *testing.T) {
	ps, err := ParsePatterns([]string{"x*", "id:1", "a*"})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := ps.Match("1", "", "abc"); !ok || p.String() != "id:1" {
		t.Errorf("matched %q, %v", p, ok)
	}
	if p, ok := ps.Match("2", "nobody", "ABC"); !ok || p.String() != "a*" {
		t.Errorf("matched %q, %v", p, ok)
	}
	if _, ok := ps.Match("2", "nobody"); ok {
		t.Error("matched nothing that is meant")
	}
	if _, ok := Patterns(nil).Match("1", "a"); ok {
		t.Error("no patterns matched something")
	}
}

// text draws names that are likely to collide: few letters, in cases and compositions that fold together.
var text = rapid.StringOf(rapid.SampledFrom([]rune("aAbB*.[( \u00e9\u00c9e\u0301İıßK")))

func TestPatternLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern, name := text.Draw(t, "pattern"), text.Draw(t, "name")
		p, err := ParsePattern(pattern)
		if err != nil {
			if strings.TrimSpace(pattern) != "" {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		quoted := strings.ReplaceAll(regexp.QuoteMeta(Fold(pattern)), `\*`, `.*`)
		want := name != "" && regexp.MustCompile(`(?s)^`+quoted+`$`).MatchString(Fold(name))
		if got := p.Match("id", name); got != want {
			t.Errorf("%q matches %q: %v, a regular expression says %v", pattern, name, got, want)
		}
	})
}

func TestFoldLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), text).Draw(t, "s")
		once := Fold(s)
		if twice := Fold(once); twice != once {
			t.Errorf("Fold(%q) is %q, folded again %q", s, once, twice)
		}
		if got := Fold(" " + s + "\n"); got != once {
			t.Errorf("Fold(%q) is %q, with space round it %q", s, once, got)
		}
		if got := Fold(strings.ToLower(s)); got != once {
			t.Errorf("Fold(%q) is %q, of its lower case %q", s, once, got)
		}
	})
}
