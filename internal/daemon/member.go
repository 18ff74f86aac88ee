package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A Member is one pipeline of a Fleet, through all its Daemons.
type Member struct {
	name   string
	board  *board
	daemon atomic.Pointer[Daemon] // nil while none runs
	again  chan struct{}          // begin anew without waiting

	retired chan struct{} // closed when the pipeline was removed
	once    sync.Once
}

func newMember(name string) *Member {
	m := &Member{name: name, board: &board{}, again: make(chan struct{}, 1), retired: make(chan struct{})}
	m.board.update(func(s *State) { s.Phase = PhaseStarting })
	return m
}

// Name is the pipeline's.
func (m *Member) Name() string { return m.name }

// State is the pipeline's Daemon as it is now. While none runs it is stopped, and ReloadError says why.
func (m *Member) State() State { return m.board.get() }

// Subscribe sends the State now and after each change of it; who is slow gets the newest only. cancel must be called.
func (m *Member) Subscribe() (updates <-chan State, cancel func()) { return m.board.subscribe() }

// RunNow begins a cycle at once, or when the one that runs has ended. A pipeline that has failed is tried again.
func (m *Member) RunNow() {
	if d := m.daemon.Load(); d != nil {
		d.RunNow()
		return
	}
	signalOnce(m.again)
}

func (m *Member) reload() {
	if d := m.daemon.Load(); d != nil {
		d.Reload()
		return
	}
	signalOnce(m.again)
}

// retire has the pipeline end after its cycle. It tells whether that is news.
func (m *Member) retire() (news bool) {
	m.once.Do(func() {
		close(m.retired)
		news = true
	})
	return news
}

func (m *Member) isRetired() bool {
	select {
	case <-m.retired:
		return true
	default:
		return false
	}
}

const (
	retryFirst = 15 * time.Second
	retryLast  = 5 * time.Minute
)

// run runs one Daemon after another until ctx ends or the pipeline is removed. Its error is one for which the process has to
// end, or with which it ends.
//
// A pipeline that lost its lead begins anew as a standby here, without the end of the process, since nothing is left of the
// Daemon that led: Run has waited for the answer to each request that it sent. Where it could not, the error ends the process.
func (m *Member) run(ctx context.Context, fresh func(*Member) *Daemon, log *slog.Logger) error {
	delay := retryFirst
	for {
		began := time.Now()
		d := fresh(m)
		d.board = m.board
		err := m.runOne(ctx, d)
		_, unanswered := errors.AsType[*unansweredError](err)
		lost, isLost := errors.AsType[*LostError](err)
		switch {
		case unanswered, isLost && ctx.Err() != nil:
			return err
		case ctx.Err() != nil || m.isRetired():
			return nil
		case isLost:
			log.Error("this replica no longer leads this pipeline: it has stopped writing, and stands for election anew", "error", lost.Cause)
		default:
			log.Error("this pipeline does not run; the others do", "error", oneLine(err))
		}
		m.board.update(func(s *State) {
			s.Phase, s.Leader, s.Done, s.Total, s.Next, s.ReloadError = PhaseStopped, "", 0, 0, time.Time{}, oneLine(err)
		})
		if time.Since(began) > retryLast {
			delay = retryFirst
		}
		if isLost {
			continue
		}
		if !m.pause(ctx, d, delay) {
			return nil
		}
		delay = min(2*delay, retryLast)
	}
}

// runOne is Run of one Daemon, which is told when the pipeline is removed.
func (m *Member) runOne(ctx context.Context, d *Daemon) error {
	m.daemon.Store(d)
	defer m.daemon.Store(nil)
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-m.retired:
			d.Retire()
		case <-over:
		}
	})
	defer wg.Wait()
	defer close(over)
	return d.Run(ctx)
}

// pause waits for another try: for a change of the files, for somebody who asks, or for the delay. It returns false when there
// is to be none.
func (m *Member) pause(ctx context.Context, d *Daemon, delay time.Duration) bool {
	end := time.NewTimer(delay)
	defer end.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-m.retired:
			return false
		case <-m.again:
			return true
		case <-end.C:
			return true
		case <-tick.C:
			now := read(d.files)
			if maps.Equal(now, d.loaded) {
				d.changed = nil
			} else if maps.Equal(now, d.changed) {
				return true
			} else {
				d.changed = now
			}
		}
	}
}
