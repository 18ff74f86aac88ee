package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

var update = flag.Bool("update", false, "write openapi.json anew")

// An operation is what the description says of one route of the API, beside what follows from its Go types.
type operation struct {
	summary string
	query   []string // names of its parameters, with what they mean
	body    any      // of the request
	status  int
	answer  any
}

const pageParameter = "page: the page, from 1"

// operations are the routes of the API, by method and path.
var operations = map[string]operation{
	"GET status": {"How things are now", nil, nil, 200, Status{}},
	"GET plan": {"What the last cycle planned; nothing is planned anew", []string{
		"q: words that must occur in a name or id", "verb: only changes of this verb", "kind: user or group", "why: only changes of this reason", "held: 1 for only what waits", pageParameter,
	}, nil, 200, PlanView{}},
	"GET people":                      {"People, as the last good cycle knew them", []string{"q: words that must occur in a name, an address or an id", "state: managed, active, deactivated, unowned, not managed, frozen, held, escrow or pinned", pageParameter}, nil, 200, Page[Row]{}},
	"GET people/{id}":                 {"One person, by directory id or SCIM id", nil, nil, 200, Detail{}},
	"GET groups":                      {"Groups, as the last good cycle knew them", []string{"q: words that must occur in a name or an id", "state: pushed, unowned, not managed, frozen, held, escrow or pinned", pageParameter}, nil, 200, Page[Row]{}},
	"GET groups/{id}":                 {"One group, by directory id or SCIM id", []string{"page: the page of its members, from 1"}, nil, 200, Detail{}},
	"GET cycles":                      {"Cycles on record, the newest first", []string{"until: only those that began before this moment (RFC 3339)", "limit: at most so many, 50 unless given and never more than 1000"}, nil, 200, cycleList{}},
	"GET cycles/{id}":                 {"One cycle and its changes", []string{pageParameter}, nil, 200, CycleDetail{}},
	"GET held":                        {"Sets of held changes: those that wait, and those that were carried out", nil, nil, 200, heldList{}},
	"GET escrow":                      {"Objects whose change failed and is tried again later", nil, nil, 200, escrowList{}},
	"GET config":                      {"The configuration that runs, defaults included, secrets masked", nil, nil, 200, map[string]any{}},
	"GET openapi.json":                {"This description", nil, nil, 200, map[string]any{}},
	"POST cycles":                     {"Begin a cycle now, or when the one that runs has ended", nil, nil, 202, Begun{}},
	"POST held/{fingerprint}/approve": {"Say yes to one held set: the next cycle within 24 hours carries out what of it is still planned, once", nil, ApprovalRequest{}, 200, Held{}},
}

// describe makes the OpenAPI document of the routes, what is said of them, and the types.
func describe(routes []route, operations map[string]operation) map[string]any {
	schemas := map[string]any{}
	paths := map[string]any{}
	for _, rt := range routes {
		path, ok := strings.CutPrefix(rt.path, apiPrefix)
		op, known := operations[rt.method+" "+path]
		if !ok || !known {
			continue
		}
		d := map[string]any{
			"summary": op.summary,
			"responses": map[string]any{
				fmt.Sprint(op.status): map[string]any{"description": "Done.", "content": content("application/json", schemaOf(reflect.TypeOf(op.answer), schemas))},
				"default":             map[string]any{"description": "Refused or failed.", "content": content("application/problem+json", schemaOf(reflect.TypeFor[problem](), schemas))},
			},
			"x-role": rt.role.String(),
		}
		if rt.role == RoleNobody {
			d["security"] = []any{}
		}
		var params []any
		for _, segment := range strings.Split(path, "/") {
			if name := strings.Trim(segment, "{}"); name != segment {
				params = append(params, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
			}
		}
		for _, q := range op.query {
			name, text, _ := strings.Cut(q, ": ")
			params = append(params, map[string]any{"name": name, "in": "query", "description": text, "schema": map[string]any{"type": "string"}})
		}
		if params != nil {
			d["parameters"] = params
		}
		if op.body != nil {
			d["requestBody"] = map[string]any{"required": true, "content": content("application/json", schemaOf(reflect.TypeOf(op.body), schemas))}
		}
		at, _ := paths[apiPrefix+path].(map[string]any)
		if at == nil {
			at = map[string]any{}
		}
		at[strings.ToLower(rt.method)] = d
		paths[apiPrefix+path] = at
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{"title": "rootly-idp-sync", "version": "1", "description": "What the daemon did and is going to do. " +
			"Errors are problems (RFC 9457) with a remedy. On loopback without authentication no token is needed."},
		"paths":      paths,
		"components": map[string]any{"schemas": schemas, "securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}}},
		"security":   []any{map[string]any{"token": []any{}}},
	}
}

func content(kind string, schema any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": schema}}
}

// schemaOf is the JSON Schema of a Go type; structs become components.
func schemaOf(t reflect.Type, components map[string]any) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer", "description": "Nanoseconds."}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), components)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), components)}
	case reflect.Map:
		out := map[string]any{"type": "object"}
		if t.Elem().Kind() != reflect.Interface {
			out["additionalProperties"] = schemaOf(t.Elem(), components)
		}
		return out
	case reflect.Struct:
	default:
		panic("no schema for " + t.String())
	}
	name := componentName(t)
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	if _, known := components[name]; known {
		return ref
	}
	components[name] = nil // against circles
	properties, required := map[string]any{}, []string{}
	for _, f := range jsonFields(t) {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := schemaOf(f.Type, components)
		if doc := f.Tag.Get("doc"); doc != "" {
			s = maps.Clone(s)
			s["description"] = doc
		}
		properties[tag] = s
		if !strings.Contains(f.Tag.Get("json"), ",omit") {
			required = append(required, tag)
		}
	}
	slices.Sort(required)
	components[name] = map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	return ref
}

