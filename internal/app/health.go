package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newHealth() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the daemon on this machine whether it does its work",
		Long: `Asks /readyz at health.listen of the configuration, or at --listen, and says what the daemon answers.
It is made for the HEALTHCHECK of a container.
` + exitHelp + `0 ready; 1 not, or no answer.`,
		Example: `  rootly-idp-sync health
  rootly-idp-sync health --listen :9000 --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("listen") {
				var err error
				if listen, err = a.healthListen(); err != nil {
					return err
				}
			}
			ready, err := askHealth(cmd.Context(), listen)
			if err != nil {
				return err
			}
			p := page{title: ready.Reason, data: ready}
			for _, one := range ready.Pipelines {
				p.sections = append(p.sections, pageSection{title: one.Pipeline, lines: []string{one.Reason}})
			}
			if ready.Ready && ready.Phase != daemon.PhaseStandby && ready.Pipelines == nil {
				p.title = fmt.Sprintf("ready: %s, next cycle %s", ready.Phase, stamp(ready.Next))
			}
			if err := a.show(p, reconcile.TextOptions{}); err != nil {
				return err
			}
			if !ready.Ready {
				return exitFailed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "the address to ask in place of health.listen")
	return cmd
}

// healthListen is the address of the configuration, also when other keys are wrong: the daemon may run with an older one.
func (a *app) healthListen() (string, error) {
	var cfg *config.Config
	var err error
	if a.directory != nil {
		cfg, err = a.directory.loaded()
	} else {
		cfg, _, err = a.readConfig()
	}
	if cfg == nil {
		return "", err
	}
	if cfg.Health.Listen == "" {
		return "", errors.New(`health.listen is "": the daemon answers no probes (give it an address)`)
	}
	return cfg.Health.Listen, nil
}

// healthTime is how long the daemon may take to answer.
const healthTime = 5 * time.Second

func askHealth(ctx context.Context, listen string) (daemon.Readiness, error) {
	var ready daemon.Readiness
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ready, fmt.Errorf("%q is no address (write :8081 or 127.0.0.1:8081)", listen)
	}
	// Who listens everywhere is asked at home.
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
		if err == nil && addr.Is6() {
			host = "::1"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return ready, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy
	answer, err := client.Do(r)
	if err != nil {
		return ready, fmt.Errorf("the daemon does not answer: %w (is it running?)", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(&ready); err != nil || ready.Reason == "" {
		return ready, fmt.Errorf("what answers at %s is not this daemon (%s)", listen, answer.Status)
	}
	return ready, nil
}
