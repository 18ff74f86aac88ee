package trace

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	api "go.opentelemetry.io/otel/trace"
)

// Transport makes a span of each request that passes through base below a Span; requests of nobody's cycle pass without.
// The span ends with the end of the answer. side says whom the requests are sent to. Nothing is added to a request: whom it
// belongs to is nobody else's business.
func (t *Tracer) Transport(side string, base http.RoundTripper) http.RoundTripper {
	if t == nil {
		return base
	}
	return &transport{t.tracer, side, base}
}

type transport struct {
	tracer api.Tracer
	side   string
	base   http.RoundTripper
}

// RoundTrip sends r and tells of it.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	parent, ok := r.Context().Value(spanKey{}).(*Span)
	if !ok {
		return t.base.RoundTrip(r)
	}
	method, template, key := cmp.Or(r.Method, http.MethodGet), templateOf(r.URL), ""
	if method != http.MethodPost { // one address of POST stands for many requests
		key = method + " " + r.URL.String()
	}
	ctx, span := t.tracer.Start(r.Context(), method+" "+template, api.WithSpanKind(api.SpanKindClient), api.WithAttributes(
		attribute.String(prefix+"side", t.side), attribute.String("http.request.method", method), attribute.String("url.template", template)),
		api.WithAttributes(server(r.URL)...))
	if again := parent.sent(key); again > 0 && key != "" {
		span.SetAttributes(attribute.Int("http.request.resend_count", again))
	}
	answer, err := t.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		parent.answered(key, true)
		failed(span, err)
		span.End()
		return answer, err
	}
	parent.answered(key, answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500)
	span.SetAttributes(attribute.Int("http.response.status_code", answer.StatusCode))
	if wait := answer.Header.Get("Retry-After"); wait != "" && len(wait) < 40 {
		span.SetAttributes(attribute.String("http.response.header.retry-after", wait))
	}
	if answer.StatusCode >= 400 {
		code := strconv.Itoa(answer.StatusCode)
		fail(span, code, code+" "+http.StatusText(answer.StatusCode))
	}
	answer.Body = &body{ReadCloser: answer.Body, span: span}
	return answer, nil
}

// CloseIdleConnections passes on what http.Client asks of its transport.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// A body ends the span of its request when it ends.
type body struct {
	io.ReadCloser
	span api.Span
	size int
	once sync.Once
}

// Read reads on.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.size += n
	if err != nil {
		b.end(err)
	}
	return n, err
}

// Close closes the body.
func (b *body) Close() error {
	b.end(nil)
	return b.ReadCloser.Close()
}

func (b *body) end(err error) {
	b.once.Do(func() {
		b.span.SetAttributes(attribute.Int("http.response.body.size", b.size))
		if err != nil && err != io.EOF {
			failed(b.span, err)
		}
		b.span.End()
	})
}

// failed marks the span of a request that no whole answer came to.
func failed(span api.Span, err error) {
	var (
		kind    = "error"
		dns     *net.DNSError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled):
		kind = "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		kind = "timeout"
	case errors.As(err, &dns):
		kind = "dns"
	default:
		if op, ok := errors.AsType[*net.OpError](err); ok {
			kind = op.Op
		}
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // it holds the query
		err = e.Err
	}
	fail(span, kind, oneLine(err))
}

func server(u *url.URL) []attribute.KeyValue {
	out := []attribute.KeyValue{attribute.String("server.address", u.Hostname())}
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case u.Scheme == "http":
		port = 80
	default:
		port = 443
	}
	return append(out, attribute.Int("server.port", port))
}

// An Operation is a request of a protocol other than HTTP.
type Operation struct{ span api.Span }

// Operation begins the span of an operation, such as a search in LDAP, below the Span that ctx comes from; nil when there
// is none.
func (t *Tracer) Operation(ctx context.Context, side, name, host string) *Operation {
	if t == nil {
		return nil
	}
	parent, ok := ctx.Value(spanKey{}).(*Span)
	if !ok {
		return nil
	}
	parent.requests.Add(1)
	_, span := t.tracer.Start(ctx, name, api.WithSpanKind(api.SpanKindClient), api.WithAttributes(
		attribute.String(prefix+"side", side), attribute.String("server.address", host)))
	return &Operation{span}
}

// End ends the span with the result that was answered. failure is the kind of error, "" for none.
func (o *Operation) End(result, failure string) {
	if o == nil {
		return
	}
	o.span.SetAttributes(attribute.String(prefix+"result", result))
	fail(o.span, failure, failure)
	o.span.End()
}

// words are the parts of paths that say what is asked for. Whatever else is in a path says whom it is about, or is an
// operator's own name for something.
var words = wordSet(`
	scim v1 v1.0 v2 v2.0 beta api rest oauth2 token Users Groups Bulk ServiceProviderConfig ResourceTypes Schemas
	users groups apps app roles members schedules schedule_rotations schedule_rotation_users escalation_policies escalation_paths escalation_levels shifts teams me org
	admin directory customers customer orgunits domains schemas rolesassignments my_customer computeMetadata instance
	service-accounts default projects serviceAccounts -
	$batch $count $ref delta servicePrincipals appRoleAssignedTo appRoleAssignments transitiveMembers transitiveMemberOf memberOf
	directoryObjects getByIds deletedItems deletedUsers organization microsoft.graph.user microsoft.graph.group
	realms protocol openid-connect clients role-mappings composite composites count children available subgroups profile
	workers departments companies .well-known openid-configuration
`)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		set[w] = true
	}
	return set
}

// templateOf is a path with everything taken out of it that may say whom it is about: "/scim/Users/{id}".
func templateOf(u *url.URL) string {
	parts := strings.Split(u.EscapedPath(), "/")
	for i, p := range parts {
		if p != "" && !words[p] {
			parts[i] = "{id}"
		}
	}
	if t := strings.Join(parts, "/"); t != "" {
		return t
	}
	return "/"
}
