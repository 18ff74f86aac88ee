//go:build browser

package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A tab is a page of a real browser, on a site that is served.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu       sync.Mutex
	troubles []string // what the console complains of
}

// open serves the world's site and opens a browser.
func (w *world) open(t *testing.T) *tab {
	t.Helper()
	listening := w.site.guard.Load().Access
	listening.Listen = "127.0.0.1:0"
	w.allow(listening)
	stop, err := w.site.Serve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	for _, flag := range []string{"no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &tab{t: t, base: "http://" + w.site.Address()}
	if err := chromedp.Do(ctx); err != nil { // starts the browser, which outlives the time below
		t.Fatal(err)
	}
	err = chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Level == "error" {
				b.troubles = append(b.troubles, ev.Entry.Text+" "+ev.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			b.troubles = append(b.troubles, ev.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if ev.Type == "error" {
				b.troubles = append(b.troubles, fmt.Sprint(ev.Args))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.ctx, cancel = context.WithTimeout(ctx, 15*time.Minute)
	t.Cleanup(cancel)
	return b
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

func evaluate[T any](b *tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

func (b *tab) text() string { b.t.Helper(); return evaluate[string](b, "document.body.innerText") }

// awaits waits until a condition of the page holds.
func (b *tab) awaits(condition string) {
	b.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(20 * time.Second)
	for {
		// An error is a page that is just being replaced by the next one.
		if ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](condition)); err == nil && ok {
			return
		}
		select {
		case <-again.C:
		case <-deadline:
			b.t.Fatalf("never came true: %s\n%s", condition, b.text())
		}
	}
}

func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.troubles {
		b.t.Errorf("the console says: %s", text)
	}
	b.troubles = nil
}

func (b *tab) dark(yes bool) {
	b.t.Helper()
	value := "light"
	if yes {
		value = "dark"
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}})
		return err
	}))
}

// views are the pages of a world that is busy.
func views(w *world) map[string]string {
	set, onCall := w.sets()
	return map[string]string{
		"now": "/", "plan": "/plan", "people": "/people", "unowned": "/people?state=unowned", "stranger": "/people/" + w.strangers[0], "others": "/groups?state=unowned", "person": "/people/u05", "harmless": "/people/u01", "groups": "/groups", "group": "/groups/g1",
		"history": "/history", "cycle": w.first(), "config": "/config", "held": "/held/" + set, "oncall": "/held/" + onCall, "login": "/login",
	}
}

// TestBrowserShowsEveryView looks at each page in light, dark and on a telephone: nothing complains, no name does
// anything, nothing sticks out, and axe finds no serious barrier.
func TestBrowserShowsEveryView(t *testing.T) {
	axe, err := os.ReadFile(os.Getenv("AXE"))
	if err != nil {
		t.Fatalf("AXE must name axe.min.js, make test-browser does: %v", err)
	}
	w := newWorld(t, 54)
	w.company()
	b := w.open(t)
	shots := os.Getenv("SHOTS")
	for name, path := range views(w) {
		for _, look := range []struct {
			name  string
			dark  bool
			width int64
		}{{"light", false, 1280}, {"dark", true, 1280}, {"phone", false, 390}} {
			b.dark(look.dark)
			b.do(chromedp.EmulateViewport(look.width, 860))
			b.visit(path)
			if title := evaluate[string](b, "document.title"); !strings.HasSuffix(title, "· rootly-idp-sync") {
				t.Errorf("%s is titled %q", path, title)
			}
			if n := evaluate[int](b, "document.querySelectorAll('img').length"); n != 0 {
				t.Errorf("%s has %d images of a name", path, n)
			}
			if wide := evaluate[int](b, "document.documentElement.scrollWidth"); wide > int(look.width) {
				t.Errorf("%s, %s: the page is %d pixels wide", path, look.name, wide)
			}
			if n := evaluate[int](b, "performance.getEntriesByType('resource').filter(e => e.initiatorType === 'link' || e.initiatorType === 'script').length"); n > 2 {
				t.Errorf("%s needs %d requests beside its own", path, n)
			}
			if shots != "" && shown[name+"-"+look.name] {
				b.shoot(filepath.Join(shots, name+"-"+look.name+".png"))
			}
			if look.name == "light" || look.dark {
				evaluate[bool](b, string(axe)+";true")
				found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run().then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical").map(v => v.id + ": " + v.nodes.map(n => n.target.join(" ") + " " + n.failureSummary).join(" | ")))`, chromedp.EvalAwaitPromise))
				if err != nil {
					t.Fatal(err)
				}
				for _, barrier := range found {
					t.Errorf("%s, %s: %s", path, look.name, barrier)
				}
			}
		}
		b.quiet()
	}
}

