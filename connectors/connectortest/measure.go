package connectortest

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A Founding is two groups of the company for a scope, of five people or more, the first to be asked for by name and the
// second by id.
type Founding [2]sim.Group

// Founded chooses them.
func Founded(tb testing.TB, c *sim.Company) Founding {
	tb.Helper()
	large := slices.DeleteFunc(c.Groups(), func(g sim.Group) bool { return len(g.Members) < 5 })
	if len(large) < 2 {
		tb.Fatal("the company has too few groups of five or more")
	}
	return Founding(large[:2])
}

// Is tells whether g is one of the two.
func (f Founding) Is(g sim.Group) bool { return g.Name == f[0].Name || g.ID == f[1].ID }

// Has tells whether somebody is in one of the two.
func (f Founding) Has(p sim.Person) bool {
	return slices.ContainsFunc(f[:], func(g sim.Group) bool { return slices.Contains(g.Members, p.Login) })
}

// RunLimited wants a rate limit to slow a read down, for least to ten minutes, and to change nothing of what is read.
// Without the limit the read takes no time at all.
func RunLimited(t *testing.T, least time.Duration, connect func(limited bool) connectors.Connector) {
	t.Helper()
	read := func(limited bool) (snap connectors.Snapshot, took time.Duration) {
		c := connect(limited)
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var err error
			if snap, err = c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			took = time.Since(start)
		})
		return snap, took
	}
	want, fast := read(false)
	got, slow := read(true)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("read under the limit (-want +got):\n%s", diff)
	}
	if fast != 0 || slow < least || slow > 10*time.Minute {
		t.Errorf("took %s without the limit and %s with it", fast, slow)
	}
}

// LargeCompany has 50,000 people, and 100 groups of 500 of them.
func LargeCompany(tb testing.TB) *sim.Company {
	tb.Helper()
	company := sim.NewCompany(sim.Config{Seed: 1, People: 50_000, Groups: -1})
	people := company.People()
	for i := range 100 {
		g := sim.Group{Name: fmt.Sprintf("team-%02d", i)}
		for _, p := range people[i*500 : i*500+500] {
			g.Members = append(g.Members, p.Login)
		}
		if _, err := company.CreateGroup(g); err != nil {
			tb.Fatal(err)
		}
	}
	return company
}

// BenchFetch reads with a new connector each time. Beside the time it reports the requests sent, also as a multiple of the
// fewest that would do, and the memory that a snapshot keeps.
func BenchFetch(b *testing.B, fewest int, connect func() connectors.Connector) {
	var before, after runtime.MemStats
	var snap connectors.Snapshot
	requests, reads := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		snap = connectors.Snapshot{}
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := connect()
		var err error
		if snap, err = c.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
		requests += c.(connectors.Counter).Requests()
		reads++
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6/float64(len(snap.Users))*100_000, "MB-kept/100k-users")
	b.ReportMetric(float64(len(snap.Users)), "users/op")
	b.ReportMetric(float64(requests)/float64(reads), "requests/op")
	b.ReportMetric(float64(requests)/float64(reads)/float64(fewest), "requests/min")
	runtime.KeepAlive(snap)
	runtime.KeepAlive(connect) // the company behind it would count as given back
}
