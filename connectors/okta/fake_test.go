package okta

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
)

func TestMain(m *testing.M) {
	// The SDK's token cache keeps a goroutine until the client is collected.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// org is a fake of single answers by path: text is a JSON body with 200, anything else a handler. A missing path
// answers 404 as Okta does. It keeps the URLs that were asked for.
type org struct {
	answers map[string]any

	mu    sync.Mutex
	asked []string
}

func (o *org) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	o.asked = append(o.asked, r.URL.RequestURI())
	o.mu.Unlock()
	switch a := o.answers[r.URL.Path].(type) {
	case string:
		reply(w, a)
	case func(http.ResponseWriter, *http.Request):
		a(w, r)
	default:
		refuse(w, http.StatusNotFound, "E0000007", "Not found: Resource not found")
	}
}

func (o *org) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, body)
}

func refuse(w http.ResponseWriter, status int, code, summary string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errorCode":%q,"errorSummary":%q,"errorCauses":[]}`, code, summary)
}

// user is one element of a users listing.
func user(id, status, profile string) string {
	return fmt.Sprintf(`{"id":%q,"status":%q,"profile":{"login":"%s@acme.example"%s}}`, id, status, id, prefixed(profile))
}

func prefixed(s string) string {
	if s == "" {
		return ""
	}
	return "," + s
}

func group(id, kind, name string) string {
	return fmt.Sprintf(`{"id":%q,"type":%q,"profile":{"name":%q}}`, id, kind, name)
}

func array(elements ...string) string { return "[" + strings.Join(elements, ",") + "]" }

// connect makes a connector to a fake for a query, with an API token.
func connect(tb testing.TB, server http.Handler, q connectors.Query) *Connector {
	tb.Helper()
	return connectWith(tb, server, Options{APIToken: func() string { return "t0ken" }, Query: q})
}

func connectWith(tb testing.TB, server http.Handler, o Options) *Connector {
	tb.Helper()
	o.OrgURL, o.AppID = "https://acme.okta.com", "0oa1"
	o.Transport = connectortest.Transport(server)
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var patterns = connectortest.Patterns

var everybody = connectors.Query{Mode: connectors.ScopeAll}
