package sim

import (
	"cmp"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// GraphOptions are the switches of the Graph side. The zero value is a tenant whose app registration has all that is
// needed to read.
type GraphOptions struct {
	TenantID string // DefaultTenantID if empty
	ClientID string // of the app registration that signs in; DefaultClientID if empty
	// Secret is the app's client secret; DefaultClientSecret if empty. ExpiredSecret is when it has run out.
	Secret        string
	ExpiredSecret bool
	// PublicKey is that of the app's certificate, for apps that sign in with one.
	PublicKey *rsa.PublicKey

	// Forbidden are families of paths ("users", "groups", "servicePrincipals", "directory") without admin consent.
	Forbidden []string
	// Blind leaves out what an app without a permission for people is not told: members are a type and an id, and
	// accountEnabled is null.
	Blind bool
	// Hidden are the names of groups with hidden membership, which list nobody.
	Hidden []string
	// Subgroups are the groups inside groups, all by name. Entra allows cycles.
	Subgroups map[string][]string
	// Strangers puts a device, a service principal and a contact into every group, assigns a service principal to the
	// app, and gives everybody assigned by name a second role in it.
	Strangers bool
	// PageSize caps the pages below what is asked for, as Graph may; 0 is no cap.
	PageSize int
	// RateLimit is how many requests are answered within ten seconds; 0 refuses none.
	RateLimit int
}

// What a tenant is like whose options say nothing.
const (
	DefaultTenantID     = "7f3c1d52-0e44-4b1c-9a0b-5d1f6a2e9c11"
	DefaultClientID     = "b2a6c0de-5a3f-4d1e-8b7a-21c4e0f39d02"
	DefaultClientSecret = "sim~entra~client~secret"
)

// GraphBase is the path under which Graph answers.
const GraphBase = "/v1.0"

// Graph serves a Company as Microsoft Graph, read only, and as the token endpoint of its tenant.
//
// Suspended, staged and deactivated people have accountEnabled false; somebody whose login is of another domain is a
// guest. Okta's group Everyone does not exist here. Whom Company.Delete removed is in the recycle bin until EmptyBin.
type Graph struct {
	company *Company
	options GraphOptions
	mux     *http.ServeMux

	mu       *sync.Mutex
	tokens   map[string]time.Time // until when each access token is good
	window   window               // the requests of these ten seconds
	requests int                  // numbers the request ids
	era      int                  // page tokens of another era have expired
	people   map[string]int       // places in Company.people by object id; filled as people are hired
	groups   map[string]int
	indexed  [2]int // how many people and groups are in the maps
}

// NewGraph returns the handler for a company.
func NewGraph(c *Company, o GraphOptions) *Graph {
	o.TenantID = cmp.Or(o.TenantID, DefaultTenantID)
	o.ClientID = cmp.Or(o.ClientID, DefaultClientID)
	o.Secret = cmp.Or(o.Secret, DefaultClientSecret)
	s := &Graph{
		company: c, options: o, mux: http.NewServeMux(), mu: &sync.Mutex{}, tokens: map[string]time.Time{},
		people: map[string]int{}, groups: map[string]int{},
	}
	s.handle("GET /v1.0/users", s.listUsers)
	s.handle("GET /v1.0/users/{user}", s.getUser)
	s.handle("GET /v1.0/users/{user}/memberOf", s.listMemberOf)
	s.handle("GET /v1.0/users/{user}/transitiveMemberOf", s.listMemberOf)
	s.handle("GET /v1.0/groups", s.listGroups)
	s.handle("GET /v1.0/groups/{group}", s.getGroup)
	s.handle("GET /v1.0/groups/{group}/members", s.listMembers)
	s.handle("GET /v1.0/{object}", s.getByAppID)
	s.handle("GET /v1.0/servicePrincipals/{principal}", s.getServicePrincipal)
	s.handle("GET /v1.0/servicePrincipals/{principal}/appRoleAssignedTo", s.listAssignedTo)
	s.handle("GET /v1.0/directory/deletedItems/{object}", s.getDeleted)
	s.handle("GET /v1.0/directory/deletedItems/graph.user", s.listDeleted)
	s.handle("GET /v1.0/directory/deletedItems/microsoft.graph.user", s.listDeleted)
	s.mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", s.openIDConfiguration)
	s.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.token)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, &graphError{400, "BadRequest", "Resource not found for the segment '" + r.URL.Path + "'."})
	})
	return s
}

// Replica is the same tenant as it is, or was, in another company. What either lets in the other lets in too.
func (s *Graph) Replica(c *Company) *Graph {
	r := NewGraph(c, s.options)
	r.mu, r.tokens = s.mu, s.tokens
	return r
}

