//go:build !noentra

// Package entra reads people and groups from a Microsoft Entra tenant through msgraph-sdk-go, which it contains: the
// SDK only builds requests and decodes pages, while signing in, throttling, retries and the check of every answer are
// done below it. The build tag noentra leaves the package out, for the SDK takes minutes to compile.
package entra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/microsoft/kiota-abstractions-go/authentication"
	nethttplibrary "github.com/microsoft/kiota-http-go"
	jsonserialization "github.com/microsoft/kiota-serialization-json-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "entra"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
)

// Options say which tenant is read, as whom, and what of it.
type Options struct {
	// TenantID is the directory (tenant) id, a GUID.
	TenantID string
	// ClientID is the application (client) id of the app registration that signs in. With IdentityManaged it is that
	// of a user-assigned identity, with IdentityDefault it is not used.
	ClientID string

	// ClientSecret signs in with a client secret. It is asked for whenever a token is needed.
	ClientSecret func() string
	// Certificate signs in with a certificate and its key, PEM or PKCS #12, which it is asked for whenever a token is
	// needed. CertificatePassword may be nil.
	Certificate         func() ([]byte, error)
	CertificatePassword func() string
	// Identity signs in without a secret of ours.
	Identity Identity

	// Cloud is the national cloud; empty is the public one. GraphURL and AuthorityURL replace its addresses: plain http
	// is for loopback.
	Cloud        Cloud
	GraphURL     string
	AuthorityURL string

	// AppID is the client id of the enterprise application whose assignments count in mode assigned.
	AppID string
	// Nested expands groups inside groups. Without it only direct members count, as in Entra's own provisioning.
	Nested bool
	// UserNameFrom is where the sign-in name comes from; empty is UserPrincipalName.
	UserNameFrom UserNameFrom
	Query        connectors.Query

	// Timeout bounds one request with its answer, waits for throttling not counted. 0 means 60 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil means Go's own with the proxy of the environment.
	Transport http.RoundTripper
	// Log may be nil.
	Log *slog.Logger
}

// UserNameFrom names the property that becomes User.UserName.
type UserNameFrom string

// The properties to choose from. A guest's userPrincipalName is turned back into the address that it was made of.
const (
	UserPrincipalName UserNameFrom = "userPrincipalName"
	Mail              UserNameFrom = "mail"
)

// A Connector reads one tenant.
//
// In modes assigned and all everybody in the tenant is listed, in mode groups the members of groups only. Deleted
// people are absent from listings; Lookup finds them in the recycle bin as long as they are there. Nested groups are
// expanded by walking their members and not by asking for transitive ones: the plain lists do not lag, every group is
// read once, and Lookup follows the same edges.
type Connector struct {
	tenant     string
	appID      string
	nested     bool
	userName   UserNameFrom
	query      connectors.Query
	scope      []connectors.GroupRef
	attributes []attribute
	graph      graph
	rt         *transport
	log        *slog.Logger

	principal atomic.Pointer[string]               // the object id of the enterprise application, once it was found
	resolved  atomic.Pointer[[]connectors.GroupID] // the scope's groups, once they were found
	fresh     wire.Shared[assignments]             // as they were read after the last Fetch
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	if o.UserNameFrom == "" {
		o.UserNameFrom = UserPrincipalName
	}
	var nameErr error
	if o.UserNameFrom != UserPrincipalName && o.UserNameFrom != Mail {
		nameErr = fmt.Errorf("entra: user name from %q is not one of userPrincipalName, mail", o.UserNameFrom)
	}
	where, whereErr := placesOf(o)
	scope, queryErr := parseQuery(&o)
	attributes, attrErr := parseAttributes(o.Query.Attributes)
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	rt := &transport{base: redact.Transport(o.Transport), graph: where.graph, timeout: o.Timeout, log: o.Log}
	if rt.log == nil {
		rt.log = slog.New(slog.DiscardHandler)
	}
	auth, authErr := newCredentials(o, where, rt)
	if err := errors.Join(whereErr, authErr, queryErr, attrErr, nameErr); err != nil {
		return nil, err
	}
	rt.auth = auth
	c := &Connector{
		tenant: strings.ToLower(o.TenantID), appID: o.AppID, nested: o.Nested, userName: o.UserNameFrom, query: o.Query, scope: scope,
		attributes: attributes, rt: rt, log: rt.log,
	}
	var err error
	if c.graph, err = newGraph(where.graph, rt); err != nil {
		return nil, fmt.Errorf("entra: %w", err)
	}
	return c, nil
}

