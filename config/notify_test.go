package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNotifyIsReadWhole(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "password", canary+"\n", 0o600)
	write(t, dir, "slack", "https://hooks.slack.com/services/T0/B0/"+canary+"\n", 0o600)
	text := goodSource + goodScope + goodTarget + `
rootly: {api_key: '${KEY}', api_url: https://acme.rootly.example/v1/}
notify:
  stale_after: 6h
  email: {host: smtp.acme.com, username: u, password_file: password, from: Sync <sync@acme.com>, to: [a@acme.com, b@acme.com]}
  slack: {url_file: slack, events: [quarantine]}
  webhook: {url: 'http://127.0.0.1:9/hook', secret: 0123456789abcdef}
  rootly: {}
`
	got, err := load(dir+"/c.yaml", []byte(text), environment(append(tokens, "KEY="+canary)...))
	if err != nil {
		t.Fatal(err)
	}
	n := got.Notify
	if n.Email.Password.Reveal() != canary || !strings.HasSuffix(n.Slack.URL.Reveal(), canary) || n.Webhook.Secret.IsZero() || n.Rootly == nil {
		t.Errorf("a part of the section is lost: %+v", n)
	}
	if got.Rootly.APIKey.Reveal() != canary || got.Rootly.APIURL != "https://acme.rootly.example" || got.Stale() != 6*time.Hour {
		t.Errorf("api_url %s, stale %s", got.Rootly.APIURL, got.Stale())
	}
	shown, err := got.YAML()
	if err != nil || strings.Contains(string(shown), canary) {
		t.Errorf("%v, a secret is shown in:\n%s", err, shown)
	}
}

func TestNotifyRefusesWhatCannotWork(t *testing.T) {
	const mail = "host: smtp.acme.com, from: a@acme.com, to: [b@acme.com]"
	tests := map[string]struct{ notify, want string }{
		"nothing below email": {"email:\n", "notify.email.host (line 5) is missing; write the name of the mail server"},
		"a port in the host":  {"email: {host: 'smtp.acme.com:587', from: a@acme.com, to: [b@acme.com]}\n", "notify.email.host (line 5) is no host name; write the name alone; the port has a key of its own"},
		"an open connection":  {"email: {security: none, " + mail + "}\n", "notify.email.security (line 5) is none, and the mail server is another machine; write starttls or tls: messages name people"},
		"a password in the open": {"email: {security: none, host: localhost, from: a@acme.com, to: [b@acme.com], username: u, password: p}\n",
			"notify.email.username (line 5) has no meaning for security none: no password is sent without TLS; remove username and password, or write starttls or tls"},
		"a user without password": {"email: {username: u, " + mail + "}\n", "notify.email.password (line 5) is missing beside username; give password or password_file"},
		"a password without user": {"email: {password: p, " + mail + "}\n", "notify.email.username (line 5) is missing beside password; write who signs in, or remove the password"},
		"an address that is none": {"email: {host: h, from: a@acme.com, to: [\"b@acme.com\\r\\nBcc: c@acme.com\"]}\n", "notify.email.to[0] (line 5) is no e-mail address; write one such as oncall@acme.com"},
		"no address":              {"email: {host: h, from: a@acme.com}\n", "notify.email.to (line 5) is missing; list the addresses to write to"},
		"slack without address":   {"slack:\n", "notify.slack.url (line 5) is missing; make an incoming webhook in Slack and give its address as url or url_file"},
		"slack in the open":       {"slack: {url: 'http://hooks.slack.com/services/" + canary + "'}\n", "notify.slack.url (line 5) is not https; write https://"},
		"an event that is none":   {"slack: {url: 'https://hooks.slack.com/x', events: [quarantine, removals]}\n", "notify.slack.events[1] (line 5) is no event; write " + orList(NotifyEvents)},
		"a short secret":          {"webhook: {url: 'https://x.acme.com', secret: short}\n", "notify.webhook.secret (line 5) is missing or shorter than 16 characters; make one with openssl rand -hex 32, give it as secret or secret_file, and to the receiver"},
		"rootly without a key":    {"rootly:\n", "rootly.api_key is missing, and notify.rootly needs it; set ROOTLY_API_KEY, or give api_key or api_key_file; it is no SCIM token"},
		"half a time":             {"stale_after: soon\n", "notify.stale_after (line 5) is no duration of a minute or more; write one such as 6h or 90m, or remove the line"},
		"a key that is none":      {"slack: {channel: ops}\n", "notify.slack.channel (line 5) is not a key; the keys here are url, url_file, events"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load("c.yaml", []byte(goodSource+goodScope+goodTarget+"notify:\n  "+tc.notify), environment(tokens...))
			if !strings.Contains(errText(err)+"\n", tc.want+"\n") {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
			if strings.Contains(errText(err), canary) {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
	_, err := load("c.yaml", []byte(goodSource+goodScope+goodTarget), environment(append(tokens, "ROOTLY_API_KEY="+canary, EnvPrefix+"NOTIFY_ROOTLY_TARGET_ID=x")...))
	if want := "notify.rootly.target_type is missing beside target_id; write User, Group, EscalationPolicy or Service"; errText(err) != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestStaleGivesEveryScheduleItsChances(t *testing.T) {
	tests := map[string]time.Duration{
		"@every 40m":         4 * time.Hour,
		"*/5 * * * *":        4 * time.Hour,
		"@every 6h":          18 * time.Hour,
		"0 3 * * *":          72 * time.Hour,
		"0 8 * * 1-5":        96 * time.Hour, // over the weekend, and Monday's
		"*/30 9-17 * * 1-5":  64 * time.Hour, // Friday 17:30 to Monday 9:00, and one more
		"* 9-17 * * 1-5":     63*time.Hour + 2*time.Minute,
		"0 0 31 2 *":         4 * time.Hour, // never
		"no schedule at all": 4 * time.Hour,
	}
	got := map[string]time.Duration{}
	for schedule := range tests {
		got[schedule] = (&Config{Schedule: schedule}).Stale()
	}
	if diff := cmp.Diff(tests, got); diff != "" {
		t.Errorf("stale after (-want +got):\n%s", diff)
	}
}
