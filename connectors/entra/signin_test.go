//go:build !noentra

package entra

import (
	"net/http"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// That nothing leads to the authority, and that it refuses the app, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	connectTo := func(tb testing.TB, o Options) connectors.Connector {
		c, err := New(o)
		if err != nil {
			tb.Fatal(err)
		}
		return c
	}
	server := sim.NewGraph(company(), sim.GraphOptions{})
	connectortest.RunTrouble(t, func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
		o := simOptions(server, everybody)
		o.Transport = transport
		return connectTo(tb, o)
	}, map[string]func(testing.TB) connectors.Connector{
		"a wrong secret": func(tb testing.TB) connectors.Connector {
			o := simOptions(server, everybody)
			o.ClientSecret, o.Transport = func() string { return connectortest.Canary }, connectortest.Transport(server)
			return connectTo(tb, o)
		},
	})
}
