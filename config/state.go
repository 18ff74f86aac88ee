package config

import (
	"strconv"
	"strings"
	"time"
)

// Shared tells whether the ledger is in a database that several machines can reach, rather than in a file.
func (s State) Shared() bool { return !s.DSN.IsZero() || s.DSNFile != "" }

const (
	day         = 24 * time.Hour
	keepDefault = 90 * day
	keepLeast   = 7 * day // a week-end and the days around it
)

// Retention is how long the history is kept.
func (s State) Retention() time.Duration {
	if keep, ok := parseDays(s.Keep); ok {
		return keep
	}
	return keepDefault
}

// parseDays reads "90d".
func parseDays(text string) (time.Duration, bool) {
	digits, ok := strings.CutSuffix(text, "d")
	days, err := strconv.ParseUint(digits, 10, 16)
	return time.Duration(days) * day, ok && err == nil
}

func (l *loader) keep(s State) {
	keep, ok := parseDays(s.Keep)
	switch {
	case s.None:
	case !ok:
		l.problem("state.keep", "is not a number of days", "write it as 90d")
	case keep < keepLeast:
		l.problem("state.keep", "is too short: undo and the search for what went wrong need the last days", "write 7d or more")
	}
}
