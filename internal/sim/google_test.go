package sim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const discovered = "/admin/directory/v1"

// callGoogle signs in as the administrator.
func callGoogle(t testing.TB, h http.Handler) *caller {
	t.Helper()
	c := &caller{t, h, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
	g := c.do(http.MethodPost, "/token", tokenForm(t, func(map[string]any) {}))
	token, _ := g.object["access_token"].(string)
	if token == "" {
		t.Fatalf("no token: %d %s", g.status, g.text)
	}
	c.header = http.Header{"Authorization": {"Bearer " + token}}
	return c
}

// tokenForm is a token request whose claims change has changed.
func tokenForm(t testing.TB, change func(claims map[string]any)) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": GoogleAccount, "sub": DefaultGoogleAdmin, "aud": "https://acme.okta.example/token",
		"scope": googleUserScope + " " + googleGroupScope + " " + googleUnitScope, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	change(claims)
	part := func(v any) string { return base64.RawURLEncoding.EncodeToString(encode(v)) }
	unsigned := part(map[string]string{"alg": "RS256"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(unsigned))
	signature := must[[]byte](t)(rsa.SignPKCS1v15(rand.Reader, googleKey(), crypto.SHA256, sum[:]))
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {unsigned + "." + base64.RawURLEncoding.EncodeToString(signature)}}
	return form.Encode()
}

// turnPages follows the page tokens to the end and tells the ids and the size of each page.
func turnPages(t *testing.T, c *caller, path, key string) (ids []string, pages []int) {
	t.Helper()
	for next := ""; ; {
		g := c.get(path + "&pageToken=" + url.QueryEscape(next))
		if g.status != 200 {
			t.Fatalf("%s: %d %s", path, g.status, g.text)
		}
		list, _ := g.object[key].([]any)
		ids = append(ids, idsOf(list)...)
		pages = append(pages, len(list))
		if next, _ = g.object["nextPageToken"].(string); next == "" {
			return ids, pages
		}
	}
}

func TestGooglePages(t *testing.T) {
	company := NewCompany(Config{Seed: 1, People: 1203, Groups: 45})
	c := callGoogle(t, NewGoogle(company, GoogleOptions{}))
	hands, _ := company.GroupByName("all-hands")
	tests := map[string]struct {
		path, key   string
		total, page int
	}{
		"users by default":    {"/users?customer=my_customer", "users", 1203, 100},
		"users at most":       {"/users?domain=" + Domain + "&maxResults=500", "users", 1203, 500},
		"users of a unit":     {"/users?customer=my_customer&query=orgUnitPath%3D%27/Engineering/SRE%27", "users", staff(company, "SRE"), 100},
		"and of those below":  {"/users?customer=my_customer&query=orgUnitPath=/Engineering", "users", staff(company, "SRE") + staff(company, "Engineering"), 100},
		"groups":              {"/groups?customer=" + GoogleCustomer, "groups", 45, 200},
		"members by default":  {"/groups/" + hands.ID + "/members?x=", "members", 1203, 200},
		"members by address":  {"/groups/all-hands@" + Domain + "/members?maxResults=7", "members", 1203, 7},
		"nobody of that name": {"/users?customer=my_customer&query=email=nobody", "users", 0, 100},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ids, pages := turnPages(t, c, discovered+tc.path, tc.key)
			distinct := len(slices.Compact(slices.Sorted(slices.Values(ids))))
			if distinct != tc.total || len(ids) != tc.total || pages[0] != min(tc.page, tc.total) {
				t.Errorf("%d objects, %d of them different, in pages of %d; want %d in pages of %d", len(ids), distinct, pages[0], tc.total, tc.page)
			}
		})
	}
	for path, status := range map[string]int{
		"/users": 400, "/users?customer=my_customer&domain=" + Domain: 400, "/users?customer=C09other": 400, "/users?domain=other.example": 404,
		"/users?customer=my_customer&maxResults=501": 400, "/groups?customer=my_customer&maxResults=201": 400, "/users?customer=my_customer&pageToken=x": 400,
		"/users?customer=my_customer&query=orgUnitPath=/Nowhere": 400, "/users?customer=my_customer&query=shoe=7": 400, "/users?customer=my_customer&fields=a(": 400,
		"/users/nobody": 404, "/groups/none/members": 404, "/groups/00foreign1/members": 403, "/groups/" + hands.ID + "/hasMember/nobody": 400,
		"/customer/C09other/orgunits": 404,
	} {
		g := c.get(discovered + path)
		refused, _ := g.object["error"].(map[string]any)
		if g.status != status || refused["errors"] == nil {
			t.Errorf("%s: %d %s, want %d", path, g.status, g.text, status)
		}
	}
}

