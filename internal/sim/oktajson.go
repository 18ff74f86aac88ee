package sim

import (
	"net/http"
	"strings"
	"time"
)

// The types below are the answers of Okta's API as its description gives them. Pointers without omitempty are the
// attributes that Okta writes as null.

type oktaLink struct {
	Href string `json:"href"`
}

type oktaUser struct {
	ID                    string              `json:"id"`
	Status                Status              `json:"status"`
	Created               string              `json:"created"`
	Activated             *string             `json:"activated"`
	StatusChanged         *string             `json:"statusChanged"`
	LastLogin             *string             `json:"lastLogin"`
	LastUpdated           string              `json:"lastUpdated"`
	PasswordChanged       *string             `json:"passwordChanged"`
	TransitioningToStatus *string             `json:"transitioningToStatus,omitempty"`
	Type                  map[string]string   `json:"type"`
	Profile               oktaProfile         `json:"profile"`
	Credentials           map[string]any      `json:"credentials"`
	Links                 map[string]oktaLink `json:"_links"`
}

type oktaProfile struct {
	FirstName      string  `json:"firstName"`
	LastName       string  `json:"lastName"`
	DisplayName    string  `json:"displayName,omitempty"`
	NickName       string  `json:"nickName,omitempty"`
	MobilePhone    *string `json:"mobilePhone"`
	SecondEmail    *string `json:"secondEmail"`
	Login          string  `json:"login"`
	Email          string  `json:"email"`
	Title          string  `json:"title,omitempty"`
	Department     string  `json:"department,omitempty"`
	EmployeeNumber string  `json:"employeeNumber,omitempty"`
}

type oktaGroup struct {
	ID                    string              `json:"id"`
	Created               string              `json:"created"`
	LastUpdated           string              `json:"lastUpdated"`
	LastMembershipUpdated string              `json:"lastMembershipUpdated"`
	ObjectClass           []string            `json:"objectClass"`
	Type                  string              `json:"type"`
	Profile               oktaGroupProfile    `json:"profile"`
	Links                 map[string]oktaLink `json:"_links"`
}

type oktaGroupProfile struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type oktaAppUser struct {
	ID              string              `json:"id"`
	Created         string              `json:"created"`
	LastUpdated     string              `json:"lastUpdated"`
	Scope           string              `json:"scope"`
	Status          string              `json:"status"`
	StatusChanged   string              `json:"statusChanged"`
	PasswordChanged *string             `json:"passwordChanged"`
	SyncState       string              `json:"syncState"`
	Credentials     map[string]string   `json:"credentials"`
	Profile         map[string]string   `json:"profile"`
	Links           map[string]oktaLink `json:"_links"`
	Embedded        map[string]oktaUser `json:"_embedded,omitempty"`
}

type oktaAppGroup struct {
	ID          string               `json:"id"`
	LastUpdated string               `json:"lastUpdated"`
	Priority    int                  `json:"priority"`
	Profile     map[string]string    `json:"profile"`
	Links       map[string]oktaLink  `json:"_links"`
	Embedded    map[string]oktaGroup `json:"_embedded,omitempty"`
}

func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(stamp(t))
}

func stringOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func apiLink(r *http.Request, path ...string) oktaLink {
	return oktaLink{baseURL(r) + "/api/v1/" + strings.Join(path, "/")}
}

func (s *Okta) user(r *http.Request, p *person) oktaUser {
	return oktaUser{
		ID:              p.ID,
		Status:          p.Status,
		Created:         stamp(p.Created),
		Activated:       stampOrNull(p.Activated),
		StatusChanged:   stampOrNull(p.StatusChanged),
		LastUpdated:     stamp(p.LastUpdated),
		PasswordChanged: stampOrNull(p.Activated),
		Type:            map[string]string{"id": "oty" + s.company.appID[3:]},
		Profile: oktaProfile{
			FirstName:      p.FirstName,
			LastName:       p.LastName,
			DisplayName:    p.DisplayName,
			NickName:       p.NickName,
			MobilePhone:    stringOrNull(p.MobilePhone),
			Login:          p.Login,
			Email:          p.Email,
			Title:          p.Title,
			Department:     p.Department,
			EmployeeNumber: p.EmployeeNumber,
		},
		Credentials: map[string]any{"provider": map[string]string{"type": "OKTA", "name": "OKTA"}},
		Links:       map[string]oktaLink{"self": apiLink(r, "users", p.ID)},
	}
}

