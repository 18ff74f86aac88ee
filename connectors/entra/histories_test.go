//go:build !noentra

package entra

import (
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/lab"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// TestHistories plays the lab's histories at companies with Entra. The lab's own tests leave them out, since the Graph SDK takes
// minutes to compile.
func TestHistories(t *testing.T) {
	entra := lab.Directory{
		Name: "entra", Side: sim.SideGraph, Modes: []connectors.ScopeMode{connectors.ScopeAssigned, connectors.ScopeGroups},
		ID: sim.GraphID, Off: []sim.Status{sim.StatusSuspended, sim.StatusDeprovisioned, sim.StatusStaged},
		Serve: func(c *sim.Company, rows int) (http.Handler, func(*sim.Company) http.Handler) {
			s := sim.NewGraph(c, sim.GraphOptions{PageSize: rows})
			return s, func(c *sim.Company) http.Handler { return s.Replica(c) }
		},
		Connect: func(q connectors.Query, company *sim.Company, transport http.RoundTripper) (lab.Connector, error) {
			o := simOptions(sim.NewGraph(company, sim.GraphOptions{}), q)
			o.Transport = transport
			return New(o)
		},
	}
	lab.Campaign{Directories: []lab.Directory{entra}, Histories: 200, First: 1}.Run(t)
}
