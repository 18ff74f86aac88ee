//go:build !noentra

package entra

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// inPlace answers requests whose path begins so by h, and all others by the tenant.
func inPlace(server *sim.Graph, path string, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, path) {
			h(w, r)
			return
		}
		server.ServeHTTP(w, r)
	})
}

// scripted answers the users listing by the script's handlers in turn, the last of them for ever.
func scripted(script ...http.HandlerFunc) http.Handler {
	var n atomic.Int64
	return inPlace(sim.NewGraph(sim.NewCompany(sim.Config{People: 1}), sim.GraphOptions{}), "/v1.0/users", func(w http.ResponseWriter, r *http.Request) {
		script[min(int(n.Add(1)), len(script))-1](w, r)
	})
}

func reply(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}
}

func refuse(status int, code string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"code":%q,"message":"no"}}`, code)
	}
}

// Pages without end, with new people under new links on each of them, are an error after 10,000.
func TestAListingWithoutEnd(t *testing.T) {
	n := 0
	_, err := behind(t, simOptions(sim.NewGraph(company(), sim.GraphOptions{}), everybody), scripted(func(w http.ResponseWriter, r *http.Request) {
		n++
		linked(fmt.Sprintf(`{"id":"%d","accountEnabled":true}`, n), fmt.Sprintf("https://graph.example/v1.0/users?$skiptoken=%d", n))(w, r)
	})).Fetch(t.Context())
	if !errors.Is(err, connectors.ErrDamaged) || !strings.Contains(err.Error(), "more than 10000 pages") || n != 10_000 {
		t.Errorf("after %d pages: %v", n, err)
	}
}

func answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

const (
	ada   = `{"id":"6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0","accountEnabled":true,"userPrincipalName":"ada@acme.example"}`
	grace = `{"id":"4562bcc8-c436-4f95-b7c0-4f8ce89dca5e","accountEnabled":false,"userPrincipalName":"grace@acme.example"}`
)

var sound = reply(`{"value":[` + ada + `]}`)

func linked(people, link string) http.HandlerFunc {
	return reply(fmt.Sprintf(`{"value":[%s],"@odata.nextLink":%q}`, people, link))
}

func dated(ahead, after time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(ahead)
		refuse(429, "TooManyRequests", "Date", now.UTC().Format(http.TimeFormat), "Retry-After", now.Add(after).UTC().Format(http.TimeFormat))(w, r)
	}
}

// signInRequests are sent before the first request to Graph.
const signInRequests = 2

func TestWaits(t *testing.T) {
	ms, s := time.Millisecond, time.Second
	slow := func(seconds string) http.HandlerFunc { return refuse(429, "TooManyRequests", "Retry-After", seconds) }
	tests := map[string]struct {
		script   []http.HandlerFunc
		ok       bool
		status   int // of the error
		requests int
		least    time.Duration
		most     time.Duration
	}{
		"a good answer waits for nothing":       {[]http.HandlerFunc{sound}, true, 0, 1, 0, 0},
		"a 429 is waited out beyond a timeout":  {[]http.HandlerFunc{slow("150"), sound}, true, 0, 2, 150 * s, 150 * s},
		"a date counts by the server's clock":   {[]http.HandlerFunc{dated(-time.Hour, 40*s), sound}, true, 0, 2, 40 * s, 40 * s},
		"a date in the past waits for nothing":  {[]http.HandlerFunc{dated(0, -40*s), sound}, true, 0, 2, 0, 0},
		"five waits":                            {[]http.HandlerFunc{slow("9"), slow("9"), slow("9"), slow("9"), slow("9"), sound}, true, 0, 6, 45 * s, 45 * s},
		"a sixth is too many":                   {[]http.HandlerFunc{slow("9")}, false, 429, 6, 45 * s, 45 * s},
		"hours are too long":                    {[]http.HandlerFunc{slow("7200")}, false, 429, 1, 0, 0},
		"a 429 that says nothing":               {[]http.HandlerFunc{answering(429), sound}, true, 0, 2, 500 * ms, 1500 * ms},
		"a 503 says when to come back":          {[]http.HandlerFunc{refuse(503, "x", "Retry-After", "70"), sound}, true, 0, 2, 70 * s, 70 * s},
		"a 504 too":                             {[]http.HandlerFunc{refuse(504, "x", "Retry-After", "7"), sound}, true, 0, 2, 7 * s, 7 * s},
		"500, 502 and 503 are tried again":      {[]http.HandlerFunc{answering(500), answering(502), answering(503), sound}, true, 0, 4, 1750 * ms, 5250 * ms},
		"four times":                            {[]http.HandlerFunc{answering(500)}, false, 500, 4, 1750 * ms, 5250 * ms},
		"a 501 is final":                        {[]http.HandlerFunc{refuse(501, "NotImplemented")}, false, 501, 1, 0, 0},
		"a cut connection is tried again":       {[]http.HandlerFunc{cut, sound}, true, 0, 2, 250 * ms, 750 * ms},
		"a hanging answer is cut off":           {[]http.HandlerFunc{hanging, sound}, true, 0, 2, 60250 * ms, 60750 * ms},
		"an expired page begins the list again": {[]http.HandlerFunc{linked(ada, "https://graph.example/v1.0/users?$skiptoken=1"), refuse(400, codeExpiredPage), sound}, true, 0, 3, 0, 0},
		"twice at most":                         {[]http.HandlerFunc{refuse(400, codeExpiredPage)}, false, 400, 3, 0, 0},
		"another 400 is final":                  {[]http.HandlerFunc{refuse(400, "BadRequest")}, false, 400, 1, 0, 0},
		"a 401 gets a new token, once":          {[]http.HandlerFunc{refuse(401, "InvalidAuthenticationToken")}, false, 401, 2 + signInRequests, 0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := behind(t, simOptions(sim.NewGraph(sim.NewCompany(sim.Config{}), sim.GraphOptions{}), everybody), scripted(tc.script...))
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				snap, err := c.Fetch(t.Context())
				took := time.Since(start)
				if tc.ok != (err == nil) || tc.ok && len(snap.Users) != 1 {
					t.Fatalf("%d users, error %v", len(snap.Users), err)
				}
				if e, ok := errors.AsType[*connectors.Error](err); err != nil && (!ok || e.Status != tc.status || e.Remedy == "" && tc.status != 501 && e.Code != "BadRequest") {
					t.Errorf("error %v, want one with status %d and a remedy", err, tc.status)
				}
				if err != nil && strings.Contains(err.Error(), ": ,") {
					t.Errorf("error %v says nothing of the server", err)
				}
				if got := c.Stats().Requests - signInRequests; got != tc.requests {
					t.Errorf("%d requests, want %d", got, tc.requests)
				}
				if took < tc.least || took > tc.most {
					t.Errorf("took %s, want %s to %s", took, tc.least, tc.most)
				}
			})
		})
	}
}

// Whatever is no sound page is an error and never fewer people.
func TestDamagedPages(t *testing.T) {
	tests := map[string]struct {
		script []http.HandlerFunc
		want   string
	}{
		"a link to another host": {[]http.HandlerFunc{linked(ada, "https://graph.elsewhere.example/v1.0/users?$skiptoken=1")}, "leads to another host, graph.elsewhere.example"},
		"a link in the clear":    {[]http.HandlerFunc{linked(ada, "http://graph.example/v1.0/users?$skiptoken=1")}, "leads to another host"},
		"a link out of the API":  {[]http.HandlerFunc{linked(ada, "https://graph.example/login")}, "leads elsewhere, to /login"},
		"an empty link":          {[]http.HandlerFunc{linked(ada, "")}, "cannot be read"},
		"a link that is none":    {[]http.HandlerFunc{linked(ada, "://%zz")}, "cannot be read"},
		"a page that is its own next one": {[]http.HandlerFunc{linked(ada, "https://graph.example/v1.0/users?$skiptoken=1"),
			linked(grace, "https://graph.example/v1.0/users?$skiptoken=1")}, "page repeated"},
		"pages that lead in a circle": {[]http.HandlerFunc{linked("", "https://graph.example/v1.0/users?$skiptoken=1"),
			linked("", "https://graph.example/v1.0/users?$skiptoken=2"), linked("", "https://graph.example/v1.0/users?$skiptoken=1")}, "does not end"},
		"somebody on two pages": {[]http.HandlerFunc{linked(ada, "https://graph.example/v1.0/users?$skiptoken=1"), sound}, "was listed before"},
		"somebody without id":   {[]http.HandlerFunc{reply(`{"value":[{"accountEnabled":true}]}`)}, "an element has no id"},
		"an empty object":       {[]http.HandlerFunc{reply(`{}`)}, "it holds no list"},
		"null":                  {[]http.HandlerFunc{reply(`null`)}, "not one complete JSON object"},
		"an error with 200":     {[]http.HandlerFunc{reply(`{"error":{"code":"generalException"}}`)}, "an error with 200"},
		"a redirect":            {[]http.HandlerFunc{answering(302)}, "200 was expected"},
		"no content":            {[]http.HandlerFunc{answering(204)}, "200 was expected"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := behind(t, simOptions(sim.NewGraph(sim.NewCompany(sim.Config{}), sim.GraphOptions{}), everybody), scripted(tc.script...))
			snap, err := c.Fetch(t.Context())
			if !errors.Is(err, connectors.ErrDamaged) || !strings.Contains(err.Error(), tc.want) || snap.Users != nil {
				t.Errorf("%d users, error %v, want a damaged answer: %s", len(snap.Users), err, tc.want)
			}
		})
	}
}

// A few empty pages are no end, and no reason for an error either.
func TestEmptyPagesAreReadOver(t *testing.T) {
	c := behind(t, simOptions(sim.NewGraph(sim.NewCompany(sim.Config{}), sim.GraphOptions{}), everybody), scripted(
		linked("", "https://graph.example/v1.0/users?$skiptoken=1"), linked("", "https://graph.example/v1.0/users?$skiptoken=2"), sound))
	if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 1 {
		t.Errorf("%d users, %v", len(snap.Users), err)
	}
}

func TestSimulatorFaultsNeverShortenARead(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 3, People: 9, Groups: 3})
	for _, fault := range []sim.Fault{
		sim.RepeatPage(), sim.RepeatLink(), sim.ForeignLink(), sim.NoListKey(), sim.NullElement(), sim.Body("[]"), sim.HTMLPage(),
		sim.ErrorWith200(), sim.TruncatedJSON(), sim.NoContent(), sim.Refusal(403), sim.Gateway(502),
	} {
		t.Run(fault.Name, func(t *testing.T) {
			server := sim.NewGraph(company, sim.GraphOptions{PageSize: 4})
			faults := sim.NewFaults(1)
			faults.Add(sim.Rule{Path: "/v1.0/users", After: 1, Fault: fault})
			c := behind(t, simOptions(server, everybody), faults.Wrap(sim.SideGraph, server))
			synctest.Test(t, func(t *testing.T) {
				if snap, err := c.Fetch(t.Context()); err == nil {
					t.Errorf("%d users and no error", len(snap.Users))
				}
			})
		})
	}
}

// A page token that is too old in the middle of a listing costs time and nobody.
func TestExpiredPageTokens(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 3, People: 30, Groups: -1})
	server := sim.NewGraph(company, sim.GraphOptions{PageSize: 4})
	var pages atomic.Int64
	c := behind(t, simOptions(server, everybody), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.0/users" && pages.Add(1) == 4 {
			server.ExpirePageTokens()
		}
		server.ServeHTTP(w, r)
	}))
	if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 30 {
		t.Errorf("%d users, %v", len(snap.Users), err)
	}
}

// A panic of the SDK, here of a transport below it, is an error of the read.
func TestPanicsAreErrors(t *testing.T) {
	c := simulated(t, sim.NewGraph(sim.NewCompany(sim.Config{}), sim.GraphOptions{}), everybody)
	c.graph.adapter = nil
	if _, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("Fetch: %v", err)
	}
	if _, err := c.Lookup(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("Lookup: %v", err)
	}
	if _, _, err := c.Members(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "panicked") {
		t.Errorf("Members: %v", err)
	}
}

// Over real connections answers come packed, and the sign-in's address is loopback without TLS.
func TestPackedAnswersOverLoopback(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 3, People: 30, Groups: 4})
	graph := sim.NewGraph(company, sim.GraphOptions{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		graph.ServeHTTP(rec, r)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(rec.Code)
			packed := gzip.NewWriter(w)
			defer packed.Close()
			packed.Write(rec.Body.Bytes())
			return
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	}))
	defer server.Close()
	for name, transport := range map[string]*http.Transport{"unpacked by Go": {}, "handed on packed": {DisableCompression: true}} {
		t.Run(name, func(t *testing.T) {
			defer transport.CloseIdleConnections()
			o := simOptions(graph, everybody)
			o.GraphURL, o.AuthorityURL = server.URL+"/v1.0", server.URL
			o.Transport = asking{transport}
			c, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 30 {
				t.Errorf("%d users, %v", len(snap.Users), err)
			}
		})
	}
}

// asking asks for packed answers where the transport does not do so by itself.
type asking struct{ *http.Transport }

func (a asking) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.DisableCompression && strings.HasPrefix(r.URL.Path, "/v1.0") {
		r = r.Clone(r.Context())
		r.Header.Set("Accept-Encoding", "gzip")
	}
	return a.Transport.RoundTrip(r)
}

func TestTheContextEndsAWait(t *testing.T) {
	c := behind(t, simOptions(sim.NewGraph(sim.NewCompany(sim.Config{}), sim.GraphOptions{}), everybody), scripted(refuse(429, "x", "Retry-After", "300")))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if _, err := c.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
	})
}
