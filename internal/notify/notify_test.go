package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A book is a channel and a memory of tests.
type book struct {
	told   []string
	err    error
	panics bool // dies between a delivery and its record
	data   map[string][]byte
	lost   error // of the memory
	writes int
}

func (*book) Name() string { return "book" }

func (b *book) Send(_ context.Context, m Message) error {
	if b.err != nil {
		return b.err
	}
	b.told = append(b.told, fmt.Sprintf("%s %s (%d)", m.Phase, m.Event, m.Total()))
	if b.panics {
		panic("killed")
	}
	return nil
}

func (b *book) Recall(_ context.Context, key string) ([]byte, error) { return b.data[key], b.lost }

func (b *book) Remember(_ context.Context, key string, data []byte) error {
	if b.writes++; b.lost == nil {
		b.data[key] = bytes.Clone(data)
	}
	return b.lost
}

func (b *book) notifier(log *slog.Logger) *Notifier {
	n, err := New(Options{Memory: b, StaleAfter: 4 * time.Hour, Log: log})
	if err != nil {
		panic(err)
	}
	n.routes = []*route{{channel: b, status: ChannelStatus{Name: "book"}}}
	return n
}

func newBook() *book { return &book{data: map[string][]byte{}} }

// TestADayWithoutTheDirectory: one message when it goes, one when it is back, whatever else is true meanwhile.
func TestADayWithoutTheDirectory(t *testing.T) {
	b := newBook()
	n := b.notifier(nil)
	good := Facts{Planned: true, LastGood: start}
	n.Observe(t.Context(), good, start)
	down := Facts{LastGood: start, Error: "fetch okta: no answer", Quarantine: &reconcile.Quarantine{Since: start, Cause: "endpoint", Reason: "no answer"}}
	for i := range 23 {
		n.Observe(t.Context(), down, start.Add(time.Duration(i+1)*time.Hour))
		n = b.notifier(nil) // every hour another process
	}
	back := start.Add(day)
	n.Observe(t.Context(), Facts{Planned: true, LastGood: back}, back)
	if diff := cmp.Diff([]string{"first quarantine (0)", "recovered quarantine (0)"}, b.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAQuietSyncWritesNothing(t *testing.T) {
	b := newBook()
	n := b.notifier(nil)
	for i := range 50 {
		now := start.Add(time.Duration(i) * 40 * time.Minute)
		n.Observe(t.Context(), Facts{Planned: true, LastGood: now}, now)
	}
	if b.writes != 1 || len(b.told) > 0 {
		t.Errorf("%d writes, told %v", b.writes, b.told)
	}
}

func TestWhatCannotBeDeliveredIsTriedAgain(t *testing.T) {
	b := newBook()
	var log bytes.Buffer
	n := b.notifier(slog.New(slog.NewTextHandler(&log, nil)))
	b.err = errors.New("slack: answered 404")
	leaver := Facts{Planned: true, OnCall: []Leaver{{ID: "1", UserName: "a@acme.com"}}, LastGood: start}
	n.Observe(t.Context(), leaver, start)
	n.Observe(t.Context(), leaver, start.Add(time.Hour))
	want := []ChannelStatus{{Name: "book", Failing: start, Error: "slack: answered 404", Waiting: 1}}
	if diff := cmp.Diff(want, n.Status()); diff != "" || !strings.Contains(log.String(), "notification was not delivered") {
		t.Errorf("status (-want +got):\n%s\nlog: %s", diff, &log)
	}
	// Released while nobody could be told of either: the release is what counts, and it outlives the process.
	n.Observe(t.Context(), Facts{Planned: true, Released: leaver.OnCall, LastGood: start}, start.Add(2*time.Hour))
	b.err = nil
	n = b.notifier(nil)
	n.Observe(t.Context(), Facts{Planned: true, LastGood: start}, start.Add(3*time.Hour))
	if diff := cmp.Diff([]string{"first on_call_released (1)"}, b.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if s := n.Status()[0]; s.Error != "" || s.Waiting != 0 || !s.Sent.Equal(start.Add(3*time.Hour)) {
		t.Errorf("status %+v", s)
	}
}

func TestACrashRepeatsAndNeverLoses(t *testing.T) {
	b := newBook()
	held := Facts{Planned: true, LastGood: start, Held: []reconcile.HeldSet{{Fingerprint: "abc", Items: make([]reconcile.HeldItem, 35)}}}
	observe := func(f Facts, now time.Time) {
		defer func() { _ = recover() }()
		b.notifier(nil).Observe(t.Context(), f, now)
	}
	b.panics = true
	observe(held, start)
	b.panics = false
	observe(held, start.Add(time.Minute))
	observe(held, start.Add(2*time.Minute))
	b.panics = true
	observe(Facts{Planned: true, LastGood: start}, start.Add(3*time.Minute))
	b.panics = false
	observe(Facts{Planned: true, LastGood: start}, start.Add(4*time.Minute))
	want := []string{"first removals_held (35)", "first removals_held (35)", "recovered removals_held (35)", "recovered removals_held (35)"}
	if diff := cmp.Diff(want, b.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAMemoryThatFailsSilencesNobodyAndIsNotOverwritten(t *testing.T) {
	b := newBook()
	held := func(fingerprint string) Facts {
		return Facts{Planned: true, LastGood: start, Held: []reconcile.HeldSet{{Fingerprint: fingerprint}}}
	}
	b.notifier(nil).Observe(t.Context(), held("old"), start)
	n := b.notifier(nil)
	b.lost = errors.New("disk full")
	n.Observe(t.Context(), held("new"), start.Add(time.Minute))
	n.Observe(t.Context(), held("new"), start.Add(2*time.Minute))
	b.lost = nil
	n.Observe(t.Context(), held("new"), start.Add(3*time.Minute))
	want := []string{"first removals_held (0)", "first removals_held (0)", "recovered removals_held (0)"}
	if diff := cmp.Diff(want, b.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	n = b.notifier(nil)
	b.data["notify/book"] = []byte("{torn")
	n.Observe(t.Context(), held("new"), start.Add(4*time.Minute))
	if got := b.told[len(b.told)-1]; len(b.told) != 4 || got != want[0] {
		t.Errorf("after a torn record %q", b.told)
	}
}

func TestChannelsGetTheirEvents(t *testing.T) {
	b := newBook()
	n := b.notifier(nil)
	n.routes[0].events = []Event{ReloadRefused}
	n.Observe(t.Context(), Facts{Reload: "bad", Quarantine: &reconcile.Quarantine{Cause: "objects"}}, start)
	if diff := cmp.Diff([]string{"first reload_refused (0)"}, b.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestWhatIsTheCase(t *testing.T) {
	refused := []Refusal{{Side: "Okta", Error: "401"}}
	tests := map[string]struct {
		facts Facts
		want  []string // events, with "quiet" for those that another one tells
	}{
		"nothing":                             {Facts{Planned: true, LastGood: start}, nil},
		"a refusal at once":                   {Facts{Refusals: refused, LastGood: start}, []string{"credentials_refused"}},
		"a quarantine for it tells of it":     {Facts{Refusals: refused, LastGood: start, Quarantine: &reconcile.Quarantine{Cause: "credentials"}}, []string{"quarantine", "credentials_refused quiet"}},
		"too long ago":                        {Facts{LastGood: start.Add(-4 * time.Hour)}, []string{"no_good_cycle"}},
		"not yet too long ago":                {Facts{LastGood: start.Add(-4*time.Hour + time.Second)}, nil},
		"too long ago, in quarantine":         {Facts{LastGood: start.Add(-day), Quarantine: &reconcile.Quarantine{Cause: "endpoint"}}, []string{"quarantine", "no_good_cycle quiet"}},
		"never a good one":                    {Facts{}, []string{"no_good_cycle"}},
		"an approved set waits for the cycle": {Facts{Planned: true, LastGood: start, Held: []reconcile.HeldSet{{Fingerprint: "a", Approved: start}}}, nil},
		"without a plan nothing is said":      {Facts{LastGood: start, Held: []reconcile.HeldSet{{Fingerprint: "a"}}, OnCall: []Leaver{{ID: "1"}}, APIKeyError: "401"}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range tc.facts.conditions(start, start.Add(-5*time.Hour), 4*time.Hour) {
				e := string(c.Event)
				if c.quiet {
					e += " quiet"
				}
				got = append(got, e)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryEventHasASample(t *testing.T) {
	b := newBook()
	n := b.notifier(nil)
	for _, e := range Events() {
		out, err := n.Test(t.Context(), "", e, start)
		if err != nil || len(out) != 1 || out[0].Err != nil || out[0].ID == "" {
			t.Errorf("%s: %+v, %v", e, out, err)
		}
		if got := b.told[len(b.told)-1]; !strings.HasPrefix(got, "test "+string(e)) {
			t.Errorf("%s gives %s", e, got)
		}
	}
	if len(b.data) > 0 {
		t.Error("a test is remembered")
	}
	n.routes[0].events = []Event{Quarantine}
	if out, _ := n.Test(t.Context(), "", ReloadRefused, start); !out[0].Skipped {
		t.Error("a channel is sent what it is not told of")
	}
	if out, _ := n.Test(t.Context(), "book", ReloadRefused, start); out[0].Skipped {
		t.Error("a channel that is named is not sent the test")
	}
	for want, f := range map[string]func() error{
		`there is no event "x": the events are quarantine`: func() error { _, err := n.Test(t.Context(), "", "x", start); return err },
		`the configuration names no channel "slack": it names book`: func() error {
			_, err := n.Test(t.Context(), "slack", Quarantine, start)
			return err
		},
		"nobody is told anything: the configuration names no channel": func() error {
			_, err := (&Notifier{}).Test(t.Context(), "", Quarantine, start)
			return err
		},
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	for want, o := range map[string]Options{
		"notify.email: host, from and to are needed":           {Email: &Email{}},
		"notify.email: a password is not sent without TLS":     {Email: &Email{Host: "h", From: "a@b.c", To: []string{"a@b.c"}, Username: "u", Security: SecurityNone}},
		"notify.slack: the address is no web address":          {Slack: &Slack{URL: text(canary)}},
		"notify.webhook: the secret is missing":                {Webhook: &Webhook{URL: text("https://x"), Secret: text("")}},
		"notify.rootly: target_type and target_id go together": {Rootly: &Rootly{APIURL: "https://x", APIKey: password, TargetID: "1"}},
		`notify.slack: there is no event "all"`:                {Slack: &Slack{URL: text("https://x"), Events: []Event{"all"}}},
	} {
		if _, err := New(o); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
