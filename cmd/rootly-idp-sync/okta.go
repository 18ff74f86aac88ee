package main

import (
	"log/slog"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
)

func openOkta(cfg *config.Config, q connectors.Query, log *slog.Logger) (connectors.Connector, error) {
	c := cfg.Source.Okta
	o := okta.Options{
		OrgURL: c.OrgURL, ClientID: c.ClientID, PrivateKeyID: c.PrivateKeyID, Scopes: c.Scopes, AppID: c.AppID, Query: q, Log: log,
	}
	if !c.APIToken.IsZero() {
		o.APIToken = c.APIToken.Reveal
	}
	if !c.PrivateKey.IsZero() {
		o.PrivateKey = c.PrivateKey.Reveal
	}
	return okta.New(o)
}
