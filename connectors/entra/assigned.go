//go:build !noentra

package entra

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/microsoftgraph/msgraph-sdk-go/models"

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

const (
	// maxMissing bounds how many assigned people may exist and be absent from the listing of users, as those are who were
	// hired while it was read. More of them mean that the listing was short.
	maxMissing = 50
	// maxAsked bounds how many are asked for one by one.
	maxAsked = 1000
)

// assignedOf picks the assigned people from everybody. Those whom the listing lacks are asked for one by one: some are
// deleted, and their assignments linger.
func (c *Connector) assignedOf(ctx context.Context, everybody []connectors.User, assigned map[connectors.UserID]bool) ([]connectors.User, error) {
	var users []connectors.User
	for _, u := range everybody {
		if assigned[u.ID] {
			delete(assigned, u.ID)
			u.Assigned = true
			users = append(users, u)
		}
	}
	short := func(n int) error {
		return connectors.Damaged(vendor, "listing the users", "%d people are assigned and not listed, so the listing was short", n)
	}
	if len(assigned) > maxAsked {
		return nil, short(len(assigned))
	}
	var missing []connectors.UserID
	for id := range assigned {
		missing = append(missing, id)
	}
	slices.Sort(missing)
	found := 0
	for _, id := range missing {
		u, err := c.readUser(ctx, id)
		if noSuch(err) {
			c.log.Debug("somebody assigned is deleted", "user", id)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s is assigned and was not listed: %w", id, err)
		}
		if found++; found > maxMissing {
			return nil, short(len(missing))
		}
		u.Assigned = true
		users = append(users, u)
	}
	return users, nil
}

// freshFor is how long an answer about all assignments serves the lookups of single people.
const freshFor = time.Minute

// freshAssignments are the assignments as they were read after the last Fetch. Graph has no cheap answer to whether one
// person is assigned, so the people who are looked up one after the other share a listing of their own.
type freshAssignments struct {
	asking turn
	mu     sync.Mutex
	read   assignments
	at     time.Time
	known  bool
}

func (f *freshAssignments) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read, f.known = assignments{}, false
}

func (f *freshAssignments) current() (assignments, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	age := time.Since(f.at)
	return f.read, f.known && age >= 0 && age < freshFor
}

// get returns the current assignments, or else what read finds. Somebody else's listing is waited for as long as ctx
// lasts, and does not fail this one.
func (f *freshAssignments) get(ctx context.Context, read func() (assignments, error)) (assignments, error) {
	if a, ok := f.current(); ok {
		return a, nil
	}
	end, err := f.asking.take(ctx)
	if err != nil {
		return assignments{}, err
	}
	defer end()
	if a, ok := f.current(); ok {
		return a, nil
	}
	at := time.Now()
	a, err := read()
	if err != nil {
		return assignments{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read, f.at, f.known = a, at, true
	return a, nil
}
