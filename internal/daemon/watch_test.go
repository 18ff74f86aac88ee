package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func TestChangedFileIsLoadedBetweenCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.begin()
		w.write("@every 10m")
		pass(lookEvery)
		if s := w.d.State(); s.Config != "@hourly" {
			t.Errorf("a file that had just changed was loaded: %+v", s)
		}
		pass(lookEvery)
		if s := w.d.State(); s.Config != "@every 10m" || s.Next.Sub(w.now()) > 10*minute {
			t.Errorf("state: %+v", s)
		}
		if w.closed != 1 {
			t.Errorf("%d setups were closed, want that of the old configuration", w.closed)
		}

		// While a cycle runs nothing is loaded.
		w.setCycle(func(ctx context.Context, _ Watch) (reconcile.Report, error) {
			pass(5 * minute)
			return w.good(ctx)
		})
		w.d.RunNow()
		synctest.Wait()
		w.write("@every 20m")
		w.d.Reload()
		pass(4 * minute)
		if s := w.d.State(); s.Phase != PhasePlanning || s.Config != "@every 10m" {
			t.Errorf("state in mid-cycle: %+v", s)
		}
		pass(2 * minute)
		if s := w.d.State(); s.Config != "@every 20m" {
			t.Errorf("state after it: %+v", s)
		}
		w.end()
	})
}

func TestFileThatIsBeingWrittenIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.begin()
		pass(lookEvery)
		for _, part := range []string{"bad: @ever", "@every 1", "@every 10m"} { // the second is whole, and not what is meant
			w.write(part)
			pass(lookEvery)
		}
		pass(lookEvery)
		if s := w.d.State(); s.Config != "@every 10m" || s.ReloadError != "" {
			t.Errorf("state: %+v", s)
		}
		if strings.Contains(w.log.String(), "cannot be used") {
			t.Errorf("a half-written file was called bad:\n%s", w.log.String())
		}
		w.end()
	})
}

func TestBadFileKeepsTheOldOneRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.begin()
		w.write("bad\nto the bone")
		pass(10 * minute)
		s := w.d.State()
		if s.Config != "@hourly" || s.ReloadError != "the file is bad; to the bone" {
			t.Errorf("state: %+v", s)
		}
		if n := strings.Count(w.log.String(), "cannot be used"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, w.log.String())
		}
		if r := w.d.Readiness(t.Context()); r.Ready || r.Configuration || !strings.Contains(r.Reason, "configuration on disk") {
			t.Errorf("readiness: %+v", r)
		}
		data, err := w.memory.Recall(t.Context(), StateKey)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := Decode(data); err != nil || kept.ReloadError == "" {
			t.Errorf("recorded: %+v, %v", kept, err)
		}
		pass(55 * minute)
		w.begins(0, 60*minute) // cycles go on
		if last := w.told[len(w.told)-1]; last.Reload == "" {
			t.Errorf("told: %+v", last)
		}

		w.write("@hourly") // what it was
		pass(2 * lookEvery)
		if s := w.d.State(); s.ReloadError != "" {
			t.Errorf("state after the old file is back: %+v", s)
		}
		w.end()
	})
}

func TestReloadByOrderDoesNotWaitForASecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.begin()
		pass(minute)
		w.write("@every 10m")
		w.d.Reload()
		synctest.Wait()
		if s := w.d.State(); s.Config != "@every 10m" {
			t.Errorf("state: %+v", s)
		}
		w.begins(0) // and begins no cycle
		w.end()
	})
}

// TestSymlinkSwap does what the kubelet does with a mounted ConfigMap: the file is a link into a folder that is itself a
// link, and only the latter changes.
func TestSymlinkSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		dir := filepath.Dir(w.file)
		link := func(to, name string) {
			t.Helper()
			if err := os.Symlink(to, filepath.Join(dir, "tmp")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		for folder, text := range map[string]string{"..1": "@hourly", "..2": "@every 10m"} {
			if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, folder, "config"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		link("..1", "..data")
		link(filepath.Join("..data", "config"), "config")
		w.begin()
		pass(minute)
		link("..2", "..data")
		pass(2 * lookEvery)
		if s := w.d.State(); s.Config != "@every 10m" {
			t.Errorf("state: %+v", s)
		}
		w.end()
	})
}

func TestChangeOfWhatOnlyARestartChangesIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.begin()
		w.listen = "127.0.0.1:0"
		w.d.Reload()
		synctest.Wait()
		if s := w.d.State(); len(s.RestartNeeded) != 1 || s.RestartNeeded[0] != "health.listen" {
			t.Errorf("state: %+v", s)
		}
		w.listen = ""
		w.d.Reload()
		synctest.Wait()
		if s := w.d.State(); len(s.RestartNeeded) != 0 {
			t.Errorf("state after it was taken back: %+v", s)
		}
		w.end()
	})
}

func TestSubscriberSeesTheCycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "@hourly")
		w.noStart = true
		w.begin()
		updates, cancel := w.d.Subscribe()
		if s := <-updates; s.Phase != PhaseWaiting || s.Mode != "apply" || s.Leader != "single" {
			t.Errorf("first: %+v", s)
		}
		w.setCycle(func(ctx context.Context, watch Watch) (reconcile.Report, error) {
			watch.Planned(3)
			for done := range 3 {
				watch.Progress(done+1, 3)
				pass(minute)
			}
			return w.good(ctx)
		})
		w.d.RunNow()
		pass(90 * time.Second)
		if s := <-updates; s.Phase != PhaseApplying || s.Done != 2 || s.Total != 3 {
			t.Errorf("in mid-cycle: %+v", s)
		}
		pass(2 * minute)
		if s := <-updates; s.Phase != PhaseWaiting || s.Last == nil || s.Last.Result != ResultGood {
			t.Errorf("after it: %+v", s)
		}
		cancel()
		w.d.RunNow()
		pass(5 * minute)
		select {
		case s := <-updates:
			t.Errorf("after cancel: %+v", s)
		default:
		}
		w.end()
	})
}
