package rootly

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

const (
	requestTime = 30 * time.Second
	maxTries    = 4 // of a request that the server or the network failed
	maxBody     = 32 << 20
	longestWait = 90 * time.Second // a window of Rootly's rate limit is a minute
	maxWaits    = 3                // for the rate limit, in one request
	mediaType   = "application/vnd.api+json"
)

// An Error is a request that Rootly's REST API did not answer as asked. Its text ends with what to do.
type Error struct {
	Step   string // "listing shifts"
	Status int    // 0 when no answer came
	Detail string
	after  time.Duration
}

func (e *Error) Error() string {
	text := "rootly api: "
	if e.Status != 0 {
		text += strconv.Itoa(e.Status) + " "
	}
	text += e.Step
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	switch e.Status {
	case http.StatusUnauthorized:
		text += " (the API key is wrong or revoked: make another in Rootly and set rootly.api_key)"
	case http.StatusForbidden:
		text += " (the API key may not do this: give it a role that can read users, schedules and escalation policies)"
	case http.StatusNotFound:
		text += " (check rootly.api_url, and what the API key may read)"
	}
	return text
}

// Unauthorized tells whether the API refuses the key, or what it may read: until somebody mends that, nothing can be read.
func (e *Error) Unauthorized() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// get reads one document. What the server or the network failed is tried again, and a rate limit is waited for.
func (c *Client) get(ctx context.Context, step, path string, query url.Values) ([]byte, error) {
	var pauses wire.Pauses
	for try, waits := 1, 0; ; {
		body, err := c.exchange(ctx, step, path, query)
		if err == nil {
			return body, nil
		}
		e, ok := errors.AsType[*Error](err)
		var pause time.Duration
		switch {
		case !ok || ctx.Err() != nil:
			return nil, err
		case e.Status == http.StatusTooManyRequests && waits < maxWaits:
			waits++
			pause = min(max(e.after, time.Second), longestWait)
		case (e.Status == 0 || e.Status == http.StatusRequestTimeout || e.Status >= 500) && try < maxTries:
			pause = min(max(e.after, wire.Backoff(500*time.Millisecond, try)), longestWait)
			try++
		default:
			return nil, err
		}
		c.log.Debug("rootly request is repeated", "path", path, "in", pause, "because", err)
		if err := pauses.Wait(ctx, pause); err != nil {
			return nil, fmt.Errorf("rootly api: %s: %w", step, err)
		}
	}
}

// exchange sends a request once.
func (c *Client) exchange(ctx context.Context, step, path string, query url.Values) ([]byte, error) {
	attempt, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(attempt, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("rootly api: %s: the request cannot be built", step)
	}
	key := c.opts.APIKey()
	if key == "" {
		return nil, errors.New("rootly api: the API key is empty (set rootly.api_key)")
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Accept", mediaType)
	req.Header.Set("User-Agent", cmp.Or(c.opts.UserAgent, "rootly-idp-sync"))
	start := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &Error{Step: step, Detail: "no answer: " + plain(err)}
	}
	defer resp.Body.Close()
	c.log.Debug("rootly request", "path", path, "status", resp.StatusCode, "took", time.Since(start))
	a, err := wire.Read(resp, maxBody)
	switch {
	case err != nil:
		return nil, &Error{Step: step, Detail: plain(err)}
	case a.Status == http.StatusOK:
		return a.Body, nil
	case a.Status/100 == 3:
		return nil, &Error{Step: step, Status: a.Status, Detail: "redirects are not followed (set rootly.api_url to where it leads)"}
	}
	return nil, &Error{Step: step, Status: a.Status, Detail: oneLine(refusalText(a.Body)), after: c.asked(a.Header)}
}

// plain is a network's error without the URL that net/http puts around it, which has people's addresses.
func plain(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return oneLine(wire.Trouble(err))
}

// refusalText is what an error document of JSON:API says.
func refusalText(body []byte) string {
	var doc struct {
		Errors []struct{ Title, Detail string }
	}
	if json.Unmarshal(body, &doc) != nil {
		return ""
	}
	var parts []string
	for _, e := range doc.Errors {
		parts = append(parts, strings.TrimSuffix(e.Title+", "+e.Detail, ", "))
	}
	return strings.Join(parts, "; ")
}

// oneLine shortens a server's words.
func oneLine(s string) string {
	const most = 300
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return s
}

// asked is the wait that an answer asks for: Retry-After in seconds or as a date, or RateLimit-Reset, a UTC epoch.
func (c *Client) asked(h http.Header) time.Duration {
	now := c.opts.Now()
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if s, err := strconv.Atoi(v); err == nil {
			return time.Duration(min(max(s, 0), 3600)) * time.Second
		}
		if t, err := http.ParseTime(v); err == nil {
			return t.Sub(now)
		}
	}
	if s, err := strconv.ParseInt(strings.TrimSpace(h.Get("RateLimit-Reset")), 10, 64); err == nil {
		return time.Unix(s, 0).Sub(now)
	}
	return 0
}
