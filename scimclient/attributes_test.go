package scimclient

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAttributesByPath(t *testing.T) {
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	names := []string{
		"title", "TITLE", "name.formatted", "name", "emails", "emails.type", "active", "floor", "roles", "missing", "title.missing",
		enterprise + ":department", enterprise + ":Manager", enterprise + ":manager.displayName", userURN + ":title", "urn:acme:1.0:team",
	}
	u, whole, err := decodeWith(names)([]byte(`{"schemas":[],"id":"1","userName":"ada","active":true,"Title":"Countess","floor":7,
		"name":{"formatted":"Ada L"},"emails":[{"value":"a@x","type":"work"},{"value":"b@x"}],"roles":["r1","r2"],"missing":null,
		"` + enterprise + `":{"department":"Engines","manager":{"value":"9","displayName":"Charles"}},"urn:acme:1.0":{"team":["a","b"]}}`))
	if err != nil || !whole {
		t.Fatalf("whole %v, %v", whole, err)
	}
	want := map[string]string{
		"title": "Countess", "TITLE": "Countess", "name.formatted": "Ada L", "name": "", "emails": "a@x,b@x", "emails.type": "work", "active": "true",
		"floor": "7", "roles": "r1,r2", "missing": "", "title.missing": "", enterprise + ":department": "Engines", enterprise + ":Manager": "9",
		enterprise + ":manager.displayName": "Charles", userURN + ":title": "Countess", "urn:acme:1.0:team": "a,b",
	}
	if diff := cmp.Diff(want, u.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if u, _, _ := decodeWith(nil)([]byte(`{"id":"1","title":"x"}`)); u.Attributes != nil {
		t.Errorf("attributes that nobody asked for: %v", u.Attributes)
	}
}
