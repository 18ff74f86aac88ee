package scimclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func ptr[T any](v T) *T { return &v }

func TestEditsHaveTheShapesThatServersAccept(t *testing.T) {
	tests := map[string]struct {
		edit UserEdit
		want string
	}{
		"user name": {UserEdit{UserName: ptr("b@x")}, `[{"op":"replace","path":"userName","value":"b@x"}]`},
		"both name parts": {UserEdit{GivenName: ptr("A"), FamilyName: ptr("B")},
			`[{"op":"replace","path":"name","value":{"familyName":"B","givenName":"A"}}]`},
		"one name part cleared": {UserEdit{GivenName: ptr("A"), FamilyName: ptr("")},
			`[{"op":"replace","path":"name","value":{"givenName":"A"}},{"op":"remove","path":"name.familyName"}]`},
		"name cleared":    {UserEdit{GivenName: ptr(""), FamilyName: ptr("")}, `[{"op":"remove","path":"name"}]`},
		"display cleared": {UserEdit{DisplayName: ptr("")}, `[{"op":"remove","path":"displayName"}]`},
		"emails": {UserEdit{Emails: &[]Email{{Value: "a@x"}, {Value: ""}, {Value: "b@x", Type: "home", Primary: true}}},
			`[{"op":"replace","path":"emails","value":[{"type":"work","value":"a@x"},{"primary":true,"type":"home","value":"b@x"}]}]`},
		"phones":         {UserEdit{Phones: &[]Phone{{Value: "+1", Type: "mobile"}}}, `[{"op":"replace","path":"phoneNumbers","value":[{"type":"mobile","value":"+1"}]}]`},
		"phones cleared": {UserEdit{Phones: &[]Phone{}}, `[{"op":"remove","path":"phoneNumbers"}]`},
		"active is a JSON boolean, one op each": {UserEdit{ExternalID: ptr("e"), Active: ptr(false)},
			`[{"op":"replace","path":"externalId","value":"e"},{"op":"replace","path":"active","value":false}]`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := newTestClient(t, func(int, call) reply { return refuse(409, "uniqueness") })
			if _, err := c.UpdateUser(t.Context(), "1", tc.edit); err == nil {
				t.Error("a refusal is no error")
			}
			if diff := cmp.Diff(tc.want, operations(t, f.calls[0])); diff != "" {
				t.Errorf("operations (-want +got):\n%s", diff)
			}
		})
	}
}

// kind is the type of an error, for tables.
func kind(err error) string {
	var out string
	if e, ok := errors.AsType[*Error](err); ok {
		out = fmt.Sprint(e.Status)
	}
	if _, ok := errors.AsType[*UnknownError](err); ok {
		out = "unknown"
	}
	if e, ok := errors.AsType[*NotKeptError](err); ok {
		out = "not kept " + strings.Join(append(e.Attributes, e.Members...), " ")
	}
	switch {
	case err == nil:
		return ""
	case out == "":
		return "other: " + err.Error()
	}
	return out
}

