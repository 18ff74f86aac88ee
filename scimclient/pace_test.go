package scimclient

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfterInAllItsForms(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", " 1.5 ", 1500 * time.Millisecond},
		{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{"Retry-After", now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{"Retry-After", "-3", 0},
		{"Retry-After", "NaN", 0},
		{"Retry-After", "1e300", 24 * time.Hour},
		{"Retry-After", "soon", 0},
		{"RateLimit-Reset", "30", 30 * time.Second},
		{"RateLimit-Reset", strconv.FormatInt(now.Unix()+45, 10), 45 * time.Second},
		{"RateLimit-Reset", "x", 0},
	} {
		h := http.Header{}
		h.Set(tc.name, tc.value)
		if got := retryAfter(h, now); got != tc.want {
			t.Errorf("%s: %s gives %s, want %s", tc.name, tc.value, got, tc.want)
		}
	}
}

func tooManyRequests(after string) reply {
	return reply{status: 429, body: html, header: map[string]string{"Retry-After": after}}
}

func TestA429PausesTheWholeClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newTestClient(t, func(n int, _ call) reply {
			if n == 0 {
				return tooManyRequests("30")
			}
			return ok(userJSON("1", ""))
		}, func(o *Options) { o.MaxRate = 25 })
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.User(t.Context(), "1"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if _, err := c.User(t.Context(), "1"); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for i, call := range f.calls[1:] {
			if wait := call.at.Sub(start); wait < 30*time.Second || wait > 31*time.Second {
				t.Errorf("request %d went after %s", i+2, wait)
			}
		}
		if got := c.Stats(); got.Waited != 30*time.Second || got.Requests[RequestKind{"GET", 429}] != 1 || len(f.calls) != 3 {
			t.Errorf("stats %+v after %v", got, f.sent())
		}
	})
}

func TestWritesAreSentAgainAfter429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newTestClient(t, inOrder(t,
			step{"POST /Users", tooManyRequests("2")}, step{"POST /Users", reply{status: 429}}, step{"POST /Users", reply{status: 201, body: userJSON("1", "")}},
		))
		if _, err := c.CreateUser(t.Context(), User{UserName: "1@acme.com", Active: true}); err != nil {
			t.Fatal(err)
		}
		if wait := f.calls[2].at.Sub(f.calls[0].at); wait != 4*time.Second {
			t.Errorf("waited %s in all", wait)
		}
	})
}

func TestWaitsAreCappedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newTestClient(t, func(int, call) reply { return tooManyRequests("86400") },
			func(o *Options) { o.MaxWait, o.WaitBudget = time.Minute, 3*time.Minute })
		start := time.Now()
		_, err := c.User(t.Context(), "1")
		if kind(err) != "429" || !strings.Contains(err.Error(), "max_rate") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != 3*time.Minute || len(f.calls) != 4 {
			t.Errorf("%d requests in %s", len(f.calls), took)
		}
	})
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := newTestClient(t, func(int, call) reply { return tooManyRequests("60") })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.UpdateUser(ctx, "1", UserEdit{Active: ptr(true)}); !errors.Is(err, context.DeadlineExceeded) || len(f.calls) != 1 {
			t.Errorf("error %v after %v", err, f.sent())
		}
	})
}

func TestPacingStartsSlowlyAndYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := false
		c, f := newTestClient(t, func(int, call) reply {
			if limited {
				limited = false
				return tooManyRequests("10")
			}
			return ok(userJSON("1", ""))
		}, func(o *Options) { o.MaxRate = 25 })
		read := func(n int) {
			for range n {
				if _, err := c.User(t.Context(), "1"); err != nil {
					t.Fatal(err)
				}
			}
		}
		start := time.Now()
		read(burst)
		if took := time.Since(start); took != 0 {
			t.Errorf("a small cycle takes %s", took)
		}
		read(5)
		if took := time.Since(start); took < 900*time.Millisecond {
			t.Errorf("5 requests after the burst take %s", took)
		}
		read(200)
		last := f.calls[len(f.calls)-25:]
		if second := last[24].at.Sub(last[0].at); second < 950*time.Millisecond || second > 1050*time.Millisecond {
			t.Errorf("25 requests at full rate take %s", second)
		}
		limited = true
		read(1)
		if got := float64(c.pace.limiter.Limit()); got != 12.5 {
			t.Errorf("after a 429 the rate is %v", got)
		}
	})
}

func TestRateZeroLiftsTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestClient(t, func(int, call) reply { return ok(userJSON("1", "")) })
		start := time.Now()
		for range 500 {
			if _, err := c.User(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("500 requests take %s", took)
		}
	})
}

func TestReadsAreRepeatedAFewTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		reply
		requests int
	}{
		"500":     {reply{status: 500, body: html}, maxTries},
		"network": {reply{lose: true}, maxTries},
		"408":     {reply{status: 408}, maxTries},
		"501":     {reply{status: 501}, 1},
		"400":     {refuse(400, ""), 1},
		"401":     {refuse(401, ""), 1},
		"403":     {refuse(403, ""), 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, func(int, call) reply { return tc.reply })
				start := time.Now()
				if _, err := c.User(t.Context(), "1"); err == nil {
					t.Error("no error")
				}
				if len(f.calls) != tc.requests || time.Since(start) > 10*time.Second {
					t.Errorf("%d requests in %s", len(f.calls), time.Since(start))
				}
			})
		})
	}
}

// hanging never answers before the request's context ends.
type hanging struct{}

func (hanging) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestTimeoutsAreOursAndNotTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestClient(t, nil, func(o *Options) { o.Transport = hanging{}; o.Timeout = time.Second })
		_, err := c.User(t.Context(), "1")
		if err == nil || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nothing within 1s") {
			t.Errorf("error %v", err)
		}
	})
}
