package realscim

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// An observation is one question to a server: the request that decides, and what may be seen afterwards.
type observation struct {
	about string
	ask   func(s session) (decisive answer, seen string)
}

// list asks for three people with a query.
func list(query string) func(session) (answer, string) {
	return func(s session) (answer, string) {
		crowd3(s)
		a := s.get("/Users?" + query)
		rows, _ := a.body["Resources"].([]any)
		if a.status != http.StatusOK {
			return a, ""
		}
		return a, fmt.Sprintf("%d rows, total %v, itemsPerPage %v", len(rows), a.body["totalResults"], a.body["itemsPerPage"])
	}
}

// filter asks for somebody like Ada.Quist@acme.example, with externalId 00u1.
func filter(expression string) func(session) (answer, string) {
	return func(s session) (answer, string) {
		s.user("Ada.Quist@acme.example", object{"externalId": "00u1"})
		s.user("other@acme.example")
		a := s.get("/Users?filter=" + url.QueryEscape(expression))
		if a.status != http.StatusOK {
			return a, ""
		}
		return a, fmt.Sprintf("%v found", a.body["totalResults"])
	}
}

// create posts a user with something odd about it and tells what became of an attribute.
func create(more object, attribute string) func(session) (answer, string) {
	return func(s session) (answer, string) {
		a := s.post("/Users", person("ada@acme.example", more))
		return a, shown(a, attribute)
	}
}

func shown(a answer, attribute string) string {
	if attribute == "" || a.status > 299 {
		return ""
	}
	v := field(a.body, attribute)
	if list, ok := v.([]any); ok {
		return fmt.Sprintf("%s: %d", attribute, len(list))
	}
	return fmt.Sprintf("%s: %v", attribute, v)
}

// patchUser patches a user and tells what an attribute is afterwards.
func patchUser(attribute string, ops ...object) func(session) (answer, string) {
	return func(s session) (answer, string) {
		path := s.user("ada@acme.example", object{"phoneNumbers": []object{{"value": "+15550100001", "type": "mobile"}}})
		a := s.patch(path, ops...)
		return a, shown(s.get(path), attribute)
	}
}

// patchGroup patches a group with three members, of whom the first is known to the operations.
func patchGroup(ops func(members []string) []object) func(session) (answer, string) {
	return func(s session) (answer, string) {
		people := []string{s.user("a@acme.example"), s.user("b@acme.example"), s.user("c@acme.example")}
		path := s.group("oncall", people...)
		a := s.patch(path, ops(people)...)
		return a, fmt.Sprintf("members: %d of 3", s.members(path))
	}
}

func ops(list ...object) func([]string) []object { return func([]string) []object { return list } }

// put replaces a user by a body that lacks something and tells what becomes of it.
func put(lacks string) func(session) (answer, string) {
	return func(s session) (answer, string) {
		path := s.user("ada@acme.example")
		a := s.send(http.MethodPut, path, person("ada@acme.example", object{lacks: nil}))
		return a, shown(s.get(path), lacks)
	}
}

// raw sends a creation under another media type or with a damaged body.
func raw(body, mediaType string) func(session) (answer, string) {
	return func(s session) (answer, string) {
		return s.send(http.MethodPost, "/Users", body, "Content-Type", mediaType), ""
	}
}

const plainUser = `{"schemas":["` + userURN + `"],"userName":"ada@acme.example","active":true}`

