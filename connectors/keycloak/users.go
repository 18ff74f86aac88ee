package keycloak

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A userRep is a person as Keycloak has them.
type userRep struct {
	ID             string              `json:"id"`
	Username       string              `json:"username"`
	Email          string              `json:"email"`
	EmailVerified  bool                `json:"emailVerified"`
	FirstName      string              `json:"firstName"`
	LastName       string              `json:"lastName"`
	Enabled        *bool               `json:"enabled"`
	FederationLink string              `json:"federationLink"`
	Attributes     map[string][]string `json:"attributes"`
}

func userID(u userRep) string { return u.ID }

// serviceAccount tells an account of a client from a person. Keycloak leaves them out of its users, not out of groups and
// roles, and says of them only what they are called.
func (u userRep) serviceAccount() bool { return strings.HasPrefix(u.Username, "service-account-") }

// readAll lists everybody and compares with Keycloak's own count. More than that is no loss: people of a user federation
// are counted once they were imported.
func (c *Connector) readAll(ctx context.Context) ([]connectors.User, error) {
	const step = "listing the users"
	var users []connectors.User
	listed := 0
	err := list(ctx, c, step, "/users", full(), userID, func(u userRep) error {
		listed++
		return c.keep(&users, step, u)
	})
	if err != nil {
		return nil, err
	}
	counted, err := c.countUsers(ctx)
	if err != nil {
		return nil, err
	}
	if listed < counted {
		return nil, fmt.Errorf("keycloak: %s: %d are listed and %d are counted: %w (run again; if it stays so, a user federation does "+
			"not answer or the service account may not see everybody: look at User federation and the server's log)", step, listed, counted, errChanged)
	}
	return users, nil
}

func (c *Connector) countUsers(ctx context.Context) (int, error) {
	const step = "counting the users"
	counted := -1
	if err := c.client.get(ctx, step, "/users/count", nil, &counted); err != nil {
		return 0, err
	}
	if counted < 0 {
		return 0, connectors.Damaged(vendor, step, "it is no count")
	}
	return counted, nil
}

// keep adds a person to users, and no service account.
func (c *Connector) keep(users *[]connectors.User, step string, u userRep) error {
	if u.serviceAccount() {
		return nil
	}
	person, err := c.neutralUser(step, u)
	*users = append(*users, person)
	return err
}

func (c *Connector) neutralUser(step string, u userRep) (connectors.User, error) {
	if u.Username == "" || u.Enabled == nil {
		return connectors.User{}, connectors.Damaged(vendor, step, "user %q has no username or does not say whether it is enabled", u.ID)
	}
	out := connectors.User{
		ID: connectors.UserID(u.ID), UserName: u.Username, Email: u.Email, GivenName: u.FirstName, FamilyName: u.LastName,
		DisplayName: strings.TrimSpace(u.FirstName + " " + u.LastName), Nickname: u.attr("nickname"),
		Department: u.attr("department"), Title: u.attr("title"), Company: u.attr("company"),
		EmployeeNumber: u.attr("employeeNumber"), EmployeeType: u.attr("employeeType"),
		Status: connectors.StatusActive, StatusDetail: "enabled=" + strconv.FormatBool(*u.Enabled),
	}
	if !*u.Enabled {
		out.Status = connectors.StatusDisabled
	}
	if number := u.first("phoneNumber"); number != "" { // Keycloak's own name, by its client scope phone
		out.Phones = []connectors.Phone{{Type: "mobile", Value: number}}
	}
	if len(c.opts.Query.Attributes) > 0 {
		out.Attrs = make(map[string]string, len(c.opts.Query.Attributes))
		for _, name := range c.opts.Query.Attributes {
			out.Attrs[name] = u.attr(name)
		}
	}
	return out, nil
}

// attr is an attribute of the realm's user profile, several values joined by commas, or one of the account's own.
func (u userRep) attr(name string) string {
	if values, ok := u.Attributes[name]; ok {
		return strings.Join(values, ",")
	}
	switch name {
	case "emailVerified":
		return strconv.FormatBool(u.EmailVerified)
	case "federationLink":
		return u.FederationLink
	}
	return ""
}

func (u userRep) first(name string) string {
	if values := u.Attributes[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