// newGraph sets up the SDK over our transport, without its own sign-in, retries and timeout, and without touching its
// registries, which are global. Of its handlers only the one that writes $select for %24select is kept.
func newGraph(base *url.URL, rt http.RoundTripper) (graph, error) {
	client := &http.Client{
		Transport: nethttplibrary.NewCustomTransportWithParentTransport(rt, nethttplibrary.NewParametersNameDecodingHandler()),
	}
	adapter, err := core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		&authentication.AnonymousAuthenticationProvider{}, core.GraphClientOptions{},
		jsonserialization.NewJsonParseNodeFactory(), jsonserialization.NewJsonSerializationWriterFactory(), client)
	if err != nil {
		return graph{}, err
	}
	adapter.SetBaseUrl(base.String())
	return graph{adapter}, nil
}

// Name is "entra".
func (c *Connector) Name() string { return vendor }

// Tenant is "entra:" and the tenant's id.
func (c *Connector) Tenant() string { return "entra:" + c.tenant }

// Stats count what a Connector did so far.
type Stats struct {
	Requests int           // sent, retries and token requests included
	Waited   time.Duration // for throttling and between retries, summed over parallel requests
}

// Stats returns the counts since New.
func (c *Connector) Stats() Stats {
	return Stats{Requests: int(c.rt.requests.Load()), Waited: c.rt.pauses.Total()}
}

// Requests is how many requests were sent since New, retries and those for tokens included.
func (c *Connector) Requests() int { return c.Stats().Requests }

// Fetch reads everything the Query asks for: people, assignments, groups and memberships side by side.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	c.fresh.Forget()
	var (
		everybody []connectors.User
		assigned  assignments
		groups    []connectors.Group
	)
	g, gctx := errgroup.WithContext(ctx)
	members := newRoster(gctx, c, g)
	if c.query.Mode != connectors.ScopeGroups {
		g.Go(recovered(func() (err error) {
			everybody, err = c.readUsers(gctx)
			return err
		}))
	}
	if c.query.Mode == connectors.ScopeAssigned {
		g.Go(recovered(func() (err error) {
			assigned, err = c.readAssigned(gctx, members.want)
			return err
		}))
	}
	g.Go(recovered(func() (err error) {
		groups, err = c.findGroups(gctx, members.want)
		return err
	}))
	if err := g.Wait(); err != nil {
		return connectors.Snapshot{}, err
	}
	for i := range groups {
		groups[i].Members = members.expand(groups[i].ID)
	}
	var users []connectors.User
	err := recovered(func() (err error) {
		users, err = c.choose(ctx, everybody, assigned, groups, members)
		return err
	})()
	if err != nil {
		return connectors.Snapshot{}, err
	}
	snap, err := connectors.NewSnapshot(users, groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("entra: %w", err)
	}
	return snap, nil
}

// choose picks the people whom the mode asks for. What is not known of them fails the read; what is not known of others
// does not matter.
func (c *Connector) choose(ctx context.Context, everybody []connectors.User, assigned assignments, groups []connectors.Group, members *roster) ([]connectors.User, error) {
	var users []connectors.User
	switch c.query.Mode {
	case connectors.ScopeAll:
		users = everybody
	case connectors.ScopeGroups:
		users = members.people(groups)
	case connectors.ScopeAssigned:
		var err error
		if users, err = c.assignedOf(ctx, everybody, assigned.expanded(members)); err != nil {
			return nil, err
		}
	}
	for _, u := range users {
		if err := checkKnown(u); err != nil {
			return nil, err
		}
	}
	return users, nil
}

// recovered turns a panic of f, which may run on a goroutine of its own, into an error.
func recovered(f func() error) func() error { return wire.Recovered("entra", "msgraph-sdk-go", f) }
