package web

import (
	"net"
	"net/http"
	"sync"

	"golang.org/x/time/rate"
)

// limits slow down whoever tries again and again to sign in or to guess a token: by address, and all together.
type limits struct {
	mu  sync.Mutex
	all *rate.Limiter
	by  map[string]*rate.Limiter
}

const (
	attemptsPerSecond = rate.Limit(0.5)
	attemptsAtOnce    = 10
	maxAddresses      = 1024
)

// attempt tells whether one more may be made.
func (l *limits) attempt(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil || len(l.by) >= maxAddresses {
		l.by = map[string]*rate.Limiter{}
	}
	if l.all == nil {
		l.all = rate.NewLimiter(20*attemptsPerSecond, 20*attemptsAtOnce)
	}
	if l.by[host] == nil {
		l.by[host] = rate.NewLimiter(attemptsPerSecond, attemptsAtOnce)
	}
	return l.by[host].Allow() && l.all.Allow()
}
