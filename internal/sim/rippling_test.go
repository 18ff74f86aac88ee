package sim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

// ripplingContract is what readers of Rippling rely on, in the form of its own description.
const ripplingContract = `
paths:
  /users: {get: {responses: {"200": {content: {application/json: {schema: {type: object, required: [results, __meta], properties: {__meta: {$ref: "#/components/schemas/Meta"}, next_link: {type: string}, results: {type: array, items: {$ref: "#/components/schemas/User"}}}}}}}}}}
  /users/{id}: {get: {responses: {"200": {content: {application/json: {schema: {allOf: [{$ref: "#/components/schemas/User"}, {type: object, properties: {__meta: {$ref: "#/components/schemas/Meta"}}}]}}}}}}}
  /workers: {get: {responses: {"200": {content: {application/json: {schema: {type: object, required: [results, __meta], properties: {__meta: {$ref: "#/components/schemas/Meta"}, next_link: {type: string}, results: {type: array, items: {$ref: "#/components/schemas/Worker"}}}}}}}}}}
  /teams: {get: {responses: {"200": {content: {application/json: {schema: {type: object, required: [results, __meta], properties: {__meta: {$ref: "#/components/schemas/Meta"}, next_link: {type: string}, results: {type: array, items: {$ref: "#/components/schemas/Unit"}}}}}}}}}}
  /departments: {get: {responses: {"200": {content: {application/json: {schema: {type: object, required: [results, __meta], properties: {__meta: {$ref: "#/components/schemas/Meta"}, next_link: {type: string}, results: {type: array, items: {$ref: "#/components/schemas/Unit"}}}}}}}}}}
components:
  schemas:
    Meta: {type: object, required: [redacted_fields], properties: {redacted_fields: {type: array, items: {type: object, required: [name, reason], properties: {name: {type: string}, reason: {type: string}}}}}}
    Typed: {type: object, required: [value, type], properties: {value: {type: string, minLength: 3}, type: {type: string, enum: [HOME, WORK, MOBILE, FAX, OTHER]}}}
    User:
      type: object
      required: [id, created_at, updated_at, active, username, name, emails]
      properties:
        id: {type: string, minLength: 1}
        created_at: {type: string, format: date-time}
        updated_at: {type: string, format: date-time}
        active: {type: boolean}
        username: {type: string}
        name: {type: object, required: [given_name, family_name], properties: {formatted: {type: string}, given_name: {type: string}, family_name: {type: string}, preferred_given_name: {type: string}}}
        display_name: {type: string}
        emails: {type: array, items: {$ref: "#/components/schemas/Typed"}}
        phone_numbers: {type: array, items: {$ref: "#/components/schemas/Typed"}}
        locale: {type: string}
        timezone: {type: string}
    Worker:
      type: object
      required: [id, created_at, updated_at, status, teams_id]
      properties:
        id: {type: string, minLength: 1}
        created_at: {type: string, format: date-time}
        updated_at: {type: string, format: date-time}
        user_id: {type: string}
        status: {type: string, enum: [HIRED, ACCEPTED, ACTIVE, TERMINATED]}
        start_date: {type: string}
        number: {type: integer}
        work_email: {type: string, format: email}
        title: {type: string}
        country: {type: string}
        department_id: {type: string}
        teams_id: {type: array, items: {type: string}}
    Unit:
      type: object
      required: [id, created_at, updated_at, name]
      properties:
        id: {type: string, minLength: 1}
        created_at: {type: string, format: date-time}
        updated_at: {type: string, format: date-time}
        name: {type: string, minLength: 1}
        parent_id: {type: string}
`

// TestRipplingAnswersFitTheDescription holds the fake against the contract above and, when the environment variable
// RIPPLING_OPENAPI names a file, against Rippling's published OpenAPI description, which does not describe departments.
func TestRipplingAnswersFitTheDescription(t *testing.T) {
	documents := map[string][]byte{"contract": []byte(ripplingContract)}
	if file := os.Getenv("RIPPLING_OPENAPI"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents["RIPPLING_OPENAPI"] = text
	}
	c := NewCompany(Config{Seed: 4})
	c.NextDay()
	groups := c.Groups()
	server := NewRippling(c, RipplingOptions{
		Candidates: 2, Rehired: []string{c.People()[0].Login}, Parents: map[string]string{groups[0].Name: groups[1].Name},
		Redacted: map[string][]string{"workers": {"country"}},
	})
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			paths := []string{"/users?limit=100", "/users/" + c.People()[0].ID, "/workers", "/teams"}
			if name == "contract" {
				paths = append(paths, "/departments")
			}
			d := parseDocument(t, text)
			for _, path := range paths {
				status, body := callRippling(t, server, path)
				if status != http.StatusOK {
					t.Fatalf("%s: %d", path, status)
				}
				for _, problem := range d.check(d.schema(t, path, status), body, path) {
					t.Error(problem)
				}
			}
		})
	}
}

func callRippling(t *testing.T, server http.Handler, path string) (int, any) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "https://rippling.example"+path, nil)
	r.Header.Set("Authorization", "Bearer "+DefaultRipplingToken)
	r.Header.Set("Rippling-Api-Version", "2024-08-01")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	var body any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return w.Code, body
}

func TestRipplingRefusals(t *testing.T) {
	server := NewRippling(NewCompany(Config{Seed: 4, People: 5}), RipplingOptions{Forbidden: []string{"teams"}})
	for path, want := range map[string]int{
		"/users?limit=101": 400, "/users?cursor=x": 400, "/users/nobody": 404, "/teams": 403, "/supergroups": 404, "/users?limit=1": 200,
	} {
		if got, _ := callRippling(t, server, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}
