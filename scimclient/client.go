// Package scimclient is a SCIM 2.0 client (RFC 7643, 7644, 9865) for servers that cannot be taken at their word: it proves
// that a listing is complete before handing it over, verifies every write, and never takes a lost answer for a refusal.
package scimclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// Options are the settings of a Client. BaseURL and Token are required; zero elsewhere means the default in brackets.
type Options struct {
	BaseURL   string            // such as https://rootly.com/scim; see NormalizeBaseURL
	AllowHTTP bool              // accept http:// to hosts other than loopback
	Token     func() string     // the bearer token, asked before every request so that it may be rotated
	Username  string            // with it, requests are signed by HTTP Basic and Token is the password
	Transport http.RoundTripper // [a clone of http.DefaultTransport]
	Log       *slog.Logger      // [silent]
	UserAgent string            // ["rootly-idp-sync"]
	// Allow is asked right before each request that may change something, repetitions included. Its error keeps the request
	// from being sent; see WithheldError. [everything is allowed]
	Allow func() error

	// Attributes are what else is kept of each user, in User.Attributes: by RFC 7644's notation, such as "title",
	// "name.formatted" or "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department".
	Attributes []string

	// MaxRate is the number of requests a second that pacing may reach; 0 lifts the limit.
	MaxRate float64
	// Concurrency bounds the requests that one listing has under way at once [8].
	Concurrency int
	// PageSize is what listings ask for; a server may grant less [1000].
	PageSize int
	// MemberChunk is the largest number of membership changes in one request [100].
	MemberChunk int

	Timeout    time.Duration // of one request, its answer's body included [1m]
	MaxWait    time.Duration // the longest single wait that a 429 is granted [5m]
	WaitBudget time.Duration // all waits for 429 within one request of a call [15m]
}

// A Client talks to one SCIM server with one token. It is safe for concurrent use; two writes to the same object must
// not overlap.
type Client struct {
	opts   Options
	base   string
	http   *http.Client
	log    *slog.Logger
	pace   *pacer
	users  *collection[User]
	groups *collection[Group]
	chunk  atomic.Int64 // membership changes in one request; lowered by 413

	config chan *Capabilities // holds one value, nil until discovered

	mu       sync.Mutex
	requests map[RequestKind]int
	answered int           // requests that an answer came to
	busy     time.Duration // how long those took together
}

