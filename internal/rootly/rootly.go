// Package rootly asks Rootly's REST API what SCIM cannot tell: who is on call, who has a shift soon, who sits in a
// rotation and whom an escalation policy pages by name. It only reads.
package rootly

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// DefaultURL is the API of Rootly's shared instance.
const DefaultURL = "https://api.rootly.com"

// Options configure a Client. APIKey is required.
type Options struct {
	BaseURL   string // DefaultURL if empty; without /v1
	APIKey    func() string
	UserAgent string
	Transport http.RoundTripper // nil is net/http's
	Log       *slog.Logger      // nil is silent
	Now       func() time.Time  // nil is time.Now
}

// A Client reads Rootly's REST API. It is safe for concurrent use.
type Client struct {
	base string
	opts Options
	http http.Client
	log  *slog.Logger

	mu     sync.Mutex // held while the rota is read, so that it is read once
	rota   *rota
	readAt time.Time
}

// New returns a client. Nothing is sent.
func New(o Options) (*Client, error) {
	if o.APIKey == nil {
		return nil, errors.New("rootly: there is no API key")
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultURL
	}
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("rootly: the address of the API is no web address")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{base: strings.TrimRight(o.BaseURL, "/") + "/v1", opts: o, log: o.Log}
	c.http = http.Client{
		Transport: redact.Transport(o.Transport),
		// A redirect is an answer like any other: following it could carry the key to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Check proves with one small request that the address and the key are good.
func (c *Client) Check(ctx context.Context) error {
	_, err := c.page(ctx, "listing schedules", "/schedules", url.Values{"page[size]": {"1"}, "page[number]": {"1"}})
	return err
}

// A User is one account of Rootly, under the id that its REST API knows it by.
type User struct {
	ID    string
	Email string
}

// Users returns the accounts with exactly that e-mail address, letter case aside: mostly one, or none. The server is asked
// to look for it, and its answer is looked through all the same.
func (c *Client) Users(ctx context.Context, email string) ([]User, error) {
	var found []User
	err := c.list(ctx, "looking up a user", "/users", url.Values{"filter[email]": {email}}, func(r resource) error {
		var a struct{ Email string }
		if err := r.decode(&a); err != nil {
			return err
		}
		if a.Email == "" {
			return errors.New("a user has no e-mail address")
		}
		if strings.EqualFold(strings.TrimSpace(a.Email), strings.TrimSpace(email)) {
			found = append(found, User{ID: r.ID, Email: a.Email})
		}
		return nil
	})
	return found, err
}

// MaxShiftUsers is how many people one request for shifts may name.
const MaxShiftUsers = 50

// A Shift is a time in which a schedule pages one user.
type Shift struct {
	User         string // id
	Schedule     string // id
	Starts, Ends time.Time
	Override     bool
}

// Shifts returns the shifts of at most MaxShiftUsers users that overlap the time from..to, as they are after overrides.
func (c *Client) Shifts(ctx context.Context, users []string, from, to time.Time) ([]Shift, error) {
	if len(users) > MaxShiftUsers {
		return nil, fmt.Errorf("rootly: shifts of %d users at once, at most %d can be asked for", len(users), MaxShiftUsers)
	}
	asked := map[string]bool{}
	for _, u := range users {
		asked[u] = true
	}
	q := url.Values{
		"user_ids[]": users, "from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)}, "include": {"user"},
	}
	var shifts []Shift
	err := c.unpaged(ctx, "listing shifts", "/shifts", q, func(r resource) error {
		var a struct {
			ScheduleID string    `json:"schedule_id"`
			StartsAt   time.Time `json:"starts_at"`
			EndsAt     time.Time `json:"ends_at"`
			IsOverride bool      `json:"is_override"`
			User       relation
		}
		if err := r.decode(&a); err != nil {
			return err
		}
		user := r.Relationships["user"].Data.ID
		if user == "" {
			user = a.User.Data.ID
		}
		switch {
		case user == "" || a.ScheduleID == "":
			return errors.New("a shift lacks its user or its schedule")
		case !a.EndsAt.After(a.StartsAt):
			return errors.New("a shift does not end after it starts")
		case asked[string(user)] && a.EndsAt.After(from) && a.StartsAt.Before(to):
			shifts = append(shifts, Shift{string(user), a.ScheduleID, a.StartsAt, a.EndsAt, a.IsOverride})
		}
		return nil
	})
	return shifts, err
}
