package sim

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// rootlyContract is what readers of Rootly's REST API rely on, in the form of Rootly's own description.
const rootlyContract = `
paths:
  /v1/users: {get: {responses: {"200": {$ref: "#/components/responses/List"}, "401": {$ref: "#/components/responses/Error"}}}}
  /v1/schedules: {get: {responses: {"200": {$ref: "#/components/responses/List"}}}}
  /v1/schedules/{id}/schedule_rotations: {get: {responses: {"200": {$ref: "#/components/responses/List"}, "404": {$ref: "#/components/responses/Error"}}}}
  /v1/schedule_rotations/{id}/schedule_rotation_users: {get: {responses: {"200": {$ref: "#/components/responses/List"}, "404": {$ref: "#/components/responses/Error"}}}}
  /v1/escalation_policies: {get: {responses: {"200": {$ref: "#/components/responses/List"}}}}
  /v1/escalation_policies/{id}/escalation_paths: {get: {responses: {"200": {$ref: "#/components/responses/List"}, "404": {$ref: "#/components/responses/Error"}}}}
  /v1/escalation_paths/{id}/escalation_levels: {get: {responses: {"200": {$ref: "#/components/responses/List"}, "404": {$ref: "#/components/responses/Error"}}}}
  /v1/shifts: {get: {responses: {"200": {content: {application/vnd.api+json: {schema: {type: object, required: [data], properties: {data: {type: array, items: {$ref: "#/components/schemas/Item"}}}}}}}}}}
  /v1/alerts: {post: {responses: {"201": {content: {application/vnd.api+json: {schema: {type: object, required: [data], properties: {data: {$ref: "#/components/schemas/Item"}}}}}}}}}
components:
  responses:
    List: {content: {application/vnd.api+json: {schema: {$ref: "#/components/schemas/List"}}}}
    Error: {content: {application/vnd.api+json: {schema: {type: object, required: [errors], properties: {errors: {type: array, items: {type: object, required: [title, status]}}}}}}}
  schemas:
    Item: {type: object, required: [id, attributes], properties: {id: {type: string, minLength: 1}, type: {type: string}, attributes: {type: object, additionalProperties: true}}}
    List:
      type: object
      required: [data, links]
      properties:
        data: {type: array, items: {$ref: "#/components/schemas/Item"}}
        links:
          type: object
          required: [self, first, prev, next, last]
          properties: {self: {type: string}, first: {type: string}, prev: {type: string, nullable: true}, next: {type: string, nullable: true}, last: {type: string}}
`

// A rootlyOffice is a Rootly with three people and one of everything.
func rootlyOffice(t *testing.T, o RootlyOptions) (*Rootly, *caller) {
	t.Helper()
	scim := NewSCIM(SCIMOptions{})
	for _, name := range []string{"ann@acme.example", "bo@acme.example", "cy@acme.example"} {
		must[SCIMUser](t)(scim.AddUser(SCIMUser{UserName: name, DisplayName: name, Active: true}))
	}
	s := NewRootly(scim, 1, o)
	now := time.Now()
	for _, err := range []error{
		s.AddSchedule("Payments primary", "ann@acme.example", "bo@acme.example"),
		s.AddShift("Payments primary", "ann@acme.example", now.Add(-time.Hour), now.Add(time.Hour)),
		s.AddPolicy("Payments", "Payments primary", "cy@acme.example"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s, callRootly(t, s)
}

func callRootly(t testing.TB, h http.Handler) *caller {
	return &caller{t, h, http.Header{"Authorization": {"Bearer " + DefaultRootlyKey}, "Accept": {rootlyMediaType}, "Content-Type": {rootlyMediaType}}}
}

// TestRootlyAnswersAsDescribed holds every answer against the contract above and, where ROOTLY_OPENAPI names a file,
// against that file too: Rootly's published OpenAPI description of its REST API.
func TestRootlyAnswersAsDescribed(t *testing.T) {
	documents := map[string][]byte{"contract": []byte(rootlyContract)}
	if file := os.Getenv("ROOTLY_OPENAPI"); file != "" {
		documents["ROOTLY_OPENAPI"] = must[[]byte](t)(os.ReadFile(file))
	}
	s, c := rootlyOffice(t, RootlyOptions{})
	paths := []string{
		"/v1/users?filter[email]=ann@acme.example", "/v1/users?page[size]=1&page[number]=2", "/v1/schedules", "/v1/escalation_policies",
		"/v1/schedules/" + s.schedules[0].id + "/schedule_rotations", "/v1/schedule_rotations/" + s.schedules[0].rotation + "/schedule_rotation_users",
		"/v1/escalation_policies/" + s.policies[0].id + "/escalation_paths", "/v1/escalation_paths/" + s.policies[0].path + "/escalation_levels",
		"/v1/shifts?include=user",
	}
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			d := parseDocument(t, text)
			for _, path := range paths {
				g := c.get(path)
				if data, _ := g.object["data"].([]any); g.status != 200 || len(data) == 0 {
					t.Fatalf("%s: %d %s", path, g.status, g.text)
				}
				for _, problem := range d.check(d.schema(t, path, g.status), g.object, path) {
					t.Error(problem)
				}
			}
			raised := c.do("POST", "/v1/alerts", `{"data":{"type":"alerts","attributes":{"source":"manual","summary":"x","labels":[{"key":"a","value":"b"}]}}}`)
			for _, problem := range d.check(d.answer(t, "post", "/v1/alerts", raised.status), raised.object, "/v1/alerts") {
				t.Error(problem)
			}
			refused := callRootly(t, s)
			refused.header.Set("Authorization", "Bearer revoked")
			g := refused.get("/v1/users")
			for _, problem := range d.check(d.schema(t, "/v1/users", 401), g.object, "/v1/users") {
				t.Error(problem)
			}
		})
	}
}

