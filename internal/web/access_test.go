package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const testToken = "0123456789abcdef0123456789abcdef"

func token() string { return testToken }

func TestListensToOthersOnlyWithAuthentication(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true, "127.8.9.1:80": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "10.0.0.5:8080": false, "sync.acme.com:8080": false, "localhost.evil.example:80": false,
	} {
		w := newWorld(t, 1)
		if err := w.site.Configure(Access{Listen: listen}); (err == nil) != ok {
			t.Errorf("%s without authentication: %v", listen, err)
		} else if err != nil && !strings.Contains(err.Error(), "http.token_file") {
			t.Errorf("%s: %v says nothing of what to do", listen, err)
		}
		if err := w.site.Configure(Access{Listen: listen, Token: token}); err != nil {
			t.Errorf("%s with a token: %v", listen, err)
		}
	}
}

// TestReloadKeepsWhatListens: the address in effect decides, whatever the new configuration would listen on.
func TestReloadKeepsWhatListens(t *testing.T) {
	w := newWorld(t, 1)
	w.allow(Access{Listen: "0.0.0.0:0", Token: token})
	stop, err := w.site.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := w.site.Configure(Access{Listen: "127.0.0.1:8080"}); err == nil {
		t.Error("a reload took the token away from a listener that others reach")
	}
	if answer, _ := w.ask(http.MethodGet, "/", ""); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", answer.Status)
	}
}

