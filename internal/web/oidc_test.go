package web

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	clientID     = "rootly-idp-sync"
	clientSecret = "the client's secret, which HS256 would sign with"
)

// An issuer is an OpenID provider on loopback whose tokens the test writes.
type issuer struct {
	*httptest.Server
	mu      sync.Mutex
	key     *rsa.PrivateKey
	kid     string
	claims  map[string]any
	sign    func(i *issuer, claims map[string]any) string
	codes   map[string]url.Values // by code, what the login asked for
	noToken bool
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{kid: "k1", codes: map[string]url.Values{}}
	i.key = firstKey()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		e := big.NewInt(int64(i.key.E)).Bytes()
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": i.kid, "n": b64(i.key.N.Bytes()), "e": b64(e),
		}}})
	})
	mux.HandleFunc("POST /token", i.token)
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// firstKey is what every issuer begins with: making keys takes time.
var firstKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token trades a code, with the proof that who brings it began the login.
func (i *issuer) token(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	asked, ok := i.codes[r.FormValue("code")]
	delete(i.codes, r.FormValue("code"))
	proof := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || asked.Get("code_challenge") != b64(proof[:]) || asked.Get("code_challenge_method") != "S256" || r.FormValue("redirect_uri") != asked.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant"})
		return
	}
	claims := map[string]any{
		"iss": i.URL, "aud": clientID, "sub": "00u1", "nonce": asked.Get("nonce"), "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"email": "ada@acme.com", "email_verified": true, "name": "Ada Lovelace", "groups": []string{"sre"},
	}
	maps.Copy(claims, i.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	out := map[string]any{"access_token": "x", "token_type": "Bearer"}
	if !i.noToken {
		sign := i.sign
		if sign == nil {
			sign = (*issuer).rs256
		}
		out["id_token"] = sign(i, claims)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func parts(head, claims map[string]any) string {
	h, _ := json.Marshal(head)
	c, _ := json.Marshal(claims)
	return b64(h) + "." + b64(c)
}

func rsaSigned(key *rsa.PrivateKey, head, claims map[string]any) string {
	text := parts(head, claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

func (i *issuer) rs256(claims map[string]any) string {
	return rsaSigned(i.key, map[string]any{"alg": "RS256", "kid": i.kid}, claims)
}

func hs256(secret []byte, head, claims map[string]any) string {
	text := parts(head, claims)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

// A browser keeps cookies.
type browser map[string]string

func (b browser) head() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(b)) {
		out = append(out, k+"="+b[k])
	}
	return []string{"Cookie", strings.Join(out, "; "), "Host", "sync.acme.com"}
}

func (b browser) keep(answer *http.Response) {
	for _, c := range answer.Cookies() {
		if b[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b, c.Name)
		}
	}
}

// begin begins a login and lets the issuer give out a code for it.
func (w *world) begin(i *issuer, b browser) (callback url.Values) {
	w.t.Helper()
	answer, body := w.ask(http.MethodGet, "/login/begin?back=/plan", "", b.head()...)
	b.keep(answer)
	to, err := answer.Location()
	if err != nil {
		w.t.Fatalf("begin: %s %s", answer.Status, body)
	}
	q := to.Query()
	if !strings.HasPrefix(to.String(), i.URL+"/authorize?") || q.Get("redirect_uri") != "https://sync.acme.com/login/callback" || q.Get("response_type") != "code" {
		w.t.Fatalf("sent to %s", to)
	}
	code := "code-" + q.Get("state")
	i.mu.Lock()
	defer i.mu.Unlock()
	i.codes[code] = q
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}

func (w *world) callback(q url.Values, b browser) (*http.Response, string) {
	w.t.Helper()
	answer, body := w.ask(http.MethodGet, callbackPath+"?"+q.Encode(), "", b.head()...)
	b.keep(answer)
	return answer, body
}

func oidcWorld(t *testing.T) (*world, *issuer) {
	w, i := newWorld(t, 20), newIssuer(t)
	w.allow(Access{Listen: ":8080", PublicURL: "https://sync.acme.com", OIDC: &OIDC{
		Issuer: i.URL, ClientID: clientID, ClientSecret: func() string { return clientSecret }, AllowedGroups: []string{"sre"}, ApproverEmails: []string{"lead@acme.com"},
	}})
	t.Cleanup(func() { w.site.guard.Load().provider.client.CloseIdleConnections() })
	return w, i
}

func TestSignIn(t *testing.T) {
	w, i := oidcWorld(t)
	w.busy()
	b := browser{}
	if answer, _ := w.ask(http.MethodGet, "/plan?q=a", "", b.head()...); answer.Header.Get("Location") != "/login?back=%2Fplan%3Fq%3Da" {
		t.Errorf("nobody is sent to %q", answer.Header.Get("Location"))
	}
	answer, body := w.callback(w.begin(i, b), b)
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/plan" {
		t.Fatalf("login: %s\n%s", answer.Status, body)
	}
	for _, c := range answer.Cookies() {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %+v", c)
		}
	}
	if answer, body := w.ask(http.MethodGet, "/", "", b.head()...); answer.StatusCode != http.StatusOK || !strings.Contains(body, "ada@acme.com (viewer)") || strings.Contains(body, "Run a cycle now</button>") {
		t.Errorf("as a viewer: %s\n%s", answer.Status, body)
	}
	set, _ := w.sets()
	if answer, body := w.ask(http.MethodGet, "/held/"+set, "", b.head()...); strings.Contains(body, "<button class=\"danger\"") || !strings.Contains(body, "ask an approver") {
		t.Errorf("a viewer may approve: %s\n%s", answer.Status, body)
	}
	if answer, _ := w.ask(http.MethodPost, "/held/"+set+"/approve", "by=lead", b.head()...); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer approves: %s", answer.Status)
	}

	i.claims = map[string]any{"email": "Lead@ACME.com", "groups": nil}
	lead := browser{}
	w.callback(w.begin(i, lead), lead)
	if answer, body := w.ask(http.MethodPost, "/held/"+set+"/approve", "by=somebody+else", lead.head()...); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("an approver approves: %s\n%s", answer.Status, body)
	}
	if h, err := w.site.heldSet(t.Context(), set); err != nil || h.By != "Lead@ACME.com" {
		t.Errorf("recorded as %q, %v", h.By, err)
	}

	old := lead.head()
	answer, _ = w.ask(http.MethodPost, "/logout", "", lead.head()...)
	if lead.keep(answer); len(lead) != 0 {
		t.Errorf("cookies after signing out: %v", lead)
	}
	if answer, _ := w.ask(http.MethodGet, "/api/v1/status", "", old...); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session goes on after signing out: %s", answer.Status)
	}

	// Who is taken off the lists is out at the next request.
	next := *w.site.guard.Load().OIDC
	next.AllowedGroups = []string{"other"}
	w.allow(Access{Listen: ":8080", PublicURL: "https://sync.acme.com", OIDC: &next})
	if answer, _ := w.ask(http.MethodGet, "/api/v1/status", "", b.head()...); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the lists changed: %s", answer.Status)
	}
}

