package app

import (
	"context"
	"fmt"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// demoSchedule is on whose shift somebody leaves the company.
const demoSchedule = "Payments primary"

// A demoShift is the shift of somebody who has left, and who could take it over.
type demoShift struct{ leaver, cover string }

// active are the logins of everybody who works in the company.
func (d *demo) active() map[string]bool {
	out := map[string]bool{}
	for _, p := range d.sim.Company.People() {
		out[p.Login] = p.Status == sim.StatusActive
	}
	return out
}

// onCall lets the first of those who left on this day be in the middle of a shift.
func (d *demo) onCall(before map[string]bool) (told []string) {
	after := d.active()
	var shift demoShift
	for _, p := range d.sim.Company.People() {
		u, ok := d.sim.SCIM.User(p.Login)
		switch {
		case !ok || !u.Active:
		case before[p.Login] && !after[p.Login] && shift.leaver == "":
			shift.leaver = p.Login
		case after[p.Login] && shift.cover == "":
			shift.cover = p.Login
		}
	}
	if shift.leaver == "" || shift.cover == "" {
		return nil // nobody left, or nobody has an account yet
	}
	if d.shift == (demoShift{}) {
		if err := d.sim.Rootly.AddSchedule(demoSchedule, shift.leaver, shift.cover); err != nil {
			return nil
		}
	}
	starts := time.Now().Truncate(time.Hour)
	ends := starts.Add(12 * time.Hour)
	if err := d.sim.Rootly.AddShift(demoSchedule, shift.leaver, starts, ends); err != nil {
		return nil
	}
	d.shift = shift
	return []string{fmt.Sprintf("%s is in the middle of a shift in Rootly: %s until %s", shift.leaver, demoSchedule, stamp(ends))}
}

// handOver gives the leaver's shift to a colleague.
func (d *demo) handOver() string {
	if err := d.sim.Rootly.Cover(demoSchedule, d.shift.leaver, d.shift.cover); err != nil {
		return "nobody who left is on call"
	}
	return fmt.Sprintf("%s takes over the shift of %s", d.shift.cover, d.shift.leaver)
}

// coverInDemo tells the end of the hold.
func (a *app) coverInDemo(ctx context.Context, d *demo, p *pipeline) error {
	a.heading("7. Somebody takes over the shift.   rootly-idp-sync sync")
	a.say("  %s\n", d.handOver())
	plan, err := p.plan(ctx, a.now())
	if err != nil {
		return err
	}
	if err := a.show(plan, reconcile.TextOptions{}); err != nil {
		return err
	}
	if err := a.applyInDemo(ctx, p); err != nil {
		return err
	}
	return a.expectEmpty(ctx, p)
}
