package okta

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Check tries with small requests whatever Fetch is going to need, each permission by itself.
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
	one := query.NewQueryParams(query.WithLimit(1), query.WithExpand("user"))
	switch c.query.Mode {
	case connectors.ScopeAssigned:
		try("read app "+c.appID, func() (string, error) { return c.checkApp(ctx) })
		try("read the users of app "+c.appID, func() (string, error) {
			users, _, err := c.client.Application.ListApplicationUsers(ctx, url.PathEscape(c.appID), one)
			if err != nil {
				return "", plain("listing the users of app "+c.appID, err)
			}
			if len(users) == 0 {
				return "nobody is assigned", nil
			}
			_, err = c.assignedUser(users[0])
			return "at least one person", err
		})
	case connectors.ScopeAll:
		try("read the users", func() (string, error) {
			users, _, err := c.client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(1)))
			if err != nil {
				return "", plain("listing the users", err)
			}
			return fmt.Sprintf("at least %d", len(users)), nil
		})
	}
	if len(c.scope) == 0 && len(c.query.Push) == 0 {
		return checks
	}
	var found []connectors.Group
	try("find the groups of the scope and to push", func() (detail string, err error) {
		found, err = c.findGroups(ctx)
		return fmt.Sprintf("%d groups", len(found)), err
	})
	if len(found) > 0 {
		try("read the members of group "+found[0].Name, func() (string, error) { return c.checkMembers(ctx, found[0]) })
	}
	return checks
}

// checkApp reads the app through the SDK's request executor: the SDK's own Application type does not decode every kind
// of app.
func (c *Connector) checkApp(ctx context.Context) (string, error) {
	step := "reading app " + c.appID
	executor := c.client.CloneRequestExecutor()
	req, err := executor.NewRequest(http.MethodGet, "/api/v1/apps/"+url.PathEscape(c.appID), nil)
	if err != nil {
		return "", plain(step, err)
	}
	var app struct {
		ID     string `json:"id"`
		Label  string `json:"label"`
		Status string `json:"status"`
	}
	if _, err := executor.Do(ctx, req, &app); err != nil {
		return "", plain(step, err)
	}
	switch {
	case app.ID != c.appID:
		return "", damaged(step, "it is about %q", app.ID)
	case app.Status != "ACTIVE":
		return "", fmt.Errorf("okta: app %s (%s) is %s, so its assignments mean nothing (activate it)", app.Label, app.ID, app.Status)
	}
	return app.Label, nil
}

func (c *Connector) checkMembers(ctx context.Context, group connectors.Group) (string, error) {
	users, _, err := c.client.Group.ListGroupUsers(ctx, url.PathEscape(string(group.ID)), query.NewQueryParams(query.WithLimit(1)))
	if err != nil {
		return "", plain("listing the members of group "+string(group.ID), err)
	}
	return fmt.Sprintf("at least %d members", len(users)), nil
}
