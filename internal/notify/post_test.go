package notify

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

// A receiver keeps what it was sent and answers as told.
type receiver struct {
	*httptest.Server
	status int
	answer string
	header http.Header
	body   []byte
	path   string
	hits   int
}

func newReceiver(t *testing.T, status int, answer string) *receiver {
	t.Helper()
	r := &receiver{status: status, answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.hits, r.header, r.path = r.hits+1, req.Header.Clone(), req.URL.RequestURI()
		r.body, _ = io.ReadAll(req.Body)
		if r.status/100 == 3 {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(r.status)
		io.WriteString(w, r.answer)
	}))
	t.Cleanup(r.Close)
	return r
}

func text(s string) func() string { return func() string { return s } }

// channels are the three that speak HTTP, all to r. Each address holds a secret.
func (r *receiver) channels() map[string]channel {
	return map[string]channel{
		"slack":   newSlack(Slack{URL: text(r.URL + "/services/T0/" + canary)}, nil),
		"webhook": newWebhook(Webhook{URL: text(r.URL + "/hook?token=" + canary), Secret: password}, nil),
		"rootly":  newRootly(Rootly{APIURL: r.URL, APIKey: password, TargetType: "EscalationPolicy", TargetID: "ep1", UrgencyID: "u1"}, nil),
	}
}

func TestSlackTakesTheMessage(t *testing.T) {
	r := newReceiver(t, 200, "ok")
	if err := r.channels()["slack"].Send(t.Context(), hostile()); err != nil {
		t.Fatal(err)
	}
	var got slackPayload
	if err := json.Unmarshal(r.body, &got); err != nil || got.Text == "" || len(got.Blocks) < 3 || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v, received %s", err, r.body)
	}
}

