package daemon

import (
	"context"
	"crypto/sha256"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// lookEvery is how often the clock and the files of the configuration are looked at. Files are read rather than watched:
// Kubernetes swaps a symbolic link two directories up, network file systems tell nobody, and reading is the one way that
// works on all of them.
const lookEvery = 5 * time.Second

// contents are the hashes of files by their paths, zero for one that cannot be read.
type contents map[string][sha256.Size]byte

func read(files []string) contents {
	out := contents{}
	for _, path := range files {
		var sum [sha256.Size]byte
		if data, err := os.ReadFile(path); err == nil {
			sum = sha256.Sum256(data)
		}
		out[path] = sum
	}
	return out
}

// look loads the configuration again when its files are no longer what was loaded, and are the same as at the last look:
// one that is being written is left alone until it is whole.
func (d *Daemon) look(ctx context.Context) {
	d.looked = time.Now()
	d.lookForGood(ctx)
	now := read(d.files)
	switch {
	case maps.Equal(now, d.loaded):
		d.changed = nil
	case !maps.Equal(now, d.changed):
		d.changed = now
	default:
		d.reload(ctx)
	}
}

// attend does between two cycles what waiting for the next one does, and does not wait: cycles that outlast the schedule
// leave no other moment for it.
func (d *Daemon) attend(ctx context.Context) {
	select {
	case <-d.reloads:
		d.reload(ctx)
		return
	default:
	}
	if time.Since(d.looked) >= lookEvery { // sooner, a file that is being written would look like a whole one
		d.look(ctx)
	}
}

// lookForGood ends the wait of a quarantine when somebody else's cycle was good: that of a sync by hand.
func (d *Daemon) lookForGood(ctx context.Context) {
	if d.quarantine == nil {
		return
	}
	m := d.current().Memory
	good, err := m.LastGood(ctx)
	if err != nil || !good.After(d.State().LastGood) {
		return
	}
	ledger, err := m.Ledger(ctx)
	if err != nil || ledger.Quarantine != nil {
		return
	}
	d.quarantine = nil
	d.due = d.nextDue(d.now())
	d.board.update(func(s *State) { s.Quarantine, s.LastGood, s.Next = nil, good, d.due })
	d.log.Info("quarantine ended by a good cycle of another run", "next", d.due)
}

// reload puts the configuration as it is on disk in the place of the one that runs. One that cannot be used changes
// nothing but what State says of it.
func (d *Daemon) reload(ctx context.Context) {
	d.supervisor.reloading()
	defer d.supervisor.ready()
	before := read(d.files)
	next, files, err := d.o.Load(ctx)
	d.remember(files, before)
	if err != nil {
		if ctx.Err() != nil {
			return
		}
		text := oneLine(err)
		d.board.update(func(s *State) { s.ReloadError = text })
		d.log.Error("the changed configuration cannot be used, the running one stays", "error", text)
		d.keep(ctx)
		return
	}
	old := d.replace(next)
	if err := old.Close(); err != nil {
		d.log.Warn("the configuration before this one was not closed in order", "error", err)
	}
	s, now := next.Settings, d.now()
	changed := old.Settings.Fingerprint != s.Fingerprint
	if old.Settings.Schedule.Text != s.Schedule.Text {
		d.due = d.nextDue(now)
	}
	if changed && d.quarantine != nil {
		d.due = now
	}
	var restart []string
	if d.listen != s.HealthListen {
		restart = append(restart, "health.listen")
	}
	for key, value := range d.fixed {
		if s.Fixed[key] != value {
			restart = append(restart, key)
		}
	}
	slices.Sort(restart)
	d.board.update(func(st *State) {
		st.ReloadError, st.RestartNeeded, st.Mode, st.Config = "", restart, s.Mode, s.Fingerprint
		if st.Phase != PhaseStandby {
			st.Next = d.due
		}
	})
	d.log.Info("configuration reloaded", "changed", changed, "mode", s.Mode, "next", d.due)
	if len(restart) > 0 {
		d.log.Warn("what was changed takes effect with a restart", "keys", restart)
	}
	d.keep(ctx)
}

// remember notes what a load has seen: the contents from before it, and those of files that it was the first to name. A
// change while it was loading is so found at the next look.
func (d *Daemon) remember(files []string, before contents) {
	if files == nil {
		files = d.files
	}
	d.files, d.loaded, d.changed = files, read(files), nil
	for path := range d.loaded {
		if sum, known := before[path]; known {
			d.loaded[path] = sum
		}
	}
}

// oneLine is an error's text on one line.
func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
