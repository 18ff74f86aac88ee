package scimclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "s3cret-token"

// A call is one request as the fake server saw it.
type call struct {
	method string
	path   string // below the base URL, still escaped
	query  url.Values
	header http.Header
	body   map[string]any
	raw    string
	at     time.Time
}

func (c call) String() string { return c.method + " " + c.path }

// A reply is what the fake answers. lose makes it an exchange without an answer, cut one whose body breaks off.
type reply struct {
	status int
	body   string
	header map[string]string
	lose   bool
	cut    bool
}

// A fake is a SCIM server in process: one function of the call, and a log.
type fake struct {
	mu     sync.Mutex
	calls  []call
	answer func(n int, c call) reply // n counts from 0
}

func (f *fake) RoundTrip(req *http.Request) (*http.Response, error) {
	c := call{
		method: req.Method, path: strings.TrimPrefix(req.URL.EscapedPath(), "/scim"),
		query: req.URL.Query(), header: req.Header, at: time.Now(),
	}
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		c.raw = string(data)
		if err := json.Unmarshal(data, &c.body); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	n := len(f.calls) - 1
	f.mu.Unlock()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	r := f.answer(n, c)
	if r.lose {
		return nil, errors.New("connection reset by peer")
	}
	h := http.Header{}
	for k, v := range r.header {
		h.Set(k, v)
	}
	body := io.Reader(strings.NewReader(r.body))
	if r.cut {
		body = io.MultiReader(strings.NewReader(r.body[:len(r.body)/2]), brokenReader{})
	}
	return &http.Response{StatusCode: r.status, Header: h, Body: io.NopCloser(body), Request: req, ProtoMajor: 1, ProtoMinor: 1}, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (f *fake) sent() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, c := range f.calls {
		list = append(list, c.String())
	}
	return list
}

