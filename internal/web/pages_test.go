package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func contains(t *testing.T, page string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(page, text) {
			t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

func TestFirstRunSaysWhatToDo(t *testing.T) {
	w := newWorld(t, 3)
	contains(t, w.page("/"), "Nothing has run yet", "Run a cycle now")
	contains(t, w.page("/plan"), "No cycle has planned yet")
	contains(t, w.page("/people"), "Nobody is known yet")
	contains(t, w.page("/groups"), "groups.push")
	contains(t, w.page("/history"), "No cycle has run yet")
	w.cycle()
	if page := w.page("/"); strings.Contains(page, "Nothing has run yet") {
		t.Error("it still says that nothing has run")
	}
}

func TestPagesSayWhatCyclesDid(t *testing.T) {
	w := newWorld(t, 20)
	w.busy()
	contains(t, w.page("/"), "11 changes wait", "on call", "Last cycles", "file:staff", "v1.2.3")
	contains(t, w.page("/plan"), "Disabled in the directory", "u05@acme.example", "Payments primary", "most 4")
	contains(t, w.page("/plan?verb=deactivate&q=u05"), "1 change of this kind")
	contains(t, w.page("/plan?verb=create"), "No change is like that")
	contains(t, w.page("/people?q=u1+ACME"), "u13@acme.example")
	contains(t, w.page("/people?state=held"), "u05@acme.example")
	contains(t, w.page("/people?q=nobody"), "Nobody is like that")
	contains(t, w.page("/people/u05"), "In the directory", "SUSPENDED", "scope.mode all", "user.email", "oncall", "create", w.first(), "Held:")
	contains(t, w.page("/groups/g1"), "oncall", "Pushed", "u05@acme.example", "groups.push has")
	contains(t, w.page("/history"), `href="`+w.first()+`"`, "<svg", "3 cycles")
	contains(t, w.page(w.first()), "u05@acme.example", "done")
	contains(t, w.page("/config"), "@every 40m", "***")
	for path, want := range map[string]string{
		"/people/nobody": "nobody has the id", "/groups/none": "no group has the id", "/cycles/999": "there is no cycle 999", "/cycles/x": "A cycle has a number",
		"/held/abc": "no held set", "/nowhere": "There is no such page",
	} {
		answer, body := w.ask(http.MethodGet, path, "")
		if answer.StatusCode != http.StatusNotFound || !strings.Contains(strings.ToLower(body), strings.ToLower(want)) {
			t.Errorf("%s: %s, want 404 and %q", path, answer.Status, want)
		}
	}
}

func TestTroubleIsAtTheTop(t *testing.T) {
	w := newWorld(t, 3)
	w.board.set(func(s *daemon.State) {
		s.Quarantine = &reconcile.Quarantine{Reason: "Rootly refuses the token", Next: w.now().Add(time.Hour)}
		s.ReloadError, s.RestartNeeded = "target.url: is missing", []string{"http.listen"}
		s.Last = &daemon.Summary{Result: daemon.ResultFailed, Error: "read Rootly: 401 Unauthorized"}
	})
	contains(t, w.page("/"), "In quarantine", "Rootly refuses the token", "in 60 min", "target.url: is missing", "http.listen", "401 Unauthorized")
}

// TestNamesStayNames: what a directory says is text, on every page and in the export.
func TestNamesStayNames(t *testing.T) {
	w := newWorld(t, 20)
	w.staff.users[2].DisplayName = `=HYPERLINK("http://evil.example")`
	w.staff.users[3].DisplayName = "a\u202eb\x1b[31m"
	w.staff.users[4].UserName, w.staff.users[4].Email = "=cmd@acme.example", "=cmd@acme.example"
	w.busy()
	for _, path := range []string{"/", "/plan", "/people", "/people/u01", "/groups/g1", "/history", w.first(), "/config", "/people?q=" + url.QueryEscape(nasty)} {
		page := w.page(path)
		if strings.Contains(page, "<img") || strings.Contains(page, "\u202e") || strings.Contains(page, "\x1b") {
			t.Errorf("%s has a name as it is:\n%s", path, page)
		}
	}
	if csv := w.page(w.first() + "/changes.csv"); !strings.Contains(csv, ",'=cmd@acme.example,") {
		t.Errorf("the export has a formula:\n%s", csv)
	}
}

func TestApprovalNamesItsNumbersAndWho(t *testing.T) {
	w := newWorld(t, 20)
	w.busy()
	set, onCall := w.sets()
	contains(t, w.page("/held/"+set), "Release 11 changes?", "Approve 11 changes", "u05@acme.example", "Your name, for the record")
	contains(t, w.page("/held/"+onCall), "Release somebody whom Rootly pages", "required")

	if answer, body := w.ask(http.MethodPost, "/held/"+set+"/approve", ""); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, "Nobody is named") {
		t.Errorf("without a name: %s %s", answer.Status, body)
	}
	if answer, _ := w.ask(http.MethodPost, "/held/"+onCall+"/approve", "by=ada"); answer.StatusCode != http.StatusConflict {
		t.Errorf("on call, without the tick: %s", answer.Status)
	}
	if answer, _ := w.ask(http.MethodPost, "/held/"+set+"/approve", "by=ada&include_on_call=yes"); answer.StatusCode != http.StatusConflict {
		t.Errorf("not on call, with the tick: %s", answer.Status)
	}
	if answer, _ := w.ask(http.MethodPost, "/held/"+set+"/approve", "by=ada"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("approve: %s", answer.Status)
	}
	if answer, _ := w.ask(http.MethodPost, "/held/"+onCall+"/approve", "by=ada&include_on_call=yes"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("approve on call: %s", answer.Status)
	}
	if answer, _ := w.ask(http.MethodPost, "/held/"+set+"/approve", "by=ada"); answer.StatusCode != http.StatusConflict {
		t.Errorf("a second time: %s", answer.Status)
	}
	contains(t, w.page("/held/"+set), "approved by ada (on this machine)")
	report := w.cycle()
	if n := report.Count(reconcile.OutcomeDone); n < 12 {
		t.Errorf("%d changes were done after the yes: %s", n, report.Summary())
	}
	contains(t, w.page("/held/"+set), "carried out by")
}

// first is the page of the first cycle.
func (w *world) first() string { return fmt.Sprint("/cycles/", w.cycles[0]) }

// sets are the fingerprints of the set that waits, and of the one about somebody on call.
func (w *world) sets() (set, onCall string) {
	w.t.Helper()
	records, err := w.memory.HeldSets(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		if r.State != store.HeldWaiting {
			continue
		}
		if r.Axis == reconcile.AxisOnCall {
			onCall = r.Fingerprint
		} else {
			set = r.Fingerprint
		}
	}
	if set == "" || onCall == "" {
		w.t.Fatalf("held sets: %+v", records)
	}
	return set, onCall
}

func TestLookingPlansNothing(t *testing.T) {
	w := newWorld(t, 20)
	w.busy()
	cycles, err := w.memory.Cycles(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	w.planner = nil // whoever plans now, panics
	for _, path := range []string{"/", "/plan", "/people", "/people/u05", "/groups", "/groups/g1", "/history", w.first(), "/config"} {
		w.page(path)
	}
	if after, _ := w.memory.Cycles(t.Context(), 10); len(after) != len(cycles) || w.board.orders != 0 {
		t.Errorf("looking left %d cycles, there were %d; %d orders", len(after), len(cycles), w.board.orders)
	}
	if answer, _ := w.ask(http.MethodPost, "/cycles", ""); answer.StatusCode != http.StatusSeeOther || w.board.orders != 1 {
		t.Errorf("run now: %s, %d orders", answer.Status, w.board.orders)
	}
}

func TestRestartStillShowsThePlan(t *testing.T) {
	w := newWorld(t, 20)
	w.busy()
	next := New(Options{Daemon: &w.board, Now: w.now})
	t.Cleanup(next.roster.drop)
	w.site.live.mu.RLock()
	p := w.site.live.p
	w.site.live.mu.RUnlock()
	next.Use(t.Context(), p)
	w.site = next
	w.allow(Access{Listen: "127.0.0.1:8080"})
	contains(t, w.page("/plan"), "u05@acme.example", "Payments primary", fmt.Sprint("cycle ", w.cycles[2]))
}

func TestHistoryGoesBackWithoutGaps(t *testing.T) {
	w := newWorld(t, 1)
	for range charted + 25 {
		id, err := w.memory.Begin(t.Context(), w.now())
		if err != nil {
			t.Fatal(err)
		}
		w.pass(100 * time.Millisecond)
		if err := w.memory.Finish(t.Context(), id, reconcile.CycleSummary{Rules: "r", Done: 1}); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
	}
	seen := map[string]bool{}
	row, older := regexp.MustCompile(`<th scope="row"><a href="(/cycles/\d+)"`), regexp.MustCompile(`href="(/history\?until=[^"]+)"`)
	for path := "/history"; path != ""; {
		page := w.page(path)
		for _, m := range row.FindAllStringSubmatch(page, -1) {
			seen[m[1]] = true
		}
		path = ""
		if m := older.FindStringSubmatch(page); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	if len(seen) != charted+25 {
		t.Errorf("%d cycles are shown, want %d", len(seen), charted+25)
	}
}

// TestFirstPaintIsSmall: a page is itself, one style sheet and one script, and nothing from anywhere else.
func TestFirstPaintIsSmall(t *testing.T) {
	w := newWorld(t, 120)
	w.busy()
	linked := regexp.MustCompile(`(?:src|<link rel="stylesheet" href)="([^"]+)"`)
	for _, path := range []string{"/", "/plan", "/people", "/people/u05", "/groups/g1", "/history", w.first(), "/config"} {
		page := w.page(path)
		bytes, requests := len(page), 1
		for _, m := range linked.FindAllStringSubmatch(page, -1) {
			answer, body := w.ask(http.MethodGet, m[1], "")
			if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: %s: %s", path, m[1], answer.Status)
			}
			bytes, requests = bytes+len(body), requests+1
		}
		if requests > 3 || bytes > 100_000 {
			t.Errorf("%s takes %d requests and %d bytes, at most 3 and 100000 are promised", path, requests, bytes)
		}
		if strings.Contains(page, "<style") || strings.Contains(page, " style=") || strings.Contains(page, "<script>") || regexp.MustCompile(` on[a-z]+="`).MatchString(page) {
			t.Errorf("%s has styles or scripts in it, which its policy forbids", path)
		}
	}
	if n := len(assets); n != 2 {
		t.Errorf("there are %d assets", n)
	}
	if css, err := staticFiles.ReadFile("static/style.css"); err != nil || len(css) > 12<<10 {
		t.Errorf("the style sheet has %d bytes, %v", len(css), err)
	}
}

func TestThemeIsRememberedWithoutScripts(t *testing.T) {
	w := newWorld(t, 1)
	answer, _ := w.ask(http.MethodPost, "/theme", "theme=dark&back=/plan")
	if answer.Header.Get("Location") != "/plan" {
		t.Errorf("theme leads to %q", answer.Header.Get("Location"))
	}
	_, page := w.ask(http.MethodGet, "/", "", "Cookie", answer.Header.Get("Set-Cookie"))
	contains(t, page, `data-theme="dark"`)
	for _, back := range []string{"//evil.example", "https://evil.example", `/\evil.example`, "evil"} {
		answer, _ := w.ask(http.MethodPost, "/theme", "theme=dark&back="+url.QueryEscape(back))
		if to := answer.Header.Get("Location"); to != "/" {
			t.Errorf("back=%s leads to %q", back, to)
		}
	}
}
