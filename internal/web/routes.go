package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// A route is one thing that can be asked for. Its method is GET or POST; who asks has the role at least.
type route struct {
	method, path string
	role         Role
	handle       func(w http.ResponseWriter, r *http.Request, c call) error
}

// A call is who asks, and by which rules.
type call struct {
	g   *guard
	who visitor
}

const apiPrefix = "/api/v1/"

// allRoutes are those of a daemon that is alone in its process.
func (s *Site) allRoutes() []route {
	return slices.Concat(s.ownRoutes(), s.processRoutes(), s.apiRoutes())
}

// ownRoutes are the pages about the daemon.
func (s *Site) ownRoutes() []route {
	return []route{
		{"GET", "/{$}", RoleViewer, s.pageNow},
		{"GET", "/plan", RoleViewer, s.pagePlan},
		{"GET", "/people", RoleViewer, s.pagePeople},
		{"GET", "/people/{id}", RoleViewer, s.pagePerson},
		{"GET", "/groups", RoleViewer, s.pageGroups},
		{"GET", "/groups/{id}", RoleViewer, s.pageGroup},
		{"GET", "/history", RoleViewer, s.pageHistory},
		{"GET", "/history.csv", RoleViewer, s.exportCycles},
		{"GET", "/cycles/{id}", RoleViewer, s.pageCycle},
		{"GET", "/cycles/{id}/changes.csv", RoleViewer, s.exportChanges},
		{"GET", "/config", RoleViewer, s.pageConfig},
		{"GET", "/held/{fingerprint}", RoleViewer, s.pageHeld},
		{"POST", "/held/{fingerprint}/approve", RoleApprover, s.postApprove},
		{"POST", "/cycles", RoleApprover, s.postCycle},
		{"GET", "/events", RoleViewer, s.events},
	}
}

// processRoutes are what a process has once.
func (s *Site) processRoutes() []route {
	return []route{
		{"GET", "/metrics", RoleViewer, s.metrics},
		{"GET", "/login", RoleNobody, s.pageLogin},
		{"GET", "/login/begin", RoleNobody, func(w http.ResponseWriter, r *http.Request, c call) error { return s.begin(w, r, c.g) }},
		{"GET", callbackPath, RoleNobody, func(w http.ResponseWriter, r *http.Request, c call) error { return s.callback(w, r, c.g) }},
		{"POST", "/logout", RoleNobody, func(w http.ResponseWriter, r *http.Request, c call) error { return s.logout(w, r, c.g) }},
		{"POST", "/theme", RoleNobody, s.postTheme},
		{"GET", "/static/{name}", RoleNobody, s.static},
	}
}

func (s *Site) routes(all []route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range all {
		mux.Handle(rt.method+" "+rt.path, s.guarded(rt))
	}
	mux.Handle("/", s.guarded(route{role: RoleViewer, handle: func(http.ResponseWriter, *http.Request, call) error {
		return refusal{http.StatusNotFound, errors.New("there is no such page (the menu leads to those there are)")}
	}}))
	return mux
}

// Handler answers everything that the site has.
func (s *Site) Handler() http.Handler { return s.handler }

// policy allows what comes from here, and nothing that is written into a page: a name with markup in it stays a name.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm bounds what a visitor sends.
const maxForm = 64 << 10

// guarded lets a request through to its route, or says why not.
func (s *Site) guarded(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		g := s.guard.Load()
		if g == nil {
			http.Error(w, errStarting.Error(), http.StatusServiceUnavailable)
			return
		}
		if g.secure() {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		c := call{g: g}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.log.Error("a page failed", "path", r.URL.Path, "panic", redact.Panic(p), "stack", string(debug.Stack()))
				s.refuse(w, r, c, errors.New("this page failed: please report it with the log of the daemon"))
			}
		}()
		if err := s.admit(&c, rt, r); err != nil {
			s.refuse(w, r, c, err)
			return
		}
		if err := rt.handle(w, r, c); err != nil {
			s.refuse(w, r, c, s.stopped(err))
		}
	})
}

// admit tells who asks, and refuses whoever may not.
func (s *Site) admit(c *call, rt route, r *http.Request) error {
	if !c.g.ours(r) {
		return refusal{http.StatusMisdirectedRequest, fmt.Errorf("%q is not the name of this page (open it as localhost, or set http.public_url)", r.Host)}
	}
	if err := c.g.csrf.Check(r); err != nil {
		return refusal{http.StatusForbidden, errors.New("another site sent this request, so nothing was done (open the page itself; behind a proxy, set http.public_url)")}
	}
	who, err := s.visitor(c.g, r)
	c.who = who
	switch {
	case rt.role == RoleNobody:
		return nil
	case err == errToken && !s.limits.attempt(r):
		return refusal{http.StatusTooManyRequests, errTooOften}
	case err != nil:
		return refusal{http.StatusUnauthorized, err}
	case who.Role < rt.role:
		return refusal{http.StatusForbidden, errRole}
	case rt.role >= RoleApprover && s.daemon.State().Phase == daemon.PhaseStandby:
		return refusal{http.StatusConflict, fmt.Errorf("this replica stands by and decides nothing: ask the one that leads, %s", cmp.Or(s.daemon.State().Leader, "which is not known yet"))}
	}
	return nil
}

// A refusal is an error with the HTTP status that says it.
type refusal struct {
	status int
	err    error
}

func (e refusal) Error() string { return e.err.Error() }
func (e refusal) Unwrap() error { return e.err }

func statusOf(err error) int {
	if e, ok := errors.AsType[refusal](err); ok {
		return e.status
	}
	if errors.Is(err, errStarting) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// A problem is an error as programs read it (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail" doc:"What went wrong."`
	Remedy string `json:"remedy,omitempty" doc:"What to do next."`
}

// problemOf takes an error's text apart: its last parenthesis says what to do.
func problemOf(err error) problem {
	p := problem{Type: "about:blank", Status: statusOf(err), Detail: err.Error()}
	p.Title = http.StatusText(p.Status)
	if i := strings.LastIndex(p.Detail, " ("); i > 0 && strings.HasSuffix(p.Detail, ")") {
		p.Detail, p.Remedy = p.Detail[:i], p.Detail[i+2:len(p.Detail)-1]
	}
	return p
}

// refuse answers with an error: as a problem for programs, as a page for people, who are sent to sign in first.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, c call, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable {
		s.log.Warn("a page could not be shown", "path", r.URL.Path, "error", err)
	}
	if p.Status == http.StatusUnauthorized && c.g.Token != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rootly-idp-sync"`)
	}
	if forPrograms(r) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p) // who asked may have gone
		return
	}
	if p.Status == http.StatusUnauthorized && r.Method == http.MethodGet && c.g.OIDC != nil {
		http.Redirect(w, r, "/login?back="+url.QueryEscape(s.base+r.URL.RequestURI()), http.StatusSeeOther)
		return
	}
	s.render(w, r, c, p.Status, "error", p.Title, p)
}

func forPrograms(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, apiPrefix) || r.URL.Path == "/metrics" || r.URL.Path == "/events"
}
