package sim

import "net/http"

// discover answers the endpoints that describe the server (RFC 7644 section 4). A filter on them is refused with 403,
// as the section demands.
func (s *SCIM) discover(c call) (reply, *scimError) {
	o := s.current()
	resources := map[string][]any{
		"ServiceProviderConfig": {serviceProviderConfig(o)},
		"ResourceTypes":         {resourceType("User", userSchema), resourceType("Group", groupSchema)},
		"Schemas":               {schemaOf("User", userSchema, userAttributes), schemaOf("Group", groupSchema, groupAttributes)},
	}[c.kind]
	switch {
	case resources == nil || o.NoDiscovery:
		return reply{}, unknownResource(c.kind)
	case c.query.Has("filter"):
		return reply{}, &scimError{http.StatusForbidden, "", "filters are not allowed here"}
	case c.kind == "ServiceProviderConfig" && c.id == "":
		return reply{status: http.StatusOK, body: resources[0]}, nil
	case c.id == "":
		total := len(resources)
		return reply{status: http.StatusOK, body: listResponse{
			Schemas: []string{listSchema}, TotalResults: &total, StartIndex: 1, ItemsPerPage: total, Resources: resources,
		}}, nil
	}
	for _, r := range resources {
		if described, ok := r.(map[string]any); ok && described["id"] == c.id {
			return reply{status: http.StatusOK, body: r}, nil
		}
	}
	return reply{}, unknownResource(c.id)
}

func serviceProviderConfig(o SCIMOptions) map[string]any {
	supported := func(yes bool) map[string]any { return map[string]any{"supported": yes} }
	config := map[string]any{
		"schemas":        []string{"urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"},
		"patch":          supported(!o.NoPatch),
		"bulk":           map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         map[string]any{"supported": true, "maxResults": 100},
		"changePassword": supported(false),
		"sort":           supported(false),
		"etag":           supported(o.ETags),
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "Bearer token", "description": "One static token per organisation",
		}},
	}
	if o.Cursors {
		config["pagination"] = map[string]any{
			"cursor": true, "index": false, "defaultPaginationMethod": "cursor", "defaultPageSize": defaultCount,
		}
	}
	return config
}

func resourceType(name, schema string) map[string]any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:ResourceType"},
		"id":      name, "name": name, "endpoint": "/" + name + "s", "schema": schema,
	}
}

// An attribute is one line of a schema.
type attribute struct {
	name, kind string
	multi      bool
	required   bool
	readOnly   bool
	sub        []attribute
}

var (
	valueAttributes = []attribute{{name: "value", kind: "string"}, {name: "type", kind: "string"}, {name: "primary", kind: "boolean"}}
	userAttributes  = []attribute{
		{name: "userName", kind: "string", required: true},
		{name: "name", kind: "complex", sub: []attribute{{name: "givenName", kind: "string"}, {name: "familyName", kind: "string"}}},
		{name: "displayName", kind: "string"},
		{name: "active", kind: "boolean"},
		{name: "emails", kind: "complex", multi: true, sub: valueAttributes},
		{name: "phoneNumbers", kind: "complex", multi: true, sub: valueAttributes},
	}
	groupAttributes = []attribute{
		{name: "displayName", kind: "string", required: true},
		{name: "members", kind: "complex", multi: true, sub: []attribute{
			{name: "value", kind: "string"}, {name: "type", kind: "string"}, {name: "$ref", kind: "reference", readOnly: true},
		}},
	}
)

func schemaOf(name, id string, attributes []attribute) map[string]any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, "id": id, "name": name, "attributes": describe(attributes),
	}
}

func describe(attributes []attribute) []any {
	var out []any
	for _, a := range attributes {
		line := map[string]any{
			"name": a.name, "type": a.kind, "multiValued": a.multi, "required": a.required, "mutability": "readWrite",
			"caseExact": false, "returned": "default", "uniqueness": "none",
		}
		if a.name == "userName" {
			line["uniqueness"] = "server"
		}
		if a.readOnly {
			line["mutability"] = "readOnly"
		}
		if a.sub != nil {
			line["subAttributes"] = describe(a.sub)
		}
		out = append(out, line)
	}
	return out
}