func staff(c *Company, department string) int {
	n := 0
	for _, p := range c.People() {
		if p.Department == department {
			n++
		}
	}
	return n
}

func TestGoogleStatuses(t *testing.T) {
	company := NewCompany(Config{Seed: 2, People: 4, Groups: 1})
	people := company.People()
	if err := firstError(company.Suspend(people[0].Login), company.Leave(people[1].Login), company.Leave(people[2].Login), company.Delete(people[2].Login)); err != nil {
		t.Fatal(err)
	}
	c := callGoogle(t, NewGoogle(company, GoogleOptions{}))
	for i, want := range []string{`{"archived":false,"suspended":true}`, `{"archived":true,"suspended":false}`, "", `{"archived":false,"suspended":false}`} {
		g := c.get(discovered + "/users/" + people[i].ID + "?fields=suspended,archived")
		if want != "" && g.text != want || want == "" && g.status != 404 {
			t.Errorf("person %d: %d %s, want %s", i, g.status, g.text, want)
		}
	}
	deleted := discovered + "/users?customer=my_customer&showDeleted=true&fields=kind,users/id,users/deletionTime"
	if ids := idsOf(listIn(c.get(deleted), "users")); !slices.Equal(ids, []string{people[2].ID}) {
		t.Errorf("deleted: %v", ids)
	}
	company.EmptyBin()
	if g := c.get(deleted); g.text != `{"kind":"admin#directory#users"}` {
		t.Errorf("an empty list is %s", g.text)
	}
}

func listIn(g got, key string) []any {
	list, _ := g.object[key].([]any)
	return list
}

