//go:build !noentra

package entra

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// findGroups returns the groups of the scope and those to push, without members, sorted by id, and tells found of each
// as soon as it is known. A scope group must exist exactly once; one to push may be absent.
func (c *Connector) findGroups(ctx context.Context, found func(connectors.GroupID)) ([]connectors.Group, error) {
	if len(c.scope) == 0 && len(c.query.Push) == 0 {
		return nil, nil
	}
	read := c.listGroups
	if c.byIDOnly() {
		read = c.getGroups
	}
	groups, err := read(ctx, found)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(groups, func(a, b connectors.Group) int { return strings.Compare(string(a.ID), string(b.ID)) })
	ids := []connectors.GroupID{}
	for _, g := range groups {
		if g.Scope {
			ids = append(ids, g.ID)
		}
	}
	c.resolved.Store(&ids)
	return groups, nil
}

// listGroups finds them among all groups of the tenant: display names need not be unique, so nothing less would tell
// that a name stands for two groups.
func (c *Connector) listGroups(ctx context.Context, found func(connectors.GroupID)) ([]connectors.Group, error) {
	groups, err := list(ctx, "listing the groups", c.graph.groups(pageSize),
		func(g models.Groupable) (connectors.Group, bool, error) {
			group := connectors.Group{ID: connectors.GroupID(text(g.GetId())), Name: text(g.GetDisplayName())}
			group.Scope = slices.ContainsFunc(c.scope, func(r connectors.GroupRef) bool { return r.Means(string(group.ID), group.Name) })
			_, push := c.query.Push.Match(string(group.ID), group.Name)
			if !group.Scope && !push {
				if group.Name == "" {
					c.log.Warn("group has no displayName, so no name means it", "group", group.ID)
				}
				return connectors.Group{}, false, nil
			}
			if err := checkNamed(group); err != nil {
				return connectors.Group{}, false, err
			}
			found(group.ID)
			return group, true, nil
		})
	if err != nil {
		return nil, err
	}
	return groups, c.checkScope(groups)
}

// checkScope requires of each entry of the scope that it stands for one group.
func (c *Connector) checkScope(groups []connectors.Group) error {
	var errs []error
	for _, ref := range c.scope {
		var hits []string
		for _, g := range groups {
			if ref.Means(string(g.ID), g.Name) {
				hits = append(hits, "id:"+string(g.ID))
			}
		}
		switch {
		case len(hits) == 0:
			errs = append(errs, missingGroup(ref))
		case len(hits) > 1:
			errs = append(errs, fmt.Errorf("entra: %d groups are named %s (write the one that is meant by id: %s)",
				len(hits), ref, strings.Join(hits, " or ")))
		}
	}
	return errors.Join(errs...)
}

func missingGroup(ref connectors.GroupRef) error {
	return fmt.Errorf("entra: scope group %s does not exist (names count letter by letter; compare with Groups > All groups "+
		"in the Entra admin center)", ref)
}

// getGroups reads the wanted groups one by one, all of them being named by id.
func (c *Connector) getGroups(ctx context.Context, found func(connectors.GroupID)) ([]connectors.Group, error) {
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
	var groups []connectors.Group
	for _, id := range slices.Compact(ids) {
		g, err := c.getGroup(ctx, id)
		switch {
		case noSuch(err) && scope[id]:
			return nil, missingGroup(connectors.GroupRef{ID: id})
		case noSuch(err):
			c.log.Warn("group to push does not exist", "group", id)
			continue
		case err != nil:
			return nil, err
		}
		group := connectors.Group{ID: connectors.GroupID(id), Name: text(g.GetDisplayName()), Scope: scope[id]}
		if err := checkNamed(group); err != nil {
			return nil, err
		}
		found(group.ID)
		groups = append(groups, group)
	}
	return groups, nil
}

func (c *Connector) getGroup(ctx context.Context, id string) (models.Groupable, error) {
	step := "reading group " + id
	g, err := c.graph.getGroup(ctx, id)
	if err != nil {
		return nil, connectors.AtStep(vendor, step, err)
	}
	if got := text(g.GetId()); got != id {
		return nil, connectors.Damaged(vendor, step, "it is about %q", got)
	}
	return g, nil
}

func checkNamed(g connectors.Group) error {
	if g.Name == "" {
		return connectors.Damaged(vendor, "reading group "+string(g.ID), "it has no displayName")
	}
	return nil
}

// A membership is what a group holds directly.
type membership struct {
	users  []connectors.UserID
	groups []connectors.GroupID
	people []connectors.User // in mode groups: the users as they are
}

// A member is one of its elements: a user, a group, or neither.
type member struct {
	user  connectors.User // of whom mode groups reads everything and the others the id
	group connectors.GroupID
}

// readMembers lists a group's direct members. Devices, applications and contacts are no people; a member without a type
// is refused, for it may be one. A group that seems to be empty is asked whether it hides its members.
func (c *Connector) readMembers(ctx context.Context, id connectors.GroupID) (membership, error) {
	step := "listing the members of group " + string(id)
	names := []string{"id"}
	if c.query.Mode == connectors.ScopeGroups {
		names = c.personSelect()
	}
	members, err := list(ctx, step, c.graph.members(string(id), pageSize, names),
		func(o models.DirectoryObjectable) (member, bool, error) {
			m, err := c.memberOf(step, o)
			return m, true, err
		})
	if err != nil {
		return membership{}, err
	}
	if len(members) == 0 {
		return membership{}, c.checkNotHidden(ctx, id)
	}
	var read membership
	for _, m := range members {
		if m.group != "" {
			read.groups = append(read.groups, m.group)
		}
		if m.user.ID == "" {
			continue
		}
		read.users = append(read.users, m.user.ID)
		if c.query.Mode == connectors.ScopeGroups {
			read.people = append(read.people, m.user)
		}
	}
	return read, nil
}

func (c *Connector) memberOf(step string, o models.DirectoryObjectable) (member, error) {
	switch o := o.(type) {
	case models.Userable:
		if c.query.Mode != connectors.ScopeGroups {
			return member{user: connectors.User{ID: connectors.UserID(text(o.GetId()))}}, nil
		}
		person, err := c.neutralUser(o)
		return member{user: person}, err
	case models.Groupable:
		return member{group: connectors.GroupID(text(o.GetId()))}, nil
	}
	if text(o.GetOdataType()) == "" {
		return member{}, connectors.Damaged(vendor, step, "member %s has no @odata.type", text(o.GetId()))
	}
	return member{}, nil
}

// checkNotHidden refuses to take a group for empty that hides its members from this app registration.
func (c *Connector) checkNotHidden(ctx context.Context, id connectors.GroupID) error {
	g, err := c.getGroup(ctx, string(id))
	if err != nil {
		return err
	}
	if text(g.GetVisibility()) != "HiddenMembership" {
		return nil
	}
	return &connectors.Error{
		Directory: vendor,
		Step:      "listing the members of group " + string(id),
		Summary:   fmt.Sprintf("group %q hides its membership and shows nobody", text(g.GetDisplayName())),
		Remedy: "grant the application permission " + rightHidden + " under App registrations > the app > API permissions > " +
			"Microsoft Graph and press Grant admin consent; if the group really is empty, leave it out",
	}
}
