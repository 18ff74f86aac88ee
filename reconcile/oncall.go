package reconcile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A Pager knows whom Rootly pages.
type Pager interface {
	// Duties returns what each leaver has to do with paging, shifts between from and to among it; who is not in the answer
	// is never paged. It is complete or an error, for what could not be read is no proof that nobody is on call. An error
	// with a method Unauthorized that returns true means that the key is refused.
	Duties(ctx context.Context, leavers []Leaver, from, to time.Time) (map[connectors.UserID]Duty, error)
}

// A Leaver is somebody whose account in Rootly is about to be deactivated or deleted.
type Leaver struct {
	ID        connectors.UserID
	Addresses []string // of the account as Rootly has it now, its userName first
}

// A Duty is what one person has to do with paging.
type Duty struct {
	Shifts      []Shift
	Rotations   []string // schedules in one of whose rotations they are
	Escalations []string // policies that page them by name
}

// A Shift is a time in which a schedule pages one person.
type Shift struct {
	Schedule     string
	Starts, Ends time.Time
}

// OnCallPolicy is what being on call means for somebody who leaves.
type OnCallPolicy string

// The policies.
const (
	HoldOnCall   OnCallPolicy = "hold"   // they stay as they are until the shift is covered or the hold has lasted long enough
	WarnOnCall   OnCallPolicy = "warn"   // they go, and the plan says so
	IgnoreOnCall OnCallPolicy = "ignore" // nobody is asked about
)

// OnCallOptions are the operator's rules about leavers who are on call. The zero value has the defaults.
type OnCallOptions struct {
	Policy       OnCallPolicy  // "" means hold
	Horizon      time.Duration // how far ahead a shift counts; 0 means 7 days
	HoldDisabled time.Duration // how long people are held whom the directory disabled; 0 means 48 hours
	HoldOther    time.Duration // how long everybody else is; 0 means 7 days
	Urgent       string        // CEL over user: who is never held
}

// An OnCall is what Rootly said about those who leave.
type OnCall struct {
	Asked int `json:"asked"` // people it was asked about
	// Held wait, Released were held for as long as anybody is and go though they are still paged.
	Held     []OnCallHold `json:"held,omitempty"`
	Released []OnCallHold `json:"released,omitempty"`
	// Error says why Rootly did not answer: then everybody who leaves counts as on call. Refused means that it refuses the key.
	Error   string `json:"error,omitempty"`
	Refused bool   `json:"refused,omitempty"`
}

// An OnCallHold is one person whose leaving waits, or waited until now.
type OnCallHold struct {
	Object   Ref       `json:"object"`
	Text     string    `json:"text"`               // "on call now: Payments primary until Fri 27 Nov 09:00 UTC"
	Schedule string    `json:"schedule,omitempty"` // of the first shift, "" when it is not known
	Since    time.Time `json:"since"`              // the first cycle that held them
	Until    time.Time `json:"until"`              // when the hold ends at the latest
	Set      string    `json:"set,omitempty"`      // the fingerprint that releases them now
}

// duties are Rootly's answers about the leavers of one reading.
type duties struct {
	asked map[string]bool // directory ids
	of    map[connectors.UserID]Duty
	err   error
}

// clockSkew is how far our clock and Rootly's may be apart: a shift that has just ended by ours may still run by theirs.
const clockSkew = 5 * time.Minute

// askPager asks about everybody whose leaving the directory confirmed, once and all together. Without leavers there is no
// request. Only a cancelled run is an error: an answer that does not come counts as on call.
func (p *Planner) askPager(ctx context.Context, w *prepared, now time.Time) error {
	rules := p.Rules.onCall
	if p.Pager == nil || rules.Policy == IgnoreOnCall || p.Rules.additive {
		return nil
	}
	asked := &duties{asked: map[string]bool{}}
	var leavers []Leaver
	for _, c := range w.changes {
		f, found := w.findings.people[c.Object.Source]
		if c.takesAccount() && !(found && f.proof != confirmed) && !asked.asked[c.Object.Source] {
			asked.asked[c.Object.Source] = true
			leavers = append(leavers, w.person(c.Object.Source).leaver())
		}
	}
	if len(leavers) == 0 {
		return nil
	}
	asked.of, asked.err = p.Pager.Duties(ctx, leavers, now.Add(-clockSkew), now.Add(rules.Horizon))
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ask Rootly who is on call: %w", err)
	}
	if asked.err != nil && p.Log != nil {
		p.Log.Warn("Rootly did not say who is on call", "leavers", len(leavers), "error", asked.err)
	}
	w.duties = asked
	return nil
}

