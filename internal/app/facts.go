package app

import (
	"context"
	"errors"
	"net/http"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/notify"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// teller is the daemon's way to people.
func (a *app) teller(p *pipeline) (func(ctx context.Context, e daemon.Ended), error) {
	n, err := a.openNotifier(p.cfg, p.source.Tenant()+" → "+p.cfg.Target.URL, p.memory)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, e daemon.Ended) {
		n.Observe(ctx, factsOf(e, p.source.Tenant()), e.At)
	}, nil
}

// factsOf are what a cycle that ended says about how things are.
func factsOf(e daemon.Ended, directory string) notify.Facts {
	plan := e.Report.Plan
	f := notify.Facts{
		Planned: !plan.At.IsZero(), Managed: plan.Counts.Managed, NextApproval: e.Next,
		Quarantine: e.Quarantine, LastGood: e.LastGood, Reload: e.Reload,
	}
	for _, s := range plan.Sets {
		if s.Axis != reconcile.AxisOnCall { // told below, by person
			f.Held = append(f.Held, s)
		}
	}
	for _, o := range plan.Objections {
		if o.Axis != reconcile.AxisOnCall {
			f.Objections = append(f.Objections, o)
		}
	}
	if o := plan.OnCall; o != nil {
		f.OnCall, f.Released = leaversOf(o.Held), leaversOf(o.Released)
		if o.Refused {
			f.APIKeyError = o.Error
		}
	}
	for _, c := range plan.Contested() {
		f.Writers = append(f.Writers, notify.Contested{Object: c.Object, What: c.What, Times: c.Times})
	}
	if e.Err != nil {
		f.Error = e.Err.Error()
	}
	if e, ok := errors.AsType[*scimclient.Error](e.Err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
		f.Refusals = append(f.Refusals, notify.Refusal{Side: "Rootly", Error: e.Error()})
	}
	if e, ok := errors.AsType[*connectors.Error](e.Err); ok && e.Unauthorized() {
		f.Refusals = append(f.Refusals, notify.Refusal{Side: directory, Error: e.Error()})
	}
	return f
}

func leaversOf(held []reconcile.OnCallHold) []notify.Leaver {
	var out []notify.Leaver
	for _, h := range held {
		out = append(out, notify.Leaver{ID: h.Object.Source, UserName: h.Object.Name, Schedule: h.Schedule, Until: h.Until})
	}
	return out
}
