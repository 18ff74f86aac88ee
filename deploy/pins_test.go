package deploy

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestActionsArePinned: a tag can be moved, a commit cannot. Dependabot raises both and needs the version beside it.
func TestActionsArePinned(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) < 4 {
		t.Fatalf("%v %v", files, err)
	}
	pinned := regexp.MustCompile(`^[a-z0-9./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	commits := map[string]string{}
	for _, name := range files {
		for _, m := range regexp.MustCompile(`(?m)^.*\buses: (.*)$`).FindAllStringSubmatch(string(read(t, name)), -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s: %s is not pinned by a commit with its version beside it", name, m[1])
			}
			action, commit, _ := strings.Cut(m[1], "@")
			if before := commits[action]; before != "" && before != commit {
				t.Errorf("%s: %s is used as %s and as %s", name, action, before, commit)
			}
			commits[action] = commit
		}
	}
}

// TestBasesArePinned: the two bases of the image are named by digest, and the first compiles with the Go of go.mod.
func TestBasesArePinned(t *testing.T) {
	bases := regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?([a-z]\S+) AS (\S+)$`).FindAllStringSubmatch(string(read(t, "../Dockerfile")), -1)
	pinned := regexp.MustCompile(`:[a-z0-9.-]+@sha256:[0-9a-f]{64}$`)
	for _, m := range bases {
		if !pinned.MatchString(m[1]) {
			t.Errorf("the base %s is not pinned", m[1])
		}
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)\b`).FindSubmatch(read(t, "../go.mod"))
	if len(bases) != 2 || !strings.HasPrefix(bases[0][1], "golang:"+string(version[1])+".") {
		t.Errorf("the bases are %q, go.mod wants Go %s", bases, version[1])
	}
}
