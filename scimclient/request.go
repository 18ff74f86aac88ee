package scimclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	mediaType    = "application/scim+json"
	errorURN     = "urn:ietf:params:scim:api:messages:2.0:Error"
	maxTries     = 4         // of a read, and of a write that reading showed not to have been done
	maxBody      = 128 << 20 // of an answer: a page of 1000 groups with 500 members each stays below it
	maxErrorBody = 64 << 10
	maxDetail    = 300
)

// A request is one SCIM request before it is sent.
type request struct {
	op      string
	method  string
	path    string // below the base URL, its segments escaped
	query   url.Values
	payload any // nil for none
	ifMatch string
}

// An answer is a success status with what came with it. The body is empty where it was decoded while it arrived.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// An exchangeError is a request that no readable answer came to. A write may have been done.
type exchangeError struct {
	op    string
	cause error
}

func (e *exchangeError) Error() string { return fmt.Sprintf("%s: no answer: %v", e.op, e.cause) }
func (e *exchangeError) Unwrap() error { return e.cause }

// A WithheldError says that a request that may change something was not sent, since Options.Allow forbade it.
type WithheldError struct {
	Op    string
	Cause error
}

func (e *WithheldError) Error() string { return fmt.Sprintf("%s: not sent: %v", e.Op, e.Cause) }
func (e *WithheldError) Unwrap() error { return e.Cause }

// errTooLarge is an answer beyond maxBody. Listings ask for smaller pages then.
var errTooLarge = fmt.Errorf("the answer is larger than %d MB", maxBody>>20)

// unsettled tells whether err leaves open what the server did: no answer, or one of a server in trouble. 501 is a
// plain statement and not among them.
func unsettled(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status == http.StatusRequestTimeout || e.Status >= 500 && e.Status != http.StatusNotImplemented
	}
	_, ok := errors.AsType[*exchangeError](err)
	return ok
}

// read sends a request that changes nothing, again after a backoff while its outcome is unsettled. into decodes the
// body as it arrives and must start afresh on each call; without it the answer holds the body.
func (c *Client) read(ctx context.Context, r request, into func(io.Reader) error) (answer, error) {
	for try := 1; ; try++ {
		ans, err := c.do(ctx, r, into)
		if err == nil || try == maxTries || !unsettled(err) || ctx.Err() != nil {
			return ans, err
		}
		if err := c.backoff(ctx, try, err); err != nil {
			return answer{}, fmt.Errorf("%s: %w", r.op, err)
		}
	}
}

// backoff waits before another try, as long as the failed answer asked for if that is longer.
func (c *Client) backoff(ctx context.Context, try int, err error) error {
	d := backoff(try)
	if e, ok := errors.AsType[*Error](err); ok {
		d = max(d, min(e.after, c.opts.MaxWait))
	}
	c.log.Debug("scim request is repeated", "try", try+1, "in", d, "because", err)
	return sleep(ctx, d)
}

// do sends a request when its turn comes. A 429 was not acted upon by the server, so reads and writes alike are sent
// again after the pause, within the wait budget. An error of the context is one from before sending.
func (c *Client) do(ctx context.Context, r request, into func(io.Reader) error) (answer, error) {
	var waited time.Duration
	for try := 1; ; try++ {
		if err := c.pace.wait(ctx); err != nil {
			return answer{}, fmt.Errorf("%s: %w", r.op, err)
		}
		ans, err := c.exchange(ctx, r, into)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Status != http.StatusTooManyRequests {
			return ans, err
		}
		wanted := e.after
		if wanted == 0 {
			wanted = time.Second << min(try-1, 6)
		}
		pause := c.pace.limited(wanted)
		if waited += pause; waited > c.opts.WaitBudget {
			e.hint = fmt.Sprintf("the server kept refusing for %s; lower target.max_rate or try later", c.opts.WaitBudget)
			return answer{}, err
		}
		c.log.Info("scim server asks to slow down", "pause", pause.Round(time.Millisecond))
	}
}

