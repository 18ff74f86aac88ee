package notify

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden compares with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func slackJSON(t *testing.T, m Message) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(slackMessage(m)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestEveryMessageReads holds the words of each event, when it begins and when it is over.
func TestEveryMessageReads(t *testing.T) {
	n, err := New(Options{Sync: "acme.okta.com → https://rootly.com/scim", PublicURL: "https://sync.acme.com/"})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Events() {
		t.Run(string(e), func(t *testing.T) {
			var s state
			only := func(have Event) bool { return have == e }
			s = s.observe(samples(e, start).conditions(start, start, n.o.StaleAfter+4*60*60e9), only, none, start)
			var text strings.Builder
			for now := start; len(s.due()) > 0; now = now.Add(day) {
				for _, b := range s.due() {
					m := n.compose(s, b, "email", now)
					one, err := m.Text()
					if err != nil {
						t.Fatal(err)
					}
					text.WriteString(one + "\n")
					s = s.told(b, now)
				}
				s = s.observe(nil, only, none, now.Add(day))
			}
			golden(t, string(e)+".txt", text.String())
		})
	}
}

func TestHostileNamesStayText(t *testing.T) {
	m := hostile()
	text, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	html, err := m.HTML()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "hostile.txt", text)
	golden(t, "hostile.html", html)
	golden(t, "hostile.slack.json", slackJSON(t, m))
	for _, bad := range []string{"<script>", "<b>", "\r"} {
		if strings.Contains(html, bad) {
			t.Errorf("the HTML holds %q", bad)
		}
	}
	if slack := slackJSON(t, m); strings.Contains(slack, "<!channel>") || strings.Contains(slack, "<script>") {
		t.Error("the Slack message holds a mention or a link out of a name")
	}
}

func TestLongListsAreCounted(t *testing.T) {
	var records []record
	b := batch{event: OnCallHeld, phase: PhaseFirst}
	for range 35 {
		c := condition{Key: "k", Event: OnCallHeld, Items: []string{strings.Repeat("x", 500) + "@acme.com"}}
		c.tidy()
		records = append(records, record{Condition: c, First: start})
	}
	m := message(b, records, start)
	if len(m.Items) != mostItems || m.More != 15 || m.And() != "and 15 more" || m.Title != "Leavers are kept because they are on call (35)" {
		t.Errorf("%d items, %d more, %q", len(m.Items), m.More, m.Title)
	}
	for _, block := range slackMessage(m).Blocks {
		if block.Text != nil && len([]rune(block.Text.Text)) > slackSection {
			t.Errorf("a block of %d characters, which Slack refuses", len(block.Text.Text))
		}
	}
}
