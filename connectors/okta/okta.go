// Package okta reads people and groups from an Okta org through okta-sdk-golang/v2, which it contains: the SDK only
// builds requests and decodes pages, while signing in, pacing, retries and the check of every answer are done below it.
package okta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"
	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "okta"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
)

// AppUserName is the name under which Query.Attributes asks for what the app's username template makes of a person. It
// exists in mode assigned only.
const AppUserName = "appUserName"

// Options say which org is read, as whom, and what of it.
type Options struct {
	// OrgURL is the org's address, "https://acme.okta.com". Plain http is for loopback, or with AllowHTTP.
	OrgURL    string
	AllowHTTP bool

	// APIToken is the token of Security > API > Tokens. It is asked for on every request.
	APIToken func() string

	// ClientID, PrivateKey (PEM: RSA in PKCS #1 or PKCS #8) and PrivateKeyID sign in as a service app instead. No
	// Scopes means okta.users.read, okta.groups.read and okta.apps.read.
	ClientID     string
	PrivateKey   func() string
	PrivateKeyID string
	Scopes       []string

	// AppID is the app whose assignments count in mode assigned.
	AppID string
	Query connectors.Query

	// RateFloor is the share of each rate limit that is left to others: requests pause when less remains. 0 means 0.1.
	RateFloor float64
	// Timeout bounds one request with its answer. 0 means 60 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil means Go's own with the proxy of the environment.
	Transport http.RoundTripper
	// Log may be nil.
	Log *slog.Logger
}

// A Connector reads one Okta org.
//
// A person whose status is in transition counts as what they are now and is read again in the next cycle. In mode all
// a deactivated person is absent, as Okta leaves them out of its plain listing. Groups are flat in Okta.
type Connector struct {
	org    *url.URL
	appID  string
	query  connectors.Query
	scope  []connectors.GroupRef
	client *sdk.Client
	rt     *transport
	log    *slog.Logger

	resolved atomic.Pointer[[]connectors.GroupID] // the scope's groups, once they were found
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	org, err := parseOrgURL(o.OrgURL, o.AllowHTTP)
	scope, queryErr := parseQuery(o)
	auth, authErr := newCredentials(o, org)
	var rateErr error
	if o.RateFloor < 0 || o.RateFloor >= 1 {
		rateErr = fmt.Errorf("okta: the rate floor %v is not a share from 0 to 1", o.RateFloor)
	}
	if err := errors.Join(err, queryErr, authErr, rateErr, checkEnvironment()); err != nil {
		return nil, err
	}
	c := &Connector{org: org, appID: o.AppID, query: o.Query, scope: scope, log: o.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.rt = newTransport(o, auth, c.log)
	if c.client, err = newClient(org, c.rt); err != nil {
		return nil, fmt.Errorf("okta: %w", err)
	}
	return c, nil
}

// newClient sets every option, for the SDK fills what is not set from ~/.okta/okta.yaml and OKTA_* variables. Its
// token is a placeholder: the transport signs in, so the SDK never holds a secret.
func newClient(org *url.URL, rt http.RoundTripper) (*sdk.Client, error) {
	_, client, err := sdk.NewClient(context.Background(),
		sdk.WithOrgUrl(org.String()),
		sdk.WithAuthorizationMode("SSWS"),
		sdk.WithToken("set-by-transport"),
		sdk.WithClientId(""), sdk.WithScopes(nil), sdk.WithPrivateKey(""), sdk.WithPrivateKeyId(""),
		sdk.WithPrivateKeySigner(nil), sdk.WithClientAssertion(""),
		sdk.WithCache(false), sdk.WithCacheManager(nil), sdk.WithCacheTtl(0), sdk.WithCacheTti(0),
		sdk.WithConnectionTimeout(0), sdk.WithRequestTimeout(0),
		sdk.WithRateLimitMaxRetries(0), sdk.WithRateLimitMaxBackOff(0),
		sdk.WithProxyHost(""), sdk.WithProxyPort(0), sdk.WithProxyUsername(""), sdk.WithProxyPassword(""),
		sdk.WithUserAgentExtra("rootly-idp-sync"),
		sdk.WithTestingDisableHttpsCheck(org.Scheme == "http"),
		sdk.WithHttpClientPtr(&http.Client{Transport: rt}),
	)
	return client, err
}

// Name is "okta".
func (c *Connector) Name() string { return vendor }

// Tenant is "okta:" and the org's host.
func (c *Connector) Tenant() string { return "okta:" + c.org.Host }

// Stats count what a Connector did so far.
type Stats struct {
	Requests int           // sent, retries and token requests included
	Waited   time.Duration // for rate limits and between retries, summed over parallel requests
}

// Stats returns the counts since New.
func (c *Connector) Stats() Stats {
	return Stats{Requests: int(c.rt.requests.Load()), Waited: c.rt.pauses.Total()}
}

// Requests is how many requests were sent since New, retries and those for tokens included.
func (c *Connector) Requests() int { return c.Stats().Requests }

// Fetch reads everything the Query asks for, the people and the groups side by side.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	var (
		users  []connectors.User
		groups []membership
	)
	g, gctx := errgroup.WithContext(ctx)
	if c.query.Mode != connectors.ScopeGroups {
		g.Go(recovered(func() (err error) {
			users, err = c.readUsers(gctx)
			return err
		}))
	}
	g.Go(recovered(func() (err error) {
		groups, err = c.readGroups(gctx)
		return err
	}))
	if err := g.Wait(); err != nil {
		return connectors.Snapshot{}, err
	}
	if c.query.Mode == connectors.ScopeGroups {
		users = peopleOf(groups)
	}
	neutral := make([]connectors.Group, len(groups))
	for i, m := range groups {
		neutral[i] = m.Group
	}
	snap, err := connectors.NewSnapshot(users, neutral)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("okta: %w", err)
	}
	return snap, nil
}

// recovered turns a panic of f, which may run on a goroutine of its own, into an error.
func recovered(f func() error) func() error { return wire.Recovered("okta", "okta-sdk-golang/v2", f) }

func newTransport(o Options, auth credentials, log *slog.Logger) *transport {
	t := &transport{
		base:    redact.Transport(o.Transport),
		auth:    auth,
		timeout: o.Timeout,
		limits:  limits{floor: o.RateFloor, until: map[string]time.Time{}},
		log:     log,
	}
	if t.timeout <= 0 {
		t.timeout = time.Minute
	}
	if t.limits.floor == 0 {
		t.limits.floor = 0.1
	}
	return t
}
