// Package reconcile brings a target in line with a directory: it scopes, maps and matches people and groups, says what would
// change and why, guards against taking too much away, and applies the plan with a record of every step.
package reconcile

import (
	"cmp"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// Kind is what an object is.
type Kind string

// The kinds.
const (
	KindUser  Kind = "user"
	KindGroup Kind = "group"
)

// Verb is what a change does.
type Verb string

// The verbs, in the order in which they are applied.
const (
	VerbLink       Verb = "link" // take over an object as it is: a row in the ledger, no request
	VerbCreate     Verb = "create"
	VerbReactivate Verb = "reactivate" // active=true, and whatever else differs
	VerbUpdate     Verb = "update"
	VerbAdd        Verb = "add"    // members to a group
	VerbRemove     Verb = "remove" // members from a group
	VerbDeactivate Verb = "deactivate"
	VerbDelete     Verb = "delete"
)

// Why is the reason of a change.
type Why string

// The reasons.
const (
	WhyJoined     Why = "joined"                   // new in scope
	WhyReturned   Why = "returned"                 // was deactivated by us and is back
	WhyLeftScope  Why = "left scope"               // in the directory, no longer in scope
	WhyDisabled   Why = "disabled"                 // disabled in the directory
	WhyGone       Why = "gone from the directory"  // no longer read at all
	WhyDirectory  Why = "changed in the directory" //
	WhyDrift      Why = "edited in Rootly"         // somebody changed by hand what we had written
	WhyConfig     Why = "configuration changed"    // scope, push or map rules differ from the last cycle's
	WhyUndo       Why = "undo"                     // prior values of an earlier cycle
	WhyFirstMatch Why = "matched"                  // found in Rootly by externalId or name at first sight
)

// A Ref names one object on both sides. Target is "" until the object exists there.
type Ref struct {
	Kind   Kind   `json:"kind"`
	Source string `json:"source,omitempty"` // the directory's id
	Target string `json:"target,omitempty"` // the SCIM id
	Name   string `json:"name"`             // userName or displayName, for people
	// Role marks a group that carries roles in Rootly: to enter or leave it is a change of rights.
	Role bool `json:"role,omitempty"`
}

// A Field is one attribute that changes. Secrets never occur here; values are shown as they would be written.
type Field struct {
	Name string `json:"name"` // SCIM name: "userName", "name.givenName", "active", …
	From string `json:"from"`
	To   string `json:"to"`
	Why  Why    `json:"why"`
}

// A Membership is one person joining or leaving the group of an add or remove change.
type Membership struct {
	User Ref `json:"user"`
	Why  Why `json:"why"`
}

// A Change is one step of a plan, about one object.
type Change struct {
	Verb    Verb         `json:"verb"`
	Object  Ref          `json:"object"`
	Fields  []Field      `json:"fields,omitempty"`  // create, update, reactivate, deactivate
	Members []Membership `json:"members,omitempty"` // add, remove, and whom deleting a group puts out; the first of a created group are an add of their own
	Why     Why          `json:"why"`
	Detail  string       `json:"detail,omitempty"` // "SUSPENDED", "scope.where is false", "by userName"
	// Groups are the ones that a deactivated person is in: Rootly may end these memberships with the account.
	Groups []Ref `json:"groups,omitempty"`
	// OnCall is what Rootly would page a person for who is deactivated or deleted.
	OnCall string `json:"onCall,omitempty"`
	// Held says in words why the change is planned and not applied: a guard's objection, or escrow. "" for one that goes.
	Held string `json:"held,omitempty"`
	// Set is the fingerprint of the held set that an approval would release, "" when none would.
	Set string `json:"set,omitempty"`
	// Spends is what the change costs of the rolling day's allowance, by axis; an approved one costs nothing.
	Spends map[Axis]int `json:"spends,omitempty"`
	// After are keys of changes that must have succeeded before this one, such as the rename that frees a userName.
	After []string `json:"after,omitempty"`

	planned Verb // what the plan called it, when it turned out to be a creation

	user   *UserValues        // the account as a user change leaves it
	record *UserValues        // what the ledger then remembers as written by us
	emails []scimclient.Email // what the account has, of which one entry is ours
	group  *GroupValues       // the group as a group change leaves it, without members
}

// Key names a change within a plan, stable across runs: "deactivate user 00u1".
func (c Change) Key() string {
	return string(c.Verb) + " " + string(c.Object.Kind) + " " + c.Object.key()
}

// plannedKey is the key under which a later run plans the change again, should it fail.
func (c Change) plannedKey() string {
	c.Verb = cmp.Or(c.planned, c.Verb)
	return c.Key()
}

func (r Ref) key() string {
	if r.Source != "" {
		return r.Source
	}
	return "target:" + r.Target
}

// UserValues are the managed attributes of a person, as wanted, as read or as last written.
type UserValues struct {
	UserName    string             `json:"userName,omitempty"`
	ExternalID  string             `json:"externalId,omitempty"`
	GivenName   string             `json:"givenName,omitempty"`
	FamilyName  string             `json:"familyName,omitempty"`
	DisplayName string             `json:"displayName,omitempty"`
	Email       string             `json:"email,omitempty"`
	Phones      []connectors.Phone `json:"phones,omitempty"`
	Active      bool               `json:"active"`
}

// GroupValues are the managed attributes of a group. Members are SCIM ids, sorted.
type GroupValues struct {
	DisplayName string   `json:"displayName,omitempty"`
	ExternalID  string   `json:"externalId,omitempty"`
	Members     []string `json:"members,omitempty"`
}

// NoteKind sorts what a plan reports without changing it.
type NoteKind string

// The note kinds.
const (
	NoteConflict  NoteKind = "conflict"  // two candidates for one object; everybody in it is frozen
	NoteUnmapped  NoteKind = "unmapped"  // cannot be mapped: no valid userName, an expression that failed; frozen
	NoteProtected NoteKind = "protected" // guard.protect; frozen
	NoteExcluded  NoteKind = "excluded"  // scope.exclude; unmanaged
	NoteByHand    NoteKind = "by hand"   // deactivated in Rootly by hand; left so
	NotePinned    NoteKind = "pinned"    // restored by undo; frozen until unpinned
	NoteStuck     NoteKind = "not kept"  // an attribute the server does not keep
	NoteLeft      NoteKind = "left alone"
	NoteWaiting   NoteKind = "waiting"  // in escrow until a later cycle
	NoteOnCall    NoteKind = "on call"  // goes though Rootly pages them
	NoteReleased  NoteKind = "released" // goes though Rootly pages them: nobody is held for longer
	NoteCovered   NoteKind = "covered"  // was held for being on call and no longer is
	NoteRole      NoteKind = "role group"
)

// A Note is something a reader of the plan must know though nothing is done about it.
type Note struct {
	Kind   NoteKind `json:"kind"`
	Object Ref      `json:"object"`
	Text   string   `json:"text"`
	Remedy string   `json:"remedy,omitempty"`
}

// An Objection is the guard's refusal of one axis: what was counted, what is allowed, how to go on.
type Objection struct {
	Axis   Axis   `json:"axis"`
	Count  int    `json:"count"`
	Limit  int    `json:"limit"`
	Of     int    `json:"of"` // the managed population that the share is taken of
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
}

// Counts is the size of both sides as one plan saw them.
type Counts struct {
	Directory       int `json:"directory"`       // people read
	InScope         int `json:"inScope"`         // of them wanted active
	Excluded        int `json:"excluded"`        // by scope.exclude
	Groups          int `json:"groups"`          // groups pushed
	TargetUsers     int `json:"targetUsers"`     // people in Rootly
	TargetGroups    int `json:"targetGroups"`    // groups in Rootly
	Managed         int `json:"managed"`         // people of Rootly that we own
	ManagedGroups   int `json:"managedGroups"`   // groups of Rootly that we own
	Unmanaged       int `json:"unmanaged"`       // active people of Rootly that nobody here owns
	UnmanagedGroups int `json:"unmanagedGroups"` // groups of Rootly that nobody here owns
}

// A Plan is everything one cycle would do, complete before the first write, in the order of applying.
type Plan struct {
	Source     string      `json:"source"` // the connector's tenant
	Target     string      `json:"target"` // the SCIM base URL
	At         time.Time   `json:"at"`
	Changes    []Change    `json:"changes"`
	Held       []Change    `json:"held,omitempty"`
	Objections []Objection `json:"objections,omitempty"`
	Sets       []HeldSet   `json:"sets,omitempty"` // the batches that Held is in, waiting for a yes
	Notes      []Note      `json:"notes,omitempty"`
	OnCall     *OnCall     `json:"onCall,omitempty"` // nil when there was nobody to ask about
	Counts     Counts      `json:"counts"`
	// Writes is the number of requests that applying is going to send when no answer needs a second look.
	Writes int  `json:"writes"`
	Cost   Cost `json:"cost"` // in requests, of both sides

	pins       []Ref                       // what Undo restores
	snapshot   connectors.Snapshot         // what the directory answered
	short      bool                        // the answer is no witness for the next run
	phoneless  bool                        // Rootly shows nobody's telephone numbers
	texts      map[string]string           // the rules that made the plan, by key
	used       []string                    // approved sets that Changes carries out
	unowned    []Ref                       // of Rootly
	partial    bool                        // narrowed by Only: the cycle says nothing about the rest
	rules      string                      // hash of the rules that made the plan
	refresh    []Link                      // links to be brought up to date without a write
	woken      map[string]bool             // directory ids of people whose account we had deactivated and the listing shows active
	resolved   []Resolution                // open intents of an earlier run that this plan's reading settled
	waiting    []Waiting                   // what the ledger had in escrow
	stuck      map[string]map[string]Stuck // directory id → values that the server did not keep
	owned      map[string]string           // SCIM id → directory id of everybody we own, for adoption after a 409
	former     map[string]Ref              // folded userName → whose account of ours no listing shows, to explain a 409
	members    map[string][]string         // directory id of a group → SCIM ids that are in it now
	contests   map[string]map[string]Contest
	contested  []ContestedValue
	quarantine *Quarantine // the one that was there when the plan was made
}

// Empty tells whether there is nothing to apply.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }
