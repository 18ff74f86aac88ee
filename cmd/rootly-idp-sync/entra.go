//go:build !noentra

package main

import (
	"os"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/entra"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func addEntra(openers map[string]app.Opener) { openers["entra"] = openEntra }

func openEntra(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.Entra
	o := entra.Options{
		TenantID: c.TenantID, ClientID: c.ClientID, Identity: entra.Identity(c.Identity), AppID: c.AppID, Nested: c.Nested,
		UserNameFrom: entra.UserNameFrom(c.UserName), Cloud: entra.Cloud(c.Cloud), GraphURL: c.GraphURL, AuthorityURL: c.AuthorityURL,
		Query: with.Query, Transport: with.Transport(nil), Log: with.Log,
	}
	if !c.ClientSecret.IsZero() {
		o.ClientSecret = c.ClientSecret.Reveal
	}
	if c.CertificateFile != "" {
		o.Certificate = func() ([]byte, error) { return os.ReadFile(c.CertificateFile) }
		o.CertificatePassword = c.CertificatePassword.Reveal
	}
	return entra.New(o)
}
