package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// Webhook is a receiver of Message as JSON, which can prove who sent it.
type Webhook struct {
	URL    func() string
	Secret func() string // shared with the receiver
	Events []Event       // nil means all
}

func (w Webhook) check() error {
	if w.Secret() == "" {
		return errors.New("the secret is missing")
	}
	return checkAddress(w.URL())
}

// The headers of a delivery.
const (
	HeaderDelivery  = "X-Rootly-Idp-Sync-Delivery"  // Message.ID: the same when a delivery is repeated
	HeaderTimestamp = "X-Rootly-Idp-Sync-Timestamp" // Unix seconds
	HeaderSignature = "X-Rootly-Idp-Sync-Signature" // "sha256=" and Sign of both, in hex
)

// Sign is the HMAC-SHA256 of the timestamp, a dot and the body, in hex. A receiver computes it too, compares in constant
// time, and refuses a timestamp that is minutes old.
func Sign(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

type webhookChannel struct {
	Webhook
	poster
}

func newWebhook(w Webhook, roots *x509.CertPool) webhookChannel {
	return webhookChannel{w, newPoster(roots, func() []string { return append(secretsOf(w.URL()), w.Secret()) })}
}

func (webhookChannel) Name() string { return "webhook" }

var webhookRemedies = map[int]string{
	http.StatusUnauthorized: "does the receiver verify with notify.webhook.secret, and is its clock right?",
	http.StatusForbidden:    "does the receiver verify with notify.webhook.secret, and is its clock right?",
	http.StatusNotFound:     "check notify.webhook.url",
}

func (c webhookChannel) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(m.At.Unix(), 10)
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set(HeaderDelivery, m.ID)
	header.Set(HeaderTimestamp, timestamp)
	header.Set(HeaderSignature, "sha256="+Sign(c.Secret(), timestamp, body))
	err = c.post(ctx, c.URL(), header, body)
	return explained(err, webhookRemedies)
}
