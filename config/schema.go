package config

import (
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema is the JSON Schema (2020-12) of the configuration file, for editors and for tests of the documentation. It
// is made from the struct tree of Config and therefore knows exactly the keys that Load knows.
func Schema() ([]byte, error) {
	root := sectionSchema(reflect.ValueOf(Default()).Elem())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "rootly-idp-sync configuration"
	root.Defs = map[string]*jsonschema.Schema{
		"reference": {
			Type:        "string",
			Pattern:     reference.String(),
			Description: "An environment variable that holds the whole value.",
		},
	}
	data, err := json.MarshalIndent(root, "", "  ")
	return append(data, '\n'), err
}

// sectionSchema describes one section; defaults holds what its keys are when they are missing.
func sectionSchema(defaults reflect.Value) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type:                 "object",
		Properties:           map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	for _, f := range fieldsOf(defaults.Type(), "") {
		value := defaults.Field(f.index)
		if value.Kind() == reflect.Pointer {
			value = reflect.New(f.typ).Elem()
		}
		var property *jsonschema.Schema
		if f.section() {
			property = sectionSchema(value)
			if w := f.word(); w != "" {
				property = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{property, {Enum: []any{w}}}}
			}
		} else {
			property = leafSchema(f, value)
		}
		property.Description = f.tag.Get("doc")
		s.Properties[f.name] = property
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if f.tag.Get("required") == "true" {
			s.Required = append(s.Required, f.name)
		}
	}
	if defaults.Type() == reflect.TypeFor[Source]() {
		s.MinProperties, s.MaxProperties = jsonschema.Ptr(1), jsonschema.Ptr(1)
	}
	return s
}

// leafSchema describes one value. Where not every text is allowed, ${NAME} is.
func leafSchema(f field, value reflect.Value) *jsonschema.Schema {
	var s *jsonschema.Schema
	switch {
	case f.list():
		list := &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}}
		return orReference(list)
	case f.typ == shareType:
		s = orReference(&jsonschema.Schema{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?%$`})
	case f.typ == durationType:
		s = orReference(&jsonschema.Schema{Type: "string", Pattern: `^([0-9]+d|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`})
	case f.typ.Kind() == reflect.Bool:
		s = orReference(&jsonschema.Schema{Type: "boolean"})
	case f.typ.Kind() == reflect.Int:
		s = orReference(&jsonschema.Schema{Type: "integer", Minimum: bound(f, "min"), Maximum: bound(f, "max")})
	case f.typ.Kind() == reflect.Float64:
		s = orReference(&jsonschema.Schema{Type: "number", Minimum: bound(f, "min"), Maximum: bound(f, "max")})
	case f.enum() != nil:
		var words []any
		for _, w := range f.enum() {
			words = append(words, w)
		}
		s = orReference(&jsonschema.Schema{Enum: words})
	default:
		s = &jsonschema.Schema{Type: "string"}
	}
	if !value.IsZero() {
		s.Default, _ = json.Marshal(value.Interface()) // plain words and numbers, which always marshal
	}
	return s
}

func orReference(s *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, {Ref: "#/$defs/reference"}}}
}

func bound(f field, tag string) *float64 {
	x, err := strconv.ParseFloat(f.tag.Get(tag), 64)
	if err != nil {
		return nil
	}
	return &x
}