func TestUpdateUserIsVerified(t *testing.T) {
	rename := UserEdit{DisplayName: ptr("New")}
	off := UserEdit{Active: ptr(false)}
	before, after := userJSON("1", `"displayName":"Old"`), userJSON("1", `"displayName":" New "`)
	inactive := `{"id":"1","userName":"1@acme.com","active":"False"}`
	const patch, put, get = "PATCH /Users/1", "PUT /Users/1", "GET /Users/1"
	noContent := reply{status: 204}
	tests := map[string]struct {
		edit  UserEdit
		steps []step
		want  string
	}{
		"the answer shows it":        {rename, []step{{patch, ok(after)}}, ""},
		"204 is read back":           {rename, []step{{patch, noContent}, {get, ok(after)}}, ""},
		"partial answer, read back":  {rename, []step{{patch, ok(`{"id":"1"}`)}, {get, ok(after)}}, ""},
		"stale answer, read back":    {rename, []step{{patch, ok(before)}, {get, ok(after)}}, ""},
		"error with 200, read back":  {rename, []step{{patch, ok(scimError(500, "", ""))}, {get, ok(after)}}, ""},
		"not kept, then PUT":         {rename, []step{{patch, ok(before)}, {get, ok(before)}, {get, ok(before)}, {put, ok(after)}}, ""},
		"never kept":                 {rename, []step{{patch, noContent}, {get, ok(before)}, {get, ok(before)}, {put, ok(before)}, {get, ok(before)}}, "not kept displayName"},
		"not kept, PUT refused":      {rename, []step{{patch, noContent}, {get, ok(before)}, {get, ok(before)}, {put, refuse(400, "")}, {patch, ok(before)}, {get, ok(before)}}, "not kept displayName"},
		"not kept, PUT unsupported":  {rename, []step{{patch, noContent}, {get, ok(before)}, {get, ok(before)}, {put, reply{status: 405}}, {patch, ok(after)}}, ""},
		"PATCH unsupported":          {rename, []step{{patch, reply{status: 501}}, {get, ok(before)}, {put, ok(after)}}, ""},
		"PATCH is a gateway's 404":   {rename, []step{{patch, reply{status: 404, body: html}}, {get, ok(before)}, {get, ok(before)}, {put, ok(after)}}, ""},
		"neither PATCH nor PUT":      {rename, []step{{patch, reply{status: 405}}, {get, ok(before)}, {put, reply{status: 405}}}, "405"},
		"path refused":               {rename, []step{{patch, refuse(400, "noTarget")}, {get, ok(before)}, {put, ok(after)}}, ""},
		"value refused":              {rename, []step{{patch, refuse(400, "invalidValue")}}, "400"},
		"name taken":                 {rename, []step{{patch, refuse(409, "uniqueness")}}, "409"},
		"token refused":              {rename, []step{{patch, refuse(401, "")}}, "401"},
		"one person refused":         {rename, []step{{patch, refuse(403, "")}}, "403"},
		"gone":                       {rename, []step{{patch, refuse(404, "")}, {get, refuse(404, "")}}, "404"},
		"500, and done":              {rename, []step{{patch, refuse(500, "")}, {get, ok(after)}}, ""},
		"500, and not done":          {rename, []step{{patch, refuse(500, "")}, {get, ok(before)}, {patch, ok(after)}}, ""},
		"lost, and done":             {rename, []step{{patch, reply{lose: true}}, {get, ok(after)}}, ""},
		"cut answer, and done":       {rename, []step{{patch, reply{status: 200, body: after, cut: true}}, {get, ok(after)}}, ""},
		"lost, reading refused":      {rename, []step{{patch, reply{lose: true}}, {get, refuse(401, "")}}, "unknown"},
		"done, reading back refused": {rename, []step{{patch, noContent}, {get, refuse(403, "")}}, "unknown"},
		"500 each time": {rename, []step{{patch, refuse(500, "")}, {get, ok(before)}, {patch, refuse(500, "")}, {get, ok(before)},
			{patch, refuse(500, "")}, {get, ok(before)}, {patch, refuse(500, "")}, {get, ok(before)}}, "500"},
		"lost each time": {rename, []step{{patch, reply{lose: true}}, {get, ok(before)}, {patch, reply{lose: true}}, {get, ok(before)},
			{patch, reply{lose: true}}, {get, ok(before)}, {patch, reply{lose: true}}, {get, ok(before)}}, "unknown"},
		"deactivated, string False":         {off, []step{{patch, ok(inactive)}}, ""},
		"deactivated and out of sight":      {off, []step{{patch, noContent}, {get, refuse(404, "")}}, ""},
		"deactivated, 500, out of sight":    {off, []step{{patch, refuse(500, "")}, {get, refuse(404, "")}}, ""},
		"deactivated, a gateway's 404":      {off, []step{{patch, noContent}, {get, reply{status: 404, body: html}}}, "unknown"},
		"active ignored, then without path": {off, []step{{patch, ok(before)}, {get, ok(before)}, {patch, ok(inactive)}}, ""},
		"active ignored altogether":         {off, []step{{patch, ok(before)}, {get, ok(before)}, {patch, ok(before)}, {get, ok(before)}}, "not kept active"},
		"nothing to change is a reading":    {UserEdit{}, []step{{get, ok(before)}}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, inOrder(t, tc.steps...))
				u, err := c.UpdateUser(t.Context(), "1", tc.edit)
				if kind(err) != tc.want {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if len(f.calls) != len(tc.steps) {
					t.Errorf("%d requests of %d: %v", len(f.calls), len(tc.steps), f.sent())
				}
				if (err == nil || strings.HasPrefix(tc.want, "not kept")) && u.ID != "1" {
					t.Errorf("user %+v", u)
				}
				if err == nil && tc.edit.Active != nil && u.Active {
					t.Error("still active")
				}
			})
		})
	}
}

