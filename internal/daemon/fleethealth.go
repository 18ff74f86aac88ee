package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Readiness is that of all pipelines together: ready when each of them is. Its reason names those that are not.
func (f *Fleet) Readiness(ctx context.Context) Readiness {
	f.mu.Lock()
	problem, unlisted := f.problem, f.unlisted
	f.mu.Unlock()
	all := Readiness{Role: "standby", Store: true, Configuration: problem == "" && unlisted == ""}
	var reasons []string
	if problem != "" {
		reasons = append(reasons, "the configuration of the process cannot be used, an earlier one runs (the log says why)")
	}
	if unlisted != "" {
		reasons = append(reasons, "the pipelines cannot be listed (the log says why)")
	}
	led := 0
	for _, m := range f.Members() {
		r := m.readiness(ctx)
		all.Pipelines = append(all.Pipelines, PipelineReadiness{m.name, r})
		if !r.Ready {
			reasons = append(reasons, m.name+": "+r.Reason)
		}
		if r.Role == "leader" && r.Phase != PhaseStopped && r.Phase != PhaseStarting {
			led++
			all.Role = "leader"
		}
		all.Store, all.Configuration, all.Quarantine = all.Store && r.Store, all.Configuration && r.Configuration, all.Quarantine || r.Quarantine
		if r.AgeSeconds > all.AgeSeconds { // the worst of them counts
			all.AgeSeconds, all.LastGood = r.AgeSeconds, r.LastGood
		}
		if !r.Next.IsZero() && (all.Next.IsZero() || r.Next.Before(all.Next)) {
			all.Next = r.Next
		}
	}
	if f.stopping.Load() {
		reasons = append(reasons, string(PhaseStopping))
	}
	if len(all.Pipelines) == 0 {
		reasons = append(reasons, "there is no pipeline")
	}
	all.Ready, all.Reason = len(reasons) == 0, strings.Join(reasons, "; ")
	if all.Ready {
		all.Reason = fmt.Sprintf("ready: %d pipelines, %d of them led here", len(all.Pipelines), led)
	}
	return all
}

// readiness is the Daemon's, or why none runs.
func (m *Member) readiness(ctx context.Context) Readiness {
	d := m.daemon.Load()
	if d != nil && d.current() != nil {
		return d.Readiness(ctx)
	}
	s := m.State()
	r := Readiness{Role: "standby", Phase: s.Phase, LastGood: s.LastGood, Reason: string(PhaseStarting)}
	if !s.LastGood.IsZero() {
		r.AgeSeconds = int64(time.Since(s.LastGood).Seconds())
	}
	if s.ReloadError != "" {
		r.Reason = "it does not run (status and the log say why)"
	}
	return r
}
