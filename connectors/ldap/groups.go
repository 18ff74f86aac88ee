package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A group is one of the directory's, without its members.
type group struct {
	connectors.Group
	at name
}

// listGroups finds the groups of the scope and those to push. A scope group must exist exactly once; one to push may be
// absent.
func (c *Connector) listGroups(ctx context.Context, l *link, p profile) ([]group, error) {
	var all []group
	for _, base := range c.places.groups {
		s := search{step: "listing the groups below " + base.text, base: base.text, filter: p.groupFilter,
			attributes: []string{p.names.ID, p.names.GroupName, p.names.Email}}
		err := c.list(ctx, l, s, func(e *entry) error {
			g, err := p.group(s.step, e)
			all = append(all, g)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := c.markScope(all); err != nil {
		return nil, err
	}
	var wanted []group
	var scope []connectors.GroupID
	for _, g := range all {
		if g.Scope {
			scope = append(scope, g.ID)
		}
		if _, push := c.opts.Query.Push.Match(string(g.ID), g.Name, g.Email); push || g.Scope {
			wanted = append(wanted, g)
		}
	}
	c.known.Store(&scope)
	return wanted, nil
}

// group maps one entry. A group without a name is called by its DN.
func (p profile) group(step string, e *entry) (group, error) {
	id, err := p.id(step, e)
	if err != nil {
		return group{}, err
	}
	at, err := parseName(strings.Clone(e.dn))
	if err != nil {
		return group{}, connectors.Damaged(vendor, step, "%v", err)
	}
	a := fields{e}
	g := group{Group: connectors.Group{ID: connectors.GroupID(id), Name: a.first(p.names.GroupName), Email: a.first(p.names.Email)}, at: at}
	if g.Name == "" {
		g.Name = g.at.text
	}
	return g, nil
}

// markScope sets Scope on the groups that the scope names.
func (c *Connector) markScope(all []group) error {
	var errs []error
	for _, ref := range c.scope {
		var hits []string
		for i := range all {
			if ref.means(all[i]) {
				all[i].Scope = true
				hits = append(hits, fmt.Sprintf("id:%s (%s)", all[i].ID, all[i].at.text))
			}
		}
		slices.Sort(hits)
		switch {
		case len(hits) == 0:
			errs = append(errs, fmt.Errorf("ldap: scope group %q does not exist below the group bases, or is hidden from the reader "+
				"(write its %s, its DN, or id: and its id)", ref.text, c.groupNameAttribute()))
		case len(hits) > 1:
			errs = append(errs, fmt.Errorf("ldap: %d groups are named %q (write the DN of the one that is meant: %s)",
				len(hits), ref.text, strings.Join(hits, " or ")))
		}
	}
	return errors.Join(errs...)
}

func (c *Connector) groupNameAttribute() string {
	if p := c.profile.Load(); p != nil {
		return p.names.GroupName
	}
	return "name"
}

// readGroups reads the members of the wanted groups, in which people are found by what was listed.
func (c *Connector) readGroups(ctx context.Context, l *link, p profile, people []person, wanted []group) ([]connectors.Group, error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	w, err := newWalker(c, l, p, people)
	if err != nil {
		return nil, err
	}
	start := make([]name, len(wanted))
	for i, g := range wanted {
		start[i] = g.at
	}
	if err := w.walk(ctx, start); err != nil {
		return nil, err
	}
	out := make([]connectors.Group, len(wanted))
	for i, g := range wanted {
		if !w.nodes[g.at.key].group {
			return nil, fmt.Errorf("ldap: reading the members of %s: %w (run again)", g.at.text, errChanged)
		}
		out[i] = g.Group
		out[i].Members = w.expand(g.at)
	}
	w.report()
	return out, nil
}
