package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// text reads a string attribute. Empty strings and null clear on one server and are kept on the next: remove clears.
func text(name string, raw json.RawMessage) (string, *scimError) {
	var s *string
	if json.Unmarshal(raw, &s) != nil || s == nil || *s == "" {
		return "", badRequest("invalidValue", "%s must be a string with something in it", name)
	}
	return *s, nil
}

// boolean reads true or false and nothing that merely looks so: a server took the string "False" for true.
func boolean(name string, raw json.RawMessage) (bool, *scimError) {
	var b *bool
	if json.Unmarshal(raw, &b) != nil || b == nil {
		return false, badRequest("invalidValue", "%s must be a JSON boolean, not %s", name, raw)
	}
	return *b, nil
}

// object reads a complex value and folds its keys, all of which must be known.
func object(name string, raw json.RawMessage, known ...string) (map[string]json.RawMessage, *scimError) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return nil, badRequest("invalidValue", "%s must be an object", name)
	}
	folded := map[string]json.RawMessage{}
	for key, value := range fields {
		key = strings.ToLower(key)
		if !slices.Contains(known, key) {
			return nil, badRequest("invalidSyntax", "%s has no attribute %q", name, key)
		}
		folded[key] = value
	}
	return folded, nil
}

// elements reads a list with something in it.
func elements(name string, raw json.RawMessage) ([]json.RawMessage, *scimError) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return nil, badRequest("invalidValue", "%s must be a list with something in it; remove clears it", name)
	}
	return list, nil
}

// readValues reads the values of emails or phoneNumbers.
func readValues(name string, raw json.RawMessage) ([]SCIMValue, *scimError) {
	list, err := elements(name, raw)
	if err != nil {
		return nil, err
	}
	var values []SCIMValue
	for _, element := range list {
		fields, err := object(name, element, "value", "type", "primary")
		if err != nil {
			return nil, err
		}
		var v SCIMValue
		if v.Value, err = text(name+".value", fields["value"]); err != nil {
			return nil, err
		}
		if fields["type"] != nil {
			if v.Type, err = text(name+".type", fields["type"]); err != nil {
				return nil, err
			}
		}
		if fields["primary"] != nil {
			if v.Primary, err = boolean(name+".primary", fields["primary"]); err != nil {
				return nil, err
			}
		}
		values = append(values, v)
	}
	return values, nil
}

// readMembers reads members to add. One without a type is a user.
func readMembers(raw json.RawMessage) ([]SCIMMember, *scimError) {
	list, err := elements("members", raw)
	if err != nil {
		return nil, err
	}
	var members []SCIMMember
	for _, element := range list {
		fields, err := object("members", element, "value", "type")
		if err != nil {
			return nil, err
		}
		m := SCIMMember{Type: "User"}
		if m.Value, err = text("members.value", fields["value"]); err != nil {
			return nil, err
		}
		if fields["type"] != nil {
			if m.Type, err = text("members.type", fields["type"]); err != nil {
				return nil, err
			}
		}
		if m.Type != "User" && m.Type != "Group" {
			return nil, badRequest("invalidValue", "members.type must be User or Group")
		}
		members = append(members, m)
	}
	return members, nil
}

// onText does an operation on a plain string attribute.
func (op patchOp) onText(field *string) (err *scimError) {
	switch {
	case op.path.filter != nil || op.path.sub != "":
		return op.path.invalid()
	case op.op == "remove":
		*field = ""
	default:
		*field, err = text(op.path.attr, op.value)
	}
	return err
}

func (op patchOp) onBool(field *bool) (err *scimError) {
	switch {
	case op.path.filter != nil || op.path.sub != "":
		return op.path.invalid()
	case op.op == "remove":
		return badRequest("mutability", "%s cannot be removed", op.path)
	}
	*field, err = boolean(op.path.attr, op.value)
	return err
}

