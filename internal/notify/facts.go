package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Facts are what the daemon knows after a cycle, or between two. They are whole, not news: what still holds is said
// again each time, and what is no longer said is over.
type Facts struct {
	// Planned tells whether both sides were read and a plan was made. Without one nobody knows what is held, who is on
	// call and who else writes: the fields below it are then ignored, and what was told of them is neither over nor
	// repeated.
	Planned      bool
	Managed      int                 // people of Rootly that we own
	Held         []reconcile.HeldSet // those that wait for a yes
	OnCall       []Leaver            // held because Rootly would page them
	Released     []Leaver            // no longer held in this cycle though still not covered
	Writers      []Contested         // what somebody else keeps turning back
	APIKeyError  string              // why Rootly's REST API refused the key, "" when it did not or was not asked
	NextApproval time.Time           // when an approval would be carried out, zero if unknown

	Refusals   []Refusal             // credentials that were refused in this cycle, while reading or writing
	Quarantine *reconcile.Quarantine // nil when there is none
	Error      string                // why the cycle was not good, "" when it was
	LastGood   time.Time             // when the last good cycle ended, zero when there was none yet
	Reload     string                // why a changed configuration was refused, "" when the file's own is in effect
}

// A Leaver is somebody who leaves and whom Rootly would page.
type Leaver struct {
	ID       string // the directory's, which stays when the user name changes
	UserName string
	Schedule string // the schedule's or escalation policy's name
	Until    time.Time
}

// A Contested is one value of one object that another writer keeps setting.
type Contested struct {
	Object reconcile.Ref
	What   string // the attribute, or "member alice@acme.com"
	Times  int    // cycles in a row
}

// A Refusal is one side that does not accept the credentials.
type Refusal struct {
	Side  string // for people: "Okta (acme.okta.com)", "Rootly"
	Error string
}

// A condition is one thing that is the case and is worth telling: what it is the first time, and as long as it lasts.
type condition struct {
	Key   string    `json:"key"` // stable as long as it is the same thing
	Event Event     `json:"event"`
	Cause string    `json:"cause,omitempty"` // another one is news
	Since time.Time `json:"since,omitzero"`  // as far as the facts know
	Text  string    `json:"text,omitempty"`
	Items []string  `json:"items,omitempty"`
	Count int       `json:"count,omitempty"` // of all items, of which only some are kept
	Facts []Pair    `json:"facts,omitempty"`
	Steps []string  `json:"steps,omitempty"`

	once  bool   // told once, and has no end
	quiet bool   // lasts, and another condition or nothing at all tells of it for now
	ends  string // a key whose end this condition tells of
}

// A Pair is one named figure of a message.
type Pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bounds of a message, so that no channel refuses it and no store fills up with it.
const (
	mostItems = 20
	mostSteps = 8
	mostText  = 600
)

// conditions are everything that is the case, each key once. staleBase is what the age of the last good cycle counts from
// when there was none yet.
func (f Facts) conditions(now, staleBase time.Time, staleAfter time.Duration) []condition {
	var out []condition
	out = append(out, f.quarantine()...)
	out = append(out, f.refusals()...)
	out = append(out, f.stale(now, staleBase, staleAfter)...)
	if f.Reload != "" {
		out = append(out, condition{
			Key: string(ReloadRefused), Event: ReloadRefused, Cause: digest(f.Reload), Text: f.Reload,
			Steps: []string{"rootly-idp-sync validate"},
		})
	}
	if f.Planned {
		out = append(out, f.planned()...)
	}
	for i := range out {
		out[i].tidy()
	}
	return out
}

// unknown tells whether the facts say nothing about an event, neither that it is the case nor that it is over.
func (f Facts) unknown(e Event) bool {
	switch e {
	case Quarantine: // only a good cycle ends it
		return f.Error != ""
	case RemovalsHeld, OnCallHeld, AnotherWriter, APIKeyRefused, CredentialsRefused:
		return !f.Planned
	}
	return false
}

func (f Facts) quarantine() []condition {
	q := f.Quarantine
	if q == nil {
		return nil
	}
	c := condition{
		Key: string(Quarantine), Event: Quarantine, Cause: q.Cause, Since: q.Since, Text: q.Reason,
		Steps: []string{"rootly-idp-sync doctor", "rootly-idp-sync status"},
	}
	c.add("in quarantine since", clock(q.Since))
	c.add("next cycle", clock(q.Next))
	c.add("last good cycle", clock(f.LastGood))
	return []condition{c}
}

// refusals are told by the quarantine where it says the same.
func (f Facts) refusals() []condition {
	var out []condition
	for _, r := range f.Refusals {
		out = append(out, condition{
			Key: key(CredentialsRefused, r.Side), Event: CredentialsRefused, Text: r.Side + ": " + r.Error,
			Steps: []string{"rootly-idp-sync doctor"},
			quiet: f.Quarantine != nil && f.Quarantine.Cause == "credentials",
		})
	}
	return out
}

