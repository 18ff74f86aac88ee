package reconcile

import (
	"context"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A Link says that an object of the target is ours, which person or group of the directory it stands for, and what we
// wrote last. It is the only proof of ownership.
type Link struct {
	Kind   Kind
	Source string // directory id
	Target string // SCIM id
	User   *UserValues
	Group  *GroupValues
	// Stuck counts, per attribute, how often the server accepted a value and did not keep it.
	Stuck map[string]Stuck
	// Left is since when the directory has known no such person any more, zero while it knows them: delete_after counts
	// from it.
	Left time.Time
	// OnCall is since when the person's leaving has been held because Rootly would page them, zero when it is not.
	OnCall time.Time
	// Contested counts, per attribute and per membership, how often in a row somebody else turned back what we wrote.
	Contested map[string]Contest
}

// A Contest is one value that we and another writer keep setting in turn.
type Contest struct {
	Value string `json:"value"` // what they set
	Times int    `json:"times"` // cycles in a row in which it was turned back
}

// A Quarantine says that the cycles as a whole keep failing: until Next only a changed configuration, a changed secret or
// an order to run begins one. It ends with the first good cycle, which takes nothing away.
type Quarantine struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"` // for people: what is wrong and where to mend it
	Cause  string    `json:"cause"`  // one word that stays the same while the reason does: "credentials", "endpoint", "objects"
	Next   time.Time `json:"next"`
}

// Stuck is one attribute value that the server did not keep.
type Stuck struct {
	Value string `json:"value"`
	Tries int    `json:"tries"`
}

// A Waiting is an object whose change failed: until Next the same verb is planned but not sent.
type Waiting struct {
	Kind     Kind
	Source   string
	Name     string
	Verb     Verb
	Attempts int
	Next     time.Time
	Reason   string
}

// An Intent is a change that was about to be sent. One without an outcome may or may not have been done.
type Intent struct {
	ID     int64
	Cycle  int64
	Change Change // Fields, Members, Object, Verb, Why as they were planned
	User   *UserValues
	Group  *GroupValues
}

// A Resolution settles an open intent by what the target holds now.
type Resolution struct {
	Intent  int64
	Outcome Outcome
	Link    *Link // the link that follows from it, nil when none does
}

// Outcome is how one change ended.
type Outcome string

// The outcomes.
const (
	OutcomeDone    Outcome = "done"
	OutcomeFailed  Outcome = "failed"   // refused; nothing changed
	OutcomeNotKept Outcome = "not kept" // accepted, not kept by the server
	OutcomeUnknown Outcome = "unknown"  // no answer, and reading did not settle it
	OutcomeSkipped Outcome = "skipped"  // never sent: an earlier change failed, or the run was stopped
)

// A Ledger is what the store knows when a cycle begins. It is read once and not changed by planning.
type Ledger struct {
	Users   map[connectors.UserID]Link
	Groups  map[connectors.GroupID]Link
	Waiting []Waiting
	Open    []Intent
	// Rules is the hash of scope, push and map of the last finished cycle, "" at first contact. RuleTexts are the rules
	// themselves by their key in the configuration, to say which of them changed.
	Rules     string
	RuleTexts map[string]string
	// Held are the sets that wait for a yes, and those that have one and were not used yet.
	Held []HeldSet
	// Spent is what was taken away without approval in the last 24 hours, by axis.
	Spent map[Axis]int
	// Pinned are the directory ids of people and groups that undo restored: they are left as they are until unpinned.
	Pinned map[string]bool
	// Quarantine is the one that the next good cycle ends, nil when there is none.
	Quarantine *Quarantine
}

// A HeldSet is an immutable batch of losses of one axis. It is released by one approval, which is good for one use
// within ApprovalLife, for what of the set is still planned then.
type HeldSet struct {
	Fingerprint string     `json:"fingerprint"`
	Axis        Axis       `json:"axis"`
	Reason      string     `json:"reason"`
	Items       []HeldItem `json:"items"` // sorted by key
	Created     time.Time  `json:"created"`
	Approved    time.Time  `json:"approved,omitzero"`
	By          string     `json:"by,omitempty"`
}

// A HeldItem is one loss of a set: its key across runs, and the words for people.
type HeldItem struct {
	Key  string `json:"key"`  // "deactivate user 00u1", "remove user 00u1 from group 00g7"
	Name string `json:"name"` // "alice@acme.com", "alice@acme.com from oncall-payments"
}

// ApprovalLife is how long an approval is good for.
const ApprovalLife = 24 * time.Hour

// A Settled is the end of one intent: its outcome and what it means for the ledger, recorded as one.
type Settled struct {
	Intent  int64
	Outcome Outcome
	Error   string
	Took    time.Duration
	Link    *Link    // put or replaced
	Unlink  *Ref     // forgotten (deleted)
	Wait    *Waiting // put into escrow; an object that succeeds leaves it by itself
}

// A CycleSummary is the row a finished cycle leaves.
type CycleSummary struct {
	Rules     string
	RuleTexts map[string]string
	Used      []string // fingerprints of approved sets that this cycle carried out
	Planned   int
	Done      int
	Failed    int
	Held      int
	Skipped   int
	Error     string
	Moot      []Waiting // escrow whose change is no longer planned: forgotten
}

// A Journal records what Apply does. An intent is durable before its request is sent; Settle is durable, link and
// outcome together, before the next change of the same object begins. Methods are safe for concurrent use.
type Journal interface {
	// Begin opens a cycle and returns its number.
	Begin(ctx context.Context, at time.Time) (cycle int64, err error)
	// Resolve settles open intents of earlier runs, and Refresh replaces links, each in one transaction.
	Resolve(ctx context.Context, rs []Resolution) error
	Refresh(ctx context.Context, links []Link) error
	// Link takes over objects that need no write.
	Link(ctx context.Context, cycle int64, changes []Change, links []Link) error
	// Hold makes sets the ones that wait for a yes: new ones are added, those that are not among them are forgotten,
	// approved and unused ones stay.
	Hold(ctx context.Context, cycle int64, sets []HeldSet) error
	// Keep remembers the directory's answer as the last good one.
	Keep(ctx context.Context, cycle int64, s connectors.Snapshot) error
	Intend(ctx context.Context, cycle int64, c Change, u *UserValues, g *GroupValues) (intent int64, err error)
	// Settling with OutcomeUnknown notes the error and leaves the intent open.
	Settle(ctx context.Context, s Settled) error
	// Finish closes the cycle. It is called also after an error, with a context that is not cancelled.
	Finish(ctx context.Context, cycle int64, sum CycleSummary) error
}
