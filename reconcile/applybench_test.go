package reconcile_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// BenchmarkFirstApply brings 10,000 people into an empty Rootly that takes 20 ms an answer, 16 requests at once, over
// real sockets and with the real store, and prints the time against the ideal (requests × latency ÷ 16). Then it prints
// what a run without changes and a run after a working day send against the least possible.
func BenchmarkFirstApply(b *testing.B) {
	const latency, workers = 20 * time.Millisecond, 16
	for b.Loop() {
		in := installOn(b, b.TempDir(), sim.Config{Seed: 1, People: 10_000, Groups: 25, LogLimit: 1}, nil, (*sim.Sim).Start)
		in.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(latency)})
		p, err := in.plan()
		if err != nil {
			b.Fatal(err)
		}
		before, start := in.sim.Log.CountWrites(), time.Now()
		a := &reconcile.Applier{Target: in.target, Journal: in.store, Concurrency: workers, Now: in.now}
		r, err := a.Apply(context.Background(), p)
		if err != nil || r.Count(reconcile.OutcomeDone) != len(r.Results) {
			b.Fatalf("apply: %v %s", err, failures(r))
		}
		took, sent := time.Since(start), in.sim.Log.CountWrites()-before
		ideal := time.Duration(sent) * latency / workers
		b.ReportMetric(took.Seconds()/ideal.Seconds(), "time/ideal")
		b.ReportMetric(float64(sent)/float64(p.Writes), "writes/minimum")

		in.sim.Faults.Clear()
		in.mustCycle() // what the first run could not know, such as members by their new ids, is refreshed
		lists := in.sim.Log.Count("", "")
		if r := in.mustCycle(); len(r.Results) > 0 {
			b.Fatalf("a run without changes: %s", describe(r.Plan))
		}
		b.ReportMetric(float64(in.sim.Log.Count("", "")-lists)/float64(in.leastRequests()), "requests/minimum")

		in.sim.Company.NextDay()
		before = in.sim.Log.CountWrites()
		day := in.mustCycle()
		b.ReportMetric(float64(in.sim.Log.CountWrites()-before)/float64(day.Plan.Writes), "day-writes/minimum")
		if err := in.store.Close(); err != nil {
			b.Fatal(err)
		}
		if err := in.sim.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// leastRequests is what reading both sides costs at the largest page each server grants: 1,000 SCIM objects, 500 people of
// an Okta app, 1,000 Okta groups or members of one pushed group.
func (in *installation) leastRequests() int {
	pages := func(n, size int) int { return max(1, (n+size-1)/size) }
	n := pages(len(in.sim.SCIM.Users()), 1000) + pages(len(in.sim.SCIM.Groups()), 1000)
	assigned := 0
	for _, p := range in.sim.Company.People() {
		if p.Assigned {
			assigned++
		}
	}
	groups := in.sim.Company.Groups()
	n += pages(assigned, 500) + pages(len(groups)+1, 1000) // with the built-in Everyone
	for _, g := range groups {
		if strings.HasPrefix(g.Name, "oncall-") {
			n += pages(len(g.Members), 1000)
		}
	}
	return n
}
