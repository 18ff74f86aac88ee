package reconcile

import (
	"maps"

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
	var out []Resolution
	for _, i := range ledger.Open {
		r := Resolution{Intent: i.ID, Outcome: OutcomeFailed}
		var l Link
		var ok bool
		if i.Change.Object.Kind == KindUser {
			if l, ok = resolveUser(ledger, i, in.users); ok {
				ledger.Users[connectors.UserID(l.Source)] = l
			}
		} else if l, ok = resolveGroup(ledger, i, in.groups); ok {
			ledger.Groups[connectors.GroupID(l.Source)] = l
		}
		if ok {
			r.Outcome, r.Link = OutcomeDone, &l
		}
		out = append(out, r)
	}
	return ledger, out
}

func resolveUser(ledger Ledger, i Intent, users []scimclient.User) (Link, bool) {
	if i.User == nil {
		return Link{}, false
	}
	ref := i.Change.Object
	owned := map[string]bool{}
	for _, l := range ledger.Users {
		if l.Source != ref.Source {
			owned[l.Target] = true
		}
	}
	for n := range users {
		u := &users[n]
		mine := u.ID == ref.Target
		if ref.Target == "" {
			mine = !owned[u.ID] && (i.User.ExternalID != "" && u.ExternalID == i.User.ExternalID ||
				u.ExternalID == "" && sameFolded(u.UserName, i.User.UserName))
		}
		if !mine {
			continue
		}
		if ref.Target != "" && !arrived(i.Change.Fields, valuesOf(u)) {
			return Link{}, false
		}
		return Link{Kind: KindUser, Source: ref.Source, Target: u.ID, User: i.User, Stuck: ledger.Users[connectors.UserID(ref.Source)].Stuck}, true
	}
	return Link{}, false
}

// arrived tells whether the state of the account is what the fields were to make it: active decides, then the rest.
func arrived(fields []Field, have UserValues) bool {
	for _, f := range fields {
		switch f.Name {
		case "active":
			if boolText(have.Active) != f.To {
				return false
			}
		case "userName":
			if !sameFolded(have.UserName, f.To) {
				return false
			}
		case "externalId":
			if have.ExternalID != f.To {
				return false
			}
		case "displayName":
			if !sameText(have.DisplayName, f.To) {
				return false
			}
		case "name.givenName":
			if !sameText(have.GivenName, f.To) {
				return false
			}
		case "name.familyName":
			if !sameText(have.FamilyName, f.To) {
				return false
			}
		}
	}
	return true
}

func resolveGroup(ledger Ledger, i Intent, groups []scimclient.Group) (Link, bool) {
	ref := i.Change.Object
	if i.Group == nil {
		return Link{}, false
	}
	owned := map[string]bool{}
	for _, l := range ledger.Groups {
		if l.Source != ref.Source {
			owned[l.Target] = true
		}
	}
	for n := range groups {
		g := &groups[n]
		mine := g.ID == ref.Target
		if ref.Target == "" {
			mine = !owned[g.ID] && (g.ExternalID != "" && g.ExternalID == i.Group.ExternalID || g.ExternalID == "" && sameText(g.DisplayName, i.Group.DisplayName))
		}
		if mine {
			v := GroupValues{DisplayName: g.DisplayName, ExternalID: i.Group.ExternalID, Members: memberIDs(g.Members)}
			return Link{Kind: KindGroup, Source: ref.Source, Target: g.ID, Group: &v, Stuck: ledger.Groups[connectors.GroupID(ref.Source)].Stuck}, true
		}
	}
	return Link{}, false
}
