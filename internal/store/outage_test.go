package store

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func TestAServerThatRestartsInMidCycleIsWaitedFor(t *testing.T) {
	pg := startPostgres(t)
	s := shortLived(t, pg.Database(t), WriterTTL)
	unlock, err := s.Lock(t.Context())
	must(t, err)
	defer unlock()
	cycle := begin(t, s)
	const workers, each = 8, 60
	half := make(chan struct{})
	var finished atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				l := person(w*each + i)
				id, err := s.Intend(t.Context(), cycle, change(reconcile.VerbCreate, l), l.User, nil)
				if err == nil {
					err = s.Settle(t.Context(), reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone, Link: &l})
				}
				if err != nil {
					t.Error(err)
				}
				if finished.Add(1) == workers*each/2 {
					close(half)
				}
			}
		})
	}
	<-half
	must(t, pg.Down())
	must(t, pg.Up())
	wg.Wait()
	must(t, s.Finish(t.Context(), cycle, reconcile.CycleSummary{Rules: "r", Done: workers * each}))
	list, err := s.CycleChanges(t.Context(), cycle)
	must(t, err)
	if l := ledger(t, s); len(l.Users) != workers*each || len(l.Open) != 0 || len(list) != workers*each {
		t.Errorf("%d links, %d open, %d changes, want %d, none and as many", len(l.Users), len(l.Open), len(list), workers*each)
	}
}

func TestAServerThatStaysAwayStopsTheRun(t *testing.T) {
	pg := startPostgres(t)
	s := shortLived(t, pg.Database(t), 2*time.Second)
	unlock, err := s.Lock(t.Context())
	must(t, err)
	cycle := begin(t, s)
	must(t, pg.Down())
	_, err = s.Intend(t.Context(), cycle, change(reconcile.VerbCreate, ada), ada.User, nil)
	if err == nil || !strings.Contains(err.Error(), "could not be made again") || !strings.Contains(err.Error(), "is it running") {
		t.Errorf("while it is away: %v", err)
	}
	<-s.fence().Lost()
	must(t, pg.Up())
	_, err = s.Intend(t.Context(), cycle, change(reconcile.VerbCreate, ada), ada.User, nil)
	if _, expired := errors.AsType[*ExpiredError](err); !expired {
		t.Errorf("after it came back: %v", err)
	}
	unlock()
	unlock, err = s.Lock(t.Context())
	must(t, err)
	unlock()
	if l := ledger(t, s); len(l.Open) != 0 {
		t.Errorf("open: %+v", l.Open)
	}
}

// TestACommitWithoutAnswerIsDoneOnce breaks the connection around a COMMIT: either it never arrives, or its answer never
// does. The writer cannot tell the two apart by itself, and must do the work exactly once in both.
func TestACommitWithoutAnswerIsDoneOnce(t *testing.T) {
	for name, answer := range map[string]bool{"the request is lost": false, "the answer is lost": true} {
		t.Run(name, func(t *testing.T) {
			wire := newWire(t, startPostgres(t).Database(t))
			s := shortLived(t, wire.url, WriterTTL)
			cycle := begin(t, s) // every statement is prepared from here on
			ran := 0
			err := s.record(t.Context(), "prove", func(t *tx) error {
				ran++
				if err := t.exec(`UPDATE cycles SET planned = planned + 1 WHERE id = $1`, cycle); err != nil {
					return err
				}
				if ran == 1 {
					wire.cut(answer)
				}
				return nil
			})
			must(t, err)
			var planned int
			must(t, s.ro.QueryRow(`SELECT planned FROM cycles WHERE id = $1`, cycle).Scan(&planned))
			if want := map[bool]int{false: 2, true: 1}[answer]; planned != 1 || ran != want {
				t.Errorf("done %d times in %d runs, want once in %d", planned, ran, want)
			}
		})
	}
}

// A wire stands between a store and its server, and can be cut once.
type wire struct {
	url   string
	lose  atomic.Bool // the next request and its connection
	mute  atomic.Bool // the connection, instead of the next answer
	mutex sync.Mutex
	conns []net.Conn
}

func newWire(t *testing.T, dsn string) *wire {
	t.Helper()
	u, err := url.Parse(dsn)
	must(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	u.Host = l.Addr().String()
	w := &wire{url: u.String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				t.Error(err)
				client.Close()
				return
			}
			w.keep(client, behind)
			wg.Go(func() { w.carry(behind, client, &w.lose) })
			wg.Go(func() { w.carry(client, behind, &w.mute) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.hangUp()
		wg.Wait()
	})
	return w
}

func (w *wire) cut(answer bool) {
	if answer {
		w.mute.Store(true)
		return
	}
	w.lose.Store(true)
}

// carry copies what it reads until one side ends, or until cut is set, once.
func (w *wire) carry(to, from net.Conn, cut *atomic.Bool) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if cut.CompareAndSwap(true, false) {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (w *wire) keep(conns ...net.Conn) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.conns = append(w.conns, conns...)
}

func (w *wire) hangUp() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
}
