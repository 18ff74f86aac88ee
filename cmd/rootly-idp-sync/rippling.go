package main

import (
	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/rippling"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func openRippling(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.Rippling
	o := rippling.Options{
		Company: c.Company, BaseURL: c.BaseURL, APIVersion: c.APIVersion, Groups: rippling.GroupKind(c.Groups), Nested: c.Nested, Query: with.Query, Transport: with.Transport(nil), Log: with.Log,
	}
	if !c.APIToken.IsZero() {
		o.APIToken = c.APIToken.Reveal
	}
	return rippling.New(o)
}
