package google

import (
	"context"
	"errors"
	"net/http"
	"slices"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// Lookup asks for one person: in mode groups with whether they are in one of the scope's groups, and otherwise whether
// their organizational unit and UserQuery still take them in. Google keeps deleted people for 20 days. People who are
// looked up one after the other share the listings of deleted people and of groups for a minute.
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
		found.InScopeGroup, found.Listed, err = c.inScopeGroup(ctx, id)
	}
	if err == nil && c.opts.UserQuery != "" {
		found.Outside, err = c.lookupQuery(ctx, u)
		// The index behind the search lags, after a rename for one.
		found.Listed = found.Listed || found.Outside != ""
	}
	if err != nil {
		return connectors.Found{}, err
	}
	return found, nil
}

// lookupDeleted looks for the person among the deleted ones.
func (c *Connector) lookupDeleted(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	deleted, err := c.deleted.Get(ctx, func() (map[connectors.UserID]string, error) { return c.listDeleted(ctx) })
	if err != nil {
		return connectors.Found{}, err
	}
	address, is := deleted[id]
	if !is {
		return connectors.Found{}, nil
	}
	return connectors.Found{Known: true, Deleted: true, User: connectors.User{ID: id, UserName: address, Email: address,
		Status: connectors.StatusDisabled, StatusDetail: "deleted"}}, nil
}

// listDeleted lists the addresses that deleted people had.
func (c *Connector) listDeleted(ctx context.Context) (map[connectors.UserID]string, error) {
	deleted := map[connectors.UserID]string{}
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
		deleted[connectors.UserID(u.Id)] = u.PrimaryEmail
		return nil
	})
	return deleted, err
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

// inScopeGroup tells whether the person is in a group of the scope, or in a group within. Google answers that itself of
// whoever the groups name. What it does not answer, across its domains and of the whole account as a member, is looked
// up in the group's members; listed says that their word alone leaves the person out.
func (c *Connector) inScopeGroup(ctx context.Context, id connectors.UserID) (in, listed bool, err error) {
	d := c.known.Load()
	if d == nil {
		if d, _, err = c.findGroups(ctx); err != nil {
			return false, false, err
		}
	}
	for _, group := range d.scope {
		step := "asking whether user " + string(id) + " is in group " + string(group)
		got, err := c.svc.Members.HasMember(string(group), string(id)).Fields("isMember").Context(ctx).Do()
		e, refused := errors.AsType[*connectors.Error](err)
		refused = refused && e.Status == http.StatusBadRequest
		switch {
		case err != nil && !refused:
			return false, false, plain(step, err)
		case err == nil && got.IsMember:
			return true, false, nil
		}
		who, err := c.population(ctx, d, group)
		if err != nil {
			return false, false, err
		}
		if _, named := slices.BinarySearch(who.people, id); who.everybody || refused && named {
			return true, false, nil
		}
		listed = listed || refused
	}
	return false, listed, nil
}

// population lists a group again, and not from the reading, which a lookup is there to contradict.
func (c *Connector) population(ctx context.Context, d *directory, id connectors.GroupID) (population, error) {
	shared, _ := d.again.LoadOrStore(id, &wire.Shared[population]{})
	return shared.(*wire.Shared[population]).Get(ctx, func() (population, error) {
		read, err := c.walk(ctx, d, []connectors.GroupID{id})
		if err != nil {
			return population{}, err
		}
		people, everybody := read.expand(id)
		return population{people, everybody}, nil
	})
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
