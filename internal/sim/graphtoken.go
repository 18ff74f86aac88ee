package sim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// openIDConfiguration tells where the tenant's endpoints are. They are said to be https even where TLS ends before
// this server, for sign-in libraries take nothing else.
func (s *Graph) openIDConfiguration(w http.ResponseWriter, r *http.Request) {
	tenant := r.PathValue("tenant")
	if tenant != s.options.TenantID {
		s.refuseSignIn(w, noTenant(tenant))
		return
	}
	base := "https://" + r.Host + "/" + tenant
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize", "token_endpoint": base + "/oauth2/v2.0/token",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"jwks_uri":                              base + "/discovery/v2.0/keys", "response_types_supported": []string{"code", "id_token"},
		"tenant_region_scope": "EU", "cloud_instance_name": r.Host, "msgraph_host": "graph.microsoft.com",
	})
}

// token answers the client credentials grant: a secret, or an assertion signed with a certificate's key.
func (s *Graph) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		s.refuseSignIn(w, &signInError{400, "invalid_request", 900144, "The request body could not be read."})
		return
	}
	if e := s.signIn(r); e != nil {
		s.refuseSignIn(w, e)
		return
	}
	s.mu.Lock()
	token := fmt.Sprintf("%s.%s.sim-graph-token-%d", encodePart(`{"typ":"JWT","alg":"none"}`),
		encodePart(fmt.Sprintf(`{"tid":%q}`, s.options.TenantID)), len(s.tokens)+1)
	s.tokens[token] = time.Now().Add(accessTokenLife)
	s.mu.Unlock()
	life := int(accessTokenLife / time.Second)
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token,
	})
}

func encodePart(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// RevokeTokens ends every access token at once.
func (s *Graph) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = time.Time{}
	}
}

// A signInError is a refusal of the token endpoint; number is the one of its AADSTS code.
type signInError struct {
	status  int
	code    string
	number  int
	message string
}

func noTenant(tenant string) *signInError {
	return &signInError{400, "invalid_request", 90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the "+
		"correct tenant ID and are signing into the correct cloud.", tenant)}
}

func (s *Graph) signIn(r *http.Request) *signInError {
	form := r.PostForm
	switch {
	case r.PathValue("tenant") != s.options.TenantID:
		return noTenant(r.PathValue("tenant"))
	case form.Get("grant_type") != "client_credentials":
		return &signInError{400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."}
	case form.Get("client_id") != s.options.ClientID:
		return &signInError{400, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found "+
			"in the directory 'Acme'.", form.Get("client_id"))}
	case !strings.HasSuffix(form.Get("scope"), "/.default") && !strings.Contains(form.Get("scope"), "/.default "):
		return &signInError{400, "invalid_scope", 1002012, "The provided value for scope is not valid."}
	case form.Has("client_assertion"):
		return s.checkAssertion(form.Get("client_assertion"), time.Now())
	case form.Get("client_secret") != s.options.Secret:
		return &signInError{401, "invalid_client", 7000215, fmt.Sprintf("Invalid client secret provided. Ensure the secret being "+
			"sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", s.options.ClientID)}
	case s.options.ExpiredSecret:
		return &signInError{401, "invalid_client", 7000222, fmt.Sprintf("The provided client secret keys for app '%s' are expired.",
			s.options.ClientID)}
	}
	return nil
}

// checkAssertion checks a private_key_jwt client assertion with a PS256 signature.
func (s *Graph) checkAssertion(assertion string, now time.Time) *signInError {
	bad := &signInError{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is " +
		"not registered on application."}
	parts := strings.Split(assertion, ".")
	if s.options.PublicKey == nil || len(parts) != 3 {
		return bad
	}
	var claims struct {
		Subject   string `json:"sub"`
		NotBefore int64  `json:"nbf"`
		Expires   int64  `json:"exp"`
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || decodePart(parts[1], &claims) != nil || claims.Subject != s.options.ClientID {
		return bad
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPSS(s.options.PublicKey, crypto.SHA256, digest[:], signature, nil) != nil {
		return bad
	}
	const grace = 5 * time.Minute
	if now.Before(time.Unix(claims.NotBefore, 0).Add(-grace)) || now.After(time.Unix(claims.Expires, 0).Add(grace)) {
		return &signInError{401, "invalid_client", 700024, "Client assertion is not within its valid time range."}
	}
	return nil
}

func (s *Graph) refuseSignIn(w http.ResponseWriter, e *signInError) {
	id, stamp := s.requestID(), time.Now().UTC().Format("2006-01-02 15:04:05Z")
	writeJSON(w, e.status, "application/json; charset=utf-8", map[string]any{
		"error": e.code,
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			e.number, e.message, id, id, stamp),
		"error_codes": []int{e.number}, "timestamp": stamp, "trace_id": id, "correlation_id": id,
		"error_uri": "https://login.microsoftonline.com/error?code=" + strconv.Itoa(e.number),
	})
}
