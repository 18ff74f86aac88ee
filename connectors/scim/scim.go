// Package scim reads people and groups from a directory that is a SCIM 2.0 server, such as JumpCloud, OneLogin or
// authentik, through scimclient, which proves that each listing is complete.
package scim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "scim"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
)

// Options say which server is read, as whom, and what of it.
type Options struct {
	// BaseURL is the address above /Users and /Groups. Plain http is for loopback.
	BaseURL string
	// Token is the bearer token or, with Username, the password of HTTP Basic. It is asked for on every request.
	Token    func() string
	Username string

	Query connectors.Query
	// Filter narrows the people in every mode, in RFC 7644's language, such as `userType eq "Employee"`.
	Filter string
	// Nested takes the people of groups inside groups in too.
	Nested bool

	// MaxRate is the most requests a second, which are begun with slowly; 0 lifts the limit.
	MaxRate float64
	// Timeout bounds one request with its answer. 0 means 60 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil means Go's own with the proxy of the environment.
	Transport http.RoundTripper
	// Log may be nil.
	Log *slog.Logger
}

// A Connector reads one SCIM server.
//
// Whoever is not active is disabled; a server that does not say is taken to mean that everybody is.
type Connector struct {
	client *scimclient.Client
	opts   Options
	filter filter
	scope  []connectors.GroupRef
	tenant string
	log    *slog.Logger

	known   atomic.Pointer[directory]               // the groups that the last reading found
	people  wire.Shared[map[connectors.UserID]bool] // whom Filter finds, for lookups
	inScope wire.Shared[map[connectors.UserID]bool] // who is in the scope's groups, for lookups
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	scope, queryErr := parseQuery(o)
	f, filterErr := parseFilter(o.Filter)
	var tokenErr error
	if o.Token == nil {
		tokenErr = errors.New("scim: neither a token nor a user name with a password is given")
	}
	base, baseErr := scimclient.NormalizeBaseURL(o.BaseURL, false)
	if err := errors.Join(baseErr, tokenErr, queryErr, filterErr); err != nil {
		return nil, err
	}
	client, err := scimclient.New(scimclient.Options{
		BaseURL: base, Token: o.Token, Username: o.Username, Transport: o.Transport, Log: o.Log, Timeout: o.Timeout, MaxRate: o.MaxRate,
		Attributes: slices.Concat(standardAttributes, f.attributes(), o.Query.Attributes),
	})
	if err != nil {
		return nil, err
	}
	return &Connector{client: client, opts: o, filter: f, scope: scope, tenant: tenantOf(base), log: o.Log}, nil
}

// tenantOf is "scim:" and the address without its scheme: several tenants may share a host.
func tenantOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "scim:" + base
	}
	return "scim:" + strings.ToLower(u.Host) + u.EscapedPath()
}

// Name is "scim".
func (c *Connector) Name() string { return vendor }

// Tenant is "scim:" and the server's address.
func (c *Connector) Tenant() string { return c.tenant }

// Stats count what a Connector did so far.
type Stats struct {
	Requests int           // sent, retries included
	Waited   time.Duration // for rate limits
}

// Stats returns the counts since New.
func (c *Connector) Stats() Stats {
	s := c.client.Stats()
	return Stats{Requests: s.Total(), Waited: s.Waited}
}

// Requests is how many requests were sent since New, retries included.
func (c *Connector) Requests() int { return c.Stats().Requests }

// Close lets go of idle connections.
func (c *Connector) Close() { c.client.Close() }

// Fetch reads everything the Query asks for, the people and the groups side by side.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	c.people.Forget()
	c.inScope.Forget()
	var (
		users  []connectors.User
		groups []connectors.Group
	)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		users, err = c.readUsers(gctx)
		return err
	})
	if len(c.scope)+len(c.opts.Query.Push) > 0 {
		g.Go(func() (err error) {
			groups, err = c.readGroups(gctx)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return connectors.Snapshot{}, err
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		in := membersOf(groups)
		users = slices.DeleteFunc(users, func(u connectors.User) bool { return !in[u.ID] })
	}
	snap, err := connectors.NewSnapshot(users, groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("scim: %w", err)
	}
	return snap, nil
}

// membersOf are the members of the scope's groups.
func membersOf(groups []connectors.Group) map[connectors.UserID]bool {
	in := map[connectors.UserID]bool{}
	for _, g := range groups {
		for _, id := range g.Members {
			in[id] = in[id] || g.Scope
		}
	}
	return in
}

// plain is an error in the words of a directory: scimclient's own advice is about Rootly.
func plain(err error) error {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e
	}
	if connectors.Unreachable(err) {
		return &connectors.Error{Directory: vendor, Step: "asking the server", Err: connectors.ErrUnreachable, Summary: err.Error(),
			Remedy: "check url and the network, and that the server's certificate is signed by an authority this machine trusts"}
	}
	e, ok := errors.AsType[*scimclient.Error](err)
	if !ok {
		return fmt.Errorf("scim: %w", err)
	}
	out := &connectors.Error{Directory: vendor, Status: e.Status, Code: e.ScimType, Step: e.Op, Summary: e.Detail, Remedy: remedy(e)}
	if e.Status < http.StatusBadRequest {
		out.Err = connectors.ErrDamaged
	}
	return out
}

// remedy says what to do about a refused read.
func remedy(e *scimclient.Error) string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "check the token, or the user name and password"
	case e.Status == http.StatusForbidden:
		return "let this credential read users and groups over SCIM"
	case e.Status == http.StatusNotFound:
		return "check that url is the address above /Users, and that no proxy answers in the server's place; it does not mean that there is nobody"
	case e.Status == http.StatusTooManyRequests:
		return "run less often, or see which other programs read this server"
	case e.Status == http.StatusBadRequest && e.ScimType == "invalidFilter":
		return "this server does not know that filter; write another one, or narrow the scope by scope.where"
	case e.Status >= 500:
		return "the server is in trouble; run again"
	case e.Status < http.StatusBadRequest:
		return cmp.Or(redirected(e.Status), "check that url leads to the SCIM server and not to a web page")
	}
	return ""
}

func redirected(status int) string {
	if status/100 == 3 {
		return "set url to where the redirect leads; the token does not follow it to another server"
	}
	return ""
}
