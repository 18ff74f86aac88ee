package google

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// account is a fake of single answers by path below the API's base, with the query "?showDeleted" for deleted people:
// text is a JSON body with 200, anything else a handler. A missing path answers 404 as Google does. It keeps the URLs
// that were asked for, those for tokens left out.
type account struct {
	answers map[string]any

	mu    sync.Mutex
	asked []string
}

func (f *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/admin/directory/v1")
	if r.URL.Query().Get("showDeleted") == "true" {
		path += "?showDeleted"
	}
	answer := f.answers[path]
	if path == "/token" && answer == nil {
		reply(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3599}`)
		return
	}
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.RequestURI())
	f.mu.Unlock()
	switch a := answer.(type) {
	case string:
		reply(w, a)
	case func(http.ResponseWriter, *http.Request):
		a(w, r)
	default:
		refuse(w, http.StatusNotFound, "notFound", "Resource Not Found: key")
	}
}

func (f *account) requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	fmt.Fprint(w, body)
}

func refuse(w http.ResponseWriter, status int, reason, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"message":%q,"domain":"global","reason":%q}]}}`, status, message, message, reason)
}

func refusing(status int, reason, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, reason, message) }
}

// user is one element of a users listing: active, unless more says so.
func user(id, more string) string {
	if !strings.Contains(more, "suspended") {
		more = `"suspended":false,` + more
	}
	if !strings.Contains(more, "archived") {
		more = `"archived":false,` + more
	}
	return fmt.Sprintf(`{"id":%q,"primaryEmail":"%s@acme.example",%s"kind":"admin#directory#user"}`, id, id, comma(more))
}

func comma(s string) string {
	if s == "" || strings.HasSuffix(s, ",") {
		return s
	}
	return s + ","
}

func users(elements ...string) string { return listing("users", elements) }

func groups(elements ...string) string { return listing("groups", elements) }

func members(elements ...string) string { return listing("members", elements) }

func listing(key string, elements []string) string {
	if len(elements) == 0 {
		return fmt.Sprintf(`{"kind":"admin#directory#%s"}`, key)
	}
	return fmt.Sprintf(`{"kind":"admin#directory#%s",%q:[%s]}`, key, key, strings.Join(elements, ","))
}

func aGroup(id, name string, size int) string {
	return fmt.Sprintf(`{"id":%q,"email":"%s@acme.example","name":%q,"directMembersCount":"%d"}`, id, id, name, size)
}

func member(kind, id string) string { return fmt.Sprintf(`{"id":%q,"type":%q}`, id, kind) }

const testAddress = "https://google.example"

// options are those of an account that signs in with the simulator's key.
func options(server http.Handler, q connectors.Query) Options {
	return Options{
		Credentials: func() string { return sim.GoogleKeyFile(testAddress) }, Subject: sim.DefaultGoogleAdmin, Endpoint: testAddress,
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

var patterns = connectortest.Patterns

var everybody = connectors.Query{Mode: connectors.ScopeAll}
