package sim

import (
	"fmt"
	"maps"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// contract is what readers of Okta rely on, in the form of Okta's own description but stricter: that one marks next
// to nothing as required.
const contract = `
paths:
  /api/v1/apps/{appId}/users:
    get: {responses: {"200": {content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/AppUser"}}}}}}}
  /api/v1/apps/{appId}/groups:
    get: {responses: {"200": {content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Assignment"}}}}}}}
  /api/v1/apps/{appId}/users/{userId}:
    get: {responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/AppUser"}}}}, "404": {$ref: "#/components/responses/Error"}}}
  /api/v1/groups:
    get: {responses: {"200": {content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Group"}}}}}}}
  /api/v1/groups/{groupId}:
    get: {responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/Group"}}}}, "404": {$ref: "#/components/responses/Error"}}}
  /api/v1/groups/{groupId}/users:
    get: {responses: {"200": {content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/User"}}}}}, "404": {$ref: "#/components/responses/Error"}}}
  /api/v1/users:
    get: {responses: {"200": {content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/User"}}}}}}}
  /api/v1/users/{id}:
    get: {responses: {"200": {content: {application/json: {schema: {$ref: "#/components/schemas/User"}}}}, "404": {$ref: "#/components/responses/Error"}}}
  /api/v1/users/{id}/groups:
    get: {responses: {"200": {content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Group"}}}}}, "404": {$ref: "#/components/responses/Error"}}}
components:
  responses:
    Error: {content: {application/json: {schema: {$ref: "#/components/schemas/Error"}}}}
  schemas:
    Time: {type: string, format: date-time}
    TimeOrNull: {type: string, format: date-time, nullable: true}
    Links: {type: object, additionalProperties: {type: object, required: [href], properties: {href: {type: string}}}}
    Error:
      type: object
      required: [errorCode, errorSummary, errorLink, errorId, errorCauses]
      properties:
        errorCode: {type: string}
        errorSummary: {type: string}
        errorLink: {type: string}
        errorId: {type: string}
        errorCauses: {type: array, items: {type: object}}
    User:
      type: object
      required: [id, status, created, activated, statusChanged, lastLogin, lastUpdated, passwordChanged, type, profile, credentials, _links]
      properties:
        id: {type: string, minLength: 20, maxLength: 20}
        status: {type: string, enum: [ACTIVE, DEPROVISIONED, LOCKED_OUT, PASSWORD_EXPIRED, PROVISIONED, RECOVERY, STAGED, SUSPENDED]}
        created: {$ref: "#/components/schemas/Time"}
        activated: {$ref: "#/components/schemas/TimeOrNull"}
        statusChanged: {$ref: "#/components/schemas/TimeOrNull"}
        lastLogin: {$ref: "#/components/schemas/TimeOrNull"}
        lastUpdated: {$ref: "#/components/schemas/Time"}
        passwordChanged: {$ref: "#/components/schemas/TimeOrNull"}
        type: {type: object, required: [id], properties: {id: {type: string}}}
        credentials: {type: object, required: [provider], additionalProperties: true}
        _links: {$ref: "#/components/schemas/Links"}
        profile:
          type: object
          required: [firstName, lastName, login, email, mobilePhone, secondEmail]
          properties:
            firstName: {type: string, minLength: 1, maxLength: 50}
            lastName: {type: string, minLength: 1, maxLength: 50}
            login: {type: string, minLength: 5, maxLength: 100}
            email: {type: string, format: email}
            mobilePhone: {type: string, nullable: true}
            secondEmail: {type: string, nullable: true}
            displayName: {type: string}
            nickName: {type: string}
            title: {type: string}
            department: {type: string}
            employeeNumber: {type: string}
    Group:
      type: object
      required: [id, created, lastUpdated, lastMembershipUpdated, objectClass, type, profile, _links]
      properties:
        id: {type: string, minLength: 20, maxLength: 20}
        created: {$ref: "#/components/schemas/Time"}
        lastUpdated: {$ref: "#/components/schemas/Time"}
        lastMembershipUpdated: {$ref: "#/components/schemas/Time"}
        objectClass: {type: array, items: {type: string}}
        type: {type: string, enum: [APP_GROUP, BUILT_IN, OKTA_GROUP]}
        profile: {type: object, required: [name], properties: {name: {type: string}, description: {type: string}}}
        _links: {$ref: "#/components/schemas/Links"}
    AppUser:
      type: object
      required: [id, created, lastUpdated, scope, status, statusChanged, syncState, credentials, profile, _links]
      properties:
        id: {type: string}
        created: {$ref: "#/components/schemas/Time"}
        lastUpdated: {$ref: "#/components/schemas/Time"}
        scope: {type: string, enum: [USER, GROUP]}
        status: {type: string, enum: [ACTIVE]}
        statusChanged: {$ref: "#/components/schemas/Time"}
        passwordChanged: {$ref: "#/components/schemas/TimeOrNull"}
        syncState: {type: string, enum: [DISABLED]}
        credentials: {type: object, required: [userName], properties: {userName: {type: string, format: email}}}
        profile: {type: object, additionalProperties: {type: string}}
        _links: {$ref: "#/components/schemas/Links"}
        _embedded: {type: object, required: [user], properties: {user: {$ref: "#/components/schemas/User"}}}
    Assignment:
      type: object
      required: [id, lastUpdated, priority, profile, _links]
      properties:
        id: {type: string}
        lastUpdated: {$ref: "#/components/schemas/Time"}
        priority: {type: integer}
        profile: {type: object, additionalProperties: true}
        _links: {$ref: "#/components/schemas/Links"}
        _embedded: {type: object, required: [group], properties: {group: {$ref: "#/components/schemas/Group"}}}
`

// TestOktaAnswersFitTheDescription holds the fake against the contract above and, when the environment variable
// OKTA_OPENAPI names a file, against that file too: Okta's published OpenAPI description of its management API,
// which is Okta's and therefore not part of this repository.
func TestOktaAnswersFitTheDescription(t *testing.T) {
	documents := map[string][]byte{"contract": []byte(contract)}
	if file := os.Getenv("OKTA_OPENAPI"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents["OKTA_OPENAPI"] = text
	}
	c := NewCompany(Config{Seed: 4})
	c.NextDay()
	app, person, group := "/api/v1/apps/"+c.AppID(), c.People()[0], c.Groups()[0]
	paths := []string{
		app + "/users?limit=500", app + "/users?limit=500&expand=user", app + "/groups", app + "/groups?expand=group",
		"/api/v1/groups", "/api/v1/groups/" + group.ID, "/api/v1/groups/x", "/api/v1/groups/" + group.ID + "/users",
		"/api/v1/users", "/api/v1/users?filter=" + url.QueryEscape(`status eq "DEPROVISIONED"`), "/api/v1/users/" + person.ID, "/api/v1/users/x",
	}
	assigned := c.People()[slices.IndexFunc(c.People(), func(p Person) bool { return p.Assigned })]
	lookups := []string{ // not in OKTA_OPENAPI, which describes the listings
		app + "/users/" + assigned.ID, app + "/users/" + assigned.ID + "?expand=user", app + "/users/x",
		"/api/v1/groups/x/users", "/api/v1/users/" + person.ID + "/groups", "/api/v1/users/x/groups",
	}
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			paths := paths
			if name == "contract" {
				paths = slices.Concat(paths, lookups)
			}
			d := parseDocument(t, text)
			o := callOkta(t, NewOkta(c, OktaOptions{}))
			for _, path := range paths {
				g := o.get(path)
				var body any = g.list
				if g.list == nil {
					body = g.object
				}
				for _, problem := range d.check(d.schema(t, path, g.status), body, path) {
					t.Error(problem)
				}
			}
		})
	}
}

