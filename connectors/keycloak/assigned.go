package keycloak

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// grants are the roles of mode assigned and the groups that they are given to.
type grants struct {
	client string // the client's own id, which paths name it by
	roles  []string
	groups []connectors.GroupID
}

// A named is an element that is told by its name: a role, or a client by its client id.
type named struct {
	ID       string `json:"id"`
	ClientID string `json:"clientId"`
	Name     string `json:"name"`
}

// readGrants finds the client, its roles and the groups that have them.
func (c *Connector) readGrants(ctx context.Context) (grants, error) {
	client, err := c.findClient(ctx)
	if err != nil {
		return grants{}, err
	}
	given := grants{client: client, roles: slices.Clone(c.opts.Roles)}
	if len(given.roles) == 0 {
		step := "listing the roles of client " + c.opts.Client
		err := list(ctx, c, step, given.path(), brief(), func(r named) string { return r.Name }, func(r named) error {
			given.roles = append(given.roles, r.Name)
			return nil
		})
		if err != nil {
			return grants{}, err
		}
		if len(given.roles) == 0 {
			return grants{}, fmt.Errorf("keycloak: client %s has no roles, so nobody can be assigned (add one under Clients > %s > Roles)",
				c.opts.Client, c.opts.Client)
		}
	}
	found := make([][]connectors.GroupID, len(given.roles))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, role := range given.roles {
		g.Go(func() error {
			step := "listing the groups with role " + role
			err := list(ctx, c, step, given.path(role, "groups"), brief(), groupID, func(group groupRep) error {
				found[i] = append(found[i], connectors.GroupID(group.ID))
				return nil
			})
			return c.missingRole(role, err)
		})
	}
	if err := g.Wait(); err != nil {
		return grants{}, err
	}
	given.groups = slices.Concat(found...)
	slices.Sort(given.groups)
	given.groups = slices.Compact(given.groups)
	return given, nil
}

// path is that of the client's roles, and of what is below one of them.
func (g grants) path(below ...string) string {
	path := "/clients/" + url.PathEscape(g.client) + "/roles"
	for _, part := range below {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// findClient looks the client up by its client id.
func (c *Connector) findClient(ctx context.Context) (string, error) {
	step := "looking for client " + c.opts.Client
	var found []named
	if err := c.client.get(ctx, step, "/clients", url.Values{"clientId": {c.opts.Client}}, &found); err != nil {
		return "", err
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("keycloak: realm %s has no client %s (%s)", c.opts.Realm, c.opts.Client, whereClient)
	case len(found) > 1 || found[0].ClientID != c.opts.Client || found[0].ID == "":
		return "", connectors.Damaged(vendor, step, "it is about another client")
	}
	return found[0].ID, nil
}

// missingRole says which role it is that Keycloak does not know.
func (c *Connector) missingRole(role string, err error) error {
	if !noSuch(err) {
		return err
	}
	return fmt.Errorf("keycloak: client %s has no role %s (compare with Clients > %s > Roles)", c.opts.Client, role, c.opts.Client)
}

// readHolders lists who has the roles by name.
func (c *Connector) readHolders(ctx context.Context, given grants) ([]connectors.User, error) {
	found := make([][]connectors.User, len(given.roles))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, role := range given.roles {
		g.Go(func() error {
			step := "listing the users with role " + role
			err := list(ctx, c, step, given.path(role, "users"), full(), userID, func(u userRep) error {
				return c.keep(&found[i], step, u)
			})
			return c.missingRole(role, err)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}
