package config

import (
	"iter"
	"math"
	"reflect"
	"strconv"
	"strings"
)

var (
	secretType   = reflect.TypeFor[Secret]()
	shareType    = reflect.TypeFor[Share]()
	durationType = reflect.TypeFor[Duration]()
)

// A field is one key of the configuration, as the struct tree of Config declares it.
type field struct {
	path  string // "target.max_rate"
	name  string // "max_rate"
	typ   reflect.Type
	index int
	tag   reflect.StructTag
}

// fieldsOf lists the keys of one section in their order.
func fieldsOf(t reflect.Type, path string) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if !sf.IsExported() || name == "-" {
			continue
		}
		f := field{path: join(path, name), name: name, typ: sf.Type, index: i, tag: sf.Tag}
		if f.typ.Kind() == reflect.Pointer {
			f.typ = f.typ.Elem()
		}
		out = append(out, f)
	}
	return out
}

// leaves walks all keys that hold a value, through all sections.
func leaves(t reflect.Type, path string) iter.Seq[field] {
	return func(yield func(field) bool) {
		for _, f := range fieldsOf(t, path) {
			if !f.section() {
				if !yield(f) {
					return
				}
				continue
			}
			for leaf := range leaves(f.typ, f.path) {
				if !yield(leaf) {
					return
				}
			}
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// section tells whether other keys stand below this one.
func (f field) section() bool { return f.typ.Kind() == reflect.Struct && f.typ != secretType }

// list tells whether the key holds a list of strings.
func (f field) list() bool { return f.typ.Kind() == reflect.Slice }

// text tells whether the key holds text, so that a bare number in its place is a mistake.
func (f field) text() bool {
	return f.typ == secretType || f.typ.Kind() == reflect.String || f.list()
}

// word is the one word that may stand in place of the keys of a section, "" for none.
func (f field) word() string { return f.tag.Get("word") }

// enum lists the words that the key allows, nil if it allows any.
func (f field) enum() []string {
	if words := f.tag.Get("enum"); words != "" {
		return strings.Split(words, ",")
	}
	return nil
}

// env is the environment variable that overrides the key.
func (f field) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

// value reads text as the key's type. The error is a Problem that never repeats the text, for it may be a secret that
// stands in the wrong place.
func (f field) value(text string) (any, error) {
	switch {
	case f.typ == secretType:
		return NewSecret(text), nil
	case f.typ == shareType:
		return parseShare(text)
	case f.typ == durationType:
		return parseDuration(text)
	case f.list():
		return splitList(text), nil
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, Problem{Text: "is neither true nor false", Remedy: "write true or false"}
		}
		return b, nil
	case reflect.Int:
		i, err := strconv.Atoi(text)
		if err != nil || strings.TrimLeft(text, "0") != text && text != "0" {
			return nil, Problem{Text: "is not a whole number", Remedy: "write digits only, without leading zeros"}
		}
		return i, f.within(float64(i))
	case reflect.Float64:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
			return nil, Problem{Text: "is not a number", Remedy: "write a number such as 25 or 0.5"}
		}
		return x, f.within(x)
	}
	return text, f.allowed(text)
}

// within checks a number against the tags min and max.
func (f field) within(x float64) error {
	low, lowErr := strconv.ParseFloat(f.tag.Get("min"), 64)
	high, highErr := strconv.ParseFloat(f.tag.Get("max"), 64)
	switch {
	case lowErr == nil && highErr == nil && (x < low || x > high):
		return Problem{Text: "is out of range", Remedy: "write a number from " + f.tag.Get("min") + " to " + f.tag.Get("max")}
	case lowErr == nil && x < low:
		return Problem{Text: "is too small", Remedy: "write " + f.tag.Get("min") + " or more"}
	}
	return nil
}

// allowed checks a word against the tag enum.
func (f field) allowed(word string) error {
	words := f.enum()
	for _, w := range words {
		if w == word {
			return nil
		}
	}
	if words == nil {
		return nil
	}
	return Problem{Text: "is none of the words it may be", Remedy: "write " + orList(words)}
}

func splitList(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// orList reads "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
