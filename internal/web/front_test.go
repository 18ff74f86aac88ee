package web

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

// fronted is a world below /p/acme/ of a front, beside a pipeline beta that does not run.
func fronted(t *testing.T) (*world, *Front) {
	w := newWorld(t, 3)
	f := NewFront(Options{Now: w.now, Build: w.site.build}, func() []*daemon.Member { return nil })
	if err := f.Configure(Access{Listen: "127.0.0.1:8080"}); err != nil {
		t.Fatal(err)
	}
	var shown Pipeline
	if err := w.site.live.Use(func(p Pipeline) error { shown = p; return nil }); err != nil {
		t.Fatal(err)
	}
	w.site = f.Add("acme", &w.board, Options{})
	w.site.Use(t.Context(), &shown)
	t.Cleanup(w.site.roster.drop)
	idle := &board{state: daemon.State{Phase: daemon.PhaseStopped, ReloadError: "state.dsn is nobody's"}}
	f.Add("beta", idle, Options{})
	return w, f
}

func visit(t *testing.T, f *Front, method, path string, head ...string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	rec := httptest.NewRecorder()
	f.Handler().ServeHTTP(rec, r)
	data, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Result(), string(data)
}

func TestEachPipelineHasItsPagesBelowItsName(t *testing.T) {
	w, f := fronted(t)
	w.cycle()
	for path, want := range map[string]string{
		"/p/acme/":                    `href="/p/acme/plan"`,
		"/p/acme/plan":                `action="/p/acme/plan"`,
		"/p/acme/people":              `href="/p/acme/people/u00"`,
		"/p/acme/groups":              `href="/p/acme/groups/g1"`,
		"/p/acme/history":             `href="/p/acme/cycles/1"`,
		"/p/acme/people/u00":          `action="/theme"`,
		"/p/acme/config":              `data-events="/p/acme/events"`,
		"/p/acme/api/v1/status":       `"target"`,
		"/p/acme/api/v1/openapi.json": `"openapi"`,
		"/api/v1/openapi.json":        `/api/v1/pipelines`,
		"/api/v1/pipelines":           `{"items":[]}`,
		"/":                           `There is no pipeline`,
		"/login":                      `Sign in`,
	} {
		answer, body := visit(t, f, http.MethodGet, path)
		if answer.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %s, and no %s in\n%s", path, answer.Status, want, body)
		}
		for _, link := range strings.Split(body, `href="/`)[1:] {
			link, _, _ = strings.Cut(link, `"`)
			if strings.HasPrefix(path, "/p/acme") && link != "" && !strings.HasPrefix(link, "p/acme/") && !strings.HasPrefix(link, "static/") {
				t.Errorf("GET %s links to /%s, which is not of the pipeline", path, link)
			}
		}
	}
	for path, want := range map[string]int{
		"/plan": http.StatusNotFound, "/p/gamma/": http.StatusNotFound, "/p/acme/login": http.StatusNotFound, "/p/acme/metrics": http.StatusNotFound,
		"/api/v1/status": http.StatusNotFound, "/p/acme": http.StatusTemporaryRedirect,
	} {
		if answer, body := visit(t, f, http.MethodGet, path); answer.StatusCode != want {
			t.Errorf("GET %s: %s, want %d\n%s", path, answer.Status, want, body)
		}
	}
	if answer, _ := visit(t, f, http.MethodPost, "/p/acme/cycles"); answer.Header.Get("Location") != "/p/acme/" || w.board.orders != 1 {
		t.Errorf("after an order to run: %v, %d orders", answer.Header, w.board.orders)
	}
}

func TestAPipelineThatDoesNotRunSaysWhy(t *testing.T) {
	_, f := fronted(t)
	answer, body := visit(t, f, http.MethodGet, "/p/beta/")
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "This pipeline does not run: state.dsn is nobody") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	f.Remove("beta")
	if answer, _ := visit(t, f, http.MethodGet, "/p/beta/"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("one that was removed: %s", answer.Status)
	}
}

// TestOneDoorForAllPipelines: whoever has to say who they are has to at every page, and is sent back to the one that they
// asked for.
func TestOneDoorForAllPipelines(t *testing.T) {
	_, f := fronted(t)
	const token = "a-token-that-is-long-enough"
	if err := f.Configure(Access{Listen: "127.0.0.1:8080", Token: func() string { return token }}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/metrics", "/api/v1/pipelines", "/p/acme/", "/p/acme/api/v1/status", "/p/gamma/"} {
		if answer, body := visit(t, f, http.MethodGet, path); answer.StatusCode != http.StatusUnauthorized || strings.Contains(body, ">acme<") {
			t.Errorf("GET %s without a token: %s\n%s", path, answer.Status, body)
		}
	}
	if answer, _ := visit(t, f, http.MethodGet, "/p/acme/api/v1/status", "Authorization", "Bearer "+token); answer.StatusCode != http.StatusOK {
		t.Errorf("with the token: %s", answer.Status)
	}
	if answer, _ := visit(t, f, http.MethodPost, "/p/acme/cycles", "Authorization", "Bearer "+token); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer begins a cycle: %s", answer.Status)
	}
}

func TestMetricsOfSeveralPipelinesAreToldApart(t *testing.T) {
	w, f := fronted(t)
	w.cycle()
	_, body := visit(t, f, http.MethodGet, "/metrics")
	for _, want := range []string{
		`rootly_idp_sync_cycles_total{pipeline="acme",result="good"} 1`, `rootly_idp_sync_cycles_total{pipeline="beta",result="good"} 0`,
		`rootly_idp_sync_leader{pipeline="acme"} 1`, `rootly_idp_sync_leader{pipeline="beta"} 0`,
		`rootly_idp_sync_config_last_reload_successful{pipeline="beta"} 0`, "\ngo_goroutines ", "\nrootly_idp_sync_build_info{",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Count(body, "\ngo_goroutines ") != 1 {
		t.Error("the process is counted more than once")
	}
	if t.Failed() {
		t.Log(body)
	}
}

func TestOpenAPIDescribesTheFront(t *testing.T) {
	_, f := fronted(t)
	ops := map[string]operation{
		"GET pipelines":    {"The pipelines of this process", nil, nil, 200, pipelineList{}},
		"GET openapi.json": {"This description; that of a pipeline is at /p/{name}/api/v1/openapi.json", nil, nil, 200, map[string]any{}},
	}
	data, err := json.MarshalIndent(describe(f.routes(), ops), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, '\n')
	if *update {
		if err := os.WriteFile("openapi-pipelines.json", data, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(string(openAPIPipelines), string(data)); diff != "" {
		t.Errorf("openapi-pipelines.json (-file +code; -update writes it):\n%s", diff)
	}
	for _, rt := range f.routes() {
		path, ok := strings.CutPrefix(rt.path, apiPrefix)
		if ok && path != "" && reflect.ValueOf(ops[rt.method+" "+path].answer).Kind() == reflect.Invalid {
			t.Errorf("%s %s is not described, only %v", rt.method, path, slices.Sorted(maps.Keys(ops)))
		}
	}
}