func TestAGatewaysNotFoundIsNoProof(t *testing.T) {
	c, _ := newTestClient(t, func(int, call) reply { return reply{status: 404, body: html} })
	_, err := c.User(t.Context(), "1")
	if Gone(err) || kind(err) != "404" || !strings.Contains(err.Error(), "not the SCIM server's") {
		t.Errorf("error %v", err)
	}
	if err := c.DeleteUser(t.Context(), "1"); err == nil {
		t.Error("deletion counts as done")
	}
	c, _ = newTestClient(t, func(int, call) reply { return refuse(404, "") })
	if _, err := c.User(t.Context(), "1"); !Gone(err) {
		t.Errorf("error %v", err)
	}
	c, _ = newTestClient(t, func(int, call) reply { return ok(userJSON("2", "")) })
	if _, err := c.User(t.Context(), "1"); err == nil {
		t.Error("another user passes for the one asked for")
	}
}

func TestOnlyTheServersWordEndsTheUseOfPatch(t *testing.T) {
	for name, tc := range map[string]struct {
		reply
		noPatch bool
	}{
		"405":             {reply{status: 405}, true},
		"501":             {refuse(501, ""), true},
		"a gateway's 404": {reply{status: 404, body: html}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := newTestClient(t, func(_ int, c call) reply {
				if c.method == http.MethodPatch {
					return tc.reply
				}
				return ok(userJSON("1", `"displayName":"New"`))
			})
			if _, err := c.UpdateUser(t.Context(), "1", UserEdit{DisplayName: ptr("New")}); err != nil {
				t.Fatal(err)
			}
			if c.users.noPatch.Load() != tc.noPatch {
				t.Errorf("PATCH is not used any more: %v", !tc.noPatch)
			}
		})
	}
}

func TestPutMergesWhatItRead(t *testing.T) {
	raw := `{"schemas":["` + userURN + `"],"id":"1","meta":{"resourceType":"User"},"Groups":[{"value":"g"}],"userName":"a@x","DisplayName":"Old",
		"title":"SRE","nickName":null,"phoneNumbers":[{"type":"work","value":null},{"type":"mobile","value":"+15550100"}],"big":12345678901234567890}`
	c, f := newTestClient(t, inOrder(t,
		step{"PATCH /Users/1", reply{status: 405}}, step{"GET /Users/1", ok(raw)},
		step{"PUT /Users/1", ok(`{"id":"1","userName":"a@x","active":true,"displayName":"New"}`)},
		step{"GET /Users/1", ok(raw)}, step{"PUT /Users/1", ok(`{"id":"1","userName":"a@x","active":true}`)},
	))
	if _, err := c.UpdateUser(t.Context(), "1", UserEdit{DisplayName: ptr("New")}); err != nil {
		t.Fatal(err)
	}
	want := `{"active":true,"big":12345678901234567890,"displayName":"New","phoneNumbers":[{"type":"mobile","value":"+15550100"}],` +
		`"schemas":["` + userURN + `"],"title":"SRE","userName":"a@x"}`
	if diff := cmp.Diff(want, f.calls[2].raw); diff != "" {
		t.Errorf("PUT (-want +got):\n%s", diff)
	}
	if _, err := c.UpdateUser(t.Context(), "1", UserEdit{DisplayName: ptr("")}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(f.calls[4].raw), "displayname") {
		t.Errorf("a cleared attribute is sent: %s", f.calls[4].raw)
	}
}

