package scimclient

import (
	"context"
	"fmt"
	"slices"
)

const userURN = "urn:ietf:params:scim:schemas:core:2.0:User"

// CreateUser creates a user with the attributes that are not empty, verifies them, and sends what was not kept once more
// by PATCH. A taken userName is an *Error with status 409.
func (c *Client) CreateUser(ctx context.Context, u User) (User, error) {
	const op = "create user"
	if u.UserName == "" {
		return User{}, fmt.Errorf("%s: no userName", op)
	}
	e := editTo(u)
	payload := map[string]any{"schemas": []string{userURN}}
	for _, a := range e.attributes() {
		payload[a.path] = a.value
	}
	v, err := c.users.create(ctx, creation{op, payload, u.UserName, u.ExternalID})
	if err != nil {
		return v, err
	}
	lost := e.lost(v)
	if len(lost) == 0 {
		return v, nil
	}
	e = e.only(lost)
	after, err := c.users.update(ctx, edit[User]{op: op, id: v.ID, attrs: e.attributes(), lost: e.lost, forms: []form{byPath}})
	switch {
	case err == nil:
		return after, nil
	case unsupported(err) || plainRefusal(err):
		return v, &NotKeptError{Op: op, Attributes: lost}
	case after.ID == "":
		return v, err
	}
	return after, err
}

// UpdateUser changes the attributes that e names and verifies them. Deactivating somebody succeeds also where the server
// no longer shows those who are deactivated; the result is then all that is known of them.
func (c *Client) UpdateUser(ctx context.Context, id string, e UserEdit) (User, error) {
	const op = "update user"
	switch {
	case id == "":
		return User{}, fmt.Errorf("%s: no id", op)
	case (e.GivenName == nil) != (e.FamilyName == nil):
		return User{}, fmt.Errorf("%s: givenName and familyName are sent together", op)
	case e.UserName != nil && *e.UserName == "":
		return User{}, fmt.Errorf("%s: the userName cannot be cleared", op)
	case e == UserEdit{}:
		return c.users.get(ctx, op, id)
	}
	ed := edit[User]{
		op: op, id: id, attrs: e.attributes(), lost: e.lost,
		forms: []form{byPath, whole, pathless},
	}
	if (e == UserEdit{Active: e.Active}) {
		ed.forms = []form{byPath, pathless, whole}
	}
	if e.Active != nil && !*e.Active {
		ed.hidden = &User{ID: id}
		e.applyTo(ed.hidden)
	}
	return c.users.update(ctx, ed)
}

// DeleteUser deletes a user. One whom the SCIM server no longer knows counts as deleted.
func (c *Client) DeleteUser(ctx context.Context, id string) error {
	return c.users.remove(ctx, "delete user", id)
}

// editTo is the edit that leads from nothing to u.
func editTo(u User) UserEdit {
	e := UserEdit{UserName: &u.UserName, Active: &u.Active}
	if u.ExternalID != "" {
		e.ExternalID = &u.ExternalID
	}
	if u.GivenName != "" || u.FamilyName != "" {
		e.GivenName, e.FamilyName = &u.GivenName, &u.FamilyName
	}
	if u.DisplayName != "" {
		e.DisplayName = &u.DisplayName
	}
	if len(emailValues(u.Emails)) > 0 {
		e.Emails = &u.Emails
	}
	if len(phoneValues(u.Phones)) > 0 {
		e.Phones = &u.Phones
	}
	return e
}

// only is the part of e that concerns the named attributes.
func (e UserEdit) only(attributes []string) UserEdit {
	var part UserEdit
	for _, name := range attributes {
		switch name {
		case "userName":
			part.UserName = e.UserName
		case "externalId":
			part.ExternalID = e.ExternalID
		case "name":
			part.GivenName, part.FamilyName = e.GivenName, e.FamilyName
		case "displayName":
			part.DisplayName = e.DisplayName
		case "emails":
			part.Emails = e.Emails
		case "phoneNumbers":
			part.Phones = e.Phones
		case "active":
			part.Active = e.Active
		}
	}
	return part
}

func (e UserEdit) applyTo(u *User) {
	set := func(dst *string, src *string) {
		if src != nil {
			*dst = *src
		}
	}
	set(&u.UserName, e.UserName)
	set(&u.ExternalID, e.ExternalID)
	set(&u.GivenName, e.GivenName)
	set(&u.FamilyName, e.FamilyName)
	set(&u.DisplayName, e.DisplayName)
	if e.Emails != nil {
		u.Emails = slices.Clone(*e.Emails)
	}
	if e.Phones != nil {
		u.Phones = slices.Clone(*e.Phones)
	}
	if e.Active != nil {
		u.Active = *e.Active
	}
}

// attributes are the changes of e in the shapes that are sent, in a fixed order.
func (e UserEdit) attributes() []attribute {
	var attrs []attribute
	scalar := func(path string, s *string) {
		if s != nil {
			attrs = append(attrs, attribute{path: path, value: orNil(*s)})
		}
	}
	scalar("userName", e.UserName)
	scalar("externalId", e.ExternalID)
	if e.GivenName != nil {
		attrs = append(attrs, nameAttribute(*e.GivenName, *e.FamilyName))
	}
	scalar("displayName", e.DisplayName)
	if e.Emails != nil {
		attrs = append(attrs, attribute{path: "emails", value: emailsValue(*e.Emails), list: true})
	}
	if e.Phones != nil {
		attrs = append(attrs, attribute{path: "phoneNumbers", value: phonesValue(*e.Phones), list: true})
	}
	if e.Active != nil {
		attrs = append(attrs, attribute{path: "active", value: *e.Active})
	}
	return attrs
}

// orNil is nil for "", so that nothing empty is ever sent.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// nameAttribute sends both parts together, because some servers drop the part that is not named. A part that is to be
// empty has to be removed besides, because others keep it.
func nameAttribute(given, family string) attribute {
	a := attribute{path: "name"}
	name := map[string]string{}
	for _, part := range [...][2]string{{"givenName", given}, {"familyName", family}} {
		if part[1] != "" {
			name[part[0]] = part[1]
		} else {
			a.also = append(a.also, patchOp{Op: "remove", Path: "name." + part[0]})
		}
	}
	if len(name) == 0 {
		a.also = nil
		return a
	}
	a.value = name
	return a
}

// emailsValue is nil for an empty list. Exactly one address is primary: the first that says so, else the first.
func emailsValue(emails []Email) any {
	emails = slices.DeleteFunc(slices.Clone(emails), func(v Email) bool { return v.Value == "" })
	primary := max(0, slices.IndexFunc(emails, func(v Email) bool { return v.Primary }))
	var list []map[string]any
	for i, v := range emails {
		entry := map[string]any{"value": v.Value, "type": orWork(v.Type)}
		if i == primary {
			entry["primary"] = true
		}
		list = append(list, entry)
	}
	if list == nil {
		return nil
	}
	return list
}

func phonesValue(phones []Phone) any {
	var list []map[string]any
	for _, v := range phones {
		if v.Value == "" {
			continue
		}
		entry := map[string]any{"value": v.Value, "type": orWork(v.Type)}
		if v.Primary {
			entry["primary"] = true
		}
		list = append(list, entry)
	}
	if list == nil {
		return nil
	}
	return list
}

func orWork(typ string) string {
	if typ == "" {
		return "work"
	}
	return typ
}