// stale is told by a quarantine or a refusal while there is one: that is the reason of it, and reminds of itself.
func (f Facts) stale(now, base time.Time, after time.Duration) []condition {
	last := f.LastGood
	if last.IsZero() {
		last = base
	}
	if after <= 0 || now.Sub(last) < after {
		return nil
	}
	c := condition{
		Key: string(NoGoodCycle), Event: NoGoodCycle, Since: last,
		Text:  fmt.Sprintf("The last good cycle was %s ago.", span(now.Sub(last))),
		Steps: []string{"rootly-idp-sync status", "rootly-idp-sync doctor"},
		quiet: f.Quarantine != nil || len(f.Refusals) > 0,
	}
	if f.LastGood.IsZero() {
		c.Text = fmt.Sprintf("There has been no good cycle in %s.", span(now.Sub(last)))
	}
	if f.Error != "" {
		c.Text += " The last one ended with: " + f.Error
	}
	c.add("last good cycle", clock(f.LastGood))
	c.add("told after", span(after))
	return []condition{c}
}

func (f Facts) planned() []condition {
	var out []condition
	for _, set := range f.Held {
		if set.Approved.IsZero() {
			out = append(out, f.held(set))
		}
	}
	for _, l := range f.OnCall {
		c := l.condition(OnCallHeld)
		if !l.Until.IsZero() {
			c.add("held no longer than", clock(l.Until)+", "+l.UserName)
		}
		c.add("people managed", count(f.Managed))
		out = append(out, c)
	}
	for _, l := range f.Released {
		c := l.condition(OnCallReleased)
		c.Key, c.once, c.ends = key(OnCallReleased, l.ID+" "+l.Until.UTC().Format(time.RFC3339)), true, key(OnCallHeld, l.ID)
		out = append(out, c)
	}
	for _, w := range f.Writers {
		out = append(out, condition{
			Key: key(AnotherWriter, string(w.Object.Kind)+" "+cmp.Or(w.Object.Source, w.Object.Target)+" "+w.What), Event: AnotherWriter,
			Items: []string{fmt.Sprintf("%s of %s %s, turned back in %s", w.What, w.Object.Kind, w.Object.Name, plural(w.Times, "cycle", "cycles"))},
			Steps: []string{"rootly-idp-sync explain " + argument(w.Object.Name)},
		})
	}
	if f.APIKeyError != "" {
		out = append(out, condition{
			Key: string(APIKeyRefused), Event: APIKeyRefused, Text: f.APIKeyError, Steps: []string{"rootly-idp-sync doctor"},
		})
	}
	return out
}

func (f Facts) held(set reconcile.HeldSet) condition {
	c := condition{
		Key: key(RemovalsHeld, set.Fingerprint), Event: RemovalsHeld, Since: set.Created, Text: set.Reason, Count: len(set.Items),
		Steps: []string{"rootly-idp-sync approve " + argument(set.Fingerprint)},
	}
	for _, item := range set.Items {
		c.Items = append(c.Items, item.Name)
	}
	c.add(string(set.Axis)+" held", count(len(set.Items)))
	c.add("people managed", count(f.Managed))
	c.add("an approval is carried out", clock(f.NextApproval))
	return c
}

func (l Leaver) condition(e Event) condition {
	item := l.UserName
	if l.Schedule != "" {
		item += ", on call for " + l.Schedule
	}
	return condition{
		Key: key(e, l.ID), Event: e, Items: []string{item}, Steps: []string{"rootly-idp-sync explain " + argument(l.UserName)},
	}
}

func (c *condition) add(name, value string) {
	if value != "" {
		c.Facts = append(c.Facts, Pair{name, value})
	}
}

// tidy makes every text one visible line of bounded length: names come from outside, and a line break in one must not
// begin a header or a line of ours.
func (c *condition) tidy() {
	c.Count = max(c.Count, len(c.Items))
	c.Items = c.Items[:min(len(c.Items), mostItems)]
	c.Text = line(c.Text, mostText)
	for _, list := range [][]string{c.Items, c.Steps} {
		for i := range list {
			list[i] = line(list[i], 200)
		}
	}
	for i := range c.Facts {
		c.Facts[i].Value = line(c.Facts[i].Value, 200)
	}
}

func key(e Event, of string) string { return string(e) + "/" + of }

// line is a text on one visible line, shortened if it must be.
func line(s string, most int) string {
	s = reconcile.Visible(strings.Join(strings.Fields(s), " "))
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// argument is a name as a shell reads it.
func argument(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@._+-:", r)
	}
	if s != "" && !slices.ContainsFunc([]rune(s), func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// span is a duration as people say it.
func span(d time.Duration) string {
	switch d = d.Round(time.Minute); {
	case d >= 48*time.Hour:
		return plural(int(d/(24*time.Hour)), "day", "days")
	case d >= time.Hour && d%time.Hour != 0:
		return plural(int(d/time.Hour), "hour", "hours") + " " + plural(int(d%time.Hour/time.Minute), "minute", "minutes")
	case d >= time.Hour:
		return plural(int(d/time.Hour), "hour", "hours")
	}
	return plural(int(d/time.Minute), "minute", "minutes")
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
