package okta

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Lookup asks for one person: in mode assigned with their assignment to the app, in mode groups with their groups. Okta
// keeps no trace of a deleted person, so Found.Deleted is never set.
func (c *Connector) Lookup(ctx context.Context, id connectors.UserID) (found connectors.Found, err error) {
	err = recovered(func() error {
		found, err = c.lookup(ctx, id)
		return err
	})()
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

func (c *Connector) lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	if id == "" {
		return connectors.Found{}, errors.New("okta: a person without id cannot be looked up")
	}
	step := "reading user " + string(id)
	u, _, err := c.client.User.GetUser(ctx, url.PathEscape(string(id)))
	switch {
	case noSuch(err):
		return connectors.Found{}, nil
	case err != nil:
		return connectors.Found{}, connectors.AtStep(vendor, step, err)
	case u.Id != string(id): // Okta takes a login, and "me", for an id
		return connectors.Found{}, connectors.Damaged(vendor, step, "it is about %q", u.Id)
	}
	person, err := c.neutralUser(recordOf(u))
	if err != nil {
		return connectors.Found{}, err
	}
	found := connectors.Found{Known: true, User: person}
	switch c.query.Mode {
	case connectors.ScopeAssigned:
		if u.Status == deactivated {
			c.assign(&found.User, &sdk.AppUser{Status: unassigned})
			return found, nil
		}
		err = c.lookupAssignment(ctx, &found.User)
	case connectors.ScopeGroups:
		found.InScopeGroup, err = c.inScopeGroup(ctx, found.User)
	}
	return found, err
}

// deactivated is the status of people whom Okta has taken off every app: the answer about them says it all.
const deactivated = "DEPROVISIONED"

// lookupAssignment asks for the person's assignment to the app and adds it to them. That there is none is believed only
// while the app itself is seen: of an app that is gone or hidden, Okta says the same.
func (c *Connector) lookupAssignment(ctx context.Context, person *connectors.User) error {
	step := "reading the assignment of user " + string(person.ID) + " to app " + c.appID
	u, _, err := c.client.Application.GetApplicationUser(ctx, url.PathEscape(c.appID), url.PathEscape(string(person.ID)), nil)
	switch {
	case noSuch(err):
		c.assign(person, &sdk.AppUser{Status: unassigned})
		_, err := c.readApp(ctx)
		return err
	case err != nil:
		return connectors.AtStep(vendor, step, err)
	case u.Id != string(person.ID):
		return connectors.Damaged(vendor, step, "it is about %q", u.Id)
	}
	c.assign(person, u)
	return nil
}

// inScopeGroup tells whether the person is in a group of the scope. Everybody active is in Okta's group Everyone, so a
// listing without any group is not believed of them.
func (c *Connector) inScopeGroup(ctx context.Context, person connectors.User) (bool, error) {
	scope, err := c.scopeIDs(ctx)
	if err != nil {
		return false, err
	}
	step := "listing the groups of user " + string(person.ID)
	groups, in := 0, false
	err = list(ctx, step, func() ([]*sdk.Group, *sdk.Response, error) {
		return c.client.User.ListUserGroups(ctx, url.PathEscape(string(person.ID)))
	}, func(g *sdk.Group) string { return g.Id }, func(g *sdk.Group) error {
		groups++
		in = in || slices.Contains(scope, connectors.GroupID(g.Id))
		return nil
	})
	if err == nil && groups == 0 && person.Status == connectors.StatusActive {
		err = connectors.Damaged(vendor, step, "an active person is in no group at all, not even Everyone (let this credential see every group)")
	}
	return in, err
}

// scopeIDs are the scope's groups by id: those of the last Fetch, so that a group renamed since is still the same one.
func (c *Connector) scopeIDs(ctx context.Context) ([]connectors.GroupID, error) {
	if ids := c.resolved.Load(); ids != nil {
		return *ids, nil
	}
	if _, err := c.findGroups(ctx); err != nil {
		return nil, err
	}
	return *c.resolved.Load(), nil
}

// resolve keeps which groups the scope means.
func (c *Connector) resolve(groups []connectors.Group) {
	ids := []connectors.GroupID{}
	for _, g := range groups {
		if g.Scope {
			ids = append(ids, g.ID)
		}
	}
	c.resolved.Store(&ids)
}

// Members lists the people of one group, sorted by id.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	if id == "" {
		return nil, false, errors.New("okta: a group without id cannot be listed")
	}
	var m membership
	err = recovered(func() (err error) {
		m, err = c.readMembers(ctx, connectors.Group{ID: id})
		return err
	})()
	switch {
	case noSuch(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	slices.Sort(m.Members)
	return m.Members, true, nil
}

// noSuch tells whether Okta itself answers that there is no such thing. A 404 without its code comes from a proxy, or
// from another server.
func noSuch(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Status == http.StatusNotFound && e.Code == "E0000007"
}
