package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func (a *app) newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Prove that the configuration, the state, the directory and Rootly are ready",
		Long: `Checks one thing after the other: the configuration, the state, each permission at the directory,
the SCIM address, the token, the API key if there is one. Whatever fails comes with what to do. Nothing is written to Rootly.
` + exitHelp + `0 everything is ready; 1 something is not.`,
		Example: `  rootly-idp-sync doctor --config acme.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, rules, err := a.load()
			if err != nil {
				return err
			}
			var d diagnosis
			d.add("configuration", "valid", nil)
			a.examine(cmd.Context(), cfg, rules, &d)
			if err := a.show(d.page(), reconcile.TextOptions{}); err != nil {
				return err
			}
			if d.failed() > 0 {
				return exitFailed
			}
			return nil
		},
	}
}

// checkTime bounds one side's checks, so that doctor answers also when a network swallows packets.
const checkTime = time.Minute

func (a *app) examine(ctx context.Context, cfg *config.Config, rules *reconcile.Rules, d *diagnosis) {
	ctx, cancel := context.WithTimeout(ctx, 2*checkTime)
	defer cancel()
	source, err := a.openSource(cfg, rules)
	if err != nil {
		d.add("directory", "", err)
	} else {
		a.examineStore(ctx, cfg, source, d)
		examineSource(ctx, source, d)
	}
	a.examineTarget(ctx, cfg, d)
	a.examineRootly(ctx, cfg, d)
	examineTracing(d)
}

func (a *app) examineStore(ctx context.Context, cfg *config.Config, source connectors.Connector, d *diagnosis) {
	const name = "state can be written"
	if cfg.State.None {
		d.add("state: none", "nothing is kept from run to run; removals: "+string(cfg.Removals), nil)
		return
	}
	st, err := a.openStore(ctx, cfg, source, false)
	if err != nil {
		d.add(name, "", err)
		return
	}
	h, err := st.Check(ctx)
	d.add(name, fmt.Sprintf("%s: %s and %s managed", h.Place, plural(h.Users, "person", "people"), plural(h.Groups, "group", "groups")),
		errors.Join(err, st.Close()))
	if err == nil {
		d.add("state database", stateLine(h), nil)
	}
}

// stateLine is what the store is and who works with it: "SQLite 3.50.1, schema 1, 4.2 MB, no run under way".
func stateLine(h store.Health) string {
	holder := "no run under way"
	if h.Holder != "" {
		holder = "in use by " + h.Holder
	}
	return fmt.Sprintf("%s, schema %d, %.1f MB, %s", h.Product, h.Schema, float64(h.Bytes)/1e6, holder)
}

func examineSource(ctx context.Context, source connectors.Connector, d *diagnosis) {
	checker, ok := source.(connectors.Checker)
	if !ok {
		snap, err := source.Fetch(ctx)
		d.add("read "+source.Tenant(), plural(len(snap.Users), "person", "people"), err)
		return
	}
	for _, c := range checker.Check(ctx) {
		d.add(source.Name()+": "+c.Name, c.Detail, c.Err)
	}
}

// examineTarget sends the same first request as a cycle and says which of the things it needs is missing.
func (a *app) examineTarget(ctx context.Context, cfg *config.Config, d *diagnosis) {
	const reach, token, sso = "Rootly: target.url can be reached", "Rootly: the token is accepted", "Rootly: SSO is set up, users can be listed"
	target, err := a.openTarget(cfg, a.log)
	if err != nil {
		d.add(reach, "", err)
		return
	}
	defer target.Close()
	err = target.Probe(ctx)
	refused, answered := errors.AsType[*scimclient.Error](err)
	switch {
	case err == nil:
		d.add(reach, cfg.Target.URL, nil)
		d.add(token, "", nil)
		d.add(sso, "", nil)
	case !answered:
		d.add(reach, "", err)
	case refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden:
		d.add(reach, cfg.Target.URL, nil)
		d.add(token, "", err)
	default:
		d.add(reach, cfg.Target.URL, nil)
		d.add(sso, "", err)
	}
}

// A diagnosis is what doctor found.
type diagnosis struct {
	Checks []finding `json:"checks"`
}

type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Error  string `json:"error,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

func (d *diagnosis) add(name, detail string, err error) {
	f := finding{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		f.Detail, f.Error, f.Remedy = "", err.Error(), remedy(err)
	}
	d.Checks = append(d.Checks, f)
}

func (d *diagnosis) failed() int {
	n := 0
	for _, f := range d.Checks {
		if !f.OK {
			n++
		}
	}
	return n
}

func (d *diagnosis) page() page {
	var s pageSection
	for _, f := range d.Checks {
		if f.OK {
			s.rows = append(s.rows, []string{"✓", f.Name, f.Detail})
			continue
		}
		s.rows = append(s.rows, []string{"✗", f.Name, f.Error})
		if f.Remedy != "" {
			s.rows = append(s.rows, []string{"", "", "→ " + f.Remedy})
		}
	}
	title := "Everything is ready. Next: rootly-idp-sync plan"
	if n := d.failed(); n > 0 {
		title = fmt.Sprintf("%s not ready", plural(n, "thing is", "things are"))
	}
	return page{title: title, sections: []pageSection{s}, data: d}
}
