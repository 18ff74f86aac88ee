//go:build keycloak

package keycloak

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// TestRealKeycloak holds the connector, and the simulator that the other tests use, to a real server with 500 people.
func TestRealKeycloak(t *testing.T) {
	defer http.DefaultClient.CloseIdleConnections()
	s := start(t)
	company := sim.NewCompany(sim.Config{Seed: 7, People: 500, Groups: 25})
	groups := company.Groups()
	parents := map[string]string{groups[1].Name: groups[0].Name, groups[2].Name: groups[1].Name}
	for _, g := range groups[3:] { // more than the ten that Keycloak lists below a group unless asked for more
		if g.Assigned {
			parents[g.Name] = groups[1].Name
		}
	}
	began := time.Now()
	s.found(t, company, parents)
	t.Logf("the realm of 500 people was founded in %s", time.Since(began).Round(time.Second))

	served := sim.NewKeycloak(company, sim.KeycloakOptions{Parents: parents, ServiceAccounts: true})
	simulated := func(q connectors.Query) Options { return options(served, q) }
	onServer := func(q connectors.Query) Options {
		o := options(nil, q)
		o.URL, o.Transport = s.url, nil
		return o
	}
	t.Run("reads", func(t *testing.T) {
		for name, on := range map[string]func(connectors.Query) Options{"simulated": simulated, "real": onServer} {
			t.Run(name, func(t *testing.T) { testReads(t, company, parents, on) })
		}
	})
	t.Run("answers", func(t *testing.T) { testAnswers(t, company, onServer(assignedQuery), simulated(assignedQuery)) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, onServer) })
	t.Run("a revoked token", func(t *testing.T) { testRevoked(t, s, onServer(everybody)) })
	t.Run("cycles", func(t *testing.T) { testCycles(t, s, company, parents) })
}

var assignedQuery = connectors.Query{Mode: connectors.ScopeAssigned}

// testReads reads in every mode, in one page and in many, and asks again about some people and every group.
func testReads(t *testing.T, company *sim.Company, parents map[string]string, on func(connectors.Query) Options) {
	groups := company.Groups()
	d := dialect(parents)
	path := func(g sim.Group) string { return strings.TrimPrefix(pathOf(g.Name, parents), "/") }
	under := func(g sim.Group, top string) bool { return path(g) == top || strings.HasPrefix(path(g), top+"/") }
	in := func(p sim.Person, which func(sim.Group) bool) bool {
		return slices.ContainsFunc(groups, func(g sim.Group) bool { return which(g) && slices.Contains(g.Members, p.Login) })
	}
	everyone := func(sim.Person) bool { return true }
	every, none := func(sim.Group) bool { return true }, func(sim.Group) bool { return false }
	holds := func(g sim.Group) bool {
		return slices.ContainsFunc(groups, func(up sim.Group) bool { return up.Assigned && under(g, path(up)) })
	}
	scope := path(groups[1])
	tests := map[string]struct {
		query connectors.Query
		want  connectors.Snapshot
	}{
		"all": {connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}, d.Snapshot(t, company, connectors.ScopeAll, everyone, none, every)},
		"groups": {connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{scope}},
			d.Snapshot(t, company, connectors.ScopeGroups, func(p sim.Person) bool { return slices.Contains(groups[1].Members, p.Login) },
				func(g sim.Group) bool { return path(g) == scope }, none)},
		"assigned": {assignedQuery, d.Snapshot(t, company, connectors.ScopeAssigned,
			func(p sim.Person) bool { return p.Direct || in(p, holds) }, none, none)},
	}
	for name, tc := range tests {
		for _, page := range []int{pageSize, 90} {
			t.Run(fmt.Sprintf("%s, pages of %d", name, page), func(t *testing.T) {
				c := connect(t, on(tc.query))
				c.page = page
				began := time.Now()
				got, err := c.Fetch(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d people and %d groups by %d requests in %s", len(got.Users), len(got.Groups), c.Stats().Requests, time.Since(began).Round(time.Millisecond))
				if diff := gocmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("snapshot (-want +got):\n%s", diff)
				}
				if page != pageSize {
					return
				}
				testFinds(t, c, tc.want)
			})
		}
	}
	t.Run("nested groups", func(t *testing.T) {
		o := on(connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{scope}})
		o.Nested = true
		c := connect(t, o)
		got, err := c.Fetch(t.Context())
		want := slices.DeleteFunc(company.People(), func(p sim.Person) bool { return !in(p, func(g sim.Group) bool { return under(g, scope) }) })
		if err != nil || len(got.Users) != len(want) || len(got.Groups) != 1 || len(got.Groups[0].Members) != len(want) {
			t.Fatalf("%d people, want %d, %v", len(got.Users), len(want), err)
		}
		testFinds(t, c, got)
	})
}

