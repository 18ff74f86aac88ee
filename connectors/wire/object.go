package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// An Object is a JSON object by the names of its members. It decodes no object in which a name comes twice, in whatever
// case: of two lists encoding/json and the SDKs on top of it keep the later one, so that whoever is in the other is lost.
// null decodes as nil.
type Object map[string]json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (o *Object) UnmarshalJSON(text []byte) error {
	*o = nil
	d := json.NewDecoder(bytes.NewReader(text))
	switch token, err := d.Token(); {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != json.Delim('{'):
		return fmt.Errorf("%v is no object", token)
	}
	*o = Object{}
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		// To encoding/json the long s is an s.
		folded := strings.ReplaceAll(strings.ToLower(name.(string)), "ſ", "s")
		if seen[folded] {
			return fmt.Errorf("%q comes twice", name)
		}
		seen[folded] = true
		(*o)[name.(string)] = value
	}
	return nil
}
