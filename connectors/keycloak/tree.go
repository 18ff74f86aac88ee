package keycloak

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// parallel bounds the listings under way at once.
const parallel = 4

// A groupRep is a group as Keycloak has it. Since Keycloak 23 it counts its sub-groups, and before it embeds them.
type groupRep struct {
	ID            string     `json:"id"`
	Path          string     `json:"path"`
	SubGroupCount *int       `json:"subGroupCount"`
	SubGroups     []groupRep `json:"subGroups"`
}

func groupID(g groupRep) string { return g.ID }

// A node is a group with the groups right below it.
type node struct {
	connectors.Group
	children []connectors.GroupID
}

// A tree is all groups of the realm.
type tree struct{ nodes map[connectors.GroupID]node }

// readTree lists the groups, a level at a time: sub-groups have to be asked for.
func (c *Connector) readTree(ctx context.Context) (*tree, error) {
	t := &tree{nodes: map[connectors.GroupID]node{}}
	var parents []groupRep
	const step = "listing the groups"
	err := list(ctx, c, step, "/groups", shallow(), groupID, func(g groupRep) error {
		open, err := t.add(step, g)
		parents = append(parents, open...)
		return err
	})
	if err != nil {
		return nil, err
	}
	for len(parents) > 0 {
		levels := make([][]groupRep, len(parents))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for i, parent := range parents {
			g.Go(func() (err error) {
				levels[i], err = c.readChildren(gctx, parent)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		var next []groupRep
		for i, parent := range parents {
			for _, child := range levels[i] {
				open, err := t.add(stepChildren(parent.ID), child)
				if err != nil {
					return nil, err
				}
				t.below(parent.ID, child.ID)
				next = append(next, open...)
			}
		}
		parents = next
	}
	return t, nil
}

// shallow asks for groups without the sub-groups that Keycloak would only embed for a search.
func shallow() url.Values {
	return url.Values{"briefRepresentation": {"true"}, "populateHierarchy": {"false"}}
}

func stepChildren(id string) string { return "listing the sub-groups of group " + id }

// readChildren lists the groups right below one and compares with its count.
func (c *Connector) readChildren(ctx context.Context, parent groupRep) ([]groupRep, error) {
	step := stepChildren(parent.ID)
	var children []groupRep
	err := list(ctx, c, step, "/groups/"+url.PathEscape(parent.ID)+"/children", brief(), groupID, func(g groupRep) error {
		children = append(children, g)
		return nil
	})
	switch {
	case noSuch(err):
		return nil, changed(step)
	case err == nil && len(children) != *parent.SubGroupCount:
		return nil, changed(step)
	}
	return children, err
}

// add takes up a group with the sub-groups embedded in it, and returns those whose sub-groups have still to be asked for.
// A group that is there already came by another way because it was moved.
func (t *tree) add(step string, g groupRep) (open []groupRep, err error) {
	group, err := neutralGroup(step, g)
	if err != nil {
		return nil, err
	}
	if _, again := t.nodes[group.ID]; again {
		return nil, changed(step)
	}
	t.nodes[group.ID] = node{Group: group}
	if g.SubGroupCount != nil && *g.SubGroupCount != len(g.SubGroups) {
		return []groupRep{g}, nil
	}
	for _, sub := range g.SubGroups {
		more, err := t.add(step, sub)
		if err != nil {
			return nil, err
		}
		t.below(g.ID, sub.ID)
		open = append(open, more...)
	}
	return open, nil
}

func (t *tree) below(parent, child string) {
	id := connectors.GroupID(parent)
	n := t.nodes[id]
	n.children = append(n.children, connectors.GroupID(child))
	t.nodes[id] = n
}

// under is the groups with all those below them, sorted. One that the tree does not have came or went between the two
// listings, and its people must not be missed.
func (t *tree) under(ids ...connectors.GroupID) ([]connectors.GroupID, error) {
	var out []connectors.GroupID
	seen := map[connectors.GroupID]bool{}
	for todo := slices.Clone(ids); len(todo) > 0; todo = todo[1:] {
		n, ok := t.nodes[todo[0]]
		switch {
		case !ok:
			return nil, changed("looking for group " + string(todo[0]) + " among all groups")
		case seen[todo[0]]:
			continue
		}
		seen[todo[0]] = true
		out = append(out, todo[0])
		todo = append(todo, n.children...)
	}
	slices.Sort(out)
	return out, nil
}

func neutralGroup(step string, g groupRep) (connectors.Group, error) {
	name := strings.TrimPrefix(g.Path, "/")
	if g.ID == "" || name == "" {
		return connectors.Group{}, connectors.Damaged(vendor, step, "group %q has no id or no path", g.ID)
	}
	return connectors.Group{ID: connectors.GroupID(g.ID), Name: name}, nil
}
