package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// edit runs change on the person with this login and moves the clock on.
func (c *Company) edit(login string, change func(p *person) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.byLogin[strings.ToLower(login)]
	if p == nil {
		return fmt.Errorf("company: nobody has the login %q", login)
	}
	c.tick()
	return change(p)
}

// editGroup runs change on the group with this name and moves the clock on.
func (c *Company) editGroup(name string, change func(g *group) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.named[name]
	if g == nil {
		return fmt.Errorf("company: no group is named %q", name)
	}
	c.tick()
	return change(g)
}

func (c *Company) tick() { c.now = c.now.Add(time.Second) }

func (c *Company) setStatus(p *person, s Status) {
	if p.Status == s {
		return
	}
	p.Status = s
	p.StatusChanged, p.LastUpdated = c.now, c.now
	p.Activated = p.Created
	if s == StatusStaged {
		p.Activated = time.Time{}
	}
}

// Join hires p, making up what it leaves empty, and puts them into the named groups and into those that a rule fills.
func (c *Company) Join(p Person, groups ...string) (Person, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range groups {
		if c.named[name] == nil {
			return Person{}, fmt.Errorf("company: no group is named %q", name)
		}
	}
	if c.byLogin[strings.ToLower(p.Login)] != nil {
		return Person{}, fmt.Errorf("company: the login %q is taken", p.Login)
	}
	c.tick()
	joined := c.hire(p)
	for _, g := range c.groups {
		if g != nil && (g.Rule || slices.Contains(groups, g.Name)) {
			c.addMember(g, joined)
		}
	}
	return joined.view(), nil
}

// Leave deactivates a person: DEPROVISIONED, off the app, out of every group that no rule fills.
func (c *Company) Leave(login string) error {
	return c.edit(login, func(p *person) error {
		c.setStatus(p, StatusDeprovisioned)
		p.Direct = false
		for _, g := range c.groups {
			if g != nil && !g.Rule {
				c.removeMember(g, p)
			}
		}
		return nil
	})
}

// Delete removes a deactivated person, as Okta does without a trace; nobody else can be deleted.
func (c *Company) Delete(login string) error {
	return c.edit(login, func(p *person) error {
		if p.Status != StatusDeprovisioned {
			return fmt.Errorf("company: %s is %s; only deactivated people can be deleted", login, p.Status)
		}
		for _, g := range c.groups {
			if g != nil {
				c.removeMember(g, p)
			}
		}
		delete(c.byLogin, strings.ToLower(p.Login))
		delete(c.byID, p.ID)
		c.people[p.seq] = nil
		c.bin = append(c.bin, p)
		return nil
	})
}

// EmptyBin removes for good whom Delete removed. Only directories with a recycle bin show a difference.
func (c *Company) EmptyBin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bin = nil
}

// Return activates a deactivated person again, without their former groups and assignment.
func (c *Company) Return(login string) error {
	return c.edit(login, func(p *person) error {
		if p.Status != StatusDeprovisioned {
			return fmt.Errorf("company: %s is %s and has not left", login, p.Status)
		}
		c.setStatus(p, StatusActive)
		c.addMember(c.all, p)
		return nil
	})
}

// Suspend suspends a person; groups and assignment stay.
func (c *Company) Suspend(login string) error { return c.SetStatus(login, StatusSuspended) }

// Unsuspend ends a suspension.
func (c *Company) Unsuspend(login string) error { return c.SetStatus(login, StatusActive) }

// SetStatus gives a person any status except DEPROVISIONED, which Leave does with what follows from it; who has that
// status needs Return first.
func (c *Company) SetStatus(login string, s Status) error {
	return c.edit(login, func(p *person) error {
		if s == StatusDeprovisioned || p.Status == StatusDeprovisioned {
			return fmt.Errorf("company: %s cannot go from %s to %s; use Leave or Return", login, p.Status, s)
		}
		c.setStatus(p, s)
		return nil
	})
}

// Assign assigns a person to the app by name.
func (c *Company) Assign(login string) error {
	return c.edit(login, func(p *person) error {
		if p.Status == StatusDeprovisioned {
			return fmt.Errorf("company: %s is deactivated and cannot be assigned", login)
		}
		p.Direct = true
		return nil
	})
}

// Unassign takes a person off the app altogether: out of the assigned groups too.
func (c *Company) Unassign(login string) error {
	return c.edit(login, func(p *person) error {
		p.Direct = false
		for _, g := range c.groups {
			if g != nil && g.Assigned {
				c.removeMember(g, p)
			}
		}
		return nil
	})
}

