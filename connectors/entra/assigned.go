//go:build !noentra

package entra

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// assignments are the people and groups that are assigned to the enterprise application, in whatever role.
type assignments struct {
	users  map[connectors.UserID]bool
	groups map[connectors.GroupID]bool
}

// expanded are the assigned people, those of the assigned groups included.
func (a assignments) expanded(members *roster) map[connectors.UserID]bool {
	all := map[connectors.UserID]bool{}
	for id := range a.users {
		all[id] = true
	}
	for group := range a.groups {
		for _, id := range members.expand(group) {
			all[id] = true
		}
	}
	return all
}

// A principal is one assignment.
type principal struct {
	user  connectors.UserID
	group connectors.GroupID
}

// readAssigned lists the assignments and tells found of each group. Somebody with several roles is listed several times
// and counts once; applications can be assigned too, and are no people.
func (c *Connector) readAssigned(ctx context.Context, found func(connectors.GroupID)) (assignments, error) {
	id, err := c.principalID(ctx)
	if err != nil {
		return assignments{}, err
	}
	step := "listing who is assigned to the enterprise application"
	list, err := list(ctx, step, c.graph.assignedTo(id, pageSize),
		func(a models.AppRoleAssignmentable) (principal, bool, error) {
			who := a.GetPrincipalId()
			if who == nil || *who == uuid.Nil {
				return principal{}, false, connectors.Damaged(vendor, step, "assignment %s has no principalId", text(a.GetId()))
			}
			switch kind := text(a.GetPrincipalType()); kind {
			case "User":
				return principal{user: connectors.UserID(who.String())}, true, nil
			case "Group":
				found(connectors.GroupID(who.String()))
				return principal{group: connectors.GroupID(who.String())}, true, nil
			case "ServicePrincipal":
				return principal{}, false, nil
			default:
				return principal{}, false, connectors.Damaged(vendor, step, "assignment %s is of the unknown type %q", text(a.GetId()), kind)
			}
		})
	if noSuch(err) {
		c.principal.Store(nil) // the application was removed, and perhaps added again under another object id
	}
	if err != nil {
		return assignments{}, err
	}
	out := assignments{users: map[connectors.UserID]bool{}, groups: map[connectors.GroupID]bool{}}
	for _, p := range list {
		if p.user != "" {
			out.users[p.user] = true
		} else {
			out.groups[p.group] = true
		}
	}
	return out, nil
}

// principalID is the object id of the enterprise application, which its client id is exchanged for once.
func (c *Connector) principalID(ctx context.Context) (string, error) {
	if id := c.principal.Load(); id != nil {
		return *id, nil
	}
	step := "reading the enterprise application " + c.appID
	p, err := c.graph.getPrincipal(ctx, c.appID)
	if err != nil {
		return "", connectors.AtStep(vendor, step, err)
	}
	id := text(p.GetId())
	if got := text(p.GetAppId()); id == "" || got != c.appID {
		return "", connectors.Damaged(vendor, step, "it is about %q", got)
	}
	c.principal.Store(&id)
	return id, nil
}

// maxMissing bounds how many assigned people may exist and be absent from the listing of users, as those are who were
// hired while it was read. More of them mean that the listing was short.
const maxMissing = 50

// assignedOf picks the assigned people from everybody. Those whom the listing lacks are asked for.
func (c *Connector) assignedOf(ctx context.Context, everybody []connectors.User, assigned map[connectors.UserID]bool) ([]connectors.User, error) {
	var users []connectors.User
	for _, u := range everybody {
		if assigned[u.ID] {
			delete(assigned, u.ID)
			u.Assigned = true
			users = append(users, u)
		}
	}
	late, err := c.readMissing(ctx, slices.Sorted(maps.Keys(assigned)))
	return append(users, late...), err
}

// readMissing asks for people who are assigned and were not listed: somebody hired a moment ago is there, of somebody
// deleted the assignment lingers. Where many are missing, the recycle bin tells in one listing who of them was deleted;
// only the others are asked for one by one.
func (c *Connector) readMissing(ctx context.Context, missing []connectors.UserID) ([]connectors.User, error) {
	if len(missing) > maxMissing {
		deleted, err := c.listDeleted(ctx)
		if err != nil {
			return nil, err
		}
		missing = slices.DeleteFunc(missing, func(id connectors.UserID) bool { return deleted[id] })
	}
	var mu sync.Mutex
	var found []connectors.User
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for _, id := range missing {
		g.Go(recovered(func() error {
			u, err := c.readUser(ctx, id)
			switch {
			case noSuch(err):
				c.log.Debug("somebody assigned is deleted", "user", id)
				return nil
			case err != nil:
				return fmt.Errorf("%s is assigned and was not listed: %w", id, err)
			}
			u.Assigned = true
			mu.Lock()
			defer mu.Unlock()
			if found = append(found, u); len(found) > maxMissing {
				return connectors.Damaged(vendor, "listing the users", "more than %d people are assigned and not listed, so the listing was short", maxMissing)
			}
			return nil
		}))
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return found, nil
}

// listDeleted lists who is in the recycle bin.
func (c *Connector) listDeleted(ctx context.Context) (map[connectors.UserID]bool, error) {
	ids, err := list(ctx, "listing the recycle bin", c.graph.deletedUsers(pageSize),
		func(u models.Userable) (connectors.UserID, bool, error) {
			return connectors.UserID(text(u.GetId())), true, nil
		})
	deleted := make(map[connectors.UserID]bool, len(ids))
	for _, id := range ids {
		deleted[id] = true
	}
	return deleted, err
}
