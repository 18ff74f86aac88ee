package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// KeycloakOptions are the switches of the Keycloak side. The zero value is a realm whose client may read everything.
type KeycloakOptions struct {
	Realm    string // "acme" if empty
	ClientID string // DefaultKeycloakClient if empty
	Secret   string // DefaultKeycloakSecret if empty
	// Rights are the service account's roles of realm-management; nil is view-users and view-clients with what is in them.
	Rights []string
	// NoServiceAccount leaves the client's service account switched off.
	NoServiceAccount bool
	// TokenLife is how long an access token is good; 0 is five minutes.
	TokenLife time.Duration
	// Parents are the groups inside groups, by name: the parent of each.
	Parents map[string]string
	// Embedded answers as servers before Keycloak 23 do: sub-groups are in their parents and not counted.
	Embedded bool
	// ServiceAccounts puts the account of a client into every group and gives it the role.
	ServiceAccounts bool
}

// What a realm is like whose options say nothing.
const (
	DefaultKeycloakClient = "rootly-idp-sync"
	DefaultKeycloakSecret = "sim-keycloak-secret"
	// KeycloakApp is the client whose role KeycloakRole people are assigned.
	KeycloakApp  = "rootly"
	KeycloakRole = "user"
)

// Keycloak serves a Company as the Admin REST API of one realm, read only, and as its token endpoint.
//
// A person who is not active in one way or another is not enabled. Whom Company.Delete removed is unknown. The company's
// app is the client KeycloakApp: its role KeycloakRole is given to people and to groups, whose sub-groups have it too. Ids
// are those of KeycloakID. Okta's group Everyone does not exist here.
type Keycloak struct {
	company *Company
	options KeycloakOptions
	mux     *http.ServeMux

	mu      *sync.Mutex
	tokens  map[string]time.Time
	sorted  []*person // by username, as they were at
	sortedN int
	at      time.Time
}

// KeycloakID is the id in Keycloak of the person, group or client with this id in the company.
func KeycloakID(id string) string { return GraphID(id) }

// NewKeycloak returns the handler for a company.
func NewKeycloak(c *Company, o KeycloakOptions) *Keycloak {
	o.Realm = cmp.Or(o.Realm, "acme")
	o.ClientID = cmp.Or(o.ClientID, DefaultKeycloakClient)
	o.Secret = cmp.Or(o.Secret, DefaultKeycloakSecret)
	o.TokenLife = cmp.Or(o.TokenLife, 5*time.Minute)
	if o.Rights == nil {
		o.Rights = []string{"view-users", "view-clients", "query-clients", "query-groups", "query-users"}
	}
	s := &Keycloak{company: c, options: o, mux: http.NewServeMux(), mu: &sync.Mutex{}, tokens: map[string]time.Time{}}
	s.handle("/users", "view-users", "query-users", s.listUsers)
	s.handle("/users/count", "view-users", "query-users", s.countUsers)
	s.handle("/users/{user}", "view-users", "", s.getUser)
	s.handle("/users/{user}/groups", "view-users", "", s.groupsOfUser)
	s.handle("/users/{user}/role-mappings/clients/{client}", "view-users", "", s.rolesOfUser)
	s.handle("/groups", "view-users", "query-groups", s.listGroups)
	s.handle("/groups/{group}", "view-users", "", s.getGroup)
	s.handle("/groups/{group}/children", "view-users", "", s.listChildren)
	s.handle("/groups/{group}/members", "view-users", "", s.listMembers)
	s.handle("/clients", "view-clients", "query-clients", s.listClients)
	s.handle("/clients/{client}/roles", "view-clients", "", s.listRoles)
	s.handle("/clients/{client}/roles/{role}/users", "view-clients", "", s.usersWithRole)
	s.handle("/clients/{client}/roles/{role}/groups", "view-clients", "", s.groupsWithRole)
	s.mux.HandleFunc("POST /realms/{realm}/protocol/openid-connect/token", s.token)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.refuse(w, &keycloakError{404, "Unable to find matching target resource method", ""})
	})
	return s
}

// Replica is the same realm as it is, or was, in another company. What either lets in the other lets in too.
func (s *Keycloak) Replica(c *Company) *Keycloak {
	r := NewKeycloak(c, s.options)
	r.mu, r.tokens = s.mu, s.tokens
	return r
}