// takesAccount tells whether somebody can no longer be paged after the change.
func (c Change) takesAccount() bool {
	return c.Object.Kind == KindUser && (c.Verb == VerbDeactivate || c.Verb == VerbDelete)
}

// leaver is the person under every address that their account in Rootly may be known by.
func (p *person) leaver() Leaver {
	l := Leaver{ID: connectors.UserID(p.id)}
	add := func(address string) {
		if address != "" && !slices.ContainsFunc(l.Addresses, func(a string) bool { return sameFolded(a, address) }) {
			l.Addresses = append(l.Addresses, address)
		}
	}
	if p.target != nil {
		add(p.target.UserName)
		for _, e := range p.target.Emails {
			add(e.Value)
		}
	} else if p.link != nil && p.link.User != nil {
		add(p.link.User.UserName)
		add(p.link.User.Email)
	}
	return l
}

// refusedKey tells whether an error of a Pager says that its key is not accepted.
func refusedKey(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Unauthorized() bool
	}](err)
	return ok && e.Unauthorized()
}

// holdOnCall looks at everybody whom Rootly was asked about and keeps back who is on call and whom nothing else keeps back.
// The hold ends when the shifts are somebody else's, by a yes to its set, and in any case after the time of the rules,
// counted from the first cycle that held: Rootly that does not answer holds nobody for longer.
func (d *desk) holdOnCall(r *ruling, changes []Change, now time.Time) {
	r.clocks, r.facts = map[string]time.Time{}, map[string]string{}
	for _, c := range changes {
		if !c.takesAccount() {
			continue
		}
		p := d.person(c.Object.Source)
		if p.link != nil {
			r.clocks[p.id] = p.link.OnCall // kept while they would leave, whatever else holds them
		}
		if d.duties == nil || !d.duties.asked[p.id] {
			continue
		}
		text, paged := d.duties.text(p, now, d.rules.onCall.Horizon)
		r.facts[c.Key()] = text
		if r.held[c.Key()] == "" {
			d.judgeOnCall(r, c, p, text, paged, now)
		}
	}
	if d.duties != nil {
		r.onCall.Asked = len(d.duties.asked)
		if err := d.duties.err; err != nil {
			r.onCall.Error, r.onCall.Refused = err.Error(), refusedKey(err)
		}
	}
}

// judgeOnCall decides about one person whom nothing else holds. paged means now or soon, or that nobody knows.
func (d *desk) judgeOnCall(r *ruling, c Change, p *person, text string, paged bool, now time.Time) {
	note := func(kind NoteKind, text, remedy string) {
		r.notes = append(r.notes, Note{Kind: kind, Object: c.Object, Text: text, Remedy: remedy})
	}
	since := r.clocks[p.id]
	delete(r.clocks, p.id)
	if !paged && !since.IsZero() {
		note(NoteCovered, fmt.Sprintf("no longer on call, held since %s", clock(since)), "")
	}
	switch {
	case text == "":
		return
	case !paged:
		note(NoteOnCall, text, "take them out in Rootly: nobody answers when it is their turn")
		return
	case d.rules.onCall.Policy == WarnOnCall:
		note(NoteOnCall, text+"; goes all the same, on_call.policy is warn", handOver)
		return
	case d.urgent(p):
		note(NoteOnCall, text+"; goes all the same, on_call.urgent is true of them", handOver)
		return
	}
	if since.IsZero() {
		since = now
	}
	r.clocks[p.id] = since
	h := OnCallHold{Object: c.Object, Text: text, Since: since, Until: since.Add(d.holdFor(p))}
	if shifts := d.duties.shifts(p, now, d.rules.onCall.Horizon); len(shifts) > 0 {
		h.Schedule = shifts[0].Schedule
	}
	set := onCallSet(c, text, since)
	yes := slices.IndexFunc(d.ledger.Held, func(s HeldSet) bool { return s.Fingerprint == set.Fingerprint && s.valid(now) })
	switch {
	case yes >= 0:
		r.spend(set.Fingerprint)
		note(NoteOnCall, text+"; goes all the same, approved by "+d.ledger.Held[yes].By, handOver)
	case !now.Before(h.Until):
		r.onCall.Released = append(r.onCall.Released, h)
		note(NoteReleased, fmt.Sprintf("%s; goes all the same, held since %s and nobody is held for more than %s", text, clock(since), span(d.holdFor(p))), handOver)
	default:
		// The guard's yes is used up: it let this person go, and what waits from here on is the shift.
		r.spend(r.approved[c.Key()])
		h.Set = set.Fingerprint
		r.onCall.Held = append(r.onCall.Held, h)
		r.sets = append(r.sets, set)
		r.held[c.Key()], r.inSet[c.Key()] = text, set.Fingerprint
	}
}