// EditPerson lets change edit a person's profile: names, titles, phone. Id, login, status and assignment keep
// their values; they have methods of their own. The callback must not call the company.
func (c *Company) EditPerson(login string, change func(p *Person)) error {
	return c.edit(login, func(p *person) error {
		edited := p.Person
		change(&edited)
		edited.ID, edited.Login, edited.Status, edited.Direct = p.ID, p.Login, p.Status, p.Direct
		edited.LastUpdated = c.now
		p.Person = edited
		return nil
	})
}

// Rename changes a person's names; the login stays.
func (c *Company) Rename(login, first, last string) error {
	return c.EditPerson(login, func(p *Person) { p.FirstName, p.LastName = first, last })
}

// ChangeEmail gives a person a new address, which is their login as well.
func (c *Company) ChangeEmail(login, email string) error {
	return c.edit(login, func(p *person) error {
		if other := c.byLogin[strings.ToLower(email)]; other != nil && other != p {
			return fmt.Errorf("company: the login %q is taken", email)
		}
		delete(c.byLogin, strings.ToLower(p.Login))
		p.Login, p.Email, p.LastUpdated = email, email, c.now
		c.byLogin[strings.ToLower(email)] = p
		return nil
	})
}

// AddMember puts a person into a group; who is in already stays.
func (c *Company) AddMember(group, login string) error {
	return c.changeMember(group, login, c.addMember)
}

// RemoveMember takes a person out of a group; who is not in stays out.
func (c *Company) RemoveMember(group, login string) error {
	return c.changeMember(group, login, c.removeMember)
}

func (c *Company) changeMember(name, login string, change func(*group, *person)) error {
	return c.editGroup(name, func(g *group) error {
		p := c.byLogin[strings.ToLower(login)]
		if p == nil {
			return fmt.Errorf("company: nobody has the login %q", login)
		}
		change(g, p)
		return nil
	})
}

// CreateGroup founds a group with the name, description, type (OKTA_GROUP if empty), rule and assignment of g and
// with g's members. Names are unique among groups of one type only, as in Okta; the lookups by name know the newest.
func (c *Company) CreateGroup(g Group) (Group, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.Type == "" {
		g.Type = "OKTA_GROUP"
	}
	if err := c.nameFree(g.Name, g.Type, nil); err != nil {
		return Group{}, err
	}
	var members []*person
	for _, login := range g.Members {
		p := c.byLogin[strings.ToLower(login)]
		if p == nil {
			return Group{}, fmt.Errorf("company: nobody has the login %q", login)
		}
		members = append(members, p)
	}
	c.tick()
	g.Members = nil
	created := c.addGroup(g)
	for _, p := range members {
		c.addMember(created, p)
	}
	return c.view(created), nil
}

func (c *Company) nameFree(name, kind string, except *group) error {
	for _, g := range c.groups {
		if g != nil && g != except && g.Name == name && g.Type == kind {
			return fmt.Errorf("company: a group is named %q already", name)
		}
	}
	return nil
}

// RenameGroup gives a group another name; its id and members stay.
func (c *Company) RenameGroup(from, to string) error {
	return c.editGroup(from, func(g *group) error {
		if err := c.nameFree(to, g.Type, g); err != nil {
			return err
		}
		g.Name, g.LastUpdated = to, c.now
		c.reindex(from)
		c.reindex(to)
		return nil
	})
}

// DeleteGroup removes a group, and with it what it assigned.
func (c *Company) DeleteGroup(name string) error {
	return c.editGroup(name, func(g *group) error {
		if g == c.all {
			return fmt.Errorf("company: the built-in group %q cannot be deleted", name)
		}
		for _, seq := range slices.Clone(g.members) {
			c.removeMember(g, c.people[seq])
		}
		delete(c.groupID, g.ID)
		c.groups[g.seq] = nil
		c.reindex(name)
		return nil
	})
}

// reindex finds the newest group of a name again.
func (c *Company) reindex(name string) {
	delete(c.named, name)
	for _, g := range c.groups {
		if g != nil && g.Name == name {
			c.named[name] = g
		}
	}
}

// AssignGroup assigns a group, and with it its members, to the app.
func (c *Company) AssignGroup(name string) error { return c.assignGroup(name, true) }

// UnassignGroup takes a group off the app; its members stay if something else assigns them.
func (c *Company) UnassignGroup(name string) error { return c.assignGroup(name, false) }

func (c *Company) assignGroup(name string, assigned bool) error {
	return c.editGroup(name, func(g *group) error {
		if g.Assigned == assigned {
			return nil
		}
		g.Assigned = assigned
		for _, seq := range g.members {
			if assigned {
				c.people[seq].via++
			} else {
				c.people[seq].via--
			}
		}
		return nil
	})
}