func TestTheSchemaWalkFindsMistakes(t *testing.T) {
	d := parseDocument(t, []byte(contract))
	schema := d.schema(t, "/api/v1/groups/x", 200)
	good := func() map[string]any {
		return callOkta(t, NewOkta(NewCompany(Config{People: 1, Groups: 1}), OktaOptions{})).get("/api/v1/groups").list[0].(map[string]any)
	}
	if problems := d.check(schema, good(), "good"); len(problems) != 0 {
		t.Fatalf("the unharmed answer: %v", problems)
	}
	for name, harm := range map[string]func(g map[string]any){
		"missing":       func(g map[string]any) { delete(g, "id") },
		"too short":     func(g map[string]any) { g["id"] = "00g" },
		"no enum value": func(g map[string]any) { g["type"] = "TEAM" },
		"no time":       func(g map[string]any) { g["created"] = "yesterday" },
		"null":          func(g map[string]any) { g["created"] = nil },
		"another type":  func(g map[string]any) { g["objectClass"] = "okta:user_group" },
		"unknown":       func(g map[string]any) { g["Name"] = "x" },
		"deep inside":   func(g map[string]any) { g["_links"].(map[string]any)["users"] = map[string]any{} },
	} {
		g := good()
		harm(g)
		if problems := d.check(schema, g, name); len(problems) != 1 {
			t.Errorf("%s: %q, want one problem", name, problems)
		}
	}
}

// A document is an OpenAPI description: the part of its schema language that Okta uses.
type document map[string]any

type node = map[string]any

