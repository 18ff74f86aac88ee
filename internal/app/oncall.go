package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/rootly"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/web"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// openRootly is Rootly's REST API, nil when nobody is to be asked about.
func (a *app) openRootly(cfg *config.Config, log *slog.Logger) (*rootly.Client, error) {
	if !cfg.AsksRootly() {
		return nil, nil
	}
	o := rootly.Options{
		BaseURL: cfg.Rootly.APIURL, APIKey: cfg.Rootly.APIKey.Reveal, Log: log.With("side", "rootly api"),
		UserAgent: "rootly-idp-sync/" + readBuild().Version,
	}
	if cfg.Target.CAFile != "" {
		t, err := trusting(cfg.Target.CAFile)
		if err != nil {
			return nil, fmt.Errorf("target.ca_file: %w", err)
		}
		o.Transport = t
	}
	o.Transport = a.watched(web.SideRootly, o.Transport)
	return rootly.New(o)
}

// openPager is what the planner asks about leavers. A nil client must not become an interface that is not nil.
func (a *app) openPager(cfg *config.Config, log *slog.Logger) (reconcile.Pager, error) {
	c, err := a.openRootly(cfg, log)
	if c == nil || err != nil {
		return nil, err
	}
	return c, nil
}

func onCallRules(o config.OnCall) reconcile.OnCallOptions {
	return reconcile.OnCallOptions{
		Policy: reconcile.OnCallPolicy(o.Policy), Horizon: o.Horizon.Std(),
		HoldDisabled: o.HoldMax.Disabled.Std(), HoldOther: o.HoldMax.Other.Std(), Urgent: o.Urgent,
	}
}

// onCallState says in a line what is asked about leavers.
func onCallState(cfg *config.Config) string {
	switch {
	case cfg.OnCall.Policy == config.OnCallIgnore:
		return "off: on_call.policy is ignore"
	case cfg.Rootly.APIKey.IsZero():
		return "off: rootly.api_key is not set, so nobody who leaves is looked up"
	case cfg.OnCall.Policy == config.OnCallWarn:
		return "who leaves while on call is shown, and goes"
	}
	return "who leaves while on call is held"
}

// noteUnasked says of a plan with leavers that nobody knows whether they are on call.
func (a *app) noteUnasked(cfg *config.Config, p reconcile.Plan) {
	if cfg.AsksRootly() || cfg.OnCall.Policy == config.OnCallIgnore {
		return
	}
	for _, list := range [][]reconcile.Change{p.Changes, p.Held} {
		for _, c := range list {
			if c.Verb == reconcile.VerbDeactivate || c.Verb == reconcile.VerbDelete {
				a.note("note: whether those who leave are on call is not known: rootly.api_key is not set")
				return
			}
		}
	}
}

// examineRootly tries the API key with one small request.
func (a *app) examineRootly(ctx context.Context, cfg *config.Config, d *diagnosis) {
	const name = "Rootly: who is on call"
	c, err := a.openRootly(cfg, a.log)
	if c != nil && err == nil {
		err = c.Check(ctx)
	}
	d.add(name, onCallState(cfg), err)
}

// wantsWord refuses a yes that frees somebody who is on call without the word for it, and the word where nobody is.
func wantsWord(ctx context.Context, st *store.Store, fingerprint string, includeOnCall bool) error {
	set, err := st.Waiting(ctx, fingerprint)
	switch onCall := set.Axis == reconcile.AxisOnCall; {
	case err != nil:
		return err
	case onCall && !includeOnCall:
		return fmt.Errorf("set %s holds %s, who is paged by Rootly (%s): hand the shift over there, or %s", set.Fingerprint, set.Items[0].Name, set.Reason, set.Approval())
	case !onCall && includeOnCall:
		return fmt.Errorf("set %s holds nobody for being on call: approve it without --include-on-call; who of it is on call then waits in a set of their own", set.Fingerprint)
	}
	return nil
}
