package rippling

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

const (
	maxTries      = 3                      // of a request that met a 5xx or the network's trouble
	maxLimitWaits = 6                      // for the rate limit, of one request
	maxLimitWait  = 2 * time.Minute        // a longer one is not sat out
	firstWait     = 500 * time.Millisecond // where no answer names the wait; doubled with each time
	maxBody       = 64 << 20               // a page is a hundred objects
)

// A client sends requests to Rippling and reads their answers.
type client struct {
	base       *url.URL
	token      func() string
	version    string
	attributes []string // fields that expressions read
	http       http.RoundTripper
	timeout    time.Duration
	log        *slog.Logger
	requests   atomic.Int64
	pauses     wire.Pauses

	mu   sync.Mutex
	held time.Time // until when everybody waits, because of a 429
}

func newClient(o Options, base *url.URL) *client {
	return &client{base: base, token: o.APIToken, version: o.APIVersion, attributes: fieldsOf(o.Query.Attributes), http: redact.Transport(o.Transport), timeout: o.Timeout, log: o.Log}
}

// fieldsOf are the top-level fields behind attributes: the parts of a name are redacted with it.
func fieldsOf(attributes []string) []string {
	var out []string
	for _, a := range attributes {
		if a == "given_name" || a == "family_name" {
			a = "name"
		}
		out = append(out, a)
	}
	return out
}

// An endpoint is what a request does, for messages, and the scope it takes.
type endpoint struct{ path, step, scope string }

// get reads one JSON object. Rate limits are waited for; trouble of the server and the network is met with growing gaps.
func (c *client) get(ctx context.Context, at endpoint, query url.Values) ([]byte, error) {
	for failed, limited := 0, 0; ; {
		if err := c.pauses.Wait(ctx, c.pause()); err != nil {
			return nil, err
		}
		a, err := c.exchange(ctx, at, query)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil || a.Status >= 500:
			if failed++; failed == maxTries {
				return nil, outage(at, a, err)
			}
			c.log.Debug("rippling request failed", "step", at.step, "try", failed)
			if err := c.pauses.Wait(ctx, wire.Backoff(firstWait, failed)); err != nil {
				return nil, err
			}
		case a.Status == http.StatusTooManyRequests:
			limited++
			wait := retryAfter(a.Header, time.Now())
			if wait == 0 {
				wait = wire.Backoff(time.Second, limited)
			}
			if limited > maxLimitWaits || wait > maxLimitWait {
				e := c.refusal(at, a)
				e.Summary = fmt.Sprintf("after %d waits Rippling would have to be waited for another %s", limited-1, wait.Round(time.Second))
				return nil, e
			}
			c.log.Info("waiting for rippling's rate limit", "step", at.step, "wait", wait)
			c.hold(wait)
		case a.Status != http.StatusOK:
			return nil, c.refusal(at, a)
		default:
			return a.Body, checkObject(at, a.Body)
		}
	}
}

// checkObject refuses what is no JSON object, such as a web page with 200, and one with two lists of results.
func checkObject(at endpoint, body []byte) error {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return connectors.Damaged(vendor, at.step, "it is empty")
	case body[0] != '{':
		return connectors.Damaged(vendor, at.step, "it is not a JSON object")
	}
	var object wire.Object
	if err := json.Unmarshal(body, &object); err != nil {
		return connectors.Damaged(vendor, at.step, "it cannot be read: %v", err)
	}
	return nil
}

// exchange sends a request once and reads the answer to its end, both within the timeout.
func (c *client) exchange(ctx context.Context, at endpoint, query url.Values) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := c.base.String() + at.path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Rippling-Api-Version", c.version)
	req.Header.Set("User-Agent", "rootly-idp-sync")
	c.requests.Add(1)
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return wire.Read(resp, maxBody)
}

func (c *client) pause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.held)
}

// hold keeps every request back.
func (c *client) hold(wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := time.Now().Add(wait); until.After(c.held) {
		c.held = until
	}
}

// retryAfter reads Retry-After in both its forms; 0 means that it names no wait.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.Atoi(v); err == nil && s > 0 {
		return time.Duration(min(s, 86_400)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}
