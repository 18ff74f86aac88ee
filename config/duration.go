package config

import (
	"strconv"
	"strings"
	"time"
)

// A Duration is a length of time. It is written with its units, such as 25s or 2m30s, because a bare number could mean
// any of them.
type Duration time.Duration

const oneDay = 24 * time.Hour

// parseDuration reads "25s", "2m30s", "36h" or, of 24 hours each, "30d".
func parseDuration(text string) (Duration, error) {
	const remedy = "write it with units, such as 25s, 10m, 36h or 30d"
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, nerr := strconv.ParseUint(days, 10, 15)
		d, err = time.Duration(n)*oneDay, nerr
	}
	switch {
	case err != nil:
		return 0, Problem{Text: "is not a length of time", Remedy: remedy}
	case d < 0:
		return 0, Problem{Text: "is below zero", Remedy: remedy}
	}
	return Duration(d), nil
}

// String is the duration with its units: "25s", "30d".
func (d Duration) String() string {
	if days := time.Duration(d) / oneDay; days > 0 && time.Duration(d)%oneDay == 0 {
		return strconv.Itoa(int(days)) + "d"
	}
	return time.Duration(d).String()
}

// MarshalText is the duration with its units.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Std is the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }
