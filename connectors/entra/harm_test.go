//go:build !noentra

package entra

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// The store is bound to the tenant that Tenant names, so nobody else's directory may be read under that name: the
// environment's default credentials can belong to another tenant, and a managed identity always is in its own.
func TestTheTokenIsForTheTenant(t *testing.T) {
	const other = "11111111-2222-3333-4444-555555555555"
	t.Setenv("AZURE_TENANT_ID", other)
	t.Setenv("AZURE_CLIENT_ID", sim.DefaultClientID)
	t.Setenv("AZURE_CLIENT_SECRET", sim.DefaultClientSecret)
	// Another tenant, with its own people.
	company := founded(t, []string{"eve"}, nil)
	elsewhere := sim.NewGraph(company, sim.GraphOptions{TenantID: other})
	o := simOptions(elsewhere, everybody)
	o.ClientID, o.ClientSecret, o.Identity = "", nil, IdentityDefault
	c := behind(t, o, elsewhere)
	snap, err := c.Fetch(t.Context())
	if err == nil {
		t.Errorf("%s holds %d people of tenant %s", c.Tenant(), len(snap.Users), other)
	}
}

// An object of the recycle bin without the time of its deletion is no tombstone.
func TestATombstoneSaysWhen(t *testing.T) {
	const id = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"
	server := sim.NewGraph(sim.NewCompany(sim.Config{People: -1, Groups: -1}), sim.GraphOptions{})
	for name, body := range map[string]string{
		"no time": `{"@odata.type":"#microsoft.graph.user","id":"` + id + `"}`,
		"null":    `{"@odata.type":"#microsoft.graph.user","id":"` + id + `","deletedDateTime":null}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := behind(t, simOptions(server, everybody), inPlace(server, "/v1.0/directory/", reply(body)))
			if got, err := c.Lookup(t.Context(), id); err == nil && got.Deleted {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What a listing that was begun again held before does not make the second reading of a hidden group an empty one.
func TestARestartedListingOfAHiddenGroup(t *testing.T) {
	company := founded(t, []string{"ann"}, map[string][]string{"team": {"ann"}})
	team, _ := company.GroupByName("team")
	server := sim.NewGraph(company, sim.GraphOptions{Hidden: []string{"team"}})
	path := "/v1.0/groups/" + sim.GraphID(team.ID) + "/members"
	var asked atomic.Int64
	h := inPlace(server, path, func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1:
			reply(fmt.Sprintf(`{"value":[{"@odata.type":"#microsoft.graph.device","id":"d1"}],"@odata.nextLink":"https://graph.example%s?$skiptoken=2"}`, path))(w, r)
		case 2:
			refuse(400, codeExpiredPage, "Content-Type", "application/json")(w, r)
		default:
			server.ServeHTTP(w, r)
		}
	})
	c := behind(t, simOptions(server, everybody), h)
	if got, known, err := c.Members(t.Context(), groupID(team)); err == nil {
		t.Errorf("%v, %v, %v", got, known, err)
	}
}

// A tenant has somebody: whoever made it.
func TestNobodyAtAllIsNoTenant(t *testing.T) {
	server := sim.NewGraph(sim.NewCompany(sim.Config{People: 3}), sim.GraphOptions{})
	c := behind(t, simOptions(server, everybody), inPlace(server, "/v1.0/users", reply(`{"value":[]}`)))
	if snap, err := c.Fetch(t.Context()); err == nil {
		t.Errorf("%d people and no error", len(snap.Users))
	}
}

// Ids are the same in every letter case and form that New accepts.
func TestIDsInEveryLetterCase(t *testing.T) {
	company := founded(t, []string{"ann"}, map[string][]string{"team": {"ann"}})
	if err := company.Assign("ann@acme.example"); err != nil {
		t.Fatal(err)
	}
	team, _ := company.GroupByName("team")
	server := sim.NewGraph(company, sim.GraphOptions{})
	upper := strings.ToUpper(sim.GraphID(team.ID))
	for name, tc := range map[string]struct {
		q   connectors.Query
		app func(string) string
	}{
		"app in upper case":         {connectors.Query{Mode: connectors.ScopeAssigned}, strings.ToUpper},
		"app in braces":             {connectors.Query{Mode: connectors.ScopeAssigned}, func(s string) string { return "{" + s + "}" }},
		"scope group in upper case": {connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:" + upper}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := simOptions(server, tc.q)
			if tc.app != nil {
				o.AppID = tc.app(o.AppID)
			}
			snap, err := behind(t, o, server).Fetch(t.Context())
			if err != nil || len(snap.Users) != 1 {
				t.Errorf("%d users, %v", len(snap.Users), err)
			}
		})
	}
	for name, q := range map[string]connectors.Query{
		"pushed in upper case": {Mode: connectors.ScopeAll, Push: patterns(t, "id:"+upper)}, // what is pushed is compared outside too
		"pushed by no GUID":    {Mode: connectors.ScopeAll, Push: patterns(t, "id:team")},
		"scope of no GUID":     {Mode: connectors.ScopeGroups, Groups: []string{"id:team"}},
	} {
		if _, err := New(simOptions(server, q)); err == nil || !strings.Contains(err.Error(), "Object ID") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whether an account is enabled is true, false, or an error.
func TestAccountEnabledOfAnotherType(t *testing.T) {
	for _, value := range []string{`"false"`, `"true"`, `0`, `1`, `{}`, `[]`, `null`} {
		person := strings.Replace(ada, `"accountEnabled":true`, `"accountEnabled":`+value, 1)
		server := sim.NewGraph(sim.NewCompany(sim.Config{People: 1}), sim.GraphOptions{})
		c := behind(t, simOptions(server, everybody), inPlace(server, "/v1.0/users", reply(`{"value":[`+person+`]}`)))
		if snap, err := c.Fetch(t.Context()); err == nil {
			t.Errorf("%s: %+v", value, snap.Users)
		}
	}
}

// A lookup that shares what another one asks for is ended by its own context and not by the other's.
func TestSharedAssignmentsBelongToNobody(t *testing.T) {
	company := founded(t, []string{"ann"}, nil)
	if err := company.Assign("ann@acme.example"); err != nil {
		t.Fatal(err)
	}
	server := sim.NewGraph(company, sim.GraphOptions{})
	id := connectors.UserID(sim.GraphID(company.People()[0].ID))
	synctest.Test(t, func(t *testing.T) {
		c := behind(t, simOptions(server, connectors.Query{Mode: connectors.ScopeAssigned}), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "appRoleAssignedTo") {
				select {
				case <-time.After(10 * time.Second):
				case <-r.Context().Done():
					return
				}
			}
			server.ServeHTTP(w, r)
		}))
		first, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		go c.Lookup(first, id)
		synctest.Wait()
		if found, err := c.Lookup(t.Context(), id); err != nil || !found.User.Assigned {
			t.Errorf("ended by the other's context: %v", err)
		}
		go c.Lookup(t.Context(), id)
		time.Sleep(2 * time.Minute)
		go c.Lookup(t.Context(), id)
		synctest.Wait()
		third, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		start := time.Now()
		c.Lookup(third, id)
		if waited := time.Since(start); waited > time.Second {
			t.Errorf("waited %s, want the second of its own context", waited)
		}
		time.Sleep(time.Minute)
	})
}

// A group without a name fails only the read that wants it.
func TestAGroupWithoutAName(t *testing.T) {
	const id = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0"
	server := sim.NewGraph(founded(t, []string{"ann"}, nil), sim.GraphOptions{})
	list := inPlace(server, "/v1.0/groups", reply(`{"value":[{"id":"`+id+`","displayName":null}]}`))
	for push, damaged := range map[string]bool{"none": false, "id:" + id: true} {
		q := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, push, "team*")}
		if _, err := behind(t, simOptions(server, q), list).Fetch(t.Context()); (err != nil) != damaged {
			t.Errorf("%s: %v", push, err)
		}
	}
}
