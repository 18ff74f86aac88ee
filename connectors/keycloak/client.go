package keycloak

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

const (
	maxTries      = 4               // of a request that met a 5xx, a 429 or the network's trouble
	maxRetryAfter = 2 * time.Minute // a longer one is not sat out
	maxBody       = 128 << 20       // more in one page is not Keycloak
)

// A client sends requests to one realm. It follows no redirect: Keycloak's API sends none, and a token must not be shown
// to whoever another address belongs to.
type client struct {
	base     http.RoundTripper
	admin    string // the address of the realm in the Admin REST API
	auth     *signIn
	timeout  time.Duration
	log      *slog.Logger
	requests atomic.Int64
	pauses   wire.Pauses
}

func newClient(o Options, base *url.URL, log *slog.Logger) *client {
	realm := url.PathEscape(o.Realm)
	return &client{
		base:  redact.Transport(o.Transport),
		admin: base.String() + "/admin/realms/" + realm,
		auth: &signIn{
			endpoint: base.String() + "/realms/" + realm + "/protocol/openid-connect/token",
			realm:    o.Realm, clientID: o.ClientID, secret: o.ClientSecret, needs: rights(o),
		},
		timeout: o.Timeout,
		log:     log,
	}
}

// get reads one object or list at a path below the realm's into v. A token that is refused in mid-read is replaced once.
func (c *client) get(ctx context.Context, step, path string, query url.Values, v any) error {
	address := c.admin + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	for renewed := false; ; renewed = true {
		token, err := c.auth.token(ctx, c)
		if err != nil {
			return err
		}
		a, err := c.send(ctx, step, func() (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
			if err != nil {
				return nil, err
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Accept", "application/json")
			return req, nil
		})
		switch {
		case err != nil:
			return err
		case a.Status == http.StatusUnauthorized && !renewed:
			c.auth.drop(token)
			continue
		case a.Status != http.StatusOK:
			return c.refusal(step, a)
		}
		return decode(step, a, v)
	}
}

// send repeats a request until it is answered for good: trouble of the server and the network is met with growing gaps.
// build makes each attempt anew.
func (c *client) send(ctx context.Context, step string, build func() (*http.Request, error)) (*wire.Answer, error) {
	for tries := 1; ; tries++ {
		req, err := build()
		if err != nil {
			return nil, fmt.Errorf("keycloak: %s: %w", step, err)
		}
		req.Header.Set("User-Agent", "rootly-idp-sync")
		a, err := c.exchange(req)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("keycloak: %s: %w", step, ctx.Err())
		case err == nil && a.Status < 500 && a.Status != http.StatusTooManyRequests:
			return a, nil
		}
		wait := pause(a, tries)
		if tries == maxTries || wait > maxRetryAfter {
			return nil, outage(step, a, err, tries)
		}
		c.log.Debug("keycloak request failed", "step", step, "wait", wait)
		if err := c.pauses.Wait(ctx, wait); err != nil {
			return nil, fmt.Errorf("keycloak: %s: %w", step, err)
		}
	}
}

// exchange sends a request once and reads the answer to its end, both within the timeout.
func (c *client) exchange(req *http.Request) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	c.requests.Add(1)
	resp, err := c.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return wire.Read(resp, maxBody)
}

// pause is what a proxy asks for in Retry-After, else half a second, doubled each time.
func pause(a *wire.Answer, nth int) time.Duration {
	if a != nil {
		after := a.Header.Get("Retry-After")
		if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
			return time.Duration(seconds) * time.Second
		}
		if at, err := http.ParseTime(after); err == nil && time.Until(at) > 0 {
			return time.Until(at)
		}
	}
	return wire.Backoff(500*time.Millisecond, nth)
}

// outage is the error after the last try.
func outage(step string, a *wire.Answer, err error, tries int) error {
	e := &connectors.Error{Directory: vendor, Step: step, Remedy: "check the URL, the network and the server's log; run again"}
	switch {
	case err != nil:
		e.Summary = wire.Trouble(err)
		if connectors.Unreachable(err) {
			e.Err = connectors.ErrUnreachable
		}
	case a.Status == http.StatusTooManyRequests:
		e.Status, e.Summary = a.Status, "too many requests for what stands before the server"
	default:
		e.Status, e.Summary = a.Status, "the server is in trouble"
	}
	if tries > 1 {
		e.Summary += fmt.Sprintf(", %d times in a row", tries)
	}
	return e
}
