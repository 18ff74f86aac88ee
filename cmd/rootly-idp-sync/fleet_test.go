//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
)

// An organisation is one Rootly with its directory. Each replica has a token of its own there, which tells who wrote.
type organisation struct {
	name  string
	sim   *sim.Sim
	ends  sim.Endpoints
	front *httptest.Server

	mu      sync.Mutex
	writers map[string]int // by replica
	strays  []string       // writes by a replica that did not hold the lease when they came
}

// A fleet is several replicas of the real program that share organisations by a database.
type fleet struct {
	t      *testing.T
	dsn    string
	leases *store.Leases
	orgs   map[string]*organisation

	mu       sync.Mutex
	replicas map[string]*service
}

func newFleet(t *testing.T, orgs ...string) *fleet {
	pg := sharedPostgres(t)
	f := &fleet{t: t, dsn: pg.Database(t), orgs: map[string]*organisation{}, replicas: map[string]*service{}}
	var err error
	if f.leases, err = store.OpenLeases(t.Context(), func() string { return f.dsn }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.leases.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, name := range orgs {
		f.orgs[name] = f.organisation(name, uint64(i+1))
	}
	return f
}

func (f *fleet) organisation(name string, seed uint64) *organisation {
	cfg := sim.Config{Seed: seed, People: 25, Groups: 2, SCIM: sim.RootlyLike()}
	cfg.Okta.Token, cfg.SCIM.Token = "canary-okta-token", "canary-scim-token"
	o := &organisation{name: name, sim: sim.New(cfg), writers: map[string]int{}}
	var err error
	if o.ends, err = o.sim.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { o.sim.Close() })
	o.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(20 * time.Millisecond)})
	to, err := url.Parse(o.ends.SCIMURL)
	if err != nil {
		f.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, to.Host
		r.Out.Header.Set("Authorization", "Bearer "+o.ends.SCIMToken)
	}}
	o.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			f.wrote(o, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer canary-"))
		}
		proxy.ServeHTTP(w, r)
	}))
	f.t.Cleanup(o.front.Close)
	return o
}

// wrote notes who sent a write, and whether the database says at this moment that it leads.
func (f *fleet) wrote(o *organisation, replica string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	holder, err := f.leases.Holder(ctx, f.lease(o.name))
	f.mu.Lock()
	pid := fmt.Sprint(f.replicas[replica].cmd.Process.Pid)
	f.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writers[replica]++
	if err != nil || !slices.Contains(strings.FieldsFunc(holder, func(r rune) bool { return r < '0' || r > '9' }), pid) {
		o.strays = append(o.strays, fmt.Sprintf("%s (pid %s) wrote while %q held the lease, %v", replica, pid, holder, err))
	}
}

func (f *fleet) lease(org string) string { return "leader/rootly-idp-sync-" + org }

// holder is the replica that leads, "" for none.
func (f *fleet) holder(org string) string {
	holder, err := f.leases.Holder(f.t.Context(), f.lease(org))
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, s := range f.replicas {
		if slices.Contains(strings.FieldsFunc(holder, func(r rune) bool { return r < '0' || r > '9' }), fmt.Sprint(s.cmd.Process.Pid)) {
			return name
		}
	}
	return ""
}

// led are the organisations that a replica leads.
func (f *fleet) led(replica string) (orgs []string) {
	for name := range f.orgs {
		if f.holder(name) == replica {
			orgs = append(orgs, name)
		}
	}
	slices.Sort(orgs)
	return orgs
}

// configure writes the file of a pipeline into the directory of a replica.
func (f *fleet) configure(s *service, replica, org string) {
	o := f.orgs[org]
	s.write(org+"-token", "canary-"+replica)
	s.write("okta-token", o.ends.OktaToken)
	s.write("dsn", f.dsn)
	s.write(org+".yaml", fmt.Sprintf(`mode: apply
schedule: "@every 24h"
source: {okta: {org_url: %q, app_id: %s, api_token_file: okta-token}}
scope: {mode: assigned}
groups: {push: ["oncall-*"]}
target: {url: %q, token_file: %s-token, max_rate: 0, concurrency: 2}
state: {dsn_file: dsn}
ha: {mode: postgres, lease_duration: 5s, retry_period: 500ms}
`, o.ends.OktaURL, o.ends.AppID, o.front.URL+"/scim", org))
}

