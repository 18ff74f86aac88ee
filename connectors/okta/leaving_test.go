package okta

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
			c, err := New(Options{OrgURL: ends.OktaURL, APIToken: func() string { return ends.OktaToken }, AppID: ends.AppID, Query: q, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Mode:     connectors.ScopeAssigned,
		Unassign: (*sim.Company).Unassign,
		CutShort: reconciletest.ListFault(sim.SideOkta, "/api/v1/apps", sim.TruncatedJSON()),
		Empty:    reconciletest.ListFault(sim.SideOkta, "/api/v1/apps", sim.Body("")),
	})
}
