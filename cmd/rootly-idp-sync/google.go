package main

import (
	"log/slog"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/google"
)

func openGoogle(cfg *config.Config, q connectors.Query, log *slog.Logger) (connectors.Connector, error) {
	c := cfg.Source.Google
	o := google.Options{
		Impersonate: c.Impersonate, Subject: c.Subject, Customer: c.Customer, Endpoint: c.Endpoint, TokenURI: c.TokenURI,
		Query: q, OrgUnits: c.OrgUnits, SubUnits: c.SubUnits, UserQuery: c.Query, Log: log,
	}
	if !c.Credentials.IsZero() {
		o.Credentials = c.Credentials.Reveal
	}
	return google.New(o)
}
