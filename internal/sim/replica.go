package sim

import (
	"maps"
	"slices"
	"strings"
)

// Clone is the company as it is now; what happens to either from here on does not touch the other. A server over an
// older clone is a replica that lags behind.
func (c *Company) Clone() *Company {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := &Company{
		rng: c.rng, now: c.now, day: c.day, founded: c.founded, appID: c.appID, bin: slices.Clone(c.bin),
		byLogin: map[string]*person{}, byID: map[string]*person{}, named: map[string]*group{}, groupID: map[string]*group{},
	}
	for _, p := range c.people {
		if p == nil {
			out.people = append(out.people, nil)
			continue
		}
		q := *p
		out.people = append(out.people, &q)
		out.byLogin[strings.ToLower(q.Login)], out.byID[q.ID] = &q, &q
	}
	for _, g := range c.groups {
		if g == nil {
			out.groups = append(out.groups, nil)
			continue
		}
		h := *g
		h.members = slices.Clone(g.members)
		out.groups = append(out.groups, &h)
		out.groupID[h.ID] = &h
		if c.named[h.Name] == g {
			out.named[h.Name] = &h
		}
		if g == c.all {
			out.all = &h
		}
	}
	return out
}

// Clone is the server as it is now, for reading: what happens to either from here on does not touch the other.
func (s *SCIM) Clone() *SCIM {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	st := newSCIMState(s.options)
	st.users.adopt(s.state.users)
	st.groups.adopt(s.state.groups)
	return &SCIM{options: s.options, state: st}
}

// adopt takes copies of all resources of another collection.
func (c *collection[T]) adopt(other *collection[T]) {
	for id, r := range other.byID {
		c.byID[id] = r.clone()
	}
	for key, ids := range other.byKey {
		c.byKey[key] = maps.Clone(ids)
	}
}
