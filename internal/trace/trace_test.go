package trace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clear takes every variable of OpenTelemetry's out of the environment.
func clear(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, value) // restored at the end
			os.Unsetenv(name)
		}
	}
}

// An inbox is a collector that takes spans over OTLP.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	spans  map[string]map[string]string // name → attributes, the failure as "!"
	about  map[string]string            // the resource
}

func newInbox(t *testing.T) *inbox {
	c := &inbox{status: http.StatusOK, spans: map[string]map[string]string{}, about: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		data, err := io.ReadAll(r.Body)
		var in collector.ExportTraceServiceRequest
		if err = errors.Join(err, proto.Unmarshal(data, &in)); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("POST %s: %v", r.URL.Path, err)
		}
		w.WriteHeader(c.status)
		for _, rs := range in.ResourceSpans {
			for _, a := range rs.Resource.Attributes {
				c.about[a.Key] = a.Value.GetStringValue()
			}
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					attrs := map[string]string{"!": s.Status.GetMessage()}
					for _, a := range s.Attributes {
						attrs[a.Key] = strings.Trim(a.Value.String()[strings.Index(a.Value.String(), ":")+1:], `"`)
					}
					c.spans[s.Name] = attrs
				}
			}
		}
	}))
	t.Cleanup(c.Close)
	t.Setenv(varEndpoint, c.URL)
	return c
}

func open(t *testing.T, log io.Writer) *Tracer {
	t.Helper()
	tr, err := Open(t.Context(), os.LookupEnv, "v1.2.3", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil || tr == nil {
		t.Fatalf("Open: %v, %v", tr, err)
	}
	return tr
}

func TestEndpoint(t *testing.T) {
	for name, tc := range map[string]struct {
		env       map[string]string
		want, err string
	}{
		"nothing":                       {},
		"an endpoint":                   {env: map[string]string{varEndpoint: "https://otel.example:4318"}, want: "https://otel.example:4318"},
		"one for traces goes first":     {env: map[string]string{varEndpoint: "http://a", varTracesEndpoint: "http://b/v1/traces"}, want: "http://b/v1/traces"},
		"the exporter alone":            {env: map[string]string{varExporter: "otlp"}, want: everyday},
		"none":                          {env: map[string]string{varExporter: "none", varEndpoint: "http://a"}},
		"disabled":                      {env: map[string]string{varDisabled: "TRUE", varEndpoint: "http://a"}},
		"credentials are not repeated":  {env: map[string]string{varEndpoint: "https://me:secret@otel.example/x?key=secret"}, want: "https://otel.example/x"},
		"another exporter":              {env: map[string]string{varExporter: "zipkin"}, err: varExporter},
		"gRPC":                          {env: map[string]string{varEndpoint: "http://a:4317", varProtocol: "grpc"}, err: "4318"},
		"no URL":                        {env: map[string]string{varEndpoint: "localhost:4318"}, err: varEndpoint + " is not a URL"},
		"no URL for traces":             {env: map[string]string{varTracesEndpoint: "unix:///x"}, err: varTracesEndpoint},
		"an unknown sampler":            {env: map[string]string{varEndpoint: "http://a", varSampler: "jaeger_remote"}, err: varSampler},
		"a ratio that is none":          {env: map[string]string{varEndpoint: "http://a", varSampler: "traceidratio", varSamplerArg: "2"}, err: varSamplerArg},
		"a ratio":                       {env: map[string]string{varEndpoint: "http://a", varSampler: "traceidratio", varSamplerArg: "0.5"}, want: "http://a"},
		"an argument that nobody reads": {env: map[string]string{varEndpoint: "http://a", varSampler: "always_on", varSamplerArg: "x"}, want: "http://a"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Endpoint(func(key string) (string, bool) { v, ok := tc.env[key]; return v, ok })
			if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("Endpoint = %q, %v; want %q, %q", got, err, tc.want, tc.err)
			}
		})
	}
}