func TestDeleteUser(t *testing.T) {
	const del, get = "DELETE /Users/1", "GET /Users/1"
	gone, there, nobody, page := refuse(404, ""), ok(userJSON("1", "")), reply{status: 404, body: html}, reply{status: 200, body: html}
	tests := map[string]struct {
		steps []step
		want  string
	}{
		"204":                    {[]step{{del, reply{status: 204}}}, ""},
		"200 and gone":           {[]step{{del, reply{status: 200}}, {get, gone}}, ""},
		"a web page":             {[]step{{del, page}, {get, there}, {del, reply{status: 204}}}, ""},
		"a web page every time":  {[]step{{del, page}, {get, there}, {del, page}, {get, there}, {del, page}, {get, there}, {del, page}, {get, there}}, "200"},
		"a web page to anything": {[]step{{del, page}, {get, page}}, "unknown"},
		"gone already":           {[]step{{del, gone}, {get, gone}}, ""},
		"404 and still there":    {[]step{{del, gone}, {get, there}}, "404"},
		"a gateway's 404":        {[]step{{del, nobody}, {get, nobody}}, "404"},
		"500 and gone":           {[]step{{del, refuse(500, "")}, {get, gone}}, ""},
		"500 and still there":    {[]step{{del, refuse(500, "")}, {get, there}, {del, reply{status: 204}}}, ""},
		"lost and not readable":  {[]step{{del, reply{lose: true}}, {get, refuse(403, "")}}, "unknown"},
		"not supported":          {[]step{{del, reply{status: 501}}}, "501"},
		"500 again and again":    {[]step{{del, refuse(500, "")}, {get, there}, {del, refuse(500, "")}, {get, there}, {del, refuse(500, "")}, {get, there}, {del, refuse(500, "")}, {get, there}}, "500"},
		"demands a version":      {[]step{{del, reply{status: 428}}, {get, ok(userJSON("1", `"meta":{"version":"v1"}`))}, {del, reply{status: 204}}}, ""},
		"demands what it has no": {[]step{{del, reply{status: 428}}, {get, there}}, "428"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, inOrder(t, tc.steps...))
				if err := c.DeleteUser(t.Context(), "1"); kind(err) != tc.want {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if len(f.calls) != len(tc.steps) {
					t.Errorf("requests: %v", f.sent())
				}
			})
		})
	}
}

