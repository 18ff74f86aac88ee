package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/keycloak"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
)

func openKeycloak(cfg *config.Config, with app.OpenOptions) (connectors.Connector, error) {
	c := cfg.Source.Keycloak
	o := keycloak.Options{
		URL: c.URL, Realm: c.Realm, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal, Client: c.Client, Roles: c.Roles,
		Nested: c.Nested, Query: with.Query, Log: with.Log,
	}
	if c.CAFile != "" {
		trusting, err := transportTrusting(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("source.keycloak.ca_file: %w", err)
		}
		o.Transport = trusting
	}
	o.Transport = with.Transport(o.Transport)
	return keycloak.New(o)
}

// transportTrusting is Go's own transport with the certificates of a file beside the system's.
func transportTrusting(file string) (http.RoundTripper, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}