// The token endpoint refuses in Google's words, and what a token allows is what was asked for.
func TestGoogleSignIn(t *testing.T) {
	company := NewCompany(Config{Seed: 2, People: 4, Groups: 1})
	now := time.Now()
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	tests := map[string]struct {
		served GoogleOptions
		change func(map[string]any)
		want   string // of the token request
		users  int    // the status of a listing of users with it
	}{
		"the administrator":      {GoogleOptions{}, func(map[string]any) {}, `"token_type":"Bearer"`, 200},
		"another person":         {GoogleOptions{}, set("sub", company.People()[0].Login), `"token_type":"Bearer"`, 403},
		"nobody":                 {GoogleOptions{}, set("sub", "x@y"), "Invalid email or User ID", 401},
		"the account itself":     {GoogleOptions{}, set("sub", ""), `"token_type":"Bearer"`, 403},
		"with a role":            {GoogleOptions{AdminRole: true}, set("sub", ""), `"token_type":"Bearer"`, 200},
		"without that role":      {GoogleOptions{Forbidden: []string{"users"}}, func(map[string]any) {}, `"token_type":"Bearer"`, 403},
		"another account":        {GoogleOptions{}, set("iss", "x"), "account not found", 401},
		"a scope less":           {GoogleOptions{}, set("scope", googleGroupScope), `"token_type":"Bearer"`, 403},
		"a scope too many":       {GoogleOptions{Scopes: []string{googleUserScope}}, func(map[string]any) {}, "unauthorized_client", 401},
		"a clock that is ahead":  {GoogleOptions{}, set("iat", now.Add(5*time.Minute).Unix()), "short-lived token", 401},
		"an assertion gone by":   {GoogleOptions{}, set("exp", now.Add(-time.Minute).Unix()), "short-lived token", 401},
		"a longer one":           {GoogleOptions{}, set("exp", now.Add(2*time.Hour).Unix()), "short-lived token", 401},
		"for another audience":   {GoogleOptions{}, set("aud", "https://x/token"), "Failed audience check", 401},
		"more requests a minute": {GoogleOptions{RateLimit: -1}, func(map[string]any) {}, `"token_type":"Bearer"`, 200},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := &caller{t, NewGoogle(company, tc.served), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
			g := c.do(http.MethodPost, "/token", tokenForm(t, tc.change))
			if !strings.Contains(g.text, tc.want) {
				t.Fatalf("%d %s, want %s", g.status, g.text, tc.want)
			}
			token, _ := g.object["access_token"].(string)
			c.header = http.Header{"Authorization": {"Bearer " + token}}
			if g := c.get(discovered + "/users?customer=my_customer"); g.status != tc.users {
				t.Errorf("users: %d %s, want %d", g.status, g.text, tc.users)
			}
		})
	}
	t.Run("the quota", func(t *testing.T) {
		server := NewGoogle(company, GoogleOptions{RateLimit: 2})
		synctest.Test(t, func(t *testing.T) {
			c := callGoogle(t, server)
			var statuses []int
			for range 3 {
				statuses = append(statuses, c.get(discovered+"/groups?customer=my_customer").status)
			}
			time.Sleep(time.Minute)
			if statuses = append(statuses, c.get(discovered+"/groups?customer=my_customer").status); !slices.Equal(statuses, []int{200, 200, 403, 200}) {
				t.Errorf("statuses %v", statuses)
			}
		})
	})
}

// The faults of the other sides are played here too.
func TestGoogleFaults(t *testing.T) {
	s := New(Config{Seed: 3, People: 250, Groups: 2})
	e, transport := s.InProcess()
	c := callGoogle(t, s.google)
	if e.GoogleAdmin != DefaultGoogleAdmin || transport == nil || !strings.Contains(GoogleKeyFile(e.GoogleURL), e.GoogleURL+"/token") {
		t.Errorf("endpoints %+v", e)
	}
	first := c.get(discovered + "/users?customer=my_customer")
	second := discovered + "/users?customer=my_customer&pageToken=" + first.object["nextPageToken"].(string)
	tests := map[string]struct {
		fault Fault
		holds func(g got) bool
	}{
		"refusal": {Refusal(403), func(g got) bool { return g.status == 403 && strings.Contains(g.text, `"reason":"forbidden"`) }},
		"quota": {TooMany("3"), func(g got) bool {
			return g.status == 429 && strings.Contains(g.text, "userRateLimitExceeded") && g.header.Get("Retry-After") == "3"
		}},
		"null element": {NullElement(), func(g got) bool { return slices.Contains(listIn(g, "users"), nil) }},
		"empty page": {EmptyPage(), func(g got) bool {
			return g.object["users"] != nil && len(listIn(g, "users")) == 0 && g.object["nextPageToken"] != nil
		}},
		"no list key":   {NoListKey(), func(g got) bool { _, there := g.object["users"]; return !there && g.object["kind"] != nil }},
		"repeated page": {RepeatPage(), func(g got) bool { return slices.Equal(idsOf(listIn(g, "users")), idsOf(listIn(first, "users"))) }},
		"repeated link": {RepeatLink(), func(g got) bool { return g.object["nextPageToken"] == first.object["nextPageToken"] }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s.Faults.Clear()
			s.Faults.Add(Rule{Side: SideGoogle, Fault: tc.fault})
			if g := c.get(second); !tc.holds(g) {
				t.Errorf("%d %.300s", g.status, g.text)
			}
		})
	}
}

