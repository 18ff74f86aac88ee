package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newDemo() *cobra.Command {
	var serve bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Sync a simulated company on this machine; no account needed",
		Long: `Starts a simulated company on loopback, an Okta org with about 300 people and 25 groups and a strict
SCIM server that stands in for Rootly, and syncs it for two days: plan, apply, plan again. The connector,
the SCIM client, the store and the guard are the real ones. Nothing leaves this machine.

With --serve the company stays up instead, for trying the commands on it.
` + exitHelp + `0 done; 1 failed.`,
		Example: `  rootly-idp-sync demo
  rootly-idp-sync demo --serve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			dir, err := os.MkdirTemp("", "rootly-idp-sync-demo-")
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			d, err := startDemo(dir)
			if err != nil {
				return errors.Join(fmt.Errorf("demo: %w", err), os.RemoveAll(dir))
			}
			defer func() { err = errors.Join(err, d.close(), os.RemoveAll(dir)) }()
			a.flags.output = formatText
			if serve {
				return a.serveDemo(cmd.Context(), d)
			}
			return a.playDemo(cmd.Context(), d)
		},
	}
	cmd.Flags().BoolVar(&serve, "serve", false, "leave the company up until interrupted")
	return cmd
}

// A demo is the simulated company, a server by which it is told to go on, and the configuration that joins both sides.
type demo struct {
	sim     *sim.Sim
	ends    sim.Endpoints
	control *sim.Server
	config  string
}

// demoLatency is what an answer of the simulated Rootly takes: enough to watch the bar move.
const demoLatency = 50 * time.Millisecond

func startDemo(dir string) (*demo, error) {
	d := &demo{
		sim:    sim.New(sim.Config{Seed: 7, SCIM: sim.RootlyLike(), LogLimit: 1}),
		config: filepath.Join(dir, "rootly-idp-sync.yaml"),
	}
	if err := d.furnish(); err != nil {
		return nil, err
	}
	d.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(demoLatency)})
	var err error
	if d.ends, err = d.sim.Start(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /next-day", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, strings.Join(d.nextDay(), "\n"))
	})
	if d.control, err = sim.Serve(mux); err == nil {
		err = os.WriteFile(d.config, []byte(d.yaml()), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// furnish puts into Rootly what is there before the first sync: one person who is to be found and taken over, and one
// whom the directory does not know and who is to be left alone.
func (d *demo) furnish() error {
	for _, p := range d.sim.Company.People() {
		if p.Assigned && p.Status == sim.StatusActive {
			_, err := d.sim.SCIM.AddUser(sim.SCIMUser{UserName: p.Login, DisplayName: "made by hand", Active: true})
			if err != nil {
				return err
			}
			break
		}
	}
	_, err := d.sim.SCIM.AddUser(sim.SCIMUser{UserName: "contractor@elsewhere.example", DisplayName: "Not in Okta", Active: true})
	return err
}

func (d *demo) yaml() string {
	return `# The configuration of the demo. It works while the demo runs.
source:
  okta:
    org_url: ` + strconv.Quote(d.ends.OktaURL) + `
    api_token: ` + strconv.Quote(d.ends.OktaToken) + `
    app_id: ` + strconv.Quote(d.ends.AppID) + `
scope:
  mode: assigned
groups:
  push: ["oncall-*", "eng-*"]
target:
  url: ` + strconv.Quote(d.ends.SCIMURL) + `
  token: ` + strconv.Quote(d.ends.SCIMToken) + `
  max_rate: 0 # no pacing: this server is ours
`
}

func (d *demo) close() error {
	err := d.sim.Close()
	if d.control != nil {
		err = errors.Join(err, d.control.Close())
	}
	return err
}

// nextDay lets a day pass in the company, and somebody edit Rootly by hand.
func (d *demo) nextDay() []string {
	told := d.sim.Company.NextDay()
	for _, u := range d.sim.SCIM.Users() {
		if u.Active && u.ExternalID != "" {
			err := d.sim.SCIM.EditUser(u.ID, func(u *sim.SCIMUser) { u.DisplayName = "Edited By Hand" })
			if err == nil {
				told = append(told, fmt.Sprintf("somebody edits the name of %s by hand in Rootly", u.UserName))
			}
			break
		}
	}
	return told
}

// shownInDemo is how many lines of a kind the first, long plan has.
const shownInDemo = 5

// playDemo tells the story on standard output: it is the result here.
func (a *app) playDemo(ctx context.Context, d *demo) error {
	a.flags.config = d.config
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	err = a.twoDays(ctx, d, p)
	return errors.Join(err, p.close())
}

func (a *app) twoDays(ctx context.Context, d *demo, p *pipeline) error {
	a.say("A company of %d people works in Okta (%s).", len(d.sim.Company.People()), d.ends.OktaURL)
	a.say("Its Rootly (%s) is all but empty. Both are simulated; everything between them is real.", d.ends.SCIMURL)

	a.heading("1. What would the first sync do?   rootly-idp-sync plan")
	plan, err := p.plan(ctx, a.now(), "")
	if err != nil {
		return err
	}
	if err := a.show(plan, reconcile.TextOptions{Limit: shownInDemo}); err != nil {
		return err
	}

	a.heading("2. Apply it.   rootly-idp-sync sync")
	if err := a.applyInDemo(ctx, p); err != nil {
		return err
	}

	a.heading("3. A second plan is empty.   rootly-idp-sync plan")
	if err := a.expectEmpty(ctx, p); err != nil {
		return err
	}

	a.heading("4. A day passes.")
	for _, event := range d.nextDay() {
		a.say("  %s", event)
	}

	a.heading("5. Every change says why.   rootly-idp-sync plan")
	if plan, err = p.plan(ctx, a.now(), ""); err != nil {
		return err
	}
	if err := a.show(plan, reconcile.TextOptions{}); err != nil {
		return err
	}

	a.heading("6. Apply that.   rootly-idp-sync sync")
	if err := a.applyInDemo(ctx, p); err != nil {
		return err
	}
	if err := a.expectEmpty(ctx, p); err != nil {
		return err
	}

	a.heading("Next, with your own directory:")
	a.say(`  rootly-idp-sync init       write a configuration (Okta, or CSV and JSON files)
  rootly-idp-sync doctor     prove that both sides can be read
  rootly-idp-sync plan       see what a sync would change; nothing is written
or try the commands on this company: rootly-idp-sync demo --serve`)
	return nil
}

func (a *app) applyInDemo(ctx context.Context, p *pipeline) error {
	bar := a.newProgress()
	report, err := p.cycle(ctx, a.now, cycleOptions{progress: bar.step})
	bar.end()
	if err != nil {
		return err
	}
	return a.show(report, reconcile.TextOptions{Brief: true})
}

func (a *app) expectEmpty(ctx context.Context, p *pipeline) error {
	plan, err := p.plan(ctx, a.now(), "")
	if err != nil {
		return err
	}
	if err := a.show(plan, reconcile.TextOptions{}); err != nil {
		return err
	}
	if !plan.Empty() {
		return errors.New("the plan after a sync is not empty: this is a defect, please report it with the output above")
	}
	return nil
}

func (a *app) serveDemo(ctx context.Context, d *demo) error {
	a.heading("The company is up. In another terminal:")
	a.say("  export ROOTLY_IDP_SYNC_CONFIG=%s", d.config)
	a.say(`  rootly-idp-sync doctor
  rootly-idp-sync sources inspect
  rootly-idp-sync plan
  rootly-idp-sync sync
  rootly-idp-sync status
  curl -X POST %s/next-day     # a day passes; then plan and sync again`, d.control.URL)
	a.say("\nInterrupt (Ctrl-C) to stop.")
	<-ctx.Done()
	return nil
}

func (a *app) heading(s string) {
	if a.palette.Strong != nil {
		s = a.palette.Strong(s)
	}
	fmt.Fprintf(a.Out, "\n%s\n\n", s)
}

func (a *app) say(format string, args ...any) { fmt.Fprintf(a.Out, format+"\n", args...) }