func (s *Okta) group(r *http.Request, g *group) oktaGroup {
	return oktaGroup{
		ID:                    g.ID,
		Created:               stamp(g.Created),
		LastUpdated:           stamp(g.LastUpdated),
		LastMembershipUpdated: stamp(g.MembershipUpdated),
		ObjectClass:           []string{"okta:user_group"},
		Type:                  g.Type,
		Profile:               oktaGroupProfile{g.Name, g.Description},
		Links: map[string]oktaLink{
			"users": apiLink(r, "groups", g.ID, "users"),
			"apps":  apiLink(r, "groups", g.ID, "apps"),
		},
	}
}

// appUser is the assignment. Its profile has the names of an OIDC app, not Okta's own, and its status says nothing
// about the person's: without Okta's provisioning it reads ACTIVE.
func (s *Okta) appUser(r *http.Request, p *person, expand bool) oktaAppUser {
	u := oktaAppUser{
		ID:            p.ID,
		Created:       stamp(p.Created),
		LastUpdated:   stamp(p.LastUpdated),
		Scope:         "GROUP",
		Status:        "ACTIVE",
		StatusChanged: stamp(p.Created),
		SyncState:     "DISABLED",
		Credentials:   map[string]string{"userName": p.Login},
		Profile: map[string]string{
			"name": p.FirstName + " " + p.LastName, "given_name": p.FirstName, "family_name": p.LastName, "email": p.Email,
		},
		Links: map[string]oktaLink{"app": apiLink(r, "apps", s.company.appID), "user": apiLink(r, "users", p.ID)},
	}
	if p.Direct {
		u.Scope = "USER"
	}
	if expand {
		u.Embedded = map[string]oktaUser{"user": s.user(r, p)}
	}
	return u
}

func (s *Okta) appGroup(r *http.Request, g *group, expand bool) oktaAppGroup {
	a := oktaAppGroup{
		ID:          g.ID,
		LastUpdated: stamp(g.LastUpdated),
		Priority:    g.seq,
		Profile:     map[string]string{},
		Links: map[string]oktaLink{
			"app":   apiLink(r, "apps", s.company.appID),
			"group": apiLink(r, "groups", g.ID),
			"self":  apiLink(r, "apps", s.company.appID, "groups", g.ID),
		},
	}
	if expand {
		a.Embedded = map[string]oktaGroup{"group": s.group(r, g)}
	}
	return a
}

func (s *Okta) getApp(_ http.ResponseWriter, r *http.Request) (any, *oktaError) {
	founded := stamp(s.company.founded)
	return map[string]any{
		"id": s.company.appID, "name": "oidc_client", "label": "Rootly", "status": "ACTIVE", "signOnMode": "OPENID_CONNECT",
		"created": founded, "lastUpdated": founded, "features": []string{},
		"_links": map[string]oktaLink{
			"users":  apiLink(r, "apps", s.company.appID, "users"),
			"groups": apiLink(r, "apps", s.company.appID, "groups"),
		},
	}, nil
}

func (s *Okta) getAppUser(_ http.ResponseWriter, r *http.Request) (any, *oktaError) {
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	p := s.company.byID[r.PathValue("user")]
	if p == nil || !p.assigned() {
		return nil, notFound(r.PathValue("user"), "AppUser")
	}
	return s.appUser(r, p, r.URL.Query().Get("expand") == "user"), nil
}

func (s *Okta) getGroup(_ http.ResponseWriter, r *http.Request) (any, *oktaError) {
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	g := s.company.groupID[r.PathValue("group")]
	if g == nil {
		return nil, notFound(r.PathValue("group"), "UserGroup")
	}
	return s.group(r, g), nil
}

func (s *Okta) getUser(_ http.ResponseWriter, r *http.Request) (any, *oktaError) {
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	p := s.find(r.PathValue("user"))
	if p == nil {
		return nil, notFound(r.PathValue("user"), "User")
	}
	return s.user(r, p), nil
}

// find knows a user by id, by login and, as "me", by the token: that is the first person hired.
func (s *Okta) find(key string) *person {
	if p := s.company.byLogin[strings.ToLower(key)]; p != nil {
		return p
	}
	if key == "me" && len(s.company.people) > 0 {
		return s.company.people[0]
	}
	return s.company.byID[key]
}
