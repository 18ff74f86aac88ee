package main

import (
	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func openOkta(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.Okta
	o := okta.Options{
		OrgURL: c.OrgURL, ClientID: c.ClientID, PrivateKeyID: c.PrivateKeyID, Scopes: c.Scopes, AppID: c.AppID, Query: with.Query, Transport: with.Transport(nil), Log: with.Log,
	}
	if !c.APIToken.IsZero() {
		o.APIToken = c.APIToken.Reveal
	}
	if !c.PrivateKey.IsZero() {
		o.PrivateKey = c.PrivateKey.Reveal
	}
	return okta.New(o)
}