func TestTheWebhookCanBeVerified(t *testing.T) {
	r := newReceiver(t, 204, "")
	if err := r.channels()["webhook"].Send(t.Context(), hostile()); err != nil {
		t.Fatal(err)
	}
	timestamp := r.header.Get(HeaderTimestamp)
	if want := "sha256=" + Sign(canary, timestamp, r.body); !hmac.Equal([]byte(want), []byte(r.header.Get(HeaderSignature))) {
		t.Errorf("signature %s, want %s", r.header.Get(HeaderSignature), want)
	}
	if timestamp != "1772442000" || r.header.Get(HeaderDelivery) != "id1" {
		t.Errorf("timestamp %s, delivery %s", timestamp, r.header.Get(HeaderDelivery))
	}
	golden(t, "webhook.json", string(r.body)+"\n")
	// What openssl makes of the same: printf '1772442000.{"id":"1"}' | openssl dgst -sha256 -hmac 0123456789abcdef
	const want = "dc58b5832bcdf121f07cdf49c1e77e7d1fa8a59f88fdf7a723abb05a72c1d409"
	if got := Sign("0123456789abcdef", "1772442000", []byte(`{"id":"1"}`)); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// newAlert is what Rootly's description of POST /v1/alerts asks for, in its own words but for what is not sent here.
const newAlert = `{
  "type": "object", "required": ["data"], "properties": {"data": {
    "type": "object", "required": ["type", "attributes"], "properties": {
      "type": {"type": "string", "enum": ["alerts"]},
      "attributes": {"type": "object", "required": ["source", "summary"], "additionalProperties": false, "properties": {
        "source": {"type": "string", "enum": ["rootly", "manual", "web", "generic_webhook"]},
        "summary": {"type": "string"}, "description": {"type": "string"}, "external_id": {"type": "string"}, "external_url": {"type": "string"},
        "started_at": {"type": "string", "format": "date-time"}, "ended_at": {"type": "string", "format": "date-time"},
        "noise": {"type": "string", "enum": ["noise", "not_noise"]}, "alert_urgency_id": {"type": "string"},
        "notification_target_type": {"type": "string", "enum": ["User", "Group", "EscalationPolicy", "Service"]},
        "notification_target_id": {"type": "string"},
        "labels": {"type": "array", "items": {"type": "object", "required": ["key", "value"], "properties": {"key": {"type": "string"}, "value": {"type": "string"}}}}
      }}}}}}`

// alertSchemas are the one above and, if ROOTLY_OPENAPI names Rootly's own description of its API, that one's.
func alertSchemas(t *testing.T) map[string]*jsonschema.Resolved {
	t.Helper()
	texts := map[string]string{"contract": newAlert}
	if file := os.Getenv("ROOTLY_OPENAPI"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Components struct {
				Schemas map[string]json.RawMessage `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		texts["ROOTLY_OPENAPI"] = string(doc.Components.Schemas["new_alert"])
	}
	out := map[string]*jsonschema.Resolved{}
	for name, text := range texts {
		var s jsonschema.Schema
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resolved, err := s.Resolve(nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = resolved
	}
	return out
}

func TestRootlyTakesTheAlert(t *testing.T) {
	schemas := alertSchemas(t)
	for _, phase := range []Phase{PhaseFirst, PhaseRecovered, PhaseTest} {
		r := newReceiver(t, 201, `{"data":{"id":"1","type":"alerts","attributes":{}}}`)
		m := hostile()
		m.Phase = phase
		if err := r.channels()["rootly"].Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if r.path != "/v1/alerts" || r.header.Get("Authorization") != "Bearer "+canary || r.header.Get("Content-Type") != "application/vnd.api+json" {
			t.Errorf("%s with %v", r.path, r.header)
		}
		var sent any
		if err := json.Unmarshal(r.body, &sent); err != nil {
			t.Fatal(err)
		}
		for name, schema := range schemas {
			if err := schema.Validate(sent); err != nil {
				t.Errorf("%s, %s: %v in %s", name, phase, err, r.body)
			}
		}
		if pages := strings.Contains(string(r.body), "notification_target_id"); pages != (phase != PhaseRecovered) {
			t.Errorf("%s pages: %v", phase, pages)
		}
	}
}

func TestRefusalsSayWhatToDoAndNoSecret(t *testing.T) {
	tests := map[string]struct {
		channel, answer string
		status          int
		want            string
	}{
		"slack, a webhook that is gone":  {"slack", "no_service", 404, "answered 404 Not Found: no_service (the webhook does not exist any more: make a new one and write it to notify.slack.url)"},
		"slack, an archived channel":     {"slack", "channel_is_archived", 410, "its channel is archived"},
		"slack, an address repeated":     {"slack", "no route /services/T0/" + canary, 404, "no route [secret]"},
		"webhook, a wrong secret":        {"webhook", "bad signature, not " + canary, 401, "answered 401 Unauthorized: bad signature, not [secret] (does the receiver verify with notify.webhook.secret, and is its clock right?)"},
		"webhook, a fault":               {"webhook", "", 503, "answered 503 Service Unavailable (it is tried again)"},
		"webhook, elsewhere":             {"webhook", "", 307, "answered 307 Temporary Redirect (redirects are not followed: write the address it leads to)"},
		"rootly, a wrong key":            {"rootly", `{"errors":[{"title":"Invalid token"}]}`, 401, "(check rootly.api_key: it is a key of the REST API, not the SCIM token)"},
		"rootly, a target that is none":  {"rootly", "", 422, "answered 422 Unprocessable Entity (check target_type, target_id and urgency_id of notify.rootly)"},
		"rootly, a permanent redirect":   {"rootly", "", 301, "redirects are not followed"},
		"rootly, too many":               {"rootly", "", 429, "(it is tried again)"},
		"slack, a page that is no Slack": {"slack", "<html>\n" + strings.Repeat("x", 4000), 405, "(check the address)"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, tc.status, tc.answer)
			err := r.channels()[tc.channel].Send(t.Context(), hostile())
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), canary) || len(err.Error()) > 500 {
				t.Errorf("got %v\nwant …%s", err, tc.want)
			}
			if r.hits != 1 {
				t.Errorf("%d requests, want 1: a redirect was followed, or it was repeated", r.hits)
			}
		})
	}
}

func TestServersThatDoNotAnswer(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	closed := httptest.NewServer(nil)
	closed.Close()
	for want, server := range map[string]*httptest.Server{"no answer in time": slow, "check the address, and that the network lets it out": closed} {
		for name, c := range (&receiver{Server: server}).channels() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			err := c.Send(ctx, hostile())
			cancel()
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}
