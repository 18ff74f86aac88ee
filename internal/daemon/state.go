package daemon

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Phase is what the daemon is doing.
type Phase string

// The phases.
const (
	PhaseStarting Phase = "starting"
	PhaseStandby  Phase = "standby"  // another replica leads, or is about to
	PhaseWaiting  Phase = "waiting"  // for the next cycle
	PhasePlanning Phase = "planning" // reads both sides and compares them
	PhaseApplying Phase = "applying"
	PhaseStopping Phase = "stopping" // ends what is under way
	PhaseStopped  Phase = "stopped"
)

// Result is how a cycle ended.
type Result string

// The results.
const (
	ResultGood        Result = "good"
	ResultObserved    Result = "observed"    // planned; nothing is written in mode observe
	ResultHeld        Result = "held"        // good, and the guard holds changes
	ResultPartial     Result = "partial"     // reached its end, and some changes failed
	ResultFailed      Result = "failed"      // ended early
	ResultInterrupted Result = "interrupted" // ended early because the daemon was told to stop
	ResultSkipped     Result = "skipped"     // another run had the lock
)

// good tells whether the whole directory was seen to, whatever became of single objects.
func (r Result) good() bool {
	return r == ResultGood || r == ResultObserved || r == ResultHeld || r == ResultPartial
}

// A Summary is what State keeps of a cycle that ended. It names nobody.
type Summary struct {
	Cycle   int64         `json:"cycle,omitempty"` // 0 when it could not be recorded
	Result  Result        `json:"result"`
	Ended   time.Time     `json:"ended"`
	Took    time.Duration `json:"took"` // nanoseconds
	Planned int           `json:"planned"`
	Done    int           `json:"done"`
	Failed  int           `json:"failed"`
	Held    int           `json:"held"`
	Skipped int           `json:"skipped"`
	Error   string        `json:"error,omitempty"`
}

// A State is the daemon at one moment. What it points to is never changed.
type State struct {
	Updated time.Time `json:"updated"`
	Started time.Time `json:"started"` // the process
	PID     int       `json:"pid"`
	Host    string    `json:"host,omitempty"`
	Mode    string    `json:"mode"`
	Leader  string    `json:"leader"` // which replica leads; "single" when there is no other, "" while none is known to
	Phase   Phase     `json:"phase"`
	Done    int       `json:"done"`          // changes of the running cycle
	Total   int       `json:"total"`         // 0 until they are planned
	Next    time.Time `json:"next,omitzero"` // when the next cycle begins

	LastGood   time.Time             `json:"lastGood,omitzero"`
	Last       *Summary              `json:"last,omitempty"`
	Quarantine *reconcile.Quarantine `json:"quarantine,omitempty"`
	// ReloadError says why the configuration on disk is not the one that runs, "" when it is.
	ReloadError string `json:"reloadError,omitempty"`
	// ElectionError says why a replica that stands by cannot tell who leads, "" when it can.
	ElectionError string `json:"electionError,omitempty"`
	// RestartNeeded are the keys that were changed and that only a restart changes.
	RestartNeeded []string `json:"restartNeeded,omitempty"`
	// Config is a fingerprint of the configuration that runs, secrets included.
	Config string `json:"config,omitempty"`
}

// StateKey is under what the store remembers the last State, for Decode.
const StateKey = "daemon"

// Decode is the State that a daemon left in the store, the zero State when none did.
func Decode(data []byte) (State, error) {
	var s State
	if len(data) == 0 {
		return s, nil
	}
	err := json.Unmarshal(data, &s)
	return s, err
}

// A board shows a State to everybody who looks.
type board struct {
	mu    sync.Mutex
	state State
	subs  map[chan State]bool
}

func (b *board) get() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

func (b *board) update(f func(*State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.state)
	for ch := range b.subs {
		put(ch, b.state)
	}
}

// put replaces what a slow subscriber has not taken yet.
func put(ch chan State, s State) {
	select {
	case <-ch:
	default:
	}
	ch <- s
}

func (b *board) subscribe() (<-chan State, func()) {
	ch := make(chan State, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[chan State]bool{}
	}
	b.subs[ch] = true
	ch <- b.state
	return ch, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, ch)
	}
}
