package main

import (
	"log/slog"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/scim"
)

// scimRate is the most requests a second to a directory that is a SCIM server: what Entra's gallery asks of each.
const scimRate = 25

func openSCIM(cfg *config.Config, q connectors.Query, log *slog.Logger) (connectors.Connector, error) {
	c := cfg.Source.SCIM
	o := scim.Options{BaseURL: c.URL, Username: c.Username, Filter: c.Filter, Nested: c.Nested, MaxRate: scimRate, Query: q, Log: log}
	switch {
	case !c.Password.IsZero():
		o.Token = c.Password.Reveal
	case !c.Token.IsZero():
		o.Token = c.Token.Reveal
	}
	return scim.New(o)
}
