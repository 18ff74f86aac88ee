package app

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/notify"
)

func TestTheConfigurationKnowsEveryEvent(t *testing.T) {
	known, have := events(config.NotifyEvents), notify.Events()
	slices.Sort(known)
	slices.Sort(have)
	if diff := cmp.Diff(have, known); diff != "" {
		t.Errorf("events (-notify +config):\n%s", diff)
	}
}

func TestEveryChannelOfTheConfigurationIsOpened(t *testing.T) {
	address := config.NewSecret("https://hooks.acme.example/x")
	cfg := config.Default()
	cfg.Rootly.APIKey = config.NewSecret("key")
	cfg.Notify = config.Notify{
		Email:   &config.NotifyEmail{Host: "mail.acme.example", From: "a@acme.example", To: []string{"b@acme.example"}},
		Slack:   &config.NotifySlack{URL: address},
		Webhook: &config.NotifyWebhook{URL: address, Secret: config.NewSecret("0123456789abcdef")},
		Rootly:  &config.NotifyRootly{},
	}
	a := &app{log: slog.New(slog.DiscardHandler)}
	n, err := a.openNotifier(cfg, "acme", nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range n.Status() {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"email", "slack", "webhook", "rootly"}, names); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
}
