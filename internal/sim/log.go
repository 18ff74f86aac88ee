package sim

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Side is one of the servers.
type Side string

// The sides.
const (
	SideOkta      Side = "okta"
	SideGraph     Side = "graph"  // with the token endpoint of its tenant
	SideGoogle    Side = "google" // with its token endpoint and IAM
	SideRippling  Side = "rippling"
	SideDirectory Side = "directory" // the SCIM server that is one
	SideSCIM      Side = "scim"
	SideRootly    Side = "rootly" // Rootly's REST API

	SideKeycloak Side = "keycloak" // with the token endpoint of its realm
)

// An Entry is one request as the server saw it.
type Entry struct {
	Seq      int // 1 is the first request of the log
	Start    time.Time
	End      time.Time // zero while the request is in flight
	Side     Side
	Method   string
	Path     string // escaped, as it was sent
	Query    string
	Body     string   // of requests that write
	Status   int      // what the caller was told; 0 in flight and when the connection was cut before the answer
	Faults   []string // the faults that were played on it
	InFlight []int    // the requests that had not been answered when this one came
}

func (e Entry) String() string {
	target := e.Path
	if e.Query != "" {
		target += "?" + e.Query
	}
	return fmt.Sprintf("%d %s %s %s %d", e.Seq, e.Side, e.Method, target, e.Status)
}

// Writes reports whether the request asks for a change: of the methods in use, all but GET.
func (e Entry) Writes() bool { return e.Method != http.MethodGet && e.Side == SideSCIM }

// A Log notes every request to the servers that it wraps. It is safe for concurrent use. A bounded log forgets the
// oldest entries and notes no bodies; its counts still cover every request.
type Log struct {
	mu      sync.Mutex
	limit   int
	seq     int
	entries []*Entry
	flying  map[int]Side
	most    map[Side]int
	counts  map[request]int
	took    map[duty]time.Duration
}

// A duty is what a side answers: questions, or requests that write.
type duty struct {
	side   Side
	writes bool
}

type request struct {
	side         Side
	method, path string
}

// NewLog returns a log of the last limit requests, or of all of them if limit is 0.
func NewLog(limit int) *Log {
	l := &Log{limit: limit}
	l.Reset()
	return l
}

// Reset forgets everything that has been answered and starts counting again.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.flying = nil, map[int]Side{}
	l.most, l.counts, l.took = map[Side]int{}, map[request]int{}, map[duty]time.Duration{}
}

// Entries returns the requests in the order in which they came, those in flight included.
func (l *Log) Entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Entry, len(l.entries))
	for i, e := range l.entries {
		out[i] = *e
		out[i].Faults = slices.Clone(e.Faults)
	}
	return out
}

// Writes returns the requests to the SCIM side that ask for a change.
func (l *Log) Writes() []Entry {
	return slices.DeleteFunc(l.Entries(), func(e Entry) bool { return !e.Writes() })
}

// Count tells how many requests there were with this method ("" is any) below this path.
func (l *Log) Count(method, pathPrefix string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for r, count := range l.counts {
		if (method == "" || r.method == method) && strings.HasPrefix(r.path, pathPrefix) {
			n += count
		}
	}
	return n
}

// CountWrites tells how many requests asked the SCIM side for a change.
func (l *Log) CountWrites() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for r, count := range l.counts {
		if r.side == SideSCIM && r.method != http.MethodGet {
			n += count
		}
	}
	return n
}

// MostInFlight tells how many requests a side was answering at once at the busiest time.
func (l *Log) MostInFlight(side Side) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most[side]
}

// Answering tells how long a side has taken to answer questions and requests that write, each answer counted by itself.
func (l *Log) Answering(side Side) (questions, writes time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.took[duty{side, false}], l.took[duty{side, true}]
}

func (l *Log) begin(side Side, r *http.Request, body string) *Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e := &Entry{
		Seq: l.seq, Start: time.Now(), Side: side, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Body: body,
	}
	beside := 1
	for seq, other := range l.flying {
		e.InFlight = append(e.InFlight, seq)
		if other == side {
			beside++
		}
	}
	slices.Sort(e.InFlight)
	l.flying[e.Seq] = side
	l.most[side] = max(l.most[side], beside)
	l.counts[request{side, r.Method, e.Path}]++
	l.entries = append(l.entries, e)
	if l.limit > 0 && len(l.entries) > l.limit {
		l.entries = slices.Delete(l.entries, 0, len(l.entries)-l.limit)
	}
	return e
}

func (l *Log) end(e *Entry, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.End, e.Status = time.Now(), status
	l.took[duty{e.Side, e.Method != http.MethodGet}] += e.End.Sub(e.Start)
	delete(l.flying, e.Seq)
}

// Wrap notes the requests that next answers. It goes round everything else, so that it sees what the caller sees.
func (l *Log) Wrap(side Side, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if r.Method != http.MethodGet && l.limit == 0 {
			body, _ = io.ReadAll(r.Body) // what could not be read is missing for the handler too
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		e := l.begin(side, r, string(body))
		logged := &loggedWriter{ResponseWriter: w, played: func(fault string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			e.Faults = append(e.Faults, fault)
		}}
		defer func() { l.end(e, logged.status) }()
		next.ServeHTTP(logged, r)
		if logged.status == 0 {
			logged.status = http.StatusOK // an answer without a word is 200
		}
	})
}

// A loggedWriter remembers the status, and takes note of the faults that were played.
type loggedWriter struct {
	http.ResponseWriter
	status int
	played func(fault string)
}

func (w *loggedWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *loggedWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap gives http.ResponseController the connection's own writer.
func (w *loggedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
