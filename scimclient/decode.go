package scimclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Servers differ in how they spell the same resource: null, absent and empty are equal (RFC 7643 section 2.5), booleans
// come as strings, counters as strings, attribute names in any letter case. The types below accept all of it;
// encoding/json matches names regardless of case.

// text is a string that may be null or a number.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch {
	case string(b) == "null":
		*t = ""
	case b[0] == '"':
		if plain := b[1 : len(b)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
			*t = text(plain)
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		*t = text(b)
	default:
		return fmt.Errorf("a string was expected, not %s", kindOf(b))
	}
	return nil
}

// texts is a list of strings, or a single one. Elements of other kinds are dropped: it is used for schemas and for words
// that only people read.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	*t = nil
	var list []json.RawMessage
	if b[0] != '[' {
		list = []json.RawMessage{b}
	} else if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, raw := range list {
		var s text
		if s.UnmarshalJSON(raw) == nil && s != "" {
			*t = append(*t, string(s))
		}
	}
	return nil
}

// flag is a boolean that may be null, absent or spelled as a string.
type flag struct{ set, value bool }

func (f *flag) UnmarshalJSON(b []byte) error {
	switch s := strings.ToLower(strings.Trim(string(b), `"`)); s {
	case "true", "false":
		*f = flag{true, s == "true"}
	case "null":
		*f = flag{}
	default:
		return fmt.Errorf("true or false was expected, not %s", kindOf(b))
	}
	return nil
}

func kindOf(b []byte) string {
	switch b = bytes.TrimSpace(b); {
	case len(b) == 0:
		return "an empty body"
	case b[0] == '{':
		return "an object"
	case b[0] == '[':
		return "a list"
	case b[0] == '"':
		return "a string"
	case b[0] == '<':
		return "HTML"
	case string(b) == "null":
		return "null"
	case b[0] == 't' || b[0] == 'f':
		return "a boolean"
	case b[0] == '-' || b[0] >= '0' && b[0] <= '9':
		return "a number"
	}
	return "text"
}

type wireValue struct {
	Value   text
	Type    text
	Primary flag
}

type wireMember struct {
	Value text
	Type  text
	Ref   text `json:"$ref"`
}

type wireMeta struct{ Version text }

type wireUser struct {
	Schemas    texts
	ID         text
	ExternalID text
	UserName   text
	Name       struct {
		GivenName  text
		FamilyName text
	}
	DisplayName  text
	Emails       []wireValue
	PhoneNumbers []wireValue
	Active       flag
	Meta         wireMeta
}

type wireGroup struct {
	Schemas     texts
	ID          text
	ExternalID  text
	DisplayName text
	Members     *[]wireMember // nil when the key is absent or null
	Meta        wireMeta
}

// checkResource refuses what decodes without being a resource. A server-made id is the one thing each must have.
func checkResource(schemas texts, id text) error {
	for _, s := range schemas {
		if strings.EqualFold(s, errorURN) {
			return errors.New("a SCIM error in place of a resource")
		}
	}
	if id == "" {
		return errors.New("a resource without id")
	}
	return nil
}

// decodeUser decodes one user. The second result tells whether the body may stand for the whole user.
func decodeUser(data []byte) (User, bool, error) {
	if kind := kindOf(data); kind != "an object" {
		return User{}, false, fmt.Errorf("a user was expected, not %s", kind)
	}
	var w wireUser
	if err := json.Unmarshal(data, &w); err != nil {
		return User{}, false, fmt.Errorf("a user cannot be read: %w", err)
	}
	if err := checkResource(w.Schemas, w.ID); err != nil {
		return User{}, false, err
	}
	u := User{
		ID:          string(w.ID),
		ExternalID:  string(w.ExternalID),
		UserName:    string(w.UserName),
		GivenName:   string(w.Name.GivenName),
		FamilyName:  string(w.Name.FamilyName),
		DisplayName: string(w.DisplayName),
		Active:      !w.Active.set || w.Active.value,
		Version:     string(w.Meta.Version),
	}
	for _, v := range w.Emails {
		if v.Value != "" {
			u.Emails = append(u.Emails, Email{string(v.Value), common(v.Type), v.Primary.value})
		}
	}
	for _, v := range w.PhoneNumbers {
		if v.Value != "" {
			u.Phones = append(u.Phones, Phone{string(v.Value), common(v.Type), v.Primary.value})
		}
	}
	return u, u.UserName != "" && w.Active.set, nil
}

