package sim

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A listing is one request for a page: at most limit objects behind the cursor.
type listing struct {
	after int // the place of the last object of the page before; -1 at the start
	limit int
}

// cursorPrefix makes a cursor of one of our lists recognisable once decoded.
const cursorPrefix = "after:"

// pageOf reads limit and after. Where Okta's description states bounds for limit it refuses what is outside them;
// elsewhere it answers with as many as it is willing to.
func (s *Okta) pageOf(r *http.Request, unset, least, most int, strict bool) (listing, *oktaError) {
	q := r.URL.Query()
	l := listing{after: -1, limit: unset}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || strict && (n < least || n > most) {
			return l, invalid("limit")
		}
		l.limit = min(n, most)
	}
	if s.options.PageCap > 0 {
		l.limit = min(l.limit, s.options.PageCap)
	}
	if cursor := q.Get("after"); cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(cursor)
		place, ours := strings.CutPrefix(string(text), cursorPrefix)
		if l.after, _ = strconv.Atoi(place); err != nil || !ours {
			return l, invalid("after")
		}
	}
	return l, nil
}

// link adds the Link headers: each in a header of its own, as Okta sends them.
func link(w http.ResponseWriter, r *http.Request, last int, more bool) {
	w.Header().Add("Link", fmt.Sprintf(`<%s%s>; rel="self"`, baseURL(r), r.URL.RequestURI()))
	if !more {
		return
	}
	q := r.URL.Query()
	q.Set("after", base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix+strconv.Itoa(last))))
	w.Header().Add("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, baseURL(r), r.URL.EscapedPath(), q.Encode()))
}

func baseURL(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// turn collects one page of kept objects and writes its links. The places are those of the company's own lists, of
// which nil elements are gone.
func turn[T any](w http.ResponseWriter, r *http.Request, l listing, all []*T, keep func(*T) bool, show func(*T) any) any {
	out := []any{}
	last, more := l.after, false
	for place := max(l.after+1, 0); place < len(all); place++ {
		if all[place] == nil || !keep(all[place]) {
			continue
		}
		if len(out) == l.limit {
			more = true
			break
		}
		out = append(out, show(all[place]))
		last = place
	}
	link(w, r, last, more)
	return out
}

func (s *Okta) listAppUsers(w http.ResponseWriter, r *http.Request) (any, *oktaError) {
	l, err := s.pageOf(r, 50, 1, 500, true)
	if err != nil {
		return nil, err
	}
	expand := r.URL.Query().Get("expand") == "user"
	if expand && s.options.ExpandLimit > 0 {
		l.limit = min(l.limit, s.options.ExpandLimit)
	}
	q := strings.ToLower(r.URL.Query().Get("q"))
	keep := func(p *person) bool { return p.assigned() && p.startsWith(q) }
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	return turn(w, r, l, s.company.people, keep, func(p *person) any { return s.appUser(r, p, expand) }), nil
}

func (s *Okta) listAppGroups(w http.ResponseWriter, r *http.Request) (any, *oktaError) {
	l, err := s.pageOf(r, 20, 20, 200, true)
	if err != nil {
		return nil, err
	}
	q, expand := r.URL.Query().Get("q"), r.URL.Query().Get("expand") == "group"
	keep := func(g *group) bool { return g.Assigned && strings.HasPrefix(g.Name, q) }
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	return turn(w, r, l, s.company.groups, keep, func(g *group) any { return s.appGroup(r, g, expand) }), nil
}

func (s *Okta) listGroups(w http.ResponseWriter, r *http.Request) (any, *oktaError) {
	l, err := s.pageOf(r, 200, 1, 10000, true)
	if err != nil {
		return nil, err
	}
	filter, err := condition(r, groupConditions)
	if err != nil {
		return nil, err
	}
	q := strings.ToLower(r.URL.Query().Get("q"))
	keep := func(g *group) bool {
		return strings.HasPrefix(strings.ToLower(g.Name), q) && (filter == nil || filter.match(g.holds))
	}
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	return turn(w, r, l, s.company.groups, keep, func(g *group) any { return s.group(r, g) }), nil
}

func (s *Okta) listGroupUsers(w http.ResponseWriter, r *http.Request) (any, *oktaError) {
	l, err := s.pageOf(r, 1000, 1, 1000, false)
	if err != nil {
		return nil, err
	}
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	g := s.company.groupID[r.PathValue("group")]
	if g == nil {
		return nil, notFound(r.PathValue("group"), "UserGroup")
	}
	from, _ := slices.BinarySearch(g.members, l.after+1)
	rest := g.members[from:]
	page := rest[:min(l.limit, len(rest))]
	out := make([]any, len(page))
	for i, seq := range page {
		out[i], l.after = s.user(r, s.company.people[seq]), seq
	}
	link(w, r, l.after, len(page) < len(rest))
	return out, nil
}

func (s *Okta) listUsers(w http.ResponseWriter, r *http.Request) (any, *oktaError) {
	l, err := s.pageOf(r, 200, 1, 200, false)
	if err != nil {
		return nil, err
	}
	filter, err := condition(r, userConditions)
	if err != nil {
		return nil, err
	}
	q := strings.ToLower(r.URL.Query().Get("q"))
	keep := func(p *person) bool {
		if filter != nil {
			return filter.match(p.holds)
		}
		return p.Status != StatusDeprovisioned && p.startsWith(q)
	}
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	return turn(w, r, l, s.company.people, keep, func(p *person) any { return s.user(r, p) }), nil
}

func (s *Okta) listUserGroups(w http.ResponseWriter, r *http.Request) (any, *oktaError) {
	s.company.mu.RLock()
	defer s.company.mu.RUnlock()
	p := s.find(r.PathValue("user"))
	if p == nil {
		return nil, notFound(r.PathValue("user"), "User")
	}
	keep := func(g *group) bool {
		_, in := slices.BinarySearch(g.members, p.seq)
		return in
	}
	all := listing{after: -1, limit: len(s.company.groups)}
	return turn(w, r, all, s.company.groups, keep, func(g *group) any { return s.group(r, g) }), nil
}

// What filter and search may ask about users and groups here, and how.
var (
	userConditions = []string{
		"id", "status", "lastupdated", "profile.login", "profile.email", "profile.firstname", "profile.lastname",
	}
	groupConditions = []string{"id", "type", "profile.name", "lastupdated", "lastmembershipupdated"}
	operators       = []string{"eq", "sw", "co", "gt", "ge", "lt", "le"}
)

// condition parses the filter or search parameter over the known attributes; nil means that there is neither.
func condition(r *http.Request, known []string) (filterExpr, *oktaError) {
	for _, name := range []string{"filter", "search"} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		expr, err := parseFilter(text)
		unknown := func(c comparison) bool {
			return !slices.Contains(known, c.attribute) || !slices.Contains(operators, c.operator)
		}
		if err != nil || slices.ContainsFunc(slices.Concat(expr...), unknown) {
			return nil, &oktaError{400, "E0000031", "Invalid search criteria."}
		}
		return expr, nil
	}
	return nil, nil
}

