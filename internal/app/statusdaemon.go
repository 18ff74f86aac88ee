package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
)

// recallDaemon is what the daemon last said of itself, nil when none ever ran.
func recallDaemon(ctx context.Context, m daemon.Memory) (*daemon.State, error) {
	data, err := m.Recall(ctx, daemon.StateKey)
	if err != nil || data == nil {
		return nil, err
	}
	s, err := daemon.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("read what the daemon left: %w", err)
	}
	return &s, nil
}

// overdue is how long after its time a cycle may begin before status doubts that the daemon lives.
const overdue = time.Minute

func daemonSection(s daemon.State, now time.Time) pageSection {
	out := pageSection{title: "Daemon"}
	say := func(format string, args ...any) { out.lines = append(out.lines, fmt.Sprintf(format, args...)) }
	switch {
	case s.Phase == daemon.PhaseStopped:
		say("stopped %s (mode %s)", stamp(s.Updated), s.Mode)
	case now.After(s.Next.Add(overdue)):
		say("mode %s; a cycle was due %s: one runs, or the daemon (pid %d on %s) was killed", s.Mode, stamp(s.Next), s.PID, s.Host)
	default:
		say("mode %s, next cycle %s (pid %d on %s, since %s)", s.Mode, stamp(s.Next), s.PID, s.Host, stamp(s.Started))
	}
	if s.Leader != "" && s.Leader != "single" {
		say("%s led, of several replicas", s.Leader)
	}
	if !s.LastGood.IsZero() {
		say("last good cycle %s", stamp(s.LastGood))
	}
	if s.ReloadError != "" {
		say("the configuration on disk cannot be used, an earlier one runs: %s", s.ReloadError)
	}
	if len(s.RestartNeeded) > 0 {
		say("restart needed for what was changed: %s", strings.Join(s.RestartNeeded, ", "))
	}
	return out
}
