package rippling

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testAddress = "https://rippling.example"

func options(server http.Handler, q connectors.Query) Options {
	return Options{
		APIToken: func() string { return sim.DefaultRipplingToken }, Company: "acme", BaseURL: testAddress,
		Query: q, Transport: connectortest.Transport(server),
	}
}

func connect(tb testing.TB, o Options) *Connector {
	tb.Helper()
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// company is a fake of listings by path, each a JSON object with 200 or a handler; anything else is Rippling's 404. It
// keeps what was asked for.
type company struct {
	answers map[string]any

	mu    sync.Mutex
	asked []*http.Request
}

func (c *company) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r)
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch a := c.answers[r.URL.Path].(type) {
	case string:
		w.Write([]byte(a))
	case func(http.ResponseWriter, *http.Request):
		a(w, r)
	case nil:
		w.WriteHeader(http.StatusNotFound)
		w.Write([]byte(`{"message":"Not Found"}`))
	default:
		if err := json.NewEncoder(w).Encode(a); err != nil {
			panic(err)
		}
	}
}

type object = map[string]any

// results is a page of a listing, and its last one.
func results(elements ...object) object {
	if elements == nil {
		elements = []object{}
	}
	return object{"results": elements}
}

// staffed is a company with everything that a reading asks for.
func staffed(users, workers object) *company {
	return &company{answers: map[string]any{
		"/users": users, "/workers": workers, "/departments": results(), "/teams": results(object{"id": "t1", "name": "Ops"}),
	}}
}

var everybody = connectors.Query{Mode: connectors.ScopeAll}

var patterns = connectortest.Patterns
