package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Lookup asks for one person by id below Base, on a connection of its own, and whether the user bases and filters still
// take them in. Which groups hold them is told by a search only, which passes over what the reader may not see. Active
// Directory is asked for its deleted objects too, which it shows to readers with that right.
func (c *Connector) Lookup(ctx context.Context, id connectors.UserID) (found connectors.Found, err error) {
	err = recovered(func() error {
		if id == "" {
			return errors.New("ldap: a person without id cannot be looked up")
		}
		l, p, err := c.ask(ctx)
		if err != nil {
			return err
		}
		defer l.close()
		found, err = c.lookup(ctx, l, p, id)
		return err
	})()
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

// ask opens a connection for one question.
func (c *Connector) ask(ctx context.Context) (*link, profile, error) {
	l, err := c.connect(ctx, c.nearby())
	if err != nil {
		return nil, profile{}, err
	}
	p, err := c.profileOf(ctx, l)
	if err != nil {
		l.close()
		return nil, profile{}, err
	}
	return l, p, nil
}

func (c *Connector) lookup(ctx context.Context, l *link, p profile, id connectors.UserID) (connectors.Found, error) {
	step := "reading user " + string(id)
	e, err := c.byID(ctx, l, p, step, string(id), c.attributesOf(p))
	switch {
	case err != nil:
		return connectors.Found{}, err
	case e == nil && p.flavor == FlavorAD:
		return c.lookupDeleted(ctx, l, p, id)
	case e == nil:
		return connectors.Found{}, nil
	}
	one, err := c.neutral(step, p, e)
	if err != nil {
		return connectors.Found{}, err
	}
	if c.opts.DisabledFilter != "" {
		disabled, err := l.matches(ctx, step, e.dn, c.opts.DisabledFilter)
		if err != nil {
			return connectors.Found{}, err
		}
		if disabled {
			one.disable()
		}
	}
	found := connectors.Found{Known: true, User: one.User}
	at, err := parseName(e.dn)
	if err != nil {
		return connectors.Found{}, connectors.Damaged(vendor, step, "%v", err)
	}
	if found.Outside = c.places.outside(at); found.Outside != "" {
		return found, nil
	}
	switch in, err := l.matches(ctx, step, e.dn, p.userFilter); {
	case err != nil:
		return connectors.Found{}, err
	case !in:
		found.Outside = "not matched by the user filter " + p.userFilter
		return found, nil
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		if found.InScopeGroup, err = c.inScopeGroup(ctx, l, p, at, one.uid); err != nil {
			return connectors.Found{}, err
		}
		found.Listed = !found.InScopeGroup
	}
	return found, nil
}

// byID finds the one entry with an id; nil means that there is none.
func (c *Connector) byID(ctx context.Context, l *link, p profile, step, id string, attributes []string, controls ...ldap.Control) (*entry, error) {
	filter, err := p.idFilter(id)
	if err != nil {
		return nil, err
	}
	s := search{step: step, base: c.places.base.text, filter: filter, attributes: attributes, controls: controls}
	var hits []*entry
	err = c.list(ctx, l, s, func(e *entry) error {
		got, err := p.id(step, e)
		if err == nil && !strings.EqualFold(got, id) {
			err = connectors.Damaged(vendor, step, "it is about %q", got)
		}
		hits = append(hits, e)
		return err
	})
	switch {
	case err != nil || len(hits) == 0:
		return nil, err
	case len(hits) > 1:
		return nil, fmt.Errorf("ldap: %s: %s and %s have the same %s (choose another attributes.id)", step, hits[0].dn, hits[1].dn, p.names.ID)
	}
	return hits[0], nil
}

// lookupDeleted looks among what Active Directory keeps of deleted people. A reader without that right sees nothing.
func (c *Connector) lookupDeleted(ctx context.Context, l *link, p profile, id connectors.UserID) (connectors.Found, error) {
	const step = "looking among the deleted objects"
	root, err := l.read(ctx, "", "defaultNamingContext")
	if err != nil {
		return connectors.Found{}, err
	}
	if root == nil || len(root.values("defaultNamingContext")) == 0 {
		return connectors.Found{}, connectors.Damaged(vendor, step, "the server's root entry does not name its domain")
	}
	filter, err := p.idFilter(string(id))
	if err != nil {
		return connectors.Found{}, err
	}
	s := search{step: step, base: fields{root}.first("defaultNamingContext"), filter: "(&(isDeleted=TRUE)" + filter + ")",
		attributes: []string{p.names.ID, p.names.UserName}, controls: []ldap.Control{ldap.NewControlMicrosoftShowDeleted()}}
	var found connectors.Found
	err = c.list(ctx, l, s, func(e *entry) error {
		got, err := p.id(step, e)
		if err == nil && connectors.UserID(got) != id {
			err = connectors.Damaged(vendor, step, "it is about %q", got)
		}
		found = connectors.Found{Known: true, Deleted: true, User: connectors.User{ID: id, UserName: fields{e}.first(p.names.UserName),
			Status: connectors.StatusDisabled, StatusDetail: "deleted"}}
		return err
	})
	if e, ok := errors.AsType[*connectors.Error](err); ok && mayNotSee(e) {
		return connectors.Found{}, nil
	}
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

func mayNotSee(e *connectors.Error) bool {
	return slices.ContainsFunc([]uint16{ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultNoSuchObject},
		func(code uint16) bool { return strings.HasPrefix(e.Code, fmt.Sprintf("%d ", code)) })
}

// inScopeGroup climbs from a person to the groups that hold them, to those that hold these and so on, until it meets a
// group of the scope.
func (c *Connector) inScopeGroup(ctx context.Context, l *link, p profile, at name, uid string) (bool, error) {
	scope, err := c.scopeIDs(ctx, l, p)
	if err != nil {
		return false, err
	}
	seen := map[string]bool{}
	for todo := []name{at}; len(todo) > 0; todo, uid = todo[1:], "" {
		var holding strings.Builder
		for _, attribute := range p.members {
			holding.WriteString("(" + attribute + "=" + ldap.EscapeFilter(todo[0].text) + ")")
		}
		if uid != "" {
			holding.WriteString("(" + memberUID + "=" + ldap.EscapeFilter(uid) + ")")
		}
		s := search{step: "listing the groups that hold " + todo[0].text, base: c.places.base.text, filter: "(|" + holding.String() + ")",
			attributes: []string{p.names.ID}}
		found := false
		err := c.list(ctx, l, s, func(e *entry) error {
			g, err := p.group(s.step, e)
			if err != nil {
				return err
			}
			found = found || slices.Contains(scope, g.ID)
			if !seen[g.at.key] {
				seen[g.at.key] = true
				todo = append(todo, g.at)
			}
			return nil
		})
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// scopeIDs are the scope's groups as the last reading found them.
func (c *Connector) scopeIDs(ctx context.Context, l *link, p profile) ([]connectors.GroupID, error) {
	if known := c.known.Load(); known != nil {
		return *known, nil
	}
	if _, err := c.listGroups(ctx, l, p); err != nil {
		return nil, err
	}
	return *c.known.Load(), nil
}

// Members reads a group and the groups in it again, on a connection of its own.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	err = recovered(func() error {
		if id == "" {
			return errors.New("ldap: a group without id has no members")
		}
		l, p, err := c.ask(ctx)
		if err != nil {
			return err
		}
		defer l.close()
		step := "reading group " + string(id)
		e, err := c.byID(ctx, l, p, step, string(id), []string{p.names.ID, p.names.GroupName, p.names.Email})
		if err != nil || e == nil {
			return err
		}
		g, err := p.group(step, e)
		if err != nil {
			return err
		}
		w, err := newWalker(c, l, p, nil)
		if err != nil {
			return err
		}
		if err := w.walk(ctx, []name{g.at}); err != nil {
			return err
		}
		if !w.nodes[g.at.key].group {
			return fmt.Errorf("ldap: reading the members of %s: %w (run again)", g.at.text, errChanged)
		}
		members, known = w.expand(g.at), true
		return nil
	})()
	if err != nil {
		return nil, false, err
	}
	return members, known, nil
}
