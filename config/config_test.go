package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// canary is the value of every secret in these tests. It must never be seen.
const canary = "canary-3f9b"

// environment is an env function over fixed variables, given as NAME=value.
func environment(vars ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range vars {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

var tokens = []string{"OKTA_API_TOKEN=" + canary, "ROOTLY_SCIM_TOKEN=" + canary}

// write puts a file into dir and returns its path.
func write(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// secrets lets cmp compare configurations.
var secrets = cmp.Options{
	cmp.Comparer(func(a, b Secret) bool { return a.Reveal() == b.Reveal() }),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".origins" }, cmp.Ignore()),
}

func TestTheThreeFormatsSayTheSame(t *testing.T) {
	text := map[string]string{
		"c.yaml": `
source:
  okta: {org_url: https://acme.okta.com, app_id: "0123"}
scope: {mode: assigned, exclude: ["svc-*", "🚨"]}
map: {displayName: user.displayName, workPhone: ''}
target: {url: https://rootly.com/scim, max_rate: 0.5, concurrency: 4}
guard: {renames: {share: 7%}}
`,
		"c.toml": `
[source.okta]
org_url = "https://acme.okta.com"
app_id = "0123"
[scope]
mode = "assigned"
exclude = ["svc-*", "🚨"]
[map]
displayName = "user.displayName"
workPhone = ""
[target]
url = "https://rootly.com/scim"
max_rate = 0.5
concurrency = 4
[guard.renames]
share = "7%"
`,
		"c.json": `{
	"source": {"okta": {"org_url": "https:\/\/acme.okta.com", "app_id": "0123"}},
	"scope": {"mode": "assigned", "exclude": ["svc-*", "\ud83d\udea8"]},
	"map": {"displayName": "user.displayName", "workPhone": ""},
	"target": {"url": "https://rootly.com/scim", "max_rate": 0.5, "concurrency": 4},
	"guard": {"renames": {"share": "7%"}}
}`,
	}
	want := Default()
	want.Source.Okta = &Okta{OrgURL: "https://acme.okta.com", AppID: "0123", APIToken: NewSecret(canary)}
	want.Scope = Scope{Mode: connectors.ScopeAssigned, Exclude: []string{"svc-*", "🚨"}}
	want.Map.DisplayName, want.Map.WorkPhone = new("user.displayName"), new("")
	want.Target = Target{URL: "https://rootly.com/scim", Token: NewSecret(canary), MaxRate: 0.5, Concurrency: 4}
	want.Guard.Renames.Share = 0.07
	want.State.Path = "etc/rootly-idp-sync.db"
	for name, data := range text {
		t.Run(name, func(t *testing.T) {
			got, err := load("etc/"+name, []byte(data), environment(tokens...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, secrets); diff != "" {
				t.Errorf("configuration (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironmentOverridesEveryKey(t *testing.T) {
	values := map[string]string{
		"source.okta.org_url": "https://env.okta.com", "source.file.format": "csv", "scope.mode": "all", "groups.on_removed": "delete",
		"source.entra.identity": "workload", "source.entra.user_name": "mail", "source.entra.cloud": "usgov", "source.ldap.flavor": "ad", "source.rippling.groups": "both",
		"phone_region": "DE", "removals": "never", "schedule": "0 * * * *", "mode": "observe", "time_zone": "Europe/Berlin", "grace": "11s", "delete_after": "11d", "health.listen": ":11", "http.token_role": "approver", "notify.email.security": "tls", "notify.rootly.target_type": "User", "target.url": "https://scim.example.com",
		"ha.mode": "postgres", "ha.lease_duration": "11m", "ha.renew_deadline": "11m", "ha.retry_period": "11s", "on_call.policy": "ignore", "on_call.horizon": "11h", "on_call.hold_max.disabled": "11h", "on_call.hold_max.other": "11h",
	}
	for f := range leaves(reflectConfig(), "") {
		t.Run(f.path, func(t *testing.T) {
			text := values[f.path]
			switch {
			case text != "":
			case f.typ == shareType:
				text = "11%"
			case f.text():
				text = "env-value"
			case f.typ.Kind().String() == "bool":
				text = "true"
			default:
				text = "11"
			}
			name := EnvPrefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
			got, _ := load("c.yaml", nil, environment(name+"="+text))
			want, err := f.value(text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asText(want), asText(at(got, f.path))); diff != "" {
				t.Errorf("%s=%s (-want +got):\n%s", name, text, diff)
			}
		})
	}
}

func TestEnvironmentWinsOverTheFile(t *testing.T) {
	file := "source: {file: {path: users.csv}}\nscope: {mode: all, exclude: [a]}\ntarget: {url: https://x.example, max_rate: 3}\n"
	got, err := load("c.yaml", []byte(file), environment(append(tokens,
		"ROOTLY_IDP_SYNC_TARGET_MAX_RATE=7", "ROOTLY_IDP_SYNC_SCOPE_EXCLUDE=b, c", "ROOTLY_IDP_SYNC_TARGET_CONCURRENCY=")...))
	if err != nil {
		t.Fatal(err)
	}
	if got.Target.MaxRate != 7 || got.Target.Concurrency != 8 {
		t.Errorf("max_rate %v, concurrency %v; want 7 and, because empty counts as unset, 8", got.Target.MaxRate, got.Target.Concurrency)
	}
	if diff := cmp.Diff([]string{"b", "c"}, got.Scope.Exclude); diff != "" {
		t.Errorf("exclude (-want +got):\n%s", diff)
	}
}

func TestStateNoneIsAWordInEveryFormatAndInTheEnvironment(t *testing.T) {
	tests := map[string]struct {
		name, text string
		env        []string
	}{
		"yaml":        {"c.yaml", "state: none\n", nil},
		"toml":        {"c.toml", "state = \"none\"\n", nil},
		"json":        {"c.json", `{"state": "none"}`, nil},
		"environment": {"c.yaml", "", []string{"ROOTLY_IDP_SYNC_STATE=none"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			env := append(tc.env, "ROOTLY_IDP_SYNC_SOURCE_FILE_PATH=users.csv", "ROOTLY_IDP_SYNC_SCOPE_MODE=all",
				"ROOTLY_IDP_SYNC_TARGET_URL=https://rootly.com/scim", "ROOTLY_IDP_SYNC_REMOVALS=confirmed")
			got, err := load(tc.name, []byte(tc.text), environment(append(env, tokens...)...))
			if err != nil {
				t.Fatal(err)
			}
			if want := (State{None: true}); got.State != want {
				t.Errorf("state is %+v, want %+v", got.State, want)
			}
			text, err := got.YAML()
			if err != nil || !strings.Contains(string(text), "\nstate: none\n") {
				t.Errorf("shown as %s, %v", text, err)
			}
		})
	}
}

func TestADatabaseTakesThePlaceOfTheStateFile(t *testing.T) {
	cfg, err := load("c.yaml", []byte(goodSource+goodScope+goodTarget+"state: {dsn: 'postgres://sync:"+canary+"@db/sync', keep: 400d}\n"), environment(tokens...))
	if err != nil {
		t.Fatal(err)
	}
	if s := cfg.State; !s.Shared() || s.Path != "" || !strings.Contains(s.DSN.Reveal(), canary) || s.Retention() != 400*24*time.Hour {
		t.Errorf("state %+v, kept for %s", s, s.Retention())
	}
	if text, err := cfg.YAML(); err != nil || strings.Contains(string(text), canary) {
		t.Errorf("shown as %s, %v", text, err)
	}
}

func TestMapTellsEmptyFromAbsent(t *testing.T) {
	got, _ := load("c.yaml", []byte("map: {email: '', userName: user.email}"), environment())
	if got.Map.Email == nil || *got.Map.Email != "" {
		t.Errorf("email: '' gives %v, want a pointer to the empty string", got.Map.Email)
	}
	if got.Map.DisplayName != nil {
		t.Errorf("absent displayName gives %q, want nil", *got.Map.DisplayName)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", canary+"\r\n", 0o400)
	path := write(t, dir, "c.yaml", `
source: {file: {path: data/users.csv, groups_path: /abs/groups.csv}}
scope: {mode: all}
target: {url: https://rootly.com/scim, token_file: token}
`, 0o600)
	got, err := Load(path, environment("ROOTLY_SCIM_TOKEN=not-this-one"))
	if err != nil {
		t.Fatal(err)
	}
	want := &File{Path: filepath.Join(dir, "data/users.csv"), GroupsPath: "/abs/groups.csv", Format: FormatAuto, Name: "users.csv"}
	if diff := cmp.Diff(want, got.Source.File); diff != "" {
		t.Errorf("source.file (-want +got):\n%s", diff)
	}
	if got.State.Path != filepath.Join(dir, "rootly-idp-sync.db") || got.Target.TokenFile != filepath.Join(dir, "token") {
		t.Errorf("state %s, token_file %s; want both in %s", got.State.Path, got.Target.TokenFile, dir)
	}
	if got.Target.Token.Reveal() != canary {
		t.Error("the token is not what the file holds without its newline")
	}
}

func TestNotes(t *testing.T) {
	const file = "source: {file: {path: u.csv}}\nscope: {mode: all}\ntarget: {url: '%'}\n"
	tests := map[string][]string{
		"https://rootly.com/scim":     nil,
		"https://scim.example.com/v2": nil,
		"https://rootly.com/scim/":    {"the trailing slash of target.url was removed"},
		"https://rootly.com/scim/v2":  {"target.url is not https://rootly.com/scim, which is Rootly's SCIM endpoint (its path is /scim, without /v2)"},
		"https://rootly.com":          {"target.url is not https://rootly.com/scim, which is Rootly's SCIM endpoint (its path is /scim, without /v2)"},
	}
	for url, want := range tests {
		t.Run(url, func(t *testing.T) {
			got, err := load("c.yaml", []byte(strings.ReplaceAll(file, "%", url)), environment(tokens...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			if strings.HasSuffix(got.Target.URL, "/") {
				t.Errorf("target.url is still %s", got.Target.URL)
			}
		})
	}
}

func TestEffectiveConfigurationIsCompleteAndMasked(t *testing.T) {
	cfg, err := load("c.yaml", Example(), environment(tokens...))
	if err != nil {
		t.Fatal(err)
	}
	text, err := cfg.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), canary) {
		t.Fatalf("a secret is printed:\n%s", text)
	}
	for _, line := range []string{"api_token: '[secret]'", "token: '[secret]'", "max_rate: 25", "share: 20%", "workPhone: \"\"", "removals: apply"} {
		if !strings.Contains(string(text), line) {
			t.Errorf("%q is missing in:\n%s", line, text)
		}
	}
	var back map[string]any
	if err := yaml.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := load("c.yaml", text, environment())
	if err != nil {
		t.Fatalf("the effective configuration does not load again: %v", err)
	}
	again.Target.Token, again.Source.Okta.APIToken = cfg.Target.Token, cfg.Source.Okta.APIToken
	opts := append(secrets, cmp.Transformer("list", func(l []string) string { return strings.Join(l, "\n") }))
	if diff := cmp.Diff(cfg, again, opts); diff != "" {
		t.Errorf("loaded again (-want +got):\n%s", diff)
	}
}

func TestFind(t *testing.T) {
	none, one, two := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, one, "rootly-idp-sync.toml", "", 0o600)
	write(t, two, "rootly-idp-sync.yaml", "", 0o600)
	write(t, two, "rootly-idp-sync.json", "", 0o600)
	tests := map[string]struct {
		flag, env, dir string
		want, err      string
	}{
		"the flag wins":         {flag: "a.yaml", env: "b.yaml", dir: one, want: "a.yaml"},
		"then the variable":     {env: "b.yaml", dir: one, want: "b.yaml"},
		"then the directory":    {dir: one, want: filepath.Join(one, "rootly-idp-sync.toml")},
		"nothing names init":    {dir: none, err: "no configuration: none of rootly-idp-sync.yaml, rootly-idp-sync.yml, rootly-idp-sync.toml, rootly-idp-sync.json is in " + none + "; write one with rootly-idp-sync init, or name it with --config"},
		"two are not guessed":   {dir: two, err: "several configurations are in " + two + ": rootly-idp-sync.yaml, rootly-idp-sync.json; say which with --config"},
		"an empty one is unset": {env: "", dir: one, want: filepath.Join(one, "rootly-idp-sync.toml")},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Find(tc.flag, environment("ROOTLY_IDP_SYNC_CONFIG="+tc.env), tc.dir)
			if got != tc.want || errText(err) != tc.err {
				t.Errorf("got %q, %v; want %q, %s", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestMissingFileNamesItAndInit(t *testing.T) {
	_, err := Load("/nowhere/c.yaml", environment())
	if want := "no configuration at /nowhere/c.yaml; write one with rootly-idp-sync init, or name another with --config"; errText(err) != want {
		t.Errorf("got %q, want %q", errText(err), want)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
