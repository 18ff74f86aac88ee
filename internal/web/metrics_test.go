package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

var help = regexp.MustCompile(`(?m)^# HELP (rootly_idp_sync_\w+) (.+)$`)

// everyMetric is what /metrics says once everything has happened.
func everyMetric(t *testing.T) string {
	t.Helper()
	w := newWorld(t, 20)
	w.busy()
	w.staff.hire(20, 21)
	w.cycle()
	client := http.Client{Transport: w.site.Metrics.Transport(SideTarget, sim.Transport(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			rw.Header().Set("Retry-After", "7")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
		if r.URL.Path == "/made-up" {
			rw.WriteHeader(599)
		}
	})))}
	for _, path := range []string{"/", "/slow", "/made-up"} {
		answer, err := client.Get("http://rootly.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	failing := w.site.Metrics.Transport(SideDirectory, failingTransport{})
	if _, err := failing.RoundTrip(httptest.NewRequest("PURGE", "http://directory.example", nil)); err == nil {
		t.Fatal("no error")
	}
	return w.page("/metrics")
}

type failingTransport struct{}

func (failingTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("refused")
}

func TestMetricsAreThoseOfTheDocumentation(t *testing.T) {
	text := everyMetric(t)
	var want []string
	for _, m := range help.FindAllStringSubmatch(text, -1) {
		want = append(want, m[1]+": "+m[2])
	}
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(rootly_idp_sync_\\w+)` \\| \\w+ \\| .* \\| (.+) \\|$").FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1]+": "+m[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/metrics.md has\n%s\n/metrics has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMetricsCount(t *testing.T) {
	text := everyMetric(t)
	for _, line := range []string{
		`build_info{commit="abc",goversion="go1.26",version="v1.2.3"} 1`, `cycles_total{result="good"} 2`, `cycles_total{result="held"} 2`, `cycles_total{result="failed"} 0`,
		`changes_total{kind="user",outcome="done",reason="joined",verb="create"} 21`, `held_changes{axis="deactivations"} 11`, `held_changes{axis="on call"} 1`,
		`held_sets 2`, `managed{kind="user"} 20`, `unowned{kind="user"} 0`, `escrow_objects 0`, `store_up 1`, `leader 1`, `quarantine 0`, `config_last_reload_successful 1`,
		`mode{mode="apply"} 1`, `last_good_cycle_age_seconds 2400`, `drift_changes 0`, `cycle_duration_seconds_count{result="good"} 2`,
		`requests_total{method="GET",side="target",status="200"} 1`, `requests_total{method="GET",side="target",status="429"} 1`,
		`requests_total{method="GET",side="target",status="other"} 1`, `requests_total{method="other",side="directory",status="error"} 1`,
		`throttled_total{side="target"} 1`,
	} {
		if !strings.Contains(text, "\n"+metricPrefix+line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	if strings.Contains(text, "acme.example") || strings.Contains(text, "u05") {
		t.Error("/metrics names people")
	}
}

func TestMetricsTellOfAStoreThatIsGone(t *testing.T) {
	w := newWorld(t, 1)
	w.site.Use(t.Context(), nil)
	w.board.set(func(s *daemon.State) {
		s.Quarantine, s.ReloadError, s.Phase = &reconcile.Quarantine{}, "bad", daemon.PhaseStandby
	})
	contains(t, w.page("/metrics"), "store_up 0", "quarantine 1", "config_last_reload_successful 0", "leader 0", "last_good_cycle_age_seconds 0")
}

func TestMetricsNeedTheToken(t *testing.T) {
	w := newWorld(t, 1)
	w.allow(Access{Listen: ":8080", Token: token})
	if answer, _ := w.ask(http.MethodGet, "/metrics", ""); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %s", answer.Status)
	}
	if answer, _ := w.ask(http.MethodGet, "/metrics", "", "Authorization", "Bearer "+testToken); answer.StatusCode != http.StatusOK {
		t.Errorf("with it: %s", answer.Status)
	}
}

// BenchmarkPages renders each page of a company of 20,000 people, of whom the last plan concerns a tenth.
func BenchmarkPages(b *testing.B) {
	w := newFiledWorld(b, 1)
	w.cycle()
	w.crowd(20_000)
	for _, path := range []string{"/", "/plan", "/plan?q=u19999", "/people", "/people?q=person+777&page=3", "/people/u12345", "/groups/g1", "/history"} {
		w.page(path)
		b.Run(strings.NewReplacer("/", "_", "?", "_").Replace(path), func(b *testing.B) {
			for b.Loop() {
				w.page(path)
			}
		})
	}
}

// crowd makes n people known, as a first cycle would.
func (w *world) crowd(n int) {
	w.t.Helper()
	w.staff.users, w.staff.groups = nil, nil
	w.staff.hire(0, n)
	snap, err := w.staff.Fetch(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := w.memory.Begin(w.t.Context(), w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	plan := reconcile.Plan{At: w.now(), Source: "file:staff", Counts: reconcile.Counts{Managed: n}}
	var changes []reconcile.Change
	var links []reconcile.Link
	for i, u := range snap.Users {
		o := reconcile.Ref{Kind: reconcile.KindUser, Source: string(u.ID), Target: fmt.Sprintf("scim-%d", i), Name: u.UserName}
		c := reconcile.Change{Verb: reconcile.VerbLink, Object: o, Why: reconcile.WhyFirstMatch}
		changes = append(changes, c)
		links = append(links, reconcile.Link{Kind: o.Kind, Source: o.Source, Target: o.Target, User: &reconcile.UserValues{UserName: u.UserName, Email: u.Email, Active: true}})
		if i%10 == 0 {
			c.Verb, c.Why = reconcile.VerbUpdate, reconcile.WhyDirectory
			c.Fields = []reconcile.Field{{Name: "name.givenName", From: "A", To: "B", Why: reconcile.WhyDirectory}}
			plan.Changes = append(plan.Changes, c)
		}
	}
	if err := w.memory.Link(w.t.Context(), id, changes, links); err != nil {
		w.t.Fatal(err)
	}
	if err := w.memory.Keep(w.t.Context(), id, snap); err != nil {
		w.t.Fatal(err)
	}
	if err := w.memory.Finish(w.t.Context(), id, reconcile.CycleSummary{Rules: "r", Done: n}); err != nil {
		w.t.Fatal(err)
	}
	w.site.Ended(w.t.Context(), daemon.Ended{Report: reconcile.Report{Plan: plan, Cycle: id}, Result: daemon.ResultGood, At: w.now()})
}
