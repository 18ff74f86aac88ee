package google

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	adc "golang.org/x/oauth2/google"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

const (
	scopeUsers    = "https://www.googleapis.com/auth/admin.directory.user.readonly"
	scopeGroups   = "https://www.googleapis.com/auth/admin.directory.group.readonly"
	scopePlatform = "https://www.googleapis.com/auth/cloud-platform"

	googleTokenURI = "https://oauth2.googleapis.com/token"
	googleIAM      = "https://iamcredentials.googleapis.com"
)

// A sender sends what build makes until it is answered for good.
type sender func(ctx context.Context, step string, build func() (*http.Request, error)) (*wire.Answer, error)

// An accessToken is what signing in brings.
type accessToken struct {
	text string
	life time.Duration
}

// signIn gets access tokens and keeps one until shortly before it expires. It signs in by itself because the libraries
// below the SDK repeat nothing, keep a token that was refused and have no way to sign without a key elsewhere than at
// Google's own addresses.
type signIn struct {
	account  string // the service account, "" with default credentials alone
	clientID string // of the service account, where it is known
	subject  string
	scopes   []string
	ask      func(ctx context.Context, send sender) (accessToken, error)

	asking wire.Turn
	mu     sync.Mutex // never held in a wait
	text   string
	until  time.Time
}

// newSignIn checks what is given and chooses the way: a key, IAM in place of a key, or the default credentials alone.
func newSignIn(o Options) (*signIn, error) {
	s := &signIn{subject: o.Subject, scopes: []string{scopeUsers, scopeGroups}}
	switch {
	case o.Credentials != nil && o.Impersonate != "":
		return nil, errors.New("google: a key file and a service account to impersonate are given; keep one of them")
	case o.Credentials != nil:
		key, err := parseKeyFile(o.Credentials())
		if err != nil {
			return nil, err
		}
		uri := cmp.Or(o.TokenURI, key.TokenURI, googleTokenURI)
		if err := checkAddress("token_uri", uri); err != nil {
			return nil, err
		}
		s.account, s.clientID = key.ClientEmail, key.ClientID
		s.ask = s.bearer(uri, func(_ context.Context, _ sender, claims []byte) (string, error) {
			return signWithKey(o.Credentials(), claims)
		})
	case o.Impersonate != "":
		uri := cmp.Or(o.TokenURI, googleTokenURI)
		if err := checkAddress("token_uri", uri); err != nil {
			return nil, err
		}
		if !strings.Contains(o.Impersonate, "@") {
			return nil, fmt.Errorf("google: %q is no service account (write its e-mail address, …@….iam.gserviceaccount.com)", o.Impersonate)
		}
		s.account = o.Impersonate
		s.ask = s.bearer(uri, func(ctx context.Context, send sender, claims []byte) (string, error) {
			return signWithIAM(ctx, send, o, claims)
		})
	case o.Subject != "":
		return nil, errors.New("google: a subject needs a service account that acts for it: give its key file, or impersonate it")
	default:
		s.ask = func(ctx context.Context, _ sender) (accessToken, error) {
			return defaultToken(ctx, o.Transport, o.Timeout, s.scopes...)
		}
	}
	return s, nil
}

