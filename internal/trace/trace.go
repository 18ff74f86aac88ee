// Package trace sends what a cycle does, step by step and request by request, to a collector of OpenTelemetry's. It is off
// unless the standard OTEL_ variables of the environment ask for it. Its spans hold methods, hosts, templates of paths,
// numbers and words of the code, never a query, a body or a name.
package trace

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// service is the name under which spans are sent unless the environment gives another.
const service = "rootly-idp-sync"

// prefix begins the names of attributes that OpenTelemetry has no name for.
const prefix = "rootly_idp_sync."

// A Tracer makes spans and sends them on. A nil Tracer does nothing, at the cost of a comparison. It is safe for
// concurrent use.
type Tracer struct {
	tracer   api.Tracer
	provider *sdk.TracerProvider
	stop     func() // of what is being sent, and of what is said about it
}

// Open returns the Tracer that the environment asks for, nil when it asks for none. Nothing is sent before the first span
// ends. An error says what is wrong with the environment; whoever asked can go on without a Tracer.
func Open(ctx context.Context, env func(key string) (string, bool), version string, log *slog.Logger) (*Tracer, error) {
	endpoint, err := Endpoint(env)
	if endpoint == "" || err != nil {
		return nil, err
	}
	// The libraries read the rest of the environment themselves.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", service), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w (write key=value,key=value)", err)
	}
	otlp, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	exporter := &exporter{SpanExporter: otlp, endpoint: endpoint, alive: alive, log: log}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Tracer{tracer: p.Tracer(service, api.WithInstrumentationVersion(version)), provider: p, stop: func() {
		stop()
		exporter.fallSilent()
	}}, nil
}

// Close sends what has not been sent yet, for as long as ctx lasts.
func (t *Tracer) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	err := t.provider.Shutdown(ctx)
	t.stop()
	return err
}

// A Span is one cycle or one step of it. A nil Span takes everything and keeps nothing.
type Span struct {
	span     api.Span
	requests atomic.Int64
	refused  atomic.Int64 // answered by 429 or 5xx, or not at all

	mu   sync.Mutex
	last map[string]int // refusals in a row of one request
}

type spanKey struct{}

// Step is Start for a part of something: where ctx comes from no Span there is none.
func (t *Tracer) Step(ctx context.Context, name string) (context.Context, *Span) {
	if t == nil || ctx.Value(spanKey{}) == nil {
		return ctx, nil
	}
	return t.Start(ctx, name)
}

// Start begins a span below the one that ctx comes from. Requests under the context that it returns are spans below it.
func (t *Tracer) Start(ctx context.Context, name string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(ctx, name)
	s := &Span{span: span}
	return context.WithValue(ctx, spanKey{}, s), s
}

// Count notes a number under a word of the code.
func (s *Span) Count(word string, n int) {
	if s != nil {
		s.span.SetAttributes(attribute.Int(prefix+word, n))
	}
}

// Say notes a word of the code under another.
func (s *Span) Say(word, value string) {
	if s != nil {
		s.span.SetAttributes(attribute.String(prefix+word, value))
	}
}

// End ends the span. failure is the kind of error that it ended with, "" for none; it must name nobody.
func (s *Span) End(failure string) {
	if s == nil {
		return
	}
	if n := s.requests.Load(); n > 0 {
		s.Count("requests", int(n))
		s.Count("requests.refused", int(s.refused.Load()))
	}
	fail(s.span, failure, failure)
	s.span.End()
}

// fail marks a span as failed with a kind of error and what is said of it.
func fail(span api.Span, kind, text string) {
	if kind == "" {
		return
	}
	span.SetStatus(codes.Error, text)
	span.SetAttributes(attribute.String("error.type", kind))
	span.AddEvent("exception", api.WithAttributes(attribute.String("exception.type", kind), attribute.String("exception.message", text)))
}

// sent notes that a request is on its way and returns how often it was refused before, in a row.
func (s *Span) sent(key string) int {
	s.requests.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[key]
}

// answered notes what came of a request.
func (s *Span) answered(key string, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !refused {
		delete(s.last, key)
		return
	}
	s.refused.Add(1)
	if s.last == nil {
		s.last = map[string]int{}
	}
	s.last[key]++
}

// An exporter hands spans on, and says once that it cannot and once that it can again.
type exporter struct {
	sdk.SpanExporter
	endpoint string
	alive    context.Context
	log      *slog.Logger

	mu      sync.Mutex
	failing bool
	silent  bool // Close has returned, though the library may still be sending
}

func (e *exporter) fallSilent() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.silent = true
}

// ExportSpans never fails: spans that do not arrive are lost, and nothing else is.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.alive, cancel)()
	start := time.Now()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.failing
	e.failing = err != nil
	switch {
	case e.silent:
	case err == nil && was:
		e.log.Info("traces reach the collector again", "endpoint", e.endpoint)
	case err != nil && !was:
		e.log.Warn("traces do not reach the collector: cycles go on without them, and this is not said again until they do",
			"endpoint", e.endpoint, "took", time.Since(start), "error", oneLine(err))
	}
	return nil
}
