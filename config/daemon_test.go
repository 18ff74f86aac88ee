package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFingerprintDiffersWithWhateverChanges(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "c.yaml")
	read := func(more string) *Config {
		t.Helper()
		text := goodSource + goodScope + "target: {url: https://rootly.com/scim, token_file: token}\n" + more
		cfg, err := load(path, []byte(text), environment())
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	write("token", "one")
	first := read("")
	if diff := cmp.Diff([]string{filepath.Join(dir, "token")}, first.Files()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if again := read(""); again.Fingerprint() != first.Fingerprint() {
		t.Error("the same configuration has two fingerprints")
	}
	if other := read("guard: {renames: {floor: 4}}\n"); other.Fingerprint() == first.Fingerprint() {
		t.Error("another limit has the same fingerprint")
	}
	before := first.Fingerprint()
	write("token", "two")
	if read("").Fingerprint() == before {
		t.Error("another token has the same fingerprint")
	}
}
