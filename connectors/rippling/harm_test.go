package rippling

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// What the workers name and the listings lack is missing, not empty: Fetch, Lookup and Members alike conclude nothing.
func TestUnitsThatAreNamedAndNotListed(t *testing.T) {
	worker := func(more object) object {
		w := object{"id": "w1", "user_id": "u1", "status": "ACTIVE", "teams_id": []string{"t1"}}
		for name, value := range more {
			w[name] = value
		}
		return w
	}
	ops := object{"id": "t1", "name": "Ops"}
	tests := map[string]struct {
		worker object
		teams  object
		want   string
	}{
		"a team":                 {worker(object{"teams_id": []string{"t1", "t2"}}), results(ops), "in team t2, which is not listed"},
		"the team above":         {worker(nil), results(object{"id": "t1", "name": "Ops", "parent_id": "t0"}), "t1 stands below t0, which is not listed"},
		"no team of anybody":     {worker(object{"teams_id": nil}), results(ops), "no worker says in which teams they are"},
		"all teams but the link": {worker(object{"teams_id": []string{"t2"}}), results(ops), "in team t2, which is not listed"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := staffed(results(object{"id": "u1", "active": true}), results(tc.worker))
			server.answers["/teams"] = tc.teams
			server.answers["/users/u1"] = object{"id": "u1", "active": true}
			o := options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:t1"}})
			o.Nested = true
			c := connect(t, o)
			if snap, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v, %v", snap, err)
			}
			if found, err := c.Lookup(t.Context(), "u1"); err == nil {
				t.Errorf("looked up as %+v", found)
			}
			if members, known, err := c.Members(t.Context(), "t2"); err == nil {
				t.Errorf("members %v, known %t", members, known)
			}
		})
	}
}

// A team of somebody whose employment is over may be gone.
func TestATeamOfThePast(t *testing.T) {
	server := staffed(results(object{"id": "u1", "active": false}), results(object{"id": "w1", "user_id": "u1", "status": "TERMINATED", "teams_id": []string{"t9"}}))
	if _, err := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")})).Fetch(t.Context()); err != nil {
		t.Error(err)
	}
}

// That nothing leads to Rippling, and that it refuses the token, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	rippling := func() *sim.Rippling {
		return sim.NewRippling(sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1}), sim.RipplingOptions{})
	}
	connectortest.RunTrouble(t, func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
		o := options(nil, everybody)
		o.Transport = transport
		return connect(tb, o)
	}, map[string]func(testing.TB) connectors.Connector{
		"a wrong token": func(tb testing.TB) connectors.Connector {
			o := options(rippling(), everybody)
			o.APIToken = func() string { return connectortest.Canary }
			return connect(tb, o)
		},
		"a hidden field": func(tb testing.TB) connectors.Connector {
			server := staffed(results(object{"id": "u1", "active": true}), results())
			server.answers["/users"] = object{"results": []object{}, "__meta": object{"redacted_fields": []object{{"name": "emails"}}}}
			return connect(tb, options(server, everybody))
		},
	})
}
