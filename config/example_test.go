package config

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func TestExampleLoadsAndShowsEveryKey(t *testing.T) {
	cfg, err := load("c.yaml", Example(), environment(tokens...))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Notes) > 0 {
		t.Errorf("notes: %q", cfg.Notes)
	}
	for f := range leaves(reflectConfig(), "") {
		if !regexp.MustCompile(`(?m)[ ({#]` + f.name + `:|^` + f.name + `:`).Match(example) {
			t.Errorf("%s is not shown", f.path)
		}
	}
	if diff := cmp.Diff(Default().Guard.Deactivations, cfg.Guard.Deactivations); diff != "" {
		t.Errorf("the example shows other limits than the defaults (-default +example):\n%s", diff)
	}
}

func TestStarterLoads(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(key, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		answers Answers
		want    func(*Config) bool
	}{
		"okta, nothing known": {Answers{Source: "okta"}, func(c *Config) bool { return c.Scope.Mode == connectors.ScopeAssigned && c.Source.Okta.AppID != "" }},
		"keycloak, nothing known": {Answers{Source: "keycloak"}, func(c *Config) bool {
			return c.Scope.Mode == connectors.ScopeAssigned && c.Source.Keycloak.Client == "rootly" && !c.Source.Keycloak.ClientSecret.IsZero()
		}},
		"entra, nothing known": {Answers{Source: "entra"}, func(c *Config) bool {
			return c.Scope.Mode == connectors.ScopeAssigned && c.Source.Entra.AppID != "" && !c.Source.Entra.ClientSecret.IsZero()
		}},
		"google, a key": {Answers{Source: "google", KeyFile: key}, func(c *Config) bool {
			return c.Scope.Mode == connectors.ScopeGroups && c.Source.Google.Subject == "admin@acme.com" && c.Source.Google.Credentials.Reveal() == "{}"
		}},
		"ldap, nothing known": {Answers{Source: "ldap"}, func(c *Config) bool {
			return c.Scope.Mode == connectors.ScopeGroups && c.Source.LDAP.BaseDN == "dc=acme,dc=com" && !c.Source.LDAP.Password.IsZero()
		}},
		"rippling, nothing known": {Answers{Source: "rippling"}, func(c *Config) bool {
			return c.Scope.Mode == connectors.ScopeGroups && c.Source.Rippling.Company == "acme" && !c.Source.Rippling.APIToken.IsZero()
		}},
		"scim, an address": {Answers{Source: "scim", SCIMURL: "https://x.example/scim", Mode: connectors.ScopeAll}, func(c *Config) bool {
			return c.Scope.Mode == connectors.ScopeAll && c.Source.SCIM.URL == "https://x.example/scim" && !c.Source.SCIM.Token.IsZero()
		}},
		"file, nothing known": {Answers{Source: "file"}, func(c *Config) bool { return c.Scope.Mode == connectors.ScopeAll && c.Source.File.Path == "users.csv" }},
		"okta, groups": {Answers{Source: "okta", OrgURL: "https://x.okta.com", Mode: connectors.ScopeGroups, ScopeGroups: []string{`SRE "core"`, "id:00g1"}, Push: []string{"oncall-*"}},
			func(c *Config) bool {
				return c.Scope.Groups[0] == `SRE "core"` && c.Groups.Push[0] == "oncall-*" && c.Source.Okta.OrgURL == "https://x.okta.com"
			}},
		"okta, id of digits": {Answers{Source: "okta", AppID: "0123", Mode: connectors.ScopeAssigned}, func(c *Config) bool { return c.Source.Okta.AppID == "0123" }},
		"file, both files": {Answers{Source: "file", Path: "a: b.csv", GroupsPath: "g.csv", Mode: connectors.ScopeGroups, TargetURL: "http://127.0.0.1:8080/scim"},
			func(c *Config) bool {
				return c.Source.File.Path == "a: b.csv" && c.Source.File.GroupsPath == "g.csv" && c.Target.URL == "http://127.0.0.1:8080/scim"
			}},
	}
	schema := resolved(t, true)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			text, err := Starter(tc.answers)
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := load("c.yaml", text, environment(append([]string{"AZURE_CLIENT_SECRET=" + canary, "LDAP_PASSWORD=" + canary, "RIPPLING_API_TOKEN=" + canary, "SCIM_SOURCE_TOKEN=" + canary, "KEYCLOAK_CLIENT_SECRET=" + canary}, tokens...)...))
			if err != nil {
				t.Fatalf("%v in:\n%s", err, text)
			}
			if !tc.want(cfg) {
				t.Errorf("the answers are lost in:\n%s", text)
			}
			if err := schema.Validate(document(t, text)); err != nil {
				t.Errorf("schema: %v in:\n%s", err, text)
			}
		})
	}
	if _, err := Starter(Answers{Source: "nis"}); errText(err) != `there is no directory "nis"; choose okta, entra, google, ldap, rippling, scim, keycloak or file` {
		t.Errorf("an unknown directory gives %v", err)
	}
}