// TestOffIsNothing: without variables there is no tracer, and what is asked of none does nothing.
func TestOffIsNothing(t *testing.T) {
	clear(t)
	tr, err := Open(t.Context(), os.LookupEnv, "v1", nil)
	if tr != nil || err != nil {
		t.Fatalf("Open: %v, %v", tr, err)
	}
	goleak.VerifyNone(t)
	ctx, span := tr.Start(t.Context(), "cycle")
	if span != nil || ctx != t.Context() {
		t.Error("there is a span")
	}
	span.Count("n", 1)
	span.Say("a", "b")
	span.End("failed")
	tr.Operation(ctx, "directory", "search", "h").End("0", "")
	if tr.Transport("target", http.DefaultTransport) != http.DefaultTransport {
		t.Error("requests pass something")
	}
	if err := tr.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestSpansNameNobody(t *testing.T) {
	clear(t)
	c := newInbox(t)
	t.Setenv("OTEL_SERVICE_NAME", "sync-eu")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod")
	refusals := 1
	rootly := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") != "" {
			t.Error("the request says which trace it belongs to")
		}
		if r.Method == http.MethodGet && refusals > 0 {
			refusals--
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, "anna@acme.example is here")
	}))
	defer rootly.Close()
	tr := open(t, io.Discard)
	client := http.Client{Transport: tr.Transport("target", http.DefaultTransport)}
	send := func(ctx context.Context, method, path string) {
		req, err := http.NewRequestWithContext(ctx, method, rootly.URL+path, strings.NewReader("anna"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(req)
		if err != nil {
			return
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	if _, span := tr.Step(t.Context(), "of nobody's cycle"); span != nil {
		t.Error("a step stands by itself")
	}
	ctx, span := tr.Start(t.Context(), "cycle")
	const path = "/scim/Users/anna@acme.example?filter=userName+eq+%22anna%22"
	send(ctx, http.MethodGet, path)
	send(ctx, http.MethodGet, path)
	send(ctx, http.MethodPost, "/scim/Users")
	send(t.Context(), http.MethodGet, "/scim/of-nobodys-cycle")
	tr.Operation(ctx, "directory", "search", "ldap.example").End("53", "53")
	rootly.Close()
	send(ctx, http.MethodDelete, "/scim/Users/anna")
	span.End("other")
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]string{
		"cycle":                   {"!": "other", "error.type": "other", prefix + "requests": "5", prefix + "requests.refused": "2"},
		"GET /scim/Users/{id}":    {"url.template": "/scim/Users/{id}", prefix + "side": "target", "server.address": "127.0.0.1", "http.response.status_code": "200", "http.request.resend_count": "1", "http.response.body.size": "25", "!": ""},
		"POST /scim/Users":        {"http.request.method": "POST", "!": ""},
		"DELETE /scim/Users/{id}": {"error.type": "dial"},
		"search":                  {"server.address": "ldap.example", prefix + "result": "53", "error.type": "53"},
	} {
		for key, value := range want {
			if got := c.spans[name][key]; got != value {
				t.Errorf("%s: %s = %q, want %q", name, key, got, value)
			}
		}
	}
	if len(c.spans) != 5 {
		t.Errorf("spans: %v", c.spans)
	}
	for name, attrs := range c.spans {
		for key, value := range attrs {
			if strings.Contains(name+key+value, "anna") {
				t.Errorf("%s: %s = %q names somebody", name, key, value)
			}
		}
	}
	if c.about["service.name"] != "sync-eu" || c.about["deployment.environment"] != "prod" || c.about["service.version"] != "v1.2.3" {
		t.Errorf("resource: %v", c.about)
	}
}

// TestACollectorThatRefusesIsToldOfOnce, and its return too.
func TestACollectorThatRefusesIsToldOfOnce(t *testing.T) {
	clear(t)
	c := newInbox(t)
	var log bytes.Buffer
	tr := open(t, &log)
	flush := func(status int) {
		c.mu.Lock()
		c.status = status
		c.mu.Unlock()
		_, span := tr.Start(t.Context(), "cycle")
		span.End("")
		if err := tr.provider.ForceFlush(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, status := range []int{401, 401, 401, 200, 200} {
		flush(status)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]int{"do not reach": 1, "reach the collector again": 1} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q is said %d times, want %d:\n%s", text, n, want, &log)
		}
	}
}

// TestAHangingCollectorHoldsUpNobody: spans are made as fast as ever, and the end waits no longer than it is told to.
func TestAHangingCollectorHoldsUpNobody(t *testing.T) {
	clear(t)
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // else the server does not see that the client hangs up
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	t.Setenv(varEndpoint, hanging.URL)
	tr := open(t, io.Discard)
	begin := time.Now()
	const spans = 20_000 // ten times what the queue holds
	for range spans {
		_, span := tr.Start(t.Context(), "cycle")
		span.End("")
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("%d spans took %s", spans, took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin = time.Now()
	if err := tr.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Close took %s", took)
	}
}

func TestTemplates(t *testing.T) {
	for path, want := range map[string]string{
		"":                                "/",
		"/":                               "/",
		"/scim/v2/Users/1234":             "/scim/v2/Users/{id}",
		"/scim/Users/anna":                "/scim/Users/{id}",
		"/api/v1/users/00u1/groups":       "/api/v1/users/{id}/groups",
		"/admin/directory/v1/users/a%40b": "/admin/directory/v1/users/{id}",
		"/v1.0/groups/7/transitiveMembers/microsoft.graph.user": "/v1.0/groups/{id}/transitiveMembers/microsoft.graph.user",
		"/v1.0/servicePrincipals(appId='7')/appRoleAssignedTo":  "/v1.0/{id}/appRoleAssignedTo",
		"/admin/realms/acme/groups/7/members":                   "/admin/realms/{id}/groups/{id}/members",
		"/the-tenant/oauth2/v2.0/token":                         "/{id}/oauth2/v2.0/token",
	} {
		if got := templateOf(&url.URL{Path: path}); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// BenchmarkOff is what a step costs when nobody traces.
func BenchmarkOff(b *testing.B) {
	var tr *Tracer
	ctx := b.Context()
	for b.Loop() {
		_, span := tr.Start(ctx, "step")
		span.Count("n", 1)
		span.End("")
	}
}

// BenchmarkOn is what it costs when a collector takes the spans.
func BenchmarkOn(b *testing.B) {
	taker := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer taker.Close()
	b.Setenv(varEndpoint, taker.URL)
	tr, err := Open(b.Context(), os.LookupEnv, "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	for b.Loop() {
		_, span := tr.Start(ctx, "step")
		span.Count("n", 1)
		span.End("")
	}
	if err := tr.Close(context.WithoutCancel(b.Context())); err != nil {
		b.Error(err)
	}
}
