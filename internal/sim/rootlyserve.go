package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const rootlyMediaType = "application/vnd.api+json"

// A rootlyRefusal is an answer that is no success.
type rootlyRefusal struct {
	status int
	title  string
}

func (e rootlyRefusal) body() any {
	return map[string]any{"errors": []any{map[string]any{"title": e.title, "status": strconv.Itoa(e.status), "code": nil, "detail": nil}}}
}

var rootlyMissing = &rootlyRefusal{http.StatusNotFound, "Not found or unauthorized"}

// An item is one object of an answer.
type item struct {
	ID         string         `json:"id"`
	Type       string         `json:"type,omitempty"` // Rootly's own description has none for paths and levels
	Attributes map[string]any `json:"attributes"`
}

func (s *Rootly) routes() {
	lists := map[string]func(r *http.Request) ([]item, *rootlyRefusal){
		"/v1/users": s.users, "/v1/schedules": s.listSchedules, "/v1/escalation_policies": s.listPolicies,
		"/v1/schedules/{schedule}/schedule_rotations":               s.rotations,
		"/v1/schedule_rotations/{rotation}/schedule_rotation_users": s.rotationUsers,
		"/v1/escalation_policies/{policy}/escalation_paths":         s.paths,
		"/v1/escalation_paths/{path}/escalation_levels":             s.levels,
	}
	for path, find := range lists {
		s.mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			items, refused := find(r)
			s.mu.Unlock()
			if refused != nil {
				writeJSON(w, refused.status, rootlyMediaType, refused.body())
				return
			}
			s.page(w, r, items)
		})
	}
	s.mux.HandleFunc("GET /v1/shifts", s.listShifts)
	s.mux.HandleFunc("POST /v1/alerts", s.raise)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, rootlyMissing.status, rootlyMediaType, rootlyMissing.body())
	})
}

// ServeHTTP answers one request. Every answer carries RateLimit-*.
func (s *Rootly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("RateLimit-Limit", "3000")
	h.Set("RateLimit-Remaining", "2999")
	h.Set("RateLimit-Reset", strconv.FormatInt(s.options.Now().Add(time.Minute).Unix(), 10))
	if r.Header.Get("Authorization") != "Bearer "+s.options.APIKey {
		refused := rootlyRefusal{http.StatusUnauthorized, "Unauthorized"}
		writeJSON(w, refused.status, rootlyMediaType, refused.body())
		return
	}
	s.mux.ServeHTTP(w, r)
}

// page answers with one page of a listing, and with links to the others.
func (s *Rootly) page(w http.ResponseWriter, r *http.Request, items []item) {
	q := r.URL.Query()
	number, _ := strconv.Atoi(q.Get("page[number]"))
	size, _ := strconv.Atoi(q.Get("page[size]"))
	if number < 1 {
		number = 1
	}
	if size < 1 || size > s.options.MaxPage {
		size = s.options.MaxPage
	}
	last := max(1, (len(items)+size-1)/size)
	link := func(n int) any {
		if n < 1 || n > last {
			return nil
		}
		q.Set("page[number]", strconv.Itoa(n))
		return baseURL(r) + r.URL.EscapedPath() + "?" + q.Encode()
	}
	from := min((number-1)*size, len(items))
	writeJSON(w, http.StatusOK, rootlyMediaType, map[string]any{
		"data": append([]item{}, items[from:min(from+size, len(items))]...),
		"links": map[string]any{
			"self": baseURL(r) + r.URL.RequestURI(), "first": link(1), "prev": link(number - 1), "next": link(number + 1), "last": link(last),
		},
	})
}

func (s *Rootly) times() map[string]any {
	at := stamp(s.options.Now().Add(-24 * time.Hour))
	return map[string]any{"created_at": at, "updated_at": at}
}

func with(m map[string]any, key string, value any) map[string]any { m[key] = value; return m }

func (s *Rootly) user(u SCIMUser) item {
	a := with(s.times(), "email", u.UserName)
	a["full_name"], a["time_zone"] = u.DisplayName, "America/New_York"
	return item{strconv.Itoa(s.number(u.ID)), "users", a}
}

func (s *Rootly) users(r *http.Request) ([]item, *rootlyRefusal) {
	email := r.URL.Query().Get("filter[email]")
	var out []item
	for _, u := range s.scim.Users() {
		if email == "" || sameAddress(u.UserName, email) {
			out = append(out, s.user(u))
		}
	}
	return out, nil
}

func (s *Rootly) listSchedules(*http.Request) ([]item, *rootlyRefusal) {
	var out []item
	for _, d := range s.schedules {
		out = append(out, item{d.id, "schedules", with(s.times(), "name", d.name)})
	}
	return out, nil
}

