package google

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

const (
	parallel  = 8   // listings under way at once
	groupPage = 200 // the largest page of groups and of members that Google grants
)

// A group is one of the account's, without its members.
type group struct {
	connectors.Group
	size int64 // direct members by Google's count, which lags
}

// A directory is every group of the account, by id, and which of them are the scope's.
type directory struct {
	groups map[connectors.GroupID]group
	scope  []connectors.GroupID
	again  sync.Map // by id, the *wire.Shared[population] of a group that was listed again for lookups
}

// A population is who is in a group and in the groups within.
type population struct {
	people    []connectors.UserID // sorted
	everybody bool                // the whole account is a member
}

// A membership is a group with the people in it and in the groups within.
type membership struct {
	connectors.Group
	everybody bool // the whole account is a member
}

// with completes a group whose members are everybody.
func (m membership) with(users []connectors.User) connectors.Group {
	if m.everybody {
		for _, u := range users {
			m.Members = append(m.Members, u.ID)
		}
	}
	return m.Group
}

// readGroups finds the groups of the scope and those to push, then reads their members.
func (c *Connector) readGroups(ctx context.Context) ([]membership, error) {
	if !wantsGroups(c.opts.Query) {
		return nil, nil
	}
	found, wanted, err := c.findGroups(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]connectors.GroupID, len(wanted))
	for i, g := range wanted {
		ids[i] = g.ID
	}
	read, err := c.walk(ctx, found, ids)
	if err != nil {
		return nil, err
	}
	out := make([]membership, len(wanted))
	for i, g := range wanted {
		out[i].Group = g.Group
		out[i].Members, out[i].everybody = read.expand(g.ID)
	}
	return out, nil
}

// findGroups lists the account's groups and picks the wanted ones, the largest first. A scope group must exist exactly
// once; one to push may be absent.
func (c *Connector) findGroups(ctx context.Context) (*directory, []group, error) {
	found := &directory{groups: map[connectors.GroupID]group{}}
	err := list(ctx, "listing the groups", func(ctx context.Context, token string) ([]*admin.Group, string, error) {
		call := c.svc.Groups.List().Customer(c.customer).MaxResults(groupPage)
		if token != "" {
			call.PageToken(token)
		}
		got, err := call.Fields("kind", "nextPageToken", "groups(id,email,name,directMembersCount)").Context(ctx).Do()
		if err != nil {
			return nil, "", err
		}
		return got.Groups, got.NextPageToken, nil
	}, func(g *admin.Group) string { return g.Id }, func(g *admin.Group) error {
		id := connectors.GroupID(g.Id)
		found.groups[id] = group{connectors.Group{ID: id, Name: cmp.Or(strings.TrimSpace(g.Name), g.Email), Email: g.Email}, g.DirectMembersCount}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := c.markScope(found); err != nil {
		return nil, nil, err
	}
	c.known.Store(found)
	var wanted []group
	for _, g := range found.groups {
		if _, push := c.opts.Query.Push.Match(string(g.ID), g.Name, g.Email); push || g.Scope {
			wanted = append(wanted, g)
		}
	}
	slices.SortFunc(wanted, func(a, b group) int { return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.ID, b.ID)) })
	return found, wanted, nil
}

// markScope sets Scope on the groups that the scope names.
func (c *Connector) markScope(d *directory) error {
	var errs []error
	for _, ref := range c.scope {
		var hits []string
		for id, g := range d.groups {
			if ref.means(g) {
				g.Scope = true
				d.groups[id] = g
				hits = append(hits, fmt.Sprintf("id:%s (%s)", id, g.Email))
			}
		}
		slices.Sort(hits)
		switch {
		case len(hits) == 0:
			errs = append(errs, fmt.Errorf("google: scope group %q does not exist in this account or is hidden from this administrator "+
				"(compare with Directory > Groups in the Admin console)", string(ref)))
		case len(hits) > 1:
			errs = append(errs, fmt.Errorf("google: %d groups are named %q (write the address of the one that is meant: %s)",
				len(hits), string(ref), strings.Join(hits, " or ")))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.groups)) {
		if d.groups[id].Scope {
			d.scope = append(d.scope, id)
		}
	}
	return errors.Join(errs...)
}

