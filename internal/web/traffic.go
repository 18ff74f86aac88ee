package web

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Transport counts the requests that pass through base.
func (m *Metrics) Transport(side Side, base http.RoundTripper) http.RoundTripper {
	return &countingTransport{m, side, base}
}

type countingTransport struct {
	m    *Metrics
	side Side
	base http.RoundTripper
}

// RoundTrip sends r and counts what came of it.
func (t *countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	start := time.Now()
	t.m.waited.WithLabelValues(string(t.side)).Add(t.m.pauses[t.side].end(start).Seconds())
	answer, err := t.base.RoundTrip(r)
	method, status := methodLabel(r.Method), "error"
	if err == nil {
		status = statusLabel(answer.StatusCode)
	}
	t.m.count(t.side, method, status, start)
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		t.m.waits.WithLabelValues(string(t.side)).Inc()
		t.m.pauses[t.side].begin(time.Now(), answer.Header)
	}
	return answer, err
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (t *countingTransport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Operation counts a request of a protocol other than HTTP when it has ended. Operation and result are words of that
// protocol.
func (m *Metrics) Operation(side Side, operation string) (ended func(result string)) {
	start := time.Now()
	return func(result string) { m.count(side, operation, result, start) }
}

func (m *Metrics) count(side Side, method, status string, start time.Time) {
	m.requests.WithLabelValues(string(side), method, status).Inc()
	m.requestTime.WithLabelValues(string(side), method).Observe(time.Since(start).Seconds())
}

// A pause is the time in which nothing is sent to a side after it answered 429. It ends with the next request. That may be
// one of another cycle, so no more is counted than the answer asked for.
type pause struct {
	mu    sync.Mutex
	since time.Time // zero outside of a pause
	most  time.Duration
}

// unasked is the longest pause after an answer that does not say how long it wants to be left alone.
const unasked = time.Minute

func (p *pause) begin(now time.Time, h http.Header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.since.IsZero() {
		return
	}
	p.since, p.most = now, unasked
	if s, err := strconv.ParseFloat(h.Get("Retry-After"), 64); err == nil && s > 0 && s < 86400 {
		p.most = time.Duration(s * float64(time.Second))
	} else if at, err := http.ParseTime(h.Get("Retry-After")); err == nil {
		p.most = max(0, at.Sub(now))
	}
}

// end is how long the pause was that a request at now ends.
func (p *pause) end(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() {
		return 0
	}
	took := min(now.Sub(p.since), p.most)
	p.since = time.Time{}
	return max(0, took)
}

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	case "":
		return http.MethodGet
	}
	return "other"
}

// statusLabel keeps a server that makes up numbers from making up series.
func statusLabel(code int) string {
	if http.StatusText(code) == "" {
		return "other"
	}
	return strconv.Itoa(code)
}