// TestIDTokens is the table of tokens and answers that must not sign anybody in, and of those that must.
func TestIDTokens(t *testing.T) {
	hour := func(n int) int64 { return time.Now().Add(time.Duration(n) * time.Hour).Unix() }
	other := newKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		claims  map[string]any
		sign    func(i *issuer, claims map[string]any) string
		prepare func(t *testing.T, w *world, i *issuer)
		change  func(w *world, q url.Values, b browser)
		ok      bool
	}{
		"as it should be":                   {ok: true},
		"several audiences, azp is us":      {claims: map[string]any{"aud": []string{clientID, "other"}, "azp": clientID}, ok: true},
		"wrong issuer":                      {claims: map[string]any{"iss": "https://evil.example"}},
		"issuer with a slash more":          {sign: func(i *issuer, c map[string]any) string { c["iss"] = i.URL + "/"; return i.rs256(c) }},
		"no issuer":                         {claims: map[string]any{"iss": nil}},
		"another client's":                  {claims: map[string]any{"aud": "other"}},
		"no audience":                       {claims: map[string]any{"aud": nil}},
		"several audiences, azp is another": {claims: map[string]any{"aud": []string{clientID, "other"}, "azp": "other"}},
		"several audiences, no azp":         {claims: map[string]any{"aud": []string{clientID, "other"}}},
		"azp is another":                    {claims: map[string]any{"azp": "other"}},
		"wrong nonce":                       {claims: map[string]any{"nonce": "abc"}},
		"no nonce":                          {claims: map[string]any{"nonce": nil}},
		"expired":                           {claims: map[string]any{"exp": hour(-1)}},
		"never expires":                     {claims: map[string]any{"exp": nil}},
		"not valid yet":                     {claims: map[string]any{"nbf": hour(1)}},
		"no subject":                        {claims: map[string]any{"sub": nil}},
		"no time of issue":                  {claims: map[string]any{"iat": nil}},
		"alg none":                          {sign: func(_ *issuer, c map[string]any) string { return parts(map[string]any{"alg": "none"}, c) + "." }},
		"alg none with a signature": {sign: func(i *issuer, c map[string]any) string {
			return rsaSigned(i.key, map[string]any{"alg": "none", "kid": i.kid}, c)
		}},
		"HS256 with the client's secret": {sign: func(i *issuer, c map[string]any) string {
			return hs256([]byte(clientSecret), map[string]any{"alg": "HS256", "kid": i.kid}, c)
		}},
		"HS256 with the public key": {sign: func(i *issuer, c map[string]any) string {
			return hs256(i.key.N.Bytes(), map[string]any{"alg": "HS256", "kid": i.kid}, c)
		}},
		"another key under a known kid": {sign: func(i *issuer, c map[string]any) string {
			return rsaSigned(other, map[string]any{"alg": "RS256", "kid": i.kid}, c)
		}},
		"unknown kid": {sign: func(_ *issuer, c map[string]any) string {
			return rsaSigned(other, map[string]any{"alg": "RS256", "kid": "k9"}, c)
		}},
		"a key that comes with the token": {sign: func(_ *issuer, c map[string]any) string {
			return rsaSigned(other, map[string]any{"alg": "RS256", "jwk": map[string]any{"kty": "RSA", "n": b64(other.N.Bytes()), "e": "AQAB"}}, c)
		}},
		"ES256 with a key of nobody": {sign: func(i *issuer, c map[string]any) string {
			text := parts(map[string]any{"alg": "ES256", "kid": i.kid}, c)
			sum := sha256.Sum256([]byte(text))
			r, s, err := ecdsa.Sign(rand.Reader, ec, sum[:])
			if err != nil {
				panic(err)
			}
			return text + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		}},
		"claims changed after signing": {sign: func(i *issuer, c map[string]any) string {
			list := strings.Split(i.rs256(c), ".")
			c["email"] = "lead@acme.com"
			return strings.Split(parts(map[string]any{}, c), ".")[0] + "." + strings.Split(parts(map[string]any{}, c), ".")[1] + "." + list[2]
		}},
		"no token at all": {sign: func(*issuer, map[string]any) string { return "" }},
		"rotated key": {ok: true, prepare: func(t *testing.T, w *world, i *issuer) {
			b := browser{}
			w.callback(w.begin(i, b), b) // its key is known now
			i.mu.Lock()
			defer i.mu.Unlock()
			i.key, i.kid = newKey(t), "k2"
		}},
		"old key after the rotation": {prepare: func(t *testing.T, w *world, i *issuer) {
			old := i.key
			i.key, i.kid = newKey(t), "k2"
			i.sign = func(_ *issuer, c map[string]any) string {
				return rsaSigned(old, map[string]any{"alg": "RS256", "kid": "k1"}, c)
			}
		}},
		"wrong group":                        {claims: map[string]any{"groups": []string{"sales"}}},
		"group in another case":              {claims: map[string]any{"groups": []string{"SRE"}}},
		"no groups":                          {claims: map[string]any{"groups": nil}},
		"groups as one word":                 {claims: map[string]any{"groups": "sre"}},
		"an approver's address":              {claims: map[string]any{"groups": nil, "email": "lead@acme.com"}, ok: true},
		"an approver's address, unverified":  {claims: map[string]any{"groups": nil, "email": "lead@acme.com", "email_verified": false}},
		"an approver's address, not said so": {claims: map[string]any{"groups": nil, "email": "lead@acme.com", "email_verified": nil}},
		"another state":                      {change: func(_ *world, q url.Values, _ browser) { q.Set("state", "abc") }},
		"no state":                           {change: func(_ *world, q url.Values, _ browser) { q.Del("state") }},
		"another browser":                    {change: func(_ *world, _ url.Values, b browser) { clear(b) }},
		"another browser that is signing in too": {change: func(w *world, _ url.Values, b browser) {
			answer, _ := w.ask(http.MethodGet, "/login/begin", "", browser{}.head()...)
			clear(b)
			b.keep(answer)
		}},
		"used a second time": {change: func(w *world, q url.Values, b browser) {
			again := maps.Clone(b)
			w.callback(q, again)
		}},
		"too late":                      {change: func(w *world, _ url.Values, _ browser) { w.pass(loginLife + time.Second) }},
		"another code":                  {change: func(_ *world, q url.Values, _ browser) { q.Set("code", "abc") }},
		"no code":                       {change: func(_ *world, q url.Values, _ browser) { q.Del("code") }},
		"refused by the issuer":         {change: func(_ *world, q url.Values, _ browser) { q.Set("error", "access_denied") }},
		"an answer from another issuer": {change: func(_ *world, q url.Values, _ browser) { q.Set("iss", "https://evil.example") }},
	}
	if len(tests) < 18 {
		t.Fatalf("%d rows", len(tests))
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w, i := oidcWorld(t)
			if tc.prepare != nil {
				tc.prepare(t, w, i)
			}
			i.mu.Lock()
			i.claims = tc.claims
			if tc.sign != nil {
				i.sign = tc.sign
			}
			i.mu.Unlock()
			b := browser{}
			q := w.begin(i, b)
			if tc.change != nil {
				tc.change(w, q, b)
			}
			answer, body := w.callback(q, b)
			_, signedIn := b["__Host-"+sessionCookie]
			if signedIn != tc.ok || (answer.StatusCode == http.StatusSeeOther) != tc.ok {
				t.Errorf("signed in: %t, %s\n%s", signedIn, answer.Status, body)
			}
			if strings.Contains(body, clientSecret) {
				t.Error("the page shows the client's secret")
			}
		})
	}
}

func TestIssuerThatIsDownStopsNothingElse(t *testing.T) {
	w, i := oidcWorld(t)
	i.Close()
	answer, body := w.ask(http.MethodGet, "/login/begin", "", browser{}.head()...)
	if answer.StatusCode != http.StatusBadGateway || !strings.Contains(body, "http.oidc.issuer") {
		t.Errorf("login: %s\n%s", answer.Status, body)
	}
	if answer, _ := w.ask(http.MethodGet, "/login", "", browser{}.head()...); answer.StatusCode != http.StatusOK {
		t.Errorf("the page of the login: %s", answer.Status)
	}
}

func TestLoginIsSlowedDown(t *testing.T) {
	w, _ := oidcWorld(t)
	last := 0
	for range attemptsAtOnce + 2 {
		answer, _ := w.ask(http.MethodGet, "/login/begin", "", browser{}.head()...)
		last = answer.StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the last of many logins: %d", last)
	}
}
