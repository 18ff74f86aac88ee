package lab

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A drill is one disaster replayed: a company in line with its Rootly, to which something happens. Every law is judged
// throughout, as in the histories.
type drill struct {
	*testing.T
	w     *world
	start int // writes before the last call of from
}

// rehearse puts nine people and their groups in line, and lets happen what happens.
func rehearse(t *testing.T, happens func(d *drill)) {
	h := History{Seed: 7, Setup: Setup{
		Directory: "okta", People: 9, Mode: connectors.ScopeAssigned, Guard: reconcile.Limit{Share: 0.2, Count: 100, Floor: 2}, OnRemoved: reconcile.OnRemovedLeave,
	}}
	stage := NewRunner(Okta).Prepare(h)
	synctest.Test(t, func(t *testing.T) {
		d := &drill{T: t, w: stage.w}
		d.w.found()
		d.cycle()
		d.w.perform(deed{do: (*world).approve}, [3]uint32{^uint32(0)})
		d.cycle()
		d.quiet()
		happens(d)
	})
}

// cycle runs a cycle forty minutes on.
func (d *drill) cycle() {
	d.Helper()
	d.start = len(d.w.out.Writes)
	<-time.After(40 * time.Minute)
	d.w.cycle()
	if v := d.w.out.Violation; v != nil {
		d.Fatalf("%s: %s\n%s", v.Law, v.Text, strings.Join(d.w.out.Story, "\n"))
	}
}

// quiet runs a cycle that must have nothing to do.
func (d *drill) quiet() {
	d.Helper()
	d.cycle()
	if d.w.lastErr != nil || len(d.writes("")) > 0 || len(d.w.last.Plan.Changes) > 0 {
		d.Fatalf("not at rest: %v %v\n%s", d.w.lastErr, d.writes(""), strings.Join(d.w.out.Story, "\n"))
	}
}

// writes are those of the last cycle that begin with a word: "PATCH set", "POST create user".
func (d *drill) writes(prefix string) (out []string) {
	for _, line := range d.w.out.Writes[d.start:] {
		if strings.HasPrefix(line, prefix) {
			out = append(out, line)
		}
	}
	return out
}

// change does something in the directory or at the target, with both followed.
func (d *drill) change(f func() error) {
	d.Helper()
	d.w.perform(deed{do: func(*world, [3]uint32) string {
		if err := f(); err != nil {
			d.Fatal(err)
		}
		return ""
	}}, [3]uint32{})
}

// fault strikes every request of a phase in the next cycle, each so often.
func (d *drill) fault(phase Phase, kind string, often int) {
	d.w.armed = append(d.w.armed, armed{Cell: Cell{phase, kind}, often: often, fresh: true})
}

// employee is somebody in scope, by number.
func (d *drill) employee(n int) sim.Person {
	var in []sim.Person
	for _, p := range d.w.people() {
		if p.Assigned && p.Status == sim.StatusActive {
			in = append(in, p)
		}
	}
	return in[n]
}

// account is the account of somebody of the directory, with ok false when there is none.
func (d *drill) account(p sim.Person) (sim.SCIMUser, bool) {
	for _, u := range d.w.scim.Users() {
		if u.ExternalID == p.ID {
			return u, true
		}
	}
	return sim.SCIMUser{}, false
}

// active is how many accounts are active.
func (d *drill) active() (n int) {
	for _, u := range d.w.scim.Users() {
		if u.Active {
			n++
		}
	}
	return n
}

func (d *drill) want(what string, ok bool) {
	d.Helper()
	if !ok {
		d.Errorf("not so: %s\n%s", what, strings.Join(d.w.out.Story, "\n"))
	}
}

// held tells whether the last plan holds something on the axis.
func (d *drill) held(axis reconcile.Axis) bool {
	return slices.ContainsFunc(d.w.last.Plan.Objections, func(o reconcile.Objection) bool { return o.Axis == axis })
}

// noted tells whether the last plan has a note of the kind with the text.
func (d *drill) noted(kind reconcile.NoteKind, text string) bool {
	return slices.ContainsFunc(d.w.last.Plan.Notes, func(n reconcile.Note) bool { return n.Kind == kind && strings.Contains(n.Text, text) })
}

func (d *drill) ended(outcome reconcile.Outcome) int { return d.w.last.Count(outcome) }
