package web

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

const metricPrefix = "rootly_idp_sync_"

// A Side is whom a request is sent to.
type Side string

// The sides.
const (
	SideDirectory Side = "directory"
	SideTarget    Side = "target" // Rootly's SCIM endpoint
	SideRootly    Side = "rootly" // Rootly's REST API
)

// Build says which binary runs.
type Build struct {
	Version, Commit, Go string
}

// Metrics count what cycles and requests come to, for Prometheus. Its names are a promise, docs/metrics.md lists them. The
// values of a label are words of the code, never names of people or groups.
type Metrics struct {
	registry *prometheus.Registry
	register prometheus.Registerer // adds the pipeline to each series, where there are several

	cycles        *prometheus.CounterVec
	cycleDuration *prometheus.HistogramVec
	changes       *prometheus.CounterVec
	requests      *prometheus.CounterVec
	requestTime   *prometheus.HistogramVec
	waits         *prometheus.CounterVec
	waited        *prometheus.CounterVec
	pauses        map[Side]*pause
}

// newMetrics returns Metrics on a registry of their own. Each series has the name of the pipeline as a label, unless it is "".
func newMetrics(pipeline string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		pauses:   map[Side]*pause{SideDirectory: {}, SideTarget: {}, SideRootly: {}},
		cycles:   counter("cycles_total", "Cycles that ended, by result: good, observed, held, partial, failed, interrupted, skipped.", "result"),
		cycleDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "cycle_duration_seconds", Help: "How long cycles took, by result.", Buckets: []float64{1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 2400},
		}, []string{"result"}),
		changes:  counter("changes_total", "Changes that cycles came to, by verb, kind, reason and outcome.", "verb", "kind", "reason", "outcome"),
		requests: counter("requests_total", "Requests sent, by side, method and status; the status is error when no answer came. Of LDAP the method is the operation and the status its result.", "side", "method", "status"),
		requestTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "request_duration_seconds", Help: "How long answers took to begin, by side and method.", Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"side", "method"}),
		waits:  counter("throttled_total", "Answers 429 Too Many Requests, by side.", "side"),
		waited: counter("throttled_seconds_total", "Seconds in which nothing was sent to a side because of an answer 429, by side.", "side"),
	}
	if m.register = m.registry; pipeline != "" {
		m.register = prometheus.WrapRegistererWith(prometheus.Labels{"pipeline": pipeline}, m.registry)
	}
	m.register.MustRegister(m.cycles, m.cycleDuration, m.changes, m.requests, m.requestTime, m.waits, m.waited)
	for _, r := range []daemon.Result{
		daemon.ResultGood, daemon.ResultObserved, daemon.ResultHeld, daemon.ResultPartial, daemon.ResultFailed, daemon.ResultInterrupted, daemon.ResultSkipped,
	} {
		m.cycles.WithLabelValues(string(r)) // a rate needs the zero before the first
	}
	return m
}

// process adds the metrics of the process: the Go runtime's and which binary it is.
func (m *Metrics) process(b Build) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: metricPrefix + "build_info", Help: "1, with the version of the binary as labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": b.Go},
	})
	info.Set(1)
	m.registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Handler answers with the metrics.
func (m *Metrics) Handler() http.Handler { return answerWith(m.registry) }

