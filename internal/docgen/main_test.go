package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPagesAndCompletionsAreWrittenTheSameTwice(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if err := write(dir); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"man/rootly-idp-sync.1":             "rootly-idp-sync-plan",
		"man/rootly-idp-sync-run.1":         "SIGTERM",
		"man/rootly-idp-sync-escrow-list.1": "escrow",
		"completions/rootly-idp-sync.bash":  "__start_rootly-idp-sync",
		"completions/rootly-idp-sync.fish":  "complete -c rootly-idp-sync",
		"completions/_rootly-idp-sync":      "#compdef rootly-idp-sync",
	} {
		a, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ReplaceAll(string(a), `\-`, "-"), want) || string(a) != string(b) {
			t.Errorf("%s lacks %q, or differs between two runs", name, want)
		}
	}
}