// decodeGroup decodes one group. The second result tells whether members were shown at all.
func decodeGroup(data []byte) (Group, bool, error) {
	if kind := kindOf(data); kind != "an object" {
		return Group{}, false, fmt.Errorf("a group was expected, not %s", kind)
	}
	var w wireGroup
	if err := json.Unmarshal(data, &w); err != nil {
		return Group{}, false, fmt.Errorf("a group cannot be read: %w", err)
	}
	if err := checkResource(w.Schemas, w.ID); err != nil {
		return Group{}, false, err
	}
	g := Group{
		ID:          string(w.ID),
		ExternalID:  string(w.ExternalID),
		DisplayName: string(w.DisplayName),
		Version:     string(w.Meta.Version),
	}
	if w.Members == nil {
		return g, false, nil
	}
	if len(*w.Members) > 0 {
		g.Members = make([]Member, 0, len(*w.Members))
	}
	listed := make(map[string]bool, len(*w.Members))
	for _, m := range *w.Members {
		// Some servers list a member as often as it was added. Once in is in.
		if id := string(m.Value); id != "" && !listed[id] {
			listed[id] = true
			g.Members = append(g.Members, Member{id, memberType(m)})
		}
	}
	return g, g.DisplayName != "", nil
}

// memberType reads the type, or what $ref tells of it where the server leaves it out.
func memberType(m wireMember) string {
	switch {
	case m.Type != "":
		return common(m.Type)
	case strings.Contains(string(m.Ref), "/Groups/"):
		return "Group"
	case strings.Contains(string(m.Ref), "/Users/"):
		return "User"
	}
	return ""
}

// common returns constants for the types that occur a million times, so that each does not keep a string of its own.
func common(t text) string {
	for _, s := range [...]string{"User", "Group", "work", "mobile", "home", "other"} {
		if strings.EqualFold(s, string(t)) {
			return s
		}
	}
	return string(t)
}

// A page is one ListResponse.
type page[T any] struct {
	rows    []T
	lacking map[string]bool // ids of groups shown without members
	total   int             // totalResults, -1 when absent
	next    string          // nextCursor
}

// decodePage reads a ListResponse row by row, so that no more than one row's JSON is held. It refuses everything that
// merely looks like an empty listing: another document, a missing list, a null row.
func decodePage[T resource](body io.Reader, decode func([]byte) (T, bool, error)) (page[T], error) {
	p := page[T]{total: -1, lacking: map[string]bool{}}
	dec := json.NewDecoder(body)
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return p, errors.New("the answer is not a SCIM ListResponse: no JSON object")
	}
	listed := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return p, fmt.Errorf("the listing is cut or damaged: %w", err)
		}
		name, _ := key.(string)
		if strings.EqualFold(name, "Resources") {
			listed, err = decodeRows(dec, &p, decode)
		} else {
			var raw json.RawMessage
			if err = dec.Decode(&raw); err == nil {
				err = p.attribute(strings.ToLower(name), raw)
			}
		}
		if err != nil {
			return p, fmt.Errorf("the listing is cut or damaged: %w", err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return p, fmt.Errorf("the listing is cut or damaged: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return p, errors.New("the listing is damaged: something follows it")
	}
	switch {
	case p.total < 0 && (p.next == "" && !listed):
		return p, errors.New("the answer is not a SCIM ListResponse: neither totalResults nor Resources")
	case !listed && p.total > 0:
		return p, fmt.Errorf("the listing announces %d resources and holds no Resources", p.total)
	}
	return p, nil
}

func (p *page[T]) attribute(name string, raw []byte) error {
	switch name {
	case "schemas":
		var s texts
		if err := s.UnmarshalJSON(raw); err != nil {
			return err
		}
		return checkResource(s, "list")
	case "totalresults":
		var t text
		if err := t.UnmarshalJSON(raw); err != nil || t == "" {
			return err
		}
		if err := json.Unmarshal([]byte(t), &p.total); err != nil || p.total < 0 {
			return errors.New("totalResults is not a count")
		}
	case "nextcursor":
		var t text
		err := t.UnmarshalJSON(raw)
		p.next = string(t)
		return err
	}
	return nil
}

// decodeRows reads the value of Resources and tells whether it was a list.
func decodeRows[T resource](dec *json.Decoder, p *page[T], decode func([]byte) (T, bool, error)) (bool, error) {
	open, err := dec.Token()
	switch {
	case err != nil:
		return false, err
	case open == nil:
		return false, nil
	case open != json.Delim('['):
		return false, errors.New("resources is not a list")
	}
	var raw json.RawMessage // reused from row to row
	for dec.More() {
		if err := dec.Decode(&raw); err != nil {
			return false, err
		}
		row, whole, err := decode(raw)
		if err != nil {
			return false, err
		}
		if !whole {
			p.lacking[row.id()] = true
		}
		p.rows = append(p.rows, row)
	}
	_, err = dec.Token()
	return true, err
}
