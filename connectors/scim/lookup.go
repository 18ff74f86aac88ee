package scim

import (
	"context"
	"errors"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// Lookup asks for one person by id. Whether the filter still means them and whether a group of the scope still holds
// them is told by listings only, which those who are looked up one after the other share for a minute.
func (c *Connector) Lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	if id == "" {
		return connectors.Found{}, errors.New("scim: a person without id cannot be looked up")
	}
	u, err := c.client.User(ctx, string(id))
	switch {
	case scimclient.Gone(err):
		return connectors.Found{}, nil
	case err != nil:
		return connectors.Found{}, plain(err)
	}
	person, err := c.neutralUser(u)
	if err != nil {
		return connectors.Found{}, err
	}
	found := connectors.Found{Known: true, User: person}
	if c.filter.text != "" {
		passes, err := c.people.Get(ctx, func() (map[connectors.UserID]bool, error) { return c.filtered(ctx) })
		if err != nil {
			return connectors.Found{}, err
		}
		if !passes[id] {
			found.Outside, found.Listed = "not found by the filter "+c.filter.text, true
		}
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		in, err := c.inScope.Get(ctx, func() (map[connectors.UserID]bool, error) { return c.scopeMembers(ctx) })
		if err != nil {
			return connectors.Found{}, err
		}
		found.InScopeGroup = in[id]
		found.Listed = found.Listed || !in[id]
	}
	return found, nil
}

// filtered are the people whom the filter finds.
func (c *Connector) filtered(ctx context.Context) (map[connectors.UserID]bool, error) {
	users, err := c.listUsers(ctx)
	if err != nil {
		return nil, err
	}
	in := make(map[connectors.UserID]bool, len(users))
	for _, u := range users {
		in[connectors.UserID(u.ID)] = true
	}
	return in, nil
}

// directory is that of the last Fetch, so that a group renamed since is still the same one.
func (c *Connector) directory(ctx context.Context) (*directory, error) {
	if d := c.known.Load(); d != nil {
		return d, nil
	}
	return c.listGroups(ctx)
}

// scopeMembers reads the scope's groups again, one by one and not from a listing.
func (c *Connector) scopeMembers(ctx context.Context) (map[connectors.UserID]bool, error) {
	d, err := c.directory(ctx)
	if err != nil {
		return nil, err
	}
	read, err := c.walk(ctx, d, d.scope, map[string]scimclient.Group{})
	if err != nil {
		return nil, err
	}
	in := map[connectors.UserID]bool{}
	for _, id := range d.scope {
		if read[id].gone {
			return nil, missingGroup(connectors.GroupRef{ID: id})
		}
		for _, member := range read.expand(id) {
			in[member] = true
		}
	}
	return in, nil
}

// Members reads one group again and, with Nested, the groups in it; who is in it is sorted by id.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	if id == "" {
		return nil, false, errors.New("scim: a group without id cannot be listed")
	}
	g, err := c.client.Group(ctx, string(id))
	switch {
	case scimclient.Gone(err):
		return nil, false, nil
	case err != nil:
		return nil, false, plain(err)
	}
	d, err := c.directory(ctx)
	if err != nil {
		return nil, false, err
	}
	read, err := c.walk(ctx, d, []string{g.ID}, map[string]scimclient.Group{g.ID: g})
	if err != nil {
		return nil, false, err
	}
	return read.expand(g.ID), true, nil
}
