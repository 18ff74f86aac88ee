package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/notify"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func (a *app) newNotify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notify",
		Short: "Try the channels that the daemon speaks up on",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.newNotifyTest())
	return cmd
}

func (a *app) newNotifyTest() *cobra.Command {
	var channel, event string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test message to each channel and say what became of it",
		Long: `Sends a message that is marked as a test, about made-up people, to each channel of the configuration, and says
what became of it and what to do if it was not taken. An alert in Rootly pages like a real one.

The events are ` + strings.Join(config.NotifyEvents, ", ") + `.
` + exitHelp + `0 every message was taken; 1 one was not.`,
		Example: `  rootly-idp-sync notify test
  rootly-idp-sync notify test --channel slack --event removals_held`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := a.load()
			if err != nil {
				return err
			}
			n, err := a.openNotifier(cfg, sourceName(cfg.Source)+" → "+cfg.Target.URL, nil)
			if err != nil {
				return err
			}
			deliveries, err := n.Test(cmd.Context(), channel, notify.Event(event), a.now())
			if err != nil {
				return fmt.Errorf("notify test: %w", err)
			}
			p := trialPage(deliveries)
			if err := a.show(p, reconcile.TextOptions{}); err != nil {
				return err
			}
			for _, d := range deliveries {
				if d.Err != nil {
					return exitFailed
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "only this channel, told of the event or not: email, slack, webhook or rootly")
	cmd.Flags().StringVar(&event, "event", string(notify.Quarantine), "what the message is about")
	return cmd
}

// A trial is what became of one test message.
type trial struct {
	Channel string `json:"channel"`
	Result  string `json:"result"` // "taken", "not sent", "failed"
	ID      string `json:"id,omitempty"`
	Error   string `json:"error,omitempty"`
}

func trialPage(deliveries []notify.Delivery) page {
	var s pageSection
	data := []trial{}
	taken := 0
	for _, d := range deliveries {
		t := trial{Channel: d.Channel, Result: "taken", ID: d.ID}
		mark, text := "✓", "taken; look whether it arrived"
		switch {
		case d.Skipped:
			t.Result, mark, text = "not sent", "-", "not sent: the channel is not told of this event (--channel "+d.Channel+" sends it all the same)"
		case d.Err != nil:
			t.Result, t.Error, mark, text = "failed", d.Err.Error(), "✗", strings.ReplaceAll(d.Err.Error(), "\n", "; ")
		default:
			taken++
		}
		data = append(data, t)
		s.rows = append(s.rows, []string{mark, d.Channel, text})
	}
	return page{title: fmt.Sprintf("%d of %s taken", taken, plural(len(deliveries), "test message", "test messages")), sections: []pageSection{s}, data: data}
}

// pageOf is the address of the configuration's page, "" when it cannot be reached from outside.
func pageOf(cfg *config.Config) string {
	if cfg.HTTP.PublicURL == "" || cfg.Pipeline == "" {
		return cfg.HTTP.PublicURL
	}
	return cfg.HTTP.PublicURL + "/p/" + cfg.Pipeline
}

// openNotifier makes the notifier of the configuration; sync names what is synced to the readers of its messages. It sends
// nothing. Without a memory it remembers for the life of the process.
func (a *app) openNotifier(cfg *config.Config, sync string, memory notify.Memory) (*notify.Notifier, error) {
	o := notify.Options{Sync: sync, StaleAfter: cfg.Stale(), PublicURL: pageOf(cfg), Memory: memory, Log: a.log}
	if cfg.Notify.CAFile != "" {
		roots, err := authorities(cfg.Notify.CAFile)
		if err != nil {
			return nil, fmt.Errorf("notify.ca_file: %w", err)
		}
		o.RootCAs = roots
	}
	if e := cfg.Notify.Email; e != nil {
		o.Email = &notify.Email{
			Host: e.Host, Port: e.Port, Security: notify.Security(e.Security), Username: e.Username, Password: e.Password.Reveal,
			From: e.From, To: e.To, Events: events(e.Events),
		}
	}
	if s := cfg.Notify.Slack; s != nil {
		o.Slack = &notify.Slack{URL: s.URL.Reveal, Events: events(s.Events)}
	}
	if w := cfg.Notify.Webhook; w != nil {
		o.Webhook = &notify.Webhook{URL: w.URL.Reveal, Secret: w.Secret.Reveal, Events: events(w.Events)}
	}
	if r := cfg.Notify.Rootly; r != nil {
		o.Rootly = &notify.Rootly{
			APIURL: cfg.Rootly.APIURL, APIKey: cfg.Rootly.APIKey.Reveal, TargetType: r.TargetType, TargetID: r.TargetID,
			UrgencyID: r.UrgencyID, Events: events(r.Events),
		}
	}
	return notify.New(o)
}

func events(words []string) []notify.Event {
	var out []notify.Event
	for _, w := range words {
		out = append(out, notify.Event(w))
	}
	return out
}
