//go:build !noentra

package entra

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxTries    = 4                // of a request that met a 5xx or the network's trouble
	maxWaits    = 5                // of a request that is told to come back later
	maxThrottle = 10 * time.Minute // a longer wait belongs into the next cycle
	maxBody     = 128 << 20        // more in one page is not Graph
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
	waited   atomic.Int64
	ahead    atomic.Int64 // how far our clock is ahead of Microsoft's, by the last answer

	mu    sync.Mutex
	until time.Time // before then Graph wants no request
}

// An answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// RoundTrip answers with a sound page or object, or an error: *Error, or that of the request's context.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	at := endpointOf(t.graph, req.URL)
	if req.URL.Scheme != t.graph.Scheme || !strings.EqualFold(req.URL.Host, t.graph.Host) {
		return nil, damaged(at.step, "it leads to another host, %s", req.URL.Host)
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
		case a.status == http.StatusUnauthorized && !renewed:
			t.auth.refused(token)
			continue
		case a.status != http.StatusOK:
			return nil, t.refusal(at, a)
		}
		if err := checkBody(a, at.list, t.graph, req.URL); err != nil {
			return nil, damaged(at.step, "%v", err)
		}
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(a.body)),
			ContentLength: int64(len(a.body)), Request: req,
		}, nil
	}
}

// send repeats a request until it is answered for good: throttling is waited for, trouble of the server and the
// network is met with growing gaps. build makes each attempt anew.
func (t *transport) send(ctx context.Context, at endpoint, build func(context.Context) (*http.Request, error)) (*answer, error) {
	for failed, waits := 0, 0; ; {
		if err := t.pause(ctx, t.held()); err != nil {
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
			wait, told := retryAfter(a.header, time.Now())
			if !told {
				wait = backoff(waits + 1)
			}
			if waits > maxWaits || wait > maxThrottle {
				return nil, t.tooLong(at, a, waits-1, wait)
			}
			t.log.Info("waiting because graph throttles", "step", at.step, "wait", wait)
			t.hold(wait)
		case err != nil || a.status >= 500 && a.status != http.StatusNotImplemented || a.status == http.StatusRequestTimeout:
			if failed++; failed == maxTries {
				return nil, t.outage(at, a, err)
			}
			wait := backoff(failed)
			t.log.Debug("graph request failed", "step", at.step, "wait", wait)
			if err := t.pause(ctx, wait); err != nil {
				return nil, err
			}
		default:
			return a, nil
		}
	}
}

// exchange sends a request once and reads the answer to its end, both within the timeout.
func (t *transport) exchange(req *http.Request) (*answer, error) {
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
	reader := io.Reader(resp.Body)
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		if reader, err = gzip.NewReader(resp.Body); err != nil {
			return nil, fmt.Errorf("the answer cannot be unpacked: %w", err)
		}
	}
	body, err := io.ReadAll(io.LimitReader(reader, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is larger than %d MB", maxBody>>20)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// throttled tells whether Graph asks to come back later.
func throttled(a *answer) bool {
	busy := a.status == http.StatusServiceUnavailable || a.status == http.StatusGatewayTimeout
	return a.status == http.StatusTooManyRequests || busy && a.header.Get("Retry-After") != ""
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
func (t *transport) outage(at endpoint, a *answer, err error) error {
	e := &Error{Step: at.step}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Summary = "no answer in time"
	case err != nil:
		e.Summary = err.Error()
	default:
		e = t.refusal(at, a)
		e.Summary = cmp.Or(e.Summary, "the server is in trouble")
	}
	e.Summary += fmt.Sprintf(", %d times in a row", maxTries)
	e.Remedy = t.remedy(at, e.Status, e.Code)
	return e
}

func (t *transport) tooLong(at endpoint, a *answer, waits int, wait time.Duration) error {
	e := t.refusal(at, a)
	e.Summary = fmt.Sprintf("after %d waits Graph would have to be waited for another %s", waits, wait.Round(time.Second))
	return e
}

// pause waits, unless ctx ends first.
func (t *transport) pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	start := time.Now()
	defer func() { t.waited.Add(int64(time.Since(start))) }()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff is half a second, doubled with each failure, give or take a half.
func backoff(failed int) time.Duration {
	base := 500 * time.Millisecond << (failed - 1)
	return base/2 + rand.N(base)
}
