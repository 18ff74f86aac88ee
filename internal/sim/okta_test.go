package sim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// nextOf is the path and query of an answer's next link, or "".
func nextOf(g got) string {
	for _, l := range g.header["Link"] {
		target, rel, _ := strings.Cut(strings.TrimPrefix(l, "<"), ">; rel=")
		if u, err := url.Parse(target); err == nil && rel == `"next"` {
			return u.RequestURI()
		}
	}
	return ""
}

// walk follows the next links to the end and tells the ids and the size of each page.
func walk(t *testing.T, c *caller, path string, between func()) (ids []string, pages []int) {
	t.Helper()
	for path != "" {
		g := c.get(path)
		if g.status != 200 || g.list == nil {
			t.Fatalf("%s: %d %s", path, g.status, g.text)
		}
		ids = append(ids, idsOf(g.list)...)
		pages = append(pages, len(g.list))
		path = nextOf(g)
		between()
	}
	return ids, pages
}

func TestOktaPages(t *testing.T) {
	c := NewCompany(Config{Seed: 1, People: 1203, Groups: 45})
	o := callOkta(t, NewOkta(c, OktaOptions{}))
	app := "/api/v1/apps/" + c.AppID()
	g, _ := c.GroupByName("all-hands")
	assigned, assignedGroups := 0, 0
	for _, p := range c.People() {
		if p.Assigned {
			assigned++
		}
	}
	for _, g := range c.Groups() {
		if g.Assigned {
			assignedGroups++
		}
	}
	tests := map[string]struct {
		path        string
		total, page int
	}{
		"app users by default":     {app + "/users", assigned, 50},
		"app users at most":        {app + "/users?limit=500&expand=user", assigned, 500},
		"app groups by default":    {app + "/groups", assignedGroups, 20},
		"app groups at most":       {app + "/groups?limit=200&expand=group", assignedGroups, 200},
		"groups, Everyone too":     {"/api/v1/groups?limit=10", 46, 10},
		"groups of a type":         {"/api/v1/groups?filter=" + url.QueryEscape(`type eq "OKTA_GROUP"`), 45, 200},
		"groups by name":           {"/api/v1/groups?q=ONCALL-p", 2, 200},
		"members by default":       {"/api/v1/groups/" + g.ID + "/users", 1203, 1000},
		"members, more than there": {"/api/v1/groups/" + g.ID + "/users?limit=5000", 1203, 1000},
		"users":                    {"/api/v1/users", 1203, 200},
		"users at most":            {"/api/v1/users?limit=500", 1203, 200},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			ids, pages := walk(t, o, tc.path, func() {})
			if distinct := len(slices.Compact(slices.Sorted(slices.Values(ids)))); distinct != tc.total || len(ids) != tc.total {
				t.Errorf("%d objects, %d of them different, want %d", len(ids), distinct, tc.total)
			}
			if pages[0] != min(tc.page, tc.total) {
				t.Errorf("pages of %v, want %d first", pages, tc.page)
			}
		})
	}
	for _, path := range []string{
		app + "/users?limit=501", app + "/users?limit=0", app + "/groups?limit=19", app + "/groups?limit=201",
		"/api/v1/users?after=x", "/api/v1/users?limit=x",
	} {
		if g := o.get(path); g.status != 400 || g.object["errorCode"] != "E0000001" {
			t.Errorf("%s: %d %s, want E0000001", path, g.status, g.text)
		}
	}
	t.Run("nobody is passed over while people come and go", func(t *testing.T) {
		before := c.People()
		left := 0
		ids, _ := walk(t, o, "/api/v1/users?limit=100", func() {
			must[Person](t)(c.Join(Person{}))
			if err := c.Leave(before[left].Login); err != nil {
				t.Fatal(err)
			}
			left++
		})
		for _, p := range before {
			if !slices.Contains(ids, p.ID) {
				t.Errorf("%s was passed over", p.Login)
			}
		}
	})
}

