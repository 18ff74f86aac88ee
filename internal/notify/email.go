package notify

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// Security is how the connection to a mail server is protected.
type Security string

// The kinds of protection.
const (
	SecurityStartTLS Security = "starttls" // begins in the open and must turn to TLS before anything is said
	SecurityTLS      Security = "tls"      // TLS from the first byte
	SecurityNone     Security = "none"     // loopback only, and no password
)

// Email is a mail server and who writes to whom through it.
type Email struct {
	Host     string
	Port     int      // 0 is 465 for SecurityTLS and 587 otherwise
	Security Security // "" is SecurityStartTLS
	Username string   // "" does not sign in
	Password func() string
	From     string
	To       []string
	Events   []Event // nil means all
}

func (e Email) check() error {
	switch {
	case e.Host == "" || e.From == "" || len(e.To) == 0:
		return errors.New("host, from and to are needed")
	case e.Username != "" && e.Security == SecurityNone:
		return errors.New("a password is not sent without TLS")
	}
	for _, to := range e.To {
		if _, err := e.message(Message{}, to); err != nil {
			return err
		}
	}
	return nil
}

func (e Email) address() string {
	port := cmp.Or(e.Port, 587)
	if e.Port == 0 && e.Security == SecurityTLS {
		port = 465
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(port))
}

// message is m as an e-mail to one person. The library encodes headers and refuses addresses that are none.
func (e Email) message(m Message, to string) (*mail.Msg, error) {
	text, err := m.Text()
	if err != nil {
		return nil, err
	}
	html, err := m.HTML()
	if err != nil {
		return nil, err
	}
	msg := mail.NewMsg()
	if err := msg.From(e.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := msg.To(to); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	msg.Subject("[rootly-idp-sync] " + m.Title)
	msg.SetDateWithValue(m.At)
	msg.SetMessageIDWithValue(m.ID + "@rootly-idp-sync")
	msg.SetGenHeader(mail.HeaderReferences, "<"+m.thread+"@rootly-idp-sync>")
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no vacation notices
	msg.SetBodyString(mail.TypeTextPlain, text)
	msg.AddAlternativeString(mail.TypeTextHTML, html)
	return msg, nil
}

type emailChannel struct {
	Email
	roots *x509.CertPool
}

func (emailChannel) Name() string { return "email" }

// Send hands the message to the mail server. The connection is this function's own from dialling to the end: the library
// would leave it open after a refusal, and knows no bound for the conversation.
func (c emailChannel) Send(ctx context.Context, m Message) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return c.explain(ctx, "connect", err, "check notify.email.host, port and security, and that the network lets it out")
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	return c.converse(ctx, conn, m)
}

func (c emailChannel) dial(ctx context.Context) (net.Conn, error) {
	if c.Security == SecurityTLS {
		return (&tls.Dialer{Config: c.tlsConfig()}).DialContext(ctx, "tcp", c.address())
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", c.address())
}

func (c emailChannel) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: c.Host, RootCAs: c.roots, MinVersion: tls.VersionTLS12}
}

func (c emailChannel) password() string {
	if c.Password == nil {
		return ""
	}
	return c.Password()
}

func (c emailChannel) converse(ctx context.Context, conn net.Conn, m Message) error {
	policy := mail.NoTLS
	if c.Security != SecurityTLS && c.Security != SecurityNone {
		policy = mail.TLSOpportunistic // that TLS came about is checked below, where the error can say what to do
	}
	client, err := mail.NewClient(c.Host, mail.WithTimeout(2*sendTime), mail.WithTLSConfig(c.tlsConfig()), mail.WithTLSPolicy(policy),
		mail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }))
	if err != nil {
		return fmt.Errorf("e-mail: %w", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return c.explain(ctx, "greet", err, "is it a mail server, and is its certificate valid for notify.email.host? notify.ca_file trusts a private authority")
	}
	if _, err := session.GetTLSConnectionState(); err != nil && c.Security != SecurityNone {
		return fmt.Errorf("%s does not offer STARTTLS, so nothing was sent (use its submission port, usually 587, or security: tls with port 465)", c.address())
	}
	if c.Username != "" {
		if err := c.signIn(ctx, session); err != nil {
			return err
		}
	}
	if err := c.deliver(ctx, client, session, m); err != nil {
		return err
	}
	session.Quit() // the message is accepted; a server that hangs up without a goodbye changes nothing
	return nil
}

// deliver sends each person a message of their own: one mailbox that is gone must not silence the others. It is done when
// everybody's is accepted or refused for good, and somebody's was accepted.
func (c emailChannel) deliver(ctx context.Context, client *mail.Client, session *smtp.Client, m Message) error {
	var gone []error
	for _, to := range c.To {
		msg, err := c.message(m, to)
		if err != nil {
			return err
		}
		err = client.SendWithSMTPClient(session, msg)
		if err == nil {
			continue
		}
		explained := c.explain(ctx, "send to "+to, err, "may notify.email.from send, and does the server take mail for this address?")
		if refused, ok := errors.AsType[*mail.SendError](err); !ok || refused.ErrorCode() < 500 {
			return explained
		}
		gone = append(gone, explained)
	}
	switch err := errors.Join(gone...); {
	case len(gone) == len(c.To):
		return err
	case err != nil:
		return &partial{err}
	}
	return nil
}

func (c emailChannel) signIn(ctx context.Context, session *smtp.Client) error {
	offered, params := session.Extension("AUTH")
	mechanisms := strings.Fields(params)
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "SCRAM-SHA-256"):
		auth = smtp.ScramSHA256Auth(c.Username, c.password())
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", c.Username, c.password(), c.Host, false)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = smtp.LoginAuth(c.Username, c.password(), c.Host, false)
	case !offered:
		return fmt.Errorf("%s takes no sign-in (remove notify.email.username and password, or use its submission port)", c.address())
	default:
		return fmt.Errorf("%s offers none of the ways to sign in that are known here: SCRAM-SHA-256, PLAIN, LOGIN", c.address())
	}
	if err := session.Auth(auth); err != nil {
		return c.explain(ctx, "sign in as "+c.Username, err, "check notify.email.username and password; many providers want an app password")
	}
	return nil
}

// explain says at which step the mail server failed and what to do about it.
func (c emailChannel) explain(ctx context.Context, step string, err error, remedy string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %s: %w", c.address(), step, late(ctx, "is it the port for notify.email.security? A firewall may swallow the packets"))
	}
	if code := replyCode(err); code >= 400 && code < 500 {
		remedy = "a temporary refusal: it is tried again"
	}
	return fmt.Errorf("%s: %s: %s (%s)", c.address(), step, line(redact.Text(err.Error(), c.password()), mostText), remedy)
}

// replyCode is what the server answered, 0 when it did not.
func replyCode(err error) int {
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[*mail.SendError](err); ok {
		return e.ErrorCode()
	}
	return 0
}
