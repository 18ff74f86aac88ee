package google

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxTries      = 4                // of a request that met a 5xx or the network's trouble
	maxQuotaWaits = 7                // of one request: together more than the minute in which Google counts
	maxQuotaWait  = 32 * time.Second // of one of them, unless Google names a longer one
	maxRetryAfter = 2 * time.Minute  // a longer one is not sat out
	maxBody       = 64 << 20         // more in one page is not Google

	// Google lets one user send 2,400 queries a minute: these bounds stay just below.
	perSecond = 35
	burst     = 200
)

// transport is the http.RoundTripper below the SDK. It goes beyond what one should do, on purpose: it retries, which
// the SDK does not, and it returns an error for every answer that is not a sound 200. What it passes up is complete, so
// the SDK never sees what it would take for nobody: null, a 204, a page without its list, a person without a status.
type transport struct {
	base     http.RoundTripper
	auth     *signIn
	timeout  time.Duration
	pacer    *rate.Limiter
	log      *slog.Logger
	requests atomic.Int64
	waited   atomic.Int64

	mu    sync.Mutex
	until time.Time // the quota is used up until then
}

// An answer is a response read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// RoundTrip answers with a sound page or object, or an error: *Error, or that of the request's context.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, at := req.Context(), endpointOf(req.URL)
	for renewed := false; ; renewed = true {
		token, err := t.auth.token(ctx, t.send)
		if err != nil {
			return nil, err
		}
		if err := t.pause(ctx, t.pacer.Reserve().Delay()); err != nil {
			return nil, err
		}
		a, err := t.send(ctx, at.step, func() (*http.Request, error) {
			out := req.Clone(ctx)
			out.Header.Set("Authorization", "Bearer "+token)
			return out, nil
		})
		switch {
		case err != nil:
			return nil, err
		case a.status == http.StatusUnauthorized && !renewed:
			t.auth.drop(token)
			continue
		case a.status != http.StatusOK:
			return nil, refusal(at, a, t.auth)
		}
		if err := at.check(a); err != nil {
			return nil, err
		}
		return &http.Response{
			Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: req,
		}, nil
	}
}

// send repeats a request until it is answered for good: quotas are waited for, trouble of the server and the network
// is met with growing gaps. build makes each attempt anew.
func (t *transport) send(ctx context.Context, step string, build func() (*http.Request, error)) (*answer, error) {
	for failed, limited := 0, 0; ; {
		if err := t.pause(ctx, t.held()); err != nil {
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
		case err != nil || a.status >= 500:
			if failed++; failed == maxTries {
				return nil, outage(step, a, err)
			}
			wait := backoff(500*time.Millisecond, failed)
			t.log.Debug("google request failed", "step", step, "wait", wait)
			if err := t.pause(ctx, wait); err != nil {
				return nil, err
			}
		case overQuota(a):
			limited++
			wait := quotaWait(a, limited)
			if limited > maxQuotaWaits || wait > maxRetryAfter {
				return nil, exhausted(step, a, limited-1, wait)
			}
			t.hold(wait)
			t.log.Info("waiting for google's quota", "step", step, "wait", wait)
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
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is larger than %d MB", maxBody>>20)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// outage is the error after the last try.
func outage(step string, a *answer, err error) error {
	e := &Error{Step: step, Remedy: "check the network and the endpoint, then google.com/appsstatus; run again"}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Summary = "no answer in time"
	case err != nil:
		e.Summary = err.Error()
	default:
		e.Status, e.Summary = a.status, "the server is in trouble"
	}
	e.Summary += fmt.Sprintf(", %d times in a row", maxTries)
	return e
}

func exhausted(step string, a *answer, waits int, wait time.Duration) error {
	said := parseRefusal(a.body)
	return &Error{Status: a.status, Code: said.code(), Step: step,
		Summary: fmt.Sprintf("after %d waits the quota would have to be waited for another %s", waits, wait.Round(time.Second)),
		Remedy: "see which other tools use the same project and administrator under APIs & Services > Admin SDK API > Quotas in the " +
			"Google Cloud console; raise the quota or run less often"}
}

// held is how long the quota has to be waited for.
func (t *transport) held() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Until(t.until)
}

// hold holds back all requests: the quota is one for all of them.
func (t *transport) hold(wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until := time.Now().Add(wait); until.After(t.until) {
		t.until = until
	}
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

// quotaWait is what Google asks for in Retry-After, which it mostly does not, else a second, doubled each time.
func quotaWait(a *answer, nth int) time.Duration {
	after := a.header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(after); err == nil && time.Until(at) > 0 {
		return time.Until(at)
	}
	return min(backoff(time.Second, nth), maxQuotaWait)
}

// backoff is the unit, doubled with each time, give or take a half.
func backoff(unit time.Duration, nth int) time.Duration {
	base := unit << (nth - 1)
	return base/2 + rand.N(base)
}
