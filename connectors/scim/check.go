package scim

import (
	"context"
	"fmt"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// Check tries what Fetch and Lookup are going to need.
func (c *Connector) Check(ctx context.Context) []connectors.Check {
	var checks []connectors.Check
	try := func(name string, f func() (detail string, err error)) {
		detail, err := f()
		if err != nil {
			detail = ""
		}
		checks = append(checks, connectors.Check{Name: name, Detail: detail, Err: err})
	}
	var someone string // whom to look up
	try("read the users", func() (string, error) {
		users, err := c.listUsers(ctx)
		if err != nil {
			return "", err
		}
		if len(users) > 0 {
			someone = users[0].ID
		}
		return fmt.Sprintf("%d people", len(users)), nil
	})
	if len(c.scope)+len(c.opts.Query.Push) > 0 {
		try("find the groups of the scope and to push, and read their members", func() (string, error) {
			groups, err := c.readGroups(ctx)
			return fmt.Sprintf("%d groups", len(groups)), err
		})
	}
	if someone != "" {
		try("look up one person", func() (string, error) {
			_, err := c.client.User(ctx, someone)
			switch {
			case scimclient.Gone(err):
				err = fmt.Errorf("scim: user %s was listed and cannot be looked up (let this credential read single users)", someone)
			case err != nil:
				err = plain(err)
			}
			return someone, err
		})
	}
	return checks
}
