//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A service is the real program running as the daemon against a simulated company.
type service struct {
	t       *testing.T
	sim     *sim.Sim
	ends    sim.Endpoints
	dir     string
	cmd     *exec.Cmd
	lines   chan map[string]any // of the log; closed at the end
	health  string              // the address of the probes
	page    string              // the address of the status page
	mu      sync.Mutex
	printed bytes.Buffer // all of standard error

	concurrency int // of writes; 1 keeps their order
}

// patience is how long a test waits for something that takes milliseconds.
const patience = 60 * time.Second

func newService(t *testing.T, people int) *service {
	s := &service{t: t, dir: t.TempDir(), concurrency: 1}
	cfg := sim.Config{Seed: 1, People: people, Groups: 3, SCIM: sim.RootlyLike()}
	cfg.Okta.Token, cfg.SCIM.Token = "canary-okta-token", "canary-scim-token"
	s.sim = sim.New(cfg)
	var err error
	if s.ends, err = s.sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.sim.Close() })
	s.write("okta-token", s.ends.OktaToken)
	s.write("scim-token", s.ends.SCIMToken)
	s.configure("mode: apply")
	return s
}

// configure writes a configuration with more keys, which a rename puts in its place.
func (s *service) configure(more string) {
	s.write("rootly-idp-sync.yaml", fmt.Sprintf(`%s
schedule: "@every 24h"
health: {listen: "127.0.0.1:0", metrics: true}
http: {listen: "127.0.0.1:0"}
source: {okta: {org_url: %q, app_id: %s, api_token_file: okta-token}}
scope: {mode: assigned}
groups: {push: ["oncall-*"]}
target: {url: %q, token_file: scim-token, max_rate: 0, concurrency: %d}
`, more, s.ends.OktaURL, s.ends.AppID, s.ends.SCIMURL, s.concurrency))
}

func (s *service) write(name, text string) {
	s.t.Helper()
	tmp := filepath.Join(s.dir, name+".new")
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the program and waits until it says that it has.
func (s *service) start(args ...string) {
	s.t.Helper()
	s.launch(args...)
	s.health = s.await("health is served")["address"].(string)
	s.page = s.await("the status page is served")["url"].(string)
	s.await("started")
}

// launch starts the program.
func (s *service) launch(args ...string) {
	s.t.Helper()
	s.cmd = exec.CommandContext(s.t.Context(), "rootly-idp-sync", append([]string{"run", "--log-level", "debug"}, args...)...)
	s.cmd.Dir, s.cmd.Env = s.dir, withGC(s.cmd.Environ())
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.lines = make(chan map[string]any, 10_000)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(s.lines)
		scan := bufio.NewScanner(stderr)
		for scan.Scan() {
			s.mu.Lock()
			fmt.Fprintln(&s.printed, scan.Text())
			s.mu.Unlock()
			var line map[string]any
			if err := json.Unmarshal(scan.Bytes(), &line); err != nil {
				s.t.Errorf("a line of the log is no JSON: %s", scan.Text())
			}
			s.lines <- line
		}
	}()
}

// await returns the next line with the message.
func (s *service) await(message string) map[string]any {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				s.t.Fatalf("the daemon ended without %q:\n%s", message, s.output())
			}
			if line["msg"] == message {
				return line
			}
		case <-deadline:
			s.t.Fatalf("no %q in the log:\n%s", message, s.output())
		}
	}
}

func (s *service) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.printed.String()
}

// writes waits until Rootly was asked for so many changes.
func (s *service) writes(n int) {
	s.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for s.sim.Log.CountWrites() < n {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("%d writes, want %d:\n%s", s.sim.Log.CountWrites(), n, s.output())
		}
	}
}

func (s *service) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ended waits for the end and returns the exit code. No secret may have been printed by then.
func (s *service) ended() int {
	s.t.Helper()
	for range s.lines {
	}
	err := s.cmd.Wait()
	if strings.Contains(s.output(), "canary") {
		s.t.Error("a secret is in the log")
	}
	if err != nil && s.cmd.ProcessState.ExitCode() < 0 {
		s.t.Errorf("ended by %v:\n%s", err, s.output())
	}
	return s.cmd.ProcessState.ExitCode()
}

