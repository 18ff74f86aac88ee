package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// jsonUser is one person of our JSON. Names are those of our CSV's columns.
type jsonUser struct {
	ID             string            `json:"id"`
	UserName       string            `json:"userName"`
	Email          string            `json:"email"`
	GivenName      string            `json:"givenName"`
	FamilyName     string            `json:"familyName"`
	DisplayName    string            `json:"displayName"`
	Nickname       string            `json:"nickname"`
	Department     string            `json:"department"`
	Title          string            `json:"title"`
	Company        string            `json:"company"`
	EmployeeNumber string            `json:"employeeNumber"`
	EmployeeType   string            `json:"employeeType"`
	MobilePhone    string            `json:"mobilePhone"`
	WorkPhone      string            `json:"workPhone"`
	Status         *string           `json:"status"`
	Attributes     map[string]string `json:"attributes"`
}

type jsonGroup struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Members []string `json:"members"`
}

func isJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	return bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("["))
}

// parseJSON reads {"users": […], "groups": […]}; groups may be missing.
func parseJSON(text []byte, attributes []string, log *problems) ([]person, []membership) {
	var people []person
	var rows []membership
	walk(text, log, []string{"users"}, map[string]func(json.RawMessage, int){
		"users":  func(raw json.RawMessage, line int) { people = append(people, jsonPerson(raw, line, attributes, log)) },
		"groups": func(raw json.RawMessage, line int) { rows = append(rows, jsonMemberships(raw, line, log)...) },
	})
	if len(people) == 0 && len(log.errs) == 0 {
		log.add(0, "no users: a directory of nobody is never right")
	}
	for _, a := range attributes {
		has := func(p person) bool { _, ok := p.user.Attrs[a]; return ok }
		if len(log.errs) == 0 && !slices.ContainsFunc(people, has) {
			log.add(0, "attribute %q, which an expression reads, is that of nobody (check its spelling, letter case included)", a)
		}
	}
	return people, distinct(rows, log)
}

// parseGroupsJSON reads {"groups": […]}.
func parseGroupsJSON(text []byte, log *problems) []membership {
	var rows []membership
	walk(text, log, []string{"groups"}, map[string]func(json.RawMessage, int){
		"groups": func(raw json.RawMessage, line int) { rows = append(rows, jsonMemberships(raw, line, log)...) },
	})
	if len(rows) == 0 && len(log.errs) == 0 {
		log.add(0, "no groups")
	}
	return distinct(rows, log)
}

func jsonPerson(raw json.RawMessage, line int, attributes []string, log *problems) person {
	var j jsonUser
	if err := strict(raw, &j); err != nil {
		log.add(line, "user: %w", err)
		return person{line: line}
	}
	u := connectors.User{
		ID: connectors.UserID(j.ID), UserName: j.UserName, Email: j.Email, GivenName: j.GivenName, FamilyName: j.FamilyName, DisplayName: j.DisplayName,
		Nickname: j.Nickname, Department: j.Department, Title: j.Title, Company: j.Company, EmployeeNumber: j.EmployeeNumber,
		EmployeeType: j.EmployeeType, Phones: phones(j.MobilePhone, j.WorkPhone), Status: connectors.StatusActive,
	}
	if u.UserName == "" {
		log.add(line, "no userName")
	}
	if u.ID == "" {
		u.ID = connectors.UserID(connectors.Fold(u.UserName))
	}
	if j.Status != nil {
		u.Status, u.StatusDetail = status(ownStatuses, *j.Status, line, log), *j.Status
	}
	for _, a := range attributes {
		if v, ok := j.Attributes[a]; ok {
			if u.Attrs == nil {
				u.Attrs = make(map[string]string, len(attributes))
			}
			u.Attrs[a] = v
		}
	}
	return person{user: u, line: line}
}

