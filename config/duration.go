package config

import (
	"strconv"
	"strings"
	"time"
)

// A Duration is a length of time. It is written with its units, such as 25s, 2m30s or 7d, because a bare number could mean
// any of them. A day is 24 hours.
type Duration time.Duration

const day = Duration(24 * time.Hour)

// parseDuration reads "25s", "2m30s", "36h", "7d" or "1d12h".
func parseDuration(text string) (Duration, error) {
	const remedy = "write it with units, such as 25s, 10m or 36h"
	days := 0
	if number, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 12)
		if err != nil {
			return 0, Problem{Text: "is not a length of time", Remedy: remedy}
		}
		if days, text = int(n), rest; rest == "" {
			text = "0"
		}
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, Problem{Text: "is not a length of time", Remedy: remedy}
	case d < 0:
		return 0, Problem{Text: "is below zero", Remedy: remedy}
	}
	return Duration(d) + Duration(days)*day, nil
}

// String is the duration with its units: "25s".
func (d Duration) String() string {
	if d >= 7*day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText is the duration with its units.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }
