package keycloak

import (
	"context"
	"fmt"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Check tries whatever Fetch and Lookup are going to need, each permission by itself.
func (c *Connector) Check(ctx context.Context) []connectors.Check {
	var checks []connectors.Check
	try := func(name string, f func() (detail string, err error)) bool {
		detail, err := f()
		if err != nil {
			detail = ""
		}
		checks = append(checks, connectors.Check{Name: name, Detail: detail, Err: err})
		return err == nil
	}
	signedIn := try("sign in, with the roles that reading takes", func() (string, error) {
		_, err := c.client.auth.token(ctx, c.client)
		return "as the service account of client " + c.opts.ClientID, err
	})
	if !signedIn {
		return checks
	}
	var someone string // whom to look up
	try("read the users", func() (string, error) {
		var users []userRep
		query := full()
		query.Set("max", "1")
		if err := c.client.get(ctx, "listing the users", "/users", query, &users); err != nil {
			return "", err
		}
		counted, err := c.countUsers(ctx)
		if err == nil && counted > 0 && len(users) == 0 {
			err = fmt.Errorf("keycloak: nobody is listed and %d people are counted (grant the service account view-users)", counted)
		}
		if len(users) > 0 {
			someone = users[0].ID
		}
		return fmt.Sprintf("%d people", counted), err
	})
	if c.opts.Query.Mode == connectors.ScopeAssigned {
		try("find the roles of client "+c.opts.Client, func() (string, error) {
			given, err := c.readGrants(ctx)
			return fmt.Sprintf("%s; given to %d groups", strings.Join(given.roles, ", "), len(given.groups)), err
		})
	}
	if len(c.scope)+len(c.opts.Query.Push) > 0 {
		var wanted []connectors.Group
		try("find the groups of the scope and to push", func() (_ string, err error) {
			wanted, _, err = c.findGroups(ctx, false)
			return fmt.Sprintf("%d groups", len(wanted)), err
		})
		if len(wanted) > 0 {
			try("read the members of group "+wanted[0].Name, func() (string, error) {
				m, err := c.readMembers(ctx, wanted[0].ID, false)
				return fmt.Sprintf("%d members of its own", len(m.members)), err
			})
		}
	}
	if someone != "" {
		try("look up one person", func() (string, error) {
			found, err := c.Lookup(ctx, connectors.UserID(someone))
			if err == nil && !found.Known {
				err = fmt.Errorf("keycloak: user %s was listed and cannot be looked up; run again", someone)
			}
			return someone, err
		})
	}
	return checks
}
