package config

import (
	"fmt"
	"net/mail"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Notify says who is told what the sync cannot settle by itself. There is at most one channel of each kind; one that is
// not named is not there.
type Notify struct {
	StaleAfter string         `json:"stale_after,omitzero" doc:"How old the last good cycle may be before somebody is told, such as 6h. The default is 4h, or three times the schedule if that is longer."`
	CAFile     string         `json:"ca_file,omitzero" doc:"PEM certificates of a private authority to trust beside the system's, for the mail server and the webhooks."`
	Email      *NotifyEmail   `json:"email,omitzero" doc:"E-mail over SMTP."`
	Slack      *NotifySlack   `json:"slack,omitzero" doc:"An incoming webhook of Slack, or of what reads the same."`
	Webhook    *NotifyWebhook `json:"webhook,omitzero" doc:"A signed webhook with JSON."`
	Rootly     *NotifyRootly  `json:"rootly,omitzero" doc:"An alert in Rootly, with the key and address of the section rootly."`
}

// NotifyEmail is a mail server and who writes to whom through it.
type NotifyEmail struct {
	Host         string   `json:"host" required:"true" doc:"The mail server, without a port."`
	Port         int      `json:"port,omitzero" min:"1" max:"65535" doc:"Its port. The default is 465 for security tls and 587 otherwise."`
	Security     string   `json:"security,omitzero" enum:"starttls,tls,none" doc:"starttls, the default, requires it; tls is TLS from the first byte; none is for loopback only, without a password."`
	Username     string   `json:"username,omitzero" doc:"Who signs in at the mail server; without it nobody does."`
	Password     Secret   `json:"password,omitzero" doc:"The password of username."`
	PasswordFile string   `json:"password_file,omitzero" doc:"A file with the password."`
	From         string   `json:"from" required:"true" doc:"The address that writes."`
	To           []string `json:"to" required:"true" doc:"The addresses that are written to."`
	Events       []string `json:"events" doc:"What they are told of; everything if empty."`
}

// NotifySlack is an incoming webhook of Slack.
type NotifySlack struct {
	URL     Secret   `json:"url,omitzero" doc:"The webhook's address, which is a secret."`
	URLFile string   `json:"url_file,omitzero" doc:"A file with the webhook's address."`
	Events  []string `json:"events" doc:"What is told there; everything if empty."`
}

// NotifyWebhook is a receiver of signed JSON.
type NotifyWebhook struct {
	URL        Secret   `json:"url,omitzero" doc:"The receiver's address, which may be a secret."`
	URLFile    string   `json:"url_file,omitzero" doc:"A file with the receiver's address."`
	Secret     Secret   `json:"secret,omitzero" doc:"What deliveries are signed with, at least 16 characters."`
	SecretFile string   `json:"secret_file,omitzero" doc:"A file with the secret."`
	Events     []string `json:"events" doc:"What is told there; everything if empty."`
}

// NotifyRootly raises alerts.
type NotifyRootly struct {
	TargetType string   `json:"target_type,omitzero" enum:"User,Group,EscalationPolicy,Service" doc:"What target_id is the id of."`
	TargetID   string   `json:"target_id,omitzero" doc:"Whom an alert pages. Without it an alert is listed, and goes where Rootly's own rules send it."`
	UrgencyID  string   `json:"urgency_id,omitzero" doc:"The id of the alerts' urgency."`
	Events     []string `json:"events" doc:"What alerts are raised for; everything if empty."`
}

// NotifyEvents are the words of events.
var NotifyEvents = []string{
	"quarantine", "removals_held", "on_call_held", "on_call_released", "no_good_cycle", "another_writer", "credentials_refused",
	"reload_refused", "api_key_refused",
}

// Stale is how old the last good cycle may be before somebody is told: notify.stale_after, or a time after which also
// the given schedule must have had several chances.
func (c *Config) Stale() time.Duration {
	if d, err := time.ParseDuration(c.Notify.StaleAfter); err == nil {
		return d
	}
	const least = 4 * time.Hour
	schedule, err := cron.ParseStandard(c.Schedule)
	if err != nil {
		return least
	}
	shortest, longest := gaps(schedule)
	return max(least, 3*shortest, longest+shortest)
}

// gaps are the shortest and the longest time between two cycles of a schedule. A night or a weekend without cycles is
// no delay, so a few weeks are looked at.
func gaps(s cron.Schedule) (shortest, longest time.Duration) {
	const look = 4096
	at := s.Next(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC))
	for range look {
		next := s.Next(at)
		if next.IsZero() || at.IsZero() {
			break // never again
		}
		gap := next.Sub(at)
		if shortest == 0 || gap < shortest {
			shortest = gap
		}
		longest = max(longest, gap)
		if at = next; at.Year() > 2026 {
			break
		}
	}
	return shortest, longest
}

