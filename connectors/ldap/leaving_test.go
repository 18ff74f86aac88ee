package ldap

import (
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile/reconciletest"
)

func TestLeaving(t *testing.T) {
	reconciletest.WalkLeaving(t, reconciletest.Directory{
		New: func(t testing.TB, s *sim.Sim, _ sim.Endpoints, _ http.RoundTripper, q connectors.Query) connectors.Connector {
			return connect(t, domain(s.LDAP, q))
		},
		Mode: connectors.ScopeGroups, Groups: []string{"all-hands"},
		Unassign:   func(c *sim.Company, login string) error { return c.RemoveMember("all-hands", login) },
		Tombstones: true,
		Listed:     true,
		CutShort:   func(s *sim.Sim) { s.LDAP.Break(sim.LDAPRule{Match: people, Fault: sim.LDAPCut()}) },
		Empty:      func(s *sim.Sim) { s.LDAP.Break(sim.LDAPRule{Match: people, Fault: sim.LDAPNothing()}) },
	})
}
