package connectors

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzPattern holds patterns to the regular expressions that they stand for, and folding to itself: who is protected or
// left out must not hang on how a name happens to be spelt.
func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{{"oncall-*", "OnCall-Payments"}, {"*@acme.com", "É@ACME.com"}, {"a*b*a", "aba"}, {"**", ""}, {"id:00u1", "00u1"}, {"ab*ba", "aba"}, {"İ*", "i̇x"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if Fold(Fold(name)) != Fold(name) {
			t.Errorf("%q folds to %q and then to %q", name, Fold(name), Fold(Fold(name)))
		}
		p, err := ParsePattern(pattern)
		if err != nil || p.ID() != "" || !utf8.ValidString(pattern) || !utf8.ValidString(name) {
			return
		}
		var parts []string
		for part := range strings.SplitSeq(Fold(pattern), "*") {
			parts = append(parts, regexp.QuoteMeta(part))
		}
		want := name != "" && regexp.MustCompile(`^(?s:`+strings.Join(parts, ".*")+`)$`).MatchString(Fold(name))
		if got := p.Match("some id", name); got != want {
			t.Errorf("%q means %q: %v, want %v", pattern, name, got, want)
		}
		if !strings.Contains(pattern, "*") && name != "" && p.Match("", name) != (Fold(pattern) == Fold(name)) {
			t.Errorf("%q without a star and %q", pattern, name)
		}
	})
}
