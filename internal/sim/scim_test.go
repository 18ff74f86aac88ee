package sim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	ann = "ann@acme.example"
	bob = "bob@acme.example"
)

// staffed is a server with ann, bob and a group of ann.
func staffed(t testing.TB, o SCIMOptions) (s *SCIM, annID, bobID, groupID string) {
	t.Helper()
	s = NewSCIM(o)
	a := must[SCIMUser](t)(s.AddUser(SCIMUser{
		UserName: ann, ExternalID: "00u1", GivenName: "Ann", FamilyName: "Lee", DisplayName: "Ann Lee", Active: true,
		Emails: []SCIMValue{{ann, "work", true}}, Phones: []SCIMValue{{"+14155550101", "mobile", false}},
	}))
	b := must[SCIMUser](t)(s.AddUser(SCIMUser{UserName: bob, Active: true}))
	g := must[SCIMGroup](t)(s.AddGroup(SCIMGroup{DisplayName: "oncall", ExternalID: "00g1", Members: []SCIMMember{{a.ID, "User"}}}))
	return s, a.ID, b.ID, g.ID
}

// patchBody writes a PATCH body of these operations.
func patchBody(operations string) string {
	return fmt.Sprintf(`{"schemas":[%q],"Operations":[%s]}`, patchSchema, operations)
}

