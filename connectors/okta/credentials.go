package okta

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// A sender sends what build makes until it is answered for good.
type sender func(ctx context.Context, at endpoint, build func() (*http.Request, error)) (*wire.Answer, error)

// credentials sign requests in.
type credentials interface {
	// header is the value of Authorization; send is for what it takes to get one.
	header(ctx context.Context, send sender) (string, error)
	// renew is called when Okta answered header with 401, and tells whether another one is to be had.
	renew(header string) bool
	serviceApp() bool
}

func newCredentials(o Options, org *url.URL) (credentials, error) {
	app := o.ClientID != "" || o.PrivateKey != nil
	switch {
	case o.APIToken != nil && app:
		return nil, errors.New("okta: an API token and a service app are given; keep one of them")
	case o.APIToken != nil:
		return apiToken(o.APIToken), nil
	case !app:
		return nil, errors.New("okta: no credential is given (an API token, or client id and private key of a service app)")
	case o.ClientID == "":
		return nil, errors.New("okta: the private key has no client id beside it (" + whereKey + ")")
	case o.PrivateKey == nil:
		return nil, errors.New("okta: the client id has no private key beside it (" + whereKey + ")")
	}
	if _, err := parseKey(o.PrivateKey()); err != nil {
		return nil, err
	}
	a := &oauth{clientID: o.ClientID, key: o.PrivateKey, keyID: o.PrivateKeyID, scopes: o.Scopes}
	if len(a.scopes) == 0 {
		a.scopes = []string{"okta.users.read", "okta.groups.read", "okta.apps.read"}
	}
	if org != nil {
		a.tokenURL = org.String() + "/oauth2/v1/token"
	}
	return a, nil
}

// apiToken signs in with a token of an administrator.
type apiToken func() string

func (t apiToken) header(context.Context, sender) (string, error) {
	token := strings.TrimSpace(t())
	if token == "" {
		return "", &connectors.Error{Directory: vendor, Step: "signing in", Summary: "the API token is empty", Remedy: "set it to one of Security > API > Tokens"}
	}
	return "SSWS " + token, nil
}

// renew is true when the token was exchanged meanwhile, as a mounted secret is.
func (t apiToken) renew(header string) bool { return "SSWS "+strings.TrimSpace(t()) != header }

func (apiToken) serviceApp() bool { return false }

// oauth signs in as a service app: it trades an assertion signed with the private key for an access token. It does so
// itself because the SDK puts the assertion into the URL, where proxies log it, ignores the context, never renews a
// refused token, and reads PKCS #1 only.
type oauth struct {
	tokenURL string
	clientID string
	key      func() string
	keyID    string
	scopes   []string

	asking singleflight.Group // so that parallel requests ask for one token, and mu is never held in a wait
	mu     sync.Mutex
	token  string
	until  time.Time
}

func (a *oauth) serviceApp() bool { return true }

func (a *oauth) header(ctx context.Context, send sender) (string, error) {
	if token := a.current(); token != "" {
		return "Bearer " + token, nil
	}
	token, err, _ := a.asking.Do("", func() (any, error) {
		if token := a.current(); token != "" {
			return token, nil
		}
		return a.ask(ctx, send)
	})
	if err != nil {
		return "", err
	}
	return "Bearer " + token.(string), nil
}

func (a *oauth) current() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().Before(a.until) {
		return a.token
	}
	return ""
}

// renew drops the refused token, unless another request has replaced it already.
func (a *oauth) renew(header string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if "Bearer "+a.token == header {
		a.token, a.until = "", time.Time{}
	}
	return true
}

// ask gets an access token and keeps it until shortly before it expires.
func (a *oauth) ask(ctx context.Context, send sender) (string, error) {
	at := endpoint{step: "asking for an access token", bucket: "token"}
	got, err := send(ctx, at, func() (*http.Request, error) { return a.request(ctx) })
	if err != nil {
		return "", err
	}
	var body struct {
		Token       string `json:"access_token"`
		Type        string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	err = json.Unmarshal(got.Body, &body)
	if got.Status != http.StatusOK {
		return "", &connectors.Error{Directory: vendor, Status: got.Status, Code: body.Code, Step: at.step, Summary: body.Description,
			Remedy: tokenRemedy(body.Code, a.scopes)}
	}
	if err != nil || body.Token == "" || !strings.EqualFold(body.Type, "Bearer") {
		return "", connectors.Damaged(vendor, at.step, "it holds no bearer token")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = body.Token
	a.until = time.Now().Add(time.Duration(body.ExpiresIn) * time.Second * 9 / 10)
	return a.token, nil
}

// request makes the token request with a new assertion, for Okta takes each one once.
func (a *oauth) request(ctx context.Context) (*http.Request, error) {
	assertion, err := a.assertion(time.Now())
	if err != nil {
		return nil, err
	}
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {strings.Join(a.scopes, " ")},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("okta: make the token request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// assertion is a JWT of RFC 7523 signed with RS256, good for five minutes.
func (a *oauth) assertion(now time.Time) (string, error) {
	key, err := parseKey(a.key())
	if err != nil {
		return "", err
	}
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if a.keyID != "" {
		header["kid"] = a.keyID
	}
	unsigned := segment(header) + "." + segment(map[string]any{
		"iss": a.clientID, "sub": a.clientID, "aud": a.tokenURL,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
	})
	sum := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("okta: sign with the private key: %w", err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func segment(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and integers always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseKey reads an RSA key in PEM. Environment variables often carry the line breaks as the two characters \n.
func parseKey(text string) (*rsa.PrivateKey, error) {
	const remedy = "give the PEM text that " + whereKey + " shows when the key is generated"
	block, _ := pem.Decode([]byte(strings.ReplaceAll(text, `\n`, "\n")))
	if block == nil {
		return nil, errors.New("okta: the private key is not PEM (" + remedy + ")")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("okta: the private key, a PEM block %q, is neither PKCS #1 nor PKCS #8 (%s)", block.Type, remedy)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("okta: the private key is not RSA but %T (%s)", parsed, remedy)
	}
	return key, nil
}