// ServeHTTP answers one request.
func (s *Graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if strings.HasPrefix(r.URL.Path, GraphBase+"/") {
		w.Header().Set("request-id", s.requestID())
		w.Header().Set("x-ms-resource-unit", "1")
		if wait := s.throttle(now); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())))
			w.Header().Set("x-ms-throttle-scope", "Tenant_Application/ReadWrite/"+s.options.ClientID+"/"+s.options.TenantID)
			w.Header().Set("x-ms-throttle-information", "ResourceUnitLimitExceeded")
			s.refuse(w, tooManyRequests())
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// throttle counts a request and tells how long its sender has to wait, if it is one too many.
func (s *Graph) throttle(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !now.Before(s.window.reset) {
		s.window = window{reset: now.Add(10 * time.Second)}
	}
	s.window.used++
	if s.options.RateLimit == 0 || s.window.used <= s.options.RateLimit {
		return 0
	}
	return s.window.reset.Sub(now).Truncate(time.Second) + time.Second
}

func (s *Graph) requestID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return GraphID("request " + strconv.Itoa(s.requests))
}

// ExpirePageTokens makes every $skiptoken that was handed out too old, as time does.
func (s *Graph) ExpirePageTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.era++
}

// GraphID is the object id in Entra of the person or group with this id in the company.
func GraphID(id string) string {
	h := fnv.New128a()
	h.Write([]byte(id))
	sum := h.Sum(nil)
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	text := hex.EncodeToString(sum)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}

// AppClientID is the client id of the enterprise application "Rootly", which is what people are assigned to.
func (s *Graph) AppClientID() string { return GraphID("client of " + s.company.appID) }

// principalID is the object id of the enterprise application.
func (s *Graph) principalID() string { return GraphID(s.company.appID) }

// find returns the person with this object id or user principal name. The caller holds the company's lock.
func (s *Graph) find(key string) *person {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.indexed[0] < len(s.company.people); s.indexed[0]++ {
		if p := s.company.people[s.indexed[0]]; p != nil {
			s.people[GraphID(p.ID)] = p.seq
		}
	}
	if seq, ok := s.people[key]; ok {
		return s.company.people[seq]
	}
	return s.company.byLogin[strings.ToLower(key)]
}

// findGroup returns the group with this object id. The caller holds the company's lock.
func (s *Graph) findGroup(id string) *group {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.indexed[1] < len(s.company.groups); s.indexed[1]++ {
		if g := s.company.groups[s.indexed[1]]; g != nil && g != s.company.all {
			s.groups[GraphID(g.ID)] = g.seq
		}
	}
	if seq, ok := s.groups[id]; ok {
		return s.company.groups[seq]
	}
	return nil
}

// handle registers a reader of the API: it is asked only when the caller may read, under the company's lock, and
// answers with a value for a JSON body or with an error.
func (s *Graph) handle(pattern string, read func(r *http.Request) (any, *graphError)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := s.authorize(r)
		var body any
		if err == nil {
			s.company.mu.RLock()
			defer s.company.mu.RUnlock()
			body, err = read(r)
		}
		if err != nil {
			s.refuse(w, err)
			return
		}
		writeJSON(w, http.StatusOK, "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8", body)
	})
}

// authorize checks the token and the permissions of the app.
func (s *Graph) authorize(r *http.Request) *graphError {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	until, known := s.tokens[token]
	s.mu.Unlock()
	switch family := graphFamily(r.URL.Path); {
	case scheme != "Bearer" || token == "":
		return &graphError{401, "InvalidAuthenticationToken", "Access token is empty."}
	case !known || !time.Now().Before(until):
		return &graphError{401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."}
	case slices.Contains(s.options.Forbidden, family):
		return forbiddenByGraph()
	}
	return nil
}

// graphFamily is the collection that a path begins with.
func graphFamily(path string) string {
	rest, _ := strings.CutPrefix(path, GraphBase+"/")
	name, _, _ := strings.Cut(rest, "/")
	name, _, _ = strings.Cut(name, "(")
	return name
}

// A graphError is a refusal with Graph's own code.
type graphError struct {
	status        int
	code, message string
}

func forbiddenByGraph() *graphError {
	return &graphError{403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."}
}

func tooManyRequests() *graphError {
	return &graphError{429, "TooManyRequests", "The request is throttled because the application has exceeded its limit."}
}

func noResource(id string) *graphError {
	return &graphError{404, "Request_ResourceNotFound",
		fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)}
}

// graphRefusal is what Graph says under a status.
func graphRefusal(status int) *graphError {
	switch status {
	case 401:
		return &graphError{401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."}
	case 403:
		return forbiddenByGraph()
	case 429:
		return tooManyRequests()
	case 503:
		return &graphError{503, "ServiceUnavailable", "The service is temporarily unavailable."}
	}
	return &graphError{status, "InternalServerError", "An internal server error occurred."}
}

func (s *Graph) refuse(w http.ResponseWriter, e *graphError) {
	writeJSON(w, e.status, "application/json", e.body(s.requestID(), time.Now()))
}

func (e *graphError) body(requestID string, now time.Time) any {
	return map[string]any{"error": map[string]any{
		"code": e.code, "message": e.message,
		"innerError": map[string]any{
			"date": now.UTC().Format("2006-01-02T15:04:05"), "request-id": requestID, "client-request-id": requestID,
		},
	}}
}
