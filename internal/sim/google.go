package sim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// GoogleOptions are the switches of the Google side. The zero value is an account whose service account acts by
// domain-wide delegation for DefaultGoogleAdmin.
type GoogleOptions struct {
	Admin string // the one administrator's address; DefaultGoogleAdmin if empty
	// AdminRole gives the service account an administrator role of its own, so that it may sign in without a subject.
	AdminRole bool
	// Scopes are what the service account is granted; nil is reading people, groups and organizational units.
	Scopes []string
	// RateLimit is how many requests a minute are answered; 0 refuses none. More get 403, as Google answers them.
	RateLimit int
	// PageSize caps the pages below what is asked for, as Google may; 0 is no cap.
	PageSize int
	// Subgroups are the groups inside groups, all by name. A name that no group has is a group of another organization.
	Subgroups map[string][]string
	// Whole are the names of groups that have the whole account as a member.
	Whole []string
	// Strangers puts a person of another organization and an external address into every group.
	Strangers bool
	// Forbidden are families of paths ("users", "groups") that the administrator's role does not cover.
	Forbidden []string
}

// What an account is like whose options say nothing.
const (
	DefaultGoogleAdmin = "admin@" + Domain
	GoogleCustomer     = "C01simul8"
	GoogleAccount      = "idp-sync@acme-project.iam.gserviceaccount.com"
	GoogleClientID     = "101234567890123456789"
)

// googleBase is the path under which the Directory API answers.
const googleBase = "/admin/directory/v1"

// Google serves a Company as the Admin SDK's Directory API, read only, and as Google's token endpoint and IAM's signJwt.
//
// A suspended person is suspended, one who has left is archived, and whom Company.Delete removed is listed as deleted until
// EmptyBin. People stand in an organizational unit named like their department, SRE below Engineering. Ids are those
// of the company. Okta's group Everyone does not exist here.
type Google struct {
	company *Company
	options GoogleOptions
	mux     *http.ServeMux

	mu     *sync.Mutex
	tokens map[string]googleGrant
	window window
}

// NewGoogle returns the handler for a company.
func NewGoogle(c *Company, o GoogleOptions) *Google {
	o.Admin = cmp.Or(o.Admin, DefaultGoogleAdmin)
	if o.Scopes == nil {
		o.Scopes = []string{googleUserScope, googleGroupScope, googleUnitScope}
	}
	s := &Google{company: c, options: o, mux: http.NewServeMux(), mu: &sync.Mutex{}, tokens: map[string]googleGrant{}}
	s.handle("GET "+googleBase+"/users", s.listUsers)
	s.handle("GET "+googleBase+"/users/{user}", s.getUser)
	s.handle("GET "+googleBase+"/groups", s.listGroups)
	s.handle("GET "+googleBase+"/groups/{group}", s.getGroup)
	s.handle("GET "+googleBase+"/groups/{group}/members", s.listMembers)
	s.handle("GET "+googleBase+"/groups/{group}/hasMember/{member}", s.hasMember)
	s.handle("GET "+googleBase+"/customer/{customer}/orgunits", s.listUnits)
	s.mux.HandleFunc("POST /token", s.token)
	s.mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{call}", s.signJWT)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { // Google's front end does not answer in JSON here
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>")
	})
	return s
}

// Replica is the same account as it is, or was, in another company. What either lets in the other lets in too.
func (s *Google) Replica(c *Company) *Google {
	r := NewGoogle(c, s.options)
	r.mu, r.tokens = s.mu, s.tokens
	return r
}

// ServeHTTP answers one request.
func (s *Google) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if strings.HasPrefix(r.URL.Path, googleBase) && s.overQuota(now) {
		writeJSON(w, http.StatusForbidden, googleJSON, googleRefusal(http.StatusTooManyRequests).body(http.StatusForbidden))
		return
	}
	s.mux.ServeHTTP(w, r)
}

const googleJSON = "application/json; charset=UTF-8"

func (s *Google) overQuota(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.Before(s.window.reset) {
		s.window = window{reset: now.Add(time.Minute)}
	}
	s.window.used++
	return s.options.RateLimit > 0 && s.window.used > s.options.RateLimit
}

// handle registers a reader of the API: it is asked only when the caller may read, and answers with a value for a JSON
// body, of which the fields parameter may take a part, or with an error. It runs under the company's lock.
func (s *Google) handle(pattern string, read func(r *http.Request) (any, *googleError)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := s.authorize(r)
		var body any
		if err == nil {
			s.company.mu.RLock()
			body, err = read(r)
			s.company.mu.RUnlock()
		}
		if err == nil {
			body, err = partial(body, r.URL.Query().Get("fields"))
		}
		if err != nil {
			writeJSON(w, err.status, googleJSON, err.body(err.status))
			return
		}
		writeJSON(w, http.StatusOK, googleJSON, body)
	})
}

// authorize checks the token, its scope, and that whoever it acts for is an administrator.
func (s *Google) authorize(r *http.Request) *googleError {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	g, ok := s.tokens[token]
	s.mu.Unlock()
	if !strings.EqualFold(scheme, "Bearer") || !ok || !time.Now().Before(g.expires) {
		return googleRefusal(http.StatusUnauthorized)
	}
	family, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, googleBase+"/"), "/")
	need := map[string]string{"users": googleUserScope, "groups": googleGroupScope, "customer": googleUnitScope}[family]
	switch {
	case !slices.Contains(g.scopes, need):
		return &googleError{403, "insufficientPermissions", "global", "Request had insufficient authentication scopes."}
	case !g.admin || slices.Contains(s.options.Forbidden, family):
		return googleRefusal(http.StatusForbidden)
	}
	return nil
}

// RevokeTokens ends every access token at once, as an administrator can.
func (s *Google) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = googleGrant{}
	}
}

// A googleError is a refusal with Google's own reason.
type googleError struct {
	status                  int
	reason, domain, message string
}

// googleRefusal is Google's usual error of a status.
func googleRefusal(status int) *googleError {
	switch status {
	case http.StatusUnauthorized:
		return &googleError{status, "authError", "global", "Invalid Credentials"}
	case http.StatusForbidden:
		return &googleError{status, "forbidden", "global", "Not Authorized to access this resource/api"}
	case http.StatusTooManyRequests:
		return &googleError{status, "userRateLimitExceeded", "usageLimits", "User Rate Limit Exceeded"}
	case http.StatusServiceUnavailable:
		return &googleError{status, "backendError", "global", "Service unavailable. Please try again"}
	}
	return &googleError{status, "backendError", "global", "Backend Error"}
}

func googleNotFound(what string) *googleError {
	return &googleError{404, "notFound", "global", "Resource Not Found: " + what}
}

func googleInvalid(what string) *googleError {
	return &googleError{400, "invalid", "global", "Invalid Input: " + what}
}

func (e *googleError) body(code int) any {
	return map[string]any{"error": map[string]any{
		"code": code, "message": e.message,
		"errors": []any{map[string]string{"message": e.message, "domain": e.domain, "reason": e.reason}},
	}}
}
