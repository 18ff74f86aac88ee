package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A request is one to Rootly, as it arrived.
type request struct {
	replica    string
	method     string
	start, end time.Time // end is zero for one that was not answered
}

func (r request) writes() bool { return r.method != http.MethodGet }

// A world is one installation: a company, a Rootly, a database, a Lease and the replicas that compete for it.
type world struct {
	t        *testing.T
	cluster  *Cluster
	ends     sim.Endpoints
	dsn      string
	lease    string
	token    string
	times    timing
	latency  time.Duration // of a write
	most     int           // writes of a replica before the fall; those after them wait for it
	fell     chan struct{}
	replicas []*replica

	mu       sync.Mutex
	requests []*request
	terms    []term // as the Lease told them
}

type timing struct{ lease, deadline, retry time.Duration }

// A term is the time from when one replica took the Lease.
type term struct {
	holder string // the replica
	since  time.Time
}

const (
	namespace = "sync"
	people    = 300
)

func newWorld(t *testing.T, cluster *Cluster, dsn, lease string, times timing, latency time.Duration) *world {
	w := &world{t: t, fell: make(chan struct{}), cluster: cluster, dsn: dsn, lease: lease, times: times, latency: latency, token: cluster.account(t, namespace, lease)}
	company := sim.New(sim.Config{Seed: 1, People: people, Groups: 10, SCIM: sim.RootlyLike()})
	var err error
	if w.ends, err = company.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { company.Close() })
	stop, done := make(chan struct{}), make(chan struct{})
	go w.observe(stop, done)
	t.Cleanup(func() { close(stop); <-done })
	for i := range 3 {
		w.replicas = append(w.replicas, newReplica(w, fmt.Sprintf("replica-%d", i+1)))
	}
	return w
}

// observe notes each change of the Lease's holder, with the time that the holder itself gave before it asked for it.
func (w *world) observe(stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		var lease struct {
			Spec struct {
				HolderIdentity string
				AcquireTime    time.Time
			}
		}
		status, body, err := w.cluster.send(http.MethodGet, "/apis/coordination.k8s.io/v1/namespaces/"+namespace+"/leases/"+w.lease, nil)
		if err != nil || status != http.StatusOK || json.Unmarshal(body, &lease) != nil || lease.Spec.HolderIdentity == "" {
			continue
		}
		holder, _, _ := strings.Cut(lease.Spec.HolderIdentity, "_")
		w.mu.Lock()
		if n := len(w.terms); n == 0 || w.terms[n-1].holder != holder {
			w.terms = append(w.terms, term{holder, lease.Spec.AcquireTime})
		}
		w.mu.Unlock()
	}
}

func (w *world) history() []term {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]term(nil), w.terms...)
}

// leader waits until a replica other than the one named leads.
func (w *world) leader(other string, limit time.Duration) (*replica, term) {
	w.t.Helper()
	var now term
	if !within(limit, func() bool {
		h := w.history()
		if len(h) == 0 || h[len(h)-1].holder == other {
			return false
		}
		now = h[len(h)-1]
		return true
	}) {
		w.t.Fatalf("nobody took over from %q within %s:\n%s", other, limit, w.logs())
	}
	for _, r := range w.replicas {
		if r.name == now.holder {
			return r, now
		}
	}
	w.t.Fatalf("an unknown %q leads", now.holder)
	return nil, term{}
}

// sent are the requests so far, those of one replica or of all.
func (w *world) sent(replica string) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []request
	for _, r := range w.requests {
		if replica == "" || r.replica == replica {
			out = append(out, *r)
		}
	}
	return out
}

func (w *world) writes(replica string) int {
	n := 0
	for _, r := range w.sent(replica) {
		if r.writes() {
			n++
		}
	}
	return n
}

// checkWriters proves that each write began after its replica took the Lease and before another one did.
func (w *world) checkWriters() (checked int) {
	w.t.Helper()
	terms := w.history()
	for _, r := range w.sent("") {
		if !r.writes() {
			continue
		}
		checked++
		holder := ""
		for _, term := range terms {
			if !r.start.Before(term.since) {
				holder = term.holder
			}
		}
		if holder != r.replica {
			w.t.Errorf("%s of %s at %s, when %q held the Lease: %v", r.method, r.replica, r.start.Format(time.StampMicro), holder, terms)
		}
	}
	return checked
}

func (w *world) logs() string {
	var out strings.Builder
	for _, r := range w.replicas {
		text := r.output()
		fmt.Fprintf(&out, "%s:\n%s\n", r.name, text[max(0, len(text)-3000):])
	}
	return out.String()
}

