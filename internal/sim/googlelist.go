package sim

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// page answers with as many objects as the request asks for and the token of the next page. at is the object at one of n
// stable places, nil where there is none to show. Google leaves an empty list out altogether.
func (s *Google) page(r *http.Request, kind, key string, unset, most, n int, at func(place int) any) (any, *googleError) {
	q := r.URL.Query()
	limit, start := unset, 0
	if text := q.Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return nil, googleInvalid("maxResults")
		}
		limit = n
	}
	if s.options.PageSize > 0 {
		limit = min(limit, s.options.PageSize)
	}
	if token := q.Get("pageToken"); token != "" {
		text, err := base64.RawURLEncoding.DecodeString(token)
		place, ours := strings.CutPrefix(string(text), cursorPrefix)
		if start, _ = strconv.Atoi(place); err != nil || !ours || start < 0 {
			return nil, googleInvalid("pageToken")
		}
	}
	out := map[string]any{"kind": kind, "etag": googleEtag(key)}
	var page []any
	for place := start; place < n; place++ {
		object := at(place)
		if object == nil {
			continue
		}
		if len(page) == limit {
			out["nextPageToken"] = base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + strconv.Itoa(place)))
			break
		}
		page = append(page, object)
	}
	if len(page) > 0 {
		out[key] = page
	}
	return out, nil
}

// ours checks that the account is named in one of the ways that Google takes.
func ours(r *http.Request) *googleError {
	customer, domain := r.URL.Query().Get("customer"), r.URL.Query().Get("domain")
	switch {
	case (customer == "") == (domain == ""):
		return &googleError{400, "badRequest", "global", "Bad Request"}
	case customer != "" && customer != "my_customer" && customer != GoogleCustomer:
		return &googleError{400, "badRequest", "global", "Bad Request"}
	case domain != "" && domain != Domain:
		return googleNotFound("domain")
	}
	return nil
}

func (s *Google) listUsers(r *http.Request) (any, *googleError) {
	if err := ours(r); err != nil {
		return nil, err
	}
	custom := customSchemas(r)
	people, deleted := s.company.people, r.URL.Query().Get("showDeleted") == "true"
	if deleted {
		people = s.company.bin
	}
	keep, err := s.userQuery(r.URL.Query().Get("query"))
	if err != nil {
		return nil, err
	}
	return s.page(r, "admin#directory#users", "users", 100, 500, len(people), func(place int) any {
		p := people[place]
		if p == nil || !keep(p) {
			return nil
		}
		u := s.user(p, custom)
		if deleted {
			u.DeletionTime = stamp(p.LastUpdated)
		}
		return u
	})
}

func customSchemas(r *http.Request) []string {
	if r.URL.Query().Get("projection") != "custom" {
		return nil
	}
	return strings.Split(r.URL.Query().Get("customFieldMask"), ",")
}

// userQuery reads the part of Google's search language that is in use: orgUnitPath, email, orgDepartment, isSuspended
// and isArchived with "=", values in single quotes where they hold spaces, joined by spaces.
func (s *Google) userQuery(text string) (func(*person) bool, *googleError) {
	var tests []func(*person) bool
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		var value string
		if value, text = cutValue(rest); !ok {
			return nil, googleInvalid("query")
		}
		switch name {
		case "orgUnitPath":
			if value != "/" && !slices.Contains(s.units(), value) {
				return nil, googleInvalid("INVALID_OU_ID")
			}
			tests = append(tests, func(p *person) bool { return within(unitOf(p.Department), value) })
		case "email":
			tests = append(tests, func(p *person) bool { return strings.EqualFold(p.Login, value) })
		case "orgDepartment":
			tests = append(tests, func(p *person) bool { return p.Department == value })
		case "isSuspended":
			tests = append(tests, func(p *person) bool { return fmt.Sprint(p.Status == StatusSuspended) == value })
		case "isArchived":
			tests = append(tests, func(p *person) bool { return fmt.Sprint(p.Status == StatusDeprovisioned) == value })
		default:
			return nil, googleInvalid("query")
		}
	}
	return func(p *person) bool {
		return !slices.ContainsFunc(tests, func(test func(*person) bool) bool { return !test(p) })
	}, nil
}

