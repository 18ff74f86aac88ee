package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Readiness is the answer of /readyz. It needs no credentials, so it names neither people nor addresses.
type Readiness struct {
	Ready         bool      `json:"ready"`
	Reason        string    `json:"reason"`           // for people; "ready" when it is
	Role          string    `json:"role"`             // "leader", or "standby" when another replica leads
	Leader        string    `json:"leader,omitempty"` // which replica leads, as the others know it; "single" when there is no other
	Phase         Phase     `json:"phase"`
	Mode          string    `json:"mode"`
	Store         bool      `json:"store"`         // reachable
	Configuration bool      `json:"configuration"` // the one on disk is the one that runs
	Quarantine    bool      `json:"quarantine"`
	LastGood      time.Time `json:"lastGood,omitzero"`
	AgeSeconds    int64     `json:"ageSeconds,omitempty"` // of the last good cycle
	Next          time.Time `json:"next,omitzero"`
	// Pipelines are those of a Fleet, each by itself.
	Pipelines []PipelineReadiness `json:"pipelines,omitempty"`
}

// PipelineReadiness is that of one pipeline of a Fleet.
type PipelineReadiness struct {
	Pipeline string `json:"pipeline"`
	Readiness
}

// Handler answers /healthz (the process turns), /readyz (it does its work), and /metrics where the configuration wants it.
func (d *Daemon) Handler() http.Handler {
	return probes(d.alive, d.Readiness, func() http.Handler {
		if setup := d.current(); setup == nil || !setup.Settings.Metrics {
			return nil
		}
		return d.o.Metrics
	})
}

// probes answers probes with what the functions say; without metrics there are none.
func probes(alive func() bool, readiness func(context.Context) Readiness, metrics func() http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		status, text := http.StatusOK, "ok"
		if !alive() {
			status, text = http.StatusServiceUnavailable, "the daemon's loop stands still"
		}
		answer(w, status, struct {
			Status string `json:"status"`
		}{text})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ready := readiness(r.Context())
		status := http.StatusOK
		if !ready.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, ready)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if m := metrics(); m != nil {
			m.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
	return mux
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked may have gone
}

// Readiness tells whether the daemon does its work, and if not, why. A quarantine and a failed cycle are work as long as
// the last good cycle is recent; the notifications tell of them.
func (d *Daemon) Readiness(ctx context.Context) Readiness {
	s, now := d.State(), d.now()
	r := Readiness{
		Role: "leader", Leader: s.Leader, Phase: s.Phase, Mode: s.Mode, Quarantine: s.Quarantine != nil, LastGood: s.LastGood, Next: s.Next,
		Configuration: s.ReloadError == "",
	}
	standby := s.Phase == PhaseStandby
	if standby {
		r.Role = "standby"
	}
	setup := d.current()
	if setup == nil {
		r.Reason = "starting"
		return r
	}
	r.Store = d.ping.ok(ctx, d.reachable)
	since := s.LastGood
	if !since.IsZero() {
		r.AgeSeconds = int64(now.Sub(since).Seconds())
	}
	if since.Before(s.Started) {
		since = s.Started
	}
	var reasons []string
	if s.Phase == PhaseStarting || s.Phase == PhaseStopping || s.Phase == PhaseStopped {
		reasons = append(reasons, string(s.Phase))
	}
	if !r.Store {
		reasons = append(reasons, "the store does not answer")
	}
	if !r.Configuration {
		reasons = append(reasons, "the configuration on disk cannot be used, an earlier one runs (status says why)")
	}
	switch {
	case standby && s.ElectionError != "":
		reasons = append(reasons, "who leads cannot be told (the log says why)")
	case !standby && setup.Settings.Schedule.stale(since, now):
		reasons = append(reasons, fmt.Sprintf("no good cycle for %s (status says why)", now.Sub(since).Round(time.Minute)))
	}
	r.Ready, r.Reason = len(reasons) == 0, strings.Join(reasons, "; ")
	switch {
	case r.Ready && standby && s.Leader != "":
		r.Reason = "ready to take over from " + s.Leader
	case r.Ready && standby:
		r.Reason = "ready to lead"
	case r.Ready:
		r.Reason = "ready"
	}
	return r
}

// reachable asks the store for something small. While it does, the store is not replaced.
func (d *Daemon) reachable(ctx context.Context) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, err := d.setup.Memory.LastGood(ctx)
	return err == nil
}

// A probe remembers an answer for a moment, so that whoever can reach the listener cannot keep the store busy.
type probe struct {
	mu   sync.Mutex
	at   time.Time
	last bool
}

const (
	probeLife = time.Second
	probeTime = 2 * time.Second
)

func (p *probe) ok(ctx context.Context, ask func(context.Context) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.at) < probeLife {
		return p.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	p.last, p.at = ask(ctx), time.Now()
	return p.last
}

// serveHealth listens where the first configuration says, until stop is called.
func serveHealth(listen string, handler http.Handler, log *slog.Logger) (stop func(), err error) {
	if listen == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf(`health.listen: %w (choose another address, or "" for none)`, err)
	}
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 13,
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health is no longer served", "error", err)
		}
	})
	log.Info("health is served", "address", l.Addr().String())
	return func() {
		_ = srv.Close() // nothing that is worth waiting for
		wg.Wait()
	}, nil
}
