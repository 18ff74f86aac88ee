package main

import (
	"log/slog"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/rippling"
)

func openRippling(cfg *config.Config, q connectors.Query, log *slog.Logger) (connectors.Connector, error) {
	c := cfg.Source.Rippling
	o := rippling.Options{
		Company: c.Company, BaseURL: c.BaseURL, APIVersion: c.APIVersion, Groups: rippling.GroupKind(c.Groups), Nested: c.Nested, Query: q, Log: log,
	}
	if !c.APIToken.IsZero() {
		o.APIToken = c.APIToken.Reveal
	}
	return rippling.New(o)
}
