package okta

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

const (
	maxTries  = 3                      // of a request that met a 5xx or the network's trouble
	firstWait = 500 * time.Millisecond // where no answer names the wait; doubled with each time
	maxBody   = 128 << 20              // more in one page is not Okta
)

// transport is the http.RoundTripper below the SDK. It goes beyond what one should do, on purpose: it retries, and it
// returns an error for every answer that is not a sound 200. What it passes up is complete, so the SDK never sees what
// it mishandles: a 429 (it loses the headers), an io.EOF (it repeats at once and for ever), an empty body or null (it
// reads nobody), a joined Link header (it reads the same page for ever) or an unreadable one (it panics).
type transport struct {
	base     http.RoundTripper
	auth     credentials
	timeout  time.Duration
	limits   limits
	log      *slog.Logger
	requests atomic.Int64
	pauses   wire.Pauses
}

// RoundTrip answers with a sound page or object, or an error: *connectors.Error, or that of the request's context.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, at := req.Context(), endpointOf(req.URL.EscapedPath())
	for renewed := false; ; renewed = true {
		var header string
		a, err := t.send(ctx, at, func() (_ *http.Request, err error) {
			if header, err = t.auth.header(ctx, t.send); err != nil {
				return nil, err
			}
			out := req.Clone(ctx)
			out.Header.Set("Authorization", header)
			return out, nil
		})
		switch {
		case err != nil:
			return nil, err
		case a.Status == http.StatusUnauthorized && !renewed && t.auth.renew(header):
			continue
		case a.Status != http.StatusOK:
			return nil, refusal(at, a, t.auth.serviceApp())
		}
		if err := checkBody(a, at.list); err != nil {
			return nil, connectors.Damaged(vendor, at.step, "%v", err)
		}
		if err := cleanLinks(req.URL, a.Header); err != nil {
			return nil, connectors.Damaged(vendor, at.step, "%v", err)
		}
		return wire.OK(req, a.Header, a.Body), nil
	}
}

// send repeats a request until it is answered for good: rate limits are waited for, trouble of the server and the
// network is met with growing gaps. build makes each attempt anew.
func (t *transport) send(ctx context.Context, at endpoint, build func() (*http.Request, error)) (*wire.Answer, error) {
	for failed, limited := 0, 0; ; {
		if err := t.pauses.Wait(ctx, t.limits.pause(at.bucket)); err != nil {
			return nil, err
		}
		req, err := build()
		if err != nil {
			return nil, err
		}
		a, err := t.exchange(req)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil || a.Status >= 500:
			if failed++; failed == maxTries {
				return nil, outage(at, a, err)
			}
			wait := wire.Backoff(firstWait, failed)
			t.log.Debug("okta request failed", "step", at.step, "wait", wait)
			if err := t.pauses.Wait(ctx, wait); err != nil {
				return nil, err
			}
		case a.Status == http.StatusTooManyRequests:
			limited++
			wait, ok := t.limits.refused(at.bucket, a.Header, limited)
			if !ok {
				e := refusal(at, a, t.auth.serviceApp())
				e.Summary = fmt.Sprintf("after %d waits Okta would have to be waited for another %s", limited-1, wait.Round(time.Second))
				return nil, e
			}
			t.log.Info("waiting for okta's rate limit", "step", at.step, "wait", wait)
		default:
			if wait := t.limits.note(at.bucket, a.Header); wait > 0 {
				t.log.Info("pausing to leave okta's rate limit to others", "step", at.step, "wait", wait)
			}
			return a, nil
		}
	}
}

// exchange sends a request once and reads the answer to its end, both within the timeout.
func (t *transport) exchange(req *http.Request) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel()
	t.requests.Add(1)
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return wire.Read(resp, maxBody)
}

// outage is the error after the last try. It keeps the network's words and not its error: the SDK would repeat an
// io.EOF in the chain without end.
func outage(at endpoint, a *wire.Answer, err error) error {
	e := &connectors.Error{Directory: vendor, Step: at.step}
	switch {
	case err != nil:
		e.Summary = wire.Trouble(err)
		if connectors.Unreachable(err) {
			e.Err = connectors.ErrUnreachable
		}
	default:
		e.Status, e.Summary = a.Status, "the server is in trouble"
	}
	e.Summary += fmt.Sprintf(", %d times in a row", maxTries)
	e.Remedy = remedy(at, e.Status, "", false)
	return e
}