func TestOktaWhoIsWhere(t *testing.T) {
	c := NewCompany(Config{Seed: 2, People: 20, Groups: 4})
	g, _ := c.GroupByName("all-hands")
	p := c.People()[3]
	if err := firstError(c.Assign(p.Login), c.Leave(p.Login)); err != nil {
		t.Fatal(err)
	}
	o := callOkta(t, NewOkta(c, OktaOptions{}))
	app := "/api/v1/apps/" + c.AppID()
	has := func(path string) bool {
		ids, _ := walk(t, o, path, func() {})
		return slices.Contains(ids, p.ID)
	}
	filter := url.QueryEscape(`status eq "DEPROVISIONED" or status eq "STAGED"`)
	for path, want := range map[string]bool{
		"/api/v1/users": false, "/api/v1/users?q=" + url.QueryEscape(p.FirstName): false, "/api/v1/users?filter=" + filter: true,
		"/api/v1/users?search=" + filter: true, app + "/users": false, "/api/v1/groups/" + g.ID + "/users": true,
	} {
		if has(path) != want {
			t.Errorf("%s has the leaver: %v, want %v", path, !want, want)
		}
	}
	if got := o.get("/api/v1/users/" + url.PathEscape(strings.ToUpper(p.Login))); got.object["status"] != "DEPROVISIONED" {
		t.Errorf("by login: %d %s", got.status, got.text)
	}
	if got := o.get(app + "/users/" + p.ID); got.status != 404 {
		t.Errorf("the assignment: %d, want 404", got.status)
	}
	if err := c.Delete(p.Login); err != nil {
		t.Fatal(err)
	}
	if got := o.get("/api/v1/users/" + p.ID); got.status != 404 || got.object["errorCode"] != "E0000007" {
		t.Errorf("once deleted: %d %s", got.status, got.text)
	}
	ids, _ := walk(t, o, "/api/v1/users/"+c.People()[0].ID+"/groups", func() {})
	if !slices.Contains(ids, g.ID) {
		t.Errorf("groups of a user: %v, want all-hands %s in it", ids, g.ID)
	}
	if got := o.get("/api/v1/users?filter=" + url.QueryEscape(`profile.shoe eq "9"`)); got.object["errorCode"] != "E0000031" {
		t.Errorf("a filter on an unknown attribute: %s", got.text)
	}
}

// What becomes of somebody shows at once when they are asked for by id.
func TestOktaOnePerson(t *testing.T) {
	tests := map[string]struct {
		happens  func(c *Company, login string) error
		user     any // the status, nil for 404
		assigned bool
		groups   []string // of all-hands, Everyone and SRE; nil for 404
	}{
		"nothing":                              {func(*Company, string) error { return nil }, "ACTIVE", true, []string{"Everyone", "SRE", "all-hands"}},
		"suspended":                            {(*Company).Suspend, "SUSPENDED", true, []string{"Everyone", "SRE", "all-hands"}},
		"taken off the app":                    {(*Company).Unassign, "ACTIVE", false, []string{"Everyone", "SRE", "all-hands"}},
		"taken out of a group":                 {func(c *Company, login string) error { return c.RemoveMember("SRE", login) }, "ACTIVE", true, []string{"Everyone", "all-hands"}},
		"deactivated, a group rule keeps them": {(*Company).Leave, "DEPROVISIONED", false, []string{"all-hands"}},
		"deleted":                              {func(c *Company, login string) error { return firstError(c.Leave(login), c.Delete(login)) }, nil, false, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := NewCompany(Config{Seed: 2, People: 20, Groups: 4})
			p := c.People()[3]
			sre := must[Group](t)(c.CreateGroup(Group{Name: "SRE", Members: []string{p.Login}}))
			if err := firstError(c.Assign(p.Login), tc.happens(c, p.Login)); err != nil {
				t.Fatal(err)
			}
			o := callOkta(t, NewOkta(c, OktaOptions{}))
			notFound := func(g got) bool { return g.status == 404 && g.object["errorCode"] == "E0000007" }

			if g := o.get("/api/v1/users/" + p.ID); g.object["status"] != tc.user || (tc.user == nil) != notFound(g) || tc.user != nil && g.object["id"] != p.ID {
				t.Errorf("the person: %d %s", g.status, g.text)
			}
			assignment := o.get("/api/v1/apps/" + c.AppID() + "/users/" + p.ID)
			if tc.assigned == notFound(assignment) || tc.assigned && (assignment.object["id"] != p.ID || assignment.object["_embedded"] != nil) {
				t.Errorf("the assignment: %d %s", assignment.status, assignment.text)
			}
			groups := o.get("/api/v1/users/" + p.ID + "/groups")
			if (tc.groups == nil) != notFound(groups) {
				t.Errorf("the groups: %d %s", groups.status, groups.text)
			}
			var names []string
			for _, g := range groups.list {
				name := g.(map[string]any)["profile"].(map[string]any)["name"].(string)
				if slices.Contains([]string{"Everyone", "SRE", "all-hands"}, name) {
					names = append(names, name)
				}
			}
			slices.Sort(names)
			if !slices.Equal(names, tc.groups) {
				t.Errorf("in the groups %v, want %v", names, tc.groups)
			}
			members, _ := walk(t, o, "/api/v1/groups/"+sre.ID+"/users", func() {})
			if slices.Contains(members, p.ID) != slices.Contains(tc.groups, "SRE") {
				t.Errorf("the members of SRE: %v", members)
			}
		})
	}
}