// observations are what scimclient rests on or keeps clear of.
var observations = []observation{
	{"list nobody", func(s session) (answer, string) {
		a := s.get("/Users")
		return a, fmt.Sprintf("Resources: %v", a.body["Resources"])
	}},
	{"count=1 of 3", list("count=1")},
	{"count=1000 of 3", list("count=1000")},
	{"count=0", list("count=0")},
	{"count=-1", list("count=-1")},
	{"count=many", list("count=many")},
	{"startIndex=0", list("startIndex=0")},
	{"startIndex=many", list("startIndex=many")},
	{"startIndex beyond the end", list("startIndex=99&count=2")},
	{"no count, 30 people", func(s session) (answer, string) {
		for i := range 30 {
			s.user(fmt.Sprintf("p%d@acme.example", i))
		}
		a := s.get("/Users")
		rows, _ := a.body["Resources"].([]any)
		return a, fmt.Sprintf("%d rows, total %v", len(rows), a.body["totalResults"])
	}},
	{"filter userName eq", filter(`userName eq "Ada.Quist@acme.example"`)},
	{"filter userName eq, other letter case", filter(`userName eq "ada.quist@acme.example"`)},
	{"filter with the schema's URN", filter(userURN + `:userName eq "Ada.Quist@acme.example"`)},
	{"filter externalId eq", filter(`externalId eq "00u1"`)},
	{"filter emails by value path", filter(`emails[type eq "work"].value eq "other@acme.example"`)},
	{"filter or", filter(`userName eq "other@acme.example" or externalId eq "00u1"`)},
	{"filter sw", filter(`userName sw "other"`)},
	{"filter on an unknown attribute", filter(`shoeSize eq "44"`)},
	{"filter that cannot be read", filter(`userName equals Ada`)},

	{"create with a taken userName", func(s session) (answer, string) {
		s.user("ada@acme.example")
		return s.post("/Users", person("ada@acme.example")), ""
	}},
	{"create with a taken userName, other letter case", func(s session) (answer, string) {
		s.user("ada@acme.example")
		return s.post("/Users", person("ADA@acme.example")), ""
	}},
	{"create without userName", create(object{"userName": nil}, "")},
	{"create with an empty userName", create(object{"userName": ""}, "")},
	{"create with a userName that is no address", create(object{"userName": "ada"}, "userName")},
	{"create without schemas", create(object{"schemas": nil}, "schemas")},
	{"create with an unknown attribute", create(object{"shoeSize": 44}, "shoeSize")},
	{"create with an id of our own", func(s session) (answer, string) {
		a := s.post("/Users", person("ada@acme.example", object{"id": "mine"}))
		return a, fmt.Sprintf("id is ours: %t", a.body["id"] == "mine")
	}},
	{"create with active \"False\"", create(object{"active": "False"}, "active")},
	{"create without active", create(object{"active": nil}, "active")},
	{"create with displayName \"\"", create(object{"displayName": ""}, "displayName")},
	{"create with two primary addresses", create(object{"emails": []object{
		{"value": "a@acme.example", "primary": true}, {"value": "b@acme.example", "primary": true},
	}}, "emails")},
	{"create with an address as a string", create(object{"emails": []string{"a@acme.example"}}, "emails")},
	{"create with a body that is cut", raw(plainUser[:40], "application/scim+json")},
	{"create with a list as body", raw("["+plainUser+"]", "application/scim+json")},
	{"create without a body", raw("", "application/scim+json")},
	{"create as application/json", raw(plainUser, "application/json")},
	{"create as text/plain", raw(plainUser, "text/plain")},
	{"Location of what was created", func(s session) (answer, string) {
		a := s.post("/Users", person("ada@acme.example"))
		return a, fmt.Sprintf("Location: %t, meta.version: %t, ETag: %t",
			a.header.Get("Location") != "", field(a.body, "meta.version") != nil, a.header.Get("ETag") != "")
	}},

	{"read an unknown id", func(s session) (answer, string) { return s.get("/Users/nobody"), "" }},
	{"read under an unknown type", func(s session) (answer, string) { return s.get("/Devices"), "" }},
	{"read without token", func(s session) (answer, string) {
		return s.send(http.MethodGet, "/Users", nil, "Authorization", ""), ""
	}},
	{"read as application/json", func(s session) (answer, string) {
		return s.send(http.MethodGet, "/Users", nil, "Accept", "application/json"), ""
	}},
	{"PUT to the collection", func(s session) (answer, string) {
		return s.send(http.MethodPut, "/Users", person("ada@acme.example")), ""
	}},

	{"PATCH a scalar by path", patchUser("displayName", object{"op": "replace", "path": "displayName", "value": "New"})},
	{"PATCH without a change", patchUser("displayName", object{"op": "replace", "path": "displayName", "value": "Ada Quist"})},
	{"PATCH op Replace", patchUser("displayName", object{"op": "Replace", "path": "displayName", "value": "New"})},
	{"PATCH op move", patchUser("displayName", object{"op": "move", "path": "displayName", "value": "New"})},
	{"PATCH by the URN's path", patchUser("displayName", object{"op": "replace", "path": userURN + ":displayName", "value": "New"})},
	{"PATCH active to \"False\"", patchUser("active", object{"op": "replace", "path": "active", "value": "False"})},
	{"PATCH active without path", patchUser("active", object{"op": "replace", "value": object{"active": false}})},
	{"PATCH a dotted key without path", patchUser("name.givenName", object{"op": "replace", "value": object{"name.givenName": "New"}})},
	{"PATCH one part of the name", patchUser("name.familyName", object{"op": "replace", "path": "name", "value": object{"givenName": "New"}})},
	{"PATCH name.givenName", patchUser("name.givenName", object{"op": "replace", "path": "name.givenName", "value": "New"})},
	{"PATCH an unknown attribute", patchUser("shoeSize", object{"op": "replace", "path": "shoeSize", "value": 44})},
	{"PATCH the id", patchUser("", object{"op": "replace", "path": "id", "value": "mine"})},
	{"PATCH userName to \"\"", patchUser("userName", object{"op": "replace", "path": "userName", "value": ""})},
	{"PATCH displayName to \"\"", patchUser("displayName", object{"op": "replace", "path": "displayName", "value": ""})},
	{"PATCH displayName to null", patchUser("displayName", object{"op": "replace", "path": "displayName", "value": nil})},
	{"PATCH displayName to a number", patchUser("displayName", object{"op": "replace", "path": "displayName", "value": 44})},
	{"remove a scalar", patchUser("displayName", object{"op": "remove", "path": "displayName"})},
	{"remove userName", patchUser("userName", object{"op": "remove", "path": "userName"})},
	{"remove active", patchUser("active", object{"op": "remove", "path": "active"})},
	{"remove without path", patchUser("", object{"op": "remove"})},
	{"remove what is not there", patchUser("", object{"op": "remove", "path": "externalId"})},
	{"replace the phones by path", patchUser("phoneNumbers", object{"op": "replace", "path": "phoneNumbers", "value": []object{{"value": "+15550100002", "type": "work"}}})},
	{"replace the phones without path", patchUser("phoneNumbers", object{"op": "replace", "value": object{"phoneNumbers": []object{{"value": "+15550100002", "type": "work"}}}})},
	{"replace the phones by []", patchUser("phoneNumbers", object{"op": "replace", "path": "phoneNumbers", "value": []object{}})},
	{"remove the phones", patchUser("phoneNumbers", object{"op": "remove", "path": "phoneNumbers"})},
	{"replace by a filter that selects nothing", patchUser("phoneNumbers", object{"op": "replace", "path": `phoneNumbers[type eq "fax"].value`, "value": "+15550100002"})},
	{"PATCH a good and a bad operation", patchUser("displayName", object{"op": "replace", "path": "displayName", "value": "New"},
		object{"op": "replace", "path": "shoeSize[", "value": 1})},
	{"PATCH without operations", patchUser("")},
	{"PATCH without schemas", func(s session) (answer, string) {
		path := s.user("ada@acme.example")
		return s.send(http.MethodPatch, path, object{"Operations": []object{{"op": "replace", "path": "displayName", "value": "New"}}}), shown(s.get(path), "displayName")
	}},
	{"PATCH with lower-case operations", func(s session) (answer, string) {
		path := s.user("ada@acme.example")
		body := object{"schemas": []string{patchURN}, "operations": []object{{"op": "replace", "path": "displayName", "value": "New"}}}
		return s.send(http.MethodPatch, path, body), shown(s.get(path), "displayName")
	}},
	{"PATCH an unknown id", func(s session) (answer, string) {
		return s.patch("/Users/nobody", object{"op": "replace", "path": "displayName", "value": "New"}), ""
	}},
	{"PATCH to a taken userName", func(s session) (answer, string) {
		s.user("bob@acme.example")
		return s.patch(s.user("ada@acme.example"), object{"op": "replace", "path": "userName", "value": "bob@acme.example"}), ""
	}},
	{"PATCH with a stale If-Match", func(s session) (answer, string) {
		path := s.user("ada@acme.example")
		body := object{"schemas": []string{patchURN}, "Operations": []object{{"op": "replace", "path": "displayName", "value": "New"}}}
		return s.send(http.MethodPatch, path, body, "If-Match", `W/"stale"`), ""
	}},

	{"PUT without displayName", put("displayName")},
	{"PUT without active", put("active")},
	{"PUT without userName", put("userName")},
	{"PUT an unknown id", func(s session) (answer, string) {
		return s.send(http.MethodPut, "/Users/nobody", person("ada@acme.example")), ""
	}},
	{"DELETE twice", func(s session) (answer, string) {
		path := s.user("ada@acme.example")
		first := s.send(http.MethodDelete, path, nil)
		return s.send(http.MethodDelete, path, nil), fmt.Sprintf("first: %d", first.status)
	}},

	{"create a group without displayName", func(s session) (answer, string) {
		return s.post("/Groups", object{"schemas": []string{groupURN}, "externalId": "00g1"}), ""
	}},
	{"create a group of a taken name", func(s session) (answer, string) {
		s.group("oncall")
		return s.post("/Groups", object{"schemas": []string{groupURN}, "displayName": "oncall"}), ""
	}},
	{"create a group with an unknown member", func(s session) (answer, string) {
		a := s.post("/Groups", object{"schemas": []string{groupURN}, "displayName": "oncall", "members": values("/Users/nobody")})
		return a, shown(a, "members")
	}},
	{"an empty group", func(s session) (answer, string) {
		a := s.get(s.group("oncall"))
		return a, fmt.Sprintf("members: %v", a.body["members"])
	}},
	{"a member as it is shown", func(s session) (answer, string) {
		a := s.get(s.group("oncall", s.user("ada@acme.example")))
		m, _ := field(a.body, "members.0").(map[string]any)
		return a, fmt.Sprintf("type: %v, $ref: %t, display: %t", m["type"], m["$ref"] != nil, m["display"] != nil)
	}},
	{"add a member who is in", patchGroup(func(m []string) []object {
		return []object{{"op": "add", "path": "members", "value": values(m[0])}}
	})},
	{"add an unknown member", patchGroup(ops(object{"op": "add", "path": "members", "value": values("/Users/nobody")}))},
	{"add a member as an object, not a list", patchGroup(func(m []string) []object {
		return []object{{"op": "add", "path": "members", "value": values(m[0])[0]}}
	})},
	{"add nobody", patchGroup(ops(object{"op": "add", "path": "members", "value": []object{}}))},
	{"remove a member by value path", patchGroup(func(m []string) []object {
		return []object{{"op": "remove", "path": `members[value eq "` + idOf(m[0]) + `"]`}}
	})},
	{"remove a member who is not in", patchGroup(ops(object{"op": "remove", "path": `members[value eq "nobody"]`}))},
	{"remove a member by a value list", patchGroup(func(m []string) []object {
		return []object{{"op": "remove", "path": "members", "value": values(m[0])}}
	})},
	{"remove all members", patchGroup(ops(object{"op": "remove", "path": "members"}))},
	{"replace the members", patchGroup(func(m []string) []object {
		return []object{{"op": "replace", "path": "members", "value": values(m[0])}}
	})},
	{"replace the members by []", patchGroup(ops(object{"op": "replace", "path": "members", "value": []object{}}))},
	{"rename and remove a member in one PATCH", patchGroup(func(m []string) []object {
		return []object{{"op": "replace", "path": "displayName", "value": "new"}, {"op": "remove", "path": `members[value eq "` + idOf(m[0]) + `"]`}}
	})},
	{"a deactivated member", func(s session) (answer, string) {
		ada := s.user("ada@acme.example")
		group := s.group("oncall", ada)
		return s.patch(ada, object{"op": "replace", "path": "active", "value": false}), fmt.Sprintf("members: %d of 1", s.members(group))
	}},
	{"a deleted member", func(s session) (answer, string) {
		ada := s.user("ada@acme.example")
		group := s.group("oncall", ada)
		return s.send(http.MethodDelete, ada, nil), fmt.Sprintf("members: %d of 1", s.members(group))
	}},
	{"groups without members, by excludedAttributes", func(s session) (answer, string) {
		s.group("oncall", s.user("ada@acme.example"))
		a := s.get("/Groups?excludedAttributes=members")
		return a, shown(a, "Resources.0.members")
	}},
	{"ServiceProviderConfig without token", func(s session) (answer, string) {
		return s.send(http.MethodGet, "/ServiceProviderConfig", nil, "Authorization", ""), ""
	}},
	{"what ServiceProviderConfig promises", func(s session) (answer, string) {
		a := s.get("/ServiceProviderConfig")
		return a, fmt.Sprintf("patch %v, filter %v (%v), etag %v", field(a.body, "patch.supported"), field(a.body, "filter.supported"),
			field(a.body, "filter.maxResults"), field(a.body, "etag.supported"))
	}},
}

// String is an answer in a word or two: the status, and the scimType of a refusal.
func (a answer) String() string {
	s := fmt.Sprint(a.status)
	if a.status < 300 {
		return s
	}
	if t, ok := a.body["scimType"].(string); ok {
		s += " " + t
	}
	if field(a.body, "schemas.0") != errorURN {
		s += " (no SCIM error)"
	}
	return strings.TrimSpace(s)
}

func (a answer) accepted() bool { return a.status < 300 }
