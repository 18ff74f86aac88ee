package notify

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Rootly raises an alert in Rootly itself.
type Rootly struct {
	APIURL string
	APIKey func() string
	// TargetType and TargetID say whom an alert pages: a User, Group, EscalationPolicy or Service. Without them it is
	// only listed, or routed by Rootly's own rules.
	TargetType string
	TargetID   string
	UrgencyID  string
	Events     []Event // nil means all
}

func (r Rootly) check() error {
	switch {
	case r.APIKey() == "":
		return errors.New("rootly.api_key is missing")
	case (r.TargetType == "") != (r.TargetID == ""):
		return errors.New("target_type and target_id go together")
	}
	return checkAddress(r.APIURL)
}

type rootlyChannel struct {
	Rootly
	poster
}

func newRootly(r Rootly, roots *x509.CertPool) rootlyChannel {
	return rootlyChannel{r, newPoster(roots)}
}

func (rootlyChannel) Name() string { return "rootly" }

var rootlyRemedies = map[int]string{
	http.StatusUnauthorized:        "check rootly.api_key: it is a key of the REST API, not the SCIM token",
	http.StatusForbidden:           "give the key of rootly.api_key the permission to create alerts",
	http.StatusNotFound:            "check rootly.api_url, and target_id and urgency_id of notify.rootly",
	http.StatusUnprocessableEntity: "check target_type, target_id and urgency_id of notify.rootly",
}

func (c rootlyChannel) Send(ctx context.Context, m Message) error {
	alert, err := c.alert(m)
	if err != nil {
		return err
	}
	body, err := json.Marshal(alert)
	if err != nil {
		return err
	}
	header := http.Header{}
	header.Set("Content-Type", "application/vnd.api+json")
	header.Set("Accept", "application/vnd.api+json")
	header.Set("Authorization", "Bearer "+c.APIKey())
	err = c.post(ctx, strings.TrimRight(c.APIURL, "/")+"/v1/alerts", header, body)
	return explained(err, rootlyRemedies)
}

type alertRequest struct {
	Data struct {
		Type       string          `json:"type"`
		Attributes alertAttributes `json:"attributes"`
	} `json:"data"`
}

type alertAttributes struct {
	Source      string       `json:"source"`
	Summary     string       `json:"summary"`
	Description string       `json:"description,omitempty"`
	ExternalID  string       `json:"external_id,omitempty"`
	ExternalURL string       `json:"external_url,omitempty"`
	StartedAt   time.Time    `json:"started_at,omitzero"`
	EndedAt     time.Time    `json:"ended_at,omitzero"`
	UrgencyID   string       `json:"alert_urgency_id,omitempty"`
	TargetType  string       `json:"notification_target_type,omitempty"`
	TargetID    string       `json:"notification_target_id,omitempty"`
	Noise       string       `json:"noise,omitempty"`
	Labels      []alertLabel `json:"labels,omitempty"`
}

type alertLabel struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// alert is the message as Rootly takes it. The end of something pages nobody: it is listed with its end and marked as
// noise, for the API has no call that resolves an alert.
func (c rootlyChannel) alert(m Message) (alertRequest, error) {
	text, err := m.Text()
	a := alertAttributes{
		Source: "manual", Summary: m.Title, Description: text, ExternalID: m.ID, ExternalURL: m.Link, StartedAt: m.Since,
		UrgencyID: c.UrgencyID, TargetType: c.TargetType, TargetID: c.TargetID,
		Labels: []alertLabel{{"service", "rootly-idp-sync"}, {"event", string(m.Event)}, {"phase", string(m.Phase)}},
	}
	if m.Phase == PhaseRecovered {
		a.EndedAt, a.Noise, a.UrgencyID, a.TargetType, a.TargetID = m.At, "noise", "", "", ""
	}
	var out alertRequest
	out.Data.Type, out.Data.Attributes = "alerts", a
	return out, err
}
