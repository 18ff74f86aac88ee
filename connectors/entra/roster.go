//go:build !noentra

package entra

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// parallel bounds the member listings under way at once. At 3 resource units each, a page a second of all of them stays
// far below the 350 units a second that Graph grants the smallest tenants.
const parallel = 16

// A roster reads memberships while other listings are still being read, each group once. With Options.Nested it follows
// the groups inside groups.
type roster struct {
	ctx    context.Context
	source *Connector
	tasks  *errgroup.Group
	slots  chan struct{}

	mu     sync.Mutex
	direct map[connectors.GroupID]membership
}

// newRoster returns a roster that reads as tasks of g, which must not be limited.
func newRoster(ctx context.Context, c *Connector, g *errgroup.Group) *roster {
	return &roster{ctx: ctx, source: c, tasks: g, slots: make(chan struct{}, parallel), direct: map[connectors.GroupID]membership{}}
}

// want has a group read, unless it was wanted before. It does not wait.
func (r *roster) want(id connectors.GroupID) {
	r.mu.Lock()
	_, known := r.direct[id]
	if !known {
		r.direct[id] = membership{}
	}
	r.mu.Unlock()
	if known {
		return
	}
	r.tasks.Go(recovered(func() error {
		select {
		case r.slots <- struct{}{}:
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
		defer func() { <-r.slots }()
		read, err := r.source.readMembers(r.ctx, id)
		if err != nil {
			return err
		}
		r.add(id, read)
		return nil
	}))
}

// add takes over what was read of a group, and wants the groups inside it.
func (r *roster) add(id connectors.GroupID, read membership) {
	r.mu.Lock()
	r.direct[id] = read
	r.mu.Unlock()
	if r.source.nested {
		for _, inner := range read.groups {
			r.want(inner)
		}
	}
}

// The methods below are for when all tasks have ended.

// expand returns the people in a group, sorted: the direct members, and those of the groups inside it where groups
// nest. A group that contains itself ends there.
func (r *roster) expand(id connectors.GroupID) []connectors.UserID {
	var users []connectors.UserID
	for _, m := range r.within(id) {
		users = append(users, m.users...)
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// people returns everybody in the scope's groups once.
func (r *roster) people(groups []connectors.Group) []connectors.User {
	seen := map[connectors.UserID]bool{}
	var out []connectors.User
	for _, g := range groups {
		if !g.Scope {
			continue
		}
		for _, m := range r.within(g.ID) {
			for _, u := range m.people {
				if !seen[u.ID] {
					seen[u.ID] = true
					out = append(out, u)
				}
			}
		}
	}
	return out
}

// within returns the memberships of a group and of those inside it, each once.
func (r *roster) within(id connectors.GroupID) []membership {
	ids := []connectors.GroupID{id}
	seen := map[connectors.GroupID]bool{id: true}
	var out []membership
	for i := 0; i < len(ids); i++ {
		m := r.direct[ids[i]]
		out = append(out, m)
		if !r.source.nested {
			break
		}
		for _, inner := range m.groups {
			if !seen[inner] {
				seen[inner] = true
				ids = append(ids, inner)
			}
		}
	}
	return out
}
