package okta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func wantDamaged(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, connectors.ErrDamaged) {
		t.Errorf("error %v, want a damaged answer", err)
	}
}

// scripted answers the users listing by the script's handlers in turn, the last of them for ever.
func scripted(script ...http.HandlerFunc) *org {
	var n atomic.Int64
	return &org{answers: map[string]any{"/api/v1/users": func(w http.ResponseWriter, r *http.Request) {
		script[min(int(n.Add(1)), len(script))-1](w, r)
	}}}
}

func sound(w http.ResponseWriter, _ *http.Request) { reply(w, array(user("00u1", "ACTIVE", ""))) }

func answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// limited is a 429 whose limit resets so long after its Date, which is an hour off our clock.
func limited(limit int, reset time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		rateHeaders(w, limit, 0, reset)
		refuse(w, http.StatusTooManyRequests, "E0000047", "API call exceeded rate limit due to too many requests.")
	}
}

func rateHeaders(w http.ResponseWriter, limit, remaining int, reset time.Duration) {
	skewed := time.Now().Add(time.Hour)
	w.Header().Set("Date", skewed.UTC().Format(http.TimeFormat))
	w.Header().Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
	w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(remaining))
	w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(skewed.Add(reset).Unix(), 10))
}

// hanging answers when the request's context ends.
func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestWaits(t *testing.T) {
	ms, s := time.Millisecond, time.Second
	tests := map[string]struct {
		script   []http.HandlerFunc
		ok       bool
		status   int // of the error
		requests int
		least    time.Duration
		most     time.Duration
	}{
		"a good answer waits for nothing":    {[]http.HandlerFunc{sound}, true, 0, 1, 0, 0},
		"a 429 is waited out, skew or not":   {[]http.HandlerFunc{limited(600, 40*s), sound}, true, 0, 2, 40 * s, 41 * s},
		"three 429 are waited out":           {[]http.HandlerFunc{limited(9, 59*s), limited(9, 59*s), limited(9, 59*s), sound}, true, 0, 4, 177 * s, 180 * s},
		"a fourth is not":                    {[]http.HandlerFunc{limited(9, 10*s)}, false, 429, 4, 30 * s, 33 * s},
		"a reset hours away is not":          {[]http.HandlerFunc{limited(9, 5*time.Hour)}, false, 429, 1, 0, 0},
		"a reset in the past waits a second": {[]http.HandlerFunc{limited(9, -5*s), sound}, true, 0, 2, s, s},
		"too many at once waits moments":     {[]http.HandlerFunc{limited(0, 60*s), sound}, true, 0, 2, 250 * ms, 750 * ms},
		"a 429 without headers too":          {[]http.HandlerFunc{answering(429), sound}, true, 0, 2, 250 * ms, 750 * ms},
		"a 503 is tried again":               {[]http.HandlerFunc{answering(503), answering(500), sound}, true, 0, 3, 750 * ms, 2250 * ms},
		"three times":                        {[]http.HandlerFunc{answering(502)}, false, 502, 3, 750 * ms, 2250 * ms},
		"a hanging answer is cut off":        {[]http.HandlerFunc{hanging, sound}, true, 0, 2, 60250 * ms, 60750 * ms},
		"three times as well":                {[]http.HandlerFunc{hanging}, false, 0, 3, 180 * s, 183 * s},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(tc.script...)
			c := connect(t, server, everybody)
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				snap, err := c.Fetch(t.Context())
				took := time.Since(start)
				if took < tc.least || took > tc.most {
					t.Errorf("took %s, want %s to %s", took, tc.least, tc.most)
				}
				if got := c.Stats(); got.Requests != tc.requests || server.requests() != tc.requests {
					t.Errorf("%d requests sent, %d counted, want %d", server.requests(), got.Requests, tc.requests)
				}
				if tc.ok {
					if err != nil || len(snap.Users) != 1 {
						t.Errorf("%d users, %v", len(snap.Users), err)
					}
					return
				}
				e, ok := errors.AsType[*connectors.Error](err)
				if !ok || e.Status != tc.status || e.Remedy == "" {
					t.Errorf("error %v (%T), want status %d and a remedy", err, err, tc.status)
				}
			})
		})
	}
}

