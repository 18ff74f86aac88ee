package sim

import (
	"cmp"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// settle checks what must hold of a user and lets the server's habits work on it.
func (u *SCIMUser) settle(s *SCIM, before *SCIMUser) *scimError {
	o := s.options
	u.forget(o.Forgets, before)
	if !isEmail(u.UserName) {
		return badRequest("invalidValue", "userName must be an e-mail address, not %q", u.UserName)
	}
	for _, e := range u.Emails {
		if !isEmail(e.Value) {
			return badRequest("invalidValue", "%q is no e-mail address", e.Value)
		}
	}
	for _, list := range [][]SCIMValue{u.Emails, u.Phones} {
		primary := 0
		for _, v := range list {
			if v.Primary {
				primary++
			}
		}
		if primary > 1 {
			return badRequest("invalidValue", "only one value can be primary")
		}
	}
	if o.LowerCaseEmails {
		u.UserName = strings.ToLower(u.UserName)
		for i := range u.Emails {
			u.Emails[i].Value = strings.ToLower(u.Emails[i].Value)
		}
	}
	if o.NormalizePhones {
		for i := range u.Phones {
			u.Phones[i].Value = e164(u.Phones[i].Value)
		}
	}
	return nil
}

// forget takes back what the server accepts and does not keep.
func (u *SCIMUser) forget(names []string, before *SCIMUser) {
	for _, name := range names {
		switch name {
		case "displayName":
			u.DisplayName = before.DisplayName
		case "externalId":
			u.ExternalID = before.ExternalID
		case "name":
			u.GivenName, u.FamilyName = before.GivenName, before.FamilyName
		case "emails":
			u.Emails = slices.Clone(before.Emails)
		case "phoneNumbers":
			u.Phones = slices.Clone(before.Phones)
		case "active":
			u.Active = before.Active
		}
	}
}

func (u *SCIMUser) wrote(s *SCIM, before *SCIMUser) {
	if s.options.DropMemberships && before.Active && !u.Active {
		s.state.leaveGroups(u.ID)
	}
}

// isEmail admits a bare address with a dot in its domain.
func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s {
		return false
	}
	return strings.Contains(s[strings.LastIndexByte(s, '@'):], ".")
}

// e164 brings a number towards E.164 with the United States as the default country; what it cannot read it keeps.
func e164(number string) string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, number)
	switch {
	case strings.HasPrefix(strings.TrimSpace(number), "+"):
		return "+" + digits
	case len(digits) == 10:
		return "+1" + digits
	case len(digits) == 11 && digits[0] == '1':
		return "+" + digits
	}
	return number
}

// settle checks what must hold of a group. Members that were in before may dangle; new ones must exist.
func (g *SCIMGroup) settle(s *SCIM, before *SCIMGroup) *scimError {
	o := s.options
	if slices.Contains(o.Forgets, "externalId") {
		g.ExternalID = before.ExternalID
	}
	if slices.Contains(o.Forgets, "members") {
		g.Members = slices.Clone(before.Members)
	}
	if strings.TrimSpace(g.DisplayName) == "" {
		return badRequest("invalidValue", "a group needs a displayName")
	}
	most := cmp.Or(o.MaxMembers, 100)
	if before.ID == "" && most > 0 && len(g.Members) > most {
		return tooManyMembers(len(g.Members), most)
	}
	known := make(map[SCIMMember]bool, len(before.Members))
	for _, m := range before.Members {
		known[m] = true
	}
	unknown := func(m SCIMMember) bool { return !known[m] && (!s.state.exists(m) || m.Value == g.ID) }
	if o.DropUnknownMembers {
		g.Members = slices.DeleteFunc(g.Members, unknown)
		return nil
	}
	if i := slices.IndexFunc(g.Members, unknown); i >= 0 {
		return badRequest("invalidValue", "there is no %s with the id %q", g.Members[i].Type, g.Members[i].Value)
	}
	return nil
}

func (g *SCIMGroup) wrote(*SCIM, *SCIMGroup) {}

// exists reports whether a member's id is that of a user or, for a member of that type, of a group.
func (st *scimState) exists(m SCIMMember) bool {
	if m.Type == "Group" {
		return st.groups.byID[m.Value] != nil
	}
	return st.users.byID[m.Value] != nil
}

// The types below are the resources as they are answered.

type metaJSON struct {
	ResourceType string `json:"resourceType"`
	Created      string `json:"created"`
	LastModified string `json:"lastModified"`
	Location     string `json:"location"`
	Version      string `json:"version,omitempty"`
}

type userJSON struct {
	Schemas      []string    `json:"schemas"`
	ID           string      `json:"id"`
	ExternalID   string      `json:"externalId,omitempty"`
	UserName     string      `json:"userName"`
	Name         *nameJSON   `json:"name,omitempty"`
	DisplayName  string      `json:"displayName,omitempty"`
	Active       bool        `json:"active"`
	Emails       []SCIMValue `json:"emails,omitempty"`
	PhoneNumbers []SCIMValue `json:"phoneNumbers,omitempty"`
	Meta         metaJSON    `json:"meta"`
}

type nameJSON struct {
	GivenName  string `json:"givenName,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
}

type groupJSON struct {
	Schemas     []string      `json:"schemas"`
	ID          string        `json:"id"`
	ExternalID  string        `json:"externalId,omitempty"`
	DisplayName string        `json:"displayName"`
	Members     *[]memberJSON `json:"members,omitempty"`
	Meta        metaJSON      `json:"meta"`
}

type memberJSON struct {
	Value string `json:"value"`
	Ref   string `json:"$ref"`
	Type  string `json:"type,omitempty"`
}

var (
	userSchemas  = []string{userSchema}
	groupSchemas = []string{groupSchema}
)

func (r *record) json(o SCIMOptions, base, kind, id string) metaJSON {
	m := metaJSON{
		ResourceType: strings.TrimSuffix(kind, "s"),
		Created:      r.created.Format(time.RFC3339),
		LastModified: r.modified.Format(time.RFC3339),
		Location:     location(base, kind, id),
	}
	if o.ETags {
		m.Version = r.etag()
	}
	return m
}

func (u *SCIMUser) render(o SCIMOptions, base string, _ bool) any {
	out := userJSON{
		Schemas: userSchemas, ID: u.ID, ExternalID: u.ExternalID, UserName: u.UserName, DisplayName: u.DisplayName,
		Active: u.Active, Emails: u.Emails, PhoneNumbers: u.Phones, Meta: u.json(o, base, "Users", u.ID),
	}
	if u.GivenName != "" || u.FamilyName != "" {
		out.Name = &nameJSON{u.GivenName, u.FamilyName}
	}
	if o.HidePhones {
		out.PhoneNumbers = nil
	}
	return out
}

func (g *SCIMGroup) render(o SCIMOptions, base string, listed bool) any {
	out := groupJSON{
		Schemas: groupSchemas, ID: g.ID, ExternalID: g.ExternalID, DisplayName: g.DisplayName, Meta: g.json(o, base, "Groups", g.ID),
	}
	if listed && o.HideMembers || len(g.Members) == 0 && o.OmitEmptyMembers {
		return out
	}
	members := make([]memberJSON, 0, len(g.Members))
	for _, m := range g.Members {
		shown := memberJSON{Value: m.Value, Ref: location(base, m.Type+"s", m.Value), Type: m.Type}
		if o.OmitMemberTypes {
			shown.Type = ""
		}
		members = append(members, shown)
	}
	out.Members = &members
	return out
}
