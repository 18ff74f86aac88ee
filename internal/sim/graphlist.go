package sim

import (
	"encoding/base64"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// objects are those of a listing, each with its place. Places ascend, and a page token names the last one of its page:
// what joins or leaves between two pages neither repeats nor hides anything else.
type objects = iter.Seq2[int, func() map[string]any]

// page answers with one page of a listing: as many objects as $top asks for, and the link to the rest if there is any.
func (s *Graph) page(r *http.Request, of string, all objects) (any, *graphError) {
	q := r.URL.Query()
	top := 100
	if text := q.Get("$top"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 999 {
			return nil, &graphError{400, "Request_UnsupportedQuery",
				fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", text)}
		}
		top = n
	}
	if s.options.PageSize > 0 {
		top = min(top, s.options.PageSize)
	}
	after, err := s.behind(q.Get("$skiptoken"))
	if err != nil {
		return nil, err
	}
	value, count, last, more := []any{}, 0, after, false
	counting := q.Get("$count") == "true"
	for place, object := range all {
		count++
		switch {
		case place <= after:
		case len(value) < top:
			value, last = append(value, object()), place
		default:
			more = true
		}
		if more && !counting {
			break
		}
	}
	body := map[string]any{"@odata.context": graphContext(r, of), "value": value}
	if counting {
		body["@odata.count"] = count
	}
	if more {
		q.Set("$skiptoken", s.tokenFor(last))
		body["@odata.nextLink"] = baseURL(r) + r.URL.EscapedPath() + "?" + strings.ReplaceAll(q.Encode(), "%24", "$")
	}
	return body, nil
}

// tokenFor makes the page token for what comes behind a place.
func (s *Graph) tokenFor(place int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", s.era, place))
}

// behind reads a page token.
func (s *Graph) behind(token string) (int, *graphError) {
	if token == "" {
		return -1, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	era, place, ok := strings.Cut(string(text), ".")
	last, err2 := strconv.Atoi(place)
	if err != nil || err2 != nil || !ok {
		return 0, &graphError{400, "Request_BadRequest", "Invalid skip token."}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if era != strconv.Itoa(s.era) {
		return 0, &graphError{400, "Directory_ExpiredPageToken",
			"The specified page token value has expired and can no longer be included in your request."}
	}
	return last, nil
}

func (s *Graph) listUsers(r *http.Request) (any, *graphError) {
	names := selected(r, usualUser)
	if err := checkSelect(names, userProperties, "user"); err != nil {
		return nil, err
	}
	return s.page(r, "users", func(yield func(int, func() map[string]any) bool) {
		for place, p := range s.company.people {
			if p != nil && !yield(place, func() map[string]any { return s.user(p, names) }) {
				return
			}
		}
	})
}

func (s *Graph) getUser(r *http.Request) (any, *graphError) {
	p := s.find(r.PathValue("user"))
	if p == nil {
		return nil, noResource(r.PathValue("user"))
	}
	names := selected(r, usualUser)
	if err := checkSelect(names, userProperties, "user"); err != nil {
		return nil, err
	}
	return entity(r, "users", s.user(p, names)), nil
}

// getDeleted knows people only: whoever was deleted and is not yet gone for good.
func (s *Graph) getDeleted(r *http.Request) (any, *graphError) {
	for _, p := range s.company.bin {
		if GraphID(p.ID) == r.PathValue("object") {
			object := s.user(p, []string{"id", "displayName", "userPrincipalName"})
			object["deletedDateTime"] = graphTime(s.company.now)
			object["@odata.type"] = "#microsoft.graph.user"
			return entity(r, "directoryObjects", object), nil
		}
	}
	return nil, noResource(r.PathValue("object"))
}

// listDeleted lists who is in the recycle bin.
func (s *Graph) listDeleted(r *http.Request) (any, *graphError) {
	names := selected(r, usualUser)
	if err := checkSelect(names, userProperties, "user"); err != nil {
		return nil, err
	}
	return s.page(r, "directoryObjects/microsoft.graph.user", func(yield func(int, func() map[string]any) bool) {
		for place, p := range s.company.bin {
			if !yield(place, func() map[string]any {
				object := s.user(p, names)
				object["deletedDateTime"] = graphTime(s.company.now)
				return object
			}) {
				return
			}
		}
	})
}

func (s *Graph) listGroups(r *http.Request) (any, *graphError) {
	names := selected(r, slices.Sorted(maps.Keys(groupProperties)))
	if err := checkSelect(names, groupProperties, "group"); err != nil {
		return nil, err
	}
	return s.page(r, "groups", s.groupsWhere(func(*group) bool { return true }, func(g *group) map[string]any { return s.group(g, names) }))
}

// groupsWhere are the groups that keep lets through.
func (s *Graph) groupsWhere(keep func(*group) bool, show func(*group) map[string]any) objects {
	return func(yield func(int, func() map[string]any) bool) {
		for place, g := range s.company.groups {
			if g != nil && g != s.company.all && keep(g) && !yield(place, func() map[string]any { return show(g) }) {
				return
			}
		}
	}
}

func (s *Graph) getGroup(r *http.Request) (any, *graphError) {
	g := s.findGroup(r.PathValue("group"))
	if g == nil {
		return nil, noResource(r.PathValue("group"))
	}
	names := selected(r, slices.Sorted(maps.Keys(groupProperties)))
	if err := checkSelect(names, groupProperties, "group"); err != nil {
		return nil, err
	}
	return entity(r, "groups", s.group(g, names)), nil
}

// The places of members that are no people come behind all people.
const (
	subgroupPlace = 1 << 40
	strangerPlace = 1 << 50
)

// strangers are the kinds of members besides people and groups.
var strangers = []string{"device", "servicePrincipal", "orgContact"}

// listMembers lists direct members of every type.
func (s *Graph) listMembers(r *http.Request) (any, *graphError) {
	g := s.findGroup(r.PathValue("group"))
	if g == nil {
		return nil, noResource(r.PathValue("group"))
	}
	names := selected(r, append([]string{"deletedDateTime"}, usualUser...))
	return s.page(r, "directoryObjects", func(yield func(int, func() map[string]any) bool) {
		if slices.Contains(s.options.Hidden, g.Name) {
			return
		}
		for _, seq := range g.members {
			if !yield(seq, func() map[string]any { return s.typed("user", s.user(s.company.people[seq], names)) }) {
				return
			}
		}
		for _, name := range s.options.Subgroups[g.Name] {
			sub := s.company.named[name]
			if sub != nil && !yield(subgroupPlace+sub.seq, func() map[string]any { return s.typed("group", s.group(sub, names)) }) {
				return
			}
		}
		if !s.options.Strangers {
			return
		}
		for i, kind := range strangers {
			stranger := map[string]any{"id": GraphID(kind + " in " + g.ID)}
			if !yield(strangerPlace+i, func() map[string]any { return s.typed(kind, stranger) }) {
				return
			}
		}
	})
}

// listMemberOf lists the groups that a person is in, and for transitiveMemberOf those that these are in.
func (s *Graph) listMemberOf(r *http.Request) (any, *graphError) {
	p := s.find(r.PathValue("user"))
	if p == nil {
		return nil, noResource(r.PathValue("user"))
	}
	in := map[*group]bool{}
	for _, g := range s.company.groups {
		if g != nil {
			_, in[g] = slices.BinarySearch(g.members, p.seq)
		}
	}
	for grown := strings.HasSuffix(r.URL.Path, "/transitiveMemberOf"); grown; {
		grown = false
		for outer, subs := range s.options.Subgroups {
			g := s.company.named[outer]
			if g != nil && !in[g] && slices.ContainsFunc(subs, func(sub string) bool { return in[s.company.named[sub]] }) {
				in[g], grown = true, true
			}
		}
	}
	names := selected(r, slices.Sorted(maps.Keys(groupProperties)))
	return s.page(r, "directoryObjects", s.groupsWhere(func(g *group) bool { return in[g] },
		func(g *group) map[string]any { return s.typed("group", s.group(g, names)) }))
}

// getByAppID answers servicePrincipals(appId='…').
func (s *Graph) getByAppID(r *http.Request) (any, *graphError) {
	id, ok := strings.CutPrefix(r.PathValue("object"), "servicePrincipals(appId='")
	id, closed := strings.CutSuffix(id, "')")
	switch {
	case !ok || !closed:
		return nil, &graphError{400, "BadRequest", "Resource not found for the segment '" + r.PathValue("object") + "'."}
	case id != s.AppClientID():
		return nil, noResource(id)
	}
	return s.servicePrincipal(r), nil
}

func (s *Graph) getServicePrincipal(r *http.Request) (any, *graphError) {
	if r.PathValue("principal") != s.principalID() {
		return nil, noResource(r.PathValue("principal"))
	}
	return s.servicePrincipal(r), nil
}

func (s *Graph) servicePrincipal(r *http.Request) map[string]any {
	all := map[string]any{
		"id": s.principalID(), "appId": s.AppClientID(), "displayName": "Rootly", "appDisplayName": "Rootly", "accountEnabled": true,
		"appRoleAssignmentRequired": true, "servicePrincipalType": "Application", "deletedDateTime": nil,
	}
	names := selected(r, slices.Collect(maps.Keys(all)))
	maps.DeleteFunc(all, func(name string, _ any) bool { return !slices.Contains(names, name) })
	return entity(r, "servicePrincipals", all)
}

// defaultRole is the role of those who were assigned without one.
const defaultRole = "00000000-0000-0000-0000-000000000000"

// listAssignedTo lists who and what is assigned to the app: groups as themselves.
func (s *Graph) listAssignedTo(r *http.Request) (any, *graphError) {
	if r.PathValue("principal") != s.principalID() {
		return nil, noResource(r.PathValue("principal"))
	}
	assigned := func(kind, id, name, role string) func() map[string]any {
		return func() map[string]any {
			return map[string]any{
				"id": "as-" + GraphID(id + role)[:23], "deletedDateTime": nil, "appRoleId": role,
				"createdDateTime": graphTime(s.company.founded), "principalId": GraphID(id), "principalType": kind,
				"principalDisplayName": name, "resourceId": s.principalID(), "resourceDisplayName": "Rootly",
			}
		}
	}
	of := "servicePrincipals('" + url.PathEscape(s.principalID()) + "')/appRoleAssignedTo"
	return s.page(r, of, func(yield func(int, func() map[string]any) bool) {
		for place, p := range s.company.people {
			if p == nil || !p.Direct {
				continue
			}
			if !yield(2*place, assigned("User", p.ID, p.fullName(), defaultRole)) {
				return
			}
			if s.options.Strangers && !yield(2*place+1, assigned("User", p.ID, p.fullName(), GraphID("role"))) {
				return
			}
		}
		for place, g := range s.company.groups {
			if g != nil && g.Assigned && !yield(subgroupPlace+place, assigned("Group", g.ID, g.Name, defaultRole)) {
				return
			}
		}
		if s.options.Strangers {
			yield(strangerPlace, assigned("ServicePrincipal", "robot", "Robot", defaultRole))
		}
	})
}
