package rippling

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A record is what every object has.
type record struct {
	ID   string `json:"id"`
	Meta meta   `json:"__meta"`
}

// A meta says which fields were left out because the token may not see them.
type meta struct {
	Redacted []redaction `json:"redacted_fields"`
}

type redaction struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

func (r *record) common() *record { return r }

// A user is who may sign in.
type user struct {
	record
	Active   *bool  `json:"active"`
	Username string `json:"username"`
	Name     struct {
		Given           string `json:"given_name"`
		Family          string `json:"family_name"`
		PreferredGiven  string `json:"preferred_given_name"`
		PreferredFamily string `json:"preferred_family_name"`
	} `json:"name"`
	DisplayName string  `json:"display_name"`
	Emails      []typed `json:"emails"`
	Phones      []typed `json:"phone_numbers"`
	Language    string  `json:"preferred_language"`
	Locale      string  `json:"locale"`
	Timezone    string  `json:"timezone"`
}

// A typed value is an address or a number: HOME, WORK, MOBILE.
type typed struct {
	Value string `json:"value"`
	Type  string `json:"type"`
}

// A worker is one employment. Somebody who came back, or works for two legal entities, has several.
type worker struct {
	record
	UserID         string      `json:"user_id"`
	Status         string      `json:"status"`
	WorkEmail      string      `json:"work_email"`
	PersonalEmail  string      `json:"personal_email"`
	Title          string      `json:"title"`
	Number         json.Number `json:"number"`
	StartDate      string      `json:"start_date"`
	EndDate        string      `json:"end_date"`
	Country        string      `json:"country"`
	DepartmentID   string      `json:"department_id"`
	TeamIDs        []string    `json:"teams_id"`
	ManagerID      string      `json:"manager_id"`
	LegalEntityID  string      `json:"legal_entity_id"`
	EmploymentType string      `json:"employment_type_id"`
	LevelID        string      `json:"level_id"`
}

// terminated is the status of an employment that is over.
const terminated = "TERMINATED"

// ranks are the statuses of a worker in the order in which they decide about a person who has several.
var ranks = map[string]int{"ACTIVE": 0, "ACCEPTED": 1, "HIRED": 1, terminated: 2}

// compare puts the deciding worker first: by status, then the one who began last.
func (w *worker) compare(v *worker) int {
	return cmp.Or(cmp.Compare(ranks[w.Status], ranks[v.Status]), cmp.Compare(v.StartDate, w.StartDate), cmp.Compare(w.ID, v.ID))
}

// statusOf is what a user and their workers, the deciding one first, come to. HIRED and ACCEPTED people have not begun:
// they are staged, unless an earlier employment of theirs has ended, which until then is what counts. A user without any
// worker, such as an outside accountant, is judged by active alone.
func statusOf(active bool, workers []*worker) (connectors.Status, string) {
	var words []string
	began, ended := false, false
	for _, w := range workers {
		words = append(words, w.Status)
		began = began || w.Status == "ACTIVE"
		ended = ended || w.Status == terminated
	}
	detail := strings.Join(slices.Compact(words), ", ")
	switch {
	case len(workers) > 0 && !began && !ended:
		return connectors.StatusStaged, detail
	case !active:
		return connectors.StatusDisabled, strings.TrimPrefix(detail+", active=false", ", ")
	case len(workers) > 0 && !began:
		return connectors.StatusDisabled, detail
	}
	return connectors.StatusActive, cmp.Or(detail, "no worker")
}

func (c *Connector) neutralUser(u *user, s staff) (connectors.User, error) {
	if u.Active == nil {
		return connectors.User{}, connectors.Damaged(vendor, "reading user "+u.ID, "it does not say whether the user is active")
	}
	workers := s.workers[u.ID]
	var w worker // the deciding one; the zero worker says nothing
	if len(workers) > 0 {
		w = *workers[0]
	}
	person := connectors.User{
		ID:             connectors.UserID(u.ID),
		UserName:       u.Username,
		Email:          cmp.Or(w.WorkEmail, valueOf(u.Emails, "WORK")),
		GivenName:      cmp.Or(u.Name.PreferredGiven, u.Name.Given),
		FamilyName:     cmp.Or(u.Name.PreferredFamily, u.Name.Family),
		DisplayName:    u.DisplayName,
		Title:          w.Title,
		EmployeeNumber: w.Number.String(),
	}
	person.Status, person.StatusDetail = statusOf(*u.Active, workers)
	if person.DisplayName == "" {
		person.DisplayName = strings.TrimSpace(person.GivenName + " " + person.FamilyName)
	}
	if d := s.departments[w.DepartmentID]; d != nil {
		person.Department = d.Name
	}
	for _, kind := range []string{"mobile", "work"} {
		if v := valueOf(u.Phones, kind); v != "" {
			person.Phones = append(person.Phones, connectors.Phone{Type: kind, Value: strings.TrimPrefix(v, "tel:")})
		}
	}
	for _, name := range c.opts.Query.Attributes {
		if person.Attrs == nil {
			person.Attrs = map[string]string{}
		}
		person.Attrs[name] = attributes[name](u, &w)
	}
	return person, nil
}

// valueOf is the first value of a type, letter case aside.
func valueOf(list []typed, kind string) string {
	for _, v := range list {
		if v.Value != "" && strings.EqualFold(v.Type, kind) {
			return v.Value
		}
	}
	return ""
}

// attributes are what expressions may read by Rippling's own names: of the user, and of the deciding worker.
var attributes = map[string]func(*user, *worker) string{
	"username":           func(u *user, _ *worker) string { return u.Username },
	"preferred_language": func(u *user, _ *worker) string { return u.Language },
	"locale":             func(u *user, _ *worker) string { return u.Locale },
	"timezone":           func(u *user, _ *worker) string { return u.Timezone },
	"given_name":         func(u *user, _ *worker) string { return u.Name.Given },
	"family_name":        func(u *user, _ *worker) string { return u.Name.Family },
	"status":             func(_ *user, w *worker) string { return w.Status },
	"work_email":         func(_ *user, w *worker) string { return w.WorkEmail },
	"personal_email":     func(_ *user, w *worker) string { return w.PersonalEmail },
	"start_date":         func(_ *user, w *worker) string { return w.StartDate },
	"end_date":           func(_ *user, w *worker) string { return w.EndDate },
	"country":            func(_ *user, w *worker) string { return w.Country },
	"department_id":      func(_ *user, w *worker) string { return w.DepartmentID },
	"manager_id":         func(_ *user, w *worker) string { return w.ManagerID },
	"legal_entity_id":    func(_ *user, w *worker) string { return w.LegalEntityID },
	"employment_type_id": func(_ *user, w *worker) string { return w.EmploymentType },
	"level_id":           func(_ *user, w *worker) string { return w.LevelID },
}

func knownAttributes() []string { return slices.Sorted(maps.Keys(attributes)) }
