package scimclient

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestExpectedDuration(t *testing.T) {
	start := Pace{Rate: 5, Max: 25, Ready: 10, Concurrency: 8, Latency: 100 * time.Millisecond}
	tests := map[string]struct {
		pace Pace
		n    int
		want time.Duration
	}{
		"nothing takes no time":                     {start, 0, 0},
		"what may go at once takes one answer":      {start, 10, 200 * time.Millisecond},
		"the first second has five":                 {start, 15, 1100 * time.Millisecond},
		"then ten, then twenty":                     {start, 10 + 5 + 10 + 20, 3100 * time.Millisecond},
		"then twenty-five in each":                  {start, 10 + 5 + 10 + 20 + 100, 7100 * time.Millisecond},
		"at full rate from the start":               {Pace{Rate: 25, Max: 25, Concurrency: 8}, 100, 4 * time.Second},
		"slowed down by a 429":                      {Pace{Rate: 1, Max: 2, Concurrency: 8}, 5, 3 * time.Second},
		"answers side by side bound it as well":     {Pace{Rate: 25, Max: 25, Concurrency: 1, Latency: time.Second}, 30, 30 * time.Second},
		"without a limit only the answers count":    {Pace{Concurrency: 4, Latency: time.Second}, 9, 3 * time.Second},
		"without a limit and nothing measured":      {Pace{Concurrency: 4}, 9, 0},
		"a concurrency that nobody set counts as 1": {Pace{Latency: time.Second}, 2, 2 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tc.pace.Expect(tc.n); got != tc.want {
				t.Errorf("%d requests take %s, want %s", tc.n, got, tc.want)
			}
		})
	}
}

func TestTheExpectedDurationIsWhatSendingTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := newTestClient(t, func(int, call) reply { return ok(userJSON("1", "")) }, func(o *Options) { o.MaxRate = 25 })
		if _, err := c.User(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		const n = 300
		want := c.Pace().Expect(n)
		start := time.Now()
		for range n {
			if _, err := c.User(t.Context(), "1"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); (took - want).Abs() > time.Second {
			t.Errorf("%d requests took %s, %s were expected", n, took, want)
		}
	})
}