// ServeHTTP answers one request.
func (s *Keycloak) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// A keycloakError is a refusal in Keycloak's words.
type keycloakError struct {
	status            int
	code, description string
}

func (e *keycloakError) body() any {
	body := map[string]string{"error": e.code}
	if e.description != "" {
		body["error_description"] = e.description
	}
	return body
}

// keycloakRefusal is Keycloak's usual error of a status.
func keycloakRefusal(status int) *keycloakError {
	return &keycloakError{status, fmt.Sprintf("HTTP %d %s", status, http.StatusText(status)), ""}
}

func (s *Keycloak) refuse(w http.ResponseWriter, e *keycloakError) {
	writeJSON(w, e.status, "application/json", e.body())
}

// handle registers a reader of the API. need is the right that it takes; who has query alone is answered with what
// fine-grained permissions show them, which is nothing, and with the count of all. It runs under the company's lock.
func (s *Keycloak) handle(path, need, query string, read func(r *http.Request) (any, *keycloakError)) {
	s.mux.HandleFunc("GET /admin/realms/{realm}"+path, func(w http.ResponseWriter, r *http.Request) {
		err := s.authorize(r)
		partial := false
		if err == nil && !slices.Contains(s.options.Rights, need) {
			if partial = query != "" && slices.Contains(s.options.Rights, query); !partial {
				err = keycloakRefusal(http.StatusForbidden)
			}
		}
		var body any
		if err == nil {
			s.company.mu.RLock()
			body, err = read(r)
			s.company.mu.RUnlock()
		}
		if err != nil {
			s.refuse(w, err)
			return
		}
		if _, count := body.(int); partial && !count {
			body = []any{}
		}
		writeJSON(w, http.StatusOK, "application/json;charset=UTF-8", body)
	})
}

func (s *Keycloak) authorize(r *http.Request) *keycloakError {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	until, ok := s.tokens[token]
	s.mu.Unlock()
	switch {
	case scheme != "Bearer" || !ok || !time.Now().Before(until):
		return keycloakRefusal(http.StatusUnauthorized)
	case r.PathValue("realm") != s.options.Realm:
		return &keycloakError{404, "Realm not found.", ""}
	}
	return nil
}

// RevokeTokens ends every access token at once.
func (s *Keycloak) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = time.Time{}
	}
}

// token answers the client credentials grant.
func (s *Keycloak) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	const who = "Invalid client or Invalid client credentials"
	switch {
	case r.PathValue("realm") != s.options.Realm:
		s.refuse(w, &keycloakError{404, "Realm does not exist", ""})
	case r.PostFormValue("grant_type") != "client_credentials":
		s.refuse(w, &keycloakError{400, "unsupported_grant_type", "Unsupported grant_type"})
	case id != s.options.ClientID:
		s.refuse(w, &keycloakError{401, "invalid_client", who})
	case secret != s.options.Secret:
		s.refuse(w, &keycloakError{401, "unauthorized_client", who})
	case s.options.NoServiceAccount:
		s.refuse(w, &keycloakError{401, "unauthorized_client", "Client not enabled to retrieve service account"})
	default:
		writeJSON(w, http.StatusOK, "application/json", map[string]any{
			"access_token": s.issue(), "expires_in": int(s.options.TokenLife / time.Second), "refresh_expires_in": 0,
			"token_type": "Bearer", "not-before-policy": 0, "scope": "email profile",
		})
	}
}

// issue makes an access token that shows the service account's rights in its claims.
func (s *Keycloak) issue() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	claims, err := json.Marshal(map[string]any{
		"jti": fmt.Sprint("trrtcc:", len(s.tokens)+1), "typ": "Bearer", "azp": s.options.ClientID,
		"resource_access": map[string]any{"realm-management": map[string]any{"roles": s.options.Rights}},
	})
	if err != nil {
		panic(fmt.Sprintf("sim: encode the claims: %v", err))
	}
	token := encodePart(`{"alg":"RS256","typ":"JWT"}`) + "." + encodePart(string(claims)) + "." + encodePart("signature")
	s.tokens[token] = time.Now().Add(s.options.TokenLife)
	return token
}
