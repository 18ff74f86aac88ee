package lab

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

var (
	histories = flag.Int("histories", 200, "how many histories to run; make lab runs 2,000")
	shrink    = flag.Bool("shrink", true, "cut a history that breaks a law down to its shortest form")
	firstSeed = flag.Uint64("seed", 1, "the first seed")
)

// TestMain lets the heap grow to more than twice of what is in use: the companies are small and many, and the garbage of few
// megabytes would be collected all the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestHistories lets random histories of a company run under random faults, and wants every law to hold in each of them
// and every fault to have struck in every phase that it belongs to.
func TestHistories(t *testing.T) {
	n := *histories
	coverage, cycles := Coverage{}, 0
	var mu sync.Mutex
	var next atomic.Uint64
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				r := NewRunner()
				for i := next.Add(1); i <= uint64(n) && !t.Failed(); i = next.Add(1) {
					h := Draw(*firstSeed + i - 1)
					out := play(t, r, h)
					mu.Lock()
					cycles += out.Cycles
					mu.Unlock()
					if out.Violation != nil {
						t.Error(report(t, h, out))
					}
				}
				mu.Lock()
				defer mu.Unlock()
				coverage.Merge(r.Coverage)
			})
		}
	})
	t.Logf("%d histories, %d cycles\n%s", n, cycles, coverage)
	if missing := coverage.Missing(); n >= 2000 && len(missing) > 0 {
		t.Errorf("never struck: %v", missing)
	}
}

// play runs one history in a bubble.
func play(t *testing.T, r *Runner, h History) (out Outcome) {
	stage := r.Prepare(h)
	synctest.Test(t, func(*testing.T) { out = stage.Play() })
	return out
}

// report is what a person needs to see of a broken law: the seed, the law and the shortest history.
func report(t *testing.T, h History, out Outcome) string {
	law, small := out.Violation.Law, h
	if *shrink {
		small, out = Shrink(h, law, func(h History) Outcome { return play(t, NewRunner(), h) })
	}
	return fmt.Sprintf("seed %d breaks the law: %s\n%s\n%+v, %d of %d steps:\n%s\n(again: make lab SEED=%d N=1)",
		h.Seed, law, out.Violation.Text, h.Setup, len(small.Steps), len(h.Steps), strings.Join(out.Story, "\n"), h.Seed)
}

// TestHistoriesThatBrokeALaw runs those that more seeds than usual have found: a newcomer gets the address of somebody whose
// deactivated account is hidden; a group is created, and its members are refused.
func TestHistoriesThatBrokeALaw(t *testing.T) {
	for _, seed := range []uint64{3505, 4151} {
		h := Draw(seed)
		if out := play(t, NewRunner(), h); out.Violation != nil {
			t.Error(report(t, h, out))
		}
	}
}

func TestTheSameSeedGivesTheSameHistory(t *testing.T) {
	for seed := range uint64(20) {
		a, b := play(t, NewRunner(), Draw(seed)), play(t, NewRunner(), Draw(seed))
		if x, y := strings.Join(a.Writes, "\n"), strings.Join(b.Writes, "\n"); x != y {
			t.Fatalf("seed %d wrote\n%s\nand then\n%s", seed, x, y)
		}
	}
}
