package file

import (
	"maps"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A format is one way to write people as a table. A field's column may have several names, the preferred first.
type format struct {
	name      string
	title     string
	signature [][]string // headers that show it: one of each list
	columns   map[string][]string
	statuses  map[string]connectors.Status
	// statusOptional means that a file without the column says that everybody in it is active.
	statusOptional bool
}

// formats are tried in this order: the later ones are recognised by less.
var formats = []format{
	{
		name:      "google",
		title:     "Google Admin console export",
		signature: [][]string{{"Email Address"}, {"First Name"}, {"Last Name"}},
		columns: map[string][]string{
			"userName": {"Email Address"}, "email": {"Email Address"}, "givenName": {"First Name"}, "familyName": {"Last Name"},
			"department": {"department"}, "title": {"Employee Title"}, "employeeNumber": {"Employee ID"}, "employeeType": {"employeeType"},
			"mobilePhone": {"mobilePhone"}, "workPhone": {"workPhone"}, "status": {"status"},
		},
		statuses: map[string]connectors.Status{
			"active": connectors.StatusActive, "suspended": connectors.StatusDisabled, "archived": connectors.StatusDisabled,
		},
	},
	{
		name:      "entra",
		title:     "Entra users export",
		signature: [][]string{{"userPrincipalName"}, {"displayName"}},
		columns: map[string][]string{
			"id": {"id", "objectId"}, "userName": {"userPrincipalName"}, "email": {"mail"}, "givenName": {"givenName"}, "familyName": {"surname"},
			"displayName": {"displayName"}, "department": {"department"}, "title": {"jobTitle"}, "company": {"companyName"},
			"employeeNumber": {"Employee ID"}, "employeeType": {"userType"}, "mobilePhone": {"mobilePhone", "mobile"},
			"workPhone": {"telephoneNumber"}, "status": {"accountEnabled"},
		},
		statuses: map[string]connectors.Status{"true": connectors.StatusActive, "false": connectors.StatusDisabled},
	},
	{
		name:      "okta",
		title:     "Okta people export",
		signature: [][]string{{"login", "userName"}, {"First Name"}, {"Last Name"}},
		columns: map[string][]string{
			"id": {"id", "User Id"}, "userName": {"login", "userName"}, "email": {"email", "Primary email"}, "givenName": {"First Name"},
			"familyName": {"Last Name"}, "displayName": {"displayName"}, "nickname": {"nickName"}, "department": {"department"},
			"title": {"title"}, "company": {"organization"}, "employeeNumber": {"employeeNumber"}, "employeeType": {"userType"},
			"mobilePhone": {"mobilePhone"}, "workPhone": {"primaryPhone"}, "status": {"status", "User status", "Okta user status"},
		},
		// Okta's own words and, where they differ, those that its console shows. A locked or expired sign-in is employed.
		statuses: map[string]connectors.Status{
			"active": connectors.StatusActive, "lockedout": connectors.StatusActive, "passwordexpired": connectors.StatusActive,
			"recovery": connectors.StatusActive, "passwordreset": connectors.StatusActive,
			"provisioned": connectors.StatusActive, "pendinguseraction": connectors.StatusActive,
			"staged":    connectors.StatusStaged,
			"suspended": connectors.StatusDisabled, "deprovisioned": connectors.StatusDisabled, "deactivated": connectors.StatusDisabled,
		},
	},
	{
		name:      "csv",
		title:     "our CSV",
		signature: [][]string{{"userName"}},
		columns: map[string][]string{
			"id": {"id"}, "userName": {"userName"}, "email": {"email"}, "givenName": {"givenName"}, "familyName": {"familyName"},
			"displayName": {"displayName"}, "nickname": {"nickName"}, "department": {"department"}, "title": {"title"}, "company": {"company"},
			"employeeNumber": {"employeeNumber"}, "employeeType": {"employeeType"}, "mobilePhone": {"mobilePhone"}, "workPhone": {"workPhone"},
			"status": {"status"}, "groups": {"groups"},
		},
		statuses:       ownStatuses,
		statusOptional: true,
	},
}

// ownStatuses are the words of our own CSV and JSON.
var ownStatuses = map[string]connectors.Status{
	"active": connectors.StatusActive, "staged": connectors.StatusStaged,
	"suspended": connectors.StatusDisabled, "deprovisioned": connectors.StatusDisabled, "disabled": connectors.StatusDisabled,
}

func userFormat(name string) *format {
	for i := range formats {
		if formats[i].name == name {
			return &formats[i]
		}
	}
	return nil
}

// recognise finds the format whose signature the header has.
func recognise(t *table) *format {
	for i := range formats {
		if !slices.ContainsFunc(formats[i].signature, func(any []string) bool { return t.column(any...) < 0 }) {
			return &formats[i]
		}
	}
	return nil
}

// parseUsers reads people from a table. attributes are columns that expressions ask for.
func parseUsers(text []byte, forced string, attributes []string, log *problems) (title string, people []person) {
	t := parseTable(text, log)
	if t == nil {
		return "", nil
	}
	f := userFormat(forced)
	if f == nil {
		f = recognise(t)
	}
	if f == nil {
		log.add(t.line, "column \"userName\" is missing (or, of an export, login, userPrincipalName or \"Email Address\"); found %s", quoted(t.header))
		return "", nil
	}
	at := f.locate(t, log)
	extra := map[string]int{}
	for _, a := range attributes {
		if extra[a] = t.named(a); extra[a] < 0 {
			log.add(t.line, "column %q, which an expression reads, is missing; found %s", a, quoted(t.header))
		}
	}
	people = make([]person, 0, len(t.rows))
	for _, r := range t.rows {
		p := f.person(r, at, log)
		for _, a := range attributes {
			if v := r.cell(extra[a]); v != "" {
				if p.user.Attrs == nil {
					p.user.Attrs = make(map[string]string, len(attributes))
				}
				p.user.Attrs[a] = v
			}
		}
		people = append(people, p)
	}
	return f.title, people
}

// locate finds the format's columns and notes those that are missing and must not be.
func (f *format) locate(t *table, log *problems) location {
	at := location{}
	for _, field := range slices.Sorted(maps.Keys(f.columns)) {
		at[field] = t.column(f.columns[field]...)
		required := field == "userName" || field == "status" && !f.statusOptional
		if at[field] < 0 && required {
			log.add(t.line, "column %q is missing (%s; export with it); found %s", f.columns[field][0], f.title, quoted(t.header))
		}
	}
	return at
}

func (f *format) person(r row, at location, log *problems) person {
	get := func(field string) string { return r.cell(at.column(field)) }
	u := connectors.User{
		ID: connectors.UserID(get("id")), UserName: get("userName"), Email: get("email"), GivenName: get("givenName"), FamilyName: get("familyName"),
		DisplayName: get("displayName"), Nickname: get("nickname"), Department: get("department"), Title: get("title"), Company: get("company"),
		EmployeeNumber: get("employeeNumber"), EmployeeType: get("employeeType"), Phones: phones(get("mobilePhone"), get("workPhone")),
	}
	switch {
	case u.UserName == "":
		log.add(r.line, "no user name")
	case at.column("id") < 0:
		// Folded, so that another spelling of the same address is not another person.
		u.ID = connectors.UserID(connectors.Fold(u.UserName))
	case u.ID == "":
		log.add(r.line, "%s has no id", u.UserName)
	}
	if at.column("status") < 0 {
		u.Status = connectors.StatusActive // a missing column that must be there is noted by locate
	} else {
		u.Status, u.StatusDetail = f.status(get("status"), r.line, log)
	}
	return person{user: u, groups: list(get("groups")), line: r.line}
}

// A location says in which column each field of a format is.
type location map[string]int

// column is -1 for a field that the format or the table has not.
func (l location) column(field string) int {
	if i, ok := l[field]; ok {
		return i
	}
	return -1
}

func (f *format) status(word string, line int, log *problems) (connectors.Status, string) {
	s := status(f.statuses, word, line, log)
	if f.name == "entra" {
		return s, "accountEnabled=" + strings.ToLower(word)
	}
	return s, word
}

// status never guesses: a word that is not in the vocabulary may mean that somebody has left.
func status(vocabulary map[string]connectors.Status, word string, line int, log *problems) connectors.Status {
	s := vocabulary[key(word)]
	if s == "" {
		log.add(line, "status %q is unknown; known are %s", word, strings.Join(slices.Sorted(maps.Keys(vocabulary)), ", "))
	}
	return s
}

// phones takes the first of several numbers, which Google writes with commas between them.
func phones(mobile, work string) []connectors.Phone {
	var list []connectors.Phone
	for _, p := range []connectors.Phone{{Type: "mobile", Value: mobile}, {Type: "work", Value: work}} {
		p.Value, _, _ = strings.Cut(p.Value, ",")
		if p.Value = strings.TrimSpace(p.Value); p.Value != "" {
			list = append(list, p)
		}
	}
	return list
}

// list takes a semicolon-separated cell apart.
func list(cell string) []string {
	var names []string
	for name := range strings.SplitSeq(cell, ";") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// checkPeople refuses ids that two rows have.
func checkPeople(people []person, log *problems) {
	lines := make(map[connectors.UserID]int, len(people))
	for _, p := range people {
		if p.user.ID == "" {
			continue // noted already
		}
		if first, twice := lines[p.user.ID]; twice {
			log.add(p.line, "id %q is that of line %d as well", p.user.ID, first)
			continue
		}
		lines[p.user.ID] = p.line
	}
}

func quoted(names []string) string {
	return "\"" + strings.Join(names, "\", \"") + "\""
}
