package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// NoteLeaving is the kind of note that names the day on which an account is deleted.
const NoteLeaving NoteKind = "leaving"

// departing tells whether a person is on the way from deactivated to deleted: gone from the directory for good, ours, and
// not active in Rootly.
func (d *desk) departing(p *person) bool {
	return d.rules.deleteAfter > 0 && p.frozen == nil && p.standing == standGone && p.link != nil && (p.target == nil || !p.target.Active)
}

// left is since when the directory has known no such person any more, zero while it knows them. It begins with a second
// answer that says so, ends when they are back, also for somebody who is frozen, and begins anew when delete_after was off.
func (d *desk) left(p *person) time.Time {
	known := p.source != nil || p.standing != standGone && p.standing != standExcluded
	switch {
	case known || d.rules.deleteAfter == 0:
		return time.Time{}
	case p.link.Left.IsZero() && d.departing(p) && d.findings.people[p.id].proof == confirmed:
		return d.now
	}
	return p.link.Left
}

// returned is the link of somebody frozen whom the directory knows again: should they leave once more, their time begins
// anew.
func (d *desk) returned(p *person) (Link, bool) {
	if p.link == nil || p.link.Left.IsZero() || !d.left(p).IsZero() {
		return Link{}, false
	}
	l := *p.link
	l.Left = time.Time{}
	return l, true
}

// due is when an account whose link says so is to be deleted, zero when it is not.
func (r *Rules) due(l Link) time.Time {
	if r.deleteAfter == 0 || l.Left.IsZero() {
		return time.Time{}
	}
	return l.Left.Add(r.deleteAfter)
}

// overdue tells whether that time has come.
func (r *Rules) overdue(l Link, now time.Time) bool {
	due := r.due(l)
	return !due.IsZero() && !now.Before(due)
}

// depart deletes an account whose time has come, and notes the day of one whose has not.
func (d *desk) depart(p *person) (Change, bool) {
	if !d.departing(p) {
		return Change{}, false
	}
	l := *p.link
	l.Left = d.left(p)
	switch {
	case d.rules.overdue(l, d.now):
		return Change{
			Verb: VerbDelete, Object: p.ref(), Why: WhyGone,
			Detail: fmt.Sprintf("since %s, and delete_after is %s", day(l.Left), span(d.rules.deleteAfter)),
		}, true
	case !l.Left.IsZero():
		d.note(p.ref(), NoteLeaving, fmt.Sprintf("gone from the directory since %s; will be deleted on %s", day(l.Left), day(d.rules.due(l))),
			"to keep the account: bring the person back in the directory, or remove delete_after")
	}
	return Change{}, false
}

// toDepart are the people, sorted, about whom the directory is asked again though nothing more is taken from them now:
// those whose time may begin, and those whose time has come.
func (d *desk) toDepart() []string {
	var out []string
	for i := range d.people {
		p := &d.people[i]
		if d.departing(p) && (p.link.Left.IsZero() || d.rules.overdue(*p.link, d.now)) {
			out = append(out, p.id)
		}
	}
	slices.Sort(out)
	return out
}

// undepartable says why a deletion is not believed yet: it needs the directory's word of this very run.
func (d *desk) undepartable(id string) string {
	f, asked := d.findings.people[id]
	switch {
	case !asked:
		return "the directory was not asked again; the next run decides"
	case f.proof != confirmed:
		return f.text
	}
	return ""
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// delete sends the last step of a departure. It cannot be taken back, so the account is looked at once more: one that
// somebody has reactivated since the plan was made stays.
func (r *run) delete(ctx context.Context, o Ref) error {
	u, err := r.Target.User(ctx, o.Target)
	switch {
	case scimclient.Gone(err):
		// Gone by now, or hidden as deactivated accounts are on some servers.
	case err != nil:
		return err
	case u.Active:
		return &overtakenError{"not deleted: " + u.UserName + " was reactivated in Rootly in the meantime; the next run deactivates them first"}
	}
	return r.Target.DeleteUser(ctx, o.Target)
}

// An overtakenError is a request that was not sent, because Rootly is no longer as the plan saw it.
type overtakenError struct{ text string }

func (e *overtakenError) Error() string { return e.text }

// A Departure is an account that is to be deleted, and when.
type Departure struct {
	Object Ref       `json:"object"`
	Left   time.Time `json:"left"` // since when the directory has known no such person any more
	Due    time.Time `json:"due"`
}

// Departures are the accounts of a ledger that are to be deleted under the rules, the first one first.
func (r *Rules) Departures(l Ledger) []Departure {
	var out []Departure
	for _, id := range sortedKeys(l.Users) {
		link := l.Users[id]
		due := r.due(link)
		if due.IsZero() {
			continue
		}
		d := Departure{Object: Ref{Kind: KindUser, Source: link.Source, Target: link.Target}, Left: link.Left, Due: due}
		if link.User != nil {
			d.Object.Name = link.User.UserName
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b Departure) int { return a.Due.Compare(b.Due) })
	return out
}
