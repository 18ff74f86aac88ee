package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// tenantDomain is the domain that every tenant has from its beginning; the names of guests are in it.
const tenantDomain = "acme.onmicrosoft.example"

// GraphExtension is a directory extension of the tenant, which people have with their department's cost centre.
const GraphExtension = "extension_0c1d2e3f405162738495a6b7c8d9eaf0_costCenter"

// A property reads one of an object's properties.
type property[T any] func(T) any

// userProperties are the properties that Graph keeps in the directory itself, as far as the company has them.
var userProperties = map[string]property[*person]{
	"id":                func(p *person) any { return GraphID(p.ID) },
	"deletedDateTime":   func(*person) any { return nil },
	"accountEnabled":    func(p *person) any { return p.accountEnabled() },
	"userPrincipalName": func(p *person) any { return p.principalName() },
	"userType":          func(p *person) any { return p.userType() },
	"mail":              func(p *person) any { return orNull(p.Email) },
	"displayName":       func(p *person) any { return p.fullName() },
	"givenName":         func(p *person) any { return orNull(p.FirstName) },
	"surname":           func(p *person) any { return orNull(p.LastName) },
	"department":        func(p *person) any { return orNull(p.Department) },
	"jobTitle":          func(p *person) any { return orNull(p.Title) },
	"companyName":       func(*person) any { return "Acme" },
	"employeeId":        func(p *person) any { return orNull(p.EmployeeNumber) },
	"employeeType":      func(*person) any { return nil },
	"mailNickname":      func(p *person) any { return localPart(p.Login) },
	"mobilePhone":       func(p *person) any { return orNull(p.MobilePhone) },
	"businessPhones":    func(*person) any { return []string{} },
	"officeLocation":    func(*person) any { return nil },
	"preferredLanguage": func(*person) any { return nil },
	"city":              func(*person) any { return nil },
	"country":           func(*person) any { return nil },
	"createdDateTime":   func(p *person) any { return graphTime(p.Created) },
	"otherMails":        func(*person) any { return []string{} },
	"proxyAddresses":    func(p *person) any { return []string{"SMTP:" + p.Email} },
	"onPremisesExtensionAttributes": func(p *person) any {
		all := map[string]any{}
		for i := range 15 {
			all[fmt.Sprintf("extensionAttribute%d", i+1)] = nil
		}
		all["extensionAttribute1"] = orNull(p.NickName)
		return all
	},
	GraphExtension: func(p *person) any { return "CC-" + p.Department },
}

// elsewhere are properties that are kept outside the directory: a listing cannot have them.
var elsewhere = []string{
	"aboutMe", "birthday", "hireDate", "interests", "mailboxSettings", "mySite", "pastProjects", "preferredName",
	"responsibilities", "schools", "skills",
}

// usualUser are the properties of a user when no $select names any.
var usualUser = []string{
	"businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
	"preferredLanguage", "surname", "userPrincipalName",
}

var groupProperties = map[string]property[*group]{
	"id":              func(g *group) any { return GraphID(g.ID) },
	"deletedDateTime": func(*group) any { return nil },
	"createdDateTime": func(g *group) any { return graphTime(g.Created) },
	"displayName":     func(g *group) any { return g.Name },
	"description":     func(g *group) any { return orNull(g.Description) },
	"groupTypes":      func(*group) any { return []string{} },
	"mail":            func(*group) any { return nil },
	"mailEnabled":     func(*group) any { return false },
	"mailNickname":    func(g *group) any { return strings.ReplaceAll(g.Name, " ", "") },
	"securityEnabled": func(*group) any { return true },
	"visibility":      func(*group) any { return nil },
}

func (p *person) accountEnabled() bool {
	return p.Status != StatusSuspended && p.Status != StatusDeprovisioned && p.Status != StatusStaged
}

// principalName is a guest's name in the tenant when the login is of another domain.
func (p *person) principalName() string {
	if local, domain, ok := strings.Cut(p.Login, "@"); ok && p.userType() == "Guest" {
		return local + "_" + domain + "#EXT#@" + tenantDomain
	}
	return p.Login
}

func (p *person) userType() string {
	if strings.HasSuffix(strings.ToLower(p.Login), "@"+Domain) {
		return "Member"
	}
	return "Guest"
}

func (p *person) fullName() string {
	if p.DisplayName != "" {
		return p.DisplayName
	}
	return p.FirstName + " " + p.LastName
}

func localPart(login string) string {
	local, _, _ := strings.Cut(login, "@")
	return local
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func graphTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// selected are the properties that a request names, or the usual ones.
func selected(r *http.Request, usual []string) []string {
	if text := r.URL.Query().Get("$select"); text != "" {
		return strings.Split(text, ",")
	}
	return usual
}

// checkSelect refuses what a type does not have. Among objects of several types nothing is refused: each gives what
// it has.
func checkSelect[T any](names []string, known map[string]property[T], kind string) *graphError {
	for _, name := range names {
		switch {
		case slices.Contains(elsewhere, name):
			return &graphError{501, "NotImplemented", "Not Implemented"}
		case known[name] == nil:
			return &graphError{400, "BadRequest",
				fmt.Sprintf("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, kind)}
		}
	}
	return nil
}

// pick reads the named properties of an object.
func pick[T any](v T, names []string, known map[string]property[T]) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if read, ok := known[name]; ok {
			out[name] = read(v)
		}
	}
	return out
}

func (s *Graph) user(p *person, names []string) map[string]any {
	u := pick(p, names, userProperties)
	if _, ok := u["accountEnabled"]; ok && s.options.Blind {
		u["accountEnabled"] = nil
	}
	return u
}

func (s *Graph) group(g *group, names []string) map[string]any {
	out := pick(g, names, groupProperties)
	if _, ok := out["visibility"]; ok && slices.Contains(s.options.Hidden, g.Name) {
		out["visibility"] = "HiddenMembership"
	}
	return out
}

// typed marks an object among others of other types. An app that may not read them is told no more than that.
func (s *Graph) typed(kind string, object map[string]any) map[string]any {
	if s.options.Blind {
		for name := range object {
			if name != "id" {
				object[name] = nil
			}
		}
	}
	object["@odata.type"] = "#microsoft.graph." + kind
	return object
}

// context is the @odata.context of an answer.
func graphContext(r *http.Request, of string) string {
	return baseURL(r) + GraphBase + "/$metadata#" + of
}

// entity is one object as an answer by itself.
func entity(r *http.Request, of string, object map[string]any) map[string]any {
	object["@odata.context"] = graphContext(r, of+"/$entity")
	return object
}