// cutValue takes a value off the front of a query.
func cutValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, "'") {
		value, rest, _ = strings.Cut(s, " ")
		return value, rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '\'':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

func within(path, unit string) bool {
	return unit == "/" || path == unit || strings.HasPrefix(path, unit+"/")
}

// units are the paths of all organizational units.
func (s *Google) units() []string {
	paths := map[string]bool{}
	for _, p := range s.company.people {
		if p != nil {
			for path := unitOf(p.Department); path != ""; path = path[:strings.LastIndex(path, "/")] {
				paths[path] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(paths))
}

func (s *Google) listUnits(r *http.Request) (any, *googleError) {
	if c := r.PathValue("customer"); c != "my_customer" && c != GoogleCustomer {
		return nil, googleNotFound("customer")
	}
	var out []any
	for _, path := range s.units() {
		cut := strings.LastIndex(path, "/")
		parent := path[:max(cut, 1)]
		if r.URL.Query().Get("type") != "all" && parent != "/" {
			continue
		}
		out = append(out, googleUnit{"admin#directory#orgUnit", path[cut+1:], path, "id:" + base64.RawURLEncoding.EncodeToString([]byte(path)), parent})
	}
	body := map[string]any{"kind": "admin#directory#orgUnits", "etag": googleEtag("orgunits")}
	if len(out) > 0 {
		body["organizationUnits"] = out
	}
	return body, nil
}

func (s *Google) getUser(r *http.Request) (any, *googleError) {
	p := s.find(r.PathValue("user"))
	if p == nil {
		return nil, googleNotFound("userKey")
	}
	return s.user(p, customSchemas(r)), nil
}

// find knows a person by id and by address.
func (s *Google) find(key string) *person {
	if p := s.company.byLogin[strings.ToLower(key)]; p != nil {
		return p
	}
	return s.company.byID[key]
}

func (s *Google) listGroups(r *http.Request) (any, *googleError) {
	if err := ours(r); err != nil {
		return nil, err
	}
	groups := s.company.groups
	return s.page(r, "admin#directory#groups", "groups", 200, 200, len(groups), func(place int) any {
		if g := groups[place]; g != nil && g != s.company.all {
			return s.group(g)
		}
		return nil
	})
}

// findGroup knows a group by id and by address. One of another organization is not for our administrator to see.
func (s *Google) findGroup(key string) (*group, *googleError) {
	if g := s.company.groupID[key]; g != nil && g != s.company.all {
		return g, nil
	}
	for _, g := range s.company.groups {
		if g != nil && g != s.company.all && googleAddress(g.Name) == strings.ToLower(key) {
			return g, nil
		}
	}
	if strings.HasPrefix(key, foreignGroup) {
		return nil, googleRefusal(http.StatusForbidden)
	}
	return nil, googleNotFound("groupKey")
}

// foreignGroup begins the ids of groups of another organization.
const foreignGroup = "00foreign"

func (s *Google) getGroup(r *http.Request) (any, *googleError) {
	g, err := s.findGroup(r.PathValue("group"))
	if err != nil {
		return nil, err
	}
	return s.group(g), nil
}

func (s *Google) listMembers(r *http.Request) (any, *googleError) {
	g, err := s.findGroup(r.PathValue("group"))
	if err != nil {
		return nil, err
	}
	const kind = "admin#directory#member"
	var all []any
	for i, seq := range g.members {
		p := s.company.people[seq]
		m := googleMember{kind, p.ID, p.Login, "MEMBER", "USER", "ACTIVE"}
		if i == 0 {
			m.Role = "OWNER"
		}
		if p.Status == StatusSuspended {
			m.Status = "SUSPENDED"
		}
		all = append(all, m)
	}
	for _, name := range s.options.Subgroups[g.Name] {
		m := googleMember{kind, foreignGroup + googleAddress(name), name + "@other.example", "MEMBER", "GROUP", "ACTIVE"}
		if inner := s.company.named[name]; inner != nil {
			m.ID, m.Email = inner.ID, googleAddress(name)
		}
		all = append(all, m)
	}
	if slices.Contains(s.options.Whole, g.Name) {
		all = append(all, googleMember{Kind: kind, ID: GoogleCustomer, Role: "MEMBER", Type: "CUSTOMER"})
	}
	if s.options.Strangers {
		all = append(all, googleMember{kind, "stranger-1", "guest@other.example", "MEMBER", "USER", ""},
			googleMember{Kind: kind, Email: "list@other.example", Role: "MEMBER", Type: "EXTERNAL"})
	}
	return s.page(r, "admin#directory#members", "members", 200, 200, len(all), func(place int) any { return all[place] })
}

// hasMember knows nested membership too, and refuses people whom it does not know.
func (s *Google) hasMember(r *http.Request) (any, *googleError) {
	g, err := s.findGroup(r.PathValue("group"))
	if err != nil {
		return nil, err
	}
	p := s.find(r.PathValue("member"))
	if p == nil {
		return nil, googleInvalid("memberKey")
	}
	return map[string]bool{"isMember": s.holds(g, p, map[*group]bool{})}, nil
}

func (s *Google) holds(g *group, p *person, seen map[*group]bool) bool {
	seen[g] = true
	if _, in := slices.BinarySearch(g.members, p.seq); in || slices.Contains(s.options.Whole, g.Name) {
		return true
	}
	return slices.ContainsFunc(s.options.Subgroups[g.Name], func(name string) bool {
		inner := s.company.named[name]
		return inner != nil && !seen[inner] && s.holds(inner, p, seen)
	})
}