func TestRootlyPages(t *testing.T) {
	_, c := rootlyOffice(t, RootlyOptions{MaxPage: 2})
	first := c.get("/v1/users?page[size]=50")
	next, _ := first.object["links"].(map[string]any)["next"].(string)
	if len(first.object["data"].([]any)) != 2 || !strings.Contains(next, "page%5Bnumber%5D=2") {
		t.Fatalf("first page: %s", first.text)
	}
	second := c.get("/v1/users?page[size]=50&page[number]=2")
	if len(second.object["data"].([]any)) != 1 || second.object["links"].(map[string]any)["next"] != nil {
		t.Errorf("second page: %s", second.text)
	}
}

func TestShiftsAreFilteredAndCovered(t *testing.T) {
	s, c := rootlyOffice(t, RootlyOptions{})
	now := time.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	count := func(query string) int { return len(c.get("/v1/shifts?" + query).object["data"].([]any)) }
	for query, want := range map[string]int{
		"": 1, "user_ids[]=401": 1, "user_ids[]=402": 0, "user_ids[]=402&user_ids[]=401": 1, "schedule_ids[]=" + s.schedules[0].id: 1,
		"from=" + at(2*time.Hour): 0, "to=" + at(-2*time.Hour): 0, "from=" + at(-time.Hour/2) + "&to=" + at(time.Hour): 1,
	} {
		if got := count(query); got != want {
			t.Errorf("%q: %d shifts, want %d", query, got, want)
		}
	}
	if err := s.Cover("Payments primary", "ann@acme.example", "bo@acme.example"); err != nil {
		t.Fatal(err)
	}
	if ann, bo := count("user_ids[]=401"), count("user_ids[]=402"); ann != 0 || bo != 1 {
		t.Errorf("covered: %d and %d shifts", ann, bo)
	}
	if err := s.AddShift("no such", "ann@acme.example", now, now); err == nil {
		t.Error("a shift in no schedule")
	}
	if err := s.AddSchedule("x", "nobody@acme.example"); err == nil {
		t.Error("a schedule of nobody")
	}
}

func TestAlertsAreRecorded(t *testing.T) {
	s, c := rootlyOffice(t, RootlyOptions{})
	if g := c.do("POST", "/v1/alerts", `{"data":{"type":"alerts","attributes":{"source":"manual","summary":"the sync stands still"}}}`); g.status != 201 {
		t.Fatalf("%d %s", g.status, g.text)
	}
	if a := s.Alerts(); len(a) != 1 || a[0].Summary != "the sync stands still" || a[0].Source != "manual" {
		t.Errorf("alerts: %+v", a)
	}
	for _, body := range []string{"", "{}", `{"data":{"type":"alert","attributes":{"source":"manual","summary":"x"}}}`, `{"data":{"type":"alerts","attributes":{"source":"manual"}}}`} {
		if g := c.do("POST", "/v1/alerts", body); g.status != 422 || len(s.Alerts()) != 1 {
			t.Errorf("%q: %d", body, g.status)
		}
	}
}
