package leader

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAWindowIsShutByEitherClock(t *testing.T) {
	const trust = 40 * time.Second
	tests := map[string]struct {
		steady, wall time.Duration // how far each clock went
		open         bool
	}{
		"at once":                        {open: true},
		"just before its end":            {steady: trust - 1, wall: trust - 1, open: true},
		"at its end":                     {steady: trust, wall: trust},
		"after a pause":                  {steady: time.Hour, wall: time.Hour},
		"after a suspension":             {steady: time.Second, wall: time.Hour},
		"the wall clock is set back":     {steady: time.Second, wall: -time.Hour, open: true},
		"set back, and its time is over": {steady: trust, wall: -time.Hour},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			now := moment{wall: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
			start := now
			w := newWindow(func() moment { return now })
			w.extend(now.add(trust))
			now = moment{start.steady + tc.steady, start.wall.Add(tc.wall)}
			if err := w.allow(); (err == nil) != tc.open {
				t.Errorf("allow = %v, want open %t", err, tc.open)
			}
			if tc.open {
				return
			}
			select {
			case <-w.lost:
			default:
				t.Error("a window that was found closed is not lost")
			}
			now = start
			w.extend(now.add(trust))
			if w.allow() == nil {
				t.Error("a window that was found closed opened again")
			}
		})
	}
}