func TestOktaRefuses(t *testing.T) {
	c := NewCompany(Config{People: 1, Groups: 1})
	tests := map[string]struct {
		options OktaOptions
		token   string
		method  string
		path    string
		status  int
		code    string
	}{
		"no token":          {OktaOptions{}, "", "GET", "/api/v1/users", 401, "E0000011"},
		"a wrong token":     {OktaOptions{}, "SSWS x", "GET", "/api/v1/users", 401, "E0000011"},
		"an unknown Bearer": {OktaOptions{}, "Bearer x", "GET", "/api/v1/users", 401, "E0000011"},
		"a missing role":    {OktaOptions{Forbidden: []string{"groups"}}, "SSWS " + DefaultOktaToken, "GET", "/api/v1/groups", 403, "E0000006"},
		"an unknown app":    {OktaOptions{}, "SSWS " + DefaultOktaToken, "GET", "/api/v1/apps/x/users", 404, "E0000007"},
		"an unknown group":  {OktaOptions{}, "SSWS " + DefaultOktaToken, "GET", "/api/v1/groups/x/users", 404, "E0000007"},
		"an unknown path":   {OktaOptions{}, "SSWS " + DefaultOktaToken, "GET", "/api/v1/x", 404, "E0000007"},
		"a change":          {OktaOptions{}, "SSWS " + DefaultOktaToken, "POST", "/api/v1/users", 405, "E0000022"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := callOkta(t, NewOkta(c, tc.options))
			o.header.Set("Authorization", tc.token)
			g := o.do(tc.method, tc.path, "")
			if g.status != tc.status || g.object["errorCode"] != tc.code {
				t.Errorf("got %d %s, want %d %s", g.status, g.text, tc.status, tc.code)
			}
			for _, header := range []string{"Date", "X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset"} {
				if g.header.Get(header) == "" {
					t.Errorf("no %s", header)
				}
			}
		})
	}
}

func TestOktaRateLimitOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := callOkta(t, NewOkta(NewCompany(Config{People: 1, Groups: 1}), OktaOptions{RateLimit: 2}))
		want := []int{200, 200, 429}
		for i, status := range want {
			if g := o.get("/api/v1/users"); g.status != status {
				t.Errorf("request %d: %d, want %d", i, g.status, status)
			}
		}
		if g := o.get("/api/v1/groups"); g.status != 200 {
			t.Errorf("another family: %d", g.status)
		}
		<-time.After(time.Minute)
		if g := o.get("/api/v1/users"); g.status != 200 {
			t.Errorf("a minute later: %d", g.status)
		}
	})
}

func TestOktaTokens(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	okta := NewOkta(NewCompany(Config{People: 1, Groups: 1}), OktaOptions{ClientID: "0oaclient", PublicKey: &key.PublicKey})
	good := map[string]any{
		"iss": "0oaclient", "sub": "0oaclient", "aud": "https://acme.okta.example/oauth2/v1/token", "exp": time.Now().Add(time.Minute).Unix(),
	}
	with := func(claim string, value any) map[string]any {
		claims := map[string]any{claim: value}
		for k, v := range good {
			if k != claim {
				claims[k] = v
			}
		}
		return claims
	}
	form := func(assertion string) url.Values {
		return url.Values{
			"grant_type": {"client_credentials"}, "scope": {"okta.users.read"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
	}
	c := &caller{t, okta, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
	for name, claims := range map[string]map[string]any{
		"issuer": with("iss", "x"), "subject": with("sub", "x"), "audience": with("aud", "https://acme.okta.example"),
		"expired": with("exp", time.Now().Add(-time.Minute).Unix()), "too long": with("exp", time.Now().Add(2*time.Hour).Unix()),
	} {
		if g := c.do("POST", "/oauth2/v1/token", form(sign(t, key, claims)).Encode()); g.status != 401 || g.object["error"] != "invalid_client" {
			t.Errorf("%s: %d %s, want invalid_client", name, g.status, g.text)
		}
	}
	if g := c.do("POST", "/oauth2/v1/token", form(sign(t, stranger, good)).Encode()); g.status != 401 {
		t.Errorf("another key: %d %s", g.status, g.text)
	}
	query := form(sign(t, key, good)).Encode()
	for where, ask := range map[string]func() got{
		"body":  func() got { return c.do("POST", "/oauth2/v1/token", query) },
		"query": func() got { return c.do("POST", "/oauth2/v1/token?"+query, "") },
	} {
		token, _ := ask().object["access_token"].(string)
		o := &caller{t, okta, http.Header{"Authorization": {"Bearer " + token}}}
		if users, groups := o.get("/api/v1/users"), o.get("/api/v1/groups"); users.status != 200 || groups.status != 403 {
			t.Errorf("assertion in the %s: users %d, groups %d; want 200 and, outside the scope, 403", where, users.status, groups.status)
		}
		okta.RevokeTokens()
		if g := o.get("/api/v1/users"); g.status != 401 {
			t.Errorf("a revoked token: %d", g.status)
		}
	}
}

// sign makes a JWT with RS256.
func sign(t *testing.T, key *rsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := fmt.Sprintf("%s.%s", encode([]byte(`{"alg":"RS256"}`)), encode(text))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(signature)
}
