package sim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The types below are the answers of the Directory API as its discovery document gives them.

type googleUser struct {
	Kind          string           `json:"kind"`
	ID            string           `json:"id"`
	Etag          string           `json:"etag"`
	PrimaryEmail  string           `json:"primaryEmail"`
	Name          googleName       `json:"name"`
	IsAdmin       bool             `json:"isAdmin"`
	IsDelegated   bool             `json:"isDelegatedAdmin"`
	CreationTime  string           `json:"creationTime"`
	Suspended     bool             `json:"suspended"`
	Reason        string           `json:"suspensionReason,omitempty"`
	Archived      bool             `json:"archived"`
	DeletionTime  string           `json:"deletionTime,omitempty"`
	Emails        []map[string]any `json:"emails"`
	ExternalIDs   []map[string]any `json:"externalIds,omitempty"`
	Organizations []map[string]any `json:"organizations,omitempty"`
	Phones        []map[string]any `json:"phones,omitempty"`
	CustomerID    string           `json:"customerId"`
	OrgUnitPath   string           `json:"orgUnitPath"`
	CustomSchemas map[string]any   `json:"customSchemas,omitempty"`
}

type googleName struct {
	GivenName   string `json:"givenName"`
	FamilyName  string `json:"familyName"`
	FullName    string `json:"fullName"`
	DisplayName string `json:"displayName,omitempty"`
}

type googleGroup struct {
	Kind         string `json:"kind"`
	ID           string `json:"id"`
	Etag         string `json:"etag"`
	Email        string `json:"email"`
	Name         string `json:"name"`
	Count        string `json:"directMembersCount"`
	Description  string `json:"description"`
	AdminCreated bool   `json:"adminCreated"`
}

type googleMember struct {
	Kind   string `json:"kind"`
	ID     string `json:"id,omitempty"`
	Email  string `json:"email,omitempty"`
	Role   string `json:"role"`
	Type   string `json:"type"`
	Status string `json:"status,omitempty"`
}

type googleUnit struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Path       string `json:"orgUnitPath"`
	ID         string `json:"orgUnitId"`
	ParentPath string `json:"parentOrgUnitPath"`
}

func googleEtag(id string) string { return `"sim/` + id + `"` }

// user is a person as the Directory API has them. custom are the custom schemas that were asked for.
func (s *Google) user(p *person, custom []string) googleUser {
	u := googleUser{
		Kind: "admin#directory#user", ID: p.ID, Etag: googleEtag(p.ID), PrimaryEmail: p.Login,
		Name:         googleName{p.FirstName, p.LastName, p.FirstName + " " + p.LastName, p.DisplayName},
		CreationTime: stamp(p.Created), Suspended: p.Status == StatusSuspended, Archived: p.Status == StatusDeprovisioned,
		Emails:      []map[string]any{{"address": p.Login, "primary": true}},
		ExternalIDs: []map[string]any{{"type": "organization", "value": p.EmployeeNumber}},
		Organizations: []map[string]any{{
			"name": "Acme", "title": p.Title, "department": p.Department, "primary": true, "customType": "",
		}},
		CustomerID: GoogleCustomer, OrgUnitPath: unitOf(p.Department),
	}
	if u.Suspended {
		u.Reason = "ADMIN"
	}
	if p.MobilePhone != "" {
		u.Phones = []map[string]any{{"type": "mobile", "value": p.MobilePhone}}
	}
	if slices.Contains(custom, "Staff") {
		u.CustomSchemas = map[string]any{"Staff": map[string]any{"nickname": p.NickName}}
	}
	return u
}

// unitOf is the organizational unit of a department.
func unitOf(department string) string {
	if strings.EqualFold(department, "SRE") {
		return "/Engineering/SRE"
	}
	return "/" + department
}

func (s *Google) group(g *group) googleGroup {
	return googleGroup{
		Kind: "admin#directory#group", ID: g.ID, Etag: googleEtag(g.ID), Email: googleAddress(g.Name), Name: g.Name,
		Count: fmt.Sprint(len(g.members)), Description: g.Description, AdminCreated: true,
	}
}

// googleAddress is the address of the group with this name.
func googleAddress(name string) string {
	local := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	return local + "@" + Domain
}

// partial takes from an answer what the fields parameter names: "kind,users(id,name/givenName)". "" is everything.
func partial(body any, fields string) (any, *googleError) {
	if fields == "" {
		return body, nil
	}
	mask, rest, ok := parseMask(fields)
	if !ok || rest != "" {
		return nil, &googleError{400, "invalidParameter", "global", "Invalid field selection " + fields}
	}
	var whole any
	if err := json.Unmarshal(encode(body), &whole); err != nil {
		panic(fmt.Sprintf("sim: read an answer back: %v", err))
	}
	return mask.of(whole), nil
}

// A mask is the fields to keep, each with a mask of its own or nil for all that is in it.
type mask map[string]mask

func parseMask(s string) (m mask, rest string, ok bool) {
	m = mask{}
	for {
		end := strings.IndexAny(s, ",()/")
		if end < 0 {
			end = len(s)
		}
		name := s[:end]
		s = s[end:]
		if name == "" {
			return nil, s, false
		}
		var inner mask
		switch {
		case strings.HasPrefix(s, "("):
			if inner, s, ok = parseMask(s[1:]); !ok || !strings.HasPrefix(s, ")") {
				return nil, s, false
			}
			s = s[1:]
		case strings.HasPrefix(s, "/"):
			end := strings.IndexAny(s, ",)")
			if end < 0 {
				end = len(s)
			}
			if inner, _, ok = parseMask(s[1:end]); !ok {
				return nil, s, false
			}
			s = s[end:]
		}
		if had := m[name]; had != nil && inner != nil { // "a/b,a/c"
			maps.Copy(had, inner)
		} else {
			m[name] = inner
		}
		if !strings.HasPrefix(s, ",") {
			return m, s, true
		}
		s = s[1:]
	}
}

func (m mask) of(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = m.of(v[i])
		}
		return v
	case map[string]any:
		out := map[string]any{}
		for name, inner := range m {
			value, there := v[name]
			switch {
			case !there:
			case inner == nil:
				out[name] = value
			default:
				out[name] = inner.of(value)
			}
		}
		return out
	}
	return v
}
