package main

import (
	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/google"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func openGoogle(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.Google
	o := google.Options{
		Impersonate: c.Impersonate, Subject: c.Subject, Customer: c.Customer, Endpoint: c.Endpoint, TokenURI: c.TokenURI,
		Query: with.Query, OrgUnits: c.OrgUnits, SubUnits: c.SubUnits, UserQuery: c.Query, Transport: with.Transport(nil), Log: with.Log,
	}
	if !c.Credentials.IsZero() {
		o.Credentials = c.Credentials.Reveal
	}
	return google.New(o)
}
