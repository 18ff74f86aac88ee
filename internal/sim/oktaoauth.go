package sim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A grant is what one access token allows, and until when.
type grant struct {
	scopes  []string
	expires time.Time
}

// accessTokenLife is how long Okta's own access tokens live.
const accessTokenLife = time.Hour

// token answers POST /oauth2/v1/token for the client credentials of the one registered service app. The client
// assertion may come in the body or in the URL's query, where an older SDK puts it.
func (s *Okta) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuseToken(w, http.StatusBadRequest, "invalid_request", err)
		return
	}
	if got := r.Form.Get("grant_type"); got != "client_credentials" {
		refuseToken(w, http.StatusBadRequest, "unsupported_grant_type", fmt.Errorf("the grant type %q is not supported", got))
		return
	}
	if r.Form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		refuseToken(w, http.StatusUnauthorized, "invalid_client", errors.New("client_assertion_type is missing or unknown"))
		return
	}
	audience := baseURL(r) + "/oauth2/v1/token"
	if err := s.verify(r.Form.Get("client_assertion"), audience, time.Now()); err != nil {
		refuseToken(w, http.StatusUnauthorized, "invalid_client", err)
		return
	}
	scopes := strings.Fields(r.Form.Get("scope"))
	for _, scope := range scopes {
		if !strings.HasPrefix(scope, "okta.") {
			refuseToken(w, http.StatusBadRequest, "invalid_scope", fmt.Errorf("the scope %q is not granted to the app", scope))
			return
		}
	}
	if len(scopes) == 0 {
		refuseToken(w, http.StatusBadRequest, "invalid_scope", errors.New("the request names no scope"))
		return
	}
	writeJSON(w, http.StatusOK, "application/json", map[string]any{
		"token_type": "Bearer", "expires_in": int(accessTokenLife / time.Second), "scope": strings.Join(scopes, " "),
		"access_token": s.grant(scopes, time.Now()),
	})
}

func refuseToken(w http.ResponseWriter, status int, code string, err error) {
	writeJSON(w, status, "application/json", map[string]string{"error": code, "error_description": err.Error()})
}

func (s *Okta) grant(scopes []string, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("sim-access-token-%d", len(s.tokens)+1)
	s.tokens[token] = grant{scopes, now.Add(accessTokenLife)}
	return token
}

func (s *Okta) granted(token string) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.tokens[token]
	return g, ok && time.Now().Before(g.expires)
}

// RevokeTokens ends every access token at once, as an administrator can.
func (s *Okta) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, g := range s.tokens {
		g.expires = time.Time{}
		s.tokens[token] = g
	}
}

// verify checks a private_key_jwt client assertion (RFC 7523 section 3) with an RS256 signature.
func (s *Okta) verify(assertion, audience string, now time.Time) error {
	if s.options.PublicKey == nil {
		return errors.New("no service app is registered")
	}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return errors.New("the client assertion is not a JWT of three parts")
	}
	var header struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
	}
	if err := errors.Join(decodePart(parts[0], &header), decodePart(parts[1], &claims)); err != nil {
		return fmt.Errorf("client assertion: %w", err)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return fmt.Errorf("client assertion: signature: %w", err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	expires := time.Unix(claims.Expires, 0)
	switch {
	case header.Alg != "RS256":
		return fmt.Errorf("the client assertion is signed with %q, not RS256", header.Alg)
	case rsa.VerifyPKCS1v15(s.options.PublicKey, crypto.SHA256, digest[:], signature) != nil:
		return errors.New("the client assertion's signature does not fit the registered key")
	case claims.Issuer != s.options.ClientID || claims.Subject != s.options.ClientID:
		return errors.New("iss and sub of the client assertion must be the client id")
	case claims.Audience != audience:
		return fmt.Errorf("aud of the client assertion must be %s", audience)
	case !expires.After(now):
		return errors.New("the client assertion has expired")
	case expires.After(now.Add(time.Hour)):
		return errors.New("the client assertion is valid for more than an hour")
	}
	return nil
}

func decodePart(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