// verb runs another command in the same place.
func (s *service) verb(args ...string) (out string, code int) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), "rootly-idp-sync", args...)
	cmd.Dir, cmd.Env = s.dir, withGC(cmd.Environ())
	text, _ := cmd.CombinedOutput()
	return string(text), cmd.ProcessState.ExitCode()
}

// withGC is an environment for a program that lives for moments.
func withGC(env []string) []string { return append(env, fmt.Sprintf("GOGC=%d", gcPercent)) }

func (s *service) status() string {
	s.t.Helper()
	out, code := s.verb("status")
	if code != 0 {
		s.t.Fatalf("status: %d\n%s", code, out)
	}
	return out
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is missing in:\n%s", p, text)
		}
	}
}

func TestServiceStopsInMidCycle(t *testing.T) {
	t.Parallel()
	s := newService(t, 30)
	s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(50 * time.Millisecond)})
	s.start()
	s.writes(5)
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.output())
	}
	wants(t, s.output(), `"msg":"stopping: requests under way`, `"result":"interrupted"`, `"msg":"change","cycle":1,"outcome":"done"`)
	s.sim.Faults.Clear()
	status := s.status()
	wants(t, status, "interrupted", "stopped ", "mode apply")
	if strings.Contains(status, "Outcome unknown") {
		t.Errorf("what was in flight was not recorded:\n%s", status)
	}
	s.start()
	if line := s.await("cycle ended"); line["result"] != "good" {
		t.Errorf("after the next start: %v", line)
	}
	if out, code := s.verb("plan", "--detailed-exitcode"); code != 0 {
		t.Errorf("there is more to do: %d\n%s", code, out)
	}
	s.signal(syscall.SIGINT)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := newService(t, 5)
	s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Fault: sim.Latency(30 * time.Second)})
	s.start()
	s.writes(1)
	s.signal(syscall.SIGTERM)
	s.await("stopping: requests under way are finished, the rest is recorded for the next run")
	before := time.Now()
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(before); took > 10*time.Second {
		t.Errorf("ending at once took %s", took)
	}
	s.sim.Faults.Clear()
	wants(t, s.status(), "Outcome unknown")
}

func TestGraceBoundsTheStop(t *testing.T) {
	t.Parallel()
	s := newService(t, 5)
	s.configure("mode: apply\ngrace: 1s")
	s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Method: http.MethodPost, Fault: sim.Latency(30 * time.Second)})
	s.start()
	s.writes(1)
	before := time.Now()
	s.signal(syscall.SIGTERM)
	code := s.ended()
	if took := time.Since(before); code != 0 || took > 10*time.Second {
		t.Errorf("exit code %d after %s:\n%s", code, took, s.output())
	}
	s.sim.Faults.Clear()
	wants(t, s.status(), "Outcome unknown") // recorded as such: the next start looks it up
}

