package main

import (
	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/scim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

// scimRate is the most requests a second to a directory that is a SCIM server: what Entra's gallery asks of each.
const scimRate = 25

func openSCIM(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.SCIM
	o := scim.Options{BaseURL: c.URL, Username: c.Username, Filter: c.Filter, Nested: c.Nested, MaxRate: scimRate, Query: with.Query, Transport: with.Transport(nil), Log: with.Log}
	switch {
	case !c.Password.IsZero():
		o.Token = c.Password.Reveal
	case !c.Token.IsZero():
		o.Token = c.Token.Reveal
	}
	return scim.New(o)
}
