package scimclient

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsersAreReadHoweverTheyAreSpelled(t *testing.T) {
	tests := map[string]struct {
		body string
		want User
	}{
		"as in the standard": {
			`{"id":"1","externalId":"e","userName":"a@x","name":{"givenName":"A","familyName":"B"},"displayName":"AB","active":false,
				"emails":[{"value":"a@x","type":"work","primary":true}],"phoneNumbers":[{"value":"+1","type":"mobile"}],"meta":{"version":"W/\"1\""}}`,
			User{ID: "1", ExternalID: "e", UserName: "a@x", GivenName: "A", FamilyName: "B", DisplayName: "AB", Version: `W/"1"`,
				Emails: []Email{{"a@x", "work", true}}, Phones: []Phone{{"+1", "mobile", false}}},
		},
		"other letter case":  {`{"ID":"1","UserName":"a@x","ACTIVE":true}`, User{ID: "1", UserName: "a@x", Active: true}},
		"active as a string": {`{"id":"1","active":"False"}`, User{ID: "1"}},
		"active is null":     {`{"id":"1","active":null}`, User{ID: "1", Active: true}},
		"active is absent":   {`{"id":"1"}`, User{ID: "1", Active: true}},
		"numbers":            {`{"id":12,"externalId":34,"phoneNumbers":[{"value":15550100}]}`, User{ID: "12", ExternalID: "34", Active: true, Phones: []Phone{{Value: "15550100"}}}},
		"empty slots":        {`{"id":"1","name":null,"emails":[{"type":"work","value":null}],"phoneNumbers":null}`, User{ID: "1", Active: true}},
		"escapes":            {`{"id":"a\/\u00e9","userName":"\"q\""}`, User{ID: "a/é", UserName: `"q"`, Active: true}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, _, err := decodeUser([]byte(tc.body))
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Errorf("error %v, user (-want +got):\n%s", err, diff)
			}
		})
	}
	for _, body := range []string{`{"id":"1","active":"maybe"}`, `{"id":"1","userName":{}}`, `{"id":"1","emails":"a@x"}`, `{"userName":"a"}`, "null", "[]", `"x"`} {
		if u, _, err := decodeUser([]byte(body)); err == nil {
			t.Errorf("%s is read as %+v", body, u)
		}
	}
}

func TestMembersAreReadHoweverTheyAreSpelled(t *testing.T) {
	body := `{"id":"g","displayName":"d","members":[{"value":"1","type":"user","display":"A"},{"value":"2","$ref":"https://x/scim/Groups/2"},
		{"value":"3","$ref":"../Users/3"},{"value":"4"},{"value":null},null,{"value":5},{"value":"1","type":"User"}]}`
	g, shown, err := decodeGroup([]byte(body))
	want := []Member{{"1", "User"}, {"2", "Group"}, {"3", "User"}, {"4", ""}, {"5", ""}}
	if diff := cmp.Diff(want, g.Members); diff != "" || err != nil || !shown {
		t.Errorf("shown %v, error %v, members (-want +got):\n%s", shown, err, diff)
	}
	for body, want := range map[string]bool{
		`{"id":"g","displayName":"d"}`:                true,
		`{"id":"g","displayName":"d","members":null}`: true,
		`{"id":"g","displayName":"d","members":[]}`:   false,
	} {
		if _, shown, err := decodeGroup([]byte(body)); err != nil || shown == want {
			t.Errorf("%s: shown %v, error %v", body, shown, err)
		}
	}
}
