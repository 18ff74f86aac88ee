package redact

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// Transport sends by base, nil for Go's own, and takes out of each answer what its request has carried to prove who sends
// it: the Authorization header, and the secrets of a form. more names others that the answer may repeat. What a successful
// answer holds is data: a secret of less than sixteen bytes may be a word of it, and is left there.
func Transport(base http.RoundTripper, more ...func() []string) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{base: base, more: more}
}

type transport struct {
	base http.RoundTripper
	more []func() []string
	last atomic.Pointer[written]
}

// A written is a request's secrets in all their notations. The next request mostly carries the same ones.
type written struct{ secrets, forms []string }

func (t *transport) notations(secrets []string) []string {
	if last := t.last.Load(); last != nil && slices.Equal(last.secrets, secrets) {
		return last.forms
	}
	now := &written{secrets, notations(secrets)}
	t.last.Store(now)
	return now.forms
}

// shortestInData is the length of the shortest secret that is looked for in a listing: with a password such as "finance" a group
// would get another name, and Rootly with it.
const shortestInData = 16

// RoundTrip sends req. The status line, the headers, the body and the error of what comes back are redacted.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req, secrets, err := carried(req)
	if err != nil {
		return nil, err
	}
	for _, named := range t.more {
		secrets = append(secrets, named()...)
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, Error(err, secrets...)
	}
	if resp.StatusCode < 300 {
		secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < shortestInData })
	}
	forms := t.notations(secrets)
	if len(forms) == 0 {
		return resp, nil
	}
	resp.Status = without(resp.Status, forms)
	for _, values := range resp.Header {
		for i, v := range values {
			values[i] = without(v, forms)
		}
	}
	if resp.Body != nil && resp.Body != http.NoBody {
		resp.Body = newBody(resp.Body, forms)
		resp.ContentLength = -1 // known at its end
		resp.Header.Del("Content-Length")
	}
	return resp, nil
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// secretKeys are the parameters of token requests (RFC 6749, 7521, 7523) that nobody else may see.
var secretKeys = []string{"client_secret", "client_assertion", "assertion", "password", "refresh_token", "code", "code_verifier"}

// carried are the secrets of a request, and the request to send: a form was read for it. GetBody is no other way to read one,
// for some libraries rewind the one body with it.
func carried(req *http.Request) (send *http.Request, out []string, err error) {
	if _, value, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		out = append(out, strings.TrimSpace(value))
	}
	if _, password, ok := req.BasicAuth(); ok {
		out = append(out, password)
		if plain, err := url.QueryUnescape(password); err == nil { // as OAuth writes it (RFC 6749 section 2.3.1)
			out = append(out, plain)
		}
	}
	if form, _, _ := mime.ParseMediaType(req.Header.Get("Content-Type")); form != "application/x-www-form-urlencoded" || req.Body == nil {
		return req, out, nil
	}
	text, err := io.ReadAll(req.Body)
	if err := errors.Join(err, req.Body.Close()); err != nil {
		return nil, nil, err
	}
	send = req.Clone(req.Context())
	send.Body = io.NopCloser(bytes.NewReader(text))
	send.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	values, _ := url.ParseQuery(string(text)) // of one that is damaged, what can be read
	for _, key := range secretKeys {
		out = append(out, values[key]...)
	}
	return send, out, nil
}

// A body is redacted while it is read.
type body struct {
	io.ReadCloser
	forms   [][]byte
	longest int
	room    []byte // to read into
	full    bool   // the last read has filled it
	buf     []byte // read, and not handed out
	clean   int    // of buf: how much is known to hold no secret, nor the beginning of one
	err     error  // of the reader, handed out after buf
}

func newBody(r io.ReadCloser, forms []string) *body {
	b := &body{ReadCloser: r, longest: len(forms[0]), full: true}
	for _, f := range forms {
		b.forms = append(b.forms, []byte(f))
	}
	return b
}

// Read reads on until there is something to hand out.
func (b *body) Read(p []byte) (int, error) {
	for b.clean == 0 {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.buf[:b.clean])
	b.buf, b.clean = b.buf[n:], b.clean-n
	return n, nil
}

// Most answers are one short object, so that the room to read into is small at first. chunk is how much is read and looked
// through at a time in the end.
const (
	firstChunk = 2 << 10
	chunk      = 32 << 10
)

func (b *body) fill() {
	if b.full && len(b.room) < chunk {
		b.room = make([]byte, min(max(4*len(b.room), firstChunk), chunk)+b.longest)
	}
	have := copy(b.room, b.buf) // less than the longest secret
	n, err := b.ReadCloser.Read(b.room[have:])
	b.buf, b.err, b.full = b.room[:have+n], err, have+n == len(b.room)
	for _, f := range b.forms {
		if bytes.Contains(b.buf, f) {
			b.buf = bytes.ReplaceAll(b.buf, f, []byte(Mark))
		}
	}
	if b.clean = len(b.buf); err == nil {
		b.clean = max(0, len(b.buf)-b.longest+1) // the rest may be the beginning of a secret
	}
}
