package okta

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

const (
	maxLimitWaits = 3               // for one request
	maxLimitWait  = 2 * time.Minute // Okta's windows are a minute long; a longer one cannot be sat out
)

// limits holds back the requests of a bucket whose rate limit is used up, or nearly so.
type limits struct {
	floor float64
	mu    sync.Mutex
	until map[string]time.Time
}

// pause returns how long the next request of a bucket has to wait.
func (l *limits) pause(bucket string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.until[bucket])
}

func (l *limits) hold(bucket string, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(wait); until.After(l.until[bucket]) {
		l.until[bucket] = until
	}
}

// note reads the limits from a good answer, holds the bucket until its reset when less than the floor remains, and
// returns for how long.
func (l *limits) note(bucket string, h http.Header) time.Duration {
	limit, err := strconv.Atoi(h.Get("X-Rate-Limit-Limit"))
	remaining, err2 := strconv.Atoi(h.Get("X-Rate-Limit-Remaining"))
	reset, known := untilReset(h)
	if err != nil || err2 != nil || !known || float64(remaining) >= l.floor*float64(limit) {
		return 0
	}
	wait := min(reset, maxLimitWait)
	l.hold(bucket, wait)
	return wait
}

// refused holds a bucket after the nth 429 of a request. It is false when waiting is of no use.
func (l *limits) refused(bucket string, h http.Header, nth int) (wait time.Duration, ok bool) {
	wait, known := untilReset(h)
	if !known || h.Get("X-Rate-Limit-Limit") == "0" {
		// A limit of 0 means too many requests at once, which passes in moments; the reset says nothing about it.
		wait = wire.Backoff(firstWait, nth)
	}
	if nth > maxLimitWaits || wait > maxLimitWait {
		return wait, false
	}
	l.hold(bucket, wait)
	return wait, true
}

// untilReset is the time from the answer's Date to the reset, both by Okta's clock, so that ours may be wrong.
func untilReset(h http.Header) (time.Duration, bool) {
	reset, err := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	// Both are whole seconds, rounded down.
	return max(time.Unix(reset, 0).Sub(now), 0) + time.Second, true
}
