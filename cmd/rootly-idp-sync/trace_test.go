//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/app"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A traced run is the program in this process against a simulated company, with a collector beside it.
type traced struct {
	t      *testing.T
	sim    *sim.Sim
	config string

	mu    sync.Mutex
	spans []*tracepb.Span
}

func newTraced(t *testing.T) *traced {
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
	tr := &traced{t: t, sim: sim.New(sim.Config{Seed: 3, People: 40, Groups: 3, SCIM: sim.RootlyLike()})}
	ends, err := tr.sim.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.sim.Close() })
	tr.config = filepath.Join(t.TempDir(), "rootly-idp-sync.yaml")
	text := fmt.Sprintf(`mode: apply
source: {okta: {org_url: %q, app_id: %s, api_token: %s}}
scope: {mode: assigned}
groups: {push: ["oncall-*"]}
target: {url: %q, token: %s, max_rate: 0}
health: {listen: "127.0.0.1:0"}
http: {listen: "127.0.0.1:0"}
`, ends.OktaURL, ends.AppID, ends.OktaToken, ends.SCIMURL, ends.SCIMToken)
	if err := os.WriteFile(tr.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return tr
}

// collect starts a collector and tells the program of it.
func (tr *traced) collect() {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(data, &in)
		}
		if err != nil {
			tr.t.Error(err)
		}
		tr.mu.Lock()
		defer tr.mu.Unlock()
		for _, rs := range in.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				tr.spans = append(tr.spans, ss.Spans...)
			}
		}
	}))
	tr.t.Cleanup(server.Close)
	tr.t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
}

func (tr *traced) run(want int, args ...string) (out, errs string) {
	tr.t.Helper()
	var o, e bytes.Buffer
	if code := app.Main(tr.t.Context(), append(args, "--config", tr.config), app.Stdio{Out: &o, Err: &e}, openers()); code != want {
		tr.t.Fatalf("%v: exit code %d, want %d\n%s\n%s", args, code, want, &o, &e)
	}
	return o.String(), e.String()
}

// tree is what hangs below each span, by name: "cycle" → its steps, a step → its requests.
func (tr *traced) tree() map[string][]string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	name := map[string]string{"": ""}
	for _, s := range tr.spans {
		name[string(s.SpanId)] = s.Name
	}
	out := map[string][]string{}
	for _, s := range tr.spans {
		parent, ok := name[string(s.ParentSpanId)]
		if !ok {
			tr.t.Errorf("the span above %s never came", s.Name)
		}
		if !slices.Contains(out[parent], s.Name) {
			out[parent] = append(out[parent], s.Name)
		}
	}
	for _, below := range out {
		slices.Sort(below)
	}
	return out
}

// TestTracesShowACycle: each verb that runs a cycle sends its steps and, below them, the requests of both sides, before
// it ends.
func TestTracesShowACycle(t *testing.T) {
	for _, verb := range [][]string{{"plan"}, {"sync"}, {"sync", "--dry-run"}, {"run", "--once"}} {
		t.Run(strings.Join(verb, " "), func(t *testing.T) {
			tr := newTraced(t)
			tr.collect()
			tr.run(0, verb...)
			got := tr.tree()
			steps := []string{"fetch", "guard", "on call", "plan", "read groups", "read unlisted", "read users"}
			writes := verb[0] == "run" || len(verb) == 1 && verb[0] == "sync"
			if writes {
				steps = append([]string{"apply"}, append(steps, "report")...)
				slices.Sort(steps)
			}
			for parent, want := range map[string][]string{
				"": {"cycle"}, "cycle": steps,
				"fetch":       {"GET /api/v1/apps/{id}/users", "GET /api/v1/groups", "GET /api/v1/groups/{id}/users"},
				"read users":  {"GET /scim/Users"},
				"read groups": {"GET /scim/Groups"},
			} {
				if !slices.Equal(got[parent], want) {
					t.Errorf("below %q: %q, want %q", parent, got[parent], want)
				}
			}
			if created := slices.Contains(got["apply"], "POST /scim/Users"); created != writes {
				t.Errorf("below apply: %q", got["apply"])
			}
			for _, s := range tr.spans {
				text := s.String()
				for _, p := range tr.sim.Company.People() {
					if strings.Contains(text, p.Login) || strings.Contains(text, p.ID) {
						t.Fatalf("a span names %s: %s", p.Login, text)
					}
				}
				if strings.Contains(text, "token") && !strings.Contains(text, "/token") || strings.Contains(text, "filter=") {
					t.Errorf("a span says too much: %s", text)
				}
			}
		})
	}
}

// TestWithoutVariablesNothingIsTraced: nothing is sent to where a collector would be, and no span is made.
func TestWithoutVariablesNothingIsTraced(t *testing.T) {
	tr := newTraced(t)
	var connections atomic.Int32
	everyday, err := net.Listen("tcp", "127.0.0.1:4318")
	if err == nil { // else somebody has a collector there, and the tree is what is left to look at
		go func() {
			for {
				c, err := everyday.Accept()
				if err != nil {
					return
				}
				connections.Add(1)
				c.Close()
			}
		}()
		defer everyday.Close()
	}
	tr.run(0, "sync")
	if n := connections.Load(); n > 0 || len(tr.spans) > 0 {
		t.Errorf("%d connections, %d spans", n, len(tr.spans))
	}
	if out, _ := tr.run(0, "doctor"); strings.Contains(out, "traces") {
		t.Errorf("doctor speaks of traces:\n%s", out)
	}
}

// TestNoCollectorStopsNoSync: one that hangs, one that is not there, and variables that make no sense.
func TestNoCollectorStopsNoSync(t *testing.T) {
	ctx, release := context.WithCancel(t.Context())
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer release()
	for name, tc := range map[string]struct{ endpoint, protocol, says, doctor string }{
		"hanging": {hanging.URL, "", "the last traces were not sent", "✓  traces"},
		"absent":  {"http://127.0.0.1:1", "", "traces do not reach the collector", "✓  traces"},
		"gRPC":    {"http://127.0.0.1:1", "grpc", "there are no traces", "✗  traces"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraced(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", tc.endpoint)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", tc.protocol)
			begin := time.Now()
			out, errs := tr.run(0, "sync")
			if !strings.Contains(out, "Done:") || strings.Count(errs, tc.says) != 1 {
				t.Errorf("want %q once:\n%s\n%s", tc.says, out, errs)
			}
			if took := time.Since(begin); took > patience {
				t.Errorf("it took %s", took)
			}
			code := 0
			if strings.HasPrefix(tc.doctor, "✗") {
				code = 1
			}
			if out, _ := tr.run(code, "doctor"); !strings.Contains(out, tc.doctor) {
				t.Errorf("doctor lacks %q:\n%s", tc.doctor, out)
			}
		})
	}
}

// TestMetricsHaveTheDirectorysSide: requests to the directory are counted like those to Rootly.
func TestMetricsHaveTheDirectorysSide(t *testing.T) {
	s := newService(t, 20)
	s.start()
	s.await("cycle ended")
	answer, err := http.Get(strings.TrimSuffix(s.page, "/") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []string{"directory", "target"} {
		if want := fmt.Sprintf(`rootly_idp_sync_requests_total{method="GET",side=%q,status="200"} `, side); !bytes.Contains(text, []byte(want)) {
			t.Errorf("/metrics lacks %s:\n%s", want, text)
		}
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
