package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A filter is Options.Filter, with as much of it as can be checked on the answer: comparisons of plain attributes that are
// joined by and. Of any other filter the server's word is all there is.
type filter struct {
	text  string
	tests []comparison
}

// A comparison is "path operator value" of which the operator is eq, co, sw or ew.
type comparison struct{ path, op, value string }

// nobody is a filter that finds nobody on a server that heeds filters.
const nobody = `userName eq "nobody.rootly-idp-sync.invalid"`

// parseFilter reads what it can. What it cannot read it leaves to the server, apart from quotes and brackets that do not
// close.
func parseFilter(text string) (filter, error) {
	f := filter{text: strings.TrimSpace(text)}
	if err := balanced(f.text); err != nil {
		return f, fmt.Errorf("scim: the filter %w", err)
	}
	for rest := f.text; rest != ""; {
		path, after, _ := strings.Cut(rest, " ")
		op, after, _ := strings.Cut(strings.TrimSpace(after), " ")
		value, after, ok := cutValue(strings.TrimSpace(after))
		if !ok || strings.ContainsAny(path, "[]()") || !slices.Contains([]string{"eq", "co", "sw", "ew"}, strings.ToLower(op)) {
			return filter{text: f.text}, nil
		}
		f.tests = append(f.tests, comparison{path, strings.ToLower(op), connectors.Fold(value)})
		if rest = strings.TrimSpace(after); rest == "" {
			break
		}
		word, after, _ := strings.Cut(rest, " ")
		if rest = strings.TrimSpace(after); !strings.EqualFold(word, "and") || rest == "" {
			return filter{text: f.text}, nil
		}
	}
	return f, nil
}

// balanced checks that quotes, brackets and parentheses close.
func balanced(text string) error {
	var open []byte
	quoted := false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '(' || b == '[':
			open = append(open, b)
		case b == ')' || b == ']':
			if len(open) == 0 || (open[len(open)-1] == '(') != (b == ')') {
				return errors.New("has brackets that do not match")
			}
			open = open[:len(open)-1]
		}
	}
	if quoted || len(open) > 0 {
		return errors.New("has a quote or bracket that does not close")
	}
	return nil
}

// cutValue takes a JSON string, number or boolean off the front.
func cutValue(s string) (value, rest string, ok bool) {
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return "", s, false
	}
	rest = s[dec.InputOffset():]
	switch v := v.(type) {
	case string:
		return v, rest, true
	case bool, json.Number:
		return fmt.Sprint(v), rest, true
	}
	return "", s, false
}

// attributes are what the check reads.
func (f filter) attributes() (paths []string) {
	for _, t := range f.tests {
		paths = append(paths, t.path)
	}
	return paths
}

// contradicts tells whether somebody whom the server found does plainly not fit the filter. An attribute that the server
// keeps to itself decides nothing.
func (f filter) contradicts(u scimclient.User) (comparison, bool) {
	for _, t := range f.tests {
		text := u.Attributes[t.path]
		if text != "" && !t.holds(text) && !slices.ContainsFunc(strings.Split(text, ","), t.holds) {
			return t, true
		}
	}
	return comparison{}, false
}

func (t comparison) holds(text string) bool {
	text = connectors.Fold(text)
	switch t.op {
	case "co":
		return strings.Contains(text, t.value)
	case "sw":
		return strings.HasPrefix(text, t.value)
	case "ew":
		return strings.HasSuffix(text, t.value)
	}
	return text == t.value
}
