package sim

import (
	"cmp"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// OktaOptions are the switches of the Okta side. The zero value is an org that accepts DefaultOktaToken.
type OktaOptions struct {
	Token string // the SSWS token; DefaultOktaToken if empty
	// ClientID and PublicKey register one service app that signs its client assertions with the key's other half.
	ClientID  string
	PublicKey *rsa.PublicKey
	// Forbidden are families of paths ("users", "groups", "apps") that the SSWS token's admin role does not cover.
	Forbidden []string
	// RateLimit is how many requests a minute each family of paths grants; 0 announces 600 and refuses none.
	RateLimit int
	// PageCap caps every page below what is asked for; 0 is no cap.
	PageCap int
	// ExpandLimit caps a page of app users when expand=user is asked for; 0 is Okta's documented 500.
	ExpandLimit int
}

// DefaultOktaToken is the API token of an org whose options name none.
const DefaultOktaToken = "00sim-okta-api-token"

// Okta serves a Company as Okta's management API, read only, and as the token endpoint of its authorization server.
//
// Lists come in pages. The Link header holds a link with rel="self" and, while there is more, one with rel="next"
// whose "after" is an opaque cursor; the end is an answer without a next link. A cursor stands behind the last object
// of its page, so what joins or leaves between two pages neither repeats nor hides anybody else.
type Okta struct {
	company *Company
	options OktaOptions
	mux     *http.ServeMux

	mu     sync.Mutex
	tokens map[string]grant  // what the token endpoint has given out
	spent  map[string]window // requests per family of paths
	errors int               // numbers the error ids
}

type window struct {
	reset time.Time
	used  int
}

// NewOkta returns the handler for a company.
func NewOkta(c *Company, o OktaOptions) *Okta {
	o.Token = cmp.Or(o.Token, DefaultOktaToken)
	s := &Okta{company: c, options: o, mux: http.NewServeMux(), tokens: map[string]grant{}, spent: map[string]window{}}
	s.handle("GET /api/v1/apps/{app}", s.getApp)
	s.handle("GET /api/v1/apps/{app}/users", s.listAppUsers)
	s.handle("GET /api/v1/apps/{app}/users/{user}", s.getAppUser)
	s.handle("GET /api/v1/apps/{app}/groups", s.listAppGroups)
	s.handle("GET /api/v1/groups", s.listGroups)
	s.handle("GET /api/v1/groups/{group}", s.getGroup)
	s.handle("GET /api/v1/groups/{group}/users", s.listGroupUsers)
	s.handle("GET /api/v1/users", s.listUsers)
	s.handle("GET /api/v1/users/{user}", s.getUser)
	s.handle("GET /api/v1/users/{user}/groups", s.listUserGroups)
	s.mux.HandleFunc("POST /oauth2/v1/token", s.token)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			s.refuse(w, &oktaError{405, "E0000022", "The endpoint does not support the provided HTTP method"})
			return
		}
		s.refuse(w, notFound(r.URL.Path, "Path"))
	})
	return s
}

// ServeHTTP answers one request. Every answer carries Date and X-Rate-Limit-*.
func (s *Okta) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	limit, left, reset := s.spend(family(r.URL.Path), now)
	h := w.Header()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(max(left, 0)))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(reset.Unix(), 10))
	if left < 0 && s.options.RateLimit > 0 {
		s.refuse(w, &oktaError{429, "E0000047", "API call exceeded rate limit due to too many requests."})
		return
	}
	s.mux.ServeHTTP(w, r)
}

// family is the bucket that Okta counts a path in and the area that an admin role covers: users, groups, apps.
func family(path string) string {
	rest, _ := strings.CutPrefix(path, "/api/v1/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func (s *Okta) spend(family string, now time.Time) (limit, left int, reset time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.spent[family]
	if !now.Before(w.reset) {
		w = window{reset: now.Truncate(time.Second).Add(time.Minute)}
	}
	w.used++
	s.spent[family] = w
	limit = cmp.Or(s.options.RateLimit, 600)
	return limit, limit - w.used, w.reset
}

// handle registers a reader of the API: it is asked only when the caller may read, and answers with a value for a JSON
// body or with an error.
func (s *Okta) handle(pattern string, read func(w http.ResponseWriter, r *http.Request) (any, *oktaError)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := s.authorize(w, r)
		if err == nil && r.PathValue("app") != "" && r.PathValue("app") != s.company.appID {
			err = notFound(r.PathValue("app"), "AppInstance")
		}
		var body any
		if err == nil {
			body, err = read(w, r)
		}
		if err != nil {
			s.refuse(w, err)
			return
		}
		writeJSON(w, http.StatusOK, "application/json", body)
	})
}

// writeJSON encodes before it answers, so a body is whole or absent.
func writeJSON(w http.ResponseWriter, status int, mediaType string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("sim: encode an answer: %v", err))
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	w.Write(text)
}

// authorize checks the token and what it may read.
func (s *Okta) authorize(w http.ResponseWriter, r *http.Request) *oktaError {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	area := family(r.URL.Path)
	switch {
	case strings.EqualFold(scheme, "SSWS") && token == s.options.Token:
		if slices.Contains(s.options.Forbidden, area) {
			return forbidden()
		}
		return nil
	case strings.EqualFold(scheme, "Bearer"):
		g, ok := s.granted(token)
		if !ok {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			return invalidToken()
		}
		if !slices.Contains(g.scopes, "okta."+area+".read") {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope"`)
			return forbidden()
		}
		return nil
	}
	return invalidToken()
}

// An oktaError is a refusal with Okta's own code.
type oktaError struct {
	status        int
	code, summary string
}

func invalidToken() *oktaError { return &oktaError{401, "E0000011", "Invalid token provided"} }

func forbidden() *oktaError {
	return &oktaError{403, "E0000006", "You do not have permission to perform the requested action"}
}

func notFound(id, kind string) *oktaError {
	return &oktaError{404, "E0000007", fmt.Sprintf("Not found: Resource not found: %s (%s)", id, kind)}
}

func invalid(what string) *oktaError {
	return &oktaError{400, "E0000001", "Api validation failed: " + what}
}

func (s *Okta) refuse(w http.ResponseWriter, e *oktaError) {
	s.mu.Lock()
	s.errors++
	id := fmt.Sprintf("oae%017d", s.errors)
	s.mu.Unlock()
	writeJSON(w, e.status, "application/json", e.body(id))
}

func (e *oktaError) body(id string) any {
	return map[string]any{
		"errorCode": e.code, "errorSummary": e.summary, "errorLink": e.code, "errorId": id, "errorCauses": []any{},
	}
}
