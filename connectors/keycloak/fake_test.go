package keycloak

import (
	"encoding/base64"
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

// realm is a fake of single answers by path below the realm's, "/token" for its token endpoint: text is a JSON body with
// 200, anything else a handler. A missing path answers 404 as Keycloak does. It keeps the addresses that were asked for.
type realm struct {
	answers map[string]any

	mu    sync.Mutex
	asked []string
}

func (f *realm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/admin/realms/acme")
	if strings.HasSuffix(path, "/protocol/openid-connect/token") {
		path = "/token"
	}
	f.mu.Lock()
	f.asked = append(f.asked, path)
	answer := f.answers[path]
	f.mu.Unlock()
	switch a := answer.(type) {
	case string:
		reply(w, a)
	case func(http.ResponseWriter, *http.Request):
		a(w, r)
	default:
		if path == "/token" {
			reply(w, tokenAnswer(tokenOf("view-users", "view-clients"), 300))
			return
		}
		refuse(w, http.StatusNotFound, "HTTP 404 Not Found", "")
	}
}

func (f *realm) count(path string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.asked {
		if p == path {
			n++
		}
	}
	return n
}

// tokenOf is an access token whose claims carry the roles of realm-management.
func tokenOf(roles ...string) string {
	list := `"` + strings.Join(roles, `","`) + `"`
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"resource_access":{"realm-management":{"roles":[`+list+`]}}}`)) + ".c2ln"
}

func tokenAnswer(token string, life int) string {
	return fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, token, life)
}

func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	fmt.Fprint(w, body)
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, code, description)
}

func refusing(status int, code, description string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, code, description) }
}

// user is one element of a listing of people: enabled, unless more says so.
func user(id, more string) string {
	if !strings.Contains(more, "enabled") {
		more += `,"enabled":true`
	}
	return fmt.Sprintf(`{"id":%q,"username":"%s@acme.example"%s}`, id, id, more)
}

func array(elements ...string) string { return "[" + strings.Join(elements, ",") + "]" }

// options are those of a realm of the simulator, or of a fake.
func options(server http.Handler, q connectors.Query) Options {
	o := Options{
		URL: "https://sso.acme.example", Realm: "acme", ClientID: sim.DefaultKeycloakClient,
		ClientSecret: func() string { return sim.DefaultKeycloakSecret }, Query: q, Transport: connectortest.Transport(server),
	}
	if q.Mode == connectors.ScopeAssigned {
		o.Client = sim.KeycloakApp
	}
	return o
}

func connect(tb testing.TB, o Options) *Connector {
	tb.Helper()
	c, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var (
	patterns  = connectortest.Patterns
	everybody = connectors.Query{Mode: connectors.ScopeAll}
)
