package notify

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"
)

// canary is the value of every secret in these tests. It must never be seen.
const canary = "canary-5d1e77"

func password() string { return canary }

// hostile is a message made of names that mean to be more than text.
func hostile() Message {
	c := condition{
		Key: "k", Event: RemovalsHeld, Text: "<b>35</b> & more\r\nBcc: evil@acme.com", Since: start,
		Items: []string{"<script>alert(1)</script>", "<!channel> *bold* `code`", "a\r\nSubject: evil", "\u202egnp.exe"},
		Steps: []string{"rootly-idp-sync approve " + argument("$(rm -rf /)'x")},
		Facts: []Pair{{"people managed", "<412>"}},
	}
	c.tidy()
	m := message(batch{event: RemovalsHeld, phase: PhaseFirst, keys: []string{"k"}}, []record{{Condition: c, First: start}}, start)
	m.ID, m.thread, m.Sync, m.Link = "id1", "thread1", line("acme\r\nX: y <https://x>", 200), "https://sync.acme.com/?a=1&b=2"
	return m
}

func TestEmailArrivesAsTextAndHTML(t *testing.T) {
	tests := map[string]struct {
		shape func(*mailServer)
		email Email
	}{
		"STARTTLS and a password": {nil, Email{Username: "sync@acme.com", Password: password}},
		"TLS and a password":      {func(s *mailServer) { s.implicitTLS = true }, Email{Security: SecurityTLS, Username: "sync@acme.com", Password: password}},
		"STARTTLS, no password":   {func(s *mailServer) { s.noAuth = true }, Email{}},
		"loopback in the open":    {func(s *mailServer) { s.noStartTLS = true }, Email{Security: SecurityNone}},
		"no goodbye":              {func(s *mailServer) { s.hup = "QUIT" }, Email{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newMailServer(t, tc.shape)
			if err := s.email(tc.email).Send(t.Context(), hostile()); err != nil {
				t.Fatal(err)
			}
			mails, _ := s.received()
			if len(mails) != 1 {
				t.Fatalf("%d mails were received", len(mails))
			}
			checkMail(t, mails[0])
		})
	}
}

func checkMail(t *testing.T, raw string) {
	t.Helper()
	msg, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != "[rootly-idp-sync] Removals are held (4)" {
		t.Errorf("subject %q, %v", subject, err)
	}
	for header, want := range map[string]string{"Message-ID": "<id1@rootly-idp-sync>", "References": "<thread1@rootly-idp-sync>", "Auto-Submitted": "auto-generated", "Bcc": "", "X": ""} {
		if got := msg.Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []struct{ kind, has string }{{"text/plain", "<script>alert(1)</script>"}, {"text/html", "&lt;script&gt;alert(1)&lt;/script&gt;"}} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil || !strings.HasPrefix(part.Header.Get("Content-Type"), want.kind) || !strings.Contains(string(body), want.has) {
			t.Errorf("%v: a part of type %s, want %s with %s:\n%s", err, part.Header.Get("Content-Type"), want.kind, want.has, body)
		}
	}
}

