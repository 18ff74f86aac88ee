package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest holds that whatever is asked for is answered or refused, never by a failure; that nothing that was sent or
// synced comes back as markup; that programs get JSON; and that nothing is approved but by its own fingerprint.
func FuzzRequest(f *testing.F) {
	w := newWorld(f, 14)
	w.busy()
	for _, s := range [][3]string{
		{"GET", "/", ""}, {"GET", "/plan?page=2&q=%00", ""}, {"GET", "/people?q=" + `%3Cimg%20src%3Dx%3E`, ""}, {"GET", "/people/u01", ""}, {"GET", "/groups/%2e%2e%2f", ""},
		{"GET", "/history?until=x", ""}, {"GET", "/history.csv", ""}, {"GET", "/cycles/9223372036854775808", ""}, {"GET", "/cycles/1/changes.csv", ""}, {"GET", "/held/abc", ""},
		{"POST", "/held/abc/approve", "by=me"}, {"POST", "/api/v1/held/abc/approve", `{"by":"me","include_on_call":true}`}, {"POST", "/theme", "theme=dark&back=//evil.example"},
		{"GET", "/login?back=https://evil.example", ""}, {"GET", "/static/..%2f..%2fgo.mod", ""}, {"GET", "/api/v1/cycles?limit=-1&until=2026-01-01T00:00:00Z", ""},
		{"GET", "/api/v1/people?page=99999999999999999999", ""}, {"GET", "/api/v1/openapi.json", ""}, {"DELETE", "/api/v1/plan", ""}, {"GET", "/metrics", ""}, {"POST", "/api/v1/cycles", "{"},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r, err := http.NewRequest(method, "http://127.0.0.1:8080"+target, strings.NewReader(body))
		if err != nil || r.URL.Host != "127.0.0.1:8080" || r.URL.Path == "/events" {
			return // no request at all, or the one that does not end
		}
		r.RemoteAddr = "127.0.0.1:999"
		if !strings.HasPrefix(r.URL.Path, apiPrefix) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		rec := httptest.NewRecorder()
		w.site.Handler().ServeHTTP(rec, r)
		answer, kind := rec.Body.String(), rec.Header().Get("Content-Type")
		if rec.Code >= http.StatusInternalServerError {
			t.Errorf("%s %q: %d\n%s", method, target, rec.Code, answer)
		}
		if strings.HasPrefix(kind, "text/html") && strings.Contains(answer, "<img src=x") {
			t.Errorf("%s %q answers with markup that is not its own", method, target)
		}
		if strings.Contains(kind, "json") && answer != "" && !json.Valid([]byte(answer)) {
			t.Errorf("%s %q answers with what is no JSON: %s", method, target, answer)
		}
		if strings.HasSuffix(r.URL.Path, "/approve") && rec.Code < http.StatusBadRequest {
			t.Errorf("%s %q approves: %s", method, target, answer)
		}
		if to := rec.Header().Get("Location"); strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`) || strings.Contains(to, "evil.example") && !strings.HasPrefix(to, "/") {
			t.Errorf("%s %q leads to %q", method, target, to)
		}
	})
}
