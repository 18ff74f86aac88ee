package ldap

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A person is a user with what groups call them.
type person struct {
	connectors.User
	dn  string
	uid string
}

// userAttributes are asked for beside those that a profile names.
var userAttributes = []string{"givenName", "sn", "cn", "displayName", "department", "ou", "title", "company", "o", "employeeType", "mobile",
	"telephoneNumber", uidAttribute}

// attributesOf are all attributes of people that are asked for, what expressions read included.
func (c *Connector) attributesOf(p profile) []string {
	names := slices.Concat(userAttributes, []string{p.names.ID, p.names.UserName, p.names.Email, p.number}, p.state, c.attrs)
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	names = slices.CompactFunc(names, strings.EqualFold)
	return slices.DeleteFunc(names, func(n string) bool { return strings.EqualFold(n, dnAttribute) })
}

// dnAttribute is what expressions call the entry's own name.
const dnAttribute = "dn"

// readUsers lists the people of all user bases, then those of them whom DisabledFilter means.
func (c *Connector) readUsers(ctx context.Context, l *link, p profile) ([]person, error) {
	var pages [][]person // one long list would be moved again and again as it grows
	page := make([]person, 0, c.opts.PageSize)
	attributes := c.attributesOf(p)
	for _, base := range c.places.users {
		s := search{step: "listing the people below " + base.text, base: base.text, filter: p.userFilter, attributes: attributes}
		err := c.list(ctx, l, s, func(e *entry) error {
			one, err := c.neutral(s.step, p, e)
			if err != nil {
				return err
			}
			if len(page) == cap(page) {
				pages, page = append(pages, page), make([]person, 0, cap(page))
			}
			page = append(page, one)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	people := slices.Concat(append(pages, page)...)
	if c.opts.DisabledFilter == "" {
		return people, nil
	}
	disabled := map[connectors.UserID]bool{}
	for _, base := range c.places.users {
		s := search{step: "listing the people whom disabled_filter means", base: base.text, filter: "(&" + p.userFilter + c.opts.DisabledFilter + ")",
			attributes: []string{p.names.ID}}
		err := c.list(ctx, l, s, func(e *entry) error {
			id, err := p.id(s.step, e)
			disabled[connectors.UserID(id)] = true
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range people {
		if disabled[people[i].ID] {
			people[i].disable()
		}
	}
	return people, nil
}

// disable is what DisabledFilter does.
func (p *person) disable() {
	if p.Status != connectors.StatusDisabled {
		p.Status, p.StatusDetail = connectors.StatusDisabled, "matches disabled_filter"
	}
}

// neutral maps one entry.
func (c *Connector) neutral(step string, p profile, e *entry) (person, error) {
	id, err := p.id(step, e)
	if err != nil {
		return person{}, err
	}
	a := fields{e}
	out := person{dn: e.dn, uid: a.first(uidAttribute), User: connectors.User{
		ID: connectors.UserID(id), UserName: a.first(p.names.UserName), Email: a.first(p.names.Email),
		GivenName: a.first("givenName"), FamilyName: a.first("sn"), DisplayName: a.first("displayName", "cn"),
		Department: a.first("department", "ou"), Title: a.first("title"), Company: a.first("company", "o"),
		EmployeeNumber: a.first(p.number), EmployeeType: a.first("employeeType"),
	}}
	for _, n := range a.all("mobile") {
		out.Phones = append(out.Phones, connectors.Phone{Type: "mobile", Value: n})
	}
	for _, n := range a.all("telephoneNumber") {
		out.Phones = append(out.Phones, connectors.Phone{Type: "work", Value: n})
	}
	if out.Status, out.StatusDetail, err = p.status(a, c.opts.Now()); err != nil {
		if refused, ok := errors.AsType[*connectors.Error](err); ok {
			refused.Step, refused.Summary = step, e.dn+" "+refused.Summary
		}
		return person{}, err
	}
	if len(c.attrs) > 0 {
		out.Attrs = make(map[string]string, len(c.attrs))
		for _, name := range c.attrs {
			if strings.EqualFold(name, dnAttribute) {
				out.Attrs[name] = out.dn
				continue
			}
			out.Attrs[name] = strings.Join(a.all(name), ",")
		}
	}
	return out, nil
}

// fields are an entry's attributes.
type fields struct{ *entry }

// first is the first by alphabet of the values of the first attribute that has any: servers promise no order, and
// replicas give different ones.
func (f fields) first(names ...string) string {
	for _, name := range names {
		switch values := f.values(name); len(values) {
		case 0:
		case 1:
			if v := text(values[0]); v != "" {
				return v
			}
		default:
			if all := f.all(name); len(all) > 0 {
				return all[0]
			}
		}
	}
	return ""
}

// text is a value without space around it; bytes that are no text are in base64.
func text(v string) string {
	if !utf8.ValidString(v) {
		return base64.StdEncoding.EncodeToString([]byte(v))
	}
	return strings.Clone(strings.TrimSpace(v))
}

// all are an attribute's values in order.
func (f fields) all(name string) []string {
	values := f.values(name)
	if len(values) == 0 {
		return nil
	}
	out := make([]string, 0, len(values))
	for _, v := range values {
		if v = text(v); v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}
