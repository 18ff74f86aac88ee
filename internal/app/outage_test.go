package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/notify"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A roster is a directory of twelve people, which may be down.
type roster struct{ down atomic.Pointer[error] }

func (*roster) Name() string   { return "file" }
func (*roster) Tenant() string { return "file:staff" }

func (r *roster) Fetch(context.Context) (connectors.Snapshot, error) {
	if err := r.down.Load(); err != nil {
		return connectors.Snapshot{}, *err
	}
	var users []connectors.User
	for i := range 12 {
		name := fmt.Sprintf("u%02d", i)
		users = append(users, connectors.User{ID: connectors.UserID(name), UserName: name + "@acme.example", Email: name + "@acme.example", Status: connectors.StatusActive})
	}
	return connectors.NewSnapshot(users, nil)
}

// TestADirectoryThatIsDownForADay: nobody loses anything, and whoever is to know is told once that it went and once that it
// is back, whatever was wrong with it.
func TestADirectoryThatIsDownForADay(t *testing.T) {
	for name, tc := range map[string]struct {
		down error
		want []string
	}{
		"unreachable": {&connectors.Error{Directory: "file", Step: "listing people", Err: connectors.ErrUnreachable}, []string{"first quarantine", "recovered quarantine"}},
		"in trouble":  {errors.New("listing people: deadline exceeded"), []string{"first no_good_cycle", "recovered no_good_cycle"}},
	} {
		t.Run(name, func(t *testing.T) {
			// The channels need sockets, which do not exist where time is virtual: they are told afterwards what the
			// daemon would have told them, in its order and with its times.
			var told []daemon.Ended
			synctest.Test(t, func(t *testing.T) { told = dayWithout(t, tc.down) })
			if diff := cmp.Diff(tc.want, delivered(t, told)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// dayWithout runs the daemon on a directory that goes down for a day and comes back, and returns what each cycle has to tell.
func dayWithout(t *testing.T, down error) []daemon.Ended {
	s := sim.New(sim.Config{Seed: 1, People: -1, Groups: -1, SCIM: sim.RootlyLike()})
	ends, transport := s.InProcess()
	target, err := scimclient.New(scimclient.Options{BaseURL: ends.SCIMURL, Token: func() string { return ends.SCIMToken }, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	rules, err := reconcile.Compile(reconcile.RuleOptions{Directory: "file", Mode: connectors.ScopeAll})
	if err != nil {
		t.Fatal(err)
	}
	a := &app{now: time.Now, log: slog.New(slog.DiscardHandler)}
	source := &roster{}
	line := &pipeline{
		cfg: &config.Config{
			Mode: config.ModeApply, Schedule: "@every 40m", TimeZone: "UTC", RunAtStart: true, Grace: config.Duration(25 * time.Second),
			Target: config.Target{URL: ends.SCIMURL, Concurrency: 4}, OnCall: config.OnCall{Policy: config.OnCallIgnore},
		},
		rules: rules, source: source, target: target, memory: store.NewMemory(time.Now), log: a.log,
	}
	var told []daemon.Ended
	d := daemon.New(daemon.Options{Env: func(string) string { return "" }, Load: func(context.Context) (*daemon.Setup, []string, error) {
		setup, err := a.setup(line, "test")
		if err == nil {
			setup.Notify = func(_ context.Context, e daemon.Ended) { told = append(told, e) }
		}
		return setup, nil, err
	}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	pass := func(by time.Duration) {
		time.Sleep(by)
		synctest.Wait()
	}
	pass(time.Minute)
	writes := s.Log.CountWrites()
	if writes != 12 {
		t.Errorf("%d people were created, want 12", writes)
	}
	source.down.Store(&down)
	pass(24 * time.Hour)
	source.down.Store(nil)
	pass(25 * time.Hour)
	if n := s.Log.CountWrites() - writes; n != 0 {
		t.Errorf("%d writes followed", n)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	return told
}

// delivered are the messages that reach a webhook for cycles that ended, one notifier a cycle, as after a restart.
func delivered(t *testing.T, cycles []daemon.Ended) (messages []string) {
	var mu sync.Mutex
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m notify.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		messages = append(messages, fmt.Sprintf("%s %s", m.Phase, m.Event))
	}))
	defer hook.Close()
	a := &app{log: slog.New(slog.DiscardHandler)}
	cfg := &config.Config{Schedule: "@every 40m"}
	cfg.Notify.Webhook = &config.NotifyWebhook{URL: config.NewSecret(hook.URL), Secret: config.NewSecret("shared")}
	memory := store.NewMemory(nil)
	for _, e := range cycles {
		n, err := a.openNotifier(cfg, "staff → Rootly", memory)
		if err != nil {
			t.Fatal(err)
		}
		n.Observe(t.Context(), factsOf(e, "file:staff"), e.At)
	}
	return messages
}