// jsonFields are the fields of a struct as JSON has them, those of embedded structs included.
func jsonFields(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for f := range t.Fields() {
		switch {
		case f.Anonymous:
			out = append(out, jsonFields(f.Type)...)
		case f.IsExported() && f.Tag.Get("json") != "-":
			out = append(out, f)
		}
	}
	// What is declared outside goes before what is embedded under the same name.
	slices.Reverse(out)
	return out
}

func componentName(t reflect.Type) string {
	name := t.Name()
	if head, of, generic := strings.Cut(name, "["); generic {
		return head + "Of" + of[strings.LastIndex(of, ".")+1:len(of)-1]
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// TestOpenAPIDescribesTheHandlers: the description has exactly the routes and the fields that there are.
func TestOpenAPIDescribesTheHandlers(t *testing.T) {
	w := newWorld(t, 1)
	seen := map[string]bool{}
	for _, rt := range w.site.apiRoutes() {
		path := strings.TrimPrefix(rt.path, apiPrefix)
		if path == "" {
			continue // what is none of them
		}
		seen[rt.method+" "+path] = true
		if _, ok := operations[rt.method+" "+path]; !ok {
			t.Errorf("%s %s has no description", rt.method, path)
		}
	}
	for name := range operations {
		if !seen[name] {
			t.Errorf("%s is described and not served", name)
		}
	}
	data, err := json.MarshalIndent(describe(w.site.apiRoutes(), operations), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", data, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(data, openAPI) {
		t.Error("openapi.json is not what the handlers are: go test ./internal/web -run OpenAPI -update, and look at the difference")
	}
}

// TestAnswersAreAsDescribed asks every route and holds each field of the answer against openapi.json.
func TestAnswersAreAsDescribed(t *testing.T) {
	w := newWorld(t, 54)
	w.busy()
	wait := reconcile.Waiting{Kind: reconcile.KindUser, Source: "u50", Name: "u50@acme.example", Verb: reconcile.VerbUpdate, Attempts: 2, Next: w.now(), Reason: "409 Conflict"}
	id, err := w.memory.Begin(t.Context(), w.now())
	if err != nil {
		t.Fatal(err)
	}
	c := reconcile.Change{Verb: wait.Verb, Object: reconcile.Ref{Kind: wait.Kind, Source: wait.Source, Name: wait.Name}, Why: reconcile.WhyDirectory}
	intent, err := w.memory.Intend(t.Context(), id, c, &reconcile.UserValues{UserName: wait.Name}, nil)
	if err == nil {
		err = w.memory.Settle(t.Context(), reconcile.Settled{Intent: intent, Outcome: reconcile.OutcomeFailed, Error: "409 Conflict", Wait: &wait})
	}
	if err == nil {
		err = w.memory.Finish(t.Context(), id, reconcile.CycleSummary{Rules: "r", Failed: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	set, _ := w.sets()
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Schema map[string]any }
			}
		}
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(openAPI, &doc); err != nil {
		t.Fatal(err)
	}
	v := validator{doc.Components.Schemas}
	asked := map[string][]string{
		"GET /api/v1/status": {""}, "GET /api/v1/plan": {"", "?q=u05&page=1", "?held=1"}, "GET /api/v1/people": {"", "?q=u1&page=2", "?state=held"},
		"GET /api/v1/people/{id}": {"u00", "u05", "u50", "u01"}, "GET /api/v1/groups": {""}, "GET /api/v1/groups/{id}": {"g1", "g1?page=2"},
		"GET /api/v1/cycles": {"", "?limit=1", "?until=2026-05-04T09:30:00Z"}, "GET /api/v1/cycles/{id}": {fmt.Sprint(w.cycles[0]), fmt.Sprint(id)},
		"GET /api/v1/held": {""}, "GET /api/v1/escrow": {""}, "GET /api/v1/config": {""}, "GET /api/v1/openapi.json": {""}, "POST /api/v1/cycles": {""},
		"POST /api/v1/held/{fingerprint}/approve": {set},
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			requests := asked[strings.ToUpper(method)+" "+path]
			if requests == nil {
				t.Errorf("%s %s is not asked", method, path)
			}
			for _, tail := range requests {
				to, body := path+tail, ""
				if i := strings.Index(path, "{"); i >= 0 {
					to = path[:i] + tail + path[strings.Index(path, "}")+1:]
				}
				if method == "post" {
					body = `{"by": "ada"}`
				}
				answer, text := w.ask(strings.ToUpper(method), to, body)
				want, ok := op.Responses[fmt.Sprint(answer.StatusCode)]
				if !ok {
					t.Errorf("%s %s: %s\n%s", method, to, answer.Status, text)
					continue
				}
				v.check(t, method+" "+to, want.Content[answer.Header.Get("Content-Type")].Schema, []byte(text))
			}
		}
	}
	for _, to := range []string{"people/none", "groups/none", "cycles/9999", "cycles/x", "nowhere", "cycles?until=yesterday"} {
		answer, text := w.ask(http.MethodGet, apiPrefix+to, "")
		if answer.StatusCode < 400 || answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s, %s", to, answer.Status, answer.Header.Get("Content-Type"))
		}
		v.check(t, to, map[string]any{"$ref": "#/components/schemas/Problem"}, []byte(text))
		if !strings.Contains(text, `"remedy":`) {
			t.Errorf("%s: no remedy in %s", to, text)
		}
	}
	for _, body := range []string{"", "{", `{"by": "ada", "force": true}`, `{"by": ""}`, `{"by": "` + strings.Repeat("a", 300) + `"}`, strings.Repeat(" ", maxForm+1)} {
		if answer, _ := w.ask(http.MethodPost, apiPrefix+"held/"+set+"/approve", body); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("body %.40q: %s", body, answer.Status)
		}
	}
}

