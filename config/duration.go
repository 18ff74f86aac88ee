package config

import "time"

// A Duration is a length of time. It is written with its units, such as 25s or 2m30s, because a bare number could mean
// any of them.
type Duration time.Duration

// parseDuration reads "25s", "2m30s" or "36h".
func parseDuration(text string) (Duration, error) {
	const remedy = "write it with units, such as 25s, 10m or 36h"
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, Problem{Text: "is not a length of time", Remedy: remedy}
	case d < 0:
		return 0, Problem{Text: "is below zero", Remedy: remedy}
	}
	return Duration(d), nil
}

// String is the duration with its units: "25s".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText is the duration with its units.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