func jsonMemberships(raw json.RawMessage, line int, log *problems) []membership {
	var j jsonGroup
	if err := strict(raw, &j); err != nil {
		log.add(line, "group: %w", err)
		return nil
	}
	if j.Name == "" {
		log.add(line, "a group without name")
		return nil
	}
	if j.ID == "" {
		j.ID = j.Name
	}
	if j.Members == nil {
		log.add(line, "group %q has no members list (write [] for an empty group)", j.Name)
	}
	// The first row stands for the group itself, which may be empty.
	rows := []membership{{id: connectors.GroupID(j.ID), name: j.Name, line: line}}
	for _, m := range j.Members {
		if m == "" {
			log.add(line, "group %q has an empty member", j.Name)
			continue
		}
		rows = append(rows, membership{id: connectors.GroupID(j.ID), name: j.Name, member: m, line: line})
	}
	return rows
}

// distinct refuses a group that is there twice: in JSON, unlike in a table, its members stand together.
func distinct(rows []membership, log *problems) []membership {
	lines := map[connectors.GroupID]int{}
	for _, r := range rows {
		if r.member != "" {
			continue
		}
		if first, twice := lines[r.id]; twice {
			log.add(r.line, "group id %q is that of line %d as well", r.id, first)
			continue
		}
		lines[r.id] = r.line
	}
	return rows
}

// walk calls the function of each list in the top-level object for each of the list's elements, with its line. Every
// other key, a key that is there twice, a required one that is missing, and anything after the object is noted.
func walk(text []byte, log *problems, required []string, lists map[string]func(json.RawMessage, int)) {
	d := json.NewDecoder(bytes.NewReader(text))
	at := position{text: text, line: 1}
	fail := func(err error) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			log.add(at.move(int64(len(text))), "unexpected end: the file is cut")
			return
		}
		log.add(at.move(d.InputOffset()), "%w", err)
	}
	if err := delimiter(d, '{'); err != nil {
		fail(err)
		return
	}
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			fail(err)
			return
		}
		name, _ := tok.(string)
		list, known := lists[name]
		switch {
		case !known:
			fail(fmt.Errorf("unknown key %q", name))
			return
		case seen[name]:
			fail(fmt.Errorf("key %q is there twice", name))
			return
		}
		seen[name] = true
		if err := delimiter(d, '['); err != nil {
			fail(fmt.Errorf("%s: %w", name, err))
			return
		}
		for d.More() {
			line := at.move(next(text, d.InputOffset()))
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				fail(err)
				return
			}
			list(raw, line)
		}
		if err := delimiter(d, ']'); err != nil {
			fail(err)
			return
		}
	}
	if err := delimiter(d, '}'); err != nil {
		fail(err)
		return
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		log.add(at.move(d.InputOffset()), "something follows the closing brace")
	}
	for _, name := range required {
		if !seen[name] {
			log.add(0, "key %q is missing", name)
		}
	}
}

func delimiter(d *json.Decoder, want json.Delim) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	if tok != want {
		return fmt.Errorf("%v where %q should be", tok, want.String())
	}
	return nil
}

// next is the offset of the next value, behind white space and the comma.
func next(text []byte, offset int64) int64 {
	rest := text[offset:]
	return offset + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n,")))
}

// A position counts lines while it moves forward through the text.
type position struct {
	text   []byte
	offset int64
	line   int
}

// move goes on to the offset and returns its line; going back stays where it is.
func (p *position) move(offset int64) int {
	if offset > p.offset {
		p.line += bytes.Count(p.text[p.offset:offset], []byte("\n"))
		p.offset = offset
	}
	return p.line
}

// strict decodes one object, refusing unknown keys and, which encoding/json would let pass, keys that are there twice.
func strict(raw json.RawMessage, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	return noTwins(json.NewDecoder(bytes.NewReader(raw)))
}

// noTwins reads one value and refuses an object with two keys that differ in letter case at most, as encoding/json matches them.
func noTwins(d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			tok, err := d.Token()
			if err != nil {
				return err
			}
			name := strings.ToLower(fmt.Sprint(tok))
			if seen[name] {
				return fmt.Errorf("key %q is there twice", tok)
			}
			seen[name] = true
		}
		if err := noTwins(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
