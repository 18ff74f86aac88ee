package sim

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A comparison is one "attribute operator value" of a filter. Attribute and operator are in lower case: both filter
// languages ignore their case.
type comparison struct {
	attribute, operator, value string
}

// filterExpr is a filter as alternatives of conjunctions. Neither Okta's readers nor SCIM's need brackets.
type filterExpr [][]comparison

// parseFilter reads comparisons joined by and / or, with and binding tighter.
func parseFilter(s string) (filterExpr, error) {
	expr := filterExpr{nil}
	for rest := s; ; {
		c, after, err := parseComparison(rest)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", s, err)
		}
		expr[len(expr)-1] = append(expr[len(expr)-1], c)
		if after = strings.TrimSpace(after); after == "" {
			return expr, nil
		}
		word, tail, _ := strings.Cut(after, " ")
		switch strings.ToLower(word) {
		case "and":
		case "or":
			expr = append(expr, nil)
		default:
			return nil, fmt.Errorf("filter %q: %q where \"and\" or \"or\" belongs", s, word)
		}
		rest = tail
	}
}

func parseComparison(s string) (c comparison, rest string, err error) {
	attribute, s, _ := strings.Cut(strings.TrimSpace(s), " ")
	operator, s, _ := strings.Cut(strings.TrimSpace(s), " ")
	s = strings.TrimSpace(s)
	if attribute == "" || operator == "" || s == "" {
		return c, "", errors.New("a comparison has an attribute, an operator and a value")
	}
	in := json.NewDecoder(strings.NewReader(s))
	var value any
	if err := in.Decode(&value); err != nil {
		return c, "", fmt.Errorf("value of %s: %w", attribute, err)
	}
	text, ok := value.(string)
	if !ok {
		return c, "", fmt.Errorf("the value of %s is not a quoted string", attribute)
	}
	return comparison{strings.ToLower(attribute), strings.ToLower(operator), text}, s[in.InputOffset():], nil
}

// match reports whether any alternative holds, asking holds for every comparison of it.
func (f filterExpr) match(holds func(comparison) bool) bool {
	for _, all := range f {
		ok := true
		for _, c := range all {
			ok = ok && holds(c)
		}
		if ok {
			return true
		}
	}
	return false
}
