// Package notify tells people what an unattended sync cannot settle by itself: by e-mail, Slack, a signed webhook or an
// alert in Rootly, once for each cause and then ever more rarely, until it is over.
package notify

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Memory keeps what was told from one run of the program to the next. Recall answers nil for a key it does not know.
type Memory interface {
	Recall(ctx context.Context, key string) ([]byte, error)
	Remember(ctx context.Context, key string, data []byte) error
}

// Options say who is told and how. A channel that is nil is not there.
type Options struct {
	Email   *Email
	Slack   *Slack
	Webhook *Webhook
	Rootly  *Rootly

	Sync       string         // what is synced, for the reader of several: "acme.okta.com → https://rootly.com/scim"
	PublicURL  string         // of the status page, "" when it cannot be reached from outside
	StaleAfter time.Duration  // NoGoodCycle is due when the last good one is older; 0 never
	Memory     Memory         // nil remembers for the life of the process
	RootCAs    *x509.CertPool // nil means the system's
	Log        *slog.Logger   // nil is silent
}

// sendTime bounds one delivery, so that a server that swallows packets cannot hold up the cycles.
const sendTime = 15 * time.Second

// A channel is one way to reach people. Send delivers a message or says why it did not, without any secret; it returns
// soon after its context ends and leaves nothing running.
type channel interface {
	Name() string
	Send(ctx context.Context, m Message) error
}

// A partial error is that of a message which reached some of its readers; it is not sent again.
type partial struct{ error }

// A route is a channel with what it is sent.
type route struct {
	channel
	events []Event // nil means all

	kept    state // as last decided; what counts while the memory cannot be read
	unsaved bool  // the memory lacks a part of kept
	status  ChannelStatus
}

func (r *route) wants(e Event) bool { return len(r.events) == 0 || slices.Contains(r.events, e) }

// A ChannelStatus is how a channel does.
type ChannelStatus struct {
	Name    string    `json:"name"`
	Sent    time.Time `json:"sent,omitzero"`    // the last delivery of this process
	Failing time.Time `json:"failing,omitzero"` // since when nothing can be delivered, zero when all is well
	Error   string    `json:"error,omitempty"`  // of the last try
	Waiting int       `json:"waiting"`          // messages that the next cycle tries again
}

// A Notifier sends what is worth telling to each channel. It has no goroutines; its methods are safe for concurrent use.
type Notifier struct {
	o Options

	observing sync.Mutex // one look at a time
	routes    []*route

	mu sync.Mutex // guards the status of the routes
}

// New makes a notifier. It sends nothing. Without any channel it is silent.
func New(o Options) (*Notifier, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notifier{o: o}
	add := func(c channel, events []Event, err error) error {
		if err != nil {
			return fmt.Errorf("notify.%s: %w", c.Name(), err)
		}
		for _, e := range events {
			if !slices.Contains(Events(), e) {
				return fmt.Errorf("notify.%s: there is no event %q", c.Name(), e)
			}
		}
		n.routes = append(n.routes, &route{channel: c, events: events, status: ChannelStatus{Name: c.Name()}})
		return nil
	}
	var errs []error
	if c := o.Email; c != nil {
		errs = append(errs, add(emailChannel{*c, o.RootCAs}, c.Events, c.check()))
	}
	if c := o.Slack; c != nil {
		errs = append(errs, add(newSlack(*c, o.RootCAs), c.Events, c.check()))
	}
	if c := o.Webhook; c != nil {
		errs = append(errs, add(newWebhook(*c, o.RootCAs), c.Events, c.check()))
	}
	if c := o.Rootly; c != nil {
		errs = append(errs, add(newRootly(*c, o.RootCAs), c.Events, c.check()))
	}
	return n, errors.Join(errs...)
}

