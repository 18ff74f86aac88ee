//go:build !noentra

package entra

import (
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile/reconciletest"
)

func TestLeaving(t *testing.T) {
	reconciletest.WalkLeaving(t, reconciletest.Directory{
		New: func(t testing.TB, _ *sim.Sim, ends sim.Endpoints, transport http.RoundTripper, q connectors.Query) connectors.Connector {
			c, err := New(Options{
				TenantID: ends.TenantID, ClientID: ends.ClientID, ClientSecret: func() string { return ends.ClientSecret }, AppID: ends.AppClientID,
				GraphURL: ends.GraphURL, AuthorityURL: ends.AuthorityURL, Query: q, Transport: transport,
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Mode:       connectors.ScopeAssigned,
		Unassign:   (*sim.Company).Unassign,
		Tombstones: true,
		Listed:     true,
		CutShort:   reconciletest.ListFault(sim.SideGraph, sim.GraphBase+"/users", sim.TruncatedJSON()),
		Empty:      reconciletest.ListFault(sim.SideGraph, sim.GraphBase+"/users", sim.Body("")),
	})
}
