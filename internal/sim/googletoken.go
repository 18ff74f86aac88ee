package sim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	googleUserScope  = "https://www.googleapis.com/auth/admin.directory.user.readonly"
	googleGroupScope = "https://www.googleapis.com/auth/admin.directory.group.readonly"
	googleUnitScope  = "https://www.googleapis.com/auth/admin.directory.orgunit.readonly"
)

// GoogleIAMToken is the access token, of whoever may sign for the service account, that signJwt takes.
const GoogleIAMToken = "sim-iam-token"

// A googleGrant is what one access token allows, and until when.
type googleGrant struct {
	scopes  []string
	admin   bool
	expires time.Time
}

// googleKey is the service account's key: one for the process, for it is slow to make.
var googleKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(fmt.Sprintf("sim: make a key: %v", err))
	}
	return key
})

// GoogleKeyFile is the service account's key file for a Google side that answers at baseURL.
func GoogleKeyFile(baseURL string) string {
	der, err := x509.MarshalPKCS8PrivateKey(googleKey())
	if err != nil {
		panic(fmt.Sprintf("sim: encode a key: %v", err))
	}
	return string(encode(map[string]string{
		"type": "service_account", "project_id": "acme-project", "private_key_id": "sim-key-1",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": GoogleAccount, "client_id": GoogleClientID,
		"token_uri": baseURL + "/token",
	}))
}

// token answers the JWT bearer grant (RFC 7523) of the one service account, in Google's words.
func (s *Google) token(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	g, denied := s.verify(r, now)
	if denied != nil {
		writeJSON(w, denied.status, googleJSON, map[string]string{"error": denied.code, "error_description": denied.text})
		return
	}
	s.mu.Lock()
	token := fmt.Sprintf("sim-google-token-%d", len(s.tokens)+1)
	s.tokens[token] = g
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, googleJSON, map[string]any{"access_token": token, "expires_in": 3599, "token_type": "Bearer"})
}

// A denial is a refusal of OAuth.
type denial struct {
	status     int
	code, text string
}

// verify checks the assertion of a token request and what it asks for.
func (s *Google) verify(r *http.Request, now time.Time) (googleGrant, *denial) {
	invalid := func(text string) (googleGrant, *denial) { return googleGrant{}, &denial{400, "invalid_grant", text} }
	if grant := r.PostFormValue("grant_type"); grant != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return googleGrant{}, &denial{400, "unsupported_grant_type", "Invalid grant_type: " + grant}
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	parts := strings.Split(r.PostFormValue("assertion"), ".")
	if len(parts) != 3 || decodePart(parts[1], &claims) != nil {
		return invalid("Bad Request")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	issued, expires := time.Unix(claims.Issued, 0), time.Unix(claims.Expires, 0)
	scopes := strings.Fields(claims.Scope)
	_, employed := s.company.PersonByLogin(claims.Subject)
	switch audience := baseURL(r) + "/token"; {
	case claims.Issuer != GoogleAccount:
		return invalid("Invalid grant: account not found")
	case err != nil || rsa.VerifyPKCS1v15(&googleKey().PublicKey, crypto.SHA256, digest[:], signature) != nil:
		return invalid("Invalid JWT Signature.")
	case issued.After(now.Add(time.Minute)) || !expires.After(now) || expires.Sub(issued) > time.Hour:
		return invalid("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.")
	case claims.Audience != audience:
		return invalid("Invalid JWT: Failed audience check. The right audience is " + audience)
	case claims.Subject != "" && claims.Subject != s.options.Admin && !employed:
		return invalid("Invalid email or User ID")
	case slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(s.options.Scopes, scope) }):
		return googleGrant{}, &denial{401, "unauthorized_client", "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested."}
	}
	admin := claims.Subject == s.options.Admin || claims.Subject == "" && s.options.AdminRole
	return googleGrant{scopes, admin, now.Add(time.Hour)}, nil
}

// signJWT answers IAM's projects.serviceAccounts.signJwt for who presents GoogleIAMToken.
func (s *Google) signJWT(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, word, message string) {
		writeJSON(w, status, googleJSON, map[string]any{"error": map[string]any{"code": status, "status": word, "message": message}})
	}
	var body struct {
		Payload string `json:"payload"`
	}
	account, ok := strings.CutSuffix(r.PathValue("call"), ":signJwt")
	switch err := json.NewDecoder(r.Body).Decode(&body); {
	case !ok || err != nil:
		refuse(http.StatusBadRequest, "INVALID_ARGUMENT", "Request contains an invalid argument.")
		return
	case r.Header.Get("Authorization") != "Bearer "+GoogleIAMToken:
		refuse(http.StatusForbidden, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist).")
		return
	case account != GoogleAccount:
		refuse(http.StatusNotFound, "NOT_FOUND", "Not found; Gaia id not found for email "+account)
		return
	}
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body.Payload))
	digest := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(nil, googleKey(), crypto.SHA256, digest[:])
	if err != nil {
		panic(fmt.Sprintf("sim: sign: %v", err))
	}
	writeJSON(w, http.StatusOK, googleJSON, map[string]string{
		"keyId": "sim-key-2", "signedJwt": unsigned + "." + base64.RawURLEncoding.EncodeToString(signature),
	})
}
