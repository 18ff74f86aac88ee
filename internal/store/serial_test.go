package store

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// run is one cycle that ends well, under the writer's lock.
func run(t testing.TB, s *Store, rules string, sets ...reconcile.HeldSet) {
	t.Helper()
	unlock, err := s.Lock(t.Context())
	must(t, err)
	defer unlock()
	cycle := begin(t, s)
	must(t, s.Hold(t.Context(), cycle, sets))
	must(t, s.Finish(t.Context(), cycle, reconcile.CycleSummary{Rules: rules}))
}

func TestAStateFromYesterdaysBackupIsAFirstContact(t *testing.T) {
	path, backup := statePath(t), filepath.Join(t.TempDir(), "backup.db")
	s, err := Open(t.Context(), options(path))
	must(t, err)
	run(t, s, "r", layoff)
	mustApprove(t, s, layoff.Fingerprint)
	_, err = s.w.conn.ExecContext(t.Context(), `VACUUM INTO '`+backup+`'`)
	must(t, err)
	run(t, s, "r")
	run(t, s, "r")
	must(t, s.Close())
	for _, old := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(old); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	must(t, os.Rename(backup, path))

	s = openAt(t, options(path))
	unlock, err := s.Lock(t.Context())
	must(t, err)
	l := ledger(t, s)
	if l.Rules != "" {
		t.Errorf("rules %q: the next cycle would be no first contact", l.Rules)
	}
	wantHeld(t, s, layoff) // without its yes: that may have been used since the backup
	cycles, err := s.Cycles(t.Context(), 1)
	must(t, err)
	if note := cycles[0].Note; !strings.Contains(note, "restored from an older copy: cycle 3 was known, 1 is the newest here") {
		t.Errorf("note %q", note)
	}
	unlock()
	run(t, s, "r")
	run(t, s, "r")
	if got := ledger(t, s).Rules; got != "r" {
		t.Errorf("rules %q after the next cycle: it was recognised more than once", got)
	}
}

func TestAStateThatGoesOnIsNoCopy(t *testing.T) {
	path := statePath(t)
	for range 3 {
		s, err := Open(t.Context(), options(path))
		must(t, err)
		run(t, s, "r")
		_, err = s.Fail(t.Context(), t0, "503") // outside the lock, unseen by the witness
		must(t, err)
		if got := ledger(t, s).Rules; got != "r" {
			t.Fatalf("rules %q", got)
		}
		must(t, s.Close())
	}
	must(t, os.Remove(path+".serial")) // moved to another machine without it
	s := openAt(t, options(path))
	run(t, s, "r")
	if info, err := os.Stat(path + ".serial"); err != nil || info.Mode().Perm()&fs.ModePerm != 0o600 {
		t.Errorf("serial %v, %v", info, err)
	}
}

func TestADatabasePutBackUnderARunningProcessIsAFirstContact(t *testing.T) {
	at := t0
	s := openAt(t, onServer(startPostgres(t).Database(t), func() time.Time { return at }))
	run(t, s, "r")
	run(t, s, "r")
	_, err := s.ro.Exec(`DELETE FROM cycles WHERE id = 2`) // as a restored database lacks it
	must(t, err)
	unlock, err := s.Lock(t.Context())
	must(t, err)
	defer unlock()
	if l := ledger(t, s); l.Rules != "" {
		t.Errorf("rules %q: the next cycle would be no first contact", l.Rules)
	}
}
