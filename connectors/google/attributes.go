package google

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"
)

// userFields is the part of a person that every reading asks for. What decides about them, suspended and archived, is
// always in it: the SDK reads what is left out as active.
const userFields = "id,primaryEmail,suspended,archived,orgUnitPath,name(givenName,familyName,fullName,displayName),phones,organizations,externalIds"

// plainAttributes are the attributes beside custom ones that expressions may read by Google's own names.
var plainAttributes = map[string]func(*admin.User) any{
	"orgUnitPath":      func(u *admin.User) any { return u.OrgUnitPath },
	"isAdmin":          func(u *admin.User) any { return u.IsAdmin },
	"isDelegatedAdmin": func(u *admin.User) any { return u.IsDelegatedAdmin },
	"isEnrolledIn2Sv":  func(u *admin.User) any { return u.IsEnrolledIn2Sv },
	"isGuestUser":      func(u *admin.User) any { return u.IsGuestUser },
	"recoveryEmail":    func(u *admin.User) any { return u.RecoveryEmail },
	"suspensionReason": func(u *admin.User) any { return u.SuspensionReason },
	"creationTime":     func(u *admin.User) any { return u.CreationTime },
	"lastLoginTime":    func(u *admin.User) any { return u.LastLoginTime },
}

// organizationAttributes are read from the primary organization.
var organizationAttributes = map[string]func(admin.UserOrganization) string{
	"organization.costCenter":  func(o admin.UserOrganization) string { return o.CostCenter },
	"organization.description": func(o admin.UserOrganization) string { return o.Description },
	"organization.location":    func(o admin.UserOrganization) string { return o.Location },
	"organization.type":        func(o admin.UserOrganization) string { return o.Type },
}

// An attribute is one entry of Query.Attributes. schema and field are set for a custom one.
type attribute struct {
	name, schema, field string
}

func parseAttributes(names []string) ([]attribute, error) {
	var out []attribute
	var errs []error
	for _, name := range names {
		a := attribute{name: name}
		if plainAttributes[name] == nil && organizationAttributes[name] == nil {
			var ok bool
			a.schema, a.field, ok = strings.Cut(name, ".")
			if !ok || a.schema == "" || a.field == "" || strings.ContainsAny(name, "(),/") {
				errs = append(errs, fmt.Errorf("google: there is no attribute %q (write a custom one as Schema.field; besides these there "+
					"are %s)", name, strings.Join(knownAttributes(), ", ")))
				continue
			}
		}
		out = append(out, a)
	}
	return out, errors.Join(errs...)
}

func knownAttributes() []string {
	var names []string
	for name := range plainAttributes {
		names = append(names, name)
	}
	for name := range organizationAttributes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fields is the mask of one person, what the expressions read included.
func (c *Connector) fields() string {
	fields := userFields
	for _, a := range c.attrs {
		if plainAttributes[a.name] != nil && a.name != "orgUnitPath" {
			fields += "," + a.name
		}
	}
	if c.schemas() != "" {
		fields += ",customSchemas"
	}
	return fields
}

// schemas are the custom schemas to ask for, joined by commas.
func (c *Connector) schemas() string {
	var names []string
	for _, a := range c.attrs {
		if a.schema != "" && !slices.Contains(names, a.schema) {
			names = append(names, a.schema)
		}
	}
	return strings.Join(names, ",")
}

// attributesOf reads what the expressions ask for; absent ones are "".
func (c *Connector) attributesOf(u *admin.User, primary admin.UserOrganization) (map[string]string, error) {
	if len(c.attrs) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(c.attrs))
	for _, a := range c.attrs {
		var value any
		switch {
		case plainAttributes[a.name] != nil:
			value = plainAttributes[a.name](u)
		case organizationAttributes[a.name] != nil:
			value = organizationAttributes[a.name](primary)
		default:
			var err error
			if value, err = customValue(u.CustomSchemas[a.schema], a.field); err != nil {
				return nil, fmt.Errorf("google: user %s: custom attribute %s: %w", u.Id, a.name, err)
			}
		}
		text, err := textOf(value)
		if err != nil {
			return nil, fmt.Errorf("google: user %s: attribute %s: %w", u.Id, a.name, err)
		}
		out[a.name] = text
	}
	return out, nil
}

func customValue(schema googleapi.RawMessage, field string) (any, error) {
	if schema == nil {
		return nil, nil
	}
	var values map[string]any
	if err := json.Unmarshal(schema, &values); err != nil {
		return nil, err
	}
	return values[field], nil
}

// textOf reads a string, number, boolean or a list of those, joined by commas. Google wraps the values of a list in
// objects with their type.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case map[string]any:
		return textOf(v["value"])
	case []any:
		texts := make([]string, len(v))
		for i, element := range v {
			var err error
			if texts[i], err = textOf(element); err != nil {
				return "", err
			}
		}
		return strings.Join(texts, ","), nil
	}
	return "", fmt.Errorf("it is a %T, not text", v)
}
