//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// secretKeys are the keys of the configuration that hold a secret, and addressKeys those that hold addresses. They are
// found in the types, so that none can be forgotten.
var secretKeys, addressKeys = keysOf(reflect.TypeFor[config.Config](), "")

func keysOf(t reflect.Type, path string) (secrets, addresses []string) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		at, typ := strings.TrimPrefix(path+"."+name, "."), f.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ == reflect.TypeFor[config.Secret]():
			secrets = append(secrets, at)
		case typ.Kind() == reflect.Struct:
			s, a := keysOf(typ, at)
			secrets, addresses = append(secrets, s...), append(addresses, a...)
		case strings.HasSuffix(name, "url") || strings.HasSuffix(name, "urls") || strings.HasSuffix(name, "uri") || name == "issuer" || name == "endpoint":
			addresses = append(addresses, at)
		}
	}
	return secrets, addresses
}

// canaryOf is what a key's secret has in it and nothing else. It is the same in all notations but base64 and hexadecimal.
func canaryOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "Cnry" + hex.EncodeToString(sum[:8])
}

// special are characters that other notations write otherwise.
const special = `+/&<%'=`

// Secrets that are not just any text.
var (
	oktaKey   = sync.OnceValue(newKey)
	googleKey = sync.OnceValue(newKey)
	shaped    = map[string]func(w *world) string{
		"source.okta.private_key":   func(*world) string { return oktaKey() },
		"source.google.credentials": func(w *world) string { return w.googleFile() },
		"state.dsn": func(w *world) string {
			return "postgres://app:" + canaryOf("state.dsn") + "%2F%2B@" + w.database + "?sslmode=disable"
		},
		"notify.slack.url":   func(w *world) string { return w.hook + "/services/T0/B0/" + canaryOf("notify.slack.url") },
		"notify.webhook.url": func(w *world) string { return w.hook + "/hook?key=" + canaryOf("notify.webhook.url") },
	}
)

func newKey() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// A world is a configuration full of canaries and what stands around it.
type world struct {
	t        *testing.T
	dir      string
	keys     map[string]any // by path
	database string         // host, port and name
	hook     string         // the address that is notified
	google   string         // of the token endpoint

	printed bytes.Buffer
}

// directories are what makes each of them work, without the secrets; the addresses are filled in by the world. Each way
// to sign in is one of its own.
var directories = map[string]struct {
	keys    map[string]any
	secrets []string
}{
	"okta, token":       {map[string]any{"source.okta.org_url": "$okta"}, []string{"source.okta.api_token"}},
	"okta, service app": {map[string]any{"source.okta.org_url": "$okta", "source.okta.client_id": "0oaserviceapp"}, []string{"source.okta.private_key"}},
	"google":            {map[string]any{"source.google.endpoint": "$google", "source.google.subject": sim.DefaultGoogleAdmin}, []string{"source.google.credentials"}},
	"ldap": {map[string]any{"source.ldap.urls": []string{"$ldap"}, "source.ldap.bind_dn": sim.DefaultLDAPReader, "source.ldap.base_dn": "dc=acme,dc=example"},
		[]string{"source.ldap.password"}},
	"rippling":    {map[string]any{"source.rippling.company": "acme", "source.rippling.base_url": "$rippling"}, []string{"source.rippling.api_token"}},
	"scim, token": {map[string]any{"source.scim.url": "$directory"}, []string{"source.scim.token"}},
	"scim, basic": {map[string]any{"source.scim.url": "$directory", "source.scim.username": "reader"}, []string{"source.scim.password"}},
	"keycloak": {map[string]any{"source.keycloak.url": "$keycloak", "source.keycloak.realm": "acme", "source.keycloak.client_id": sim.DefaultKeycloakClient},
		[]string{"source.keycloak.client_secret"}},
	"entra": {map[string]any{
		"source.entra.tenant_id": "8a5d1f0e-5c3b-4f0a-9d53-0f7b7c2f6a11", "source.entra.client_id": "2f1d7c55-2f6e-4c57-9d38-3c6a5a0d1b22",
		"source.entra.graph_url": "$graph/v1.0", "source.entra.authority_url": "$authority",
	}, []string{"source.entra.client_secret"}},
	"entra, certificate": {map[string]any{
		"source.entra.tenant_id": "8a5d1f0e-5c3b-4f0a-9d53-0f7b7c2f6a11", "source.entra.client_id": "2f1d7c55-2f6e-4c57-9d38-3c6a5a0d1b22",
		"source.entra.certificate_file": "key.p12", "source.entra.graph_url": "$graph/v1.0", "source.entra.authority_url": "$authority",
	}, []string{"source.entra.certificate_password"}},
	"file": {map[string]any{"source.file.path": "people.csv"}, nil},
}

