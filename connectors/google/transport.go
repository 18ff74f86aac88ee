package google

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
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

// A counter counts the requests sent, those of the library behind the default credentials too.
type counter struct {
	http.RoundTripper
	requests atomic.Int64
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.RoundTripper.RoundTrip(req)
}

// transport is the http.RoundTripper below the SDK. It goes beyond what one should do, on purpose: it retries, which
// the SDK does not, and it returns an error for every answer that is not a sound 200. What it passes up is complete, so
// the SDK never sees what it would take for nobody: null, a 204, a page without its list, a person without a status.
type transport struct {
	base    *counter
	auth    *signIn
	timeout time.Duration
	pacer   *rate.Limiter
	log     *slog.Logger
	pauses  wire.Pauses

	mu    sync.Mutex
	until time.Time // the quota is used up until then
}

// RoundTrip answers with a sound page or object, or an error: *connectors.Error, or that of the request's context.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, at := req.Context(), endpointOf(req.URL)
	for renewed := false; ; renewed = true {
		token, err := t.auth.token(ctx, t.send)
		if err != nil {
			return nil, err
		}
		if err := t.pauses.Wait(ctx, t.pacer.Reserve().Delay()); err != nil {
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
		case a.Status == http.StatusUnauthorized && !renewed:
			t.auth.drop(token)
			continue
		case a.Status != http.StatusOK:
			return nil, refusal(at, a, t.auth)
		}
		if err := at.check(a); err != nil {
			return nil, err
		}
		return wire.OK(req, a.Header, a.Body), nil
	}
}

// send repeats a request until it is answered for good: quotas are waited for, trouble of the server and the network
// is met with growing gaps. build makes each attempt anew.
func (t *transport) send(ctx context.Context, step string, build func() (*http.Request, error)) (*wire.Answer, error) {
	for failed, limited := 0, 0; ; {
		if err := t.pauses.Wait(ctx, t.held()); err != nil {
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
				return nil, outage(step, a, err)
			}
			wait := wire.Backoff(500*time.Millisecond, failed)
			t.log.Debug("google request failed", "step", step, "wait", wait)
			if err := t.pauses.Wait(ctx, wait); err != nil {
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
func (t *transport) exchange(req *http.Request) (*wire.Answer, error) {
	ctx, cancel := context.WithTimeout(req.Context(), t.timeout)
	defer cancel()
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return wire.Read(resp, maxBody)
}

// outage is the error after the last try.
func outage(step string, a *wire.Answer, err error) error {
	e := &connectors.Error{Directory: vendor, Step: step, Remedy: "check the network and the endpoint, then google.com/appsstatus; run again"}
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
	return e
}

func exhausted(step string, a *wire.Answer, waits int, wait time.Duration) error {
	said := parseRefusal(a.Body)
	return &connectors.Error{Directory: vendor, Status: a.Status, Code: said.code(), Step: step,
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

// quotaWait is what Google asks for in Retry-After, which it mostly does not, else a second, doubled each time.
func quotaWait(a *wire.Answer, nth int) time.Duration {
	after := a.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(after); err == nil && time.Until(at) > 0 {
		return time.Until(at)
	}
	return min(wire.Backoff(time.Second, nth), maxQuotaWait)
}