// token is an access token that is good for now. Of parallel requests one asks for it and the others wait, each no longer
// than its own context lasts; if the one fails or is given up, the next asks for itself.
func (s *signIn) token(ctx context.Context, send sender) (string, error) {
	if text, good := s.current(); good {
		return text, nil
	}
	end, err := s.asking.Take(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	if text, good := s.current(); good {
		return text, nil
	}
	t, err := s.ask(ctx, send)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.until = t.text, time.Now().Add(t.life*9/10)
	return t.text, nil
}

func (s *signIn) current() (text string, good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text, time.Now().Before(s.until)
}

// drop forgets a token that was refused, unless another request has replaced it already.
func (s *signIn) drop(refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == refused {
		s.text, s.until = "", time.Time{}
	}
}

// bearer trades a signed assertion (RFC 7523) for an access token.
func (s *signIn) bearer(uri string, sign func(ctx context.Context, send sender, claims []byte) (string, error)) func(context.Context, sender) (accessToken, error) {
	const step = "asking for an access token"
	return func(ctx context.Context, send sender) (accessToken, error) {
		got, err := send(ctx, step, func() (*http.Request, error) {
			assertion, err := sign(ctx, send, s.claims(uri, time.Now()))
			if err != nil {
				return nil, err
			}
			form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
			return post(ctx, uri, "application/x-www-form-urlencoded", []byte(form.Encode()))
		})
		if err != nil {
			return accessToken{}, err
		}
		if got.Status != http.StatusOK {
			said := parseRefusal(got.Body)
			return accessToken{}, &connectors.Error{Directory: vendor, Status: got.Status, Code: said.code(), Step: step, Summary: said.message, Remedy: s.remedy(said, got.Header)}
		}
		var body struct {
			Token     string `json:"access_token"`
			Type      string `json:"token_type"`
			ExpiresIn int    `json:"expires_in"`
		}
		if json.Unmarshal(got.Body, &body) != nil || body.Token == "" || !strings.EqualFold(body.Type, "Bearer") {
			return accessToken{}, connectors.Damaged(vendor, step, "it holds no bearer token")
		}
		return accessToken{body.Token, time.Duration(body.ExpiresIn) * time.Second}, nil
	}
}

// claims are those of an assertion that is good for an hour, which is the most that Google takes.
func (s *signIn) claims(audience string, now time.Time) []byte {
	claims := map[string]any{
		"iss": s.account, "aud": audience, "scope": strings.Join(s.scopes, " "),
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	if s.subject != "" {
		claims["sub"] = s.subject
	}
	return marshal(claims)
}

// remedy says what to do when the token endpoint refuses, by OAuth's code and, for invalid_grant, Google's words.
func (s *signIn) remedy(refused said, header http.Header) string {
	text := strings.ToLower(refused.message)
	switch {
	case refused.has("unauthorized_client", "access_denied"):
		return s.grant() + "; a new entry takes up to a day, mostly minutes"
	case refused.has("invalid_client", "disabled_client", "deleted_client"), strings.Contains(text, "account not found"):
		return "the service account " + s.account + " is deleted or disabled; look under IAM & Admin > Service accounts in the Google Cloud console"
	case refused.has("invalid_scope"):
		return s.grant()
	case strings.Contains(text, "reasonable timeframe"), strings.Contains(text, "short-lived"), strings.Contains(text, "expired"):
		return "this machine's clock is off" + skew(header) + "; set it by NTP"
	case strings.Contains(text, "signature"):
		return "the key was deleted, disabled or has expired; create a new one under IAM & Admin > Service accounts > " + s.account + " > Keys"
	case strings.Contains(text, "email") || strings.Contains(text, "user id"):
		return "the subject " + s.subject + " is nobody in this account or is suspended; write an administrator's primary e-mail address"
	default:
		return "check that key file, subject and token_uri belong together, and that this machine's clock is right" + skew(header)
	}
}

// skew tells by how much our clock differs from the server's, if it does.
func skew(h http.Header) string {
	theirs, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return ""
	}
	switch off := time.Until(theirs).Round(time.Second); {
	case off > 30*time.Second:
		return fmt.Sprintf(": Google's is %s ahead", off)
	case off < -30*time.Second:
		return fmt.Sprintf(": Google's is %s behind", -off)
	}
	return ""
}

// grant says where the service account gets its scopes.
func (s *signIn) grant() string {
	scopes := strings.Join(s.scopes, ",")
	switch {
	case s.account == "":
		return "sign in with the scopes " + scopes
	case s.subject == "":
		return "the service account " + s.account + " has no subject, so it needs an administrator role of its own (Admin console: Account > Admin roles)"
	}
	client := "the unique id of " + s.account + " (Google Cloud console: IAM & Admin > Service accounts)"
	if s.clientID != "" {
		client = "client id " + s.clientID
	}
	return "authorize " + client + " for exactly these scopes in the Admin console under Security > Access and data control > API controls > " +
		"Manage domain wide delegation: " + scopes
}

// role says which administrator needs which privilege for a request.
func (s *signIn) role(at endpoint) string {
	who := "whoever the default credentials are"
	switch {
	case s.subject != "":
		who = "the subject " + s.subject
	case s.account != "":
		who = "the service account " + s.account
	}
	privilege := "Users > Read"
	if at.kind != "admin#directory#users" && at.kind != "admin#directory#user" {
		privilege = "Groups > Read"
	}
	return fmt.Sprintf("%s is no administrator who may do that; assign a role with the Admin API privilege %s for the whole organization "+
		"(Admin console: Account > Admin roles)", who, privilege)
}

// defaultToken gets a token from the application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's login,
// workload identity or the machine's own service account. All its requests together are bounded by the timeout.
func defaultToken(ctx context.Context, base http.RoundTripper, timeout time.Duration, scopes ...string) (accessToken, error) {
	const step = "signing in with the application default credentials"
	bounded, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: base}), timeout)
	defer cancel()
	found, err := adc.FindDefaultCredentials(bounded, scopes...)
	if err != nil {
		return accessToken{}, &connectors.Error{Directory: vendor, Step: step, Summary: err.Error(), Remedy: "set GOOGLE_APPLICATION_CREDENTIALS, attach a service " +
			"account to this workload, or give a key file"}
	}
	token, err := found.TokenSource.Token()
	if ctx.Err() != nil {
		return accessToken{}, ctx.Err()
	}
	if err != nil {
		e := &connectors.Error{Directory: vendor, Step: step, Summary: wire.Trouble(err), Remedy: "see that the default credentials are good: gcloud auth application-default print-access-token"}
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			e.Code, e.Summary = refused.ErrorCode, refused.ErrorDescription
			if refused.Response != nil {
				e.Status = refused.Response.StatusCode
			}
		}
		return accessToken{}, e
	}
	return accessToken{token.AccessToken, time.Until(token.Expiry)}, nil
}
