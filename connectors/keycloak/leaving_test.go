package keycloak

import (
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile/reconciletest"
)

func TestLeaving(t *testing.T) {
	holders := "/admin/realms/acme/clients/"
	reconciletest.WalkLeaving(t, reconciletest.Directory{
		New: func(t testing.TB, _ *sim.Sim, ends sim.Endpoints, transport http.RoundTripper, q connectors.Query) connectors.Connector {
			return connect(t, Options{
				URL: ends.KeycloakURL, Realm: ends.KeycloakRealm, ClientID: ends.KeycloakClient,
				ClientSecret: func() string { return ends.KeycloakSecret }, Client: sim.KeycloakApp, Roles: []string{sim.KeycloakRole},
				Query: q, Transport: transport,
			})
		},
		Mode:     connectors.ScopeAssigned,
		Unassign: func(c *sim.Company, login string) error { return c.Unassign(login) },
		CutShort: reconciletest.ListFault(sim.SideKeycloak, holders, sim.TruncatedJSON()),
		Empty:    reconciletest.ListFault(sim.SideKeycloak, holders, sim.Body("")),
	})
}
