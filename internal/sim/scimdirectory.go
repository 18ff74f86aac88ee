package sim

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// SCIMDirectoryOptions are the switches of the company's own SCIM server.
type SCIMDirectoryOptions struct {
	Token    string // the bearer token; DefaultDirectoryToken if empty
	Password string // with it, HTTP Basic of any user name and this password instead
	// PageCap is the most objects on one page; 0 is no cap.
	PageCap int
	// HideMembers leaves members out of listings of groups, NeverMembers out of single groups too.
	HideMembers, NeverMembers bool
	// OmitMemberTypes shows members without type and $ref.
	OmitMemberTypes bool
	// IgnoreFilters accepts a filter and returns everybody.
	IgnoreFilters bool
	// Subgroups are the groups inside groups, all by name. A name that no group has is a group that is gone.
	Subgroups map[string][]string
}

// DefaultDirectoryToken is the bearer token of a directory whose options name none.
const DefaultDirectoryToken = "sim-directory-token"

// DirectoryBase is the path below which the company's own SCIM server lives.
const DirectoryBase = "/scim/v2"

// SCIMDirectory serves a Company as a SCIM 2.0 server that is a directory, read only: what JumpCloud, OneLogin or authentik
// would be. Everybody is shown with the enterprise extension; who is suspended, staged or deactivated is not active. Ids
// are those of the company. It shares no state with SCIM, which stands in for Rootly.
type SCIMDirectory struct {
	company *Company
	options SCIMDirectoryOptions
}

// NewSCIMDirectory returns the handler for a company.
func NewSCIMDirectory(c *Company, o SCIMDirectoryOptions) *SCIMDirectory {
	o.Token = cmp.Or(o.Token, DefaultDirectoryToken)
	return &SCIMDirectory{company: c, options: o}
}

// ServeHTTP answers one request.
func (s *SCIMDirectory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.company.mu.RLock()
	status, body := s.answer(r)
	s.company.mu.RUnlock()
	if status != http.StatusOK {
		body = scimErrorBody(status, "", http.StatusText(status))
	}
	writeJSON(w, status, scimMediaType, body)
}

func (s *SCIMDirectory) answer(r *http.Request) (int, any) {
	rest, inside := strings.CutPrefix(r.URL.EscapedPath(), DirectoryBase+"/")
	kind, escaped, single := strings.Cut(rest, "/")
	id, err := url.PathUnescape(escaped)
	switch {
	case !s.admits(r):
		return http.StatusUnauthorized, nil
	case r.Method != http.MethodGet:
		return http.StatusNotImplemented, nil
	case !inside || err != nil:
		return http.StatusNotFound, nil
	case kind == "Users" && single:
		if p := s.company.byID[id]; p != nil {
			return http.StatusOK, s.user(p)
		}
	case kind == "Users":
		return s.listUsers(r)
	case kind == "Groups" && single:
		if g := s.company.groupID[id]; g != nil && g != s.company.all {
			return http.StatusOK, s.group(g, s.options.NeverMembers)
		}
	case kind == "Groups":
		var all []func() any
		for _, g := range s.company.groups {
			if g != nil && g != s.company.all {
				all = append(all, func() any { return s.group(g, s.options.HideMembers || s.options.NeverMembers) })
			}
		}
		return s.page(r, all)
	}
	return http.StatusNotFound, nil
}

func (s *SCIMDirectory) admits(r *http.Request) bool {
	if s.options.Password != "" {
		_, password, ok := r.BasicAuth()
		return ok && password == s.options.Password
	}
	return r.Header.Get("Authorization") == "Bearer "+s.options.Token
}

// listUsers knows filters of eq over userName, active, title and the enterprise department.
func (s *SCIMDirectory) listUsers(r *http.Request) (int, any) {
	var filter filterExpr
	if text := r.URL.Query().Get("filter"); text != "" && !s.options.IgnoreFilters {
		var err error
		if filter, err = parseFilter(strings.NewReplacer("eq true", `eq "true"`, "eq false", `eq "false"`).Replace(text)); err != nil {
			return http.StatusBadRequest, nil
		}
	}
	var all []func() any
	for _, p := range s.company.people {
		if p == nil {
			continue
		}
		holds := func(c comparison) bool {
			switch strings.TrimPrefix(c.attribute, strings.ToLower(enterpriseSchema)+":") {
			case "username":
				return strings.EqualFold(p.Login, c.value)
			case "active":
				return strconv.FormatBool(directoryActive(p)) == c.value
			case "title":
				return strings.EqualFold(p.Title, c.value)
			case "department":
				return strings.EqualFold(p.Department, c.value)
			}
			return false
		}
		if filter == nil || filter.match(holds) {
			all = append(all, func() any { return s.user(p) })
		}
	}
	return s.page(r, all)
}

// page answers with the objects of one page, which are made only then.
func (s *SCIMDirectory) page(r *http.Request, all []func() any) (int, any) {
	count, err := positive(r.URL.Query(), "count", defaultCount)
	start, err2 := positive(r.URL.Query(), "startIndex", 1)
	if err != nil || err2 != nil {
		return http.StatusBadRequest, nil
	}
	if s.options.PageCap > 0 {
		count = min(count, s.options.PageCap)
	}
	from := min(start-1, len(all))
	page, total := []any{}, len(all)
	for _, object := range all[from:min(from+count, len(all))] {
		page = append(page, object())
	}
	return http.StatusOK, listResponse{Schemas: []string{listSchema}, TotalResults: &total, StartIndex: start, ItemsPerPage: len(page), Resources: page}
}

const enterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func directoryActive(p *person) bool {
	return !slices.Contains([]Status{StatusStaged, StatusSuspended, StatusDeprovisioned}, p.Status)
}

func (s *SCIMDirectory) user(p *person) any {
	u := map[string]any{
		"schemas": []string{userSchema, enterpriseSchema}, "id": p.ID, "externalId": "ext-" + p.ID, "userName": p.Login, "active": directoryActive(p),
		"name":   map[string]string{"givenName": p.FirstName, "familyName": p.LastName, "formatted": p.FirstName + " " + p.LastName},
		"emails": []any{map[string]any{"value": "home." + p.Email, "type": "home"}, map[string]any{"value": p.Email, "type": "work", "primary": true}},
		"title":  p.Title,
		enterpriseSchema: map[string]any{
			"department": p.Department, "employeeNumber": p.EmployeeNumber, "organization": "Acme", "manager": map[string]string{"value": "boss", "displayName": "The Boss"},
		},
	}
	for name, value := range map[string]string{"displayName": p.DisplayName, "nickName": p.NickName} {
		if value != "" {
			u[name] = value
		}
	}
	if p.MobilePhone != "" {
		u["phoneNumbers"] = []any{map[string]string{"value": p.MobilePhone, "type": "mobile"}}
	}
	return u
}

func (s *SCIMDirectory) group(g *group, hidden bool) any {
	out := map[string]any{"schemas": []string{groupSchema}, "id": g.ID, "displayName": g.Name}
	if hidden {
		return out
	}
	members := []any{}
	add := func(id, kind string) {
		m := map[string]string{"value": id}
		if !s.options.OmitMemberTypes {
			m["type"] = kind
		}
		members = append(members, m)
	}
	for _, seq := range g.members {
		add(s.company.people[seq].ID, "User")
	}
	for _, name := range s.options.Subgroups[g.Name] {
		id := "gone-" + name
		if inner := s.company.named[name]; inner != nil {
			id = inner.ID
		}
		add(id, "Group")
	}
	out["members"] = members
	return out
}
