package scim

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

const (
	parallel     = 8  // groups read at once
	maxWitnesses = 20 // groups that are read to see one with members
)

// A directory is every group of the server by id, as it was listed, and which of them are the scope's.
type directory struct {
	groups  map[string]scimclient.Group
	lacking map[string]bool // listed without members
	scope   []string
}

// listGroups lists the groups and finds those of the scope, each of which must exist exactly once.
func (c *Connector) listGroups(ctx context.Context) (*directory, error) {
	listed, lacking, err := c.client.ListGroups(ctx)
	if err != nil {
		return nil, plain(err)
	}
	d := &directory{groups: make(map[string]scimclient.Group, len(listed)), lacking: lacking}
	for _, g := range listed {
		if g.DisplayName == "" {
			return nil, connectors.Damaged(vendor, "listing the groups", "group %s has no displayName", g.ID)
		}
		d.groups[g.ID] = g
	}
	for _, ref := range c.scope {
		var hits []string
		for _, g := range listed {
			if ref.Means(g.ID, g.DisplayName) {
				hits = append(hits, g.ID)
			}
		}
		switch len(hits) {
		case 0:
			return nil, missingGroup(ref)
		case 1:
			d.scope = append(d.scope, hits[0])
		default:
			slices.Sort(hits)
			return nil, fmt.Errorf("scim: %d groups are named %s, so the scope is not clear (name one of them by id: id:%s)", len(hits), ref, hits[0])
		}
	}
	c.known.Store(d.withoutMembers())
	return d, nil
}

// withoutMembers is what lookups need of a directory.
func (d *directory) withoutMembers() *directory {
	slim := &directory{groups: make(map[string]scimclient.Group, len(d.groups)), scope: d.scope}
	for id := range d.groups {
		slim.groups[id] = scimclient.Group{ID: id}
	}
	return slim
}

func missingGroup(ref connectors.GroupRef) error {
	return fmt.Errorf("scim: scope group %s does not exist or is hidden from this credential (compare with the groups that sources inspect shows)", ref)
}

// readGroups reads the groups of the scope and those to push.
func (c *Connector) readGroups(ctx context.Context) ([]connectors.Group, error) {
	d, err := c.listGroups(ctx)
	if err != nil {
		return nil, err
	}
	var wanted []string
	for id, g := range d.groups {
		if _, push := c.opts.Query.Push.Match(id, g.DisplayName); push || slices.Contains(d.scope, id) {
			wanted = append(wanted, id)
		}
	}
	slices.Sort(wanted)
	read, err := c.walk(ctx, d, wanted, nil)
	if err != nil {
		return nil, err
	}
	if err := c.checkMembersShown(ctx, d, read); err != nil {
		return nil, err
	}
	var out []connectors.Group
	for _, id := range wanted {
		scope := slices.Contains(d.scope, id)
		switch {
		case read[id].gone && scope:
			return nil, missingGroup(connectors.GroupRef{ID: id})
		case read[id].gone:
			continue
		}
		out = append(out, connectors.Group{ID: connectors.GroupID(id), Name: d.groups[id].DisplayName, Scope: scope, Members: read.expand(id)})
	}
	return out, nil
}

// direct is who is in a group itself.
type direct struct {
	people []connectors.UserID
	groups []string
	gone   bool // the server no longer knows the group
}

type walked map[string]direct

// walk reads the members of groups and, with Nested, of the groups in them, each once. fresh are groups that were read
// already; those that the listing shows with members are taken from it, unless fresh is given: who asks again wants no
// listing.
func (c *Connector) walk(ctx context.Context, d *directory, ids []string, fresh map[string]scimclient.Group) (walked, error) {
	read := walked{}
	for todo := ids; len(todo) > 0; {
		round := make([]direct, len(todo))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(parallel)
		for i, id := range todo {
			if group, ok := fresh[id]; ok {
				round[i] = c.split(d, group)
				continue
			}
			if group, ok := d.groups[id]; ok && !d.lacking[id] && fresh == nil {
				round[i] = c.split(d, group)
				continue
			}
			g.Go(func() error {
				group, err := c.client.Group(ctx, id)
				_, listed := d.groups[id]
				switch {
				case scimclient.Gone(err) && listed:
					return fmt.Errorf("scim: group %s is listed and then not there, so its members are not known (run again; if it stays, let this credential read every group by itself)", id)
				case scimclient.Gone(err):
					c.log.Warn("a group is named and cannot be read, so its members are left out", "group", id)
					round[i] = direct{gone: true}
				case err != nil:
					return plain(err)
				default:
					round[i] = c.split(d, group)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		for i, id := range todo {
			read[id] = round[i]
		}
		todo = c.inner(read, round)
	}
	return read, nil
}

// inner are the groups in those of a round that have not been read. Without Nested nobody in them counts.
func (c *Connector) inner(read walked, round []direct) (todo []string) {
	for _, r := range round {
		for _, id := range r.groups {
			if _, done := read[id]; !done && c.opts.Nested && !slices.Contains(todo, id) {
				todo = append(todo, id)
			}
		}
	}
	return todo
}

// split tells people from groups among a group's members. A member without a type is a group if one has its id.
func (c *Connector) split(d *directory, g scimclient.Group) direct {
	var out direct
	for _, m := range g.Members {
		_, known := d.groups[m.Value]
		switch {
		case strings.EqualFold(m.Type, "Group") || known && !strings.EqualFold(m.Type, "User"):
			out.groups = append(out.groups, m.Value)
		default:
			out.people = append(out.people, connectors.UserID(m.Value))
		}
	}
	if len(out.groups) > 0 && !c.opts.Nested {
		c.log.Debug("groups in a group are left out", "group", g.ID, "count", len(out.groups))
	}
	return out
}

// expand collects the people of a group and of the groups in it that were read. Groups that hold each other are each
// taken once.
func (w walked) expand(id string) (people []connectors.UserID) {
	seen := map[string]bool{id: true}
	for todo := []string{id}; len(todo) > 0; {
		d := w[todo[0]]
		todo = todo[1:]
		people = append(people, d.people...)
		for _, g := range d.groups {
			if _, read := w[g]; read && !seen[g] {
				seen[g] = true
				todo = append(todo, g)
			}
		}
	}
	slices.Sort(people)
	return slices.Compact(people)
}

// checkMembersShown is an error if the server shows no group's members at all, neither in the listing nor one by one:
// every group would read as empty. One group with members proves that it does.
func (c *Connector) checkMembersShown(ctx context.Context, d *directory, read walked) error {
	if len(read) == 0 || len(d.lacking) < len(d.groups) {
		return nil
	}
	for _, r := range read {
		if len(r.people)+len(r.groups) > 0 {
			return nil
		}
	}
	tried := 0
	for id := range d.groups {
		if _, done := read[id]; done {
			continue
		}
		if tried++; tried > maxWitnesses {
			break
		}
		g, err := c.client.Group(ctx, id)
		switch {
		case scimclient.Gone(err):
			continue
		case err != nil:
			return plain(err)
		case len(g.Members) > 0:
			return nil
		}
	}
	return &connectors.Error{Directory: vendor, Status: 200, Step: "reading the members of groups", Err: connectors.ErrDamaged,
		Summary: "the server shows the members of no group",
		Remedy:  "let this credential see members, or put somebody into one of the groups"}
}