// start starts a replica with a pipeline for each organisation.
func (f *fleet) start(replica string, orgs ...string) *service {
	s := &service{t: f.t, dir: f.t.TempDir()}
	s.write("process.yaml", "http: {listen: '127.0.0.1:0'}\nhealth: {listen: '127.0.0.1:0', metrics: true}\n")
	for _, org := range orgs {
		f.configure(s, replica, org)
	}
	f.mu.Lock()
	s.launch("--config-dir", ".")
	f.replicas[replica] = s
	f.mu.Unlock()
	s.health = s.await("health is served")["address"].(string)
	s.page = s.await("the status page is served")["url"].(string)
	go func() {
		for range s.lines { // what is asked of the log is asked of its text from here on
		}
	}()
	return s
}

// until waits for something.
func (f *fleet) until(what string, done func() bool) {
	f.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			var logs strings.Builder
			for name, s := range f.replicas {
				fmt.Fprintf(&logs, "%s:\n%s\n", name, s.output())
			}
			f.t.Fatalf("not so: %s\n%s", what, logs.String())
		}
	}
}

// lines counts the lines of a replica's log about a pipeline with the message.
func lines(s *service, pipeline, message string) (n int) {
	for line := range strings.Lines(s.output()) {
		var got struct{ Msg, Pipeline string }
		if json.Unmarshal([]byte(line), &got) == nil && got.Pipeline == pipeline && got.Msg == message {
			n++
		}
	}
	return n
}

// settled wants each organisation to be as its directory is, as any of the replicas sees it.
func (f *fleet) settled(s *service, orgs ...string) {
	f.t.Helper()
	for _, org := range orgs {
		f.until(org+" is settled", func() bool {
			_, code := s.verb("plan", "--config-dir", ".", "--pipeline", org, "--detailed-exitcode")
			return code == 0
		})
	}
}

// oneWriter wants every write so far to have come from the replica that held the lease.
func (f *fleet) oneWriter() {
	f.t.Helper()
	for _, o := range f.orgs {
		o.mu.Lock()
		for _, stray := range o.strays {
			f.t.Errorf("%s: %s", o.name, stray)
		}
		o.mu.Unlock()
	}
}

func (o *organisation) writes() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, of := range o.writers {
		n += of
	}
	return n
}