func TestVersions(t *testing.T) {
	versioned := func(version, name string) reply {
		return ok(userJSON("1", fmt.Sprintf(`"displayName":%q,"meta":{"version":%q}`, name, version)))
	}
	const patch, get, config = "PATCH /Users/1", "GET /Users/1", "GET /ServiceProviderConfig"
	etag := ok(`{"etag":{"supported":true}}`)
	tests := map[string]struct {
		steps []step
		match []string // If-Match of each request after the first reading
		want  string
	}{
		"sent where supported":     {[]step{{config, etag}, {patch, versioned("v2", "New")}}, []string{"", "v1"}, ""},
		"not sent where it is not": {[]step{{config, reply{status: 404}}, {patch, versioned("v2", "New")}}, []string{"", ""}, ""},
		"moved on elsewhere": {[]step{{config, etag}, {patch, refuse(412, "")}, {get, versioned("v2", "Old")}, {patch, versioned("v3", "New")}},
			[]string{"", "v1", "", "v2"}, ""},
		"done by somebody else": {[]step{{config, etag}, {patch, refuse(412, "")}, {get, versioned("v2", "New")}}, []string{"", "v1", ""}, ""},
		"changed by somebody":   {[]step{{config, etag}, {patch, refuse(412, "")}, {get, versioned("v2", "Other")}}, []string{"", "v1", ""}, "412"},
		"412 twice": {[]step{{config, etag}, {patch, refuse(412, "")}, {get, versioned("v2", "Old")}, {patch, refuse(412, "")}},
			[]string{"", "v1", "", "v2"}, "412"},
		"demanded": {[]step{{config, reply{status: 404}}, {patch, reply{status: 428}}, {get, versioned("v2", "Old")}, {patch, versioned("v3", "New")}},
			[]string{"", "", "", "v2"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			steps := append([]step{{get, versioned("v1", "Old")}}, tc.steps...)
			c, f := newTestClient(t, inOrder(t, steps...))
			if _, err := c.User(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
			if _, err := c.UpdateUser(t.Context(), "1", UserEdit{DisplayName: ptr("New")}); kind(err) != tc.want {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			var match []string
			for _, call := range f.calls[1:] {
				match = append(match, call.header.Get("If-Match"))
			}
			if diff := cmp.Diff(tc.match, match); diff != "" {
				t.Errorf("If-Match (-want +got):\n%s\n%v", diff, f.sent())
			}
		})
	}
}

func TestCreateUser(t *testing.T) {
	ann := User{UserName: "ann@x", ExternalID: "e1", GivenName: "Ann", DisplayName: "Ann", Active: true,
		Emails: []Email{{Value: "ann@x"}}, Phones: []Phone{{Value: "(555) 010-0200", Type: "mobile"}}}
	full := `{"id":"1","userName":"Ann@X","externalId":"e1","name":{"givenName":"Ann","familyName":null},"displayName":"Ann","active":true,` +
		`"emails":[{"value":"ann@x"}],"phoneNumbers":[{"type":"mobile","value":"+15550100200"},{"type":"work","value":null}]}`
	noPhone := strings.Replace(full, "+15550100200", "", 1)
	other := strings.Replace(full, "e1", "e2", 1)
	created := func(body, location string) reply {
		return reply{status: 201, body: body, header: map[string]string{"Location": location}}
	}
	const post, get, list, patch = "POST /Users", "GET /Users/1", "GET /Users", "PATCH /Users/1"
	tests := map[string]struct {
		steps []step
		want  string
	}{
		"the answer shows it":         {[]step{{post, created(full, "")}}, ""},
		"only a Location":             {[]step{{post, created("", "/scim/Users/1")}, {get, ok(full)}}, ""},
		"only an id":                  {[]step{{post, created(`{"id":"1"}`, "")}, {get, ok(full)}}, ""},
		"neither":                     {[]step{{post, created("", "")}, {list, ok(listJSON(1, full))}, {get, ok(full)}}, ""},
		"neither, and not found":      {[]step{{post, created(html, "")}, {list, ok(listJSON(0))}, {list, ok(listJSON(0))}}, "unknown"},
		"phone not kept, then PATCH":  {[]step{{post, created(noPhone, "")}, {patch, ok(full)}}, ""},
		"phone never kept":            {[]step{{post, created(noPhone, "")}, {patch, ok(noPhone)}, {get, ok(noPhone)}}, "not kept phoneNumbers"},
		"userName taken":              {[]step{{post, refuse(409, "uniqueness")}}, "409"},
		"refused":                     {[]step{{post, refuse(400, "invalidValue")}}, "400"},
		"500, and done":               {[]step{{post, refuse(500, "")}, {list, ok(listJSON(1, full))}, {get, ok(full)}}, ""},
		"lost, hidden from filters":   {[]step{{post, reply{lose: true}}, {list, ok(listJSON(0))}, {list, ok(listJSON(1, full))}, {get, ok(full)}}, ""},
		"lost, and not done":          {[]step{{post, reply{lose: true}}, {list, ok(listJSON(0))}, {list, ok(listJSON(0))}, {post, created(full, "")}}, ""},
		"lost, and somebody else's":   {[]step{{post, reply{lose: true}}, {list, ok(listJSON(1, other))}}, "409"},
		"lost, and nothing readable":  {[]step{{post, reply{lose: true}}, {list, refuse(403, "")}}, "unknown"},
		"lost, second try says taken": {[]step{{post, reply{lose: true}}, {list, ok(listJSON(0))}, {list, ok(listJSON(0))}, {post, refuse(409, "uniqueness")}}, "409"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, inOrder(t, tc.steps...))
				u, err := c.CreateUser(t.Context(), ann)
				if kind(err) != tc.want {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if err == nil && u.ID != "1" {
					t.Errorf("user %+v", u)
				}
				if len(f.calls) != len(tc.steps) {
					t.Errorf("requests: %v", f.sent())
				}
				want := `{"active":true,"displayName":"Ann","emails":[{"primary":true,"type":"work","value":"ann@x"}],"externalId":"e1",` +
					`"name":{"givenName":"Ann"},"phoneNumbers":[{"type":"mobile","value":"(555) 010-0200"}],"schemas":["` + userURN + `"],"userName":"ann@x"}`
				if diff := cmp.Diff(want, f.calls[0].raw); diff != "" {
					t.Errorf("POST (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestCreateGroup(t *testing.T) {
	const post, patch, get = "POST /Groups", "PATCH /Groups/g", "GET /Groups/g"
	created := func(members ...string) reply { return reply{status: 201, body: groupJSON("g", members...)} }
	tests := map[string]struct {
		steps []step
		want  string
	}{
		"members came along":           {[]step{{post, created("1", "2", "3")}, {patch, ok(groupJSON("g", "1", "2", "3", "4"))}}, ""},
		"members were dropped":         {[]step{{post, created()}, {patch, ok(groupJSON("g", "1", "2", "3"))}, {patch, ok(groupJSON("g", "1", "2", "3", "4"))}}, ""},
		"answer without members":       {[]step{{post, reply{status: 201, body: `{"id":"g","displayName":"oncall"}`}}, {get, ok(groupJSON("g", "1", "2", "3"))}, {patch, ok(groupJSON("g", "1", "2", "3", "4"))}}, ""},
		"members refused at creation":  {[]step{{post, refuse(400, "invalidValue")}, {post, created()}, {patch, ok(groupJSON("g", "1", "2", "3"))}, {patch, ok(groupJSON("g", "1", "2", "3", "4"))}}, ""},
		"name taken":                   {[]step{{post, refuse(409, "uniqueness")}}, "409"},
		"the same name with members":   {[]step{{post, created("9", "1", "2", "3", "4")}}, ""},
		"one member is never kept":     {[]step{{post, created("1", "2", "3")}, {patch, ok(groupJSON("g", "1", "2", "3"))}, {get, ok(groupJSON("g", "1", "2", "3"))}, {patch, reply{status: 204}}, {get, ok(groupJSON("g", "1", "2", "3"))}}, "not kept members 4"},
		"a member unknown, group kept": {[]step{{post, created("1", "2", "3")}, {patch, refuse(400, "invalidValue")}}, "400"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := newTestClient(t, inOrder(t, tc.steps...), func(o *Options) { o.MemberChunk = 3 })
			g, err := c.CreateGroup(t.Context(), Group{DisplayName: "oncall", Members: []Member{{Value: "1"}, {Value: "2"}, {Value: "3"}, {Value: "4"}}})
			if kind(err) != tc.want {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if tc.want != "409" && g.ID != "g" {
				t.Errorf("group %+v", g)
			}
			if len(f.calls) != len(tc.steps) {
				t.Errorf("requests: %v", f.sent())
			}
		})
	}
}

func TestUpdateGroupNeverEmptiesIt(t *testing.T) {
	hidden := `{"id":"g","displayName":"Old"}`
	c, f := newTestClient(t, inOrder(t,
		step{"PATCH /Groups/g", reply{status: 204}}, step{"GET /Groups/g", ok(hidden)}, step{"GET /Groups/g", ok(hidden)},
		step{"PATCH /Groups/g", ok(groupJSON("g", "1"))},
	))
	g, err := c.UpdateGroup(t.Context(), "g", GroupEdit{DisplayName: ptr("oncall")})
	if err != nil || len(g.Members) != 1 {
		t.Errorf("group %+v, error %v, requests %v", g, err, f.sent())
	}
}

func TestChangeMembers(t *testing.T) {
	const patch, put, get = "PATCH /Groups/g", "PUT /Groups/g", "GET /Groups/g"
	was, want := groupJSON("g", "old", "stays"), groupJSON("g", "stays", "new")
	noContent := reply{status: 204}
	tests := map[string]struct {
		steps []step
		want  string
	}{
		"one request for both":          {[]step{{patch, ok(want)}}, ""},
		"204 is read back":              {[]step{{patch, noContent}, {get, ok(want)}}, ""},
		"members missing in answer":     {[]step{{patch, ok(`{"id":"g","displayName":"oncall"}`)}, {get, ok(want)}}, ""},
		"removal ignored, then PUT":     {[]step{{patch, noContent}, {get, ok(groupJSON("g", "old", "stays", "new"))}, {get, ok(groupJSON("g", "old", "stays", "new"))}, {put, ok(want)}}, ""},
		"removal never kept":            {[]step{{patch, noContent}, {get, ok(was)}, {get, ok(was)}, {put, ok(was)}, {get, ok(was)}}, "not kept members new old"},
		"addition dropped":              {[]step{{patch, noContent}, {get, ok(groupJSON("g", "stays"))}, {patch, noContent}, {get, ok(groupJSON("g", "stays"))}}, "not kept members new"},
		"addition dropped, then joins":  {[]step{{patch, noContent}, {get, ok(groupJSON("g", "stays"))}, {patch, ok(want)}}, ""},
		"PATCH unsupported":             {[]step{{patch, reply{status: 501}}, {get, ok(was)}, {get, ok(was)}, {put, ok(want)}}, ""},
		"neither PATCH nor PUT":         {[]step{{patch, reply{status: 501}}, {get, ok(was)}, {get, ok(was)}, {put, reply{status: 501}}}, "501"},
		"PATCH is a gateway's 404":      {[]step{{patch, reply{status: 404, body: html}}, {get, ok(was)}, {get, ok(was)}, {get, ok(was)}, {put, ok(want)}}, ""},
		"too large, then one by one":    {[]step{{patch, reply{status: 413}}, {patch, ok(groupJSON("g", "old", "stays", "new"))}, {patch, ok(want)}}, ""},
		"500, and half of it done":      {[]step{{patch, refuse(500, "")}, {get, ok(groupJSON("g", "old", "stays", "new"))}, {patch, ok(want)}}, ""},
		"500, and done":                 {[]step{{patch, refuse(500, "")}, {get, ok(want)}}, ""},
		"404, but the group is there":   {[]step{{patch, refuse(404, "")}, {get, ok(was)}}, "404"},
		"404, group gone":               {[]step{{patch, refuse(404, "")}, {get, refuse(404, "")}}, "404"},
		"token refused":                 {[]step{{patch, refuse(401, "")}}, "401"},
		"accepted, but cannot be read":  {[]step{{patch, noContent}, {get, refuse(403, "")}}, "unknown"},
		"removal ignored, PUT refused":  {[]step{{patch, noContent}, {get, ok(was)}, {get, ok(was)}, {put, refuse(400, "")}}, "not kept members new old"},
		"removal ignored, no PUT there": {[]step{{patch, noContent}, {get, ok(was)}, {get, ok(was)}, {put, reply{status: 405}}}, "not kept members new old"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, inOrder(t, tc.steps...))
				g, err := c.ChangeMembers(t.Context(), "g", []string{"new", "new"}, []string{"old"})
				if kind(err) != tc.want {
					t.Errorf("error %v, want %q", err, tc.want)
				}
				if name == "404, but the group is there" && Gone(err) {
					t.Error("an unknown member counts as a group that is gone")
				}
				if (err == nil || strings.HasPrefix(tc.want, "not kept")) && g.ID != "g" {
					t.Errorf("group %+v", g)
				}
				if len(f.calls) != len(tc.steps) {
					t.Errorf("requests: %v", f.sent())
				}
				if f.calls[0].method == http.MethodPatch && name != "too large, then one by one" {
					ops := `[{"op":"add","path":"members","value":[{"value":"new"}]},{"op":"remove","path":"members[value eq \"old\"]"}]`
					if diff := cmp.Diff(ops, operations(t, f.calls[0])); diff != "" {
						t.Errorf("operations (-want +got):\n%s", diff)
					}
				}
				for _, call := range f.calls {
					if members, has := call.body["members"]; call.method == http.MethodPut && (!has || len(members.([]any)) != 2) {
						t.Errorf("PUT of %s", call.raw)
					}
				}
			})
		})
	}
	c, _ := newTestClient(t, inOrder(t))
	if _, err := c.ChangeMembers(t.Context(), "g", []string{"1"}, []string{"1"}); err == nil {
		t.Error("adding and removing the same person passes")
	}
}

func TestAFailedChunkLeavesTheEarlierOnesKnown(t *testing.T) {
	c, _ := newTestClient(t, inOrder(t,
		step{"PATCH /Groups/g", reply{status: 204}}, step{"PATCH /Groups/g", refuse(400, "invalidValue")}, step{"GET /Groups/g", ok(groupJSON("g", "1"))},
	), func(o *Options) { o.MemberChunk = 1 })
	g, err := c.ChangeMembers(t.Context(), "g", []string{"1", "nobody"}, nil)
	if kind(err) != "400" || len(g.Members) != 1 {
		t.Errorf("group %+v, error %v", g, err)
	}
}

func TestPutKeepsMembersThatAreNotOurs(t *testing.T) {
	raw := `{"id":"g","displayName":"d","members":[{"value":"old"},{"value":"nested","type":"Group","$ref":"x/Groups/nested"}]}`
	c, f := newTestClient(t, inOrder(t,
		step{"PATCH /Groups/g", reply{status: 405}}, step{"GET /Groups/g", ok(raw)}, step{"GET /Groups/g", ok(raw)},
		step{"PUT /Groups/g", ok(groupJSON("g", "nested", "new"))},
	))
	if _, err := c.ChangeMembers(t.Context(), "g", []string{"new"}, []string{"old"}); err != nil {
		t.Fatal(err)
	}
	want := `{"displayName":"d","members":[{"type":"Group","value":"nested"},{"value":"new"}]}`
	if diff := cmp.Diff(want, f.calls[3].raw); diff != "" {
		t.Errorf("PUT (-want +got):\n%s", diff)
	}
}

func TestACancelledWriteIsUnknownOnceSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c, f := newTestClient(t, func(int, call) reply { cancel(); return reply{lose: true} })
	_, err := c.UpdateUser(ctx, "1", UserEdit{Active: ptr(false)})
	if kind(err) != "unknown" || !errors.Is(err, context.Canceled) || len(f.calls) != 1 {
		t.Errorf("error %v after %v", err, f.sent())
	}
	_, err = c.UpdateUser(ctx, "1", UserEdit{Active: ptr(false)})
	if _, unknown := errors.AsType[*UnknownError](err); unknown || !errors.Is(err, context.Canceled) || len(f.calls) != 1 {
		t.Errorf("a write after cancellation: %v, %v", err, f.sent())
	}
}

func TestKept(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"+1 (555) 010-0200", "+15550100200", true},
		{"555 010 0200", "+15550100200", true},
		{"020 7946 0958", "+442079460958", true},
		{"+15550100200", "+15550100201", false},
		{"200", "+15550100200", false},
		{"ext", "ext ", true},
		{"", "+15550100200", false},
	} {
		if samePhone(tc.a, tc.b) != tc.want {
			t.Errorf("samePhone(%q, %q) is not %v", tc.a, tc.b, tc.want)
		}
	}
	e := UserEdit{UserName: ptr("Zoë@X"), GivenName: ptr("Zoë"), FamilyName: ptr(""), Emails: &[]Email{{Value: "b@x"}}}
	u := User{UserName: "zoe\u0308@x", GivenName: " Zoe\u0308", Emails: []Email{{Value: "zoë@x"}, {Value: "B@x"}}}
	if lost := e.lost(u); lost != nil {
		t.Errorf("lost %v", lost)
	}
	u.Emails = append(u.Emails, Email{Value: "stale@x"})
	if diff := cmp.Diff([]string{"emails"}, e.lost(u)); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
}

// A number that the server cut down to another one is not kept: told otherwise, the caller writes it at every run.
func TestANumberWithoutItsCountryIsNotKept(t *testing.T) {
	e := UserEdit{Phones: &[]Phone{{Value: "+442079460123", Type: "work"}}}
	if lost := e.lost(User{Phones: []Phone{{Value: "02079460123", Type: "work"}}}); len(lost) == 0 {
		t.Error("+44 20 7946 0123 reads as kept where 0207 946 0123 is, which in the US is another number")
	}
}
