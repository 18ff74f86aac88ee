// Package google reads people and groups from Google Workspace through google.golang.org/api/admin/directory/v1, which
// it contains: the SDK only builds requests and decodes pages, while signing in, pacing, retries and the check of every
// answer are done below it.
package google

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/option"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "google"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
)

// MyCustomer stands for the Workspace account of whoever signs in.
const MyCustomer = "my_customer"

// Options say which Workspace account is read, as whom, and what of it.
type Options struct {
	// Credentials is a service account's key file, the JSON text. Without it and without Impersonate the application
	// default credentials are used as they are.
	Credentials func() string
	// Impersonate is a service account, by e-mail, that signs without a key: the application default credentials ask
	// IAM to sign for it.
	Impersonate string
	// Subject is the administrator in whose name the service account reads by domain-wide delegation. Without it the
	// service account reads in its own name and needs an administrator role itself.
	Subject string

	// Customer is the account's id, "C01abc2de". "" is MyCustomer, which needs a Subject.
	Customer string
	// Endpoint and TokenURI are other addresses than Google's own. Plain http is for loopback.
	Endpoint string
	TokenURI string

	Query connectors.Query
	// OrgUnits are the paths whose people belong in mode ScopeOrgUnits, with SubUnits those below them too.
	OrgUnits []string
	SubUnits bool
	// UserQuery narrows the people in every mode by Google's own search, such as "orgDepartment=SRE".
	UserQuery string

	// Timeout bounds one request with its answer. 0 means 60 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil means Go's own with the proxy of the environment.
	Transport http.RoundTripper
	// Log may be nil.
	Log *slog.Logger
}

// A Connector reads one Google Workspace account.
//
// A group's members are those of the groups in it too, however deep; groups of other organizations in it are left out
// with a warning. A group's Name is its display name, or its address if it has none.
type Connector struct {
	opts     Options
	units    orgUnits
	attrs    []attribute
	scope    []groupRef
	customer string
	tenant   string
	svc      *admin.Service
	rt       *transport
	log      *slog.Logger

	known   atomic.Pointer[directory]                 // the groups that the last reading found
	deleted wire.Shared[map[connectors.UserID]string] // who was deleted after it, by id, with the address
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	o.Endpoint = cmp.Or(o.Endpoint, "https://admin.googleapis.com")
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	sent := &counter{RoundTripper: redact.Transport(o.Transport)}
	o.Transport = sent
	endpointErr := checkAddress("endpoint", o.Endpoint)
	scope, queryErr := parseQuery(o)
	units, unitsErr := parseOrgUnits(o)
	attrs, attrsErr := parseAttributes(o.Query.Attributes)
	auth, authErr := newSignIn(o)
	tenant, tenantErr := tenantOf(o)
	if err := errors.Join(endpointErr, queryErr, unitsErr, attrsErr, authErr, tenantErr); err != nil {
		return nil, err
	}
	c := &Connector{opts: o, units: units, attrs: attrs, scope: scope, customer: cmp.Or(o.Customer, MyCustomer), tenant: tenant, log: o.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.rt = &transport{
		base: sent, auth: auth, log: c.log,
		timeout: o.Timeout, pacer: rate.NewLimiter(perSecond, burst),
	}
	// The discarded log keeps GOOGLE_SDK_GO_LOGGING_LEVEL from printing what people are called.
	svc, err := admin.NewService(context.Background(), option.WithHTTPClient(&http.Client{Transport: c.rt}),
		option.WithEndpoint(o.Endpoint), option.WithUserAgent("rootly-idp-sync"), option.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("google: %w", err)
	}
	c.svc = svc
	return c, nil
}

// Name is "google".
func (c *Connector) Name() string { return vendor }

// Tenant is "google:" and the customer id or, for MyCustomer, the subject's domain.
func (c *Connector) Tenant() string { return c.tenant }

// Stats count what a Connector did so far.
type Stats struct {
	Requests int           // sent, retries and token requests included
	Waited   time.Duration // for quotas and between retries, summed over parallel requests
}

// Stats returns the counts since New.
func (c *Connector) Stats() Stats {
	return Stats{Requests: int(c.rt.base.requests.Load()), Waited: c.rt.pauses.Total()}
}

// Requests is how many requests were sent since New, retries and those for tokens included.
func (c *Connector) Requests() int { return c.Stats().Requests }

// maxReadings is how often a directory that changes in mid-read is read from the start.
const maxReadings = 3

// Fetch reads everything the Query asks for, the people and the groups side by side. A group that is deleted in the
// meantime makes it start again.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	c.deleted.Forget()
	for reading := 1; ; reading++ {
		snap, err := c.fetch(ctx)
		if !errors.Is(err, errChanged) || reading == maxReadings {
			return snap, err
		}
		c.log.Info("the directory changed while it was read, reading again", "reading", reading, "because", err)
	}
}

func (c *Connector) fetch(ctx context.Context) (connectors.Snapshot, error) {
	var (
		users  []connectors.User
		groups []membership
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(recovered(func() (err error) {
		users, err = c.readUsers(gctx)
		return err
	}))
	g.Go(recovered(func() (err error) {
		groups, err = c.readGroups(gctx)
		return err
	}))
	if err := g.Wait(); err != nil {
		return connectors.Snapshot{}, err
	}
	neutral := make([]connectors.Group, len(groups))
	for i, m := range groups {
		neutral[i] = m.with(users)
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		users = connectors.InScope(users, neutral)
	}
	snap, err := connectors.NewSnapshot(users, neutral)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("google: %w", err)
	}
	return snap, nil
}

// recovered turns a panic of f, which may run on a goroutine of its own, into an error.
func recovered(f func() error) func() error {
	return wire.Recovered("google", "google.golang.org/api", f)
}
