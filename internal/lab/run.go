package lab

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// A Campaign is many histories of companies with one of these directories.
type Campaign struct {
	Directories []Directory
	Histories   int
	First       uint64 // the first seed
	KeepWhole   bool   // do not cut a history that breaks a law down to its shortest form
}

// enough is how many broken laws end a campaign.
const enough = 3

// Run plays the histories on all processors. t fails with each that breaks a law: what it needs to be played again, the law, and
// what happened in it.
func (c Campaign) Run(t *testing.T) Coverage {
	coverage := Coverage{}
	var mu sync.Mutex
	var next, broken atomic.Uint64
	played, cycles := 0, 0
	t.Run("seeds", func(t *testing.T) {
		for range runtime.GOMAXPROCS(0) {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				r := NewRunner(c.Directories...)
				for i := next.Add(1); i <= uint64(c.Histories) && broken.Load() < enough; i = next.Add(1) {
					h := r.Draw(c.First + i - 1)
					out := r.Play(t, h)
					mu.Lock()
					cycles += out.Cycles
					played++
					mu.Unlock()
					if out.Violation != nil {
						broken.Add(1)
						t.Error(c.report(t, h, out))
					}
				}
				mu.Lock()
				defer mu.Unlock()
				coverage.Merge(r.Coverage)
			})
		}
	})
	t.Logf("%d histories, %d cycles\n%s", played, cycles, coverage)
	return coverage
}

// Play plays one history, in virtual time.
func (r *Runner) Play(t *testing.T, h History) (out Outcome) {
	stage := r.Prepare(h)
	synctest.Test(t, func(*testing.T) { out = stage.Play() })
	return out
}

// report is what a person needs to see of a broken law: the seed, the law and the shortest history.
func (c Campaign) report(t *testing.T, h History, out Outcome) string {
	law, small := out.Violation.Law, h
	if !c.KeepWhole {
		small, out = Shrink(h, law, func(h History) Outcome { return NewRunner(c.Directories...).Play(t, h) })
	}
	return fmt.Sprintf("seed %d breaks the law: %s\n%s\n%+v, %d of %d steps:\n%s\n(again: make lab SEED=%d N=1)",
		h.Seed, law, out.Violation.Text, h.Setup, len(small.Steps), len(h.Steps), strings.Join(out.Story, "\n"), h.Seed)
}
