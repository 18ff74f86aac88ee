package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

const patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// A patchOp is one operation of a PATCH: op is "add", "replace" or "remove".
type patchOp struct {
	op    string
	path  patchPath
	value json.RawMessage // nil for remove
}

// A patchPath is attr, attr.sub, attr[filter] or attr[filter].sub, in lower case except for the filter's value.
type patchPath struct {
	attr, sub string
	filter    *comparison // with operator eq
}

// readPatch reads a PATCH body. What it spreads over several attributes in a pathless operation comes out as one
// operation each.
func readPatch(body map[string]json.RawMessage) ([]patchOp, *scimError) {
	rest, err := takeSchemas(body, patchSchema)
	if err != nil {
		return nil, err
	}
	var raw []map[string]json.RawMessage
	if json.Unmarshal(rest["Operations"], &raw) != nil || len(raw) == 0 || len(rest) != 1 {
		return nil, badRequest("invalidSyntax", "a PATCH body has schemas and a list of Operations, and nothing else")
	}
	var ops []patchOp
	for _, fields := range raw {
		read, err := readOp(fields)
		if err != nil {
			return nil, err
		}
		ops = append(ops, read...)
	}
	return ops, nil
}

func readOp(fields map[string]json.RawMessage) ([]patchOp, *scimError) {
	for field := range fields {
		if !slices.Contains([]string{"op", "path", "value"}, field) {
			return nil, badRequest("invalidSyntax", "an operation has op, path and value, not %q", field)
		}
	}
	var op, path string
	if json.Unmarshal(fields["op"], &op) != nil || !slices.Contains([]string{"add", "replace", "remove"}, op) {
		return nil, badRequest("invalidSyntax", "op must be add, replace or remove, in lower case; not %s", fields["op"])
	}
	value, hasValue := fields["value"]
	switch {
	case op == "remove" && fields["path"] == nil:
		return nil, badRequest("noTarget", "remove needs a path")
	case op == "remove" && hasValue:
		return nil, badRequest("invalidSyntax", "remove takes no value: servers differ on what is removed")
	case op != "remove" && !hasValue:
		return nil, badRequest("invalidSyntax", "%s needs a value", op)
	case fields["path"] == nil:
		return spread(op, value)
	}
	if json.Unmarshal(fields["path"], &path) != nil {
		return nil, badRequest("invalidPath", "the path is not a string")
	}
	parsed, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	return []patchOp{{op, parsed, value}}, nil
}

// spread turns a pathless operation into one operation per attribute. Lists need a path: without one some servers
// append where others replace.
func spread(op string, value json.RawMessage) ([]patchOp, *scimError) {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil || len(object) == 0 {
		return nil, badRequest("invalidValue", "without a path the value must be an object with attributes")
	}
	var ops []patchOp
	for _, key := range slices.Sorted(maps.Keys(object)) {
		path, err := parsePath(key)
		if err != nil {
			return nil, err
		}
		if path.filter != nil || slices.Contains([]string{"emails", "phonenumbers", "members"}, path.attr) {
			return nil, badRequest("invalidPath", "%s can only be changed with a path", key)
		}
		ops = append(ops, patchOp{op, path, object[key]})
	}
	return ops, nil
}

var pathForm = regexp.MustCompile(`^([A-Za-z][\w-]*)(?:\[(.*)\])?(?:\.([A-Za-z$][\w-]*))?$`)

func parsePath(s string) (patchPath, *scimError) {
	for _, schema := range []string{userSchema, groupSchema} {
		if len(s) > len(schema) && strings.EqualFold(s[:len(schema)+1], schema+":") {
			s = s[len(schema)+1:]
		}
	}
	m := pathForm.FindStringSubmatch(s)
	if m == nil {
		return patchPath{}, badRequest("invalidPath", "the path %q cannot be read", s)
	}
	p := patchPath{attr: strings.ToLower(m[1]), sub: strings.ToLower(m[3])}
	if !strings.Contains(s, "[") {
		return p, nil
	}
	expr, err := parseFilter(m[2])
	if err != nil || len(expr) != 1 || len(expr[0]) != 1 || expr[0][0].operator != "eq" {
		return patchPath{}, badRequest("invalidPath", "the filter in %q is not one comparison with eq", s)
	}
	p.filter = &expr[0][0]
	return p, nil
}