func TestSignalsRunAndReload(t *testing.T) {
	t.Parallel()
	s := newService(t, 10)
	s.start()
	s.await("cycle ended")

	if _, err := s.sim.Company.Join(sim.Person{Login: "new@acme.example", Email: "new@acme.example", FirstName: "New", LastName: "Person", Direct: true, Status: sim.StatusActive}); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGUSR1)
	if line := s.await("cycle ended"); line["done"] != 1.0 || line["result"] != "good" {
		t.Errorf("after SIGUSR1: %v", line)
	}

	s.configure("mode: both")
	s.signal(syscall.SIGHUP)
	if line := s.await("the changed configuration cannot be used, the running one stays"); !strings.Contains(line["error"].(string), "write observe or apply") {
		t.Errorf("after SIGHUP with a bad file: %v", line)
	}
	s.configure("mode: apply\nrun_at_start: false")
	s.signal(syscall.SIGHUP)
	if line := s.await("configuration reloaded"); line["changed"] != true {
		t.Errorf("after SIGHUP with a good file: %v", line)
	}
	wants(t, s.status(), "mode apply, next cycle")

	s.configure("mode: observe")
	s.signal(syscall.SIGHUP)
	s.await("configuration reloaded")
	before := s.sim.Log.CountWrites()
	if err := s.sim.Company.Leave("new@acme.example"); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGUSR1)
	if line := s.await("cycle ended"); line["result"] != "observed" || line["planned"] != 1.0 || line["done"] != 0.0 {
		t.Errorf("in mode observe: %v", line)
	}
	if n := s.sim.Log.CountWrites() - before; n != 0 {
		t.Errorf("%d writes in mode observe", n)
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestRotatedSecretIsUsed: the token in a file is replaced and the old one revoked, and nobody sends a signal.
func TestRotatedSecretIsUsed(t *testing.T) {
	t.Parallel()
	s := newService(t, 5)
	s.start()
	s.await("cycle ended")
	s.sim.SCIM.SetOptions(func(o *sim.SCIMOptions) { o.Token = "canary-rotated" })
	s.signal(syscall.SIGUSR1)
	if line := s.await("in quarantine: cycles are rare until one succeeds"); line["cause"] != "credentials" {
		t.Errorf("with the old token: %v", line)
	}
	s.await("cycle ended")
	wants(t, s.status(), "In quarantine since", "credentials: ")
	out, code := s.verb("health", "--listen", s.health)
	if code != 0 {
		t.Errorf("health in a young quarantine: %d %s", code, out)
	}

	s.write("scim-token", "canary-rotated")
	s.await("configuration reloaded")
	if line := s.await("cycle ended"); line["result"] != "good" {
		t.Errorf("with the new token: %v", line)
	}
	if status := s.status(); strings.Contains(status, "In quarantine") {
		t.Errorf("status:\n%s", status)
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestMountedConfigurationIsReloaded does what the kubelet does: ..data is swapped, nothing else.
func TestMountedConfigurationIsReloaded(t *testing.T) {
	t.Parallel()
	s := newService(t, 5)
	swap := func(version, more string) {
		t.Helper()
		s.configure(more)
		if err := os.Mkdir(filepath.Join(s.dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(s.dir, "rootly-idp-sync.yaml"), filepath.Join(s.dir, version, "rootly-idp-sync.yaml")); err != nil {
			t.Fatal(err)
		}
		for _, link := range [][2]string{{version, "..data"}, {"..data/rootly-idp-sync.yaml", "rootly-idp-sync.yaml"}} {
			tmp := filepath.Join(s.dir, "link")
			if err := os.Symlink(link[0], tmp); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(tmp, filepath.Join(s.dir, link[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap("..1", "mode: apply")
	s.start()
	s.await("cycle ended")
	swap("..2", "mode: nonsense")
	s.await("the changed configuration cannot be used, the running one stays")
	out, code := s.verb("health", "--listen", s.health, "--output", "json")
	if code != 1 {
		t.Errorf("health with a bad configuration on disk: %d", code)
	}
	wants(t, out, `"configuration": false`, `"ready": false`)
	swap("..3", "mode: observe")
	if line := s.await("configuration reloaded"); line["mode"] != "observe" {
		t.Errorf("after the second swap: %v", line)
	}
	if out, code := s.verb("health", "--listen", s.health); code != 0 {
		t.Errorf("health: %d %s", code, out)
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestRunServesItsPage: the daemon's page, API and metrics tell of the cycle that it ran, and of the configuration that a
// reload brought.
func TestRunServesItsPage(t *testing.T) {
	t.Parallel()
	s := newService(t, 60)
	s.start()
	s.await("cycle ended")
	get := func(url string) string {
		t.Helper()
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v\n%s", url, answer.Status, err, body)
		}
		return string(body)
	}
	for url, want := range map[string]string{
		s.page + "/": "Last cycles", s.page + "/people": "acme.example", s.page + "/api/v1/cycles": `"result":"good"`, s.page + "/config": "@every 24h",
		"http://" + s.health + "/metrics": `rootly_idp_sync_requests_total{method="POST",side="target",status="201"}`,
	} {
		if body := get(url); !strings.Contains(body, want) {
			t.Errorf("%s lacks %q:\n%s", url, want, body)
		}
	}
	s.configure("mode: observe\njitter: 1%")
	s.await("configuration reloaded")
	if body := get(s.page + "/config"); !strings.Contains(body, "mode: observe") {
		t.Errorf("after the reload:\n%s", body)
	}
}