// A direct is what one group's own listing holds.
type direct struct {
	people    []connectors.UserID
	groups    []connectors.GroupID
	everybody bool
	listed    int // those from elsewhere included
}

// A walked is the direct members of each group that was met.
type walked map[connectors.GroupID]direct

// walk lists the members of groups and of the groups in them, each once. A group of the account that is gone by now has
// changed the directory under the reading.
func (c *Connector) walk(ctx context.Context, known *directory, start []connectors.GroupID) (walked, error) {
	met := walked{}
	for next := start; len(next) > 0; {
		read := make([]direct, len(next))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for i, id := range next {
			g.Go(recovered(func() (err error) {
				own, listed := known.groups[id]
				read[i], err = c.readDirect(ctx, id)
				switch {
				case !listed && (noSuch(err) || forbidden(err)):
					c.log.Warn("a group of another organization is a member of one of ours; its members are left out", "group", id)
					return nil
				case noSuch(err):
					return fmt.Errorf("google: listing the members of group %s (%s): %w (run again)", id, own.Email, errChanged)
				case err == nil && read[i].listed == 0:
					return countedEmpty(id, own.size)
				}
				return err
			}))
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		var found []connectors.GroupID
		for i, id := range next {
			met[id] = read[i]
			found = append(found, read[i].groups...)
		}
		slices.Sort(found)
		next = slices.DeleteFunc(slices.Compact(found), func(id connectors.GroupID) bool {
			_, ok := met[id]
			return ok
		})
	}
	return met, nil
}

// countedEmpty is an error if Google counts members of a group whose listing holds nobody.
func countedEmpty(id connectors.GroupID, size int64) error {
	if size == 0 {
		return nil
	}
	return connectors.Damaged(vendor, "listing the members of group "+string(id), "nobody is listed and Google counts %d members; run again", size)
}

// expand collects the people of a group and of the groups in it. Groups that hold each other are each taken once.
func (w walked) expand(id connectors.GroupID) (people []connectors.UserID, everybody bool) {
	seen := map[connectors.GroupID]bool{id: true}
	for todo := []connectors.GroupID{id}; len(todo) > 0; {
		d := w[todo[0]]
		todo = todo[1:]
		people = append(people, d.people...)
		everybody = everybody || d.everybody
		for _, g := range d.groups {
			if !seen[g] {
				seen[g] = true
				todo = append(todo, g)
			}
		}
	}
	slices.Sort(people)
	return slices.Compact(people), everybody
}

// readDirect lists a group's own members, of every role: owners and managers are members too.
func (c *Connector) readDirect(ctx context.Context, id connectors.GroupID) (direct, error) {
	var d direct
	step := "listing the members of group " + string(id)
	external := 0
	err := list(ctx, step, func(ctx context.Context, token string) ([]*admin.Member, string, error) {
		call := c.svc.Members.List(string(id)).MaxResults(groupPage)
		if token != "" {
			call.PageToken(token)
		}
		got, err := call.Fields("kind", "nextPageToken", "members(id,email,type)").Context(ctx).Do()
		if err != nil {
			return nil, "", err
		}
		return got.Members, got.NextPageToken, nil
	}, func(m *admin.Member) string { return m.Id }, func(m *admin.Member) error {
		d.listed++
		switch {
		case m.Type == "CUSTOMER":
			d.everybody = true
		case m.Type == "EXTERNAL":
			external++
		case m.Id == "":
			return connectors.Damaged(vendor, step, "member %d has no id", d.listed)
		case m.Type == "USER":
			d.people = append(d.people, connectors.UserID(m.Id))
		case m.Type == "GROUP":
			d.groups = append(d.groups, connectors.GroupID(m.Id))
		default:
			return connectors.Damaged(vendor, step, "member %s is of the unknown type %q", m.Id, m.Type)
		}
		return nil
	})
	if err != nil {
		return direct{}, err
	}
	if external > 0 {
		c.log.Debug("external members are left out", "group", id, "count", external)
	}
	return d, nil
}

// field makes the mask of a list's elements.
func field(name, fields string) googleapi.Field { return googleapi.Field(name + "(" + fields + ")") }
