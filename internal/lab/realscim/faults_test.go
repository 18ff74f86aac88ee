package realscim

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
)

// A fault is something between the client and any server, real or not.
type fault struct {
	next   http.RoundTripper
	writes atomic.Int64
	hits   atomic.Int64
	// refuse answers write number n with 429 when it says so; lose drops the answer to it, after the server has acted.
	refuse, lose func(n int64, r *http.Request) bool
}

func (f *fault) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return f.next.RoundTrip(r)
	}
	n := f.writes.Add(1)
	if f.refuse != nil && f.refuse(n, r) {
		f.hits.Add(1)
		if r.Body != nil {
			if err := r.Body.Close(); err != nil {
				return nil, err
			}
		}
		return &http.Response{
			StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}, Request: r,
			Body: http.NoBody, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	}
	resp, err := f.next.RoundTrip(r)
	if err == nil && f.lose != nil && f.lose(n, r) {
		f.hits.Add(1)
		return nil, errors.Join(errors.New("connection reset by peer"), resp.Body.Close())
	}
	return resp, err
}

func (f *fault) wrap(next http.RoundTripper) http.RoundTripper {
	f.next = next
	return f
}

func on(n int64) func(int64, *http.Request) bool {
	return func(i int64, _ *http.Request) bool { return i == n }
}

func everyNth(n int64) func(int64, *http.Request) bool {
	return func(i int64, _ *http.Request) bool { return i%n == 0 }
}

// firstOf is true for the first write of a method below a path.
func firstOf(method, path string) func(int64, *http.Request) bool {
	var seen atomic.Bool
	return func(_ int64, r *http.Request) bool {
		return r.Method == method && strings.Contains(r.URL.Path, path) && seen.CompareAndSwap(false, true)
	}
}