// onName does an operation on name or one part of it. Parts that a value leaves out stay (RFC 7644 section 3.5.2.3).
func (op patchOp) onName(u *SCIMUser) *scimError {
	parts := map[string]*string{"givenname": &u.GivenName, "familyname": &u.FamilyName}
	switch {
	case op.path.filter != nil || op.path.sub != "" && parts[op.path.sub] == nil:
		return op.path.invalid()
	case op.path.sub != "":
		return patchOp{op.op, patchPath{attr: op.path.String()}, op.value}.onText(parts[op.path.sub])
	case op.op == "remove":
		u.GivenName, u.FamilyName = "", ""
		return nil
	}
	fields, err := object("name", op.value, "givenname", "familyname")
	if err != nil {
		return err
	}
	for key, value := range fields {
		if *parts[key], err = text("name."+key, value); err != nil {
			return err
		}
	}
	return nil
}

// onValues does an operation on emails or phoneNumbers: on the whole list, or on what a filter selects.
func (op patchOp) onValues(list *[]SCIMValue) *scimError {
	if op.path.filter != nil {
		return op.onSelected(list)
	}
	switch {
	case op.path.sub != "":
		return op.path.invalid()
	case op.op == "remove":
		*list = nil
		return nil
	}
	values, err := readValues(op.path.attr, op.value)
	if op.op == "replace" {
		*list = values
		return err
	}
	for _, v := range values {
		if v.Primary {
			demote(*list)
		}
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
	return err
}

func demote(list []SCIMValue) {
	for i := range list {
		list[i].Primary = false
	}
}

func (op patchOp) onSelected(list *[]SCIMValue) *scimError {
	filter := op.path.filter
	selects := func(v SCIMValue) bool {
		return filter.attribute == "type" && strings.EqualFold(v.Type, filter.value) ||
			filter.attribute == "value" && v.Value == filter.value
	}
	if filter.attribute != "type" && filter.attribute != "value" || op.path.sub != "" && op.path.sub != "value" {
		return op.path.invalid()
	}
	if op.op == "remove" {
		*list = slices.DeleteFunc(*list, selects)
		return nil
	}
	if op.path.sub == "" {
		return badRequest("invalidPath", "%s: give the value's path, or the whole list", op.path)
	}
	value, err := text(op.path.String(), op.value)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(*list, selects) {
		if op.op == "add" && filter.attribute == "type" {
			*list = append(*list, SCIMValue{Value: value, Type: filter.value})
			return nil
		}
		return badRequest("noTarget", "%s selects nothing", op.path)
	}
	for i, v := range *list {
		if selects(v) {
			(*list)[i].Value = value
		}
	}
	return nil
}

// assign reads the attributes of a POST or PUT body.
func (u *SCIMUser) assign(body map[string]json.RawMessage, creating bool) *scimError {
	u.Active = creating // as servers do that bind the body: PUT clears what it leaves out
	for _, key := range slices.Sorted(maps.Keys(body)) {
		if creating || !sameID(key, body[key], u.ID) {
			if err := u.apply(whole(key, body[key])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *SCIMGroup) assign(body map[string]json.RawMessage, creating bool) *scimError {
	for _, key := range slices.Sorted(maps.Keys(body)) {
		op := whole(key, body[key])
		switch {
		case !creating && sameID(key, body[key], g.ID), op.path.attr == "members" && string(op.value) == "[]":
		case op.path.attr == "members":
			members, err := readMembers(op.value)
			if err != nil {
				return err
			}
			g.Members = mergeMembers(nil, members)
		default:
			if _, err := g.apply(op); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole is the operation that sets one attribute of a body; its name is no path.
func whole(key string, value json.RawMessage) patchOp {
	return patchOp{op: "replace", path: patchPath{attr: strings.ToLower(key)}, value: value}
}

// sameID reports whether the attribute is the id that the resource has already, which a PUT may repeat.
func sameID(key string, value json.RawMessage, id string) bool {
	var s string
	return key == "id" && json.Unmarshal(value, &s) == nil && s == id
}
