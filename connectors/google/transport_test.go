package google

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func wantDamaged(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, connectors.ErrDamaged) {
		t.Errorf("error %v, want a damaged answer", err)
	}
}

// scripted answers the users listing by the script's handlers in turn, the last of them for ever.
func scripted(script ...http.HandlerFunc) *account {
	var n atomic.Int64
	return &account{answers: map[string]any{"/users": func(w http.ResponseWriter, r *http.Request) {
		script[min(int(n.Add(1)), len(script))-1](w, r)
	}}}
}

func sound(w http.ResponseWriter, _ *http.Request) { reply(w, users(user("u1", ""))) }

func answering(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// hanging answers when the request's context ends.
func hanging(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// later asks for a wait in seconds.
func later(seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		refuse(w, http.StatusTooManyRequests, "rateLimitExceeded", "Quota exceeded")
	}
}

// Pages without end, with new people under new tokens on each of them, are an error after 10,000.
func TestAListingWithoutEnd(t *testing.T) {
	n := 0
	c := connect(t, options(scripted(func(w http.ResponseWriter, _ *http.Request) {
		n++
		reply(w, strings.Replace(users(user(fmt.Sprint(n), "")), "{", fmt.Sprintf(`{"nextPageToken":"%d",`, n), 1))
	}), everybody))
	synctest.Test(t, func(t *testing.T) {
		_, err := c.Fetch(t.Context())
		wantDamaged(t, err)
		if n != 10_000 || !strings.Contains(err.Error(), "more than 10000 pages") {
			t.Errorf("after %d pages: %v", n, err)
		}
	})
}

func TestWaits(t *testing.T) {
	ms, s := time.Millisecond, time.Second
	quota := refusing(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
	newer := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"error":{"code":403,"status":"RESOURCE_EXHAUSTED","details":[{"reason":"RATE_LIMIT_EXCEEDED"}]}}`)
	}
	tests := map[string]struct {
		script   []http.HandlerFunc
		status   int // of the error; -1 is none
		requests int
		least    time.Duration
		most     time.Duration
	}{
		"a good answer waits for nothing":   {[]http.HandlerFunc{sound}, -1, 1, 0, 0},
		"a quota is waited for":             {[]http.HandlerFunc{quota, sound}, -1, 2, 500 * ms, 1500 * ms},
		"by its other reasons":              {[]http.HandlerFunc{refusing(403, "rateLimitExceeded", ""), refusing(403, "quotaExceeded", ""), newer, sound}, -1, 4, 3500 * ms, 10500 * ms},
		"with growing gaps":                 {[]http.HandlerFunc{quota, quota, quota, quota, quota, sound}, -1, 6, 15500 * ms, 46500 * ms},
		"no more than seven times":          {[]http.HandlerFunc{quota}, 403, 8, 62 * s, 192 * s},
		"Retry-After is kept to":            {[]http.HandlerFunc{later(40), sound}, -1, 2, 40 * s, 40 * s},
		"unless it is too long":             {[]http.HandlerFunc{later(600), sound}, 429, 1, 0, 0},
		"a bare 429 too":                    {[]http.HandlerFunc{answering(429), sound}, -1, 2, 500 * ms, 1500 * ms},
		"a missing permission is not":       {[]http.HandlerFunc{refusing(403, "forbidden", "Not Authorized to access this resource/api"), sound}, 403, 1, 0, 0},
		"nor is a day's quota":              {[]http.HandlerFunc{refusing(403, "dailyLimitExceeded", ""), sound}, 403, 1, 0, 0},
		"a 503 is tried again":              {[]http.HandlerFunc{answering(503), answering(500), sound}, -1, 3, 750 * ms, 2250 * ms},
		"four times":                        {[]http.HandlerFunc{answering(502)}, 502, 4, 1750 * ms, 5250 * ms},
		"a hanging answer is cut off":       {[]http.HandlerFunc{hanging, sound}, -1, 2, 60250 * ms, 60750 * ms},
		"four times as well":                {[]http.HandlerFunc{hanging}, 0, 4, 240 * s, 247 * s},
		"a refused token is renewed, once":  {[]http.HandlerFunc{refusing(401, "authError", "Invalid Credentials"), sound}, -1, 2, 0, 0},
		"a second refusal is the last word": {[]http.HandlerFunc{refusing(401, "authError", "Invalid Credentials")}, 401, 2, 0, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(tc.script...)
			c := connect(t, options(server, everybody))
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				snap, err := c.Fetch(t.Context())
				took := time.Since(start)
				if took < tc.least || took > tc.most {
					t.Errorf("took %s, want %s to %s", took, tc.least, tc.most)
				}
				if server.requests() != tc.requests {
					t.Errorf("%d requests sent, want %d", server.requests(), tc.requests)
				}
				if tc.status < 0 {
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

// A long read stays below what Google lets one user ask in a minute.
func TestPaceStaysBelowTheQuota(t *testing.T) {
	pages := 0
	server := &account{answers: map[string]any{"/users": func(w http.ResponseWriter, _ *http.Request) {
		pages++
		more := ""
		if pages < 3000 {
			more = fmt.Sprintf(`,"nextPageToken":"%d"`, pages)
		}
		reply(w, strings.TrimSuffix(users(user(fmt.Sprint("u", pages), "")), "}")+more+"}")
	}}}
	c := connect(t, options(server, everybody))
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if _, err := c.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 79*time.Second || took > 81*time.Second {
			t.Errorf("3,000 pages took %s", took)
		}
	})
}

// What an empty list looks like at Google, and what only looks like it.
func TestEmptyLists(t *testing.T) {
	const kind = `{"kind":"admin#directory#users"`
	tests := map[string]struct {
		first, second string
		ok            bool
	}{
		"a query that finds nobody":       {kind + `}`, "", true},
		"the list written as empty":       {kind + `,"users":[]}`, "", true},
		"an empty page on the way":        {kind + `,"users":[],"nextPageToken":"2"}`, users(user("u1", "")), true},
		"no kind":                         {`{}`, "", false},
		"another kind":                    {`{"kind":"admin#directory#groups"}`, "", false},
		"the list left out with a token":  {kind + `,"nextPageToken":"2"}`, users(user("u1", "")), false},
		"the list left out on a page two": {kind + `,"users":[` + user("u1", "") + `],"nextPageToken":"2"}`, kind + `}`, false},
		"the list null":                   {kind + `,"users":null}`, "", false},
		"a null in it":                    {kind + `,"users":[null]}`, "", false},
		"the page again":                  {kind + `,"users":[` + user("u1", "") + `],"nextPageToken":"2"}`, users(user("u1", "")), false},
		"the same token for ever":         {kind + `,"users":[],"nextPageToken":"2"}`, kind + `,"users":[],"nextPageToken":"2"}`, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := &account{answers: map[string]any{"/users": func(w http.ResponseWriter, r *http.Request) {
				reply(w, map[bool]string{true: tc.first, false: tc.second}[r.URL.Query().Get("pageToken") == ""])
			}}}
			o := options(server, everybody)
			o.UserQuery = "isSuspended=false"
			_, err := connect(t, o).Fetch(t.Context())
			if tc.ok && err != nil {
				t.Error(err)
			}
			if !tc.ok {
				wantDamaged(t, err)
			}
		})
	}
	t.Run("nobody at all without a query", func(t *testing.T) {
		_, err := connect(t, options(&account{answers: map[string]any{"/users": kind + "}"}}, everybody)).Fetch(t.Context())
		wantDamaged(t, err)
	})
}

// panicking stands in for a defect of the SDK, whose goroutine the transport runs on.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("a nil map") }

func TestPanicsEndInAnError(t *testing.T) {
	o := options(nil, everybody)
	o.Transport = panicking{}
	c := connect(t, o)
	ask := map[string]func(context.Context) error{
		"Fetch":   func(ctx context.Context) error { _, err := c.Fetch(ctx); return err },
		"Lookup":  func(ctx context.Context) error { _, err := c.Lookup(ctx, "u1"); return err },
		"Members": func(ctx context.Context) error { _, _, err := c.Members(ctx, "g1"); return err },
		"Check":   func(ctx context.Context) error { return c.Check(ctx)[0].Err },
	}
	for name, f := range ask {
		if err := f(t.Context()); err == nil || !strings.Contains(err.Error(), "panicked") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
