// Package keycloak reads people and groups from a Keycloak realm through the Admin REST API. It speaks plain HTTP:
// signing in, retries, paging by offset and the check of every answer are its own.
package keycloak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "keycloak"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
)

// Options say which realm is read, as whom, and what of it.
type Options struct {
	// URL is the server's address, "https://sso.acme.com", with /auth at its end where the server answers there, as
	// those before Keycloak 17 do. Plain http is for loopback.
	URL   string
	Realm string

	// ClientID and ClientSecret sign in as the service account of a client of the realm.
	ClientID     string
	ClientSecret func() string

	// Client is the client, by its client id, whose roles count in mode assigned. No Roles means any of its roles.
	Client string
	Roles  []string
	// Nested counts the members of sub-groups, however deep, as members of the groups above them.
	Nested bool

	Query connectors.Query

	// Timeout bounds one request with its answer. 0 means 60 seconds.
	Timeout time.Duration
	// Transport carries the requests; nil means Go's own with the proxy of the environment.
	Transport http.RoundTripper
	// Log may be nil.
	Log *slog.Logger
}

// A Connector reads one Keycloak realm.
//
// A group's Name is its path without the slash it begins with, "eng/sre", which no other group of the realm has.
// Service accounts are no people and are left out everywhere.
type Connector struct {
	opts   Options
	base   *url.URL
	scope  []connectors.GroupRef
	page   int // people and groups asked for at once
	client *client
	log    *slog.Logger

	resolved atomic.Pointer[[]connectors.GroupID] // the scope's groups, once they were found
	tree     wire.Shared[*tree]                   // for lookups: the groups, listed after the last Fetch began
	granted  wire.Shared[grants]                  // for lookups: who the roles are given to
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	base, err := parseURL(o.URL)
	scope, queryErr := parseQuery(o)
	if err := errors.Join(err, queryErr, checkSignIn(o)); err != nil {
		return nil, err
	}
	c := &Connector{opts: o, base: base, scope: scope, page: pageSize, log: o.Log}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.client = newClient(o, base, c.log)
	return c, nil
}

// Name is "keycloak".
func (c *Connector) Name() string { return vendor }

// Tenant is "keycloak:" with the server's host and path and the realm.
func (c *Connector) Tenant() string {
	return "keycloak:" + c.base.Host + c.base.Path + "/" + c.opts.Realm
}

// Stats count what a Connector did so far.
type Stats struct {
	Requests int           // sent, retries and token requests included
	Waited   time.Duration // between retries, summed over parallel requests
}

// Stats returns the counts since New.
func (c *Connector) Stats() Stats {
	return Stats{Requests: int(c.client.requests.Load()), Waited: c.client.pauses.Total()}
}

// Requests is how many requests were sent since New, retries included.
func (c *Connector) Requests() int { return c.Stats().Requests }

// maxReadings is how often a realm that changes in mid-read is read from the start.
const maxReadings = 3

// Fetch reads everything the Query asks for, the people and the groups side by side. A realm that changes between two
// pages of a listing, which are counted from its start, makes it start again.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	c.tree.Forget()
	c.granted.Forget()
	for reading := 1; ; reading++ {
		snap, err := c.fetch(ctx)
		if !errors.Is(err, errChanged) || reading == maxReadings {
			return snap, err
		}
		c.log.Info("the realm changed while it was read, reading again", "reading", reading, "because", err)
	}
}

func (c *Connector) fetch(ctx context.Context) (connectors.Snapshot, error) {
	var (
		everybody []connectors.User // of mode all
		direct    []connectors.User // who has a role of mode assigned by name
		groups    *gathered
	)
	g, gctx := errgroup.WithContext(ctx)
	switch c.opts.Query.Mode {
	case connectors.ScopeAll:
		g.Go(func() (err error) {
			everybody, err = c.readAll(gctx)
			return err
		})
		g.Go(func() (err error) {
			groups, err = c.readGroups(gctx, nil)
			return err
		})
	case connectors.ScopeGroups:
		g.Go(func() (err error) {
			groups, err = c.readGroups(gctx, nil)
			return err
		})
	case connectors.ScopeAssigned:
		g.Go(func() error {
			given, err := c.readGrants(gctx)
			if err != nil {
				return err
			}
			g.Go(func() (err error) {
				direct, err = c.readHolders(gctx, given)
				return err
			})
			groups, err = c.readGroups(gctx, given.groups)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return connectors.Snapshot{}, err
	}
	users := everybody
	if c.opts.Query.Mode != connectors.ScopeAll {
		users = distinct(append(direct, groups.people...))
	}
	for i := range users {
		users[i].Assigned = c.opts.Query.Mode == connectors.ScopeAssigned
	}
	snap, err := connectors.NewSnapshot(users, groups.groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("keycloak: %w", err)
	}
	return snap, nil
}

// distinct keeps each person once.
func distinct(users []connectors.User) []connectors.User {
	seen := map[connectors.UserID]bool{}
	return slices.DeleteFunc(users, func(u connectors.User) bool {
		again := seen[u.ID]
		seen[u.ID] = true
		return again
	})
}