// Observe looks at the facts and sends what is due. It is called after each cycle, and may be called between two. It never
// fails: what cannot be delivered is logged, shown by Status and tried again at the next call. A crash between a delivery
// and its record repeats a message; none is lost.
func (n *Notifier) Observe(ctx context.Context, f Facts, now time.Time) {
	n.observing.Lock()
	defer n.observing.Unlock()
	for _, r := range n.routes {
		told, err := n.recall(ctx, r)
		base := told.Since
		if base.IsZero() {
			base = now
		}
		next := told.observe(f.conditions(now, base, n.o.StaleAfter), r.wants, f.unknown, now)
		switch {
		case err != nil: // writing now would overwrite what cannot be read
			n.o.Log.Warn("messages may be repeated", "channel", r.Name(), "error", err)
			r.kept, r.unsaved = next, true
		case r.unsaved || !told.equal(next):
			n.keep(ctx, r, next)
		default:
			r.kept = next
		}
		n.deliver(ctx, r, now)
	}
}

// deliver sends what is due to one channel, and stops at the first message that it refuses.
func (n *Notifier) deliver(ctx context.Context, r *route, now time.Time) {
	batches := r.kept.due()
	n.mu.Lock()
	r.status.Waiting = len(batches)
	n.mu.Unlock()
	for i, b := range batches {
		m := n.compose(r.kept, b, r.Name(), now)
		err := send(ctx, r.channel, m)
		if some, ok := errors.AsType[*partial](err); ok {
			n.o.Log.Warn("notification did not reach everybody", "channel", r.Name(), "event", b.event, "error", some)
		} else if err != nil {
			n.o.Log.Warn("notification was not delivered, the next cycle tries again", "channel", r.Name(), "event", b.event, "error", err)
			n.report(r, now, len(batches)-i, err)
			return
		}
		n.o.Log.Info("notification sent", "channel", r.Name(), "event", b.event, "phase", b.phase, "id", m.ID)
		n.keep(ctx, r, r.kept.told(b, now))
		n.report(r, now, len(batches)-i-1, err)
	}
}

func send(ctx context.Context, c channel, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return c.Send(ctx, m)
}

func (n *Notifier) report(r *route, now time.Time, waiting int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r.status.Waiting, r.status.Error = waiting, ""
	if err != nil {
		r.status.Error = err.Error()
	}
	switch _, some := errors.AsType[*partial](err); {
	case err == nil || some:
		r.status.Sent, r.status.Failing = now, time.Time{}
	case r.status.Failing.IsZero():
		r.status.Failing = now
	}
}

// Status is how each channel does, in a fixed order.
func (n *Notifier) Status() []ChannelStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []ChannelStatus
	for _, r := range n.routes {
		out = append(out, r.status)
	}
	return out
}

func (r *route) memoryKey() string { return "notify/" + r.Name() }

// recall is what the channel was told. Another replica may have led meanwhile, so the memory is asked each time; what
// could not be written to it counts too.
func (n *Notifier) recall(ctx context.Context, r *route) (state, error) {
	if n.o.Memory == nil {
		return r.kept, nil
	}
	data, err := n.o.Memory.Recall(ctx, r.memoryKey())
	if err != nil {
		return r.kept, fmt.Errorf("read what was notified: %w", err)
	}
	var s state
	if len(data) > 0 {
		if err := json.Unmarshal(data, &s); err != nil {
			n.o.Log.Warn("what was notified cannot be understood; messages may be repeated", "channel", r.Name(), "error", err)
			return r.kept, nil
		}
	}
	if r.unsaved {
		s = s.with(r.kept)
	}
	return s, nil
}

// keep makes s what the channel was told.
func (n *Notifier) keep(ctx context.Context, r *route, s state) {
	r.kept = s
	if n.o.Memory == nil {
		return
	}
	// A shutdown in mid-delivery must still record what was delivered.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTime)
	defer cancel()
	data, err := json.Marshal(s)
	if err == nil {
		err = n.o.Memory.Remember(ctx, r.memoryKey(), data)
	}
	if r.unsaved = err != nil; err != nil {
		n.o.Log.Warn("what was notified cannot be kept; messages may be repeated", "channel", r.Name(), "error", err)
	}
}

// digest names something by its content, in a few characters.
func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}