// common is the rest of the configuration.
var common = map[string]any{
	"scope.mode": "all", "groups.push": []string{"*"}, "mode": "apply", "schedule": "@every 24h", "target.max_rate": 0, "target.url": "$scim",
	"health.listen": "127.0.0.1:0", "health.metrics": true, "http.listen": "127.0.0.1:0", "http.public_url": "https://sync.acme.example",
	"rootly.api_url": "$rootly", "http.oidc.issuer": "$issuer", "http.oidc.client_id": "page", "http.oidc.allowed_emails": []string{"*@acme.example"},
	"notify.email.host": "127.0.0.1", "notify.email.port": 1, "notify.email.username": "sync", "notify.email.from": "sync@acme.example", "notify.email.to": []string{"ops@acme.example"},
}

// inDirectories are the secrets that only some of the worlds have.
func optional(key string) bool { return strings.HasPrefix(key, "source.") || key == "state.dsn" }

// newWorld writes a configuration of the directory with a canary for each secret, and with these addresses.
func newWorld(t *testing.T, directory string, addresses map[string]string) *world {
	w := &world{t: t, dir: t.TempDir(), keys: map[string]any{}, database: "127.0.0.1:1/sync", hook: addresses["$hook"], google: addresses["$google"]}
	d := directories[directory]
	fill := func(text string) string {
		for name, address := range addresses {
			text = strings.ReplaceAll(text, name, address)
		}
		return text
	}
	for _, keys := range []map[string]any{common, d.keys} {
		for key, value := range keys {
			switch v := value.(type) {
			case string:
				w.keys[key] = fill(v)
			case []string:
				list := slices.Clone(v)
				for i := range list {
					list[i] = fill(list[i])
				}
				w.keys[key] = list
			default:
				w.keys[key] = v
			}
		}
	}
	for _, key := range secretKeys {
		if !optional(key) || slices.Contains(d.secrets, key) {
			w.keys[key] = w.secret(key)
		}
	}
	w.file("people.csv", "id,userName,email,status\n1,anna@acme.example,anna@acme.example,active\n")
	w.file("key.p12", "no certificate")
	w.configure()
	return w
}

func (w *world) secret(key string) string {
	if shape := shaped[key]; shape != nil {
		return shape(w)
	}
	return canaryOf(key) + special
}

