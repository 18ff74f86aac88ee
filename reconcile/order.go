package reconcile

import "slices"

// A phase is one step of applying; everything in it may run side by side, and all of it ends before the next begins.
type phase int

const (
	phaseLink   phase = iota // no request
	phaseFree                // renames that free a name somebody waits for
	phaseEnter               // create and reactivate people
	phaseUpdate              // people's attributes
	phaseGroups              // create and rename groups; a created group takes its first members along
	phaseAdd                 // members in
	phaseRemove              // members out
	phaseLeave               // deactivate
	phaseDelete
	phaseCount
)

// phaseOf places a change. awaited are the keys that others wait for.
func phaseOf(c Change, awaited map[string]bool) phase {
	switch c.Verb {
	case VerbLink:
		return phaseLink
	case VerbAdd:
		return phaseAdd
	case VerbRemove:
		return phaseRemove
	case VerbDeactivate:
		return phaseLeave
	case VerbDelete:
		return phaseDelete
	}
	switch {
	case c.Object.Kind == KindGroup:
		return phaseGroups
	case (c.Verb == VerbUpdate || c.Verb == VerbReactivate) && awaited[c.Key()]:
		return phaseFree
	case c.Verb == VerbUpdate:
		return phaseUpdate
	}
	return phaseEnter
}

func awaitedKeys(changes []Change) map[string]bool {
	out := map[string]bool{}
	for _, c := range changes {
		for _, k := range c.After {
			out[k] = true
		}
	}
	return out
}

// byPhase orders changes as they are applied; within a phase the order of the directory's ids stays.
func byPhase(changes []Change) func(a, b Change) int {
	awaited := awaitedKeys(changes)
	return func(a, b Change) int { return int(phaseOf(a, awaited)) - int(phaseOf(b, awaited)) }
}

// A step is what one worker does in one go: a change, or the changes of one group that share their requests.
type step []Change

// steps arranges a plan's changes by phase. The first members of a group ride on its creation. Additions to and removals
// from one group share requests, unless one of those who go is being added elsewhere: then the removals come after all
// additions, so that nobody who moves is for a moment in neither group.
func steps(changes []Change) [phaseCount][]step {
	awaited := awaitedKeys(changes)
	var out [phaseCount][]step
	arriving := map[string]bool{} // people whom some group is given
	adds := map[string]Change{}   // by group
	created := map[string]bool{}  // groups
	for _, c := range changes {
		switch {
		case c.Verb == VerbAdd:
			adds[c.Object.Source] = c
			for _, m := range c.Members {
				arriving[m.User.key()] = true
			}
		case c.Verb == VerbCreate && c.Object.Kind == KindGroup:
			created[c.Object.Source] = true
		}
	}
	riding := map[string]bool{}
	removes := map[string]Change{}
	for _, c := range changes {
		if c.Verb != VerbRemove {
			continue
		}
		moves := slices.ContainsFunc(c.Members, func(m Membership) bool { return arriving[m.User.key()] })
		if _, ok := adds[c.Object.Source]; ok && !moves {
			riding[c.Key()], removes[c.Object.Source] = true, c
		}
	}
	for _, c := range changes {
		s, p := step{c}, phaseOf(c, awaited)
		switch {
		case riding[c.Key()] || c.Verb == VerbAdd && created[c.Object.Source]:
			continue
		case p == phaseGroups && created[c.Object.Source]:
			if a, ok := adds[c.Object.Source]; ok {
				s = append(s, a)
			}
		case c.Verb == VerbAdd:
			if r, ok := removes[c.Object.Source]; ok {
				s = append(s, r)
			}
		}
		out[p] = append(out[p], s)
	}
	return out
}

// membersPerRequest is how many additions and removals fit one request (the least that strict servers take).
const membersPerRequest = 100

// writes counts the requests that a plan costs when every answer carries the object.
func writes(changes []Change) int {
	n := 0
	for p, ss := range steps(changes) {
		if phase(p) == phaseLink {
			continue
		}
		for _, s := range ss {
			members := 0
			for _, c := range s {
				if c.Verb == VerbAdd || c.Verb == VerbRemove {
					members += len(c.Members)
				}
			}
			requests := (members + membersPerRequest - 1) / membersPerRequest
			if s[0].Verb != VerbAdd && s[0].Verb != VerbRemove {
				requests = max(1, requests)
			}
			n += requests
		}
	}
	return n
}