func (p *person) startsWith(q string) bool {
	for _, s := range []string{p.FirstName, p.LastName, p.Email, p.Login} {
		if strings.HasPrefix(strings.ToLower(s), q) {
			return true
		}
	}
	return false
}

func (p *person) holds(c comparison) bool {
	switch c.attribute {
	case "id":
		return compare(p.ID, c)
	case "status":
		return compare(string(p.Status), c)
	case "lastupdated":
		return compare(stamp(p.LastUpdated), c)
	case "profile.login":
		return compare(p.Login, c)
	case "profile.email":
		return compare(p.Email, c)
	case "profile.firstname":
		return compare(p.FirstName, c)
	case "profile.lastname":
		return compare(p.LastName, c)
	}
	return false
}

func (g *group) holds(c comparison) bool {
	switch c.attribute {
	case "id":
		return compare(g.ID, c)
	case "type":
		return compare(g.Type, c)
	case "profile.name":
		return compare(g.Name, c)
	case "lastupdated":
		return compare(stamp(g.LastUpdated), c)
	case "lastmembershipupdated":
		return compare(stamp(g.MembershipUpdated), c)
	}
	return false
}

// compare applies an operator; times compare as the text they are written as.
func compare(have string, c comparison) bool {
	switch c.operator {
	case "eq":
		return have == c.value
	case "sw":
		return strings.HasPrefix(strings.ToLower(have), strings.ToLower(c.value))
	case "co":
		return strings.Contains(strings.ToLower(have), strings.ToLower(c.value))
	case "gt":
		return have > c.value
	case "ge":
		return have >= c.value
	case "lt":
		return have < c.value
	case "le":
		return have <= c.value
	}
	return false
}

// stamp writes a time as Okta does.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
