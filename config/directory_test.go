package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// inDirectory writes files and returns their directory.
func inDirectory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPipelinesAreTheFilesOfADirectory(t *testing.T) {
	dir := inDirectory(t, map[string]string{
		"zeta.yaml": "", "process.yaml": "", ".hidden.yaml": "", "notes.txt": "", "token": "", "people.json": "", "folder.yaml/x": "", "old.yml": "",
		"..2026_11_22/acme.yaml": "",
	})
	// As kubelet mounts a ConfigMap.
	for link, to := range map[string]string{"..data": "..2026_11_22", "acme.yaml": "..data/acme.yaml", "broken.yaml": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Pipelines(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"acme", "broken", "old.yml", "zeta"}, got); diff != "" {
		t.Errorf("pipelines (-want +got):\n%s", diff)
	}
	if _, err := Pipelines(filepath.Join(dir, "nowhere")); err == nil || !strings.Contains(err.Error(), "--config-dir names a directory") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestAProcessAndItsPipelinesEachHaveTheirKeys(t *testing.T) {
	const pipeline = goodSource + goodScope + goodTarget + "state: {dsn: 'postgres://app@db/sync'}\n"
	ha := pipeline + "ha: {mode: postgres, lease: sync}\n"
	long := strings.Repeat("x", 40)
	tests := map[string]struct {
		files map[string]string
		name  string
		env   []string
		want  string // of the error, "" for none
	}{
		"whole":               {files: map[string]string{"acme.yaml": pipeline}, name: "acme"},
		"with a process":      {files: map[string]string{"acme.yaml": pipeline, "process.yaml": "http: {listen: ''}\nhealth: {listen: ':9', metrics: true}\n"}, name: "acme"},
		"http by environment": {files: map[string]string{"acme.yaml": pipeline}, name: "acme", env: []string{"ROOTLY_IDP_SYNC_HTTP_LISTEN=127.0.0.1:9"}},
		"misplaced http":      {files: map[string]string{"acme.yaml": pipeline + "http: {listen: ''}\n"}, name: "acme", want: "http (line 5) belongs to the process, which has it once for all pipelines; write it into "},
		"misplaced health":    {files: map[string]string{"acme.yaml": "health: {listen: ':1'}\n" + pipeline}, name: "acme", want: "health (line 1) belongs to the process"},
		"misplaced source":    {files: map[string]string{"acme.yaml": pipeline, "process.yaml": goodSource}, name: "acme", want: "source (line 1) belongs to a pipeline; write it into the pipelines' files"},
		"wrong in process":    {files: map[string]string{"acme.yaml": pipeline, "process.yaml": "http: {listen: ':80'}\n"}, name: "acme", want: "http.listen (line 1) can be reached by others"},
		"unknown in process":  {files: map[string]string{"acme.yaml": pipeline, "process.yaml": "htp: {}\n"}, name: "acme", want: "htp (line 1) is not a key"},
		"no such":             {files: map[string]string{"acme.yaml": pipeline}, name: "beta", want: "no pipeline beta"},
		"no name":             {files: map[string]string{"Acme_1.yaml": pipeline}, name: "Acme_1", want: `"Acme_1" is no name of a pipeline (name its file with lower-case letters`},
		"another ending":      {files: map[string]string{"acme.yml": pipeline}, name: "acme.yml", want: "is no pipeline (name the file acme.yaml)"},
		"the process":         {files: map[string]string{"process.yaml": ""}, name: "process", want: "is no pipeline: it says what the process has once"},
		"a lease":             {files: map[string]string{"acme.yaml": ha}, name: "acme"},
		"too long a lease":    {files: map[string]string{long + ".yaml": strings.ReplaceAll(ha, "lease: sync", "lease: rootly-idp-sync-production")}, name: long, want: "is longer than the 63 characters of a lease; write a shorter ha.lease"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := inDirectory(t, tc.files)
			env := environment(append(tc.env, "ROOTLY_SCIM_TOKEN=x")...)
			process, err := LoadProcess(dir, env)
			var cfg *Config
			if err == nil {
				cfg, err = LoadPipeline(dir, tc.name, process, env)
			}
			switch {
			case tc.want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Fatalf("err = %v, want one that says %q", err, tc.want)
			case tc.want != "":
				return
			}
			if cfg.Pipeline != tc.name || cfg.HTTP.Listen != process.HTTP.Listen || cfg.Health != process.Health {
				t.Errorf("pipeline %q, http %+v, health %+v, and of the process %+v, %+v", cfg.Pipeline, cfg.HTTP, cfg.Health, process.HTTP, process.Health)
			}
			if want := map[bool]string{true: "sync-acme"}[cfg.HA.Mode == HAPostgres]; cfg.HA.Lease != want {
				t.Errorf("lease %q, want %q", cfg.HA.Lease, want)
			}
		})
	}
}
