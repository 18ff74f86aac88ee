package scimclient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// decodeWith is decodeUser that keeps the named attributes too.
func decodeWith(names []string) func([]byte) (User, bool, error) {
	if len(names) == 0 {
		return decodeUser
	}
	return func(data []byte) (User, bool, error) {
		u, whole, err := decodeUser(data)
		if err != nil {
			return u, whole, err
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.UseNumber()
		var object map[string]any
		if err := dec.Decode(&object); err != nil {
			return User{}, false, fmt.Errorf("a user cannot be read: %w", err)
		}
		u.Attributes = make(map[string]string, len(names))
		for _, name := range names {
			u.Attributes[name] = attributeOf(object, name)
		}
		return u, whole, nil
	}
}

// attributeOf reads an attribute by its path: names joined by dots, behind a schema's URN and a colon where it belongs to
// an extension. The values of a list are joined by commas.
func attributeOf(object map[string]any, path string) string {
	if len(path) > len(userURN) && strings.EqualFold(path[:len(userURN)+1], userURN+":") {
		path = path[len(userURN)+1:]
	}
	for key, value := range object {
		if len(path) > len(key) && path[len(key)] == ':' && strings.EqualFold(path[:len(key)], key) {
			return textAt(value, path[len(key)+1:])
		}
	}
	return textAt(object, path)
}

func textAt(v any, path string) string {
	switch v := v.(type) {
	case []any:
		var texts []string
		for _, element := range v {
			if s := textAt(element, path); s != "" {
				texts = append(texts, s)
			}
		}
		return strings.Join(texts, ",")
	case map[string]any:
		name, rest, _ := strings.Cut(path, ".")
		if name == "" {
			name = "value" // what a complex attribute stands for (RFC 7643 section 2.4)
		}
		for key, value := range v {
			if strings.EqualFold(key, name) {
				return textAt(value, rest)
			}
		}
		return ""
	}
	if path != "" {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	}
	return ""
}