// shown are the pictures of the documentation.
var shown = map[string]bool{"now-light": true, "now-dark": true, "now-phone": true, "plan-light": true, "person-light": true, "history-dark": true, "held-light": true}

func (b *tab) shoot(path string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestBrowserApproves(t *testing.T) {
	w := newWorld(t, 54)
	w.busy()
	set, onCall := w.sets()
	b := w.open(t)
	b.visit("/held/" + set)
	evaluate[bool](b, "document.querySelector('.danger').click();true") // without a name the browser sends nothing
	if h, err := w.site.heldSet(t.Context(), set); err != nil || !h.Open() {
		t.Fatalf("approved by nobody: %+v, %v", h, err)
	}
	b.do(chromedp.SendKeys("input[name=by]", "Ada Lovelace"), chromedp.Click(".danger"))
	b.awaits("document.querySelector('h1 .badge').innerText === 'approved'")
	if text := b.text(); !strings.Contains(text, "approved by Ada Lovelace (on this machine)") {
		t.Errorf("after the yes:\n%s", text)
	}
	b.visit("/held/" + onCall)
	b.do(chromedp.SendKeys("input[name=by]", "Ada"), chromedp.Click("input[name=include_on_call]"), chromedp.Click(".danger"))
	b.awaits("document.querySelector('h1 .badge').innerText === 'approved'")
	b.quiet()
}

func TestBrowserOfAViewerOffersNoDecision(t *testing.T) {
	w := newWorld(t, 54)
	w.busy()
	set, _ := w.sets()
	w.allow(Access{Listen: "127.0.0.1:0", Token: token, TokenRole: RoleViewer})
	b := w.open(t)
	b.visit("/")
	if text := b.text(); strings.Contains(text, "file:staff") {
		t.Errorf("nobody sees\n%s", text)
	}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": "Bearer " + testToken}})
		return err
	}))
	b.visit("/held/" + set)
	if text := b.text(); !strings.Contains(text, "ask an approver") || strings.Contains(text, "Approve 11") {
		t.Errorf("a viewer sees\n%s", text)
	}
	evaluate[bool](b, `document.body.insertAdjacentHTML("beforeend", '<form id="f" method="post" action="/held/`+set+`/approve"><input name="by" value="x"></form>'); document.getElementById("f").submit(); true`)
	b.awaits("document.title.startsWith('Forbidden')")
	if h, err := w.site.heldSet(t.Context(), set); err != nil || !h.Open() {
		t.Errorf("a viewer approved: %+v, %v", h, err)
	}
}

func TestBrowserOnAnotherSiteChangesNothing(t *testing.T) {
	w := newWorld(t, 54)
	w.busy()
	set, _ := w.sets()
	b := w.open(t)
	evil := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, `<title>evil</title><form method="post" action="%s%s"><input name="by" value="evil"></form>`, b.base, r.URL.Path)
	}))
	defer evil.Close()
	for _, path := range []string{"/cycles", "/held/" + set + "/approve", "/api/v1/cycles"} {
		b.do(chromedp.Navigate(evil.URL + path))
		evaluate[bool](b, "document.forms[0].submit(); true")
		b.awaits(fmt.Sprintf("location.href.startsWith(%q) && document.body.innerText.includes('nother site sent this request')", b.base))
	}
	if h, err := w.site.heldSet(t.Context(), set); err != nil || !h.Open() || w.board.orders != 0 {
		t.Errorf("another site approved, or began a cycle: %+v, %v, %d", h, err, w.board.orders)
	}
	evil.CloseClientConnections()
}