func TestReplicasShareThePipelinesOfADirectory(t *testing.T) {
	t.Parallel()
	all := []string{"acme", "beta", "gamma", "delta"}
	f := newFleet(t, all...)
	one, two := f.start("one", all...), f.start("two", all...)
	three := f.start("three", all...)
	survivors := map[string]*service{"one": one, "two": two, "three": three}

	// Each organisation is written by one of them, and mid-cycle that one is killed.
	f.until("every organisation is written", func() bool {
		return !slices.ContainsFunc(all, func(org string) bool { return f.orgs[org].writes() < 5 })
	})
	victim := f.holder("acme")
	moved := f.led(victim)
	f.replicas[victim].signal(syscall.SIGKILL)
	_ = f.replicas[victim].cmd.Wait() // it was killed
	delete(survivors, victim)
	var rest []*service
	for _, s := range survivors {
		rest = append(rest, s)
	}
	f.until("the others lead what the one led that was killed", func() bool {
		return !slices.ContainsFunc(moved, func(org string) bool { return survivors[f.holder(org)] == nil })
	})
	f.settled(rest[0], all...)
	f.oneWriter()

	// A file that is broken stops nobody else. All run a cycle when they are asked to.
	for _, s := range rest {
		s.write("broken.yaml", "mode: apply\nschedule: never\n")
		f.until("the broken one is found", func() bool { return lines(s, "broken", "this pipeline does not run; the others do") > 0 })
	}
	ready, code := rest[0].verb("health", "--listen", rest[0].health)
	if code != 1 || !strings.Contains(ready, "broken: it does not run") || strings.Contains(ready, "acme: ") {
		t.Errorf("health ends with %d:\n%s", code, ready)
	}
	if status, code := rest[0].verb("status", "--config-dir", "."); code != 1 || !strings.Contains(status, "schedule (line 2) cannot be read") || !strings.Contains(status, "gamma") {
		t.Errorf("status ends with %d:\n%s", code, status)
	}
	live, err := http.Get("http://" + rest[0].health + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	live.Body.Close()
	if live.StatusCode != http.StatusOK {
		t.Errorf("/healthz: %s", live.Status)
	}
	ended := func() (n int) {
		for _, s := range rest {
			for _, org := range all {
				n += lines(s, org, "cycle ended")
			}
		}
		return n
	}
	before := ended()
	for _, s := range rest {
		s.signal(syscall.SIGUSR1)
	}
	f.until("each pipeline has run once more", func() bool { return ended() >= before+len(all) })

	// One is removed everywhere, and one is mended by another file in its place.
	for _, s := range rest {
		for _, name := range []string{"gamma.yaml", "broken.yaml"} {
			if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.until("the removed one has ended", func() bool { return f.holder("gamma") == "" })
	for _, s := range rest {
		f.until("the removed one has stopped", func() bool { return lines(s, "gamma", "stopped") > 0 })
	}
	for replica, s := range survivors {
		f.configure(s, replica, "gamma")
	}
	f.until("it is back", func() bool { return survivors[f.holder("gamma")] != nil })
	f.settled(rest[0], all...)

	// All end in good order, and nobody holds a lease.
	for _, s := range rest {
		s.signal(syscall.SIGTERM)
	}
	for _, s := range rest {
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("ended by %v:\n%s", err, s.output())
		}
		if strings.Contains(s.output(), "canary") {
			t.Errorf("a secret is in the log:\n%s", s.output())
		}
	}
	for _, org := range all {
		if holder, err := f.leases.Holder(t.Context(), f.lease(org)); err != nil || holder != "" {
			t.Errorf("%s is held by %q, %v", org, holder, err)
		}
	}
	f.oneWriter()
}

// TestAPausedReplicaWritesToNoOrganisation: when it wakes it has lost every lease, and begins anew as a standby in the same process.
func TestAPausedReplicaWritesToNoOrganisation(t *testing.T) {
	t.Parallel()
	all := []string{"acme", "beta"}
	f := newFleet(t, all...)
	first := f.start("one", all...)
	f.until("it writes to both", func() bool { return f.orgs["acme"].writes() > 4 && f.orgs["beta"].writes() > 4 })
	second := f.start("two", all...)
	first.signal(syscall.SIGSTOP)
	f.until("the other one leads both", func() bool { return len(f.led("two")) == 2 })
	f.settled(second, all...)
	before := f.orgs["acme"].writes() + f.orgs["beta"].writes()
	first.signal(syscall.SIGCONT)
	for _, org := range all {
		f.until("it has lost "+org, func() bool {
			return lines(first, org, "this replica no longer leads this pipeline: it has stopped writing, and stands for election anew") == 1
		})
		f.until("it stands by for "+org, func() bool { return lines(first, org, "standing by") == 2 })
	}
	if n := f.orgs["acme"].writes() + f.orgs["beta"].writes() - before; n != 0 {
		t.Errorf("it wrote %d times after it woke", n)
	}
	f.oneWriter()
	second.signal(syscall.SIGTERM)
	f.until("it leads again", func() bool { return len(f.led("one")) == 2 })
	first.signal(syscall.SIGTERM)
	for _, s := range []*service{first, second} {
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("ended by %v:\n%s", err, s.output())
		}
	}
}