const handOver = "give the shift to somebody else in Rootly"

// spend notes that an approved set is carried out.
func (r *ruling) spend(fingerprint string) {
	if fingerprint != "" {
		r.consumed = append(r.consumed, fingerprint)
	}
}

// letGo tells whether the guard let a loss go in an earlier cycle, so that only the person's being on call has held it
// since: it is not weighed a second time.
func (d *desk) letGo(l loss) bool {
	if l.axis != AxisDeactivations && l.axis != AxisDeletions {
		return false
	}
	p := d.person(l.person)
	return p.link != nil && !p.link.OnCall.IsZero()
}

func (d *desk) holdFor(p *person) time.Duration {
	if p.standing == standDisabled {
		return d.rules.onCall.HoldDisabled
	}
	return d.rules.onCall.HoldOther
}

// urgent tells whether on_call.urgent is true of the person as the directory last described them. An expression that
// fails, and somebody of whom the directory says nothing any more, is not urgent.
func (d *desk) urgent(p *person) bool {
	u := p.source
	if f := d.findings.people[p.id]; f.user != nil {
		u = f.user
	}
	if d.rules.urgent == nil || u == nil {
		return false
	}
	yes, err := d.rules.urgent.bool(personOf(u))
	return err == nil && yes
}

// onCallSet is the set of one person: saying yes to one pager is not saying yes to another. What it holds is another
// thing than the loss that the guard weighs, so neither yes stands for the other.
func onCallSet(c Change, text string, since time.Time) HeldSet {
	item := HeldItem{Key: "release " + c.Key(), Name: c.Object.Name}
	h := sha256.Sum256([]byte(string(AxisOnCall) + "\n" + item.Key + "\n"))
	return HeldSet{Fingerprint: hex.EncodeToString(h[:])[:12], Axis: AxisOnCall, Reason: text, Items: []HeldItem{item}, Created: since}
}

// keepClocks adds to the links to be refreshed those whose hold begins or is over. Somebody who matched an account and is
// to leave it becomes linked: without that, nothing would remember since when they are held.
func (d *desk) keepClocks(refresh []Link, r *ruling) []Link {
	at := map[string]int{}
	for i, l := range refresh {
		if l.Kind == KindUser {
			at[l.Source] = i
		}
	}
	for i := range d.people {
		p := &d.people[i]
		since := r.clocks[p.id]
		switch j, listed := at[p.id]; {
		case listed:
			refresh[j].OnCall = since
		case p.link != nil && !p.link.OnCall.Equal(since):
			l := *p.link
			l.OnCall = since
			refresh = append(refresh, l)
		case p.link == nil && p.target != nil && !since.IsZero():
			v := valuesOf(p.target)
			refresh = append(refresh, Link{Kind: KindUser, Source: p.id, Target: p.target.ID, User: &v, OnCall: since})
		}
	}
	return refresh
}

func (o OnCallOptions) withDefaults() OnCallOptions {
	const day = 24 * time.Hour
	o.Policy = cmp.Or(o.Policy, HoldOnCall)
	o.Horizon, o.HoldDisabled, o.HoldOther = cmp.Or(o.Horizon, 7*day), cmp.Or(o.HoldDisabled, 2*day), cmp.Or(o.HoldOther, 7*day)
	return o
}

// Approval is the command that says yes to the set.
func (s HeldSet) Approval() string {
	command := "rootly-idp-sync approve " + s.Fingerprint
	if s.Axis == AxisOnCall {
		command += " --include-on-call"
	}
	return command
}