// testFinds asks again about every tenth person and every group.
func testFinds(t *testing.T, c *Connector, want connectors.Snapshot) {
	t.Helper()
	for i := 0; i < len(want.Users); i += 10 {
		u := want.Users[i]
		found, err := c.Lookup(t.Context(), u.ID)
		in := slices.ContainsFunc(want.Groups, func(g connectors.Group) bool { return g.Scope && slices.Contains(g.Members, u.ID) })
		if diff := gocmp.Diff(connectors.Found{Known: true, User: u, InScopeGroup: in}, found, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("Lookup: %v (-want +got):\n%s", err, diff)
		}
	}
	for _, g := range want.Groups {
		members, known, err := c.Members(t.Context(), g.ID)
		if err != nil || !known || !slices.Equal(members, g.Members) {
			t.Errorf("Members of %s: %d, want %d, known %v, %v", g.Name, len(members), len(g.Members), known, err)
		}
	}
	const nobody = "00000000-0000-4000-8000-000000000000"
	if found, err := c.Lookup(t.Context(), nobody); err != nil || found.Known {
		t.Errorf("Lookup of nobody: %+v, %v", found, err)
	}
	if _, known, err := c.Members(t.Context(), nobody); err != nil || known {
		t.Errorf("Members of no group: known %v, %v", known, err)
	}
}

// testAnswers holds the simulator's answers to the real ones: whatever the simulator says, Keycloak says too, and as the
// same kind of value; refusals are the same word for word.
func testAnswers(t *testing.T, company *sim.Company, onServer, simulated Options) {
	id := sim.KeycloakID
	direct := slices.IndexFunc(company.People(), func(p sim.Person) bool { return p.Direct && p.MobilePhone != "" })
	person, group, client := company.People()[direct], company.Groups()[1], id(company.AppID())
	for _, path := range []string{
		"/users?first=0&max=2&briefRepresentation=false", "/users?first=0&max=2&briefRepresentation=true", "/users/count", "/users/" + id(person.ID),
		"/users/nobody", "/users/" + id(person.ID) + "/groups?briefRepresentation=true", "/users/nobody/groups",
		"/users/" + id(person.ID) + "/role-mappings/clients/" + client, "/users/" + id(person.ID) + "/role-mappings/clients/nobody",
		"/groups?briefRepresentation=true&populateHierarchy=false", "/groups/" + id(group.ID), "/groups/nobody", "/groups/nobody/members", "/groups/nobody/children",
		"/groups/" + id(group.ID) + "/children?briefRepresentation=true", "/groups/" + id(group.ID) + "/members?briefRepresentation=false&max=1",
		"/clients?clientId=" + sim.KeycloakApp, "/clients?clientId=nobody", "/clients/" + client + "/roles", "/clients/" + client + "/roles/user/users?max=1",
		"/clients/" + client + "/roles/user/groups?briefRepresentation=true", "/clients/" + client + "/roles/nobody/users", "/clients/nobody/roles/user/users",
	} {
		t.Run(path, func(t *testing.T) {
			status, body := ask(t, onServer, path)
			simStatus, simBody := ask(t, simulated, path)
			if status != simStatus {
				t.Fatalf("Keycloak answers %d, the simulator %d", status, simStatus)
			}
			if status != http.StatusOK {
				if diff := gocmp.Diff(body, simBody); diff != "" {
					t.Errorf("refusal (-Keycloak +simulator):\n%s", diff)
				}
				return
			}
			sameShape(t, "", body, simBody)
		})
	}
}

func ask(t *testing.T, o Options, path string) (int, any) {
	t.Helper()
	c := connect(t, o)
	token, err := c.client.auth.token(t.Context(), c.client)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.client.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	a, err := c.client.exchange(req)
	if err != nil {
		t.Fatal(err)
	}
	var body any
	if err := json.Unmarshal(a.Body, &body); err != nil {
		t.Fatal(err)
	}
	return a.Status, body
}

func sameShape(t *testing.T, at string, said, simulated any) {
	t.Helper()
	if r, s := fmt.Sprintf("%T", said), fmt.Sprintf("%T", simulated); r != s {
		t.Errorf("%s: Keycloak says %s, the simulator %s", at, r, s)
		return
	}
	switch s := simulated.(type) {
	case map[string]any:
		for key, value := range s {
			if there, ok := said.(map[string]any)[key]; ok {
				sameShape(t, at+"/"+key, there, value)
			} else {
				t.Errorf("%s: only the simulator says %s", at, key)
			}
		}
	case []any:
		if r := said.([]any); len(r) > 0 && len(s) > 0 {
			sameShape(t, at+"[0]", r[0], s[0])
		} else if len(r) != len(s) {
			t.Errorf("%s: Keycloak lists %d, the simulator %d", at, len(r), len(s))
		}
	}
}

