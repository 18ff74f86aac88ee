package keycloak

import (
	"context"
	"errors"
	"net/url"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Lookup asks for one person: in mode assigned with their roles and groups, in mode groups with their groups. Keycloak
// keeps no trace of a deleted person, so Found.Deleted is never set. People who are looked up one after the other share
// the listing of the groups, and of those with the roles, for a minute.
func (c *Connector) Lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	if id == "" {
		return connectors.Found{}, errors.New("keycloak: a person without id cannot be looked up")
	}
	step := "reading user " + string(id)
	var u userRep
	err := c.client.get(ctx, step, userPath(id), nil, &u)
	switch {
	case noSuch(err):
		return connectors.Found{}, nil
	case err != nil:
		return connectors.Found{}, err
	case u.ID != string(id):
		return connectors.Found{}, connectors.Damaged(vendor, step, "it is about %q", u.ID)
	}
	person, err := c.neutralUser(step, u)
	if err != nil {
		return connectors.Found{}, err
	}
	found := connectors.Found{Known: true, User: person}
	if u.serviceAccount() {
		found.Outside = "a service account"
	}
	switch c.opts.Query.Mode {
	case connectors.ScopeAssigned:
		found.User.Assigned, err = c.assigned(ctx, id)
	case connectors.ScopeGroups:
		found.InScopeGroup, err = c.inScopeGroup(ctx, id)
	}
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

func userPath(id connectors.UserID) string { return "/users/" + url.PathEscape(string(id)) }

// assigned tells whether the person has one of the roles by name or by a group.
func (c *Connector) assigned(ctx context.Context, id connectors.UserID) (bool, error) {
	given, err := c.granted.Get(ctx, func() (grants, error) { return c.readGrants(ctx) })
	if err != nil {
		return false, err
	}
	step := "reading the roles of user " + string(id)
	var roles []named
	if err := c.client.get(ctx, step, userPath(id)+"/role-mappings/clients/"+url.PathEscape(given.client), nil, &roles); err != nil {
		return false, err
	}
	for _, r := range roles {
		switch {
		case r.ID == "" || r.Name == "":
			return false, connectors.Damaged(vendor, step, "a role has no id or no name")
		case slices.Contains(given.roles, r.Name):
			return true, nil
		}
	}
	if len(given.groups) == 0 {
		return false, nil
	}
	t, err := c.freshTree(ctx)
	if err != nil {
		return false, err
	}
	entitled, err := t.under(given.groups...)
	if err != nil {
		return false, err
	}
	return c.inOneOf(ctx, id, entitled)
}

// inScopeGroup tells whether the person is in a group of the scope: those of the last Fetch, so that a group renamed since
// is still the same one.
func (c *Connector) inScopeGroup(ctx context.Context, id connectors.UserID) (bool, error) {
	if c.resolved.Load() == nil {
		if _, _, err := c.findGroups(ctx, false); err != nil {
			return false, err
		}
	}
	scope := *c.resolved.Load()
	if c.opts.Nested {
		t, err := c.freshTree(ctx)
		if err != nil {
			return false, err
		}
		if scope, err = t.under(scope...); err != nil {
			return false, err
		}
	}
	return c.inOneOf(ctx, id, scope)
}

func (c *Connector) inOneOf(ctx context.Context, id connectors.UserID, groups []connectors.GroupID) (in bool, err error) {
	err = list(ctx, c, "listing the groups of user "+string(id), userPath(id)+"/groups", brief(), groupID, func(g groupRep) error {
		in = in || slices.Contains(groups, connectors.GroupID(g.ID))
		return nil
	})
	return in, err
}

// freshTree is the groups as they are since the last Fetch, whose own reading a lookup is there to contradict.
func (c *Connector) freshTree(ctx context.Context) (*tree, error) {
	return c.tree.Get(ctx, func() (*tree, error) { return c.readTree(ctx) })
}

// Members lists the people of one group, with Nested those of the groups below it too, sorted by id.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	if id == "" {
		return nil, false, errors.New("keycloak: a group without id cannot be listed")
	}
	own, err := c.readMembers(ctx, id, false)
	switch {
	case noSuch(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	members = own.members
	if c.opts.Nested {
		t, err := c.freshTree(ctx)
		if err != nil {
			return nil, false, err
		}
		all, err := t.under(id)
		if err != nil {
			return nil, false, err
		}
		below := slices.DeleteFunc(all, func(g connectors.GroupID) bool { return g == id })
		read, err := c.readMemberships(ctx, below, nil)
		if err != nil {
			return nil, false, err
		}
		for _, m := range read {
			members = append(members, m.members...)
		}
	}
	slices.Sort(members)
	return slices.Compact(members), true, nil
}
