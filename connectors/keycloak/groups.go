package keycloak

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A gathered is the wanted groups with their members, and the people whom groups bring into the scope.
type gathered struct {
	groups []connectors.Group
	people []connectors.User
}

// readGroups finds the groups of the scope and those to push and reads their members. The members of entitled and of all
// groups below those are in the scope too.
func (c *Connector) readGroups(ctx context.Context, entitled []connectors.GroupID) (*gathered, error) {
	wanted, t, err := c.findGroups(ctx, len(entitled) > 0)
	if err != nil {
		return nil, err
	}
	var scope []connectors.GroupID // whose members are people of the scope
	if len(entitled) > 0 {
		if scope, err = t.under(entitled...); err != nil {
			return nil, err
		}
	}
	parts := make([][]connectors.GroupID, len(wanted)) // the groups whose members make up each of the wanted
	var all []connectors.GroupID
	for i, g := range wanted {
		parts[i] = []connectors.GroupID{g.ID}
		if c.opts.Nested {
			if parts[i], err = t.under(g.ID); err != nil {
				return nil, err
			}
		}
		if g.Scope {
			scope = append(scope, parts[i]...)
		}
		all = append(all, parts[i]...)
	}
	all = append(all, scope...)
	slices.Sort(all)
	read, err := c.readMemberships(ctx, slices.Compact(all), scope)
	if err != nil {
		return nil, err
	}
	out := &gathered{groups: wanted}
	for i := range wanted {
		for _, id := range parts[i] {
			out.groups[i].Members = append(out.groups[i].Members, read[id].members...)
		}
	}
	slices.Sort(scope)
	for _, id := range slices.Compact(scope) {
		out.people = append(out.people, read[id].people...)
	}
	return out, nil
}

// A membership is the direct members of a group, with their records if they are wanted.
type membership struct {
	members []connectors.UserID
	people  []connectors.User
}

// readMemberships lists the members of groups, side by side. A group that is gone has changed the realm under the reading.
func (c *Connector) readMemberships(ctx context.Context, ids, withPeople []connectors.GroupID) (map[connectors.GroupID]membership, error) {
	read := make([]membership, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, id := range ids {
		g.Go(func() (err error) {
			read[i], err = c.readMembers(ctx, id, slices.Contains(withPeople, id))
			if noSuch(err) {
				return changed(stepMembers(id))
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[connectors.GroupID]membership, len(ids))
	for i, id := range ids {
		out[id] = read[i]
	}
	return out, nil
}

func stepMembers(id connectors.GroupID) string { return "listing the members of group " + string(id) }

// readMembers lists who is in a group itself.
func (c *Connector) readMembers(ctx context.Context, id connectors.GroupID, withPeople bool) (membership, error) {
	var m membership
	step, query := stepMembers(id), brief()
	if withPeople {
		query = full()
	}
	err := list(ctx, c, step, "/groups/"+url.PathEscape(string(id))+"/members", query, userID, func(u userRep) error {
		if u.serviceAccount() {
			return nil
		}
		m.members = append(m.members, connectors.UserID(u.ID))
		if !withPeople {
			return nil
		}
		return c.keep(&m.people, step, u)
	})
	return m, err
}

// findGroups returns the wanted groups without members, and the tree if it was needed. A scope group must exist exactly
// once; one to push may be absent.
func (c *Connector) findGroups(ctx context.Context, withTree bool) ([]connectors.Group, *tree, error) {
	q := c.opts.Query
	if len(c.scope)+len(q.Push) == 0 && !withTree {
		return nil, nil, nil
	}
	if !withTree && !c.opts.Nested && c.byIDOnly() {
		wanted, err := c.getGroups(ctx)
		return wanted, nil, err
	}
	t, err := c.readTree(ctx)
	if err != nil {
		return nil, nil, err
	}
	scope, err := c.resolve(t)
	if err != nil {
		return nil, nil, err
	}
	var wanted []connectors.Group
	for id, n := range t.nodes {
		n.Scope = slices.Contains(scope, id)
		if _, push := q.Push.Match(string(id), n.Name); push || n.Scope {
			wanted = append(wanted, n.Group)
		}
	}
	slices.SortFunc(wanted, byID)
	return wanted, t, nil
}

func byID(a, b connectors.Group) int { return strings.Compare(string(a.ID), string(b.ID)) }

// byIDOnly tells whether all wanted groups are named by id, so that the realm's groups need not be listed.
func (c *Connector) byIDOnly() bool {
	return !slices.ContainsFunc(c.scope, func(r connectors.GroupRef) bool { return r.ID == "" }) &&
		!slices.ContainsFunc(c.opts.Query.Push, func(p connectors.Pattern) bool { return p.ID() == "" })
}

// resolve finds the scope's groups and keeps which they are.
func (c *Connector) resolve(t *tree) ([]connectors.GroupID, error) {
	var errs []error
	ids := []connectors.GroupID{}
	for _, ref := range c.scope {
		var hits, alike []string
		for id, n := range t.nodes {
			switch {
			case ref.Means(string(id), n.Name):
				ids = append(ids, id)
				hits = append(hits, "id:"+string(id))
			case ref.ID == "" && strings.HasSuffix(n.Name, "/"+ref.Name):
				alike = append(alike, n.Name)
			}
		}
		slices.Sort(hits)
		slices.Sort(alike)
		switch {
		case len(hits) == 0 && len(alike) > 0:
			errs = append(errs, fmt.Errorf("keycloak: scope group %s is not at the top level (write its path: %s)", ref, strings.Join(alike, " or ")))
		case len(hits) == 0:
			errs = append(errs, missingGroup(ref))
		case len(hits) > 1:
			errs = append(errs, fmt.Errorf("keycloak: %d groups have the path %s, for names may hold a slash (write the one that is meant by id: %s)",
				len(hits), ref, strings.Join(hits, " or ")))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	c.resolved.Store(&ids)
	return ids, nil
}

func missingGroup(ref connectors.GroupRef) error {
	return fmt.Errorf("keycloak: scope group %s does not exist (paths count letter by letter; compare with Groups in the admin console)", ref)
}

// getGroups reads the wanted groups one by one, all of them being named by id.
func (c *Connector) getGroups(ctx context.Context) ([]connectors.Group, error) {
	scope := []connectors.GroupID{}
	for _, ref := range c.scope {
		scope = append(scope, connectors.GroupID(ref.ID))
	}
	ids := slices.Clone(scope)
	for _, p := range c.opts.Query.Push {
		ids = append(ids, connectors.GroupID(p.ID()))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	groups := make([]connectors.Group, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, id := range ids {
		g.Go(func() error {
			inScope := slices.Contains(scope, id)
			group, err := c.getGroup(ctx, id)
			switch {
			case noSuch(err) && inScope:
				return missingGroup(connectors.GroupRef{ID: string(id)})
			case noSuch(err):
				c.log.Warn("group to push does not exist", "group", id)
				return nil
			}
			group.Scope = inScope
			groups[i] = group
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	c.resolved.Store(&scope)
	return slices.DeleteFunc(groups, func(g connectors.Group) bool { return g.ID == "" }), nil
}

func (c *Connector) getGroup(ctx context.Context, id connectors.GroupID) (connectors.Group, error) {
	step := "reading group " + string(id)
	var g groupRep
	if err := c.client.get(ctx, step, "/groups/"+url.PathEscape(string(id)), nil, &g); err != nil {
		return connectors.Group{}, err
	}
	if g.ID != string(id) {
		return connectors.Group{}, connectors.Damaged(vendor, step, "it is about %q", g.ID)
	}
	return neutralGroup(step, g)
}