// String writes a path as it is named in errors.
func (p patchPath) String() string {
	s := p.attr
	if p.filter != nil {
		s += fmt.Sprintf("[%s %s %q]", p.filter.attribute, p.filter.operator, p.filter.value)
	}
	if p.sub != "" {
		s += "." + p.sub
	}
	return s
}

func (p patchPath) invalid() *scimError {
	switch p.attr {
	case "id", "meta", "groups", "schemas":
		return badRequest("mutability", "%s is read-only", p.attr)
	}
	return badRequest("invalidPath", "there is no attribute %s", p)
}

func (u *SCIMUser) patch(s *SCIM, ops []patchOp) *scimError {
	for _, op := range ops {
		if op.path.attr == "name" && op.path.sub == "" && s.options.NameDropsPart {
			u.GivenName, u.FamilyName = "", ""
		}
		if err := u.apply(op); err != nil {
			return err
		}
	}
	return nil
}

// apply does one operation on the user.
func (u *SCIMUser) apply(op patchOp) *scimError {
	switch op.path.attr {
	case "username":
		return op.onText(&u.UserName)
	case "externalid":
		return op.onText(&u.ExternalID)
	case "displayname":
		return op.onText(&u.DisplayName)
	case "active":
		return op.onBool(&u.Active)
	case "name":
		return op.onName(u)
	case "emails":
		return op.onValues(&u.Emails)
	case "phonenumbers":
		return op.onValues(&u.Phones)
	}
	return op.path.invalid()
}

func (g *SCIMGroup) patch(s *SCIM, ops []patchOp) *scimError {
	attributes, changes := 0, 0
	for _, op := range ops {
		n, err := g.apply(op)
		if err != nil {
			return err
		}
		changes += n
		if op.path.attr != "members" {
			attributes++
		}
	}
	if most := cmp.Or(s.options.MaxMembers, 100); most > 0 && changes > most {
		return tooManyMembers(changes, most)
	}
	if attributes > 0 && changes > 0 {
		mark := fmt.Sprintf("PATCH Groups/%s mixes attributes and members", g.ID)
		if s.options.RefuseMixedPatch {
			return badRequest("invalidSyntax", "%s", mark)
		}
		s.state.marks = append(s.state.marks, mark)
	}
	return nil
}

func tooManyMembers(n, most int) *scimError {
	detail := fmt.Sprintf("%d member changes in one request; at most %d are allowed", n, most)
	return &scimError{http.StatusRequestEntityTooLarge, "tooMany", detail}
}

// apply does one operation on the group and tells how many members it names.
func (g *SCIMGroup) apply(op patchOp) (members int, err *scimError) {
	switch op.path.attr {
	case "displayname":
		return 0, op.onText(&g.DisplayName)
	case "externalid":
		return 0, op.onText(&g.ExternalID)
	case "members":
		return op.onMembers(g)
	}
	return 0, op.path.invalid()
}

// onMembers adds a list of members or removes one by its id. Nothing else means the same on all servers.
func (op patchOp) onMembers(g *SCIMGroup) (int, *scimError) {
	filter := op.path.filter
	switch {
	case op.path.sub != "":
		return 0, op.path.invalid()
	case op.op == "add" && filter == nil:
		added, err := readMembers(op.value)
		g.Members = mergeMembers(g.Members, added)
		return len(added), err
	case op.op == "remove" && filter != nil && filter.attribute == "value":
		g.Members = slices.DeleteFunc(g.Members, func(m SCIMMember) bool { return m.Value == filter.value })
		return 1, nil
	case op.op == "remove" && filter == nil:
		return 0, badRequest("invalidValue", "removing all members at once is refused")
	}
	return 0, badRequest("invalidPath", "%s %s is refused; members are added as a list and removed one by one", op.op, op.path)
}

// mergeMembers adds those who are not in yet.
func mergeMembers(members, added []SCIMMember) []SCIMMember {
	in := make(map[string]bool, len(members))
	for _, m := range members {
		in[m.Value] = true
	}
	for _, m := range added {
		if !in[m.Value] {
			in[m.Value] = true
			members = append(members, m)
		}
	}
	return members
}
