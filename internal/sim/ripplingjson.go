package sim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// departmentID is the id of a department.
func departmentID(name string) string {
	return "dep-" + strings.ToLower(strings.ReplaceAll(name, " ", "-"))
}

func (s *Rippling) listUsers(r *http.Request) (int, any) {
	people := s.company.people
	return s.page(r, len(people), func(place int) map[string]any {
		if p := people[place]; p != nil {
			return s.user(p)
		}
		return nil
	})
}

func (s *Rippling) getUser(r *http.Request) (int, any) {
	p := s.company.byID[r.PathValue("id")]
	if p == nil {
		return http.StatusNotFound, nil
	}
	u := s.redact(r, s.user(p))
	u["__meta"] = map[string]any{"redacted_fields": s.redacted(r)}
	return http.StatusOK, u
}

func (s *Rippling) user(p *person) map[string]any {
	active := !slices.Contains([]Status{StatusStaged, StatusSuspended, StatusDeprovisioned}, p.Status)
	name := map[string]any{"formatted": p.FirstName + " " + p.LastName, "given_name": p.FirstName, "family_name": p.LastName}
	if p.NickName != "" {
		name["preferred_given_name"] = p.NickName
	}
	u := map[string]any{
		"id": p.ID, "created_at": stamp(p.Created), "updated_at": stamp(p.LastUpdated), "active": active, "username": p.Login,
		"name": name, "display_name": p.DisplayName, "emails": []any{map[string]any{"value": p.Email, "type": "WORK"}},
		"locale": "en-US", "timezone": "America/Los_Angeles",
	}
	if p.MobilePhone != "" {
		u["phone_numbers"] = []any{map[string]any{"value": p.MobilePhone, "type": "MOBILE"}}
	}
	return u
}

// listWorkers knows the people first, then earlier employments, then those who are nobody's user yet.
func (s *Rippling) listWorkers(r *http.Request) (int, any) {
	people, n := s.company.people, len(s.company.people)
	return s.page(r, 2*n+s.options.Candidates, func(place int) map[string]any {
		if place >= 2*n {
			return map[string]any{
				"id": fmt.Sprintf("w-candidate-%d", place-2*n), "created_at": stamp(s.company.founded), "updated_at": stamp(s.company.founded),
				"status": "ACCEPTED", "title": "Engineer", "teams_id": []string{},
			}
		}
		p := people[place%n]
		switch {
		case p == nil || slices.Contains(s.options.Outsiders, p.Login):
			return nil
		case place < n:
			return s.worker(p)
		case slices.Contains(s.options.Rehired, p.Login):
			w := s.worker(p)
			w["id"], w["status"], w["start_date"], w["title"] = "w-earlier-"+p.ID, "TERMINATED", "2020-01-01", "Intern"
			w["teams_id"] = []string{}
			return w
		}
		return nil
	})
}

func (s *Rippling) worker(p *person) map[string]any {
	status := "ACTIVE"
	switch {
	case p.Status == StatusStaged:
		status = "HIRED"
	case p.Status == StatusDeprovisioned || slices.Contains(s.options.Leaving, p.Login):
		status = "TERMINATED"
	}
	teams := []string{}
	for _, g := range s.company.groups {
		if g == nil || g == s.company.all {
			continue
		}
		if _, in := slices.BinarySearch(g.members, p.seq); in {
			teams = append(teams, g.ID)
		}
	}
	number, _ := strconv.Atoi(p.EmployeeNumber)
	return map[string]any{
		"id": "w-" + p.ID, "created_at": stamp(p.Created), "updated_at": stamp(p.LastUpdated), "user_id": p.ID, "status": status,
		"start_date": p.Created.Format("2006-01-02"), "number": number, "work_email": p.Email, "title": p.Title, "country": "US",
		"department_id": departmentID(p.Department), "teams_id": teams,
	}
}

func (s *Rippling) listTeams(r *http.Request) (int, any) {
	groups := s.company.groups
	return s.page(r, len(groups), func(place int) map[string]any {
		g := groups[place]
		if g == nil || g == s.company.all {
			return nil
		}
		team := map[string]any{"id": g.ID, "name": g.Name, "created_at": stamp(g.Created), "updated_at": stamp(g.LastUpdated)}
		if above := s.company.named[s.options.Parents[g.Name]]; above != nil {
			team["parent_id"] = above.ID
		}
		return team
	})
}

func (s *Rippling) listDepartments(r *http.Request) (int, any) {
	seen := map[string]bool{}
	for _, p := range s.company.people {
		if p != nil {
			seen[p.Department] = true
		}
	}
	names := slices.Sorted(maps.Keys(seen))
	return s.page(r, len(names), func(place int) map[string]any {
		name, founded := names[place], stamp(s.company.founded)
		d := map[string]any{"id": departmentID(name), "name": name, "created_at": founded, "updated_at": founded}
		if above := s.options.Parents[name]; above != "" {
			d["parent_id"] = departmentID(above)
		}
		return d
	})
}
