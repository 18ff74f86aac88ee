package google

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
				Credentials: func() string { return sim.GoogleKeyFile(ends.GoogleURL) }, Subject: ends.GoogleAdmin, Endpoint: ends.GoogleURL,
				Query: q, Transport: transport,
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Mode: connectors.ScopeGroups, Groups: []string{"all-hands"},
		Unassign:   func(c *sim.Company, login string) error { return c.RemoveMember("all-hands", login) },
		Tombstones: true,
		CutShort:   reconciletest.ListFault(sim.SideGoogle, "/admin/directory/v1/users", sim.TruncatedJSON()),
		Empty:      reconciletest.ListFault(sim.SideGoogle, "/admin/directory/v1/users", sim.Body("")),
	})
}