func (s *Rootly) rotations(r *http.Request) ([]item, *rootlyRefusal) {
	for _, d := range s.schedules {
		if d.id == r.PathValue("schedule") {
			return []item{{d.rotation, "schedule_rotations", map[string]any{
				"name": d.name + " rotation", "schedule_id": d.id, "schedule_rotationable_type": "ScheduleWeeklyRotation", "position": 1,
				"schedule_rotationable_attributes": map[string]any{"handoff_day": "M", "handoff_time": "09:00"},
			}}}, nil
		}
	}
	return nil, rootlyMissing
}

func (s *Rootly) rotationUsers(r *http.Request) ([]item, *rootlyRefusal) {
	for _, d := range s.schedules {
		if d.rotation != r.PathValue("rotation") {
			continue
		}
		var out []item
		for i, id := range d.users {
			a := with(s.times(), "schedule_rotation_id", d.rotation)
			a["user_id"], a["position"] = s.number(id), i+1
			out = append(out, item{d.rotation[:24] + strconv.Itoa(100000000000+i), "schedule_rotation_users", a})
		}
		return out, nil
	}
	return nil, rootlyMissing
}

func (s *Rootly) listPolicies(*http.Request) ([]item, *rootlyRefusal) {
	var out []item
	for _, p := range s.policies {
		out = append(out, item{p.id, "escalation_policies", map[string]any{"name": p.name, "repeat_count": 1, "created_by_user_id": firstUserID}})
	}
	return out, nil
}

func (s *Rootly) paths(r *http.Request) ([]item, *rootlyRefusal) {
	for _, p := range s.policies {
		if p.id == r.PathValue("policy") {
			return []item{{p.path, "", map[string]any{
				"name": "Default", "default": true, "notification_type": "audible", "escalation_policy_id": p.id, "repeat": false, "repeat_count": 1,
			}}}, nil
		}
	}
	return nil, rootlyMissing
}

func (s *Rootly) levels(r *http.Request) ([]item, *rootlyRefusal) {
	for _, p := range s.policies {
		if p.path != r.PathValue("path") {
			continue
		}
		targets := []any{}
		if p.schedule != "" {
			targets = append(targets, map[string]any{"type": "schedule", "id": p.schedule})
		}
		for _, id := range p.users {
			targets = append(targets, map[string]any{"type": "user", "id": strconv.Itoa(s.number(id))})
		}
		return []item{{p.level, "", map[string]any{
			"escalation_policy_id": p.id, "escalation_policy_path_id": p.path, "position": 1, "delay": 5, "notification_target_params": targets,
		}}}, nil
	}
	return nil, rootlyMissing
}

// listShifts answers whole, whatever the number, with what overlaps from..to.
func (s *Rootly) listShifts(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	from, fromErr := time.Parse(time.RFC3339, q.Get("from"))
	to, toErr := time.Parse(time.RFC3339, q.Get("to"))
	data := []item{}
	for _, shift := range s.shifts {
		u, there := s.scim.User(shift.user)
		number := strconv.Itoa(s.number(shift.user))
		if !there || q.Has("user_ids[]") && !slices.Contains(q["user_ids[]"], number) ||
			q.Has("schedule_ids[]") && !slices.Contains(q["schedule_ids[]"], shift.schedule) ||
			fromErr == nil && !shift.ends.After(from) || toErr == nil && !shift.starts.Before(to) {
			continue
		}
		zone := time.FixedZone("", -8*60*60) // Rootly writes times in the zone of the account
		a := map[string]any{
			"schedule_id": shift.schedule, "rotation_id": shift.rotation, "is_override": shift.override,
			"starts_at": shift.starts.In(zone).Format("2006-01-02T15:04:05.000Z07:00"),
			"ends_at":   shift.ends.In(zone).Format("2006-01-02T15:04:05.000Z07:00"),
		}
		if slices.Contains(q["include"], "user") {
			a["user"] = map[string]any{"data": s.user(u)}
		}
		data = append(data, item{shift.id, "shifts", a})
	}
	writeJSON(w, http.StatusOK, rootlyMediaType, map[string]any{"data": data})
}

// raise records an alert.
func (s *Rootly) raise(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what is cut off is no JSON
	var doc struct {
		Data struct {
			Type       string
			Attributes map[string]any
		}
	}
	err := json.Unmarshal(body, &doc)
	a := doc.Data.Attributes
	source, _ := a["source"].(string)
	summary, _ := a["summary"].(string)
	if err != nil || doc.Data.Type != "alerts" || source == "" || summary == "" {
		refused := rootlyRefusal{http.StatusUnprocessableEntity, "an alert needs the type alerts, a source and a summary"}
		writeJSON(w, refused.status, rootlyMediaType, refused.body())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	alert := Alert{ID: s.newID(), Source: source, Summary: summary, Body: string(body)}
	s.alerts = append(s.alerts, alert)
	shown := s.times()
	for _, key := range []string{"source", "summary", "description", "status", "noise", "external_id", "external_url", "data", "labels", "service_ids", "group_ids", "environment_ids"} {
		if v, given := a[key]; given {
			shown[key] = v
		}
	}
	writeJSON(w, http.StatusCreated, rootlyMediaType, map[string]any{"data": item{alert.ID, "alerts", shown}})
}
