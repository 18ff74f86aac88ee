package okta

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Check tries with small requests whatever Fetch and Lookup are going to need, each permission by itself.
func (c *Connector) Check(ctx context.Context) []connectors.Check {
	var checks []connectors.Check
	try := func(name string, f func() (detail string, err error)) {
		var detail string
		err := recovered(func() (err error) {
			detail, err = f()
			return err
		})()
		if err != nil {
			detail = ""
		}
		checks = append(checks, connectors.Check{Name: name, Detail: detail, Err: err})
	}
	var someone string // whom to look up
	one := query.NewQueryParams(query.WithLimit(1), query.WithExpand("user"))
	switch c.query.Mode {
	case connectors.ScopeAssigned:
		try("read app "+c.appID, func() (string, error) { return c.checkApp(ctx) })
		try("read the users of app "+c.appID, func() (string, error) {
			users, _, err := c.client.Application.ListApplicationUsers(ctx, url.PathEscape(c.appID), one)
			if err != nil {
				return "", connectors.AtStep(vendor, "listing the users of app "+c.appID, err)
			}
			if len(users) == 0 {
				return "nobody is assigned", nil
			}
			if _, err := c.assignedUser(users[0]); err != nil {
				return "", err
			}
			someone = users[0].Id
			return "at least one person", nil
		})
	case connectors.ScopeAll:
		try("read the users", func() (string, error) {
			users, _, err := c.client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(1)))
			if err != nil {
				return "", connectors.AtStep(vendor, "listing the users", err)
			}
			if len(users) > 0 {
				someone = users[0].Id
			}
			return fmt.Sprintf("at least %d", len(users)), nil
		})
	}
	var found []connectors.Group
	if len(c.scope) > 0 || len(c.query.Push) > 0 {
		try("find the groups of the scope and to push", func() (detail string, err error) {
			found, err = c.findGroups(ctx)
			return fmt.Sprintf("%d groups", len(found)), err
		})
	}
	if len(found) > 0 {
		try("read the members of group "+found[0].Name, func() (string, error) {
			id := url.PathEscape(string(found[0].ID))
			users, _, err := c.client.Group.ListGroupUsers(ctx, id, query.NewQueryParams(query.WithLimit(1)))
			if err != nil {
				return "", connectors.AtStep(vendor, "listing the members of group "+string(found[0].ID), err)
			}
			if len(users) > 0 {
				someone = users[0].Id
			}
			return fmt.Sprintf("at least %d members", len(users)), nil
		})
	}
	if someone != "" {
		try("look up one person", func() (string, error) {
			found, err := c.Lookup(ctx, connectors.UserID(someone))
			if err == nil && !found.Known {
				err = fmt.Errorf("okta: user %s was listed and cannot be looked up (%s)", someone, seeEverybody)
			}
			return someone, err
		})
	}
	return checks
}

// seeEverybody is the remedy when a listing shows people whom the credential cannot read one by one.
const seeEverybody = "let this credential see every user, as the Read-only Administrator role does"

// An app is what is read of one.
type app struct {
	ID     string `json:"id"`
	Label  string `json:"label"`
	Status string `json:"status"`
}

// readApp reads the app through the SDK's request executor: the SDK's own Application type does not decode every kind
// of app.
func (c *Connector) readApp(ctx context.Context) (app, error) {
	step := "reading app " + c.appID
	executor := c.client.CloneRequestExecutor()
	req, err := executor.NewRequest(http.MethodGet, "/api/v1/apps/"+url.PathEscape(c.appID), nil)
	if err != nil {
		return app{}, connectors.AtStep(vendor, step, err)
	}
	var a app
	if _, err := executor.Do(ctx, req, &a); err != nil {
		return app{}, connectors.AtStep(vendor, step, err)
	}
	if a.ID != c.appID {
		return app{}, connectors.Damaged(vendor, step, "it is about %q", a.ID)
	}
	return a, nil
}

func (c *Connector) checkApp(ctx context.Context) (string, error) {
	a, err := c.readApp(ctx)
	if err == nil && a.Status != "ACTIVE" {
		err = fmt.Errorf("okta: app %s (%s) is %s, so its assignments mean nothing (activate it)", a.Label, a.ID, a.Status)
	}
	return a.Label, err
}
