//go:build !noentra

package entra

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simOptions are those for a simulated tenant, without a transport.
func simOptions(server *sim.Graph, q connectors.Query) Options {
	return Options{
		TenantID: sim.DefaultTenantID, ClientID: sim.DefaultClientID, ClientSecret: func() string { return sim.DefaultClientSecret },
		GraphURL: "https://graph.example/v1.0", AuthorityURL: "https://login.example", AppID: server.AppClientID(), Query: q,
	}
}

// simulated makes a connector to a simulated tenant, in process.
func simulated(tb testing.TB, server *sim.Graph, q connectors.Query) *Connector {
	tb.Helper()
	return behind(tb, simOptions(server, q), server)
}

// behind makes a connector whose requests h answers.
func behind(tb testing.TB, o Options, h http.Handler) *Connector {
	tb.Helper()
	o.Transport = sim.Transport(h)
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var patterns = connectortest.Patterns

var everybody = connectors.Query{Mode: connectors.ScopeAll}
