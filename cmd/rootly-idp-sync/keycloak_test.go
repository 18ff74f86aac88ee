package main

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// TestKeycloakBehindAPrivateAuthority reads a realm over TLS whose certificate only ca_file vouches for.
func TestKeycloakBehindAPrivateAuthority(t *testing.T) {
	t.Parallel()
	company := sim.NewCompany(sim.Config{Seed: 1, People: 40, Groups: 4})
	server := httptest.NewTLSServer(sim.NewKeycloak(company, sim.KeycloakOptions{}))
	defer server.Close()
	dir := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "rootly-idp-sync.yaml")
	for caFile, trusted := range map[string]bool{"ca_file: ca.pem": true, "nested: false": false} {
		text := fmt.Sprintf(`source:
  keycloak: {url: %q, realm: acme, client_id: %s, client_secret: %s, client: %s, %s}
scope: {mode: assigned}
target: {url: https://rootly.com/scim, token: t}
`, server.URL, sim.DefaultKeycloakClient, sim.DefaultKeycloakSecret, sim.KeycloakApp, caFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(path, os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		source, err := openers()["keycloak"](cfg, app.OpenOptions{Query: connectors.Query{Mode: cfg.Scope.Mode}, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		checks := source.(connectors.Checker).Check(t.Context())
		if ok := len(checks) > 1; ok != trusted {
			t.Errorf("%s: %d checks, %v", caFile, len(checks), checks[0].Err)
		}
	}
}