func newTestClient(t testing.TB, answer func(n int, c call) reply, change ...func(*Options)) (*Client, *fake) {
	t.Helper()
	f := &fake{answer: answer}
	o := Options{BaseURL: "https://rootly.example/scim/", Token: func() string { return testToken }, Transport: f}
	for _, ch := range change {
		ch(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

// A step is one expected request and its answer.
type step struct {
	want string
	reply
}

// inOrder answers the steps one after the other and fails the test on any other request.
func inOrder(t testing.TB, steps ...step) func(int, call) reply {
	return func(n int, c call) reply {
		if n >= len(steps) {
			t.Errorf("request %d is one too many: %s %s", n+1, c, c.raw)
			return reply{status: 400, body: scimError(400, "", "unexpected")}
		}
		if c.String() != steps[n].want {
			t.Errorf("request %d is %s, want %s", n+1, c, steps[n].want)
		}
		return steps[n].reply
	}
}

func ok(body string) reply { return reply{status: 200, body: body} }

func scimError(status int, scimType, detail string) string {
	return fmt.Sprintf(`{"schemas":[%q],"status":"%d","scimType":%q,"detail":%q}`, errorURN, status, scimType, detail)
}

func refuse(status int, scimType string) reply {
	return reply{status: status, body: scimError(status, scimType, "no")}
}

const html = "<html><body>Sign in</body></html>"

// userJSON is a complete user; more is put into the object as it is.
func userJSON(id, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`{"id":%q,"userName":"%s@acme.com","active":true%s}`, id, id, more)
}

func groupJSON(id string, members ...string) string {
	list := []map[string]string{}
	for _, m := range members {
		list = append(list, map[string]string{"value": m})
	}
	data, err := json.Marshal(map[string]any{"id": id, "displayName": "oncall", "members": list})
	if err != nil {
		panic(err)
	}
	return string(data)
}

func listJSON(total int, rows ...string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":%d,"Resources":[%s]}`,
		total, strings.Join(rows, ","))
}

func operations(t testing.TB, c call) string {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c.body["Operations"]); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

func TestNormalizeBaseURL(t *testing.T) {
	tests := map[string]struct {
		raw     string
		http    bool
		want    string
		wantErr string
	}{
		"as documented":           {raw: "https://rootly.com/scim", want: "https://rootly.com/scim"},
		"trailing slash":          {raw: " https://rootly.com/scim// ", want: "https://rootly.com/scim"},
		"http to loopback":        {raw: "http://127.0.0.1:8080/scim", want: "http://127.0.0.1:8080/scim"},
		"http to localhost":       {raw: "http://localhost/scim", want: "http://localhost/scim"},
		"http elsewhere":          {raw: "http://rootly.com/scim", wantErr: "in the clear"},
		"http elsewhere, allowed": {raw: "http://rootly.com/scim", http: true, want: "http://rootly.com/scim"},
		"user name":               {raw: "https://me:pw@rootly.com/scim", wantErr: "user name"},
		"query":                   {raw: "https://rootly.com/scim?token=pw", wantErr: "without ?"},
		"no scheme":               {raw: "rootly.com/scim", wantErr: "https://"},
		"empty":                   {raw: "", wantErr: "https://"},
		"not a URL":               {raw: "https://pw\x7f", wantErr: "not a URL"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := NormalizeBaseURL(tc.raw, tc.http)
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("error %v, want one with %q", err, tc.wantErr)
			}
			if err != nil && strings.Contains(err.Error(), "pw") {
				t.Errorf("error repeats the secret: %v", err)
			}
		})
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	token := func() string { return "x" }
	for name, o := range map[string]Options{
		"no URL":        {Token: token},
		"no token":      {BaseURL: "https://rootly.com/scim"},
		"negative rate": {BaseURL: "https://rootly.com/scim", Token: token, MaxRate: -1},
		"negative page": {BaseURL: "https://rootly.com/scim", Token: token, PageSize: -1},
		"negative wait": {BaseURL: "https://rootly.com/scim", Token: token, MaxWait: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRequestsCarryWhatServersInsistOn(t *testing.T) {
	c, f := newTestClient(t, inOrder(t, step{"PATCH /Users/a%2Fb%20%25@c", ok(userJSON("x", ""))}, step{"GET /Users/a%2Fb%20%25@c", ok(`{"id":"a/b %@c","userName":"u"}`)}))
	active := true
	if _, err := c.UpdateUser(t.Context(), "a/b %@c", UserEdit{Active: &active}); err != nil {
		t.Fatal(err)
	}
	h := f.calls[0].header
	for name, want := range map[string]string{
		"Accept": mediaType, "Content-Type": mediaType, "Authorization": "Bearer " + testToken, "User-Agent": "rootly-idp-sync",
	} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	if got := c.Stats(); got.Total() != 2 || got.Requests[RequestKind{"PATCH", 200}] != 1 {
		t.Errorf("stats are %+v", got)
	}
}

func TestErrorsTellWhatToDoAndKeepSecrets(t *testing.T) {
	tests := map[string]struct {
		reply
		want string
		scim bool
	}{
		"wrong token":              {refuse(401, ""), "check the SCIM token", true},
		"wrong token, HTML":        {reply{status: 401, body: html}, "check the SCIM token", false},
		"no permission":            {refuse(403, ""), "Integrations > SSO", true},
		"redirect to another host": {reply{status: 302, header: map[string]string{"Location": "https://evil.example/?t=1"}}, "not followed", false},
		"status as a number":       {reply{status: 400, body: `{"schemas":["` + errorURN + `"],"status":400,"detail":["a","b"]}`}, "a; b", true},
		"no schemas":               {reply{status: 400, body: `{"status":"400","detail":"x"}`}, ": x", true},
		"gateway":                  {reply{status: 404, body: `{"message":"no Route matched"}`}, "no Route matched", false},
		"detail is an object":      {reply{status: 400, body: `{"detail":{"a":1}}`}, "400", false},
		"repeats the token":        {reply{status: 400, body: scimError(400, "", "bad token "+testToken)}, "bad token [secret]", true},
		"long and many lines":      {reply{status: 400, body: strings.Repeat("word\n", 5000)}, "word word", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, _ := newTestClient(t, func(int, call) reply { return tc.reply })
			_, err := c.FindUsers(t.Context(), "query@acme.com")
			e, isError := errors.AsType[*Error](err)
			if !isError {
				t.Fatalf("error %v is no *Error", err)
			}
			if !strings.Contains(err.Error(), tc.want) || e.SCIM != tc.scim {
				t.Errorf("error %q (SCIM %v), want %q (%v)", err, e.SCIM, tc.want, tc.scim)
			}
			for _, secret := range []string{testToken, "query@acme.com", "?", "evil.example", "\n"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error holds %q: %v", secret, err)
				}
			}
			if len(err.Error()) > 1000 {
				t.Errorf("error has %d characters", len(err.Error()))
			}
		})
	}
}

func TestNetworkErrorsHoldNoQuery(t *testing.T) {
	c, _ := newTestClient(t, func(int, call) reply { return reply{lose: true} }, func(o *Options) { o.Token = func() string { return "line\nbreak" } })
	for range 2 {
		_, err := c.exchange(t.Context(), request{op: "list users", method: "GET", path: "/Users", query: url.Values{"filter": {"secret"}}}, nil)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "break") {
			t.Errorf("error %v", err)
		}
		c.opts.Token = func() string { return testToken }
	}
	c.opts.Token = func() string { return "" }
	if _, err := c.User(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), "token is empty") {
		t.Errorf("error %v", err)
	}
}

func TestReadsOfTheSameOriginMayBeRedirected(t *testing.T) {
	c, f := newTestClient(t, func(_ int, c call) reply {
		if c.path == "/Users/1" {
			return reply{status: 307, header: map[string]string{"Location": "/scim/v2/Users/1"}}
		}
		return ok(userJSON("1", ""))
	})
	if _, err := c.User(t.Context(), "1"); err != nil || len(f.calls) != 2 {
		t.Errorf("error %v after %v", err, f.sent())
	}
	active := true
	if _, err := c.UpdateUser(t.Context(), "1", UserEdit{Active: &active}); err == nil || len(f.calls) != 3 {
		t.Errorf("a write was redirected: %v", f.sent())
	}
}

func TestOverARealConnection(t *testing.T) {
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 { // the connection breaks in the middle of the answer
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"totalResults":1,`)
			return
		}
		fmt.Fprint(w, listJSON(1, userJSON("1", "")))
	}))
	defer srv.Close()
	c, err := New(Options{BaseURL: srv.URL + "/scim", Token: func() string { return testToken }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	users, err := c.Users(t.Context())
	if err != nil || len(users) != 1 || requests.Load() != 2 {
		t.Errorf("%d users after %d requests, error %v", len(users), requests.Load(), err)
	}
}
