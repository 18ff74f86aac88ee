package deploy

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A composition is a Compose file, with what the tests look at.
type composition struct {
	Services map[string]struct {
		Extends         struct{ File, Service string }
		Image           string
		Command         []string
		User            string
		ReadOnly        bool     `yaml:"read_only"`
		CapDrop         []string `yaml:"cap_drop"`
		SecurityOpt     []string `yaml:"security_opt"`
		StopGracePeriod string   `yaml:"stop_grace_period"`
		Volumes         []string
		Secrets         []string
	}
	Secrets map[string]any
}

func TestCompose(t *testing.T) {
	for name, config := range map[string]string{"compose.yaml": "rootly-idp-sync.yaml", "organisations.yaml": "organisations"} {
		t.Run(name, func(t *testing.T) {
			compose := func(name string) composition {
				return decode[composition](t, name, read(t, "compose/"+name), false)[0]
			}
			file := compose(name)
			s := file.Services["sync"]
			if s.User != "65532:65532" || !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) ||
				s.StopGracePeriod != "60s" {
				t.Errorf("the service is more privileged than it need be, or is killed: %+v", s)
			}
			for _, service := range file.Services {
				if service.Extends.File != "" {
					service = compose(service.Extends.File).Services[service.Extends.Service]
				}
				for _, name := range service.Secrets {
					if file.Secrets[name] == nil {
						t.Errorf("there is no secret %s", name)
					}
				}
			}
			if !slices.ContainsFunc(s.Volumes, func(v string) bool { return strings.HasPrefix(v, "./"+config+":") }) {
				t.Errorf("%s is not mounted by %q", config, s.Volumes)
			}
			accepts(t, s.Command)
			texts := configurations(t, "compose/"+config)
			for _, path := range mounted.FindAllString(strings.Join(slices.Collect(maps.Values(texts)), ""), -1) {
				if !slices.Contains(s.Secrets, filepath.Base(path)) {
					t.Errorf("%s is named and not mounted", path)
				}
			}
			if text, single := texts[config]; single {
				validate(t, text)
				return
			}
			validateAll(t, texts)
		})
	}
}

// configurations are a file, or the files of a folder, by their names.
func configurations(t *testing.T, path string) map[string]string {
	t.Helper()
	files := []string{path}
	if filepath.Ext(path) == "" {
		var err error
		if files, err = filepath.Glob(path + "/*.yaml"); err != nil {
			t.Fatal(err)
		}
	}
	texts := map[string]string{}
	for _, file := range files {
		texts[filepath.Base(file)] = string(read(t, file))
	}
	return texts
}

// directives are the lines of a unit below its service section, comments left out.
func directives(t *testing.T, unit string) []string {
	t.Helper()
	_, text, found := strings.Cut(string(read(t, "systemd/"+unit)), "[Service]\n")
	if !found {
		t.Fatalf("%s has no section Service", unit)
	}
	text, _, _ = strings.Cut(text, "\n[")
	return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "#") })
}

func TestUnits(t *testing.T) {
	daemon, once := directives(t, "rootly-idp-sync.service"), directives(t, "rootly-idp-sync-once.service")
	for _, unit := range [][]string{daemon, once} {
		i := slices.IndexFunc(unit, func(l string) bool { return strings.HasPrefix(l, "ExecStart=") })
		command := strings.Fields(strings.TrimPrefix(unit[i], "ExecStart="))
		if command[0] != "/usr/bin/rootly-idp-sync" {
			t.Errorf("it runs %s, which is not where the packages put it", command[0])
		}
		accepts(t, command[1:])
	}
	// An older systemd takes a type it does not know for simple, and its watchdog then kills what it never heard of.
	if !slices.Contains(daemon, "Type=notify") {
		t.Error("the type of the daemon's unit is another one")
	}
	sandbox := func(unit []string) []string { return unit[slices.Index(unit, "User=rootly-idp-sync"):] }
	if diff := cmp.Diff(sandbox(daemon), sandbox(once)); diff != "" {
		t.Errorf("the units have different sandboxes (-daemon +once):\n%s", diff)
	}
	config := string(read(t, "systemd/rootly-idp-sync.yaml"))
	for _, env := range regexp.MustCompile(`Environment=(\S+)=%d/secrets_\S+`).FindAllStringSubmatch(config+strings.Join(daemon, "\n"), -1) {
		if !strings.HasSuffix(env[1], "_TOKEN_FILE") {
			t.Errorf("the variable %s is no file", env[1])
		}
	}
	validate(t, config, fromEnvironment...)
}
