package scim

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// enterprise is the schema of the enterprise extension (RFC 7643 section 4.3).
const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// What is read of everybody beside the core of scimclient.User.
const (
	attrFormatted  = "name.formatted"
	attrNickname   = "nickName"
	attrTitle      = "title"
	attrType       = "userType"
	attrDepartment = enterprise + ":department"
	attrNumber     = enterprise + ":employeeNumber"
	attrCompany    = enterprise + ":organization"
)

var standardAttributes = []string{attrFormatted, attrNickname, attrTitle, attrType, attrDepartment, attrNumber, attrCompany}

// readUsers lists the people, of whom a filter lets some through.
func (c *Connector) readUsers(ctx context.Context) ([]connectors.User, error) {
	listed, err := c.listUsers(ctx)
	if err != nil {
		return nil, err
	}
	users := make([]connectors.User, 0, len(listed))
	for _, u := range listed {
		person, err := c.neutralUser(u)
		if err != nil {
			return nil, err
		}
		users = append(users, person)
	}
	return users, nil
}

// listUsers reads the people. That a filter was heeded is proved as far as it can be: it finds nobody where there is
// nobody to be found, and nobody whom it plainly does not mean.
func (c *Connector) listUsers(ctx context.Context) ([]scimclient.User, error) {
	if c.filter.text == "" {
		users, err := c.client.Users(ctx)
		if err != nil {
			return nil, plain(err)
		}
		return users, nil
	}
	const step = "listing the users by filter"
	none, err := c.client.UsersWhere(ctx, nobody)
	if err != nil {
		return nil, plain(err)
	}
	if len(none) > 0 {
		return nil, &connectors.Error{Directory: vendor, Step: step, Summary: "the server ignores filters and returns people whom none means",
			Remedy: "remove filter, and narrow the scope by groups or scope.where"}
	}
	users, err := c.client.UsersWhere(ctx, c.filter.text)
	if err != nil {
		return nil, plain(err)
	}
	for _, u := range users {
		if t, wrong := c.filter.contradicts(u); wrong {
			return nil, &connectors.Error{Directory: vendor, Step: step,
				Summary: "the server returns user " + u.ID + ", whom " + t.path + " " + t.op + " does not mean",
				Remedy:  "this server does not heed that part of the filter; remove it, and narrow the scope by scope.where"}
		}
	}
	return users, nil
}

func (c *Connector) neutralUser(u scimclient.User) (connectors.User, error) {
	if u.UserName == "" {
		return connectors.User{}, connectors.Damaged(vendor, "reading user "+u.ID, "it has no userName")
	}
	person := connectors.User{
		ID:             connectors.UserID(u.ID),
		UserName:       u.UserName,
		Email:          emailOf(u.Emails),
		GivenName:      u.GivenName,
		FamilyName:     u.FamilyName,
		DisplayName:    cmp.Or(u.DisplayName, u.Attributes[attrFormatted], strings.TrimSpace(u.GivenName+" "+u.FamilyName)),
		Nickname:       u.Attributes[attrNickname],
		Department:     u.Attributes[attrDepartment],
		Title:          u.Attributes[attrTitle],
		Company:        u.Attributes[attrCompany],
		EmployeeNumber: u.Attributes[attrNumber],
		EmployeeType:   u.Attributes[attrType],
		Status:         connectors.StatusActive,
		StatusDetail:   "active",
	}
	if !u.Active {
		person.Status, person.StatusDetail = connectors.StatusDisabled, "active=false"
	}
	for _, kind := range []string{"mobile", "work"} {
		if i := slices.IndexFunc(u.Phones, func(p scimclient.Phone) bool { return p.Type == kind }); i >= 0 {
			person.Phones = append(person.Phones, connectors.Phone{Type: kind, Value: strings.TrimPrefix(u.Phones[i].Value, "tel:")})
		}
	}
	for _, name := range c.opts.Query.Attributes {
		if person.Attrs == nil {
			person.Attrs = map[string]string{}
		}
		person.Attrs[name] = u.Attributes[name]
	}
	return person, nil
}

// emailOf is the primary address, else that of work, else the first.
func emailOf(emails []scimclient.Email) string {
	for _, good := range []func(scimclient.Email) bool{
		func(e scimclient.Email) bool { return e.Primary },
		func(e scimclient.Email) bool { return e.Type == "work" },
		func(scimclient.Email) bool { return true },
	} {
		if i := slices.IndexFunc(emails, good); i >= 0 {
			return emails[i].Value
		}
	}
	return ""
}
