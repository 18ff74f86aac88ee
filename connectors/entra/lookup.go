//go:build !noentra

package entra

import (
	"context"
	"errors"
	"slices"

	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Lookup asks for one person: in mode assigned with the assignments, from a listing at most a minute old, and with their
// groups, in mode groups with their groups. Somebody deleted is looked for in the recycle bin, where Entra keeps them for 30 days.
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
		return connectors.Found{}, errors.New("entra: a person without id cannot be looked up")
	}
	person, err := c.readUser(ctx, id)
	switch {
	case noSuch(err):
		return c.lookupDeleted(ctx, id)
	case err != nil:
		return connectors.Found{}, err
	}
	found := connectors.Found{Known: true, User: person}
	switch c.query.Mode {
	case connectors.ScopeAssigned:
		found.User.Assigned, err = c.isAssigned(ctx, id)
		found.Listed = !found.User.Assigned
	case connectors.ScopeGroups:
		var scope []connectors.GroupID
		if scope, err = c.scopeIDs(ctx); err == nil {
			found.InScopeGroup, err = c.isIn(ctx, id, func(g connectors.GroupID) bool { return slices.Contains(scope, g) })
		}
	}
	return found, err
}

// readUser asks for one person. Graph takes a userPrincipalName for an id, so the answer's id is compared.
func (c *Connector) readUser(ctx context.Context, id connectors.UserID) (connectors.User, error) {
	step := "reading user " + string(id)
	u, err := c.graph.getUser(ctx, string(id), c.personSelect())
	if err != nil {
		return connectors.User{}, connectors.AtStep(vendor, step, err)
	}
	if got := text(u.GetId()); got != string(id) {
		return connectors.User{}, connectors.Damaged(vendor, step, "it is about %q", got)
	}
	person, err := c.neutralUser(u)
	if err == nil {
		err = checkKnown(person)
	}
	return person, err
}

func (c *Connector) lookupDeleted(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	step := "looking for user " + string(id) + " in the recycle bin"
	o, err := c.graph.getDeleted(ctx, string(id))
	switch {
	case noSuch(err):
		return connectors.Found{}, nil
	case err != nil:
		return connectors.Found{}, connectors.AtStep(vendor, step, err)
	case text(o.GetId()) != string(id):
		return connectors.Found{}, connectors.Damaged(vendor, step, "it is about %q", text(o.GetId()))
	case o.GetDeletedDateTime() == nil:
		return connectors.Found{}, connectors.Damaged(vendor, step, "it has no deletedDateTime")
	}
	return connectors.Found{Known: true, Deleted: true, User: connectors.User{
		ID: id, Status: connectors.StatusDisabled, StatusDetail: "in the recycle bin"}}, nil
}

// isAssigned asks for the assignments first and for the person's groups after, so that somebody who is added to an
// assigned group before their own assignment is taken away is seen in one of the two. Graph cannot be asked whether one
// person is assigned: appRoleAssignedTo takes no filter on principalId, and a person's own appRoleAssignments need
// Directory.Read.All. So people who are looked up one after the other share a listing, and that somebody is not in it is
// no more than a listing's word.
func (c *Connector) isAssigned(ctx context.Context, id connectors.UserID) (bool, error) {
	assigned, err := c.fresh.Get(ctx, func() (assignments, error) { return c.readAssigned(ctx, func(connectors.GroupID) {}) })
	if err != nil || assigned.users[id] || len(assigned.groups) == 0 {
		return assigned.users[id], err
	}
	return c.isIn(ctx, id, func(g connectors.GroupID) bool { return assigned.groups[g] })
}

// isIn tells whether a person is in one of some groups, along the edges that Fetch follows.
func (c *Connector) isIn(ctx context.Context, id connectors.UserID, wanted func(connectors.GroupID) bool) (bool, error) {
	step := "listing the groups of user " + string(id)
	get := c.graph.memberOf(string(id), pageSize)
	if c.nested {
		get = c.graph.transitiveMemberOf(string(id), pageSize)
	}
	in, err := list(ctx, step, get, func(o models.DirectoryObjectable) (connectors.GroupID, bool, error) {
		group := connectors.GroupID(text(o.GetId()))
		return group, wanted(group), nil
	})
	return len(in) > 0, err
}

// scopeIDs are the scope's groups by id: those of the last Fetch, so that a group renamed since is still the same one.
func (c *Connector) scopeIDs(ctx context.Context) ([]connectors.GroupID, error) {
	if ids := c.resolved.Load(); ids != nil {
		return *ids, nil
	}
	if _, err := c.findGroups(ctx, func(connectors.GroupID) {}); err != nil {
		return nil, err
	}
	return *c.resolved.Load(), nil
}

// Members lists the people of one group, sorted by id, expanded as in a Snapshot.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	if id == "" {
		return nil, false, errors.New("entra: a group without id cannot be listed")
	}
	err = recovered(func() error {
		members, err = c.members(ctx, id)
		return err
	})()
	switch {
	case errors.Is(err, errNoGroup):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return members, true, nil
}

// errNoGroup tells that Graph knows no such group, as opposed to one inside it that went while it was read.
var errNoGroup = errors.New("entra: no such group")

func (c *Connector) members(ctx context.Context, id connectors.GroupID) ([]connectors.UserID, error) {
	g, gctx := errgroup.WithContext(ctx)
	r := newRoster(gctx, c, g)
	read, err := c.readMembers(ctx, id)
	if noSuch(err) {
		return nil, errNoGroup
	}
	if err == nil {
		r.add(id, read)
	}
	if waited := g.Wait(); err == nil {
		err = waited
	}
	if err != nil {
		return nil, err
	}
	return r.expand(id), nil
}
