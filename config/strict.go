package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reference is ${NAME} as a whole value.
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// section reads the mapping n as the struct t and returns its values by key, each of exactly the field's type.
// Whatever is wrong is reported and left out.
func (l *loader) section(n *yaml.Node, t reflect.Type, path string) map[string]any {
	if n = resolve(n); n.Kind != yaml.MappingNode {
		l.add(path, n.Line, Problem{Text: "holds " + describe(n) + " where keys belong", Remedy: "write keys below it: " + names(fieldsOf(t, path))})
		return nil
	}
	fields := fieldsOf(t, path)
	out := map[string]any{}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, printable(key.Value))
		if first, ok := seen[key.Value]; ok {
			l.add(at, key.Line, Problem{Text: fmt.Sprintf("stands twice, first on line %d", first), Remedy: "keep one of the two"})
			continue
		}
		seen[key.Value] = key.Line
		k := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if k < 0 {
			l.add(at, key.Line, Problem{Text: "is not a key", Remedy: suggest(key.Value, fields)})
			continue
		}
		f := fields[k]
		l.origins[f.path] = origin{line: key.Line}
		if v := l.field(value, f); v != nil {
			out[f.name] = v
		}
	}
	return out
}

// field reads the value of one key; nil means that there is none or that it was reported.
func (l *loader) field(n *yaml.Node, f field) any {
	n = resolve(n)
	null := n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
	switch {
	case null && (f.section() || f.list()):
		return nil // everything below it is commented out
	case f.section() && f.word() != "" && n.Kind == yaml.ScalarNode:
		if n.Value != f.word() {
			l.add(f.path, n.Line, Problem{Text: "holds a single value where keys belong", Remedy: "write the word " + f.word() + ", or keys below it: " + names(fieldsOf(f.typ, f.path))})
			return nil
		}
		l.words[f.path] = true
		return nil
	case f.section():
		return l.section(n, f.typ, f.path)
	case null:
		l.add(f.path, n.Line, Problem{Text: "has no value", Remedy: "give it one, or remove the line"})
		return nil
	case f.list() && n.Kind == yaml.SequenceNode:
		return l.items(n, f)
	case n.Kind != yaml.ScalarNode:
		l.add(f.path, n.Line, Problem{Text: "holds " + describe(n) + " where one value belongs", Remedy: "write a single value"})
		return nil
	case f.list() && !reference.MatchString(n.Value):
		l.add(f.path, n.Line, Problem{Text: "holds one value where a list belongs", Remedy: "put it in brackets: [" + strings.TrimSpace(quoted(n)) + "]"})
		return nil
	}
	text, err := l.scalar(n, f)
	if err != nil {
		l.add(f.path, n.Line, err)
		return nil
	}
	v, err := f.value(text)
	if err != nil {
		l.add(f.path, n.Line, err)
		return nil
	}
	return v
}

// items reads a list of strings.
func (l *loader) items(n *yaml.Node, f field) any {
	out := []string{}
	for i, item := range n.Content {
		item = resolve(item)
		at := fmt.Sprintf("%s[%d]", f.path, i)
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			l.add(at, item.Line, Problem{Text: "holds " + describe(item) + " where text belongs", Remedy: "write one name or pattern"})
			continue
		}
		text, err := l.scalar(item, f)
		if err != nil {
			l.add(at, item.Line, err)
			continue
		}
		out = append(out, text)
	}
	return out
}

// scalar is the text of a single value: as written, or out of the environment for ${NAME}.
func (l *loader) scalar(n *yaml.Node, f field) (string, error) {
	tag := n.ShortTag()
	if m := reference.FindStringSubmatch(n.Value); m != nil && tag == "!!str" {
		value, ok := l.env(m[1])
		switch {
		case !ok:
			return "", Problem{Text: "needs the environment variable " + m[1] + ", which is not set", Remedy: "set it, or write the value"}
		case value == "":
			return "", Problem{Text: "needs the environment variable " + m[1] + ", which is empty", Remedy: "give it a value"}
		}
		return value, nil
	}
	switch {
	case tag == "!!str" && strings.Contains(n.Value, "${") && f.typ != secretType:
		return "", Problem{Text: "has ${…} inside a longer value", Remedy: "only a whole value is replaced: write the value out, or put all of it into the variable"}
	case f.text() && tag != "!!str":
		return "", unquoted(n, f)
	case f.typ == shareType || f.typ == durationType || f.text():
		return n.Value, nil
	case tag == "!!str":
		return "", Problem{Text: "holds text where " + kind(f) + " belongs", Remedy: "write it without quotes"}
	}
	return n.Value, nil
}

// unquoted is the problem of a bare number, date or truth value where text belongs. YAML has already lost what was
// meant: an app id 0123 is the number 83 to it.
func unquoted(n *yaml.Node, f field) Problem {
	if f.typ == secretType {
		return Problem{Text: "is read as a " + tagNoun(n) + " and must be text", Remedy: "put it in quotes"}
	}
	p := Problem{Text: "is the " + tagNoun(n) + " " + n.Value + " and must be text", Remedy: "quote it: " + quoted(n)}
	var value any
	if err := n.Decode(&value); err == nil && fmt.Sprint(value) != n.Value && n.ShortTag() == "!!int" {
		p.Text = fmt.Sprintf("is %s, which without quotes is read as the number %v, and must be text", n.Value, value)
	}
	return p
}

func quoted(n *yaml.Node) string { return `"` + strings.ReplaceAll(n.Value, `"`, `\"`) + `"` }

func tagNoun(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "number"
	case "!!bool":
		return "truth value"
	case "!!timestamp":
		return "date"
	}
	return "value"
}

func kind(f field) string {
	if f.typ.Kind() == reflect.Bool {
		return "true or false"
	}
	return "a number"
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!null":
		return "nothing"
	}
	return "a single value"
}

// resolve follows a YAML alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// add reports a problem, unless the key has one already: what follows from a mistake is no second one.
func (l *loader) add(path string, line int, err error) {
	p, ok := errors.AsType[Problem](err)
	if !ok {
		p = Problem{Text: err.Error()}
	}
	p.Path, p.Line = path, line
	l.report(p)
}

// printable is a key as it can be shown on one line.
func printable(key string) string {
	if q := strconv.Quote(key); q[1:len(q)-1] != key || key == "" || strings.ContainsAny(key, " .") {
		return q
	}
	return key
}

// suggest says which key was probably meant.
func suggest(name string, siblings []field) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, f := range siblings {
		if d := levenshtein(simplify(name), simplify(f.name)); d < distance {
			best, distance = f.name, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	for f := range leaves(reflect.TypeFor[Config](), "") {
		if simplify(f.name) == simplify(name) {
			return "did you mean " + f.path + "?"
		}
	}
	return "the keys here are " + names(siblings)
}

func names(fields []field) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.name
	}
	return strings.Join(out, ", ")
}

var separators = strings.NewReplacer("_", "", "-", "")

func simplify(name string) string { return separators.Replace(strings.ToLower(name)) }

// levenshtein counts the single-byte edits between two keys.
func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitution := diagonal
			if a[i] != b[j] {
				substitution++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitution, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
