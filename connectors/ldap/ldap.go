// Package ldap reads people and groups from Active Directory, OpenLDAP, 389 Directory Server, FreeIPA and other LDAP
// servers through go-ldap, below which it signs in, bounds every wait and checks that each listing came to its end.
package ldap

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// vendor is the connector's name, with which its messages begin.
const vendor = "ldap"

var (
	_ connectors.Connector = (*Connector)(nil)
	_ connectors.Checker   = (*Connector)(nil)
	_ connectors.Finder    = (*Connector)(nil)
	_ connectors.Counter   = (*Connector)(nil)
)

// Options say which directory is read, as whom, and what of it.
type Options struct {
	// URLs are the servers of one directory, ldaps://host or ldap://host, the preferred one first. One reading asks
	// one of them only.
	URLs []string
	// StartTLS encrypts ldap:// before anything is said. Without it ldap:// is for loopback, unless AllowPlain.
	StartTLS   bool
	AllowPlain bool
	// CA holds the certificates of a private authority, PEM, which are trusted beside the system's.
	CA []byte
	// BindDN and Password are the reader's. Active Directory takes a user principal name for a DN.
	BindDN   string
	Password func() string

	// Flavor is the kind of server; "" is FlavorAuto.
	Flavor Flavor
	// Base is the DN below which everything lies. The directory is told from others by it.
	Base string
	// UserBases and GroupBases are where people and groups are searched, Base unless given.
	UserBases  []string
	GroupBases []string
	// UserFilter and GroupFilter replace the flavor's own.
	UserFilter  string
	GroupFilter string
	// DisabledFilter means the people who are disabled, beside those whom the flavor knows as such.
	DisabledFilter string
	// Attributes replace the flavor's own.
	Attributes Attributes
	// PageSize is how many entries are asked for at a time; 0 means 1000.
	PageSize int

	Query connectors.Query

	// Timeout bounds the answer to one request. 0 means 60 seconds.
	Timeout time.Duration
	// Observe is told of each operation when it is sent, "bind", "extended" or "search", and by what it returns of how that
	// ended: the result's number, or "error" when none came. It may be nil.
	Observe func(ctx context.Context, operation, host string) (ended func(result string, ok bool))
	// Dial opens connections; nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Now is the clock against which accounts expire; nil means time.Now.
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
}

// A Connector reads one LDAP directory.
//
// A group's members are those of the groups in it too, however deep and whatever circle they stand in. Members outside
// Base, and what is neither a person nor a group, are left out with a warning. memberOf is never read, nor is the
// primary group of Active Directory and POSIX: neither names everybody reliably.
type Connector struct {
	opts    Options
	servers []server
	places  places
	attrs   []string
	scope   []groupRef
	roots   *x509.CertPool
	tenant  string
	log     *slog.Logger

	requests atomic.Int64 // sent so far

	profile atomic.Pointer[profile]              // once it is known
	last    atomic.Pointer[server]               // the machine that was read last
	domains sync.Once                            // the warning about other domains
	known   atomic.Pointer[[]connectors.GroupID] // the scope's groups that the last reading found
}

// New checks the options and says everything that is missing or wrong at once. It sends nothing.
func New(o Options) (*Connector, error) {
	o.Timeout = cmp.Or(o.Timeout, time.Minute)
	o.PageSize = cmp.Or(o.PageSize, 1000)
	o.Flavor = cmp.Or(o.Flavor, FlavorAuto)
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Connector{opts: o, attrs: o.Query.Attributes, log: o.Log}
	var errs [6]error
	c.servers, errs[0] = parseServers(o)
	c.roots, errs[1] = parseCA(o.CA)
	c.places, errs[2] = parsePlaces(o)
	c.scope, errs[3] = parseQuery(o.Query)
	errs[4] = checkCredentials(o)
	errs[5] = checkProfile(o)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	c.tenant = "ldap:" + c.places.base.key
	if o.Flavor != FlavorAuto {
		p := newProfile(o.Flavor, o)
		c.profile.Store(&p)
	}
	return c, nil
}

// Name is "ldap".
func (c *Connector) Name() string { return vendor }

// Tenant is "ldap:" and the normalised base DN.
func (c *Connector) Tenant() string { return c.tenant }

// Requests is the number of operations sent since New.
func (c *Connector) Requests() int { return int(c.requests.Load()) }

// maxReadings is how often a directory that changes in mid-read is read from the start.
const maxReadings = 3

// Fetch reads everything the Query asks for from one server, the people and the names of the groups side by side. A
// group that goes away in the meantime makes it start again.
func (c *Connector) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	for reading := 1; ; reading++ {
		var snap connectors.Snapshot
		err := recovered(func() (err error) {
			snap, err = c.fetch(ctx)
			return err
		})()
		if err == nil {
			return snap, nil
		}
		if !errors.Is(err, errChanged) || reading == maxReadings {
			return connectors.Snapshot{}, err
		}
		c.log.Info("the directory changed while it was read, reading again", "reading", reading, "because", err)
	}
}

func (c *Connector) fetch(ctx context.Context) (connectors.Snapshot, error) {
	l, err := c.connect(ctx, c.servers)
	if err != nil {
		return connectors.Snapshot{}, err
	}
	defer l.close()
	c.last.Store(&l.server)
	p, err := c.profileOf(ctx, l)
	if err != nil {
		return connectors.Snapshot{}, err
	}
	var (
		people []person
		listed []group
	)
	beside := l
	if wantsGroups(c.opts.Query) {
		if beside, err = c.connect(ctx, []server{l.server}); err != nil {
			return connectors.Snapshot{}, err
		}
		defer beside.close()
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(recovered(func() (err error) {
		people, err = c.readUsers(gctx, l, p)
		return err
	}))
	if wantsGroups(c.opts.Query) {
		g.Go(recovered(func() (err error) {
			listed, err = c.listGroups(gctx, beside, p)
			return err
		}))
	}
	if err := g.Wait(); err != nil {
		return connectors.Snapshot{}, err
	}
	groups, err := c.readGroups(ctx, beside, p, people, listed)
	if err != nil {
		return connectors.Snapshot{}, err
	}
	users := make([]connectors.User, len(people))
	for i := range people {
		users[i] = people[i].User
	}
	if c.opts.Query.Mode == connectors.ScopeGroups {
		users = connectors.InScope(users, groups)
	}
	snap, err := connectors.NewSnapshot(users, groups)
	if err != nil {
		return connectors.Snapshot{}, fmt.Errorf("ldap: %w", err)
	}
	return snap, nil
}

// recovered turns a panic of f, which may run on a goroutine of its own, into an error.
func recovered(f func() error) func() error { return wire.Recovered("ldap", "go-ldap", f) }
