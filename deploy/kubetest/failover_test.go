package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
)

// binary is the program, built once.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kubetest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rootly-idp-sync")
	build := exec.Command("go", "build", "-tags", "noentra", "-o", binary, "./cmd/rootly-idp-sync")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// A fall is how a leader goes.
type fall string

const (
	killed  fall = "killed"
	stopped fall = "stopped"
	paused  fall = "paused"
	cutOff  fall = "cut off from the API server"
)

var (
	short  = timing{15 * time.Second, 10 * time.Second, 2 * time.Second}
	normal = timing{60 * time.Second, 40 * time.Second, 15 * time.Second}
)

func TestOneReplicaWritesAtATimeHoweverTheLeaderFalls(t *testing.T) {
	cluster := Start(t)
	cluster.Namespace(t, namespace)
	pg := pgtest.For(t)
	rounds := []fall{killed, stopped, paused, cutOff, killed, stopped, paused, cutOff, killed, paused}
	var database sync.Mutex
	for i, how := range rounds {
		t.Run(fmt.Sprintf("%d %s", i+1, how), func(t *testing.T) {
			t.Parallel()
			database.Lock()
			dsn := pg.Database(t)
			database.Unlock()
			// Each round lets another number of writes pass before the leader falls.
			latency := 25 * time.Millisecond
			if how == cutOff {
				latency = 100 * time.Millisecond // more to do than the leader may go on for
			}
			falls(t, newWorld(t, cluster, dsn, fmt.Sprintf("round-%d", i+1), short, latency), how, 20+11*i)
		})
	}
	t.Run("killed at the default times", func(t *testing.T) {
		t.Parallel()
		database.Lock()
		dsn := pg.Database(t)
		database.Unlock()
		falls(t, newWorld(t, cluster, dsn, "normal", normal, 25*time.Millisecond), killed, 50)
	})
}

// falls lets the leader fall in the middle of its first cycle, after so many writes.
func falls(t *testing.T, w *world, how fall, after int) {
	w.most = after
	letGo := sync.OnceFunc(func() { close(w.fell) })
	t.Cleanup(letGo)
	for _, r := range w.replicas {
		r.start()
	}
	first, _ := w.leader("", time.Minute)
	eventually(t, time.Minute, "the leader writes", func() bool { return w.writes(first.name) >= after })
	for _, r := range w.replicas {
		if r != first {
			eventually(t, time.Minute, "the others stand by", func() bool { return strings.Contains(r.output(), "another replica leads") })
			t.Logf("%s stood by after %s, with RssAnon %s", r.name, r.ready.Round(time.Millisecond), r.anonymous())
		}
	}
	// A crash may cost the lease and two tries of the others, stretched by at most 1.2 and 2.2.
	most := w.times.lease + 10*time.Second
	if w.times == normal {
		most = 90 * time.Second
	}
	fell := time.Now()
	switch how {
	case killed:
		first.signal(syscall.SIGKILL)
		<-first.ended
		letGo()
	case stopped:
		first.signal(syscall.SIGTERM)
		letGo()
		if code := first.code(time.Minute); code != 0 {
			t.Errorf("exit code %d after SIGTERM:\n%s", code, first.output())
		}
		most = 5 * time.Second
		for _, r := range w.sent(first.name) {
			if r.end.After(fell) {
				fell = r.end // the last answer
			}
		}
	case paused:
		first.signal(syscall.SIGSTOP)
		letGo()
	case cutOff:
		first.wire.hang()
		letGo()
	}
	second, took := w.leader(first.name, 2*most+w.times.lease)
	if wait := took.since.Sub(fell); wait > most {
		t.Errorf("%s took over after %s, want at most %s", second.name, wait, most)
	}
	t.Logf("%s after %d writes; taken over after %s", how, w.writes(first.name), took.since.Sub(fell).Round(10*time.Millisecond))
	if how == paused {
		eventually(t, time.Minute, "the new leader writes", func() bool { return w.writes(second.name) > 0 })
		first.signal(syscall.SIGCONT)
	}
	if how == paused || how == cutOff {
		if code := first.code(time.Minute); code != 1 {
			t.Errorf("exit code %d of a leader that was %s, want 1:\n%s", code, how, first.output())
		}
		if !strings.Contains(first.output(), "this replica no longer leads") {
			t.Errorf("it does not say why it ended:\n%s", first.output())
		}
	}
	eventually(t, 2*time.Minute, "the new leader ends its cycle", func() bool { return strings.Contains(second.output(), `"result":"good"`) })
	if w.writes(second.name) == 0 {
		t.Errorf("nothing was left for %s to write: the leader did not fall in the middle", second.name)
	}
	t.Logf("%d writes were each in their sender's time as the leader", w.checkWriters())
	plan := second.command("plan", "--detailed-exitcode")
	if out, err := plan.CombinedOutput(); err != nil {
		t.Errorf("something is left to do: %v\n%s", err, out)
	}
	if t.Failed() {
		t.Log(w.logs())
	}
}
