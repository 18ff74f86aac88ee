package google

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	admin "google.golang.org/api/admin/directory/v1"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// userPage is the largest page of people that Google grants.
const userPage = 500

// readUsers lists the people: those of the organizational units in mode org_units, else all of them. In mode groups too,
// because a group's listing has no more of a person than the address.
func (c *Connector) readUsers(ctx context.Context) ([]connectors.User, error) {
	if c.opts.Query.Mode != connectors.ScopeOrgUnits {
		users, err := c.listUsers(ctx, c.opts.UserQuery)
		if err == nil && len(users) == 0 && c.opts.UserQuery == "" {
			err = connectors.Damaged(vendor, "listing the users", "nobody is listed, not even an administrator")
		}
		return users, err
	}
	read := make([][]connectors.User, len(c.units.paths))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, path := range c.units.paths {
		g.Go(recovered(func() (err error) {
			if read[i], err = c.listUsers(ctx, unitQuery(path, c.opts.UserQuery)); err != nil {
				return fmt.Errorf("google: organizational unit %s: %w", path, err)
			}
			if len(read[i]) == 0 {
				c.log.Warn("nobody is in the organizational unit", "path", path)
			}
			return nil
		}))
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var users []connectors.User
	seen := map[connectors.UserID]bool{}
	for _, u := range slices.Concat(read...) {
		if !seen[u.ID] { // a unit and one below it list the same people
			seen[u.ID] = true
			users = append(users, u)
		}
	}
	return users, nil
}

// unitQuery searches an organizational unit. Google answers with the units below it too.
func unitQuery(path, query string) string {
	return strings.TrimSpace("orgUnitPath=" + quote(path) + " " + query)
}

// quote makes a value of Google's search language.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func (c *Connector) listUsers(ctx context.Context, query string) ([]connectors.User, error) {
	var users []connectors.User
	err := list(ctx, "listing the users", func(ctx context.Context, token string) ([]*admin.User, string, error) {
		call := c.svc.Users.List().Customer(c.customer).MaxResults(userPage)
		if query != "" {
			call.Query(query)
		}
		if schemas := c.schemas(); schemas != "" {
			call.Projection("custom").CustomFieldMask(schemas)
		}
		if token != "" {
			call.PageToken(token)
		}
		got, err := call.Fields("kind", "nextPageToken", field("users", c.fields())).Context(ctx).Do()
		if err != nil {
			return nil, "", err
		}
		return got.Users, got.NextPageToken, nil
	}, func(u *admin.User) string { return u.Id }, func(u *admin.User) error {
		if in, err := c.inUnits(u); err != nil || !in {
			return err
		}
		person, err := c.neutralUser(u)
		users = append(users, person)
		return err
	})
	return users, err
}

// inUnits tells whether the person's organizational unit belongs, as every unit does outside mode org_units. An answer
// without the unit does not say.
func (c *Connector) inUnits(u *admin.User) (bool, error) {
	if c.opts.Query.Mode != connectors.ScopeOrgUnits {
		return true, nil
	}
	if u.OrgUnitPath == "" {
		return false, connectors.Damaged(vendor, "reading user "+u.Id, "it has no orgUnitPath")
	}
	return c.units.has(u.OrgUnitPath), nil
}

// neutralUser maps one person. The transport has seen that suspended and archived are there.
func (c *Connector) neutralUser(u *admin.User) (connectors.User, error) {
	organizations, err := entries[admin.UserOrganization](u, "organizations", u.Organizations)
	if err != nil {
		return connectors.User{}, err
	}
	var primary admin.UserOrganization
	if i := slices.IndexFunc(organizations, func(o admin.UserOrganization) bool { return o.Primary }); i >= 0 {
		primary = organizations[i]
	} else if len(organizations) > 0 {
		primary = organizations[0]
	}
	out := connectors.User{
		ID: connectors.UserID(u.Id), UserName: u.PrimaryEmail, Email: u.PrimaryEmail,
		Department: primary.Department, Title: primary.Title, Company: primary.Name,
	}
	out.Status, out.StatusDetail = statusOf(u)
	if n := u.Name; n != nil {
		out.GivenName, out.FamilyName = visible(n.GivenName), visible(n.FamilyName)
		out.DisplayName = cmp.Or(visible(n.DisplayName), visible(n.FullName))
	}
	if out.DisplayName == "" {
		out.DisplayName = strings.TrimSpace(out.GivenName + " " + out.FamilyName)
	}
	if out.EmployeeNumber, err = employeeNumber(u); err != nil {
		return connectors.User{}, err
	}
	if out.Phones, err = phones(u); err != nil {
		return connectors.User{}, err
	}
	if out.Attrs, err = c.attributesOf(u, primary); err != nil {
		return connectors.User{}, err
	}
	return out, nil
}

func statusOf(u *admin.User) (connectors.Status, string) {
	switch {
	case u.Suspended && u.Archived:
		return connectors.StatusDisabled, "suspended, archived"
	case u.Suspended:
		return connectors.StatusDisabled, "suspended"
	case u.Archived:
		return connectors.StatusDisabled, "archived"
	}
	return connectors.StatusActive, "active"
}

// visible takes away space and the zero-width space that Google keeps for people without a name.
func visible(s string) string { return strings.Trim(s, "\u200b \t") }

func employeeNumber(u *admin.User) (string, error) {
	ids, err := entries[admin.UserExternalId](u, "externalIds", u.ExternalIds)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		if id.Type == "organization" {
			return id.Value, nil
		}
	}
	return "", nil
}

// phones keeps mobile and work numbers, the primary one first.
func phones(u *admin.User) ([]connectors.Phone, error) {
	numbers, err := entries[admin.UserPhone](u, "phones", u.Phones)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(numbers, func(a, b admin.UserPhone) int {
		switch {
		case a.Primary && !b.Primary:
			return -1
		case b.Primary && !a.Primary:
			return 1
		}
		return 0
	})
	var out []connectors.Phone
	for _, n := range numbers {
		switch n.Type {
		case "mobile", "work_mobile":
			out = append(out, connectors.Phone{Type: "mobile", Value: n.Value})
		case "work":
			out = append(out, connectors.Phone{Type: "work", Value: n.Value})
		}
	}
	return out, nil
}

// entries reads one of the lists that the SDK leaves undecoded.
func entries[T any](u *admin.User, name string, v any) ([]T, error) {
	if v == nil {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("google: user %s: %s: %w", u.Id, name, err)
	}
	var out []T
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("google: user %s: %s is not as documented: %w", u.Id, name, err)
	}
	return out, nil
}
