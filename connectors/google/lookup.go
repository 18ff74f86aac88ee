package google

import (
	"context"
	"errors"
	"net/http"
	"slices"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Lookup asks for one person: in mode groups with whether they are in one of the scope's groups, and otherwise whether
// their organizational unit and UserQuery still take them in. Google keeps deleted people for 20 days.
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
		return connectors.Found{}, errors.New("google: a person without id cannot be looked up")
	}
	step := "reading user " + string(id)
	call := c.svc.Users.Get(string(id))
	if schemas := c.schemas(); schemas != "" {
		call.Projection("custom").CustomFieldMask(schemas)
	}
	u, err := call.Fields("kind", googleapi.Field(c.fields())).Context(ctx).Do()
	switch {
	case noSuch(err):
		return c.lookupDeleted(ctx, id)
	case err != nil:
		return connectors.Found{}, plain(step, err)
	case u.Id != string(id): // Google takes an address for an id
		return connectors.Found{}, connectors.Damaged(vendor, step, "it is about %q", u.Id)
	}
	person, err := c.neutralUser(u)
	if err != nil {
		return connectors.Found{}, err
	}
	found := connectors.Found{Known: true, User: person}
	switch in, err := c.inUnits(u); {
	case err != nil:
		return connectors.Found{}, err
	case !in:
		found.Outside = "in organizational unit " + u.OrgUnitPath
		return found, nil
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		found.InScopeGroup, err = c.inScopeGroup(ctx, id)
	}
	if err == nil && c.opts.UserQuery != "" {
		found.Outside, err = c.lookupQuery(ctx, u)
	}
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

// lookupDeleted looks for the person among the deleted ones.
func (c *Connector) lookupDeleted(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	var found connectors.Found
	err := list(ctx, "listing the deleted users", func(ctx context.Context, token string) ([]*admin.User, string, error) {
		call := c.svc.Users.List().Customer(c.customer).ShowDeleted("true").MaxResults(userPage)
		if token != "" {
			call.PageToken(token)
		}
		got, err := call.Fields("kind", "nextPageToken", "users(id,primaryEmail)").Context(ctx).Do()
		if err != nil {
			return nil, "", err
		}
		return got.Users, got.NextPageToken, nil
	}, func(u *admin.User) string { return u.Id }, func(u *admin.User) error {
		if u.Id == string(id) {
			found = connectors.Found{Known: true, Deleted: true, User: connectors.User{ID: id, UserName: u.PrimaryEmail, Email: u.PrimaryEmail,
				Status: connectors.StatusDisabled, StatusDetail: "deleted"}}
		}
		return nil
	})
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

// lookupQuery asks by Google's search whether UserQuery still means this person.
func (c *Connector) lookupQuery(ctx context.Context, u *admin.User) (outside string, err error) {
	query := c.opts.UserQuery + " email=" + quote(u.PrimaryEmail)
	in := false
	err = list(ctx, "listing the users", func(ctx context.Context, token string) ([]*admin.User, string, error) {
		call := c.svc.Users.List().Customer(c.customer).Query(query).MaxResults(userPage)
		if token != "" {
			call.PageToken(token)
		}
		got, err := call.Fields("kind", "nextPageToken", "users(id,primaryEmail,suspended,archived)").Context(ctx).Do()
		if err != nil {
			return nil, "", err
		}
		return got.Users, got.NextPageToken, nil
	}, func(hit *admin.User) string { return hit.Id }, func(hit *admin.User) error {
		in = in || hit.Id == u.Id
		return nil
	})
	if err != nil || in {
		return "", err
	}
	return "not found by the query " + c.opts.UserQuery, nil
}

// inScopeGroup tells whether the person is in a group of the scope, or in a group within. Google answers that itself,
// except across its domains, where the members are listed, and for whoever is in it with the whole account.
func (c *Connector) inScopeGroup(ctx context.Context, id connectors.UserID) (bool, error) {
	d := c.known.Load()
	if d == nil {
		var err error
		if d, _, err = c.findGroups(ctx); err != nil {
			return false, err
		}
	}
	for _, group := range d.scope {
		step := "asking whether user " + string(id) + " is in group " + string(group)
		got, err := c.svc.Members.HasMember(string(group), string(id)).Fields("isMember").Context(ctx).Do()
		var in bool
		switch e, refused := errors.AsType[*connectors.Error](err); {
		case err == nil:
			if in = got.IsMember; !in {
				if in, err = c.holdsAll(ctx, d, group); err != nil {
					return false, err
				}
			}
		case refused && e.Status == http.StatusBadRequest:
			read, err := c.walk(ctx, d, []connectors.GroupID{group})
			if err != nil {
				return false, err
			}
			people, everybody := read.expand(group)
			in = everybody || slices.Contains(people, id)
		default:
			return false, plain(step, err)
		}
		if in {
			return true, nil
		}
	}
	return false, nil
}

// holdsAll tells whether the whole account is a member of the group, or of one within. The members are listed for it
// once after each reading, not taken from the reading, which a lookup is there to contradict.
func (c *Connector) holdsAll(ctx context.Context, d *directory, id connectors.GroupID) (bool, error) {
	if all, ok := d.whole.Load(id); ok {
		return all.(bool), nil
	}
	read, err := c.walk(ctx, d, []connectors.GroupID{id})
	if err != nil {
		return false, err
	}
	_, all := read.expand(id)
	d.whole.Store(id, all)
	return all, nil
}

// Members lists the people of one group and of the groups in it, sorted by id.
func (c *Connector) Members(ctx context.Context, id connectors.GroupID) (members []connectors.UserID, known bool, err error) {
	if id == "" {
		return nil, false, errors.New("google: a group without id cannot be listed")
	}
	err = recovered(func() (err error) {
		members, known, err = c.members(ctx, id)
		return err
	})()
	if err != nil {
		return nil, false, err
	}
	return members, known, nil
}

func (c *Connector) members(ctx context.Context, id connectors.GroupID) ([]connectors.UserID, bool, error) {
	top, err := c.readDirect(ctx, id)
	if err == nil && top.listed == 0 {
		err = c.confirmEmpty(ctx, id)
	}
	switch {
	case noSuch(err):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	read := walked{id: top}
	if len(top.groups) > 0 {
		d := c.known.Load()
		if d == nil {
			if d, _, err = c.findGroups(ctx); err != nil {
				return nil, false, err
			}
		}
		if read, err = c.walk(ctx, d, top.groups); err != nil {
			return nil, false, err
		}
		read[id] = top
	}
	people, everybody := read.expand(id)
	if everybody {
		users, err := c.readUsers(ctx)
		if err != nil {
			return nil, false, err
		}
		for _, u := range users {
			people = append(people, u.ID)
		}
		slices.Sort(people)
		people = slices.Compact(people)
	}
	return people, true, nil
}

// confirmEmpty is an error unless Google counts nobody in a group whose listing holds nobody.
func (c *Connector) confirmEmpty(ctx context.Context, id connectors.GroupID) error {
	got, err := c.svc.Groups.Get(string(id)).Fields("kind", "id", "directMembersCount").Context(ctx).Do()
	switch step := "reading group " + string(id); {
	case err != nil:
		return plain(step, err)
	case got.Id != string(id):
		return connectors.Damaged(vendor, step, "it is about %q", got.Id)
	}
	return countedEmpty(id, got.DirectMembersCount)
}