func TestUserPatchFormsThatAreAccepted(t *testing.T) {
	tests := map[string]struct {
		operations string
		want       func(u *SCIMUser)
	}{
		"replace a scalar":          {`{"op":"replace","path":"displayName","value":"A"}`, func(u *SCIMUser) { u.DisplayName = "A" }},
		"names ignore case":         {`{"op":"replace","path":"DISPLAYNAME","value":"A"}`, func(u *SCIMUser) { u.DisplayName = "A" }},
		"add sets a scalar":         {`{"op":"add","path":"externalId","value":"x"}`, func(u *SCIMUser) { u.ExternalID = "x" }},
		"with the schema's name":    {`{"op":"replace","path":"` + userSchema + `:userName","value":"a@b.example"}`, func(u *SCIMUser) { u.UserName = "a@b.example" }},
		"name with both parts":      {`{"op":"replace","path":"name","value":{"givenName":"A","familyName":"L"}}`, func(u *SCIMUser) { u.GivenName, u.FamilyName = "A", "L" }},
		"name with one part":        {`{"op":"replace","path":"name","value":{"givenName":"A"}}`, func(u *SCIMUser) { u.GivenName = "A" }},
		"one part of the name":      {`{"op":"replace","path":"name.familyName","value":"L"}`, func(u *SCIMUser) { u.FamilyName = "L" }},
		"a whole list":              {`{"op":"replace","path":"emails","value":[{"value":"a@b.example","type":"work","primary":true}]}`, func(u *SCIMUser) { u.Emails = []SCIMValue{{"a@b.example", "work", true}} }},
		"an addition to a list":     {`{"op":"add","path":"emails","value":[{"value":"a@b.example","type":"home"}]}`, func(u *SCIMUser) { u.Emails = append(u.Emails, SCIMValue{"a@b.example", "home", false}) }},
		"a new primary value":       {`{"op":"add","path":"emails","value":[{"value":"a@b.example","primary":true}]}`, func(u *SCIMUser) { u.Emails = []SCIMValue{{ann, "work", false}, {"a@b.example", "", true}} }},
		"a selected value":          {`{"op":"replace","path":"emails[type eq \"work\"].value","value":"a@b.example"}`, func(u *SCIMUser) { u.Emails[0].Value = "a@b.example" }},
		"add makes the value":       {`{"op":"add","path":"emails[type eq \"home\"].value","value":"a@b.example"}`, func(u *SCIMUser) { u.Emails = append(u.Emails, SCIMValue{"a@b.example", "home", false}) }},
		"remove a scalar":           {`{"op":"remove","path":"displayName"}`, func(u *SCIMUser) { u.DisplayName = "" }},
		"remove a list":             {`{"op":"remove","path":"phoneNumbers"}`, func(u *SCIMUser) { u.Phones = nil }},
		"remove a selected value":   {`{"op":"remove","path":"phoneNumbers[type eq \"mobile\"]"}`, func(u *SCIMUser) { u.Phones = nil }},
		"remove the name":           {`{"op":"remove","path":"name"}`, func(u *SCIMUser) { u.GivenName, u.FamilyName = "", "" }},
		"deactivate":                {`{"op":"replace","path":"active","value":false}`, func(u *SCIMUser) { u.Active = false }},
		"deactivate without a path": {`{"op":"replace","value":{"active":false}}`, func(u *SCIMUser) { u.Active = false }},
		"several without a path":    {`{"op":"replace","value":{"displayName":"A","name.givenName":"B"}}`, func(u *SCIMUser) { u.DisplayName, u.GivenName = "A", "B" }},
		"several operations":        {`{"op":"replace","path":"displayName","value":"A"},{"op":"remove","path":"emails"}`, func(u *SCIMUser) { u.DisplayName, u.Emails = "A", nil }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, id, _, _ := staffed(t, SCIMOptions{})
			want, _ := s.User(id)
			tc.want(&want)
			if g := callSCIM(t, s).do("PATCH", "/scim/Users/"+id, patchBody(tc.operations)); g.status != 200 || g.object["id"] != id {
				t.Fatalf("%d %s", g.status, g.text)
			}
			now, _ := s.User(id)
			if diff := cmp.Diff(want, now, cmpopts.IgnoreFields(SCIMUser{}, "record"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("user (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserPatchFormsThatAreRefused(t *testing.T) {
	tests := map[string]struct{ operations, scimType string }{
		"a capitalised operation":    {`{"op":"Replace","path":"displayName","value":"A"}`, "invalidSyntax"},
		"an unknown attribute":       {`{"op":"replace","path":"title","value":"A"}`, "invalidPath"},
		"an unknown part":            {`{"op":"replace","path":"name.middleName","value":"A"}`, "invalidPath"},
		"a broken path":              {`{"op":"replace","path":"emails[type eq","value":"A"}`, "invalidPath"},
		"a path that is no string":   {`{"op":"replace","path":1,"value":"A"}`, "invalidPath"},
		"a string for a boolean":     {`{"op":"replace","path":"active","value":"False"}`, "invalidValue"},
		"null to clear":              {`{"op":"replace","path":"displayName","value":null}`, "invalidValue"},
		"an empty string to clear":   {`{"op":"replace","path":"displayName","value":""}`, "invalidValue"},
		"an empty list to clear":     {`{"op":"replace","path":"phoneNumbers","value":[]}`, "invalidValue"},
		"a list without a path":      {`{"op":"replace","value":{"emails":[{"value":"a@b.example"}]}}`, "invalidPath"},
		"remove without a path":      {`{"op":"remove"}`, "noTarget"},
		"remove with a value":        {`{"op":"remove","path":"displayName","value":"Ann Lee"}`, "invalidSyntax"},
		"replace without a value":    {`{"op":"replace","path":"displayName"}`, "invalidSyntax"},
		"a selection of nothing":     {`{"op":"replace","path":"emails[type eq \"home\"].value","value":"a@b.example"}`, "noTarget"},
		"a userName that is no mail": {`{"op":"replace","path":"userName","value":"ann"}`, "invalidValue"},
		"removing the userName":      {`{"op":"remove","path":"userName"}`, "invalidValue"},
		"two primary values":         {`{"op":"replace","path":"emails","value":[{"value":"a@b.example","primary":true},{"value":"c@d.example","primary":true}]}`, "invalidValue"},
		"an unknown key in a value":  {`{"op":"replace","path":"emails","value":[{"value":"a@b.example","display":"A"}]}`, "invalidSyntax"},
		"a read-only attribute":      {`{"op":"replace","path":"id","value":"x"}`, "mutability"},
		"the computed groups":        {`{"op":"replace","value":{"groups":[]}}`, "mutability"},
		"an unknown operation key":   {`{"op":"replace","Path":"displayName","value":"A"}`, "invalidSyntax"},
		"no operation":               {``, "invalidSyntax"},
		"a later failure undoes all": {`{"op":"replace","path":"displayName","value":"A"},{"op":"remove","path":"nothing"}`, "invalidPath"},
		"a taken userName":           {`{"op":"replace","path":"userName","value":"BOB@acme.example"}`, "uniqueness"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, id, _, _ := staffed(t, SCIMOptions{})
			before := s.Users()
			g := callSCIM(t, s).do("PATCH", "/scim/Users/"+id, patchBody(tc.operations))
			want := 400
			if tc.scimType == "uniqueness" {
				want = 409
			}
			if g.status != want || g.object["scimType"] != tc.scimType || g.object["status"] != fmt.Sprint(want) {
				t.Errorf("got %d %s, want %d %s", g.status, g.text, want, tc.scimType)
			}
			if diff := cmp.Diff(before, s.Users(), cmp.AllowUnexported(SCIMUser{}, record{})); diff != "" {
				t.Errorf("the refusal changed something (-before +after):\n%s", diff)
			}
		})
	}
}

func TestGroupPatches(t *testing.T) {
	const add, removeAnn = `{"op":"add","path":"members","value":[{"value":"BOB"}]}`, `{"op":"remove","path":"members[value eq \"ANN\"]"}`
	tests := map[string]struct {
		options    SCIMOptions
		operations string
		status     int
		members    []string
		marks      int
	}{
		"add":                           {SCIMOptions{}, add, 200, []string{ann, bob}, 0},
		"add who is in":                 {SCIMOptions{}, `{"op":"add","path":"members","value":[{"value":"ANN","type":"User"}]}`, 200, []string{ann}, 0},
		"remove by id":                  {SCIMOptions{}, removeAnn, 200, nil, 0},
		"remove who is not in":          {SCIMOptions{}, `{"op":"remove","path":"members[value eq \"BOB\"]"}`, 200, []string{ann}, 0},
		"remove and add at once":        {SCIMOptions{}, removeAnn + "," + add, 200, []string{bob}, 0},
		"with a rename it is marked":    {SCIMOptions{}, `{"op":"replace","path":"displayName","value":"x"},` + add, 200, []string{ann, bob}, 1},
		"with a rename, refused":        {SCIMOptions{RefuseMixedPatch: true}, `{"op":"replace","path":"displayName","value":"x"},` + add, 400, []string{ann}, 0},
		"remove by a value list":        {SCIMOptions{}, `{"op":"remove","path":"members","value":[{"value":"ANN"}]}`, 400, []string{ann}, 0},
		"remove all":                    {SCIMOptions{}, `{"op":"remove","path":"members"}`, 400, []string{ann}, 0},
		"replace all":                   {SCIMOptions{}, `{"op":"replace","path":"members","value":[{"value":"BOB"}]}`, 400, []string{ann}, 0},
		"an or in the path":             {SCIMOptions{}, `{"op":"remove","path":"members[value eq \"ANN\" or value eq \"BOB\"]"}`, 400, []string{ann}, 0},
		"members without a path":        {SCIMOptions{}, `{"op":"add","value":{"members":[{"value":"BOB"}]}}`, 400, []string{ann}, 0},
		"an unknown member":             {SCIMOptions{}, `{"op":"add","path":"members","value":[{"value":"nobody"}]}`, 400, []string{ann}, 0},
		"an unknown member, dropped":    {SCIMOptions{DropUnknownMembers: true}, `{"op":"add","path":"members","value":[{"value":"nobody"},{"value":"BOB"}]}`, 200, []string{ann, bob}, 0},
		"a group that is called a user": {SCIMOptions{}, `{"op":"add","path":"members","value":[{"value":"GROUP"}]}`, 400, []string{ann}, 0},
		"the group in itself":           {SCIMOptions{}, `{"op":"add","path":"members","value":[{"value":"GROUP","type":"Group"}]}`, 400, []string{ann}, 0},
		"more than the server takes":    {SCIMOptions{MaxMembers: 1}, removeAnn + "," + add, 413, []string{ann}, 0},
		"an empty name":                 {SCIMOptions{}, `{"op":"remove","path":"displayName"}`, 400, []string{ann}, 0},
		"members not kept":              {SCIMOptions{Forgets: []string{"members"}}, add, 200, []string{ann}, 0},
		"no PATCH":                      {SCIMOptions{NoPatch: true}, add, 501, []string{ann}, 0},
		"an answer without a body":      {SCIMOptions{PatchNoContent: true}, add, 204, []string{ann, bob}, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, annID, bobID, groupID := staffed(t, tc.options)
			operations := strings.NewReplacer("ANN", annID, "BOB", bobID, "GROUP", groupID).Replace(tc.operations)
			g := callSCIM(t, s).do("PATCH", "/scim/Groups/"+groupID, patchBody(operations))
			if g.status != tc.status || (g.status == 204) != (g.text == "") {
				t.Errorf("got %d %s, want %d", g.status, g.text, tc.status)
			}
			if diff := cmp.Diff(tc.members, s.MembersOf(groupID)); diff != "" || len(s.Marks()) != tc.marks {
				t.Errorf("marks %q, members (-want +got):\n%s", s.Marks(), diff)
			}
		})
	}
}

func TestCreateReplaceDelete(t *testing.T) {
	user := func(attributes string) string { return fmt.Sprintf(`{"schemas":[%q]%s}`, userSchema, attributes) }
	group := func(attributes string) string { return fmt.Sprintf(`{"schemas":[%q]%s}`, groupSchema, attributes) }
	tests := map[string]struct {
		method, path, body string
		status             int
	}{
		"create a user":              {"POST", "Users", user(`,"userName":"c@d.example","name":{"givenName":"C","familyName":"D"},"active":true`), 201},
		"a taken userName":           {"POST", "Users", user(`,"userName":"ANN@acme.example"`), 409},
		"a userName that is no mail": {"POST", "Users", user(`,"userName":"c"`), 400},
		"no userName":                {"POST", "Users", user(``), 400},
		"an id of the client's own":  {"POST", "Users", user(`,"userName":"c@d.example","id":"1"`), 400},
		"an unknown attribute":       {"POST", "Users", user(`,"userName":"c@d.example","title":"T"`), 400},
		"a null":                     {"POST", "Users", user(`,"userName":"c@d.example","displayName":null`), 400},
		"no schemas":                 {"POST", "Users", `{"userName":"c@d.example"}`, 400},
		"another schema too":         {"POST", "Users", `{"schemas":["` + userSchema + `","urn:x"],"userName":"c@d.example"}`, 400},
		"no object":                  {"POST", "Users", `[]`, 400},
		"create a group":             {"POST", "Groups", group(`,"displayName":"new","externalId":"x","members":[{"value":"ANN"}]`), 201},
		"a taken group name":         {"POST", "Groups", group(`,"displayName":"OnCall"`), 409},
		"a group of nobody":          {"POST", "Groups", group(`,"displayName":"new","members":[]`), 201},
		"a group of strangers":       {"POST", "Groups", group(`,"displayName":"new","members":[{"value":"x"}]`), 400},
		"replace a user":             {"PUT", "Users/ANN", user(`,"userName":"c@d.example","active":true,"id":"ANN"`), 200},
		"replace with computed ones": {"PUT", "Users/ANN", user(`,"userName":"c@d.example","groups":[]`), 400},
		"replace a group":            {"PUT", "Groups/GROUP", group(`,"displayName":"oncall","members":[{"value":"BOB"}]`), 200},
		"replace nobody":             {"PUT", "Users/x", user(`,"userName":"c@d.example"`), 404},
		"delete":                     {"DELETE", "Users/ANN", "", 204},
		"delete nobody":              {"DELETE", "Users/x", "", 404},
		"delete everybody":           {"DELETE", "Users", "", 405},
		"create under an id":         {"POST", "Users/x", user(``), 404},
		"an unknown endpoint":        {"GET", "v2/Users", "", 404},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, annID, bobID, groupID := staffed(t, SCIMOptions{})
			ids := strings.NewReplacer("ANN", annID, "BOB", bobID, "GROUP", groupID)
			if strings.Contains(tc.body, "ANN@") {
				ids = strings.NewReplacer()
			}
			g := callSCIM(t, s).do(tc.method, "/scim/"+ids.Replace(tc.path), ids.Replace(tc.body))
			if g.status != tc.status {
				t.Fatalf("got %d %s, want %d", g.status, g.text, tc.status)
			}
			if g.status != 201 {
				return
			}
			location := g.header.Get("Location")
			_, id, _ := strings.Cut(location, "/scim/")
			if again := callSCIM(t, s).get("/scim/" + id); again.object["id"] != g.object["id"] {
				t.Errorf("Location %q is not the new resource's", location)
			}
		})
	}
}

func TestPutClearsWhatItLeavesOut(t *testing.T) {
	s, id, _, _ := staffed(t, SCIMOptions{})
	callSCIM(t, s).do("PUT", "/scim/Users/"+id, fmt.Sprintf(`{"schemas":[%q],"userName":%q}`, userSchema, ann))
	now, _ := s.User(id)
	if diff := cmp.Diff(SCIMUser{ID: id, UserName: ann}, now, cmpopts.IgnoreFields(SCIMUser{}, "record")); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func TestDeactivation(t *testing.T) {
	deactivate := patchBody(`{"op":"replace","path":"active","value":false}`)
	t.Run("memberships stay or go by switch", func(t *testing.T) {
		for drop, want := range map[bool][]string{false: {ann}, true: nil} {
			s, id, _, group := staffed(t, SCIMOptions{DropMemberships: drop})
			callSCIM(t, s).do("PATCH", "/scim/Users/"+id, deactivate)
			if got := s.MembersOf(group); !slices.Equal(got, want) {
				t.Errorf("DropMemberships %v: members %q, want %q", drop, got, want)
			}
		}
	})
	t.Run("vanished people can only be patched", func(t *testing.T) {
		s, id, _, _ := staffed(t, SCIMOptions{VanishInactive: true})
		c := callSCIM(t, s)
		c.do("PATCH", "/scim/Users/"+id, deactivate)
		if g := c.get("/scim/Users/" + id); g.status != 404 {
			t.Errorf("GET: %d", g.status)
		}
		if g := c.get("/scim/Users?filter=" + url.QueryEscape(`userName eq "`+ann+`"`)); len(g.resources()) != 0 {
			t.Errorf("filter: %s", g.text)
		}
		if g := c.get("/scim/Users"); len(g.resources()) != 1 {
			t.Errorf("listing: %s", g.text)
		}
		if g := c.do("POST", "/scim/Users", fmt.Sprintf(`{"schemas":[%q],"userName":%q}`, userSchema, ann)); g.status != 409 {
			t.Errorf("POST: %d", g.status)
		}
		if g := c.do("PATCH", "/scim/Users/"+id, patchBody(`{"op":"replace","path":"active","value":true}`)); g.status != 200 {
			t.Errorf("PATCH: %d", g.status)
		}
		if g := c.get("/scim/Users/" + id); g.status != 200 {
			t.Errorf("GET after the return: %d", g.status)
		}
	})
}

func TestHeaders(t *testing.T) {
	body := fmt.Sprintf(`{"schemas":[%q],"userName":"c@d.example"}`, userSchema)
	tests := map[string]struct {
		header, value string
		status        int
	}{
		"as they should be":        {"X-Nothing", "", 201},
		"a charset":                {"Content-Type", scimMediaType + "; charset=utf-8", 201},
		"JSON under a SCIM Accept": {"Content-Type", "application/json", 201},
		"a form":                   {"Content-Type", "application/x-www-form-urlencoded", 415},
		"no content type":          {"Content-Type", "", 415},
		"JSON wanted":              {"Accept", "application/json", 406},
		"anything wanted":          {"Accept", "*/*", 201},
		"no token":                 {"Authorization", "", 401},
		"another token":            {"Authorization", "Bearer x", 401},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := callSCIM(t, NewSCIM(SCIMOptions{}))
			c.header.Set(tc.header, tc.value)
			g := c.do("POST", "/scim/Users", body)
			if g.status != tc.status || g.status >= 400 && g.object["status"] != fmt.Sprint(tc.status) {
				t.Errorf("got %d %s, want %d", g.status, g.text, tc.status)
			}
		})
	}
	c := callSCIM(t, NewSCIM(SCIMOptions{}))
	c.header.Set("Content-Type", "application/json")
	c.header.Del("Accept")
	if g := c.do("POST", "/scim/Users", body); g.status != 406 {
		t.Errorf("JSON without a SCIM Accept: %d, want 406", g.status)
	}
	for path, o := range map[string]SCIMOptions{"/Users": {}, "/scim": {}, "/scim/Users": {NotSetUp: true}} {
		if g := callSCIM(t, NewSCIM(o)).get(path); g.status != 404 || g.header.Get("Content-Type") != "text/html" {
			t.Errorf("%s: %d %s, want a 404 page", path, g.status, g.header.Get("Content-Type"))
		}
	}
}

