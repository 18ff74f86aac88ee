package lab

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A photo is what the target holds at one moment.
type photo struct {
	users  map[string]sim.SCIMUser
	groups map[string]sim.SCIMGroup
	edited map[string]bool // objects on which a hand was, of the copy that the record is played on
}

func (w *world) photo() photo {
	p := photo{users: map[string]sim.SCIMUser{}, groups: map[string]sim.SCIMGroup{}, edited: map[string]bool{}}
	for _, u := range w.scim.Users() {
		p.users[u.ID] = u
	}
	for _, g := range w.scim.Groups() {
		p.groups[g.ID] = g
	}
	return p
}

// fields are the attributes that the product manages.
func fields(u sim.SCIMUser) map[string]string {
	out := map[string]string{
		"userName": u.UserName, "externalId": u.ExternalID, "name.givenName": u.GivenName, "name.familyName": u.FamilyName,
		"displayName": u.DisplayName, "active": strconv.FormatBool(u.Active), "emails": "",
	}
	for _, e := range u.Emails {
		out["emails"] = e.Value
	}
	for _, p := range u.Phones {
		out["phoneNumbers."+p.Type] = p.Value
	}
	return out
}

// same compares two values of an attribute as people do.
func same(field, a, b string) bool {
	switch {
	case field == "userName" || field == "emails":
		return connectors.Fold(a) == connectors.Fold(b)
	case strings.HasPrefix(field, "phoneNumbers."):
		return digits(a) == digits(b)
	}
	return strings.TrimSpace(a) == strings.TrimSpace(b)
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

func memberSet(g sim.SCIMGroup) map[string]string {
	out := map[string]string{}
	for _, m := range g.Members {
		out[m.Value] = m.Type
	}
	return out
}

// diff lists what happened between two photos, in a fixed order.
func diff(before, after photo) (out []effect) {
	for _, id := range slices.Sorted(maps.Keys(after.users)) {
		old, was := before.users[id]
		if !was {
			out = append(out, effect{what: "create user", user: id, to: after.users[id].UserName})
			continue
		}
		from, to := fields(old), fields(after.users[id])
		for _, f := range slices.Sorted(maps.Keys(union(from, to))) {
			if from[f] != to[f] {
				out = append(out, effect{what: "set", user: id, field: f, from: from[f], to: to[f]})
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before.users)) {
		if _, still := after.users[id]; !still {
			out = append(out, effect{what: "delete user", user: id, from: before.users[id].UserName})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(after.groups)) {
		g := after.groups[id]
		old, was := before.groups[id]
		if !was {
			out = append(out, effect{what: "create group", group: id, to: g.DisplayName})
		} else {
			if old.DisplayName != g.DisplayName {
				out = append(out, effect{what: "name group", group: id, field: "displayName", from: old.DisplayName, to: g.DisplayName})
			}
			if old.ExternalID != g.ExternalID {
				out = append(out, effect{what: "name group", group: id, field: "externalId", from: old.ExternalID, to: g.ExternalID})
			}
		}
		out = append(out, moves(id, memberSet(old), memberSet(g))...)
	}
	for _, id := range slices.Sorted(maps.Keys(before.groups)) {
		if _, still := after.groups[id]; !still {
			out = append(out, effect{what: "delete group", group: id, from: before.groups[id].DisplayName})
			out = append(out, moves(id, memberSet(before.groups[id]), nil)...)
		}
	}
	return out
}

func moves(group string, from, to map[string]string) (out []effect) {
	for _, id := range slices.Sorted(maps.Keys(union(from, to))) {
		_, was := from[id]
		kind, is := to[id]
		switch {
		case was && !is:
			out = append(out, effect{what: "leave", user: id, group: group, kind: from[id]})
		case !was && is:
			out = append(out, effect{what: "join", user: id, group: group, kind: kind})
		}
	}
	return out
}

func union(a, b map[string]string) map[string]string {
	out := maps.Clone(b)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, a)
	return out
}
