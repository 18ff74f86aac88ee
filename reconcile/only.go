package reconcile

import (
	"fmt"
	"slices"
	"strings"
)

// Only returns the part of a plan that is about one person or group, named by userName or displayName, directory id or
// SCIM id: their own changes and, for a person, their memberships. A plan that does not mention who is returned empty;
// one in which who is ambiguous is an error. Objections stay: what the whole plan may not do, a part of it may not either.
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
	out := p
	out.Changes, out.Held, out.Notes = narrow(p.Changes, meant), narrow(p.Held, meant), nil
	for _, n := range p.Notes {
		if meant(n.Object) {
			out.Notes = append(out.Notes, n)
		}
	}
	// What a kept change waits for comes along: a name cannot be given before it is free.
	for again := true; again; {
		again = false
		for _, c := range p.Changes {
			if awaitedKeys(out.Changes)[c.Key()] && !slices.ContainsFunc(out.Changes, func(k Change) bool { return k.Key() == c.Key() }) {
				out.Changes, again = append(out.Changes, c), true
			}
		}
	}
	out.Changes = dropAbsent(out.Changes)
	slices.SortStableFunc(out.Changes, byPhase(out.Changes))
	out.Writes = writes(out.Changes)
	out.partial = true
	return out, nil
}

func narrow(changes []Change, meant func(Ref) bool) []Change {
	var out []Change
	for _, c := range changes {
		if !meant(c.Object) {
			c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Membership) bool { return !meant(m.User) })
			if len(c.Members) == 0 {
				continue
			}
			c.Why = c.Members[0].Why
		}
		out = append(out, c)
	}
	return out
}
