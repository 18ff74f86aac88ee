package rippling

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A unit is a team or a department.
type unit struct {
	record
	Name     string `json:"name"`
	ParentID string `json:"parent_id"`
}

// units lists teams or departments, by id.
func (c *Connector) units(ctx context.Context, l listing) (map[string]*unit, error) {
	all, err := list(ctx, c.client, l, (*unit).common)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*unit, len(all))
	for _, u := range all {
		if u.Name == "" {
			return nil, connectors.Damaged(vendor, l.step, "%s has no name", u.ID)
		}
		out[u.ID] = u
	}
	for _, u := range all {
		if c.opts.Nested && u.ParentID != "" && out[u.ParentID] == nil {
			return nil, fmt.Errorf("rippling: %s: %s stands below %s, which is not listed (run again; if it stays, let the token see all of them): %w",
				l.step, u.ID, u.ParentID, errChanged)
		}
	}
	return out, nil
}

// groupUnits are the teams and departments that count as groups, by id.
func (c *Connector) groupUnits(s staff) map[string]*unit {
	out := map[string]*unit{}
	maps.Copy(out, s.teams)
	if c.opts.Groups != GroupTeams {
		maps.Copy(out, s.departments)
	}
	return out
}

// wanted returns the groups of the scope and those to push, with their members. A scope group must exist exactly once.
func (c *Connector) wanted(s staff) ([]connectors.Group, error) {
	scope, err := c.resolve(s.units)
	if err != nil {
		return nil, err
	}
	var out []connectors.Group
	for _, id := range slices.Sorted(maps.Keys(s.units)) {
		g := connectors.Group{ID: connectors.GroupID(id), Name: s.units[id].Name}
		g.Scope = slices.Contains(scope, g.ID)
		if _, push := c.opts.Query.Push.Match(id, g.Name); !push && !g.Scope {
			continue
		}
		g.Members = slices.Clone(s.members[id])
		out = append(out, g)
	}
	for _, p := range c.opts.Query.Push {
		if id := p.ID(); id != "" && s.units[id] == nil {
			c.log.Warn("group to push does not exist", "group", id)
		}
	}
	return out, nil
}

// resolve finds the scope's groups and keeps which they are, so that one renamed since is still the same for lookups.
func (c *Connector) resolve(units map[string]*unit) ([]connectors.GroupID, error) {
	ids := []connectors.GroupID{}
	for _, ref := range c.scope {
		var hits []connectors.GroupID
		for id, u := range units {
			if ref.Means(id, u.Name) {
				hits = append(hits, connectors.GroupID(id))
			}
		}
		switch len(hits) {
		case 0:
			return nil, fmt.Errorf("rippling: scope group %s does not exist or is hidden from this token (compare with Rippling's teams and departments, "+
				"and see whether source.rippling.groups takes them in)", ref)
		case 1:
			ids = append(ids, hits[0])
		default:
			slices.Sort(hits)
			return nil, fmt.Errorf("rippling: %d groups are named %s, so the scope is not clear (name one of them by id: id:%s)", len(hits), ref, hits[0])
		}
	}
	c.resolved.Store(&ids)
	return ids, nil
}

// members says who is in each unit. What counts are the employments that are not over or, for somebody who has no other,
// those that are: a leaver is to be seen leaving.
func (c *Connector) members(s staff) map[string][]connectors.UserID {
	out := map[string][]connectors.UserID{}
	for _, id := range slices.Sorted(maps.Keys(s.workers)) {
		in := map[string]bool{}
		workers := s.workers[id]
		for _, w := range workers {
			if w.Status == terminated && workers[0].Status != terminated {
				continue
			}
			for _, unit := range append(w.TeamIDs[:len(w.TeamIDs):len(w.TeamIDs)], w.DepartmentID) {
				c.enter(in, s.units, unit)
			}
		}
		for unit := range in {
			out[unit] = append(out[unit], connectors.UserID(id))
		}
	}
	return out
}

// enter adds a unit and, where groups nest, those above it. Units that stand above each other are each taken once.
func (c *Connector) enter(in map[string]bool, units map[string]*unit, id string) {
	for units[id] != nil && !in[id] {
		in[id] = true
		if !c.opts.Nested {
			return
		}
		id = units[id].ParentID
	}
}
