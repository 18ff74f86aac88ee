package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// resolve settles the intents that an earlier run left without an outcome by what Rootly holds now: a create whose
// answer was lost must not become an account that nobody owns. It returns the ledger as it follows.
func resolve(ledger Ledger, in reading) (Ledger, []Resolution) {
	if len(ledger.Open) == 0 {
		return ledger, nil
	}
	ledger.Users, ledger.Groups = maps.Clone(ledger.Users), maps.Clone(ledger.Groups)
	if ledger.Users == nil {
		ledger.Users = map[connectors.UserID]Link{}
	}
	if ledger.Groups == nil {
		ledger.Groups = map[connectors.GroupID]Link{}
	}
	spent := maps.Clone(ledger.Spent)
	if spent == nil {
		spent = map[Axis]int{}
	}
	idx := index(ledger, in)
	var out []Resolution
	for _, i := range ledger.Open {
		r := Resolution{Intent: i.ID, Outcome: OutcomeFailed}
		var l Link
		var ok bool
		if i.Change.Object.Kind == KindUser {
			if l, ok = idx.user(i); ok {
				ledger.Users[connectors.UserID(l.Source)] = l
			}
		} else if l, ok = idx.group(i); ok {
			ledger.Groups[connectors.GroupID(l.Source)] = l
		}
		switch {
		case ok:
			r.Outcome, r.Link = OutcomeDone, &l
		case i.Change.Verb == VerbDelete && i.Change.Object.Kind == KindGroup && idx.groups[i.Change.Object.Target] == nil:
			r.Outcome = OutcomeDone // a listing that lacks it is checked by id before anything is planned
		}
		if r.Outcome == OutcomeDone { // what it took away counts from now on, also in this very plan
			for axis, n := range i.Change.Spends {
				spent[axis] += n
			}
		}
		out = append(out, r)
	}
	ledger.Spent = spent
	return ledger, out
}

// An openIndex finds what open intents may have led to.
type openIndex struct {
	ledger      Ledger
	owner       map[string]string // kind and SCIM id → directory id of a link
	users       map[string]*scimclient.User
	usersByExt  map[string]*scimclient.User
	groups      map[string]*scimclient.Group
	groupsByExt map[string]*scimclient.Group
	hidden      map[string]bool // see reading
}

func index(ledger Ledger, in reading) openIndex {
	x := openIndex{ledger, map[string]string{}, map[string]*scimclient.User{}, map[string]*scimclient.User{}, map[string]*scimclient.Group{}, map[string]*scimclient.Group{}, in.hidden}
	for _, l := range ledger.Users {
		x.owner["user "+l.Target] = l.Source
	}
	for _, l := range ledger.Groups {
		x.owner["group "+l.Target] = l.Source
	}
	for i := range in.users {
		u := &in.users[i]
		x.users[u.ID], x.usersByExt[u.ExternalID] = u, u
	}
	for i := range in.groups {
		g := &in.groups[i]
		x.groups[g.ID], x.groupsByExt[g.ExternalID] = g, g
	}
	return x
}

// free tells whether an object is nobody else's.
func (x openIndex) free(kind, id, source string) bool {
	owner, owned := x.owner[kind+" "+id]
	return !owned || owner == source
}

// user finds the account of an intent. What was made is known by its externalId alone: the request may never have been
// sent, and an account of the same userName is then somebody else's. Whoever is still in scope is matched by userName as
// ever.
func (x openIndex) user(i Intent) (Link, bool) {
	if i.User == nil {
		return Link{}, false
	}
	ref := i.Change.Object
	l := Link{Kind: KindUser, Source: ref.Source, User: i.User, Stuck: x.ledger.Users[connectors.UserID(ref.Source)].Stuck}
	if i.Change.Verb == VerbCreate {
		u := x.usersByExt[i.User.ExternalID]
		if u == nil || i.User.ExternalID == "" || !x.free("user", u.ID, ref.Source) {
			return Link{}, false
		}
		l.Target = u.ID
		return l, true
	}
	u := x.users[ref.Target]
	if u == nil && i.Change.Verb == VerbDeactivate && x.hidden[ref.Target] {
		l.Target = ref.Target // deactivated and out of sight, as on some servers
		return l, true
	}
	if u == nil || !arrived(i.Change.Fields, valuesOf(u)) {
		return Link{}, false
	}
	l.Target = u.ID
	return l, true
}

// group finds the group of an intent in the same way.
func (x openIndex) group(i Intent) (Link, bool) {
	if i.Group == nil || i.Change.Verb == VerbDelete {
		return Link{}, false
	}
	ref := i.Change.Object
	g := x.groups[ref.Target]
	// The link dangles when a hand has deleted the group: what was made in its place is found as any new one is.
	made := ref.Target == "" || g == nil && (i.Change.Verb == VerbCreate || i.Change.Verb == VerbAdd)
	if made {
		if g = x.groupsByExt[i.Group.ExternalID]; g == nil || g.ExternalID == "" || !x.free("group", g.ID, ref.Source) || strangersIn(x.ledger, g) {
			return Link{}, false
		}
	} else if g == nil || !groupArrived(x.ledger, i.Change, g) {
		return Link{}, false
	}
	v := GroupValues{DisplayName: g.DisplayName, ExternalID: i.Group.ExternalID, Members: memberIDs(g.Members)}
	return Link{Kind: KindGroup, Source: ref.Source, Target: g.ID, Group: &v, Stuck: x.ledger.Groups[connectors.GroupID(ref.Source)].Stuck}, true
}

// arrived tells whether the account is what the fields were to make it.
func arrived(fields []Field, have UserValues) bool {
	for _, f := range fields {
		now := fieldOf(have, f.Name)
		same := now == f.To || sameText(now, f.To)
		switch {
		case f.Name == "userName" || f.Name == "emails":
			same = sameFolded(now, f.To)
		case strings.HasPrefix(f.Name, "phoneNumbers."):
			same = digits(now) == digits(f.To)
		}
		if !same {
			return false
		}
	}
	return true
}

// digits is a number without its spelling. What is compared by it was written in E.164.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// strangersIn tells whether a group that may be ours has members whom none of the open additions put there: it was there
// before, and only a yes takes it over.
func strangersIn(ledger Ledger, g *scimclient.Group) bool {
	sent := map[string]bool{}
	for _, i := range ledger.Open {
		if i.Change.Verb == VerbAdd && i.Group != nil && i.Group.ExternalID == g.ExternalID {
			for _, m := range i.Change.Members {
				sent[accountOf(ledger, m.User)] = true
			}
		}
	}
	return slices.ContainsFunc(g.Members, func(m scimclient.Member) bool { return !sent[m.Value] })
}

// accountOf is a member's SCIM id. Whoever was created, or created anew, in the run that planned the membership had none
// then, or another one.
func accountOf(ledger Ledger, member Ref) string {
	return cmp.Or(ledger.Users[connectors.UserID(member.Source)].Target, member.Target)
}

// groupArrived tells whether a group is what the change was to make it.
func groupArrived(ledger Ledger, c Change, g *scimclient.Group) bool {
	in := map[string]bool{}
	for _, m := range g.Members {
		in[m.Value] = true
	}
	for _, m := range c.Members {
		if in[accountOf(ledger, m.User)] != (c.Verb == VerbAdd) {
			return false
		}
	}
	for _, f := range c.Fields {
		now := g.DisplayName
		if f.Name == "externalId" {
			now = g.ExternalID
		}
		if !sameText(now, f.To) {
			return false
		}
	}
	return true
}
