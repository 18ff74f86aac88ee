// Package deploy holds tests of what is in this folder: that the workloads are as unprivileged as they claim, that the
// binary accepts the arguments and the configurations they carry, and that the chart, the alerts and the dashboard fit
// the code.
package deploy

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	_ "github.com/rootly-idp-sync/rootly-idp-sync/internal/app" // so that a changed command line is no cached result
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// binary is the program, built without the Graph SDK.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "deploy-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rootly-idp-sync")
	build := exec.Command("go", "build", "-tags", "noentra", "-ldflags=-s -w", "-o", binary, "../cmd/rootly-idp-sync")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	return m.Run()
}

// read returns a file of this folder.
func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// decode reads all documents of a YAML file strictly into T.
func decode[T any](t *testing.T, name string, data []byte, strict bool) []T {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(strict)
	var out []T
	for {
		var v T
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, v)
	}
}

// accepts holds the arguments of a container against the flags of the binary, without running the command.
func accepts(t *testing.T, args []string) {
	t.Helper()
	if out, err := exec.Command(binary, append(args, "--help")...).CombinedOutput(); err != nil {
		t.Errorf("%q: %v\n%s", args, err, out)
	}
}

// mounted are the files that a configuration may name: those in the folders where secrets and certificates are mounted.
var mounted = regexp.MustCompile(`/(?:run/)?(?:secrets|ca)/[a-z./-]+`)

// validate has the binary check a configuration whose files and variables are there. Variables are env on top.
func validate(t *testing.T, config string, env ...string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rootly-idp-sync.yaml")
	place(t, path, config)
	validates(t, env, "--config", path)
}

// validateAll is validate of a directory with a pipeline in each file but process.yaml.
func validateAll(t *testing.T, configs map[string]string, env ...string) {
	t.Helper()
	dir := t.TempDir()
	for file, config := range configs {
		place(t, filepath.Join(dir, file), config)
	}
	validates(t, env, "--config-dir", dir)
}

// place writes a configuration, and the files that it has mounted beside it.
func place(t *testing.T, path, config string) {
	t.Helper()
	dir := filepath.Dir(path)
	config = mounted.ReplaceAllStringFunc(config, func(path string) string {
		to := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content(path), 0o400); err != nil && !errors.Is(err, os.ErrPermission) {
			t.Fatal(err)
		}
		return to
	})
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

func validates(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"validate"}, args...)...)
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// content is what stands in a file of the kind.
func content(path string) []byte {
	switch {
	case strings.HasSuffix(path, ".pem"):
		srv := httptest.NewTLSServer(http.NotFoundHandler())
		defer srv.Close()
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	case strings.HasSuffix(path, ".json"):
		return []byte(sim.GoogleKeyFile("https://oauth2.example"))
	case strings.HasSuffix(path, "dsn"):
		return []byte("postgres://sync:secret@127.0.0.1:5432/sync")
	}
	return []byte("a-secret-that-is-long-enough-for-a-page-" + filepath.Base(path) + "\n") // no two organisations have the same token
}

// fromEnvironment are the variables of a Secret that is given as the environment.
var fromEnvironment = []string{"OKTA_API_TOKEN=secret", "ROOTLY_SCIM_TOKEN=secret", "STATE_DSN=postgres://sync:secret@127.0.0.1:5432/sync"}

func TestVersionsAgree(t *testing.T) {
	chart := decode[struct {
		Version    string `yaml:"version"`
		AppVersion string `yaml:"appVersion"`
	}](t, "Chart.yaml", read(t, "helm/rootly-idp-sync/Chart.yaml"), false)[0]
	if chart.Version != chart.AppVersion {
		t.Errorf("the chart %s runs the program %s", chart.Version, chart.AppVersion)
	}
	tag := regexp.MustCompile(`(?:newTag: |rootly-idp-sync/rootly-idp-sync:)([0-9][0-9.]*)`)
	files, err := filepath.Glob("kubernetes/overlays/*/kustomization.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, name := range append(files, "compose/compose.yaml", "compose/organisations.yaml") {
		if m := tag.FindSubmatch(read(t, name)); m == nil || string(m[1]) != chart.AppVersion {
			t.Errorf("%s runs %q, the chart %s", name, m, chart.AppVersion)
		}
	}
}
