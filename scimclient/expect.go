package scimclient

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// A Pace is how fast a client sends at one moment, and how fast it may become.
type Pace struct {
	Rate        float64       // requests a second now, 0 when there is no limit
	Max         float64       // what Rate doubles up to, each second without a 429
	Ready       float64       // requests that may go at once
	Concurrency int           // requests that may be under way side by side
	Latency     time.Duration // of an answer, on average; 0 when none was measured
}

// Pace returns the pace of this moment.
func (c *Client) Pace() Pace {
	p := Pace{Concurrency: c.opts.Concurrency}
	c.mu.Lock()
	if c.answered > 0 {
		p.Latency = c.busy / time.Duration(c.answered)
	}
	c.mu.Unlock()
	if c.pace.max != rate.Inf {
		p.Rate, p.Max, p.Ready = float64(c.pace.limiter.Limit()), float64(c.pace.max), max(0, c.pace.limiter.Tokens())
	}
	return p
}

// Expect is how long n requests are going to take, if no server asks to wait: the slower of what the pacing lets through
// and what answers side by side take.
func (p Pace) Expect(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	answers := time.Duration(math.Ceil(float64(n)/float64(max(1, p.Concurrency)))) * p.Latency
	return max(answers, p.paced(float64(n)-p.Ready)+p.Latency)
}

// paced is how long the pacing takes to let n requests through.
func (p Pace) paced(n float64) time.Duration {
	if n <= 0 || p.Rate <= 0 {
		return 0
	}
	seconds := 0.0
	for now := p.Rate; ; now = min(p.Max, 2*now) {
		if n <= now || now >= p.Max {
			return time.Duration((seconds + n/now) * float64(time.Second))
		}
		n -= now
		seconds++
	}
}
