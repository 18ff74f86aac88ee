package config

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzLoad holds that any file is a configuration or an error without a secret in it, that each problem of it is one line
// for people with the way on, that reading again finds the same, and that what was accepted is printed as a file that is
// accepted.
func FuzzLoad(f *testing.F) {
	f.Add("c.yaml", Example())
	f.Add("c.json", []byte(`{"target": {"url": "http://[::1]/", "token": "${T}"}, "schedule": "CRON_TZ=UTC * * * * *"}`))
	f.Add("c.toml", []byte("[guard.groups]\nshare = 1979-05-27\n"))
	f.Add("c.yaml", []byte("a: &a {b: *a}\nscope: *a\nguard: {groups: {share: .nan}}\n? [x]\n: y\nmap: !!binary x\n"))
	f.Add("c.yaml", []byte(goodSource+goodScope+goodTarget+"state: none\nremovals: never\n"))
	f.Add("c.yaml", []byte(goodSource+goodScope+goodTarget+"notify: {slack: {url: '${T}'}}\nhttp: {listen: ':1'}\nha: {mode: postgres}\n"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		env := environment("T="+canary, tokens[0], tokens[1])
		cfg, err := load(name, data, env)
		if strings.Contains(errText(err), canary) {
			t.Fatalf("a secret is in the error: %v", err)
		}
		problems, _ := errors.AsType[Problems](err)
		for _, p := range problems {
			if p.Path == "" && p.Line == 0 || p.Text == "" || p.Remedy == "" || !printed(p.Error()) {
				t.Errorf("no problem for people: %#v", p)
			}
		}
		if again, err2 := load(name, data, env); errText(err2) != errText(err) || (again == nil) != (cfg == nil) {
			t.Errorf("read again: %v, first %v", err2, err)
		}
		if cfg == nil {
			return
		}
		text, yamlErr := cfg.YAML()
		if yamlErr != nil || bytes.Contains(text, []byte(canary)) {
			t.Fatalf("the effective configuration does not print: %v\n%s", yamlErr, text)
		}
		if err == nil && secretFiles(cfg) == 0 {
			back, err := load("printed.yaml", text, env)
			if err != nil {
				t.Fatalf("what is printed is refused: %v\n%s", err, text)
			}
			twice, err := back.YAML()
			if diff := cmp.Diff(string(text), string(twice)); diff != "" || err != nil {
				t.Errorf("what is printed means something else (-want +got): %v\n%s", err, diff)
			}
		}
	})
}

// printed tells whether text is one line that a terminal shows as it is.
func printed(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// secretFiles counts the secrets that come from a file: printed beside its path, each would be given twice.
func secretFiles(c *Config) (n int) {
	text, _ := c.YAML()
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), ": "); strings.HasSuffix(key, "_file") && value != "" {
			n++
		}
	}
	return n
}