// Others need the limit too: below the floor the next page waits for the reset, and the floor is a tenth by default.
func TestFloorPauses(t *testing.T) {
	for remaining, want := range map[int]time.Duration{61: 0, 60: 0, 59: 31 * time.Second, 0: 31 * time.Second} {
		t.Run(strconv.Itoa(remaining), func(t *testing.T) {
			server := scripted(func(w http.ResponseWriter, r *http.Request) {
				rateHeaders(w, 600, remaining, 30*time.Second)
				w.Header().Add("Link", `<https://acme.okta.com/api/v1/users?after=2>; rel="next"`)
				sound(w, r)
			}, func(w http.ResponseWriter, _ *http.Request) { reply(w, array(user("00u2", "ACTIVE", ""))) })
			c := connect(t, server, everybody)
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				if _, err := c.Fetch(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < want-time.Second || took > want {
					t.Errorf("took %s, want %s", took, want)
				}
				if got := c.Stats().Waited; got > want || want > 0 && got == 0 {
					t.Errorf("Stats say %s was waited", got)
				}
			})
		})
	}
}

// The longest pause is bounded even when the reset is a day away.
func TestFloorPauseIsBounded(t *testing.T) {
	l := limits{floor: 0.1, until: map[string]time.Time{}}
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		rateHeaders(w, 100, 1, 24*time.Hour)
		if got := l.note("users", w.Header()); got != maxLimitWait {
			t.Errorf("paused for %s", got)
		}
		if got := l.pause("groups"); got > 0 {
			t.Errorf("another bucket pauses for %s", got)
		}
	})
}

func TestWaitsEndWithTheContext(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{"429": limited(9, 50*time.Second), "503": answering(503), "hanging": hanging} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, scripted(h), everybody)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				start := time.Now()
				_, err := c.Fetch(ctx)
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
					t.Errorf("after %s: %v", time.Since(start), err)
				}
			})
		})
	}
}

// The SDK repeats an io.EOF at once and without end; a real connection is the proof that ours is none.
func TestBrokenConnectionEnds(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{"before the answer": "", "inside the body": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n[{"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprint(conn, start)
				conn.Close()
			}))
			defer server.Close()
			c, err := New(Options{OrgURL: server.URL, APIToken: token, Query: everybody, Transport: server.Client().Transport})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err = c.Fetch(ctx)
			e, ok := errors.AsType[*connectors.Error](err)
			if !ok || e.Status != 0 || e.Remedy == "" {
				t.Errorf("error %v", err)
			}
			if n := asked.Load(); n != maxTries {
				t.Errorf("%d requests, want %d", n, maxTries)
			}
		})
	}
}

// What the SDK would take for nobody, or panic on, does not reach it.
func TestDamagedBodies(t *testing.T) {
	person := user("00u1", "ACTIVE", "")
	for name, body := range map[string]string{
		"empty": "", "blank": " \n", "null": "null", "an object": "{}", "a null element": "[null]", "a later null element": "[" + person + ",null]",
		"a text element": `["00u1"]`, "a nested list": "[[]]", "cut": "[" + person, "more after the end": array(person) + "x", "two lists": "[][]",
	} {
		t.Run(name, func(t *testing.T) {
			server := &org{answers: map[string]any{"/api/v1/users": body}}
			_, err := connect(t, server, everybody).Fetch(t.Context())
			wantDamaged(t, err)
			if server.requests() != 1 {
				t.Errorf("%d requests", server.requests())
			}
		})
	}
	for _, kind := range []string{"", "text/html", "text/plain; charset=utf-8", "application/xml", "nonsense;;"} {
		t.Run("sent as "+kind, func(t *testing.T) {
			server := scripted(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{kind}
				fmt.Fprint(w, array(person))
			})
			_, err := connect(t, server, everybody).Fetch(t.Context())
			wantDamaged(t, err)
		})
	}
}

