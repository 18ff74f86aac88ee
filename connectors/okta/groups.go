package okta

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"
	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// parallel bounds the group readings under way at once. Okta allows an org 75 requests at a time, everybody included.
const parallel = 4

// groupPage is the page asked for of groups and of members; Okta grants less where it wants to.
const groupPage = 1000

// A membership is a group with the records of its people, which only a scope group keeps.
type membership struct {
	connectors.Group
	people []connectors.User
}

// readGroups finds the groups of the scope and those to push, then reads their members.
func (c *Connector) readGroups(ctx context.Context) ([]membership, error) {
	found, err := c.findGroups(ctx)
	if err != nil {
		return nil, err
	}
	read := make([]membership, len(found))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, group := range found {
		g.Go(recovered(func() (err error) {
			read[i], err = c.readMembers(ctx, group)
			return err
		}))
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return read, nil
}

// findGroups returns the wanted groups without members, sorted by id. A scope group must exist exactly once; one to
// push may be absent.
func (c *Connector) findGroups(ctx context.Context) ([]connectors.Group, error) {
	if len(c.scope) == 0 && len(c.query.Push) == 0 {
		return nil, nil
	}
	if c.byIDOnly() {
		found, err := c.getGroups(ctx)
		if err == nil {
			c.resolve(found)
		}
		return found, err
	}
	var all []connectors.Group
	pushed := map[connectors.GroupID]bool{}
	err := list(ctx, "listing the groups", func() ([]*sdk.Group, *sdk.Response, error) {
		return c.client.Group.ListGroups(ctx, query.NewQueryParams(query.WithLimit(groupPage)))
	}, func(g *sdk.Group) string { return g.Id }, func(g *sdk.Group) error {
		group, err := neutralGroup(g)
		if err != nil {
			return err
		}
		pushed[group.ID] = c.pushed(g.Id, group.Name, g.Type)
		all = append(all, group)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.markScope(all); err != nil {
		return nil, err
	}
	c.resolve(all)
	all = slices.DeleteFunc(all, func(g connectors.Group) bool { return !g.Scope && !pushed[g.ID] })
	slices.SortFunc(all, func(a, b connectors.Group) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all, nil
}

// markScope sets Scope on the groups that the scope names.
func (c *Connector) markScope(all []connectors.Group) error {
	var errs []error
	for _, ref := range c.scope {
		var hits []string
		for i, g := range all {
			if ref.Means(string(g.ID), g.Name) {
				all[i].Scope = true
				hits = append(hits, "id:"+string(g.ID))
			}
		}
		switch {
		case len(hits) == 0:
			errs = append(errs, missingGroup(ref))
		case len(hits) > 1:
			errs = append(errs, fmt.Errorf("okta: %d groups are named %s (write the one that is meant by id: %s)",
				len(hits), ref, strings.Join(hits, " or ")))
		}
	}
	return errors.Join(errs...)
}

func missingGroup(ref connectors.GroupRef) error {
	return fmt.Errorf("okta: scope group %s does not exist or is hidden from this credential "+
		"(names count letter by letter; compare with Directory > Groups)", ref)
}

// getGroups reads the wanted groups one by one, all of them being named by id.
func (c *Connector) getGroups(ctx context.Context) ([]connectors.Group, error) {
	scope := map[string]bool{}
	for _, ref := range c.scope {
		scope[ref.ID] = true
	}
	var ids []string
	for id := range scope {
		ids = append(ids, id)
	}
	for _, p := range c.query.Push {
		ids = append(ids, p.ID())
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)

	groups := make([]connectors.Group, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, id := range ids {
		g.Go(recovered(func() error {
			group, err := c.getGroup(ctx, id)
			if noSuch(err) {
				if scope[id] {
					return missingGroup(connectors.GroupRef{ID: id})
				}
				c.log.Warn("group to push does not exist", "group", id)
				return nil
			}
			group.Scope = scope[id]
			groups[i] = group
			return err
		}))
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(groups, func(g connectors.Group) bool { return g.ID == "" }), nil
}

func (c *Connector) getGroup(ctx context.Context, id string) (connectors.Group, error) {
	step := "reading group " + id
	g, _, err := c.client.Group.GetGroup(ctx, url.PathEscape(id))
	if err != nil {
		return connectors.Group{}, connectors.AtStep(vendor, step, err)
	}
	if g.Id != id {
		return connectors.Group{}, connectors.Damaged(vendor, step, "it is about %q", g.Id)
	}
	return neutralGroup(g)
}

func neutralGroup(g *sdk.Group) (connectors.Group, error) {
	if g.Profile == nil || g.Profile.Name == "" {
		return connectors.Group{}, connectors.Damaged(vendor, "reading group "+g.Id, "it has no profile.name")
	}
	return connectors.Group{ID: connectors.GroupID(g.Id), Name: g.Profile.Name}, nil
}

// readMembers lists a group's members. Okta has no cheap count, so the largest groups cannot be read first.
func (c *Connector) readMembers(ctx context.Context, group connectors.Group) (membership, error) {
	m := membership{Group: group}
	err := list(ctx, "listing the members of group "+string(group.ID), func() ([]*sdk.User, *sdk.Response, error) {
		id := url.PathEscape(string(group.ID))
		return c.client.Group.ListGroupUsers(ctx, id, query.NewQueryParams(query.WithLimit(groupPage)))
	}, func(u *sdk.User) string { return u.Id }, func(u *sdk.User) error {
		m.Members = append(m.Members, connectors.UserID(u.Id))
		if !group.Scope {
			return nil
		}
		person, err := c.neutralUser(recordOf(u))
		m.people = append(m.people, person)
		return err
	})
	return m, err
}

// peopleOf returns everybody in the scope groups once. Somebody in several groups is taken from the first by id, so
// that the order in which the answers came does not matter.
func peopleOf(groups []membership) []connectors.User {
	seen := map[connectors.UserID]bool{}
	var out []connectors.User
	for _, m := range groups {
		for _, u := range m.people {
			if !seen[u.ID] {
				seen[u.ID] = true
				out = append(out, u)
			}
		}
	}
	return out
}
