package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/trace"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/web"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// watched is base, nil for the client's own, with the daemon's metrics and the tracer seeing what passes; base itself where
// there is neither.
func (a *app) watched(side web.Side, base http.RoundTripper) http.RoundTripper {
	if a.site == nil && a.tracer == nil {
		return base
	}
	if base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64 // as many as requests may be under way
		base = t
	}
	if a.site != nil {
		base = a.site.Metrics.Transport(side, base)
	}
	return a.tracer.Transport(string(side), base)
}

// observed is watched for a protocol other than HTTP.
func (a *app) observed(side web.Side) func(ctx context.Context, operation, host string) func(result string, ok bool) {
	if a.site == nil && a.tracer == nil {
		return nil
	}
	return func(ctx context.Context, operation, host string) func(result string, ok bool) {
		span := a.tracer.Operation(ctx, string(side), operation, host)
		counted := func(string) {}
		if a.site != nil {
			counted = a.site.Metrics.Operation(side, operation)
		}
		return func(result string, ok bool) {
			counted(result)
			failure := ""
			if !ok {
				failure = result
			}
			span.End(result, failure)
		}
	}
}

// flushTime is how long a collector that does not answer may keep the end of the program.
const flushTime = 2 * time.Second

// beginTracing begins to trace, once, if the environment asks for it. What is wrong with that stops no sync.
func (a *app) beginTracing(ctx context.Context) {
	if a.traced {
		return
	}
	a.traced = true
	var err error
	if a.tracer, err = trace.Open(ctx, os.LookupEnv, readBuild().Version, a.log); err != nil {
		a.log.Warn("there are no traces", "error", err)
	}
}

// endTracing sends what has not been sent yet. A collector that takes it no longer has been told of already.
func (a *app) endTracing() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := a.tracer.Close(ctx); err != nil && a.log != nil {
		a.log.Warn("the last traces were not sent", "error", err)
	}
}

// examineTracing says where traces go, if the environment asks for them.
func examineTracing(d *diagnosis) {
	endpoint, err := trace.Endpoint(os.LookupEnv)
	if endpoint != "" || err != nil {
		d.add("traces", "to "+endpoint, err)
	}
}

// asCycle is a plan as a cycle of its own that ends there.
func (p *pipeline) asCycle(plan planFunc) planFunc {
	return func(ctx context.Context, now time.Time) (reconcile.Plan, error) {
		ctx, span := p.tracer.Start(ctx, "cycle")
		made, err := plan(ctx, now)
		p.endCycle(span, "plan", reconcile.Report{Plan: made}, err)
		return made, err
	}
}

// endCycle ends a cycle's span with what the cycle came to.
func (p *pipeline) endCycle(span *trace.Span, mode string, r reconcile.Report, err error) {
	span.Say("mode", mode)
	span.Say("source", sourceName(p.cfg.Source))
	if p.cfg.Pipeline != "" {
		span.Say("pipeline", p.cfg.Pipeline)
	}
	span.Count("cycle", int(r.Cycle))
	span.Count("planned", len(r.Plan.Changes))
	span.Count("held", len(r.Plan.Held))
	for _, o := range []reconcile.Outcome{
		reconcile.OutcomeDone, reconcile.OutcomeFailed, reconcile.OutcomeNotKept, reconcile.OutcomeUnknown, reconcile.OutcomeSkipped,
	} {
		if n := r.Count(o); n > 0 {
			span.Count(string(o), n)
		}
	}
	failure := kindOf(err)
	if failure == "" && r.Stopped != "" {
		failure = "stopped"
	}
	span.End(failure)
}

// trace is the pipeline's tracer as the steps of a cycle take it, nil for none.
func (p *pipeline) trace() reconcile.Trace {
	if p.tracer == nil {
		return nil
	}
	return func(ctx context.Context, s reconcile.Step) (context.Context, func(reconcile.Tally, error)) {
		ctx, span := p.tracer.Step(ctx, string(s))
		return ctx, func(t reconcile.Tally, err error) {
			for word, n := range t {
				span.Count(word, n)
			}
			span.End(kindOf(err))
		}
	}
}

// kindOf is an error without what it says, which may name people. "" is none.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return strings.TrimSpace(fmt.Sprintf("directory %d %s", e.Status, e.Code))
	}
	if e, ok := errors.AsType[*scimclient.Error](err); ok {
		return fmt.Sprintf("scim %d", e.Status)
	}
	if _, ok := errors.AsType[*store.LockedError](err); ok {
		return "locked"
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, reconcile.ErrNobodyInScope):
		return "nobody in scope"
	}
	return "other, see the log"
}