// A replica is one process of the program with a way of its own to Rootly and to the API server.
type replica struct {
	*world
	name   string
	dir    string
	proxy  string // to Rootly
	wire   *wire  // to the API server
	cmd    *exec.Cmd
	ended  chan struct{}
	began  time.Time
	mu     sync.Mutex
	stderr bytes.Buffer
	ready  time.Duration // from the start until it stood by
}

func newReplica(w *world, name string) *replica {
	t := w.t
	r := &replica{world: w, name: name, dir: t.TempDir(), wire: newWire(t, w.cluster.Address), ended: make(chan struct{})}
	rootly, err := url.Parse(w.ends.SCIMURL)
	if err != nil {
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0) // a replica that is killed breaks its connections
	forward := &httputil.ReverseProxy{ErrorLog: quiet, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(&url.URL{Scheme: rootly.Scheme, Host: rootly.Host}) }}
	server, err := sim.Serve(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		entry := &request{replica: name, method: in.Method, start: time.Now()}
		w.mu.Lock()
		w.requests = append(w.requests, entry)
		w.mu.Unlock()
		if entry.writes() {
			if w.writes(name) > w.most {
				<-w.fell
			}
			timer := time.NewTimer(w.latency)
			<-timer.C
		}
		forward.ServeHTTP(out, in)
		w.mu.Lock()
		entry.end = time.Now()
		w.mu.Unlock()
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	r.proxy = server.URL
	kubeconfig, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "https://" + r.wire.address, "certificate-authority-data": w.cluster.CA}}},
		"users":    []any{map[string]any{"name": "c", "user": map[string]any{"token": w.token}}},
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "c", "namespace": namespace}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.write("kubeconfig", string(kubeconfig))
	r.write("okta-token", w.ends.OktaToken)
	r.write("scim-token", w.ends.SCIMToken)
	r.write("dsn", w.dsn)
	r.write("rootly-idp-sync.yaml", fmt.Sprintf(`mode: apply
schedule: "@every 24h"
health: {listen: "127.0.0.1:0"}
source: {okta: {org_url: %q, app_id: %s, api_token_file: okta-token}}
scope: {mode: assigned}
groups: {push: ["oncall-*"]}
target: {url: %q, allow_http: true, token_file: scim-token, max_rate: 0, concurrency: 1}
state: {dsn_file: dsn}
ha: {mode: kubernetes, lease: %s, kubeconfig: kubeconfig, lease_duration: %s, renew_deadline: %s, retry_period: %s}
`, w.ends.OktaURL, w.ends.AppID, "http://rootly.test"+rootly.Path, w.lease, w.times.lease, w.times.deadline, w.times.retry))
	return r
}

func (r *replica) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// command is the program with this replica's surroundings.
func (r *replica) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+r.proxy, "POD_NAME="+r.name)
	return cmd
}

func (r *replica) start() {
	r.t.Helper()
	r.cmd = r.command("run", "--log-format", "json")
	r.cmd.Stderr = r
	r.began = time.Now()
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.ended) }() // how it ended is in ProcessState
	r.t.Cleanup(func() { _ = r.cmd.Process.Kill(); <-r.ended })
}

// Write takes what the replica logs.
func (r *replica) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready == 0 && bytes.Contains(p, []byte("standing by")) {
		r.ready = time.Since(r.began)
	}
	return r.stderr.Write(p)
}

func (r *replica) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

// code waits for the replica's end and returns its exit code.
func (r *replica) code(limit time.Duration) int {
	r.t.Helper()
	select {
	case <-r.ended:
		return r.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		r.t.Fatalf("%s has not ended after %s:\n%s", r.name, limit, r.logs())
		return 0
	}
}

func (r *replica) signal(sig os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(sig); err != nil {
		r.t.Fatal(err)
	}
}

// anonymous is the memory that the replica alone pays for.
func (r *replica) anonymous() string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	_, rest, _ := strings.Cut(string(data), "RssAnon:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// A wire forwards connections, until it hangs: connections stay open, and nothing passes any more.
type wire struct {
	address string

	mu   sync.Mutex
	free *sync.Cond
	hung bool
	over bool
}

func newWire(t *testing.T, to string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String()}
	w.free = sync.NewCond(&w.mu)
	var open sync.WaitGroup
	var conns []net.Conn
	open.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			w.mu.Lock()
			conns = append(conns, in, out)
			w.mu.Unlock()
			open.Go(func() { w.pass(out, in) })
			open.Go(func() { w.pass(in, out) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		w.over = true
		for _, c := range conns {
			c.Close()
		}
		w.mu.Unlock()
		w.free.Broadcast()
		open.Wait()
	})
	return w
}

func (w *wire) pass(to io.WriteCloser, from io.Reader) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		for w.hung && !w.over {
			w.free.Wait()
		}
		w.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (w *wire) hang() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hung = true
}
