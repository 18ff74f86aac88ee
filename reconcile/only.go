package reconcile

import (
	"fmt"
	"slices"
	"strings"
)

// Only returns the part of a plan that is about one person or group, named by userName or displayName, directory id or
// SCIM id: their own changes and, for a person, their memberships. Somebody for whom there is nothing to do makes the
// plan empty; somebody whom neither side has, or whose name means two, is an error. Objections stay: what the whole plan may not do, a part of it may not either.
func (p Plan) Only(who string) (Plan, error) {
	who = strings.TrimSpace(who)
	if who == "" {
		return Plan{}, fmt.Errorf("name a person or a group: a userName, a group's name, or an id")
	}
	meant := func(r Ref) bool { return r.means(who) }
	seen := map[string]Ref{}
	visit := func(r Ref) {
		if meant(r) {
			seen[string(r.Kind)+" "+r.key()] = r
		}
	}
	for _, c := range slices.Concat(p.Changes, p.Held) {
		visit(c.Object)
		for _, m := range c.Members {
			visit(m.User)
		}
	}
	if len(seen) > 1 {
		return Plan{}, fmt.Errorf("%q means %s: use an id", who, strings.Join(sortedKeys(seen), " and "))
	}
	if len(seen) == 0 && !p.knows(meant) {
		return Plan{}, fmt.Errorf("there is no %q: neither the directory's answer nor what we manage in Rootly has such a person or group", who)
	}
	out := p
	out.Changes, out.Held, out.Notes = narrow(p.Changes, meant), narrow(p.Held, meant), nil
	// Deleting a group is about everybody in it.
	out.Changes = slices.DeleteFunc(out.Changes, func(c Change) bool { return c.Verb == VerbDelete && !meant(c.Object) })
	for _, n := range p.Notes {
		if meant(n.Object) {
			out.Notes = append(out.Notes, n)
		}
	}
	out.contested = nil
	for _, v := range p.contested {
		if meant(v.Object) {
			out.contested = append(out.contested, v)
		}
	}
	// What a kept change waits for comes along: a name cannot be given before it is free, and nobody is put out of one
	// group before they are in the other.
	for again := true; again; {
		again = false
		for _, c := range p.Changes {
			if awaitedKeys(out.Changes)[c.Key()] && !slices.ContainsFunc(out.Changes, func(k Change) bool { return k.Key() == c.Key() }) {
				if len(c.Members) > 0 {
					moves := movers(out.Changes, c.Key())
					kept := narrow([]Change{c}, func(r Ref) bool { return meant(r) || moves[r.key()] })
					if len(kept) == 0 {
						continue
					}
					c = kept[0]
				}
				out.Changes, again = append(out.Changes, c), true
			}
		}
	}
	out.Changes = dropAbsent(out.Changes)
	slices.SortStableFunc(out.Changes, byPhase(out.Changes))
	out.partial = true
	return out.priced(), nil
}

// movers are the people whom changes put out of a group once the change of that key has put them into another.
func movers(changes []Change, key string) map[string]bool {
	out := map[string]bool{}
	for _, c := range changes {
		if slices.Contains(c.After, key) {
			for _, m := range c.Members {
				out[m.User.key()] = true
			}
		}
	}
	return out
}

// knows tells whether somebody or some group of either side is meant, with or without a change.
func (p Plan) knows(meant func(Ref) bool) bool {
	for i := range p.snapshot.Users {
		u := &p.snapshot.Users[i]
		for _, name := range []string{u.UserName, u.Email} {
			if meant(Ref{Source: string(u.ID), Name: name}) {
				return true
			}
		}
	}
	for i := range p.snapshot.Groups {
		if g := &p.snapshot.Groups[i]; meant(Ref{Source: string(g.ID), Name: g.Name}) {
			return true
		}
	}
	for target, source := range p.owned {
		if meant(Ref{Source: source, Target: target}) {
			return true
		}
	}
	return slices.ContainsFunc(p.Notes, func(n Note) bool { return meant(n.Object) })
}

func narrow(changes []Change, meant func(Ref) bool) []Change {
	var out []Change
	for _, c := range changes {
		if !meant(c.Object) {
			c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Membership) bool { return !meant(m.User) })
			if len(c.Members) == 0 {
				continue
			}
			c.Why, c.Spends = c.Members[0].Why, c.spendsOf(len(c.Members))
		}
		out = append(out, c)
	}
	return out
}
