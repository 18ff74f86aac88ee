package scimclient

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	startRate = 5  // requests a second that a client begins with
	burst     = 10 // requests that go at once, so that a cycle of a few listings is not slowed
	minRate   = 1  // where halving ends
)

// A pacer is the gate that every request of a client passes: a rate that doubles each second of traffic without a 429
// and is halved by one, and a pause that a 429 imposes on everybody.
type pacer struct {
	limiter *rate.Limiter
	max     rate.Limit // rate.Inf when the limit is lifted
	maxWait time.Duration

	mu      sync.Mutex
	changed time.Time // of the rate; zero before the first request
	resume  time.Time
	total   time.Duration
}

func newPacer(maxRate float64, maxWait time.Duration) *pacer {
	if maxRate == 0 {
		return &pacer{limiter: rate.NewLimiter(rate.Inf, 1), max: rate.Inf, maxWait: maxWait}
	}
	tokens := int(min(burst, max(1, math.Ceil(maxRate))))
	return &pacer{
		limiter: rate.NewLimiter(rate.Limit(min(startRate, maxRate)), tokens),
		max:     rate.Limit(maxRate),
		maxWait: maxWait,
	}
}

// wait returns when the next request may go. Its error is the context's.
func (p *pacer) wait(ctx context.Context) error {
	p.speedUp()
	r := p.limiter.Reserve()
	if err := sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	for pause := p.pause(); pause > 0; pause = p.pause() {
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *pacer) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.resume)
}

// speedUp doubles the rate at most once a call, so that idle hours do not count as good seconds.
func (p *pacer) speedUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.changed.IsZero() {
		p.changed = now
	}
	if p.max == rate.Inf || now.Sub(p.changed) < time.Second {
		return
	}
	p.limiter.SetLimit(min(p.max, 2*p.limiter.Limit()))
	p.changed = now
}

// limited takes note of a 429: everybody pauses, and the rate is halved once for all the requests that were refused
// together. It returns the pause that this request has to expect.
func (p *pacer) limited(wanted time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	d := min(wanted, p.maxWait)
	if until := now.Add(d); until.After(p.resume) {
		from := now
		if p.resume.After(now) {
			from = p.resume
		}
		p.total += until.Sub(from)
		if p.max != rate.Inf && !p.resume.After(now) {
			p.limiter.SetLimit(max(min(minRate, p.max), p.limiter.Limit()/2))
		}
		p.resume = until
		p.changed = until
	}
	return p.resume.Sub(now)
}

func (p *pacer) waited() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// retryAfter is the wait that an answer asks for, 0 when it asks for none. Retry-After holds seconds or an HTTP date;
// RateLimit-Reset holds seconds in the IETF's draft and a UTC epoch at Rootly's REST API, told apart by magnitude.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, err := strconv.ParseFloat(v, 64); err == nil {
			return seconds(s)
		}
		if t, err := http.ParseTime(v); err == nil {
			return max(0, t.Sub(now))
		}
	}
	s, err := strconv.ParseFloat(strings.TrimSpace(h.Get("RateLimit-Reset")), 64)
	if err != nil {
		return 0
	}
	if s > 1e9 {
		s -= float64(now.Unix())
	}
	return seconds(s)
}

func seconds(s float64) time.Duration {
	const day = 24 * time.Hour // more is capped anyway and might overflow
	switch {
	case !(s > 0):
		return 0
	case s > day.Seconds():
		return day
	}
	return time.Duration(s * float64(time.Second))
}

// backoff is a wait before try number n+1, drawn from the whole range so that parallel callers do not come back together.
func backoff(n int) time.Duration {
	const first, longest = 500 * time.Millisecond, 8 * time.Second
	dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0)) // which a virtual clock throws the same again
	return time.Duration(dice.Int64N(int64(min(longest, first<<min(n, 10))))) + time.Millisecond
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