// New checks the options. It sends nothing.
func New(o Options) (*Client, error) {
	base, err := NormalizeBaseURL(o.BaseURL, o.AllowHTTP)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Token == nil:
		return nil, errors.New("scim: no token")
	case o.MaxRate < 0:
		return nil, errors.New("scim: the rate is negative (0 lifts the limit)")
	case o.Concurrency < 0 || o.PageSize < 0 || o.MemberChunk < 0:
		return nil, errors.New("scim: concurrency, page size and member chunk must be positive")
	case o.Timeout < 0 || o.MaxWait < 0 || o.WaitBudget < 0:
		return nil, errors.New("scim: times must be positive")
	}
	setDefault(&o.UserAgent, "rootly-idp-sync")
	setDefault(&o.Concurrency, 8)
	setDefault(&o.PageSize, 1000)
	setDefault(&o.MemberChunk, 100)
	setDefault(&o.Timeout, time.Minute)
	setDefault(&o.MaxWait, 5*time.Minute)
	setDefault(&o.WaitBudget, 15*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Allow == nil {
		o.Allow = func() error { return nil }
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64 // the default of 2 would open a connection for nearly every parallel request
		o.Transport = t
	}
	c := &Client{
		opts:     o,
		base:     base,
		http:     &http.Client{Transport: redact.Transport(o.Transport), CheckRedirect: followSameOrigin},
		log:      o.Log,
		pace:     newPacer(o.MaxRate, o.MaxWait),
		config:   make(chan *Capabilities, 1),
		requests: map[RequestKind]int{},
	}
	c.users = newCollection(c, "user", "/Users", "userName", decodeWith(o.Attributes))
	c.groups = newCollection(c, "group", "/Groups", "displayName", decodeGroup)
	c.chunk.Store(int64(o.MemberChunk))
	c.config <- nil
	return c, nil
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// NormalizeBaseURL checks a SCIM base URL and trims its trailing slashes. Plain http is accepted for loopback, and for
// other hosts only with allowHTTP. Its errors do not repeat the URL, which may hold a secret.
func NormalizeBaseURL(raw string, allowHTTP bool) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		return "", errors.New("scim url: not a URL (it looks like https://rootly.com/scim)")
	case u.User != nil:
		return "", errors.New("scim url: must not hold a user name or password (the token has a setting of its own)")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("scim url: must end with the path, without ? and #")
	case u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("scim url: must start with https:// and a host name")
	case u.Scheme == "http" && !allowHTTP && !loopback(u.Hostname()):
		return "", fmt.Errorf("scim url: http:// would send the token in the clear to %s (use https://)", u.Hostname())
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// followSameOrigin follows a read to another path of the same origin. Anything else ends with the 3xx itself: a token
// must not travel to another host, and net/http turns a redirected POST into a GET.
func followSameOrigin(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || len(via) > 3 || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// A RequestKind is what requests are counted by. Status is 0 for requests that no answer came to.
type RequestKind struct {
	Method string
	Status int
}

// Stats is what a Client has sent since New.
type Stats struct {
	Requests map[RequestKind]int
	Waited   time.Duration // how long the whole client stood still because of 429
}

// Total is the number of requests of any kind.
func (s Stats) Total() int {
	n := 0
	for _, k := range s.Requests {
		n += k
	}
	return n
}

// Stats returns a copy of the counters.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Requests: maps.Clone(c.requests), Waited: c.pace.waited()}
}

// timed takes note of how long an answer took, its body included.
func (c *Client) timed(start time.Time) {
	took := time.Since(start)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered++
	c.busy += took
}

func (c *Client) count(method string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[RequestKind{method, status}]++
}

// Users lists every user. The listing is complete or the call fails.
func (c *Client) Users(ctx context.Context) ([]User, error) {
	users, _, err := c.users.list(ctx, "list users", "")
	return users, err
}

// UsersWhere lists the users whom the server finds by a filter (RFC 7644 section 3.4.2.2), completely as Users does. That
// the server heeds the filter is not checked: some ignore one and return everybody.
func (c *Client) UsersWhere(ctx context.Context, filter string) ([]User, error) {
	users, _, err := c.users.list(ctx, "list users by filter", filter)
	return users, err
}

// User reads one user. Gone tells from its error whether the SCIM server itself said that it knows no such id.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	return c.users.get(ctx, "read user", id)
}

// FindUsers returns the users whose userName equals name, letter case aside: those that a filter finds, or else those in
// the whole listing. Each hit is checked, so a server that ignores the filter does no harm. Nobody found is still only a
// hint, since some servers show deactivated people nowhere.
func (c *Client) FindUsers(ctx context.Context, name string) ([]User, error) {
	users, _, err := c.users.find(ctx, "find user", name)
	return users, err
}

// Groups lists every group with all its members. A group that the listing shows without members is read by itself
// before it counts as empty.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	const op = "list groups"
	groups, lacking, err := c.groups.list(ctx, op, "")
	if err != nil {
		return nil, err
	}
	return c.readMembers(ctx, op, groups, lacking)
}

// ListGroups lists every group as Groups does, without reading those that the listing shows without members: lacking
// holds their ids.
func (c *Client) ListGroups(ctx context.Context) (groups []Group, lacking map[string]bool, err error) {
	return c.groups.list(ctx, "list groups", "")
}

// Group reads one group with all its members, as User does.
func (c *Client) Group(ctx context.Context, id string) (Group, error) {
	return c.groups.get(ctx, "read group", id)
}

// FindGroups returns the groups whose displayName equals name, letter case aside, as FindUsers does.
func (c *Client) FindGroups(ctx context.Context, name string) ([]Group, error) {
	const op = "find group"
	groups, lacking, err := c.groups.find(ctx, op, name)
	if err != nil {
		return nil, err
	}
	return c.readMembers(ctx, op, groups, lacking)
}
