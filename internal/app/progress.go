package app

import (
	"fmt"
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A progress shows how far applying is: a bar on a terminal, a line at each quarter elsewhere.
type progress struct {
	out  io.Writer
	bar  *mpb.Bar
	all  *mpb.Progress
	said int // quarters
}

func (a *app) newProgress() *progress {
	if a.flags.quiet {
		return &progress{out: io.Discard}
	}
	return &progress{out: a.Err}
}

// step is called after each change, by one goroutine at a time.
func (p *progress) step(done, total int, _ reconcile.Change) {
	if !terminal(p.out) {
		if quarter := done * 4 / total; quarter > p.said && total >= 20 {
			p.said = quarter
			fmt.Fprintf(p.out, "applied %d of %d changes\n", done, total)
		}
		return
	}
	if p.bar == nil {
		p.all = mpb.New(mpb.WithOutput(p.out), mpb.WithWidth(50))
		p.bar = p.all.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name("applying ")),
			mpb.AppendDecorators(decor.CountersNoUnit("%d of %d changes  "), decor.AverageETA(decor.ET_STYLE_MMSS)))
	}
	p.bar.SetCurrent(int64(done))
}

// end leaves the terminal clean, also when not everything was done.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	if !p.bar.Completed() {
		p.bar.Abort(false)
	}
	p.all.Wait()
}
