package notify

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Slack is an incoming webhook of Slack, or of anything that reads the same JSON.
type Slack struct {
	URL    func() string // a secret: who has it can write
	Events []Event       // nil means all
}

func (s Slack) check() error { return checkAddress(s.URL()) }

type slackChannel struct {
	Slack
	poster
}

func newSlack(s Slack, roots *x509.CertPool) slackChannel {
	return slackChannel{s, newPoster(roots, func() []string { return secretsOf(s.URL()) })}
}

func (slackChannel) Name() string { return "slack" }

var slackRemedies = map[int]string{
	http.StatusBadRequest: "is it an incoming webhook of Slack?",
	http.StatusForbidden:  "an administrator has switched the webhook off, or the app was removed: make a new one and write it to notify.slack.url",
	http.StatusNotFound:   "the webhook does not exist any more: make a new one and write it to notify.slack.url",
	http.StatusGone:       "its channel is archived: make a new webhook and write it to notify.slack.url",
}

func (c slackChannel) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(slackMessage(m))
	if err != nil {
		return err
	}
	err = c.post(ctx, c.URL(), http.Header{"Content-Type": {"application/json"}}, body)
	return explained(err, slackRemedies)
}

// secretsOf are an address and the parts that make it a secret.
func secretsOf(address string) []string {
	out := []string{address}
	u, err := url.Parse(address)
	if err != nil {
		return out
	}
	if len(u.Path) > 1 || u.RawQuery != "" {
		out = append(out, u.RequestURI())
	}
	const guessable = 16 // a shorter part is a word
	parts := strings.Split(u.Path, "/")
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	for _, p := range parts {
		if len(p) >= guessable {
			out = append(out, p)
		}
	}
	return out
}

type slackText struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Verbatim bool   `json:"verbatim,omitempty"` // no links and mentions made out of names
}

type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackText  `json:"text,omitempty"`
	Elements []slackText `json:"elements,omitempty"`
}

type slackPayload struct {
	Text        string       `json:"text"` // what a push message shows
	Blocks      []slackBlock `json:"blocks"`
	UnfurlLinks bool         `json:"unfurl_links"`
}

// slackEscape is all that Slack asks for; it takes mentions like <!channel> their meaning too. A backtick would end the
// code that commands stand in, and the rest of a name would be markup.
var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "ˋ")

// Slack's own bounds of a block's text.
const (
	slackHeader  = 150
	slackSection = 3000
)

func slackMessage(m Message) slackPayload {
	esc := slackEscape.Replace
	out := slackPayload{Text: esc(m.Title)}
	header := line(out.Text, slackHeader)
	out.Blocks = append(out.Blocks, slackBlock{Type: "header", Text: &slackText{Type: "plain_text", Text: header}})
	section := func(lines ...string) {
		var kept []string
		size := 0
		for _, l := range lines {
			if size += len(l) + 1; size > slackSection {
				break
			}
			kept = append(kept, l)
		}
		if len(kept) > 0 {
			out.Blocks = append(out.Blocks, slackBlock{Type: "section", Text: &slackText{Type: "mrkdwn", Text: strings.Join(kept, "\n"), Verbatim: true}})
		}
	}
	var told, items, facts, steps []string
	for _, t := range m.Told {
		told = append(told, esc(t))
	}
	for _, i := range m.Items {
		items = append(items, "• "+esc(i))
	}
	if and := m.And(); and != "" {
		items = append(items, "• "+and)
	}
	for _, f := range m.Facts {
		facts = append(facts, esc(f.Name)+": "+esc(f.Value))
	}
	for _, s := range m.Steps {
		steps = append(steps, "`"+esc(s)+"`")
	}
	section(told...)
	section(items...)
	section("*" + esc(m.Means) + "*")
	section(facts...)
	section(steps...)
	if m.Link != "" {
		section("<" + esc(m.Link) + "|Status page>")
	}
	var foot []string
	for _, f := range []string{m.Sync, m.Footer} {
		if f != "" {
			foot = append(foot, esc(f))
		}
	}
	if len(foot) > 0 {
		out.Blocks = append(out.Blocks, slackBlock{Type: "context", Elements: []slackText{{Type: "mrkdwn", Text: strings.Join(foot, "\n"), Verbatim: true}}})
	}
	return out
}