func TestBrowserFollowsACycle(t *testing.T) {
	w := newWorld(t, 54)
	w.cycle()
	b := w.open(t)
	b.visit("/")
	b.awaits("document.querySelector('[data-progress]').hidden")
	w.board.set(func(s *daemon.State) { s.Phase = daemon.PhasePlanning })
	b.awaits("document.querySelector('[data-progress-text]').innerText.startsWith('Reading both sides')")
	w.board.set(func(s *daemon.State) { s.Phase, s.Done, s.Total = daemon.PhaseApplying, 7, 20 })
	b.awaits("document.querySelector('[data-progress-text]').innerText === 'Applying: 7 of 20 changes' && document.querySelector('[data-progress]').value === 7")
	w.staff.dismiss(12)
	w.board.set(func(s *daemon.State) { s.Phase = daemon.PhaseWaiting })
	w.cycle()
	b.awaits("document.body.innerText.includes('12 changes wait for a yes')")
	b.do(chromedp.Click("form[action='/cycles'] button"))
	b.awaits("document.querySelector('[data-progress-text]').innerText.startsWith('Reading both sides')")
	b.quiet()
}

// TestBrowserIsUsableByKeyboard: the first stop skips the menu, and every control can be reached.
func TestBrowserIsUsableByKeyboard(t *testing.T) {
	w := newWorld(t, 54)
	w.busy()
	b := w.open(t)
	b.visit("/plan")
	reached := map[string]bool{}
	for i := range 60 {
		b.do(chromedp.KeyEvent("\t"))
		at := evaluate[string](b, "(document.activeElement.className || document.activeElement.name || document.activeElement.innerText || '').trim()")
		if i == 0 && at != "skip" {
			t.Errorf("the first stop is %q", at)
		}
		reached[at] = true
	}
	for _, name := range []string{"Plan", "People", "button", "q", "why", "verb", "kind", "held"} {
		if !reached[name] {
			t.Errorf("%s is not reached: %v", name, reached)
		}
	}
}

// company is a world that a day has gone by in: people with names, strangers in Rootly, a history for the chart, and those
// who leave as the latest. The last good cycle was twelve minutes ago.
func (w *world) company() {
	w.t.Helper()
	first := strings.Fields("Ada Bilal Chloé Dmitri Esra Femi Grete Hugo Ines")
	last := strings.Fields("Lindqvist Okafor Moreau Sato Yıldız Novak")
	for i := range w.staff.users {
		if u := &w.staff.users[i]; u.GivenName != nasty {
			u.GivenName, u.FamilyName = first[i%len(first)], last[i/len(first)%len(last)]
			u.UserName = connectors.Fold(fmt.Sprintf("%s.%s@acme.example", ascii(u.GivenName), ascii(u.FamilyName)))
			u.Email, u.Title, u.Department = u.UserName, "Engineer", "Payments"
		}
	}
	w.stranger("contractor@elsewhere.example", true)
	if _, err := w.rootly.AddGroup(sim.SCIMGroup{DisplayName: "incident-commanders"}); err != nil {
		w.t.Fatal(err)
	}
	w.pace = 20 * time.Millisecond
	w.cycle()
	w.pace = time.Second
	w.history(32)
	w.leave()
	w.pass(-28 * time.Minute)
}

func ascii(name string) string { return strings.NewReplacer("é", "e", "ı", "i").Replace(name) }

// history leaves some cycles behind, so that the chart has something to show.
func (w *world) history(cycles int) {
	w.t.Helper()
	ledger, err := w.memory.Ledger(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range cycles {
		id, err := w.memory.Begin(w.t.Context(), w.now())
		if err != nil {
			w.t.Fatal(err)
		}
		w.pass(time.Duration(2+i%5) * time.Second)
		sum := summaryLike(i)
		if sum.Error == "" {
			sum.Rules, sum.RuleTexts = ledger.Rules, ledger.RuleTexts
		}
		if err := w.memory.Finish(w.t.Context(), id, sum); err != nil {
			w.t.Fatal(err)
		}
		w.pass(40 * time.Minute)
	}
}

func summaryLike(i int) reconcile.CycleSummary {
	sum := reconcile.CycleSummary{Planned: i * 7 % 11, Done: i * 7 % 11}
	switch {
	case i%13 == 5:
		sum.Failed, sum.Done = 2, max(0, sum.Done-2)
	case i%9 == 4:
		sum.Held = 5
	case i == 20:
		sum = reconcile.CycleSummary{Error: "read Rootly: list users: 503 Service Unavailable"}
	}
	return sum
}
