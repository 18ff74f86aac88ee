package sim

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A caller sends requests to a handler in process, as a well-behaved client would.
type caller struct {
	t       testing.TB
	handler http.Handler
	header  http.Header
}

// A got is an answer, read.
type got struct {
	status int
	header http.Header
	text   string
	object map[string]any // when the body is one
	list   []any          // when the body is one
	err    error          // of the connection or of reading the body
}

func callSCIM(t testing.TB, h http.Handler) *caller {
	return &caller{t, h, http.Header{
		"Authorization": {"Bearer " + DefaultSCIMToken}, "Accept": {scimMediaType}, "Content-Type": {scimMediaType},
	}}
}

func callOkta(t testing.TB, h http.Handler) *caller {
	return &caller{t, h, http.Header{"Authorization": {"SSWS " + DefaultOktaToken}, "Accept": {"application/json"}}}
}

func (c *caller) do(method, path, body string) got {
	c.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://acme.okta.example"+path, in)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	resp, err := Transport(c.handler).RoundTrip(req)
	if err != nil {
		return got{err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	g := got{status: resp.StatusCode, header: resp.Header, text: string(text), err: err}
	if json.Unmarshal(text, &g.object) != nil {
		g.object = nil
		if json.Unmarshal(text, &g.list) != nil {
			g.list = nil
		}
	}
	return g
}

func (c *caller) get(path string) got { c.t.Helper(); return c.do(http.MethodGet, path, "") }

// resources are the objects of a SCIM listing.
func (g got) resources() []any {
	list, _ := g.object["Resources"].([]any)
	return list
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