// googleFile is a key file for a side whose own key nobody knows.
func (w *world) googleFile() string {
	file := map[string]string{}
	if err := json.Unmarshal([]byte(sim.GoogleKeyFile(w.google)), &file); err != nil {
		w.t.Fatal(err)
	}
	if strings.Contains(w.google, "echo") {
		file["private_key"] = googleKey()
	}
	text, err := json.Marshal(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *world) file(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

const configName = "rootly-idp-sync.yaml"

// configure writes the configuration with its keys.
func (w *world) configure() {
	w.t.Helper()
	root := map[string]any{}
	for key, value := range w.keys {
		at, parts := root, strings.Split(key, ".")
		for _, p := range parts[:len(parts)-1] {
			below, ok := at[p].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[p] = below
			}
			at = below
		}
		at[parts[len(parts)-1]] = value
	}
	text, err := yaml.Marshal(root)
	if err != nil {
		w.t.Fatal(err)
	}
	w.file(configName, string(text))
}

// run runs a command in this process and keeps all that it prints.
func (w *world) run(ctx context.Context, args ...string) int {
	var out bytes.Buffer
	line := append(slices.Clone(args), "--log-level", "debug")
	if !slices.Contains(args, "--config") {
		line = append(line, "--config", filepath.Join(w.dir, configName))
	}
	code := app.Main(ctx, line, app.Stdio{In: strings.NewReader(""), Out: &out, Err: &out}, openers())
	w.printed.WriteString("$ " + strings.Join(args, " ") + "\n" + out.String())
	w.search("the output of "+strings.Join(args, " "), out.Bytes())
	return code
}

// search reports every secret in data, in whatever notation.
func (w *world) search(where string, data []byte) {
	w.t.Helper()
	for _, key := range secretKeys {
		for _, canary := range w.canariesOf(key) {
			if i := bytes.Index(data, []byte(canary)); i >= 0 {
				w.t.Errorf("%s is in %s: …%.300s", key, where, data[max(0, i-200):])
				return
			}
		}
	}
}

// canariesOf are the writings of a key's canary, and of a private key each of its lines.
func (w *world) canariesOf(key string) []string {
	canaries := []string{canaryOf(key)}
	switch key {
	case "source.okta.private_key":
		canaries = linesOf(oktaKey())
	case "source.google.credentials":
		canaries = linesOf(googleKey())
	}
	var out []string
	for _, c := range canaries {
		out = append(out, c, hex.EncodeToString([]byte(c)), strings.ToUpper(hex.EncodeToString([]byte(c))))
		for before := range 3 {
			text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", before) + c + "xxx"))
			out = append(out, text[4:len(text)/4*4-8]) // without what its surroundings have a part in
		}
	}
	return out
}

func linesOf(key string) []string {
	lines := strings.Split(strings.TrimSpace(key), "\n")
	return lines[1 : len(lines)-2]
}

// searchFiles searches everything that a run has left, the configuration itself aside.
func (w *world) searchFiles() {
	w.t.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == configName {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a connection to SQLite whose request was given up ends a moment later, and its files with it
		}
		if err != nil {
			return err
		}
		w.search(d.Name(), data)
		if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			w.t.Errorf("%s can be read by others: %v", d.Name(), info.Mode())
		}
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
}

// TestEverySecretHasACanary: some world has each secret, and the program takes it as it is written there.
func TestEverySecretHasACanary(t *testing.T) {
	if len(secretKeys) < 18 || len(addressKeys) < 10 {
		t.Fatalf("the secrets are %q, and the addresses %q", secretKeys, addressKeys)
	}
	seen := map[string]bool{}
	for name := range directories {
		w := newWorld(t, name, everywhere("https://echo.example"))
		if name == "file" {
			w.keys["state.dsn"] = w.secret("state.dsn")
			w.configure()
		}
		cfg, err := config.Load(filepath.Join(w.dir, configName), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		values := map[string]string{}
		secretValues(reflect.ValueOf(cfg).Elem(), "", values)
		for key, value := range values {
			seen[key] = seen[key] || value == w.secret(key)
		}
	}
	for _, key := range secretKeys {
		if !seen[key] {
			t.Errorf("%s has no canary: give the directories of this test a way to have it", key)
		}
	}
}

// secretValues are the secrets that a configuration holds, by their keys.
func secretValues(v reflect.Value, path string, out map[string]string) {
	for f, v := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		at, v := strings.TrimPrefix(path+"."+name, "."), reflect.Indirect(v)
		if !v.IsValid() {
			continue // a section that is not there
		}
		if s, ok := reflect.TypeAssert[config.Secret](v); ok {
			out[at] = s.Reveal()
		} else if v.Kind() == reflect.Struct {
			secretValues(v, at, out)
		}
	}
}

// everywhere leads all addresses to one server.
func everywhere(server string) map[string]string {
	out := map[string]string{"$ldap": strings.Replace(server, "http", "ldap", 1), "$app": "0oa1"}
	for _, name := range []string{"$okta", "$google", "$rippling", "$directory", "$keycloak", "$graph", "$authority", "$scim", "$rootly", "$issuer", "$hook"} {
		out[name] = server
	}
	out["$scim"] += "/target"
	return out
}

// names are the directories that this build can read, in a fixed order.
func names() []string {
	var out []string
	for name := range maps.Keys(directories) {
		kind, _, _ := strings.Cut(name, ",")
		if openers()[kind] != nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
