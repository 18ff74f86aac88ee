package rippling

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Lookup asks for one user, and for the employment of everybody: Rippling has no way to ask for one person's. People who
// are looked up one after the other share that for a minute. Rippling keeps no trace of a deleted user, so Found.Deleted
// is never set, and who is in no group of the scope is so by the word of a listing.
func (c *Connector) Lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	if id == "" {
		return connectors.Found{}, errors.New("rippling: a person without id cannot be looked up")
	}
	u, err := c.readUser(ctx, string(id))
	switch {
	case noSuch(err):
		return connectors.Found{}, c.confirmUnknown(ctx, string(id), err)
	case err != nil:
		return connectors.Found{}, err
	}
	s, err := c.freshStaff(ctx)
	if err != nil {
		return connectors.Found{}, err
	}
	person, err := c.neutralUser(u, s)
	if err != nil {
		return connectors.Found{}, err
	}
	found := connectors.Found{Known: true, User: person}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		found.InScopeGroup, err = c.inScopeGroup(s, id)
		found.Listed = !found.InScopeGroup
	}
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

// confirmUnknown returns a 404 as an error unless the listing of people, read again, does not know the id either.
func (c *Connector) confirmUnknown(ctx context.Context, id string, refused error) error {
	known, err := c.known.Get(ctx, func() (map[string]bool, error) {
		users, err := list(ctx, c.client, userListing, (*user).common)
		if err != nil {
			return nil, err
		}
		ids := make(map[string]bool, len(users))
		for _, u := range users {
			ids[u.ID] = true
		}
		return ids, nil
	})
	if err == nil && known[id] {
		return refused
	}
	return err
}

func (c *Connector) readUser(ctx context.Context, id string) (*user, error) {
	at := endpoint{"/users/" + url.PathEscape(id), "reading user " + id, userListing.scope}
	body, err := c.client.get(ctx, at, nil)
	if err != nil {
		return nil, err
	}
	u := &user{}
	if err := json.Unmarshal(body, u); err != nil {
		return nil, connectors.Damaged(vendor, at.step, "it is no user: %s", unreadable(err))
	}
	if u.ID != id {
		return nil, connectors.Damaged(vendor, at.step, "it is about %q", u.ID)
	}
	l := userListing
	l.step = at.step
	return u, c.client.checkRedacted(l, u.Meta)
}

// freshStaff lists workers, departments and teams again, and not from the reading, which a lookup is there to contradict.
func (c *Connector) freshStaff(ctx context.Context) (staff, error) {
	return c.again.Get(ctx, func() (staff, error) { return settled(ctx, c.log, c.readStaff) })
}

// inScopeGroup tells whether somebody is in a group of the scope: those of the last Fetch, or as they are named now.
func (c *Connector) inScopeGroup(s staff, id connectors.UserID) (bool, error) {
	scope := c.resolved.Load()
	if scope == nil {
		if _, err := c.resolve(s.units); err != nil {
			return false, err
		}
		scope = c.resolved.Load()
	}
	return slices.ContainsFunc(*scope, func(g connectors.GroupID) bool {
		_, in := slices.BinarySearch(s.members[string(g)], id)
		return in
	}), nil
}

// Members lists the people of one team or department, sorted by id. That there is none is by the word of a listing too.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	if id == "" {
		return nil, false, errors.New("rippling: a group without id cannot be listed")
	}
	s, err := c.freshStaff(ctx)
	if err != nil {
		return nil, false, err
	}
	if s.units[string(id)] == nil {
		return nil, false, nil
	}
	return slices.Clone(s.members[string(id)]), true, nil
}