// googleContract is what readers of the Directory API rely on, in the form of Google's own description but stricter:
// that one marks nothing as required.
const googleContract = `{
"resources": {
 "users": {"methods": {
  "list": {"path": "admin/directory/v1/users", "response": {"$ref": "Users"}}, "get": {"path": "admin/directory/v1/users/{userKey}", "response": {"$ref": "User"}}}},
 "groups": {"methods": {
  "list": {"path": "admin/directory/v1/groups", "response": {"$ref": "Groups"}}, "get": {"path": "admin/directory/v1/groups/{groupKey}", "response": {"$ref": "Group"}}}},
 "members": {"methods": {
  "list": {"path": "admin/directory/v1/groups/{groupKey}/members", "response": {"$ref": "Members"}},
  "hasMember": {"path": "admin/directory/v1/groups/{groupKey}/hasMember/{memberKey}", "response": {"$ref": "MembersHasMember"}}}},
 "orgunits": {"methods": {"list": {"path": "admin/directory/v1/customer/{customerId}/orgunits", "response": {"$ref": "OrgUnits"}}}}
},
"schemas": {
 "Users": {"required": ["kind"], "properties": {"kind": {"type": "string"}, "etag": {"type": "string"}, "nextPageToken": {"type": "string"}, "users": {"type": "array", "items": {"$ref": "User"}}}},
 "User": {"required": ["kind", "id", "primaryEmail", "name", "suspended", "archived", "isAdmin", "customerId", "orgUnitPath", "emails"], "properties": {
  "kind": {"type": "string"}, "id": {"type": "string"}, "etag": {"type": "string"}, "primaryEmail": {"type": "string"}, "name": {"$ref": "UserName"},
  "isAdmin": {"type": "boolean"}, "isDelegatedAdmin": {"type": "boolean"}, "creationTime": {"type": "string", "format": "date-time"}, "suspended": {"type": "boolean"},
  "suspensionReason": {"type": "string"}, "archived": {"type": "boolean"}, "deletionTime": {"type": "string", "format": "date-time"}, "emails": {"type": "any"},
  "externalIds": {"type": "any"}, "organizations": {"type": "any"}, "phones": {"type": "any"}, "customerId": {"type": "string"}, "orgUnitPath": {"type": "string"},
  "customSchemas": {"type": "object"}}},
 "UserName": {"required": ["givenName", "familyName", "fullName"], "properties": {"givenName": {"type": "string"}, "familyName": {"type": "string"}, "fullName": {"type": "string"}, "displayName": {"type": "string"}}},
 "Groups": {"required": ["kind"], "properties": {"kind": {"type": "string"}, "etag": {"type": "string"}, "nextPageToken": {"type": "string"}, "groups": {"type": "array", "items": {"$ref": "Group"}}}},
 "Group": {"required": ["kind", "id", "email", "name", "directMembersCount"], "properties": {"kind": {"type": "string"}, "id": {"type": "string"}, "etag": {"type": "string"},
  "email": {"type": "string"}, "name": {"type": "string"}, "directMembersCount": {"type": "string", "format": "int64"}, "description": {"type": "string"}, "adminCreated": {"type": "boolean"}}},
 "Members": {"required": ["kind"], "properties": {"kind": {"type": "string"}, "etag": {"type": "string"}, "nextPageToken": {"type": "string"}, "members": {"type": "array", "items": {"$ref": "Member"}}}},
 "Member": {"required": ["kind", "type", "role"], "properties": {"kind": {"type": "string"}, "id": {"type": "string"}, "email": {"type": "string"}, "role": {"type": "string"}, "type": {"type": "string"}, "status": {"type": "string"}}},
 "MembersHasMember": {"required": ["isMember"], "properties": {"isMember": {"type": "boolean"}}},
 "OrgUnits": {"required": ["kind"], "properties": {"kind": {"type": "string"}, "etag": {"type": "string"}, "organizationUnits": {"type": "array", "items": {"$ref": "OrgUnit"}}}},
 "OrgUnit": {"required": ["orgUnitPath", "name"], "properties": {"kind": {"type": "string"}, "name": {"type": "string"}, "orgUnitPath": {"type": "string"}, "orgUnitId": {"type": "string"}, "parentOrgUnitPath": {"type": "string"}}}
}}`