func TestLinks(t *testing.T) {
	const here, next = "https://acme.okta.com/api/v1/users?limit=200", "https://acme.okta.com/api/v1/users?after=x&limit=200"
	tests := map[string]struct {
		links []string
		users int    // 0 is an error
		err   string // part of it
	}{
		"none":                  {nil, 1, ""},
		"self only":             {[]string{"<" + here + `>; rel="self"`}, 1, ""},
		"in two headers":        {[]string{"<" + here + `>; rel="self"`, "<" + next + `>; rel="next"`}, 2, ""},
		"joined in one":         {[]string{"<" + here + `>; rel="self", <` + next + `>; rel="next"`}, 2, ""},
		"joined without space":  {[]string{"<" + next + `>;rel=next,<` + here + `>;rel=self`}, 2, ""},
		"with a comma within":   {[]string{"<" + here + `>; title="a, b"; rel="self", <` + next + `>; title="c>, <"; rel="next"`}, 2, ""},
		"relative":              {[]string{`</api/v1/users?after=x>; rel="next"`}, 2, ""},
		"several relations":     {[]string{"<" + next + `>; rel="last NEXT"`}, 2, ""},
		"the scheme of a proxy": {[]string{strings.Replace("<"+next+`>; rel="next"`, "https", "http", 1)}, 2, ""},
		"another host":          {[]string{`<https://evil.example/api/v1/users?after=x>; rel="next"`}, 0, "another host, evil.example"},
		"another listing":       {[]string{`<https://acme.okta.com/api/v1/groups?after=x>; rel="next"`}, 0, "another listing"},
		"this page again":       {[]string{"<" + here + `>; rel="next"`}, 0, "page repeated"},
		"the start again":       {[]string{`<https://acme.okta.com/api/v1/users>; rel="next"`}, 0, "page repeated"},
		"two next pages":        {[]string{"<" + next + `>; rel="next", <` + next + `1>; rel="next"`}, 0, "two links"},
		"no URL":                {[]string{`next`}, 0, "cannot be read"},
		"half a URL":            {[]string{`<https://acme.okta.com/api`}, 0, "cannot be read"},
		"a broken URL":          {[]string{`<https://acme.okta.com/%zz?after=x>; rel="next"`}, 0, "cannot be read"},
		"a broken port":         {[]string{`<http://[::1:x/>; rel="next"`}, 0, "cannot be read"},
		"a semicolon in it":     {[]string{`<https://acme.okta.com/api/v1/users?a;b>; rel="next"`}, 0, "cannot be read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Link"] = tc.links
				sound(w, r)
			}, func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("after") != "x" {
					t.Errorf("asked for %s", r.URL)
				}
				reply(w, array(user("00u2", "ACTIVE", "")))
			})
			snap, err := connect(t, server, everybody).Fetch(t.Context())
			if tc.users == 0 {
				wantDamaged(t, err)
				if err != nil && !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error %v, want one with %q", err, tc.err)
				}
				return
			}
			if err != nil || len(snap.Users) != tc.users {
				t.Errorf("%d users, want %d, %v", len(snap.Users), tc.users, err)
			}
		})
	}
}

func TestRepeatedPages(t *testing.T) {
	page := func(next string, users ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<https://acme.okta.com/api/v1/users?after=`+next+`>; rel="next"`)
			reply(w, array(users...))
		}
	}
	one, two := user("00u1", "ACTIVE", ""), user("00u2", "ACTIVE", "")
	endless, fresh := 0, 0
	tests := map[string][]http.HandlerFunc{
		"the same people under another link":  {page("a", one), page("b", one)},
		"other people under the same link":    {page("a", one), page("b", two), page("a", user("00u3", "ACTIVE", "")), sound},
		"nobody, under new links without end": {func(w http.ResponseWriter, r *http.Request) { endless++; page(strconv.Itoa(endless))(w, r) }},
		"new people, under two links without end": {func(w http.ResponseWriter, r *http.Request) {
			fresh++
			page([]string{"a", "b"}[fresh%2], user(strconv.Itoa(fresh), "ACTIVE", ""))(w, r)
		}},
		"one person twice on a page":            {func(w http.ResponseWriter, _ *http.Request) { reply(w, array(one, one)) }},
		"one person twice, the second changed":  {page("a", one), page("b", user("00u1", "SUSPENDED", ""))},
		"a person without id on the last page":  {page("a", one), func(w http.ResponseWriter, _ *http.Request) { reply(w, `[{"status":"ACTIVE"}]`) }},
		"the first page again after a good one": {page("a", one), page("b", two), page("a", one)},
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(script...)
			_, err := connect(t, server, everybody).Fetch(t.Context())
			wantDamaged(t, err)
			if server.requests() > 12 {
				t.Errorf("%d requests", server.requests())
			}
		})
	}
	t.Run("new people under new links without end", func(t *testing.T) {
		n := 0
		server := scripted(func(w http.ResponseWriter, r *http.Request) {
			n++
			page(strconv.Itoa(n), user(strconv.Itoa(n), "ACTIVE", ""))(w, r)
		})
		_, err := connect(t, server, everybody).Fetch(t.Context())
		wantDamaged(t, err)
		if n != 10_000 || !strings.Contains(err.Error(), "more than 10000 pages") {
			t.Errorf("after %d pages: %v", n, err)
		}
	})
	t.Run("an empty page in between is none", func(t *testing.T) {
		server := scripted(page("a", one), page("b"), func(w http.ResponseWriter, _ *http.Request) { reply(w, array(two)) })
		snap, err := connect(t, server, everybody).Fetch(t.Context())
		if err != nil || len(snap.Users) != 2 {
			t.Errorf("%d users, %v", len(snap.Users), err)
		}
	})
}

