package sim

import (
	"fmt"
	"slices"
)

// The methods below reach into the server's state past HTTP: what people do by hand in Rootly's own pages, and what
// tests look at. They keep the names unique and members existing, and apply no other habit of the server. An edit's
// callback must not call the server.

// Users returns every user, deactivated ones too, by id ascending.
func (s *SCIM) Users() []SCIMUser { return all(s, s.state.users) }

// Groups returns every group, by id ascending.
func (s *SCIM) Groups() []SCIMGroup { return all(s, s.state.groups) }

// all copies a collection.
func all[T any, P interface {
	*T
	resource[P]
}](s *SCIM, c *collection[P]) []T {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	var out []T
	for _, id := range c.ids() {
		out = append(out, *c.byID[id].clone())
	}
	return out
}

// User finds a user by id, or by userName with letter case aside.
func (s *SCIM) User(idOrName string) (SCIMUser, bool) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if u, ok := s.state.users.lookup(idOrName, &SCIMUser{UserName: idOrName}); ok {
		return *u.clone(), true
	}
	return SCIMUser{}, false
}

// Group finds a group by id, or by displayName with letter case aside.
func (s *SCIM) Group(idOrName string) (SCIMGroup, bool) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if g, ok := s.state.groups.lookup(idOrName, &SCIMGroup{DisplayName: idOrName}); ok {
		return *g.clone(), true
	}
	return SCIMGroup{}, false
}

// lookup finds a resource by id, or the one with the least id whose key is named's.
func (c *collection[T]) lookup(id string, named T) (T, bool) {
	if r, ok := c.byID[id]; ok {
		return r, true
	}
	least := ""
	for other := range c.byKey[named.key()] {
		if least == "" || other < least {
			least = other
		}
	}
	r, ok := c.byID[least]
	return r, ok
}

// MembersOf returns the userNames of a group's members, sorted; a member that is no user stands by its id.
func (s *SCIM) MembersOf(group string) []string {
	g, _ := s.Group(group)
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	var names []string
	for _, m := range g.Members {
		name := m.Value
		if u := s.state.users.byID[m.Value]; u != nil {
			name = u.UserName
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AddUser adds a user and gives it an id unless it has one.
func (s *SCIM) AddUser(u SCIMUser) (SCIMUser, error) {
	added, err := insert(s, s.state.users, u.clone())
	if err != nil {
		return SCIMUser{}, err
	}
	return *added, nil
}

// AddGroup adds a group and gives it an id unless it has one.
func (s *SCIM) AddGroup(g SCIMGroup) (SCIMGroup, error) {
	added, err := insert(s, s.state.groups, g.clone())
	if err != nil {
		return SCIMGroup{}, err
	}
	return *added, nil
}

func insert[T resource[T]](s *SCIM, c *collection[T], r T) (added T, err error) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	id := r.identity()
	if *id == "" {
		*id = s.state.newID()
	}
	if _, ok := c.byID[*id]; ok {
		return added, fmt.Errorf("scim: the id %q is taken", *id)
	}
	if err := s.consistent(c.kind, c.taken(r.key(), *id), r); err != nil {
		return added, err
	}
	r.meta().touch()
	r.meta().created = r.meta().modified
	c.put(r)
	return r.clone(), nil
}

// EditUser edits the user with this id or userName.
func (s *SCIM) EditUser(idOrName string, edit func(u *SCIMUser)) error {
	u, ok := s.User(idOrName)
	if !ok {
		return fmt.Errorf("scim: there is no user %q", idOrName)
	}
	return alter(s, s.state.users, u.ID, edit)
}

// EditGroup edits the group with this id or displayName.
func (s *SCIM) EditGroup(idOrName string, edit func(g *SCIMGroup)) error {
	g, ok := s.Group(idOrName)
	if !ok {
		return fmt.Errorf("scim: there is no group %q", idOrName)
	}
	return alter(s, s.state.groups, g.ID, edit)
}

func alter[T resource[T]](s *SCIM, c *collection[T], id string, edit func(T)) error {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	old, ok := c.byID[id]
	if !ok {
		return fmt.Errorf("scim: %s/%s is gone", c.kind, id)
	}
	r := old.clone()
	edit(r)
	*r.identity() = id
	if err := s.consistent(c.kind, c.taken(r.key(), id), r); err != nil {
		return err
	}
	r.meta().touch()
	c.put(r)
	return nil
}

// RemoveUser removes the user with this id or userName, and its memberships.
func (s *SCIM) RemoveUser(idOrName string) error {
	u, ok := s.User(idOrName)
	if !ok {
		return fmt.Errorf("scim: there is no user %q", idOrName)
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.users.remove(u.ID)
	s.state.leaveGroups(u.ID)
	return nil
}

// RemoveGroup removes the group with this id or displayName, and its memberships in others.
func (s *SCIM) RemoveGroup(idOrName string) error {
	g, ok := s.Group(idOrName)
	if !ok {
		return fmt.Errorf("scim: there is no group %q", idOrName)
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.groups.remove(g.ID)
	s.state.leaveGroups(g.ID)
	return nil
}

// Marks tells, in the order in which they came, of requests that were served although some servers take them for
// something else.
func (s *SCIM) Marks() []string {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return slices.Clone(s.state.marks)
}

// SetOptions changes the server's habits, and which token it takes, from now on. Seed stays as it was.
func (s *SCIM) SetOptions(change func(o *SCIMOptions)) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	o := s.options
	change(&o)
	o.Seed = s.options.Seed
	s.options = o
}

// consistent checks what a hand edit must not break.
func (s *SCIM) consistent(kind string, taken bool, r any) error {
	if taken && !(kind == "Groups" && s.options.DuplicateGroups) {
		return fmt.Errorf("scim: %s: the name is taken", kind)
	}
	if g, ok := r.(*SCIMGroup); ok {
		for _, m := range g.Members {
			if !s.state.exists(m) {
				return fmt.Errorf("scim: group %q: nobody has the id %q", g.DisplayName, m.Value)
			}
		}
	}
	return nil
}