func answerWith(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// ended counts a cycle that ended.
func (m *Metrics) ended(e daemon.Ended) {
	m.cycles.WithLabelValues(string(e.Result)).Inc()
	m.cycleDuration.WithLabelValues(string(e.Result)).Observe(e.Took.Seconds())
	for _, r := range e.Report.Results {
		c := r.Change
		m.changes.WithLabelValues(string(c.Verb), string(c.Object.Kind), string(c.Why), string(r.Outcome)).Inc()
	}
}

// A gauge is one of those that are read when somebody asks.
type gauge struct {
	name, help string
	labels     []string
}

// The gauges, in the order of the documentation.
var (
	gaugeGoodAge    = gauge{"last_good_cycle_age_seconds", "Seconds since the last good cycle ended; since the daemon started when there was none.", nil}
	gaugeGood       = gauge{"last_good_cycle_timestamp_seconds", "When the last good cycle ended, in Unix time; missing when there was none.", nil}
	gaugeNext       = gauge{"next_cycle_timestamp_seconds", "When the next cycle begins, in Unix time.", nil}
	gaugeRunning    = gauge{"cycle_running", "1 while a cycle runs.", nil}
	gaugeQuarantine = gauge{"quarantine", "1 while the daemon is in quarantine: cycles keep failing and are rare.", nil}
	gaugeLeader     = gauge{"leader", "1 when this replica runs the cycles, 0 when it stands by.", nil}
	gaugeReload     = gauge{"config_last_reload_successful", "1 when the configuration on disk is the one that runs, 0 when it cannot be used.", nil}
	gaugeMode       = gauge{"mode", "1 for the mode that runs: apply writes, observe does not.", []string{"mode"}}
	gaugePlanned    = gauge{"planned_changes", "Changes of the last plan that nothing held back, by verb and kind.", []string{"verb", "kind"}}
	gaugeHeld       = gauge{"held_changes", "Changes of the last plan that wait, by the axis of the set they wait in; none for those that no approval releases.", []string{"axis"}}
	gaugeHeldSets   = gauge{"held_sets", "Sets of changes that wait for an approval.", nil}
	gaugeDrift      = gauge{"drift_changes", "Changes of the last plan that set back what somebody edited in Rootly.", nil}
	gaugeContested  = gauge{"contested_values", "Values that another writer keeps turning back, three cycles in a row or more.", nil}
	gaugeManaged    = gauge{"managed", "Objects in Rootly that this sync owns, as the last plan saw them, by kind.", []string{"kind"}}
	gaugeUnowned    = gauge{"unowned", "Objects in Rootly that nobody here owns (of people, the active ones), as the last plan saw them, by kind.", []string{"kind"}}
	gaugeInScope    = gauge{"in_scope", "People of the directory who belong in Rootly, as the last plan saw them.", nil}
	gaugeEscrow     = gauge{"escrow_objects", "Objects whose change failed and is tried again later.", nil}
	gaugeStore      = gauge{"store_up", "1 when the store answered this scrape.", nil}

	gauges = []gauge{
		gaugeGoodAge, gaugeGood, gaugeNext, gaugeRunning, gaugeQuarantine, gaugeLeader, gaugeReload, gaugeMode, gaugePlanned, gaugeHeld, gaugeHeldSets,
		gaugeDrift, gaugeContested, gaugeManaged, gaugeUnowned, gaugeInScope, gaugeEscrow, gaugeStore,
	}
)

func (g gauge) desc() *prometheus.Desc {
	return prometheus.NewDesc(metricPrefix+g.name, g.help, g.labels, nil)
}

// A gaugeCollector reads the gauges of a site when somebody asks.
type gaugeCollector struct{ s *Site }

// Describe names the gauges.
func (c gaugeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, g := range gauges {
		ch <- g.desc()
	}
}

// scrapeTime is how long the store may take to answer a scrape.
const scrapeTime = 2 * time.Second

// Collect reads them.
func (c gaugeCollector) Collect(ch chan<- prometheus.Metric) {
	set := func(g gauge, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(g.desc(), prometheus.GaugeValue, v, labels...)
	}
	c.ofState(c.s.daemon.State(), set)
	if p := c.s.latest(); p != nil {
		ofPlan(p.Plan, set)
		set(gaugeContested, float64(p.Contested))
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	var waiting []reconcile.Waiting
	var sets []store.HeldRecord
	err := c.s.live.Use(func(p Pipeline) (err error) {
		if waiting, err = p.Records.Escrow(ctx); err == nil {
			sets, err = p.Records.HeldSets(ctx)
		}
		return err
	})
	set(gaugeStore, oneIf(err == nil))
	if err != nil {
		return
	}
	set(gaugeEscrow, float64(len(waiting)))
	open := 0
	for _, s := range sets {
		if s.State == store.HeldWaiting || s.State == store.HeldLapsed {
			open++
		}
	}
	set(gaugeHeldSets, float64(open))
}

func (c gaugeCollector) ofState(s daemon.State, set func(g gauge, v float64, labels ...string)) {
	since := s.LastGood
	if since.IsZero() {
		since = s.Started
	} else {
		set(gaugeGood, unix(since))
	}
	if !since.IsZero() {
		set(gaugeGoodAge, max(0, c.s.now().Sub(since).Seconds()))
	}
	if !s.Next.IsZero() {
		set(gaugeNext, unix(s.Next))
	}
	set(gaugeRunning, oneIf(s.Phase == daemon.PhasePlanning || s.Phase == daemon.PhaseApplying))
	set(gaugeQuarantine, oneIf(s.Quarantine != nil))
	set(gaugeLeader, oneIf(s.Phase != daemon.PhaseStandby && s.Phase != daemon.PhaseStopped))
	set(gaugeReload, oneIf(s.ReloadError == ""))
	if s.Mode != "" {
		set(gaugeMode, 1, s.Mode)
	}
}

func ofPlan(p reconcile.Plan, set func(g gauge, v float64, labels ...string)) {
	type verbKind struct {
		verb reconcile.Verb
		kind reconcile.Kind
	}
	planned, held, drift := map[verbKind]int{}, map[reconcile.Axis]int{}, 0
	axis := map[string]reconcile.Axis{}
	for _, s := range p.Sets {
		axis[s.Fingerprint] = s.Axis
	}
	for _, c := range p.Changes {
		planned[verbKind{c.Verb, c.Object.Kind}]++
		if c.Drift() {
			drift++
		}
	}
	for _, c := range p.Held {
		held[axis[c.Set]]++
		if c.Drift() {
			drift++
		}
	}
	for k, n := range planned {
		set(gaugePlanned, float64(n), string(k.verb), string(k.kind))
	}
	for a, n := range held {
		if a == "" {
			a = "none"
		}
		set(gaugeHeld, float64(n), string(a))
	}
	set(gaugeDrift, float64(drift))
	n := p.Counts
	set(gaugeManaged, float64(n.Managed), string(reconcile.KindUser))
	set(gaugeManaged, float64(n.ManagedGroups), string(reconcile.KindGroup))
	set(gaugeUnowned, float64(n.Unmanaged), string(reconcile.KindUser))
	set(gaugeUnowned, float64(n.UnmanagedGroups), string(reconcile.KindGroup))
	set(gaugeInScope, float64(n.InScope))
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
