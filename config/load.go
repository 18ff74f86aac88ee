package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// EnvPrefix begins every environment variable that overrides a key: ROOTLY_IDP_SYNC_TARGET_MAX_RATE is
// target.max_rate. An empty variable counts as unset; lists are separated by commas.
const EnvPrefix = "ROOTLY_IDP_SYNC_"

// defaultNames are the files that are looked for in the working directory.
var defaultNames = []string{"rootly-idp-sync.yaml", "rootly-idp-sync.yml", "rootly-idp-sync.toml", "rootly-idp-sync.json"}

// Find says which file to load: the one that was named by flag, else by ROOTLY_IDP_SYNC_CONFIG, else the only
// rootly-idp-sync.yaml, .yml, .toml or .json in dir.
func Find(flag string, env func(string) (string, bool), dir string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if path, _ := env(EnvPrefix + "CONFIG"); path != "" {
		return path, nil
	}
	var found []string
	for _, name := range defaultNames {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no configuration: none of %s is in %s; write one with rootly-idp-sync init, or name it with --config",
			strings.Join(defaultNames, ", "), dir)
	case 1:
		return filepath.Join(dir, found[0]), nil
	}
	return "", fmt.Errorf("several configurations are in %s: %s; say which with --config", dir, strings.Join(found, ", "))
}

// Load reads the configuration file at path and the environment, strictly. When the file is readable but wrong, the
// error is Problems and the Config holds what could be understood, so that other packages can add what they find
// with Config.Problem; it must not be used for anything else.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no configuration at %s; write one with rootly-idp-sync init, or name another with --config", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return load(path, data, env)
}

// load is Load without the reading, for a file that would be at path.
func load(path string, data []byte, env func(string) (string, bool)) (*Config, error) {
	root, err := parse(path, data)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	l := newLoader(env)
	if err := l.merge(l.section(root, reflect.TypeFor[Config](), "")); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	l.resolve(filepath.Dir(path))
	l.http()
	l.validate()
	l.problems.Sort()
	return l.cfg, l.problems.Err()
}

// A loader is one reading of one file.
type loader struct {
	env      func(string) (string, bool)
	origins  map[string]origin
	words    map[string]bool // sections in whose place their word stands
	problems Problems
	cfg      *Config
}

func newLoader(env func(string) (string, bool)) *loader {
	return &loader{env: env, origins: map[string]origin{}, words: map[string]bool{}}
}

// merge makes the configuration of what the file holds, the environment and the defaults.
func (l *loader) merge(file map[string]any) (err error) {
	if l.cfg, err = merge(file, l.overrides()); err != nil {
		return err
	}
	l.cfg.origins = l.origins
	return nil
}

// problem reports what is wrong with the key at path of the merged configuration.
func (l *loader) problem(path, text, remedy string) { l.report(l.cfg.Problem(path, text, remedy)) }

func (l *loader) note(format string, args ...any) {
	l.cfg.Notes = append(l.cfg.Notes, fmt.Sprintf(format, args...))
}

// report keeps the first problem of each key: what follows from a mistake is no second one.
func (l *loader) report(p Problem) {
	for _, known := range l.problems {
		if known.Path == p.Path {
			return
		}
	}
	l.problems = append(l.problems, p)
}

// overrides reads every key that the environment sets, weakly typed, for all it has is text.
func (l *loader) overrides() map[string]any {
	out := map[string]any{}
	for _, f := range fieldsOf(reflect.TypeFor[Config](), "") {
		if text, _ := l.env(f.env()); f.section() && text != "" && text == f.word() {
			l.words[f.path], l.origins[f.path] = true, origin{env: f.env()}
		}
	}
	for f := range leaves(reflect.TypeFor[Config](), "") {
		text, _ := l.env(f.env())
		if text == "" {
			continue
		}
		l.origins[f.path] = origin{env: f.env()}
		value, err := f.value(text)
		if err != nil {
			p, _ := errors.AsType[Problem](err)
			p.Path, p.Env = f.path, f.env()
			l.report(p)
			continue
		}
		out[f.path] = value
	}
	return out
}

// merge lays the environment over the file over the defaults. The values have their final types already, so that
// decoding converts nothing.
func merge(file, environment map[string]any) (*Config, error) {
	v := viper.New()
	if err := v.MergeConfigMap(file); err != nil {
		return nil, err
	}
	for path, value := range environment {
		v.Set(path, value)
	}
	cfg := Default()
	err := v.UnmarshalExact(cfg, func(c *mapstructure.DecoderConfig) {
		c.TagName = "json"
		c.WeaklyTypedInput = false
		c.DecodeHook = nil
	})
	return cfg, err
}

