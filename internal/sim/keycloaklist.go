package sim

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// keycloakPage answers with the part of a list that first and max ask for; unset is max where it is not given.
func keycloakPage[T any](r *http.Request, unset int, list []T, show func(T) any) (any, *keycloakError) {
	first, most := 0, unset
	for name, into := range map[string]*int{"first": &first, "max": &most} {
		if text := r.URL.Query().Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, keycloakRefusal(http.StatusNotFound)
			}
			*into = n
		}
	}
	list = list[min(max(first, 0), len(list)):]
	if most >= 0 {
		list = list[:min(most, len(list))]
	}
	page := make([]any, len(list))
	for i, item := range list {
		page[i] = show(item)
	}
	return page, nil
}

// defaultPage is how many elements most listings have when nothing is asked for.
const defaultPage = 100

// byUsername is everybody in the order of Keycloak's listings. The caller holds the company's lock.
func (s *Keycloak) byUsername() []*person {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sorted == nil || !s.at.Equal(s.company.now) || s.sortedN != len(s.company.people) {
		s.sorted = slices.DeleteFunc(slices.Clone(s.company.people), func(p *person) bool { return p == nil })
		slices.SortFunc(s.sorted, func(a, b *person) int { return strings.Compare(a.Login, b.Login) })
		s.at, s.sortedN = s.company.now, len(s.company.people)
	}
	return s.sorted
}

// amid adds the service account, where there is one, to people at its place.
func (s *Keycloak) amid(people []*person) []*person {
	slices.SortFunc(people, func(a, b *person) int { return strings.Compare(a.Login, b.Login) })
	if !s.options.ServiceAccounts {
		return people
	}
	robot := &person{Person: Person{ID: "service-account", Login: "service-account-billing", Status: StatusActive}}
	i, _ := slices.BinarySearchFunc(people, robot.Login, func(p *person, login string) int { return strings.Compare(p.Login, login) })
	return slices.Insert(people, i, robot)
}

func (s *Keycloak) listUsers(r *http.Request) (any, *keycloakError) {
	return keycloakPage(r, defaultPage, s.byUsername(), func(p *person) any { return s.user(p, isBrief(r, true)) })
}

func (s *Keycloak) countUsers(*http.Request) (any, *keycloakError) { return len(s.byUsername()), nil }

func (s *Keycloak) person(r *http.Request) (*person, *keycloakError) {
	for _, p := range s.byUsername() {
		if KeycloakID(p.ID) == r.PathValue("user") {
			return p, nil
		}
	}
	return nil, &keycloakError{404, "User not found", ""}
}

func (s *Keycloak) getUser(r *http.Request) (any, *keycloakError) {
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	return s.user(p, false), nil
}

func (s *Keycloak) groupsOfUser(r *http.Request) (any, *keycloakError) {
	p, err := s.person(r)
	if err != nil {
		return nil, err
	}
	mine := slices.DeleteFunc(s.groups(), func(g *group) bool { return !slices.Contains(g.members, p.seq) })
	return keycloakPage(r, defaultPage, mine, func(g *group) any { return s.plainGroup(g) })
}

func (s *Keycloak) rolesOfUser(r *http.Request) (any, *keycloakError) {
	p, err := s.person(r)
	switch {
	case err != nil:
		return nil, err
	case r.PathValue("client") != s.clientID():
		return nil, &keycloakError{404, "Client not found", ""}
	case !p.Direct:
		return []any{}, nil
	}
	return []any{s.role()}, nil
}

// groups are the realm's groups by name.
func (s *Keycloak) groups() []*group {
	groups := slices.DeleteFunc(slices.Clone(s.company.groups), func(g *group) bool { return g == nil || g == s.company.all })
	slices.SortFunc(groups, func(a, b *group) int { return strings.Compare(a.Name, b.Name) })
	return groups
}

// within are the groups right below the one with this name, "" for the top level. A parent that is gone leaves its groups
// at the top.
func (s *Keycloak) within(name string) []*group {
	return slices.DeleteFunc(s.groups(), func(g *group) bool { return s.parent(g) != name })
}

func (s *Keycloak) parent(g *group) string {
	if name := s.options.Parents[g.Name]; s.company.named[name] != nil {
		return name
	}
	return ""
}

func (s *Keycloak) findGroup(r *http.Request) (*group, *keycloakError) {
	for _, g := range s.groups() {
		if KeycloakID(g.ID) == r.PathValue("group") {
			return g, nil
		}
	}
	return nil, &keycloakError{404, "Could not find group by id", ""}
}

func (s *Keycloak) listGroups(r *http.Request) (any, *keycloakError) {
	return keycloakPage(r, -1, s.within(""), s.group)
}

func (s *Keycloak) getGroup(r *http.Request) (any, *keycloakError) {
	g, err := s.findGroup(r)
	if err != nil {
		return nil, err
	}
	return s.group(g), nil
}

func (s *Keycloak) listChildren(r *http.Request) (any, *keycloakError) {
	g, err := s.findGroup(r)
	if err != nil {
		return nil, err
	}
	return keycloakPage(r, 10, s.within(g.Name), s.group)
}

func (s *Keycloak) listMembers(r *http.Request) (any, *keycloakError) {
	g, err := s.findGroup(r)
	if err != nil {
		return nil, err
	}
	people := make([]*person, len(g.members))
	for i, seq := range g.members {
		people[i] = s.company.people[seq]
	}
	return keycloakPage(r, defaultPage, s.amid(people), func(p *person) any { return s.user(p, isBrief(r, false)) })
}

func (s *Keycloak) listClients(r *http.Request) (any, *keycloakError) {
	if id := r.URL.Query().Get("clientId"); id != KeycloakApp {
		return []any{}, nil
	}
	return []any{map[string]any{"id": s.clientID(), "clientId": KeycloakApp, "enabled": true, "protocol": "openid-connect"}}, nil
}

// clientID is the id of the company's app in paths.
func (s *Keycloak) clientID() string { return KeycloakID(s.company.appID) }

func (s *Keycloak) ofClient(r *http.Request) *keycloakError {
	switch {
	case r.PathValue("client") != s.clientID():
		return &keycloakError{404, "Could not find client", ""}
	case r.PathValue("role") != "" && r.PathValue("role") != KeycloakRole:
		return &keycloakError{404, "Could not find role", ""}
	}
	return nil
}

func (s *Keycloak) listRoles(r *http.Request) (any, *keycloakError) {
	if err := s.ofClient(r); err != nil {
		return nil, err
	}
	return keycloakPage(r, -1, []any{s.role()}, func(role any) any { return role })
}

func (s *Keycloak) usersWithRole(r *http.Request) (any, *keycloakError) {
	if err := s.ofClient(r); err != nil {
		return nil, err
	}
	direct := slices.DeleteFunc(slices.Clone(s.byUsername()), func(p *person) bool { return !p.Direct })
	return keycloakPage(r, defaultPage, s.amid(direct), func(p *person) any { return s.user(p, isBrief(r, false)) })
}

func (s *Keycloak) groupsWithRole(r *http.Request) (any, *keycloakError) {
	if err := s.ofClient(r); err != nil {
		return nil, err
	}
	given := slices.DeleteFunc(s.groups(), func(g *group) bool { return !g.Assigned })
	return keycloakPage(r, defaultPage, given, func(g *group) any { return s.plainGroup(g) })
}