func TestRefusals(t *testing.T) {
	refusing := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { refuse(w, status, code, "what Okta says") }
	}
	tests := map[string]struct {
		answer http.HandlerFunc
		status int
		code   string
		remedy string
	}{
		"401":            {refusing(401, "E0000011"), 401, "E0000011", "wrong, revoked or expired after 30 days of disuse"},
		"403":            {refusing(403, "E0000006"), 403, "E0000006", "Read-only Administrator"},
		"404 of the app": {refusing(404, "E0000007"), 404, "E0000007", "no app has the id 0oa1; it is the 0oa…"},
		"404 of a page":  {answering(404), 404, "", "check the org URL"},
		"a redirection": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusFound)
		}, 302, "", "no proxy answers"},
		"a bad gateway's page": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }, 502, "", "status.okta.com"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := &org{answers: map[string]any{"/api/v1/apps/0oa1/users": func(w http.ResponseWriter, r *http.Request) { tc.answer(w, r) }}}
			c := connect(t, server, connectors.Query{Mode: connectors.ScopeAssigned})
			synctest.Test(t, func(t *testing.T) {
				_, err := c.Fetch(t.Context())
				e, ok := errors.AsType[*connectors.Error](err)
				if !ok {
					t.Fatalf("error %v (%T)", err, err)
				}
				if e.Status != tc.status || e.Code != tc.code {
					t.Errorf("status %d, code %q, want %d, %q", e.Status, e.Code, tc.status, tc.code)
				}
				for _, part := range []string{"okta: ", strconv.Itoa(tc.status), "users of app 0oa1", tc.remedy} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not contain %q", err, part)
					}
				}
				if strings.Contains(err.Error(), "t0ken") {
					t.Errorf("%q holds the token", err)
				}
			})
		})
	}
}

func TestPanicOfTheSDKIsAnError(t *testing.T) {
	server := groupOrg()
	server.answers["/api/v1/groups/00g2/users"] = func(http.ResponseWriter, *http.Request) { panic("nil pointer") }
	q := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}
	snap, err := connect(t, server, q).Fetch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "okta-sdk-golang/v2 panicked") || snap.Groups != nil {
		t.Errorf("%d groups, error %v", len(snap.Groups), err)
	}
}

// A page in which the SDK's own types do not fit is an error of the SDK, not of the transport.
func TestUndecodablePage(t *testing.T) {
	server := &org{answers: map[string]any{"/api/v1/users": `[{"id":7}]`}}
	snap, err := connect(t, server, everybody).Fetch(t.Context())
	if err == nil || !strings.Contains(err.Error(), "okta: listing the users: ") || len(snap.Users) != 0 {
		t.Errorf("%d users, %v", len(snap.Users), err)
	}
}

// That nothing leads to Okta, and that it refuses the token or its administrator, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	connectTo := func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
		c, err := New(Options{OrgURL: "https://acme.okta.com", APIToken: func() string { return connectortest.Canary }, Query: everybody, Transport: transport})
		if err != nil {
			tb.Fatal(err)
		}
		return c
	}
	connectortest.RunTrouble(t, connectTo, map[string]func(testing.TB) connectors.Connector{
		"a wrong token": func(tb testing.TB) connectors.Connector {
			company := sim.NewCompany(sim.Config{Seed: 7, People: 5, Groups: -1})
			return connectTo(tb, connectortest.Transport(sim.NewOkta(company, sim.OktaOptions{})))
		},
		"no administrator": func(tb testing.TB) connectors.Connector {
			return connectTo(tb, connectortest.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				refuse(w, http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action")
			})))
		},
	})
}