func TestSchemaKnowsWhatLoadKnows(t *testing.T) {
	schema := resolved(t, true)
	good := []string{
		string(example),
		goodSource + goodScope + goodTarget,
		goodSource + goodScope + goodTarget + "state: none\nremovals: confirmed\n",
		goodSource + goodScope + goodTarget + "state: {path: x.db}\n",
		goodOkta + "scope: {mode: '${MODE}'}\n" + "target: {url: '${URL}', max_rate: '${RATE}', allow_http: '${PLAIN}'}\nguard: {renames: {share: '${SHARE}'}}\n",
	}
	for _, text := range good {
		if err := schema.Validate(document(t, []byte(text))); err != nil {
			t.Errorf("refused: %v\n%s", err, text)
		}
	}
	bad := map[string]string{
		"unknown key":    goodSource + goodScope + goodTarget + "colour: red\n",
		"nested unknown": goodSource + goodScope + goodTarget + "guard: {groups: {shares: 20%}}\n",
		"bare share":     goodSource + goodScope + goodTarget + "guard: {groups: {share: 20}}\n",
		"bare id":        "source: {okta: {org_url: https://acme.okta.com, app_id: 0123}}\n" + goodScope + goodTarget,
		"no mode":        goodSource + "scope: {}\n" + goodTarget,
		"wrong mode":     goodSource + "scope: {mode: some}\n" + goodTarget,
		"no directory":   "source: {}\n" + goodScope + goodTarget,
		"two of them":    "source: {file: {path: a}, okta: {org_url: b}}\n" + goodScope + goodTarget,
		"too many":       goodSource + goodScope + "target: {url: a, concurrency: 65}\n",
		"a wrong word":   goodSource + goodScope + goodTarget + "state: nothing\n",
		"no target":      goodSource + goodScope,
	}
	for name, text := range bad {
		if schema.Validate(document(t, []byte(text))) == nil {
			t.Errorf("%s: accepted\n%s", name, text)
		}
	}
	for f := range leaves(reflectConfig(), "") {
		if f.tag.Get("doc") == "" {
			t.Errorf("%s has no description", f.path)
		}
	}
}

// TestDocumentedConfigurationIsValid reads every yaml block of the documentation that shows this configuration, whole
// or in part.
func TestDocumentedConfigurationIsValid(t *testing.T) {
	whole, part := resolved(t, true), resolved(t, false)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, root := range []string{"../README.md", "../docs"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && (d.IsDir() || filepath.Ext(path) != ".md") {
				return nil
			}
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range block.FindAllSubmatch(text, -1) {
				doc, ok := document(t, m[1]).(map[string]any)
				if !ok || doc["apiVersion"] != nil || doc["services"] != nil || doc["jobs"] != nil {
					continue // of Kubernetes, Compose or a CI system
				}
				schema := part
				if doc["source"] != nil && doc["scope"] != nil && doc["target"] != nil {
					schema = whole
				}
				if err := schema.Validate(doc); err != nil {
					t.Errorf("%s: %v in:\n%s", path, err, m[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// resolved is the published schema, read back; without required, it fits parts of a configuration.
func resolved(t *testing.T, required bool) *jsonschema.Resolved {
	t.Helper()
	data, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if !required {
		data = regexp.MustCompile(`"required": \[[^\]]*\],?|"minProperties": 1,`).ReplaceAll(data, nil)
		data = regexp.MustCompile(`,(\s*})`).ReplaceAll(data, []byte("$1"))
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatalf("%v in:\n%s", err, data)
	}
	out, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// document is YAML as a validator of JSON sees it.
func document(t *testing.T, text []byte) any {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	data, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestExampleHasNoTabs(t *testing.T) {
	if strings.ContainsRune(string(example)+starter, '\t') {
		t.Error("YAML does not indent with tabs")
	}
}