// exchange sends a request once.
func (c *Client) exchange(ctx context.Context, r request, into func(io.Reader) error) (answer, error) {
	attempt, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := c.newRequest(attempt, r)
	if err != nil {
		return answer{}, err
	}
	start := time.Now()
	if r.method != http.MethodGet {
		if err := c.opts.Allow(); err != nil {
			return answer{}, &WithheldError{r.op, err}
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.count(r.method, 0)
		return answer{}, &exchangeError{r.op, c.cause(ctx, err)}
	}
	defer resp.Body.Close()
	c.count(r.method, resp.StatusCode)
	defer c.timed(start)
	c.log.Debug("scim request", "method", r.method, "path", r.path, "status", resp.StatusCode, "took", time.Since(start))

	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		if err != nil && ctx.Err() != nil {
			return answer{}, &exchangeError{r.op, ctx.Err()}
		}
		return answer{}, refusal(r, resp, body)
	}
	ans := answer{status: resp.StatusCode, header: resp.Header}
	if into == nil {
		into = func(body io.Reader) (err error) {
			ans.body, err = io.ReadAll(body)
			return err
		}
	}
	body := &meter{r: io.LimitReader(resp.Body, maxBody+1)}
	err = into(body)
	switch {
	case body.n > maxBody:
		return answer{}, &Error{Op: r.op, Method: r.method, Path: r.path, Status: resp.StatusCode, Detail: errTooLarge.Error(), cause: errTooLarge}
	case body.err != nil:
		return answer{}, &exchangeError{r.op, c.cause(ctx, body.err)}
	case err != nil:
		return answer{}, &Error{Op: r.op, Method: r.method, Path: r.path, Status: resp.StatusCode, Detail: oneLine(err.Error()),
			hint: "check that the SCIM URL leads to the SCIM server and not to a web page"}
	}
	return ans, nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + strings.ReplaceAll(r.query.Encode(), "+", "%20") // not every server reads + as a space
	}
	var body io.Reader
	if r.payload != nil {
		data, err := json.Marshal(r.payload)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.op, err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s: the request cannot be built", r.op)
	}
	token := c.opts.Token()
	if token == "" {
		return nil, fmt.Errorf("%s: the SCIM token is empty (it is made in Rootly under Integrations > SSO)", r.op)
	}
	if c.opts.Username != "" {
		req.SetBasicAuth(c.opts.Username, token)
	} else {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Accept", mediaType)
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	if r.ifMatch != "" {
		req.Header.Set("If-Match", r.ifMatch)
	}
	return req, nil
}

// cause strips what net/http wraps around an error, the URL with its query foremost, and tells our own timeout from
// the caller's context.
func (c *Client) cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("nothing within %s", c.opts.Timeout)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// A meter counts what it reads and keeps the connection's error apart from what a decoder makes of it.
type meter struct {
	r   io.Reader
	n   int64
	err error
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

// refusal makes an Error of an answer that is no success.
func refusal(r request, resp *http.Response, body []byte) *Error {
	e := &Error{
		Op: r.op, Method: r.method, Path: r.path, Status: resp.StatusCode,
		after: retryAfter(resp.Header, time.Now()),
	}
	parseError(e, body)
	e.ScimType, e.Detail = oneLine(e.ScimType), oneLine(e.Detail)
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		e.hint = "check the SCIM token: Rootly shows and renews it under Integrations > SSO"
	case resp.StatusCode == http.StatusForbidden:
		e.hint = "the token may not do this: SCIM may have to be enabled for the plan, see Integrations > SSO in Rootly"
	case resp.StatusCode/100 == 3:
		e.hint = "redirects of writes and to other hosts are not followed; set the SCIM URL to where it leads"
	}
	return e
}

// parseError fills in what the body says, if it is a SCIM error or at least JSON or text with words for a person.
func parseError(e *Error, body []byte) {
	var w struct {
		Schemas  texts
		Status   text
		ScimType text
		Detail   texts
		Message  texts
	}
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(trimmed, &w) != nil {
		if len(trimmed) > 0 && trimmed[0] != '<' {
			e.Detail = string(trimmed)
		}
		return
	}
	e.Detail = strings.Join(append(w.Detail, w.Message...), "; ")
	for _, s := range w.Schemas {
		e.SCIM = e.SCIM || strings.EqualFold(s, errorURN)
	}
	// Some servers leave out schemas; a status beside a detail is what a gateway does not say.
	e.SCIM = e.SCIM || len(w.Schemas) == 0 && w.Status != "" && len(w.Detail) > 0
	if e.SCIM {
		e.ScimType = string(w.ScimType)
	}
}

// oneLine shortens a server's words for a message and takes out whatever a terminal would obey.
func oneLine(s string) string {
	unprintable := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), unprintable), " ")
	if utf8.RuneCountInString(s) > maxDetail {
		s = string([]rune(s)[:maxDetail]) + "…"
	}
	return s
}