// resolve makes paths relative to dir, reads the secrets and fills in the defaults that depend on other keys.
func (l *loader) resolve(dir string) {
	cfg := l.cfg
	// A directory that is named with nothing valid below it is still the one that was chosen.
	if _, ok := l.origins["source.okta"]; ok && cfg.Source.Okta == nil {
		cfg.Source.Okta = &Okta{}
	}
	if _, ok := l.origins["source.entra"]; ok && cfg.Source.Entra == nil {
		cfg.Source.Entra = &Entra{}
	}
	if _, ok := l.origins["source.file"]; ok && cfg.Source.File == nil {
		cfg.Source.File = &File{}
	}
	if _, ok := l.origins["source.google"]; ok && cfg.Source.Google == nil {
		cfg.Source.Google = &Google{}
	}
	if _, ok := l.origins["source.ldap"]; ok && cfg.Source.LDAP == nil {
		cfg.Source.LDAP = &LDAP{}
	}
	if _, ok := l.origins["source.rippling"]; ok && cfg.Source.Rippling == nil {
		cfg.Source.Rippling = &Rippling{}
	}
	if _, ok := l.origins["source.scim"]; ok && cfg.Source.SCIM == nil {
		cfg.Source.SCIM = &SCIM{}
	}
	if _, ok := l.origins["source.keycloak"]; ok && cfg.Source.Keycloak == nil {
		cfg.Source.Keycloak = &Keycloak{}
	}
	if l.words["state"] {
		for _, key := range []string{"state.path", "state.dsn", "state.dsn_file", "state.keep"} {
			if _, ok := l.origins[key]; ok {
				l.problem(key, "is given beside state: none", "keep one of the two")
			}
		}
		cfg.State = State{None: true}
	}
	if cfg.State.Shared() {
		if _, ok := l.origins["state.path"]; ok {
			l.problem("state.path", "is given beside state.dsn", "keep one of the two: a file, or a PostgreSQL database")
		}
		cfg.State.Path = ""
	}
	paths := []*string{&cfg.Target.TokenFile, &cfg.Target.CAFile, &cfg.Rootly.APIKeyFile, &cfg.State.Path, &cfg.State.DSNFile}
	if okta := cfg.Source.Okta; okta != nil {
		paths = append(paths, &okta.APITokenFile, &okta.PrivateKeyFile)
	}
	if google := cfg.Source.Google; google != nil {
		paths = append(paths, &google.CredentialsFile)
	}
	if ldap := cfg.Source.LDAP; ldap != nil {
		paths = append(paths, &ldap.PasswordFile, &ldap.CAFile)
	}
	if entra := cfg.Source.Entra; entra != nil {
		paths = append(paths, &entra.ClientSecretFile, &entra.CertificateFile, &entra.CertificatePasswordFile)
	}
	if rippling := cfg.Source.Rippling; rippling != nil {
		paths = append(paths, &rippling.APITokenFile)
	}
	if scim := cfg.Source.SCIM; scim != nil {
		paths = append(paths, &scim.TokenFile, &scim.PasswordFile)
	}
	if keycloak := cfg.Source.Keycloak; keycloak != nil {
		paths = append(paths, &keycloak.ClientSecretFile, &keycloak.CAFile)
	}
	if file := cfg.Source.File; file != nil {
		if file.Name == "" && file.Path != "" {
			file.Name = filepath.Base(file.Path)
		}
		if file.Format == "" {
			file.Format = FormatAuto
		}
		paths = append(paths, &file.Path, &file.GroupsPath)
	}
	paths = append(paths, l.notifyPaths()...)
	paths = append(paths, &cfg.HA.Kubeconfig)
	paths = append(paths, l.httpPaths()...)
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}

	l.secret("state.dsn", &cfg.State.DSN, cfg.State.DSNFile, "")
	l.secret("target.token", &cfg.Target.Token, cfg.Target.TokenFile, "ROOTLY_SCIM_TOKEN")
	if okta := cfg.Source.Okta; okta != nil {
		fallback := "OKTA_API_TOKEN"
		if okta.oauth() {
			fallback = ""
			if len(okta.Scopes) == 0 {
				okta.Scopes = []string{"okta.users.read", "okta.groups.read", "okta.apps.read"}
			}
		}
		l.secret("source.okta.api_token", &okta.APIToken, okta.APITokenFile, fallback)
		l.secret("source.okta.private_key", &okta.PrivateKey, okta.PrivateKeyFile, "")
	}
	if entra := cfg.Source.Entra; entra != nil {
		fallback := "AZURE_CLIENT_SECRET"
		if len(entra.credentials()) > 0 {
			fallback = ""
		}
		l.secret("source.entra.client_secret", &entra.ClientSecret, entra.ClientSecretFile, fallback)
		l.secret("source.entra.certificate_password", &entra.CertificatePassword, entra.CertificatePasswordFile, "")
	}
	if ldap := cfg.Source.LDAP; ldap != nil {
		l.secret("source.ldap.password", &ldap.Password, ldap.PasswordFile, "")
	}
	if google := cfg.Source.Google; google != nil {
		l.secret("source.google.credentials", &google.Credentials, google.CredentialsFile, "")
	}
	if rippling := cfg.Source.Rippling; rippling != nil {
		l.secret("source.rippling.api_token", &rippling.APIToken, rippling.APITokenFile, "RIPPLING_API_TOKEN")
	}
	if scim := cfg.Source.SCIM; scim != nil {
		fallback := "SCIM_SOURCE_TOKEN"
		if scim.basic() {
			fallback = ""
		}
		l.secret("source.scim.token", &scim.Token, scim.TokenFile, fallback)
		l.secret("source.scim.password", &scim.Password, scim.PasswordFile, "")
	}
	if keycloak := cfg.Source.Keycloak; keycloak != nil {
		l.secret("source.keycloak.client_secret", &keycloak.ClientSecret, keycloak.ClientSecretFile, "KEYCLOAK_CLIENT_SECRET")
	}
}

// oauth tells whether any of the OAuth credentials is given.
func (o *Okta) oauth() bool {
	return o.ClientID != "" || !o.PrivateKey.IsZero() || o.PrivateKeyFile != ""
}