// TestEveryRouteAsksWho goes through all routes as nobody, with a wrong token, as a viewer and as an approver.
func TestEveryRouteAsksWho(t *testing.T) {
	w := newWorld(t, 3)
	w.cycle()
	visitors := []struct {
		name string
		role Role
		head []string
	}{
		{"nobody", RoleNobody, nil},
		{"wrong token", RoleNobody, []string{"Authorization", "Bearer " + testToken[1:]}},
		{"empty token", RoleNobody, []string{"Authorization", "Bearer "}},
		{"another scheme", RoleNobody, []string{"Authorization", "Basic " + testToken}},
		{"made-up session", RoleNobody, []string{"Cookie", sessionCookie + "=abc"}},
		{"viewer", RoleViewer, []string{"Authorization", "Bearer " + testToken}},
		{"approver", RoleApprover, []string{"Authorization", "bearer " + testToken}},
	}
	for _, v := range visitors {
		w.allow(Access{Listen: ":8080", Token: token, TokenRole: max(v.role, RoleViewer)})
		for _, rt := range w.site.allRoutes() {
			if rt.path == "/events" || rt.path == callbackPath {
				continue // they have tests of their own
			}
			w.site.limits.forget()
			path := strings.NewReplacer("{$}", "", "{id}", "u01", "{fingerprint}", "abcdef", "{name}", strings.TrimPrefix(assetNames["page.js"], "/static/")).Replace(rt.path)
			method := rt.method
			if method == "" {
				method = http.MethodGet
			}
			answer, body := w.ask(method, path, "", v.head...)
			refused := answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden
			if want := v.role < rt.role; refused != want {
				t.Errorf("%s as %s: %s, refused should be %t", rt.method+" "+rt.path, v.name, answer.Status, want)
			}
			if refused && v.role == RoleNobody && (strings.Contains(body, "u01@acme.example") || strings.Contains(body, "file:staff")) {
				t.Errorf("%s as %s tells what is here:\n%s", rt.path, v.name, body)
			}
		}
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	w := newWorld(t, 1)
	w.allow(Access{Listen: ":8080", Token: token})
	last := 0
	for range attemptsAtOnce + 2 {
		answer, _ := w.ask(http.MethodGet, "/api/v1/status", "", "Authorization", "Bearer wrong")
		last = answer.StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last of many wrong tokens: %d", last)
	}
}

// TestOnlyThisHostOnLoopback: a name that was made to lead here is refused, for its page could read this one.
func TestOnlyThisHostOnLoopback(t *testing.T) {
	w := newWorld(t, 1)
	for host, ok := range map[string]bool{
		"127.0.0.1:8080": true, "localhost:8080": true, "LOCALHOST": true, "[::1]:8080": true, "127.0.0.1": true,
		"evil.example:8080": false, "localhost.evil.example": false, "127.0.0.1.nip.example": false, "": false,
	} {
		answer, body := w.ask(http.MethodGet, "/", "", "Host", host)
		if (answer.StatusCode == http.StatusOK) != ok {
			t.Errorf("Host %q: %s", host, answer.Status)
		}
		if !ok && strings.Contains(body, "file:staff") {
			t.Errorf("Host %q is told what is here", host)
		}
	}
	w.allow(Access{Listen: "127.0.0.1:8080", PublicURL: "https://sync.acme.com"})
	if answer, _ := w.ask(http.MethodGet, "/", "", "Host", "sync.acme.com"); answer.StatusCode != http.StatusOK {
		t.Errorf("the public name: %s", answer.Status)
	}
}

// TestOtherSitesChangeNothing is the matrix of what browsers send with a request: method, where it comes from, and what they
// say of that.
func TestOtherSitesChangeNothing(t *testing.T) {
	w := newWorld(t, 3)
	origins := map[string]bool{"": true, "http://127.0.0.1:8080": true, "https://sync.acme.com": true, "http://evil.example": false, "null": false, "http://127.0.0.1:9999": false}
	sites := map[string]bool{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false}
	w.allow(Access{Listen: "127.0.0.1:8080", PublicURL: "https://sync.acme.com"})
	n := 0
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for origin, goodOrigin := range origins {
			for site, goodSite := range sites {
				for _, path := range []string{"/cycles", "/api/v1/cycles"} {
					if method == http.MethodGet && path == "/cycles" {
						path = "/"
					}
					var head []string
					if origin != "" {
						head = append(head, "Origin", origin)
					}
					if site != "" {
						head = append(head, "Sec-Fetch-Site", site)
					}
					// What a browser says of the site goes before the origin; without it, the origin decides. A trusted
					// origin is another one by its site.
					ok := method == http.MethodGet || origin == "https://sync.acme.com" || site != "" && goodSite || site == "" && goodOrigin
					before := w.board.orders
					answer, _ := w.ask(method, path, "", head...)
					if allowed := answer.StatusCode != http.StatusForbidden; allowed != ok {
						t.Errorf("%s %s, Origin %q, Sec-Fetch-Site %q: %s", method, path, origin, site, answer.Status)
					}
					if began := w.board.orders > before; began != (ok && method == http.MethodPost) {
						t.Errorf("%s %s, Origin %q, Sec-Fetch-Site %q began a cycle: %t", method, path, origin, site, began)
					}
					n++
				}
			}
		}
	}
	if n < 24 {
		t.Errorf("%d combinations", n)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	w := newWorld(t, 3)
	w.cycle()
	for _, path := range []string{"/", "/plan", "/nowhere", "/api/v1/status", "/api/v1/nowhere", "/metrics", "/history.csv", "/login"} {
		answer, _ := w.ask(http.MethodGet, path, "")
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := answer.Header.Get(name); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows what is written into pages: %s", policy)
	}
}

func TestNothingOpenSaysSo(t *testing.T) {
	w := newWorld(t, 1)
	w.site.Use(t.Context(), nil)
	for _, path := range []string{"/", "/people", "/api/v1/people", "/config"} {
		answer, body := w.ask(http.MethodGet, path, "")
		if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(strings.ToLower(body), "try again in a moment") {
			t.Errorf("%s: %s\n%s", path, answer.Status, body)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	var s sessions
	now := time.Now()
	g := &guard{public: mustURL(t, "https://sync.acme.com")}
	ask := func(number string, at time.Time) bool {
		r, err := http.NewRequest(http.MethodGet, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "__Host-" + sessionCookie, Value: number})
		_, ok := s.find(r, g, at)
		return ok
	}
	first := s.begin(person{Subject: "1"}, now)
	if !ask(first, now.Add(sessionLife)) || ask(first, now.Add(sessionLife+time.Second)) || ask(first+"x", now) || ask("", now) {
		t.Error("a session is found when it should not be, or not found when it should be")
	}
	for range maxSessions {
		now = now.Add(time.Second)
		s.begin(person{}, now)
	}
	if ask(first, now) || len(s.all) > maxSessions {
		t.Errorf("%d sessions are kept", len(s.all))
	}
}