// TestGoogleAnswersFitTheDescription holds the fake against the contract above and, when the environment variable
// GOOGLE_DISCOVERY names a file, against that file too: the discovery document of the Admin SDK's directory_v1, which
// is Google's and therefore not part of this repository.
func TestGoogleAnswersFitTheDescription(t *testing.T) {
	documents := map[string][]byte{"contract": []byte(googleContract)}
	if file := os.Getenv("GOOGLE_DISCOVERY"); file != "" {
		documents["GOOGLE_DISCOVERY"] = must[[]byte](t)(os.ReadFile(file))
	}
	company := NewCompany(Config{Seed: 4})
	company.NextDay()
	left := company.People()[9].Login
	if err := firstError(company.Leave(left), company.Delete(left)); err != nil {
		t.Fatal(err)
	}
	a, b := company.Groups()[0], company.Groups()[1]
	c := callGoogle(t, NewGoogle(company, GoogleOptions{Subgroups: map[string][]string{a.Name: {b.Name, "partners"}}, Whole: []string{a.Name}, Strangers: true}))
	person := company.People()[0].ID
	calls := map[string][]string{ // by resource and method
		"users list":        {"/users?customer=my_customer", "/users?customer=my_customer&projection=custom&customFieldMask=Staff", "/users?customer=my_customer&showDeleted=true"},
		"users get":         {"/users/" + person},
		"groups list":       {"/groups?customer=my_customer"},
		"groups get":        {"/groups/" + a.ID},
		"members list":      {"/groups/" + a.ID + "/members"},
		"members hasMember": {"/groups/" + a.ID + "/hasMember/" + person},
		"orgunits list":     {"/customer/my_customer/orgunits", "/customer/my_customer/orgunits?type=all"},
	}
	for name, text := range documents {
		t.Run(name, func(t *testing.T) {
			d := parseDiscovery(t, text)
			for call, paths := range calls {
				for _, path := range paths {
					g := c.get(discovered + path)
					if g.status != 200 || len(g.object) == 0 {
						t.Errorf("%s: %d %s", path, g.status, g.text)
					}
					for _, problem := range d.check(d.response(t, call, discovered+path), g.object, call) {
						t.Error(problem)
					}
				}
			}
		})
	}
}

// parseDiscovery reads a discovery document as the description of the API that the schema walk knows: its references
// are names only, "any" is anything, and an object without properties too.
func parseDiscovery(t *testing.T, text []byte) discovery {
	t.Helper()
	var d node
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return discovery{document(rewritten(d).(node))}
}

type discovery struct{ document }

func rewritten(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = rewritten(v[i])
		}
	case node:
		if name, ok := v["$ref"].(string); ok {
			return node{"$ref": "#/schemas/" + name}
		}
		_, typed := v["type"].(string)
		if _, object := v["properties"].(node); object && !typed {
			v["type"] = "object"
		}
		for key := range v {
			v[key] = rewritten(v[key])
		}
	}
	return v
}

// response is the schema of what a method answers, whose path must be that of the call.
func (d discovery) response(t *testing.T, call, path string) node {
	t.Helper()
	resource, method, _ := strings.Cut(call, " ")
	m := d.document["resources"].(node)[resource].(node)["methods"].(node)[method].(node)
	path, _, _ = strings.Cut(path, "?")
	want := strings.Split("/"+m["path"].(string), "/")
	got := strings.Split(path, "/")
	if !slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") }) {
		t.Errorf("%s: %s is not its path %s", call, path, m["path"])
	}
	return m["response"].(node)
}
