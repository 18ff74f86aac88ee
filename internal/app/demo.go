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
	source := "okta"
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Sync a simulated company on this machine; no account needed",
		Long: `Starts a simulated company on loopback, a directory with about 300 people and 25 groups and a strict SCIM
server that stands in for Rootly, and syncs it for two days: plan, apply, plan again. The connector, the
SCIM client, the store and the guard are the real ones. Nothing leaves this machine. --source chooses
which directory the company has: okta, entra, google or keycloak.

With --serve the company stays up instead, for trying the commands on it.
` + exitHelp + `0 done; 1 failed.`,
		Example: `  rootly-idp-sync demo
  rootly-idp-sync demo --source google
  rootly-idp-sync demo --serve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := a.canDemo(source); err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "rootly-idp-sync-demo-")
			if err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			d, err := startDemo(dir, source)
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
	cmd.Flags().StringVar(&source, "source", source, "the company's directory: okta, entra, google or keycloak")
	return cmd
}

// canDemo tells whether the directory can be simulated and is linked into this binary.
func (a *app) canDemo(source string) error {
	if demoDirectories[source] == "" {
		return fmt.Errorf("there is no simulated company with the directory %q; choose okta, entra, google or keycloak", source)
	}
	if a.openers[source] == nil {
		return fmt.Errorf("this binary is built without the %s connector: use the released one, or make demo SOURCE=%s", source, source)
	}
	return nil
}

// demoDirectories are the directories that the simulated company can have, by their name for people.
var demoDirectories = map[string]string{"okta": "Okta", "entra": "Microsoft Entra", "google": "Google Workspace", "keycloak": "Keycloak"}

// A demo is the simulated company, a server by which it is told to go on, and the configuration that joins both sides.
type demo struct {
	source  string
	sim     *sim.Sim
	ends    sim.Endpoints
	control *sim.Server
	config  string
	shift   demoShift // of whoever left while on call
}

// demoLatency is what an answer of the simulated Rootly takes: enough to watch the bar move.
const demoLatency = 50 * time.Millisecond

func startDemo(dir, source string) (*demo, error) {
	d := &demo{
		source: source,
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
	mux.HandleFunc("POST /hand-over", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, d.handOver()) })
	if d.control, err = sim.Serve(mux); err == nil {
		err = d.writeConfig(dir)
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
	if err := d.foundRoleGroup(); err != nil {
		return err
	}
	_, err := d.sim.SCIM.AddUser(sim.SCIMUser{UserName: "contractor@elsewhere.example", DisplayName: "Not In The Directory", Active: true})
	return err
}

// foundRoleGroup gives the company a group whose members have more rights in Rootly.
func (d *demo) foundRoleGroup() error {
	g := sim.Group{Name: sim.RoleGroup}
	for _, p := range d.sim.Company.People() {
		if p.Assigned && p.Status == sim.StatusActive && len(g.Members) < 2 {
			g.Members = append(g.Members, p.Login)
		}
	}
	_, err := d.sim.Company.CreateGroup(g)
	return err
}

// writeConfig joins both sides in a configuration that works while the demo runs.
func (d *demo) writeConfig(dir string) error {
	q, mode := strconv.Quote, "assigned"
	var source string
	switch d.source {
	case "okta":
		source = "  okta:\n    org_url: " + q(d.ends.OktaURL) + "\n    api_token: " + q(d.ends.OktaToken) + "\n    app_id: " + q(d.ends.AppID)
	case "entra":
		source = "  entra:\n    tenant_id: " + q(d.ends.TenantID) + "\n    client_id: " + q(d.ends.ClientID) + "\n    client_secret: " + q(d.ends.ClientSecret) +
			"\n    app_id: " + q(d.ends.AppClientID) + "\n    graph_url: " + q(d.ends.GraphURL) + "\n    authority_url: " + q(d.ends.AuthorityURL)
	case "keycloak":
		source = "  keycloak:\n    url: " + q(d.ends.KeycloakURL) + "\n    realm: " + q(d.ends.KeycloakRealm) + "\n    client_id: " + q(d.ends.KeycloakClient) +
			"\n    client_secret: " + q(d.ends.KeycloakSecret) + "\n    client: " + q(sim.KeycloakApp)
	case "google":
		mode = "all" // Google has no application to be assigned to
		key := filepath.Join(dir, "google-key.json")
		if err := os.WriteFile(key, []byte(sim.GoogleKeyFile(d.ends.GoogleURL)), 0o600); err != nil {
			return err
		}
		source = "  google:\n    credentials_file: " + q(key) + "\n    subject: " + q(d.ends.GoogleAdmin) + "\n    endpoint: " + q(d.ends.GoogleURL)
	}
	return os.WriteFile(d.config, []byte(`# The configuration of the demo. It works while the demo runs.
source:
`+source+`
scope:
  mode: `+mode+`
groups:
  push: ["oncall-*", "eng-*", `+sim.RoleGroup+`]
  privileged: [`+sim.RoleGroup+`]
target:
  url: `+q(d.ends.SCIMURL)+`
  token: `+q(d.ends.SCIMToken)+`
  max_rate: 0 # no pacing: this server is ours
rootly:
  api_url: `+q(d.ends.RootlyURL)+`
  api_key: `+q(d.ends.RootlyAPIKey)+`
`), 0o600)
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
	before := d.active()
	told := d.sim.Company.NextDay()
	told = append(told, d.onCall(before)...)
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
	a.flags.config, a.directory = d.config, nil
	p, err := a.open(ctx)
	if err != nil {
		return err
	}
	err = a.twoDays(ctx, d, p)
	return errors.Join(err, p.close())
}

func (a *app) twoDays(ctx context.Context, d *demo, p *pipeline) error {
	url := map[string]string{"okta": d.ends.OktaURL, "entra": d.ends.GraphURL, "google": d.ends.GoogleURL, "keycloak": d.ends.KeycloakURL}[d.source]
	a.say("A company of %d people works in %s (%s).", len(d.sim.Company.People()), demoDirectories[d.source], url)
	a.say("Its Rootly (%s) is all but empty. Both are simulated; everything between them is real.", d.ends.SCIMURL)

	a.heading("1. What would the first sync do?   rootly-idp-sync plan")
	plan, err := p.plan(ctx, a.now())
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
	if plan, err = p.plan(ctx, a.now()); err != nil {
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
	if err := a.coverInDemo(ctx, d, p); err != nil {
		return err
	}

	a.heading("Next, with your own directory:")
	a.say(`  rootly-idp-sync init       write a configuration for your directory
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
	plan, err := p.plan(ctx, a.now())
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
  ROOTLY_IDP_SYNC_MODE=apply rootly-idp-sync run   # the daemon; its page is at http://127.0.0.1:8080
  curl -X POST %[1]s/next-day     # a day passes; then plan and sync again
  curl -X POST %[1]s/hand-over    # the shift of whoever left while on call is somebody else's`, d.control.URL)
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