func testRefusals(t *testing.T, on func(connectors.Query) Options) {
	for name, tc := range map[string]struct {
		change func(*Options)
		want   []string
	}{
		"wrong secret":       {func(o *Options) { o.ClientSecret = func() string { return "x" } }, []string{"401 unauthorized_client", "secret is wrong"}},
		"wrong client":       {func(o *Options) { o.ClientID = "nobody" }, []string{"401 invalid_client", "there is no client nobody"}},
		"wrong realm":        {func(o *Options) { o.Realm = "nowhere" }, []string{"404 Realm does not exist", "there is no realm nowhere"}},
		"no service account": {func(o *Options) { o.ClientID = "off" }, []string{"401 unauthorized_client", "Service accounts roles"}},
		"sees a part":        {func(o *Options) { o.ClientID = "half" }, []string{"view-users", "Assign role"}},
		"an old address":     {func(o *Options) { o.URL += "/auth" }, []string{"404 ", "does not look like Keycloak"}},
		"no such client":     {func(o *Options) { o.Client = "nobody" }, []string{"has no client nobody"}},
		"no such role":       {func(o *Options) { o.Roles = []string{"nobody"} }, []string{"has no role nobody"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := on(assignedQuery)
			tc.change(&o)
			_, err := connect(t, o).Fetch(t.Context())
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not contain %q", err, part)
				}
			}
		})
	}
}

// testRevoked revokes every token in mid-read: the reading goes on with another one.
func testRevoked(t *testing.T, s server, o Options) {
	c := connect(t, o)
	if _, err := c.countUsers(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-time.After(1100 * time.Millisecond) // Keycloak counts in seconds
	s.call(t, http.MethodPut, "/acme", object{"notBefore": time.Now().Unix()})
	before := c.Stats().Requests
	if _, err := c.countUsers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sent := c.Stats().Requests - before; sent != 3 {
		t.Errorf("%d requests, want the refused one, that for a token and the count", sent)
	}
}

// testCycles syncs the realm into a simulated Rootly with the command itself: everything, nothing, and then the work of a
// day.
func testCycles(t *testing.T, s server, company *sim.Company, parents map[string]string) {
	rootly := sim.New(sim.Config{Seed: 7, People: -1, Groups: -1, SCIM: sim.RootlyLike()})
	ends, err := rootly.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := rootly.Close(); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(t.TempDir(), "rootly-idp-sync.yaml")
	text := fmt.Sprintf(`source:
  keycloak: {url: %q, realm: acme, client_id: %s, client_secret: %s, client: %s}
scope: {mode: assigned}
groups: {push: ["*"]}
target: {url: %q, token: %s, max_rate: 0}
guard: {memberships: {floor: 100}}
`, s.url, sim.DefaultKeycloakClient, sim.DefaultKeycloakSecret, sim.KeycloakApp, ends.SCIMURL, ends.SCIMToken)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	openers := map[string]app.Opener{vendor: func(cfg *config.Config, o app.OpenOptions) (connectors.Connector, error) {
		k := cfg.Source.Keycloak
		return New(Options{URL: k.URL, Realm: k.Realm, ClientID: k.ClientID, ClientSecret: k.ClientSecret.Reveal, Client: k.Client, Query: o.Query, Log: o.Log})
	}}
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := app.Main(t.Context(), append(args, "--config", path), app.Stdio{In: strings.NewReader(""), Out: &out, Err: &errs}, openers); code != want {
			t.Fatalf("%v: exit code %d, want %d\n%.3000s\n%.3000s", args, code, want, &out, &errs)
		}
		io.WriteString(t.Output(), strings.Join(args, " ")+": "+lastLine(out.String())+"\n")
		return out.String()
	}
	run(0, "doctor")
	run(0, "sync")
	run(0, "plan", "--detailed-exitcode")

	var people []sim.Person // assigned by name alone, active, in Rootly
	for _, p := range company.People() {
		byGroup := slices.ContainsFunc(company.Groups(), func(g sim.Group) bool {
			return (g.Assigned || parents[g.Name] != "") && slices.Contains(g.Members, p.Login)
		})
		if u, ok := rootly.SCIM.User(p.Login); p.Direct && !byGroup && ok && u.Active {
			people = append(people, p)
		}
	}
	disabled, deleted, unassigned, renamed := people[0], people[1], people[2], people[3]
	id := func(p sim.Person) string { return sim.KeycloakID(p.ID) }
	s.edit(t, id(disabled), func(u object) { u["enabled"] = false })
	s.call(t, http.MethodDelete, "/acme/users/"+id(deleted), nil)
	var roles []any
	mappings := "/acme/users/" + id(unassigned) + "/role-mappings/clients/" + sim.KeycloakID(company.AppID())
	if err := json.Unmarshal(s.call(t, http.MethodGet, mappings, nil), &roles); err != nil {
		t.Fatal(err)
	}
	s.call(t, http.MethodDelete, mappings, roles)
	s.edit(t, id(renamed), func(u object) { u["lastName"] = "Renamed" })

	run(0, "sync") // who is merely unknown is missed a second time before they go
	run(0, "sync")
	run(0, "plan", "--detailed-exitcode")
	for who, p := range map[string]sim.Person{"disabled": disabled, "deleted": deleted, "unassigned": unassigned, "renamed": renamed} {
		u, ok := rootly.SCIM.User(p.Login)
		if !ok || u.Active != (who == "renamed") {
			t.Errorf("%s: there %v, active %v", who, ok, u.Active)
		}
		if who == "renamed" && !strings.HasSuffix(u.DisplayName, " Renamed") {
			t.Errorf("the renamed person is called %q", u.DisplayName)
		}
	}
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
