package sim

import (
	"net/http"
	"strconv"
)

// isBrief reads briefRepresentation; unset is what Keycloak takes where it is not given.
func isBrief(r *http.Request, unset bool) bool {
	if brief, err := strconv.ParseBool(r.URL.Query().Get("briefRepresentation")); err == nil {
		return brief
	}
	return unset
}

// user is a person as the Admin REST API has them. Keycloak leaves out what has no value.
func (s *Keycloak) user(p *person, brief bool) map[string]any {
	u := map[string]any{"id": KeycloakID(p.ID), "username": p.Login, "emailVerified": false, "enabled": false}
	switch p.Status {
	case StatusStaged, StatusSuspended, StatusDeprovisioned:
	default:
		u["enabled"] = true
	}
	for name, value := range map[string]string{"email": p.Email, "firstName": p.FirstName, "lastName": p.LastName} {
		if value != "" {
			u[name] = value
		}
	}
	if brief {
		return u
	}
	u["totp"], u["disableableCredentialTypes"], u["requiredActions"], u["notBefore"] = false, []string{}, []string{}, 0
	attributes := map[string][]string{}
	for name, value := range map[string]string{
		"department": p.Department, "title": p.Title, "employeeNumber": p.EmployeeNumber, "phoneNumber": p.MobilePhone, "nickname": p.NickName,
	} {
		if value != "" {
			attributes[name] = []string{value}
		}
	}
	if len(attributes) > 0 {
		u["attributes"] = attributes
	}
	return u
}

// path is where a group stands among the groups.
func (s *Keycloak) path(g *group) string {
	if parent := s.company.named[s.parent(g)]; parent != nil {
		return s.path(parent) + "/" + g.Name
	}
	return "/" + g.Name
}

// plainGroup is a group as the listings of a user and of a role have it.
func (s *Keycloak) plainGroup(g *group) map[string]any {
	out := map[string]any{"id": KeycloakID(g.ID), "name": g.Name, "path": s.path(g), "subGroups": []any{}}
	if parent := s.company.named[s.parent(g)]; parent != nil {
		out["parentId"] = KeycloakID(parent.ID)
	}
	return out
}

// group is a group as the listings of groups have it: with the number of those below it or, on an old server, with them.
func (s *Keycloak) group(g *group) any {
	out, below := s.plainGroup(g), s.within(g.Name)
	out["access"] = map[string]bool{"view": true, "viewMembers": true, "manage": false, "manageMembers": false, "manageMembership": false}
	if !s.options.Embedded {
		out["subGroupCount"] = len(below)
		return out
	}
	subs := make([]any, len(below))
	for i, sub := range below {
		subs[i] = s.group(sub)
	}
	out["subGroups"] = subs
	return out
}

// role is the one role of the company's app.
func (s *Keycloak) role() any {
	return map[string]any{
		"id": KeycloakID("role of " + s.company.appID), "name": KeycloakRole, "composite": false, "clientRole": true, "containerId": s.clientID(),
	}
}
