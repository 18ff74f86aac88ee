//go:build !noentra

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// TestEntraIsOpenedAsConfigured reads a simulated tenant over loopback with nothing but a configuration file.
func TestEntraIsOpenedAsConfigured(t *testing.T) {
	s := sim.New(sim.Config{Seed: 1, People: 40, Groups: 4})
	ends, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(t.TempDir(), "rootly-idp-sync.yaml")
	text := fmt.Sprintf(`source:
  entra:
    tenant_id: %s
    client_id: %s
    client_secret: %s
    app_id: %s
    graph_url: %s
    authority_url: %s
scope: {mode: assigned}
target: {url: %s, token: t}
`, ends.TenantID, ends.ClientID, ends.ClientSecret, ends.AppClientID, ends.GraphURL, ends.AuthorityURL, ends.SCIMURL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	source, err := openers()["entra"](cfg, app.OpenOptions{Query: connectors.Query{Mode: cfg.Scope.Mode}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := source.Fetch(t.Context())
	assigned := 0
	for _, p := range s.Company.People() {
		if p.Assigned {
			assigned++
		}
	}
	if err != nil || len(snap.Users) != assigned || source.Tenant() != "entra:"+ends.TenantID {
		t.Errorf("%d of %d assigned people of %s, %v", len(snap.Users), assigned, source.Tenant(), err)
	}
	for _, check := range source.(connectors.Checker).Check(t.Context()) {
		if check.Err != nil {
			t.Errorf("%s: %v", check.Name, check.Err)
		}
	}
}

func TestEntraDemoTellsTwoDaysToTheEnd(t *testing.T) {
	tellTwoDays(t, "entra", "disabled (accountEnabled=false)")
}