func TestVersions(t *testing.T) {
	s, id, _, _ := staffed(t, SCIMOptions{ETags: true, RequireIfMatch: true})
	c := callSCIM(t, s)
	version := c.get("/scim/Users/" + id).header.Get("ETag")
	change := patchBody(`{"op":"replace","path":"displayName","value":"A"}`)
	for _, step := range []struct {
		ifMatch string
		status  int
	}{{"", http.StatusPreconditionRequired}, {version, 200}, {version, http.StatusPreconditionFailed}} {
		c.header.Set("If-Match", step.ifMatch)
		if g := c.do("PATCH", "/scim/Users/"+id, change); g.status != step.status {
			t.Errorf("If-Match %q: %d, want %d", step.ifMatch, g.status, step.status)
		}
	}
}

func TestHabitsOfPeople(t *testing.T) {
	phone := patchBody(`{"op":"replace","path":"phoneNumbers","value":[{"value":"(415) 555-0123","type":"mobile"}]}`)
	tests := map[string]struct {
		options SCIMOptions
		body    string
		want    string // in the answer
	}{
		"phones stay as sent":         {SCIMOptions{}, phone, `"(415) 555-0123"`},
		"phones are normalised":       {SCIMOptions{NormalizePhones: true}, phone, `"+14155550123"`},
		"phones are not kept":         {SCIMOptions{Forgets: []string{"phoneNumbers"}}, phone, `"+14155550101"`},
		"phones are not shown":        {SCIMOptions{HidePhones: true}, phone, `"active":true,"emails":[{"value":"ann@acme.example","type":"work","primary":true}],"meta"`},
		"addresses are lower-cased":   {SCIMOptions{LowerCaseEmails: true}, patchBody(`{"op":"replace","path":"userName","value":"Ann@Acme.example"}`), `"userName":"ann@acme.example"`},
		"a name drops its other part": {SCIMOptions{NameDropsPart: true}, patchBody(`{"op":"replace","path":"name","value":{"givenName":"A"}}`), `"name":{"givenName":"A"}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, id, _, _ := staffed(t, tc.options)
			if g := callSCIM(t, s).do("PATCH", "/scim/Users/"+id, tc.body); g.status != 200 || !strings.Contains(g.text, tc.want) {
				t.Errorf("got %d %s, want %s in it", g.status, g.text, tc.want)
			}
		})
	}
}

func TestDiscovery(t *testing.T) {
	c := callSCIM(t, NewSCIM(SCIMOptions{Cursors: true}))
	for path, want := range map[string]string{
		"ServiceProviderConfig": `"pagination":{"cursor":true`,
		"ResourceTypes":         `"totalResults":2`,
		"ResourceTypes/User":    `"endpoint":"/Users"`,
		"Schemas":               `"Resources":[`,
		"Schemas/" + userSchema: `"subAttributes"`,
	} {
		if g := c.get("/scim/" + path); g.status != 200 || !strings.Contains(g.text, want) {
			t.Errorf("%s: %d %s, want %s in it", path, g.status, g.text, want)
		}
	}
	if g := c.get("/scim/Schemas?filter=x"); g.status != 403 {
		t.Errorf("a filter: %d, want 403", g.status)
	}
	if g := callSCIM(t, NewSCIM(SCIMOptions{NoDiscovery: true})).get("/scim/ServiceProviderConfig"); g.status != 404 {
		t.Errorf("without discovery: %d, want 404", g.status)
	}
}