// A validator knows as much of JSON Schema as openapi.json uses.
type validator struct {
	schemas map[string]map[string]any
}

func (v validator) check(t *testing.T, at string, schema map[string]any, text []byte) {
	t.Helper()
	var value any
	if err := json.Unmarshal(text, &value); err != nil || schema == nil {
		t.Errorf("%s: %v, schema %v\n%s", at, err, schema, text)
		return
	}
	v.value(t, at, schema, value)
}

func (v validator) value(t *testing.T, at string, schema map[string]any, value any) {
	t.Helper()
	if ref, ok := schema["$ref"].(string); ok {
		schema = v.schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	fits := false
	switch value := value.(type) {
	case string:
		fits = schema["type"] == "string"
		if schema["format"] == "date-time" {
			_, err := time.Parse(time.RFC3339, value)
			fits = fits && err == nil
		}
	case bool:
		fits = schema["type"] == "boolean"
	case float64:
		fits = schema["type"] == "number" || schema["type"] == "integer" && value == math.Trunc(value)
	case []any:
		fits = schema["type"] == "array"
		for i, item := range value {
			if items, ok := schema["items"].(map[string]any); ok {
				v.value(t, fmt.Sprintf("%s[%d]", at, i), items, item)
			}
		}
	case map[string]any:
		fits = schema["type"] == "object"
		v.object(t, at, schema, value)
	}
	if !fits {
		t.Errorf("%s is %v, described as %v", at, value, schema["type"])
	}
}

func (v validator) object(t *testing.T, at string, schema map[string]any, value map[string]any) {
	t.Helper()
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			t.Errorf("%s lacks %s", at, name)
		}
	}
	for name, item := range value {
		if p, ok := properties[name].(map[string]any); ok {
			v.value(t, at+"."+name, p, item)
		} else if rest, ok := schema["additionalProperties"].(map[string]any); ok {
			v.value(t, at+"."+name, rest, item)
		} else if schema["additionalProperties"] == false {
			t.Errorf("%s has %s, which is not described", at, name)
		}
	}
}
