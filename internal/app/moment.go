package app

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// A moment is a point in time as a flag takes it: a date, an instant, or how long ago.
type moment struct {
	text string
	at   time.Time
	ago  time.Duration
}

func (m *moment) String() string { return m.text }

// Type names the flag's value in help texts.
func (m *moment) Type() string { return "time" }

// Set reads "2026-05-04", which begins at midnight UTC, "2026-05-04T09:00:00Z", "36h" or "7d".
func (m *moment) Set(text string) error {
	*m = moment{text: text}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			m.at = at
			return nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			m.ago = time.Duration(n) * 24 * time.Hour
			return nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return errors.New("write a date such as 2026-05-04, a time such as 2026-05-04T09:00:00Z, or how long ago, such as 36h or 7d")
	}
	m.ago = ago
	return nil
}

// before is the point in time as seen from now, the zero time when none was given.
func (m *moment) before(now time.Time) time.Time {
	if m.text == "" || !m.at.IsZero() {
		return m.at
	}
	return now.Add(-m.ago)
}
