package sim

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RipplingOptions are the switches of the Rippling side. The zero value lets the token see everything.
type RipplingOptions struct {
	Token string // the API token; DefaultRipplingToken if empty
	// RateLimit is how many requests a minute are answered; 0 refuses none. More get 429 with Retry-After.
	RateLimit int
	// PageSize caps the pages below what is asked for; 0 is no cap.
	PageSize int
	// NoLimit refuses the parameter limit, which the API's description does not name.
	NoLimit bool
	// RelativeLinks writes links to the next page as a path.
	RelativeLinks bool
	// Redacted are the fields that the token may not see, by collection: "users": {"emails"}.
	Redacted map[string][]string
	// Forbidden are the collections whose scope the token lacks: "workers".
	Forbidden []string
	// Parents are the teams and departments above others, by name.
	Parents map[string]string
	// Rehired are the logins of people who have a terminated employment besides the present one.
	Rehired []string
	// Leaving are the logins of people whose one employment is terminated while the user is still active.
	Leaving []string
	// Outsiders are the logins of people without any employment.
	Outsiders []string
	// Candidates is how many workers there are who are nobody's user yet.
	Candidates int
}

// DefaultRipplingToken is the API token of a company whose options name none.
const DefaultRipplingToken = "sim-rippling-token"

// Rippling serves a Company as Rippling's REST API, read only: users, workers, teams and departments.
//
// Each person is a user with one worker of the same id behind "w-". Staged people are hired and not active, suspended ones
// are employed and not active, deactivated ones terminated. Teams are the company's groups, and departments have ids made
// of their names. Okta's group Everyone does not exist here.
type Rippling struct {
	company *Company
	options RipplingOptions
	mux     *http.ServeMux

	mu     sync.Mutex
	window window
}

// NewRippling returns the handler for a company.
func NewRippling(c *Company, o RipplingOptions) *Rippling {
	o.Token = cmp.Or(o.Token, DefaultRipplingToken)
	s := &Rippling{company: c, options: o, mux: http.NewServeMux()}
	s.handle("GET /users", s.listUsers)
	s.handle("GET /users/{id}", s.getUser)
	s.handle("GET /workers", s.listWorkers)
	s.handle("GET /teams", s.listTeams)
	s.handle("GET /departments", s.listDepartments)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { writeRipplingError(w, http.StatusNotFound) })
	return s
}

// ServeHTTP answers one request.
func (s *Rippling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if wait := s.overLimit(time.Now()); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		writeRipplingError(w, http.StatusTooManyRequests)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// overLimit is how long a request comes too early.
func (s *Rippling) overLimit(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.Before(s.window.reset) {
		s.window = window{reset: now.Add(time.Minute)}
	}
	s.window.used++
	if s.options.RateLimit > 0 && s.window.used > s.options.RateLimit {
		return s.window.reset.Sub(now)
	}
	return 0
}

// handle registers a reader, which is asked only when the caller may read and runs under the company's lock. It answers
// with a status, and with 200 a body.
func (s *Rippling) handle(pattern string, read func(r *http.Request) (int, any)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		status, body := s.authorize(r), any(nil)
		if status == http.StatusOK {
			s.company.mu.RLock()
			status, body = read(r)
			s.company.mu.RUnlock()
		}
		if status != http.StatusOK {
			writeRipplingError(w, status)
			return
		}
		writeJSON(w, status, "application/json", body)
	})
}

func (s *Rippling) authorize(r *http.Request) int {
	family, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.options.Token:
		return http.StatusUnauthorized
	case r.Header.Get("Rippling-Api-Version") == "":
		return http.StatusBadRequest
	case slices.Contains(s.options.Forbidden, family):
		return http.StatusForbidden
	}
	return http.StatusOK
}

func ripplingRefusal(status int) any {
	return map[string]string{"code": strings.ToUpper(strings.ReplaceAll(http.StatusText(status), " ", "_")), "message": http.StatusText(status)}
}

func writeRipplingError(w http.ResponseWriter, status int) {
	writeJSON(w, status, "application/json", ripplingRefusal(status))
}

// page answers with as many objects as the request asks for and the link to the next page. at is the object at one of n
// stable places, nil where there is none to show.
func (s *Rippling) page(r *http.Request, n int, at func(place int) map[string]any) (int, any) {
	q := r.URL.Query()
	limit, start := 50, 0
	if q.Has("limit") {
		asked, err := strconv.Atoi(q.Get("limit"))
		if err != nil || asked < 1 || asked > 100 || s.options.NoLimit {
			return http.StatusBadRequest, nil
		}
		limit = asked
	}
	if s.options.PageSize > 0 {
		limit = min(limit, s.options.PageSize)
	}
	if cursor := q.Get("cursor"); cursor != "" {
		place, ours := strings.CutPrefix(cursor, cursorPrefix)
		var err error
		if start, err = strconv.Atoi(place); err != nil || !ours || start < 0 {
			return http.StatusBadRequest, nil
		}
	}
	out := map[string]any{"results": []any{}, "__meta": map[string]any{"redacted_fields": s.redacted(r)}}
	results := []any{}
	for place := start; place < n; place++ {
		object := at(place)
		if object == nil {
			continue
		}
		if len(results) == limit {
			out["next_link"] = s.link(r, q, place)
			break
		}
		results = append(results, s.redact(r, object))
	}
	out["results"] = results
	return http.StatusOK, out
}

func (s *Rippling) link(r *http.Request, q url.Values, place int) string {
	q.Set("cursor", cursorPrefix+strconv.Itoa(place))
	path := r.URL.Path + "?" + q.Encode()
	if s.options.RelativeLinks {
		return path
	}
	return baseURL(r) + path
}

// redacted says which fields of the collection that is asked for the token may not see.
func (s *Rippling) redacted(r *http.Request) []any {
	out := []any{}
	for _, name := range s.hidden(r) {
		out = append(out, map[string]string{"name": name, "reason": "The token lacks the permission for this field"})
	}
	return out
}

func (s *Rippling) hidden(r *http.Request) []string {
	family, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return s.options.Redacted[family]
}

func (s *Rippling) redact(r *http.Request, object map[string]any) map[string]any {
	for _, name := range s.hidden(r) {
		delete(object, name)
	}
	return object
}
