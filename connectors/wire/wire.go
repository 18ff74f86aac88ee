// Package wire is what the directories over HTTP have in common: reading an answer to its end, waiting, seeing that a
// listing ends, and sharing what several questions need. What a vendor's answers mean, and how long each of them has to
// be waited for, stays with its connector.
package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// An Answer is a response read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Read reads a response to its end. One that breaks off or is larger than limit, in bytes, is an error and no Answer.
// The caller closes the body.
func Read(resp *http.Response, limit int64) (*Answer, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("the answer is larger than %d MB", limit>>20)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// OK is a complete response with status 200, for the SDK above a transport.
func OK(req *http.Request, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// Trouble says in words why no answer came.
func Trouble(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return err.Error()
}

// Backoff is the unit, doubled with each time, give or take a half. The first time is 1. The clock's nanoseconds are the
// dice, so that under a clock of a test's own the same waits come again.
func Backoff(unit time.Duration, nth int) time.Duration {
	base := unit << (nth - 1)
	dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	return base/2 + time.Duration(dice.Int64N(int64(base)))
}

// Pauses waits and adds up how long. Its zero value is ready, and several goroutines may use it.
type Pauses struct{ total atomic.Int64 }

// Wait waits, unless ctx ends first.
func (p *Pauses) Wait(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	start := time.Now()
	defer func() { p.total.Add(int64(time.Since(start))) }()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Total is how long all pauses lasted.
func (p *Pauses) Total() time.Duration { return time.Duration(p.total.Load()) }

// Loopback tells whether a host is this machine itself: what goes there may go unencrypted.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Recovered turns a panic of f, which may run on a goroutine of its own, into an error of the directory's that names the
// library that panicked.
func Recovered(directory, library string, f func() error) func() error {
	return func() (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%s: %s panicked, nothing was concluded: %s", directory, library, redact.Panic(p))
			}
		}()
		return f()
	}
}
