package app

import (
	"slices"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/daemon"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A read that contradicts itself in every cycle takes nobody away, and each of these cycles is good: without a message
// leavers would keep their access and nobody would know.
func TestWhatTheGuardHoldsWithoutASetIsTold(t *testing.T) {
	var e daemon.Ended
	e.Report.Plan.At = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, axis := range []reconcile.Axis{reconcile.AxisShortRead, reconcile.AxisDeactivations, reconcile.AxisQuarantine} {
		e.Report.Plan.Objections = append(e.Report.Plan.Objections, reconcile.Objection{Axis: axis, Count: 1, Text: "held"})
	}
	var axes []reconcile.Axis
	for _, o := range factsOf(e, "acme").Objections {
		axes = append(axes, o.Axis)
	}
	// The first cycle after a quarantine holds what the next one lets go: that needs nobody.
	if want := []reconcile.Axis{reconcile.AxisShortRead, reconcile.AxisDeactivations}; !slices.Equal(axes, want) {
		t.Errorf("told of %v, want %v", axes, want)
	}
}
