//go:build !noentra

package entra

import (
	"cmp"
	"compress/gzip"
	"context"
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
)

const (
	maxTries    = 4                      // of a request that met a 5xx or the network's trouble
	firstWait   = 500 * time.Millisecond // where no answer names the wait; doubled with each time
	maxWaits    = 5                      // of a request that is told to come back later
	maxThrottle = 10 * time.Minute       // a longer wait belongs into the next cycle
	maxBody     = 128 << 20              // more in one page is not Graph
)

// transport is the http.RoundTripper below the SDK. It goes beyond what one should do, on purpose: it signs in, it
// retries outside the time that one request has, and it returns an error for every answer that is not a sound 200. What
// it passes up is complete, so the SDK never sees what it mishandles: null (it panics), an empty body, a 204 or a page
// without its list (it reads nobody), a web page (it loses the status).
type transport struct {
	base     http.RoundTripper
	graph    *url.URL
	auth     *credentials
	timeout  time.Duration
	log      *slog.Logger
	requests atomic.Int64
	pauses   wire.Pauses
	ahead    atomic.Int64 // how far our clock is ahead of Microsoft's, by the last answer
	astray   atomic.Bool  // no connection led to the authority at the last try: azidentity keeps only the text of why

	mu    sync.Mutex
	until time.Time // before then Graph wants no request
}

// RoundTrip answers with a sound page or object, or an error: *connectors.Error, or that of the request's context.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	at := endpointOf(t.graph, req.URL)
	if req.URL.Scheme != t.graph.Scheme || !strings.EqualFold(req.URL.Host, t.graph.Host) {
		return nil, connectors.Damaged(vendor, at.step, "it leads to another host, %s", req.URL.Host)
	}
	for renewed := false; ; renewed = true {
		var token string
		a, err := t.send(req.Context(), at, func(ctx context.Context) (_ *http.Request, err error) {
			if token, err = t.auth.bearer(ctx); err != nil {
				return nil, err
			}
			out := req.Clone(ctx)
			out.Header.Set("Authorization", "Bearer "+token)
			out.Header.Set("User-Agent", "rootly-idp-sync")
			return out, nil
		})
		switch {
		case err != nil:
			return nil, err
		case a.Status == http.StatusUnauthorized && !renewed:
			t.auth.refused(token)
			continue
		case a.Status != http.StatusOK:
			return nil, t.refusal(at, a)
		}
		if err := checkBody(a, at.list, t.graph, req.URL); err != nil {
			return nil, connectors.Damaged(vendor, at.step, "%v", err)
		}
		return wire.OK(req, http.Header{"Content-Type": {"application/json"}}, a.Body), nil
	}
}

// send repeats a request until it is answered for good: throttling is waited for, trouble of the server and the
// network is met with growing gaps. build makes each attempt anew.
func (t *transport) send(ctx context.Context, at endpoint, build func(context.Context) (*http.Request, error)) (*wire.Answer, error) {
	for failed, waits := 0, 0; ; {
		if err := t.pauses.Wait(ctx, t.held()); err != nil {
			return nil, err
		}
		req, err := build(ctx)
		if err != nil {
			return nil, err
		}
		a, err := t.exchange(req)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil && throttled(a):
			waits++
			wait, told := retryAfter(a.Header, time.Now())
			if !told {
				wait = wire.Backoff(firstWait, waits+1)
			}
			if waits > maxWaits || wait > maxThrottle {
				return nil, t.tooLong(at, a, waits-1, wait)
			}
			t.log.Info("waiting because graph throttles", "step", at.step, "wait", wait)
			t.hold(wait)
		case err != nil || a.Status >= 500 && a.Status != http.StatusNotImplemented || a.Status == http.StatusRequestTimeout:
			if failed++; failed == maxTries {
				return nil, t.outage(at, a, err)
			}
			wait := wire.Backoff(firstWait, failed)
			t.log.Debug("graph request failed", "step", at.step, "wait", wait)
			if err := t.pauses.Wait(ctx, wait); err != nil {
				return nil, err
			}
		default:
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
	t.noteClock(resp.Header)
	// Go's own transport unpacks by itself; another one may not.
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		unpacked, err := gzip.NewReader(resp.Body)
		if err != nil {
			return nil, fmt.Errorf("the answer cannot be unpacked: %w", err)
		}
		resp.Body = unpacked
	}
	return wire.Read(resp, maxBody)
}

// throttled tells whether Graph asks to come back later.
func throttled(a *wire.Answer) bool {
	busy := a.Status == http.StatusServiceUnavailable || a.Status == http.StatusGatewayTimeout
	return a.Status == http.StatusTooManyRequests || busy && a.Header.Get("Retry-After") != ""
}

// retryAfter reads the header in both of its forms. A date is measured by the server's own clock.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 && seconds < 1<<31 {
		return time.Duration(seconds) * time.Second, true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if server, err := http.ParseTime(h.Get("Date")); err == nil {
		now = server
	}
	return max(at.Sub(now), 0), true
}

// hold keeps every request back for a while: the limits are the app's as a whole.
func (t *transport) hold(wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until := time.Now().Add(wait); until.After(t.until) {
		t.until = until
	}
}

func (t *transport) held() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Until(t.until)
}

// noteClock compares our clock with that of an answer.
func (t *transport) noteClock(h http.Header) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		t.ahead.Store(int64(time.Since(date)))
	}
}

// outage is the error after the last try.
func (t *transport) outage(at endpoint, a *wire.Answer, err error) error {
	e := &connectors.Error{Directory: vendor, Step: at.step}
	switch {
	case err != nil:
		e.Summary = wire.Trouble(err)
		if connectors.Unreachable(err) {
			e.Err = connectors.ErrUnreachable
		}
	default:
		e = t.refusal(at, a)
		e.Summary = cmp.Or(e.Summary, "the server is in trouble")
	}
	e.Summary += fmt.Sprintf(", %d times in a row", maxTries)
	e.Remedy = t.remedy(at, e.Status, e.Code)
	return e
}

func (t *transport) tooLong(at endpoint, a *wire.Answer, waits int, wait time.Duration) error {
	e := t.refusal(at, a)
	e.Summary = fmt.Sprintf("after %d waits Graph would have to be waited for another %s", waits, wait.Round(time.Second))
	return e
}
