package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFormulaHasEachArchive: a platform without a checksum is no formula at all, rather than one that fails to install.
func TestFormulaHasEachArchive(t *testing.T) {
	var sums []string
	for i, platform := range []string{"darwin_arm64", "darwin_amd64", "linux_arm64", "linux_amd64"} {
		sums = append(sums, fmt.Sprintf("%064d  rootly-idp-sync_1.2.3_%s.tar.gz", i, platform))
	}
	formula := func(sums []string) (string, error) {
		path := filepath.Join(t.TempDir(), "checksums.txt")
		if err := os.WriteFile(path, []byte(strings.Join(sums, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("homebrew/formula", "1.2.3", path).CombinedOutput()
		return string(out), err
	}
	got, err := formula(sums)
	if err != nil {
		t.Fatalf("%v\n%s", err, got)
	}
	for _, line := range sums {
		sum, name, _ := strings.Cut(line, "  ")
		want := fmt.Sprintf("url \"https://github.com/rootly-idp-sync/rootly-idp-sync/releases/download/v1.2.3/%s\"\n      sha256 %q\n", name, sum)
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if got, err := formula(sums[1:]); err == nil || !strings.Contains(got, "has no rootly-idp-sync_1.2.3_darwin_arm64.tar.gz") {
		t.Errorf("without an archive: %v\n%s", err, got)
	}
}
