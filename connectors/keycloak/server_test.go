//go:build keycloak

package keycloak

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A server is a real Keycloak, spoken to as its administrator.
type server struct{ url string }

// start finds the server that .ci/keycloak has started.
func start(t *testing.T) server {
	t.Helper()
	address := os.Getenv("KEYCLOAK_TEST_URL")
	if address == "" {
		t.Fatal("KEYCLOAK_TEST_URL is not set; run make test-keycloak")
	}
	return server{address}
}

// call sends a request as the administrator and returns the answer's body.
func (s server) call(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	form := url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {"admin"}, "password": {"admin"}}
	signIn, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/realms/master/protocol/openid-connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	signIn.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var token struct {
		Text string `json:"access_token"`
	}
	if err := json.Unmarshal(send(t, signIn), &token); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/admin/realms"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token.Text)
	return send(t, req)
}

func send(t *testing.T, req *http.Request) []byte {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %.500s %v", req.Method, req.URL.Path, resp.Status, body, err)
	}
	return body
}

type object = map[string]any

// found founds the company as a realm: its people and groups with the ids that the simulator gives them, the client of the
// app, and clients that may read all, half, and nothing.
func (s server) found(t *testing.T, c *sim.Company, parents map[string]string) {
	t.Helper()
	realm := object{"realm": "acme", "enabled": true, "groups": groupTree(c, parents, ""),
		"roles": object{"client": object{sim.KeycloakApp: []any{object{"name": sim.KeycloakRole}}}}}
	clients := []any{object{"id": sim.KeycloakID(c.AppID()), "clientId": sim.KeycloakApp}}
	var users []any
	for id, rights := range map[string][]string{sim.DefaultKeycloakClient: {"view-users", "view-clients"}, "half": {"query-users", "query-groups"}, "off": nil} {
		clients = append(clients, object{"clientId": id, "secret": sim.DefaultKeycloakSecret, "serviceAccountsEnabled": id != "off",
			"standardFlowEnabled": false, "publicClient": false})
		if id == "off" {
			continue
		}
		users = append(users, object{"username": "service-account-" + id, "enabled": true, "serviceAccountClientId": id,
			"groups": []string{pathOf(c.Groups()[0].Name, parents)}, "clientRoles": object{"realm-management": rights, sim.KeycloakApp: []string{sim.KeycloakRole}}})
	}
	for _, p := range c.People() {
		u := object{"id": sim.KeycloakID(p.ID), "username": p.Login, "email": p.Email, "firstName": p.FirstName, "lastName": p.LastName,
			"enabled":    !slices.Contains([]sim.Status{sim.StatusStaged, sim.StatusSuspended, sim.StatusDeprovisioned}, p.Status),
			"attributes": object{"department": p.Department, "title": p.Title, "employeeNumber": p.EmployeeNumber, "nickname": p.NickName, "phoneNumber": p.MobilePhone}}
		if p.Direct {
			u["clientRoles"] = object{sim.KeycloakApp: []string{sim.KeycloakRole}}
		}
		var groups []string
		for _, g := range c.Groups() {
			if slices.Contains(g.Members, p.Login) {
				groups = append(groups, pathOf(g.Name, parents))
			}
		}
		u["groups"] = groups
		users = append(users, u)
	}
	realm["clients"], realm["users"] = clients, users
	s.call(t, http.MethodPost, "", realm)

	// Attributes are shown only if the realm's user profile declares them or lets others be.
	var profile object
	if err := json.Unmarshal(s.call(t, http.MethodGet, "/acme/users/profile", nil), &profile); err != nil {
		t.Fatal(err)
	}
	profile["unmanagedAttributePolicy"] = "ENABLED"
	s.call(t, http.MethodPut, "/acme/users/profile", profile)
}

func groupTree(c *sim.Company, parents map[string]string, parent string) []any {
	var out []any
	for _, g := range c.Groups() {
		if parents[g.Name] != parent {
			continue
		}
		rep := object{"id": sim.KeycloakID(g.ID), "name": g.Name, "subGroups": groupTree(c, parents, g.Name)}
		if g.Assigned {
			rep["clientRoles"] = object{sim.KeycloakApp: []string{sim.KeycloakRole}}
		}
		out = append(out, rep)
	}
	return out
}

func pathOf(name string, parents map[string]string) string {
	if parent := parents[name]; parent != "" {
		return pathOf(parent, parents) + "/" + name
	}
	return "/" + name
}

// edit changes a person as an administrator does in the console.
func (s server) edit(t *testing.T, id string, change func(object)) {
	t.Helper()
	var u object
	path := "/acme/users/" + id
	if err := json.Unmarshal(s.call(t, http.MethodGet, path, nil), &u); err != nil {
		t.Fatal(err)
	}
	change(u)
	s.call(t, http.MethodPut, path, u)
}
