package app

import (
	"testing"
	"time"
)

func TestAMomentIsADateAnInstantOrHowLongAgo(t *testing.T) {
	now := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-05-01":                time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		"2026-05-01T10:00:00+02:00": time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC),
		"36h":                       now.Add(-36 * time.Hour),
		"7d":                        now.AddDate(0, 0, -7),
	} {
		var m moment
		if err := m.Set(text); err != nil || !m.before(now).Equal(want) {
			t.Errorf("%s: %v, %v, want %v", text, m.before(now), err, want)
		}
	}
	for _, text := range []string{"", "yesterday", "7", "-3h", "d", "1.5d", "2026-13-01"} {
		if err := new(moment).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if !new(moment).before(now).IsZero() {
		t.Error("a moment that was not given is one")
	}
}
