package config

import (
	"cmp"
	"regexp"
	"time"
)

// HA says how one of several replicas is chosen to run the cycles.
type HA struct {
	Mode          HAMode   `json:"mode" enum:"none,kubernetes,postgres" doc:"none: this is the only replica; kubernetes: the holder of a Lease object runs the cycles; postgres: the holder of a lease in the database of state.dsn does. Both need state.dsn."`
	Lease         string   `json:"lease,omitzero" doc:"The name of the lease, the same for all replicas of one sync and different from that of every other. Of a pipeline in a directory its name follows, after a -."`
	Namespace     string   `json:"namespace,omitzero" doc:"For mode kubernetes: the namespace of the Lease; the pod's own by default."`
	Kubeconfig    string   `json:"kubeconfig,omitzero" doc:"For mode kubernetes, outside a cluster: the file that says how to reach one. Its paths are relative to it."`
	LeaseDuration Duration `json:"lease_duration,omitzero" doc:"How long the others wait for a leader that is silent before one of them takes over."`
	RenewDeadline Duration `json:"renew_deadline,omitzero" doc:"For mode kubernetes: how long a leader that cannot renew the Lease may still write."`
	RetryPeriod   Duration `json:"retry_period,omitzero" doc:"How often the leader renews the lease and the others look at it."`
}

// HAMode is what chooses the leader among several replicas.
type HAMode string

// The ways to choose.
const (
	HANone       HAMode = "none"
	HAKubernetes HAMode = "kubernetes"
	HAPostgres   HAMode = "postgres"
)

// haJitter is by how much client-go stretches the retry period at most.
const haJitter = 1.2

const maxObjectName = 63

var (
	objectName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`) // RFC 1123, as Kubernetes names a namespace
	minLease   = Duration(5 * time.Second)
	minRetry   = Duration(200 * time.Millisecond)
)

// ha checks the choice of the leader and the times that hang together.
func (l *loader) ha() {
	h, state := &l.cfg.HA, l.cfg.State
	if h.Mode == HANone {
		l.haUseless("lease", "namespace", "kubeconfig", "lease_duration", "renew_deadline", "retry_period")
		return
	}
	h.complete()
	switch {
	case state.None:
		l.problem("ha.mode", "is "+string(h.Mode)+", which needs a ledger that all replicas share, and state is none", "give state a dsn, or write ha.mode: none and run one replica")
	case !state.Shared():
		l.problem("ha.mode", "is "+string(h.Mode)+", which needs a ledger that all replicas share, and a file is no such one", "give state.dsn a PostgreSQL database, or write ha.mode: none and run one replica")
	}
	base := h.Lease
	if l.cfg.Pipeline != "" {
		h.Lease = base + "-" + l.cfg.Pipeline
	}
	switch {
	case len(base) <= maxObjectName && len(h.Lease) > maxObjectName:
		l.problem("ha.lease", "with the pipeline's name behind it, "+h.Lease+", is longer than the 63 characters of a lease", "write a shorter ha.lease, or give the file a shorter name")
	case !objectName.MatchString(h.Lease):
		l.problem("ha.lease", "is no name of a lease", "write lower-case letters, digits and -, such as rootly-idp-sync")
	}
	if h.Mode == HAPostgres {
		l.haUseless("namespace", "kubeconfig", "renew_deadline")
	} else if h.Namespace != "" && !objectName.MatchString(h.Namespace) {
		l.problem("ha.namespace", "is no name of a namespace", "write lower-case letters, digits and -")
	}
	l.haTimes(h)
}

// complete sets the defaults, which other modes than none have.
func (h *HA) complete() {
	h.Lease = cmp.Or(h.Lease, "rootly-idp-sync")
	h.LeaseDuration = cmp.Or(h.LeaseDuration, Duration(60*time.Second))
	h.RetryPeriod = cmp.Or(h.RetryPeriod, Duration(15*time.Second))
	if h.Mode == HAKubernetes {
		h.RenewDeadline = cmp.Or(h.RenewDeadline, Duration(40*time.Second))
	}
}

// haUseless refuses those of the keys that are given, since the mode does not look at them.
func (l *loader) haUseless(keys ...string) {
	remedy := "remove it, or write ha.mode: kubernetes"
	if l.cfg.HA.Mode == HANone {
		remedy += " or postgres"
	}
	for _, key := range keys {
		if _, given := l.origins["ha."+key]; given {
			l.problem("ha."+key, "has no meaning for ha.mode "+string(l.cfg.HA.Mode), remedy)
		}
	}
}

func (l *loader) haTimes(h *HA) {
	if h.RetryPeriod < minRetry {
		l.problem("ha.retry_period", "is too short", "write 200ms or more; 15s is the default")
	}
	if h.LeaseDuration < minLease {
		l.problem("ha.lease_duration", "is too short to survive a slow answer", "write 5s or more; 60s is the default")
	}
	if h.LeaseDuration%Duration(time.Second) != 0 {
		l.problem("ha.lease_duration", "is no whole number of seconds, which is how a Lease keeps it", "write it as 60s")
	}
	inner, path := h.RenewDeadline, "ha.renew_deadline"
	if h.Mode == HAPostgres {
		inner, path = h.LeaseDuration, "ha.lease_duration"
	} else if h.RenewDeadline >= h.LeaseDuration {
		l.problem("ha.renew_deadline", "is not shorter than ha.lease_duration, so two replicas could write at once", "write about two thirds of it, such as 40s of 60s")
	}
	if float64(inner) <= haJitter*float64(h.RetryPeriod) {
		l.problem(path, "leaves no time for a second try", "write more than 1.2 times ha.retry_period")
	}
}