func parseDocument(t *testing.T, text []byte) document {
	t.Helper()
	var d node
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

var templated = regexp.MustCompile(`\\\{[^}]*\\\}`)

// schema finds the schema of an answer to a GET.
func (d document) schema(t *testing.T, path string, status int) node {
	t.Helper()
	return d.answer(t, "get", path, status)
}

func (d document) answer(t *testing.T, method, path string, status int) node {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	for template, item := range d["paths"].(node) {
		if !regexp.MustCompile("^" + templated.ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`) + "$").MatchString(path) {
			continue
		}
		responses := item.(node)[method].(node)["responses"].(node)
		response, ok := responses[fmt.Sprint(status)].(node)
		if !ok {
			t.Fatalf("%s: the description has no answer %d", path, status)
		}
		for _, content := range d.resolve(response)["content"].(node) { // each answer has one media type
			return content.(node)["schema"].(node)
		}
	}
	t.Fatalf("%s is not described", path)
	return nil
}

func (d document) resolve(n node) node {
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	at := node(d)
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at[step].(node)
	}
	return d.resolve(at)
}

// flatten merges a schema's allOf parts into one.
func (d document) flatten(n node) node {
	n = d.resolve(n)
	parts, _ := n["allOf"].([]any)
	if len(parts) == 0 {
		return n
	}
	out := maps.Clone(n)
	delete(out, "allOf")
	for _, part := range parts {
		for key, value := range d.flatten(part.(node)) {
			have, isNode := out[key].(node)
			if add, ok := value.(node); ok && isNode {
				value = merged(have, add)
			}
			out[key] = value
		}
	}
	return out
}

func merged(a, b node) node {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// check returns what is wrong with v.
func (d document) check(schema node, v any, at string) []string {
	schema = d.flatten(schema)
	for _, key := range []string{"anyOf", "oneOf"} {
		if choices, ok := schema[key].([]any); ok {
			return d.checkAny(choices, v, at)
		}
	}
	if v == nil {
		if schema["nullable"] == true {
			return nil
		}
		return []string{at + ": null"}
	}
	if values, ok := schema["enum"].([]any); ok && !slices.Contains(values, v) {
		return []string{fmt.Sprintf("%s: %v is none of %v", at, v, values)}
	}
	switch schema["type"] {
	case "object":
		return d.checkObject(schema, v, at)
	case "array":
		list, ok := v.([]any)
		if !ok {
			return []string{fmt.Sprintf("%s: %T, want a list", at, v)}
		}
		var problems []string
		for i, e := range list {
			problems = append(problems, d.check(schema["items"].(node), e, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return problems
	case "string":
		return checkString(schema, v, at)
	case "integer":
		if n, ok := v.(float64); !ok || n != float64(int64(n)) {
			return []string{fmt.Sprintf("%s: %v, want an integer", at, v)}
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			return []string{fmt.Sprintf("%s: %v, want a boolean", at, v)}
		}
	}
	return nil
}

func (d document) checkAny(choices []any, v any, at string) []string {
	var first []string
	for _, choice := range choices {
		problems := d.check(choice.(node), v, at)
		if len(problems) == 0 {
			return nil
		}
		if first == nil {
			first = problems
		}
	}
	return first
}

func (d document) checkObject(schema node, v any, at string) []string {
	object, ok := v.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s: %T, want an object", at, v)}
	}
	var problems []string
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := object[name.(string)]; !ok {
			problems = append(problems, fmt.Sprintf("%s: %v is missing", at, name))
		}
	}
	properties, _ := schema["properties"].(node)
	rest, free := schema["additionalProperties"].(node)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		below := at + "." + name
		switch property, ok := properties[name].(node); {
		case ok:
			problems = append(problems, d.check(property, object[name], below)...)
		case free && len(rest) > 0:
			problems = append(problems, d.check(asOpen(rest), object[name], below)...)
		case schema["additionalProperties"] != true && len(properties) > 0:
			problems = append(problems, below+" is not described")
		}
	}
	return problems
}

// asOpen reads an object schema that names no property as one that admits any.
func asOpen(schema node) node {
	if properties, ok := schema["properties"].(node); ok && len(properties) == 0 {
		return node{"type": schema["type"], "additionalProperties": true}
	}
	return schema
}

func checkString(schema node, v any, at string) []string {
	s, ok := v.(string)
	if !ok {
		return []string{fmt.Sprintf("%s: %T, want a string", at, v)}
	}
	if least, ok := schema["minLength"].(int); ok && len([]rune(s)) < least {
		return []string{fmt.Sprintf("%s: %q is shorter than %d", at, s, least)}
	}
	if most, ok := schema["maxLength"].(int); ok && len([]rune(s)) > most {
		return []string{fmt.Sprintf("%s: %q is longer than %d", at, s, most)}
	}
	var err error
	switch schema["format"] {
	case "date-time":
		_, err = time.Parse(time.RFC3339, s)
	case "email":
		_, err = mail.ParseAddress(s)
	}
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", at, err)}
	}
	return nil
}