func TestEmailSaysWhatToDo(t *testing.T) {
	signedIn := Email{Username: "sync@acme.com", Password: password}
	tests := map[string]struct {
		shape func(*mailServer)
		email Email
		want  string
		none  string // a command that must not have been sent
	}{
		"STARTTLS is not offered": {func(s *mailServer) { s.noStartTLS = true }, signedIn,
			"does not offer STARTTLS, so nothing was sent (use its submission port, usually 587, or security: tls with port 465)", "AUTH"},
		"a wrong password": {func(s *mailServer) { s.pass = "other" }, signedIn,
			"sign in as sync@acme.com: 535 \"5.7.8 Username and Password not accepted\" (check notify.email.username and password; many providers want an app password)", "MAIL"},
		"a server that repeats the password": {func(s *mailServer) { s.answers["AUTH"] = "535 not " + canary }, signedIn, "535 \"not [secret]\"", "MAIL"},
		"a server that repeats what signed in": {func(s *mailServer) {
			s.answers["AUTH"] = "535 not " + base64.StdEncoding.EncodeToString([]byte("\x00sync@acme.com\x00"+canary))
		}, signedIn, "[secret]", "MAIL"},
		"no sign-in": {func(s *mailServer) { s.noAuth = true }, signedIn,
			"takes no sign-in (remove notify.email.username and password, or use its submission port)", "MAIL"},
		"a certificate of nobody we know": {func(s *mailServer) { _, s.roots = certificate(s.t) }, Email{},
			"notify.ca_file trusts a private authority", "MAIL"},
		"greylisting":                {func(s *mailServer) { s.answers["RCPT"] = "451 4.7.1 later" }, Email{}, "451 \"4.7.1 later\"", "DATA"},
		"greylisting is said so":     {func(s *mailServer) { s.answers["RCPT"] = "451 4.7.1 later" }, Email{}, "(a temporary refusal: it is tried again)", "DATA"},
		"a sender who may not":       {func(s *mailServer) { s.answers["MAIL"] = "550 5.7.1 not you" }, Email{}, "(may notify.email.from send, and does the server take mail for this address?)", "DATA"},
		"a full disk after DATA":     {func(s *mailServer) { s.answers["."] = "452 disk full" }, Email{}, "452 \"disk full\"", ""},
		"a server that is closing":   {func(s *mailServer) { s.answers["greeting"] = "421 closing" }, Email{}, "greet: 421 \"closing\"", "EHLO"},
		"hanging up in the greeting": {func(s *mailServer) { s.hup = "greeting" }, Email{}, "greet: ", "EHLO"},
		"hanging up after DATA":      {func(s *mailServer) { s.hup = "." }, Email{}, "send to ops@acme.com: ", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newMailServer(t, tc.shape)
			err := s.email(tc.email).Send(t.Context(), hostile())
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("got %v\nwant …%s", err, tc.want)
			}
			_, commands := s.received()
			for _, c := range commands {
				if tc.none != "" && strings.HasPrefix(c, tc.none) {
					t.Errorf("%s was sent", tc.none)
				}
			}
		})
	}
}

func TestAMailServerThatHangsHoldsNobodyUp(t *testing.T) {
	for _, at := range []string{"greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "DATA", "."} {
		t.Run(at, func(t *testing.T) {
			s := newMailServer(t, func(s *mailServer) { s.hang = at })
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			err := s.email(Email{Username: "sync@acme.com", Password: password}).Send(ctx, hostile())
			if err == nil || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestOneMailboxThatIsGoneDoesNotSilenceTheOthers(t *testing.T) {
	tests := map[string]struct {
		answer  string
		partial bool
	}{
		"gone":         {"550 5.1.1 no such user", true},
		"not just now": {"450 4.2.1 busy", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := newMailServer(t, func(s *mailServer) { s.answers["RCPT TO:<GONE@ACME.COM>"] = tc.answer })
			err := s.email(Email{To: []string{"a@acme.com", "gone@acme.com", "b@acme.com"}}).Send(t.Context(), hostile())
			if _, some := errors.AsType[*partial](err); some != tc.partial || err == nil || !strings.Contains(err.Error(), "gone@acme.com") {
				t.Errorf("got %v", err)
			}
			want := 1
			if tc.partial {
				want = 2
			}
			if mails, _ := s.received(); len(mails) != want {
				t.Errorf("%d mails were received, want %d", len(mails), want)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	s := newMailServer(t, nil)
	c := s.email(Email{})
	s.listener.Close()
	err := c.Send(t.Context(), hostile())
	if want := fmt.Sprintf("127.0.0.1:%d: connect: ", c.Port); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), "check notify.email.host, port and security") {
		t.Errorf("got %v", err)
	}
}