// notifyPaths makes sure of the channels that are named, and lists the paths below notify.
func (l *loader) notifyPaths() []*string {
	n := &l.cfg.Notify
	v := reflect.ValueOf(n).Elem()
	for _, f := range fieldsOf(v.Type(), "notify") {
		// A channel that is named with nothing below it is still one that was chosen.
		if _, named := l.origins[f.path]; named && f.section() && v.Field(f.index).IsNil() {
			v.Field(f.index).Set(reflect.New(f.typ))
		}
	}
	paths := []*string{&n.CAFile}
	if n.Email != nil {
		paths = append(paths, &n.Email.PasswordFile)
	}
	if n.Slack != nil {
		paths = append(paths, &n.Slack.URLFile)
	}
	if n.Webhook != nil {
		paths = append(paths, &n.Webhook.URLFile, &n.Webhook.SecretFile)
	}
	return paths
}

// notify completes the section notify and checks it.
func (l *loader) notify() {
	n := &l.cfg.Notify
	if n.StaleAfter != "" {
		if d, err := time.ParseDuration(n.StaleAfter); err != nil || d < time.Minute {
			l.problem("notify.stale_after", "is no duration of a minute or more", "write one such as 6h or 90m, or remove the line")
		}
	}
	if n.CAFile != "" {
		l.authorities("notify.ca_file", n.CAFile)
	}
	if e := n.Email; e != nil {
		l.email(e)
		l.events("notify.email.events", e.Events)
	}
	if s := n.Slack; s != nil {
		const path = "notify.slack.url"
		l.secret(path, &s.URL, s.URLFile, "")
		l.secretAddress(path, s.URL, "make an incoming webhook in Slack and give its address as url or url_file")
		l.events("notify.slack.events", s.Events)
	}
	if w := n.Webhook; w != nil {
		l.secret("notify.webhook.url", &w.URL, w.URLFile, "")
		l.secretAddress("notify.webhook.url", w.URL, "give the receiver's address as url or url_file")
		l.secret("notify.webhook.secret", &w.Secret, w.SecretFile, "")
		if len(w.Secret.Reveal()) < 16 {
			l.problem("notify.webhook.secret", "is missing or shorter than 16 characters", "make one with openssl rand -hex 32, give it as secret or secret_file, and to the receiver")
		}
		l.events("notify.webhook.events", w.Events)
	}
	if r := n.Rootly; r != nil {
		l.notifyRootly(r)
		l.events("notify.rootly.events", r.Events)
	}
}

func (l *loader) email(e *NotifyEmail) {
	const host = "notify.email.host"
	l.secret("notify.email.password", &e.Password, e.PasswordFile, "")
	switch {
	case e.Host == "":
		l.problem(host, "is missing", "write the name of the mail server")
	case strings.ContainsAny(e.Host, "/@ ") || strings.Count(e.Host, ":") == 1:
		l.problem(host, "is no host name", "write the name alone; the port has a key of its own")
	case e.Security == "none" && !loopback(e.Host):
		l.problem("notify.email.security", "is none, and the mail server is another machine", "write starttls or tls: messages name people")
	}
	password := !e.Password.IsZero() || e.PasswordFile != ""
	switch {
	case e.Username != "" && e.Security == "none":
		l.problem("notify.email.username", "has no meaning for security none: no password is sent without TLS", "remove username and password, or write starttls or tls")
	case e.Username != "" && !password:
		l.problem("notify.email.password", "is missing beside username", "give password or password_file")
	case e.Username == "" && password:
		l.problem("notify.email.username", "is missing beside password", "write who signs in, or remove the password")
	}
	l.mailbox("notify.email.from", e.From)
	if len(e.To) == 0 {
		l.problem("notify.email.to", "is missing", "list the addresses to write to")
	}
	for i, to := range e.To {
		l.mailbox(fmt.Sprintf("notify.email.to[%d]", i), to)
	}
}

func (l *loader) mailbox(path, text string) {
	if _, err := mail.ParseAddress(text); err != nil {
		l.problem(path, "is no e-mail address", "write one such as oncall@acme.com")
	}
}

// secretAddress checks an address that is a secret. One whose file could not be read has its problem already.
func (l *loader) secretAddress(path string, address Secret, remedy string) {
	failed := func(p Problem) bool { return p.Path == path+"_file" }
	switch {
	case !address.IsZero():
		l.webAddress(path, address.Reveal(), remedy)
	case !slices.ContainsFunc(l.problems, failed):
		l.problem(path, "is missing", remedy)
	}
}

func (l *loader) notifyRootly(r *NotifyRootly) {
	key := l.cfg.Rootly
	switch {
	case key.APIKey.IsZero() && key.APIKeyFile == "":
		l.problem("rootly.api_key", "is missing, and notify.rootly needs it", "set ROOTLY_API_KEY, or give api_key or api_key_file; it is no SCIM token")
	case r.TargetID != "" && r.TargetType == "":
		l.problem("notify.rootly.target_type", "is missing beside target_id", "write User, Group, EscalationPolicy or Service")
	case r.TargetID == "" && r.TargetType != "":
		l.problem("notify.rootly.target_id", "is missing beside target_type", "write the id, or remove target_type")
	}
}

func (l *loader) events(path string, words []string) {
	for i, w := range words {
		if !slices.Contains(NotifyEvents, w) {
			l.problem(fmt.Sprintf("%s[%d]", path, i), "is no event", "write "+orList(NotifyEvents))
		}
	}
}
