package main

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// TestDiskFillsInMidCycle lets the files of a running daemon grow no more, in the middle of a cycle, and later again: nothing
// is sent that is not on record, the cycle says why it ended, and the next one with room brings everything in line.
func TestDiskFillsInMidCycle(t *testing.T) {
	s := newService(t, 60)
	s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(5 * time.Millisecond)})
	s.start()
	s.writes(5)
	wal, err := os.Stat(filepath.Join(s.dir, "rootly-idp-sync.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	s.room(uint64(wal.Size()) + 64<<10)
	line := s.await("cycle ended")
	if line["result"] == "good" {
		t.Fatalf("the disk was not full: %v", line)
	}
	wants(t, line["error"].(string), "rootly-idp-sync.db: the dis", "free")
	sent := 0
	for _, e := range s.sim.Log.Writes() {
		if e.Method == http.MethodPost && e.Status == http.StatusCreated {
			sent++
		}
	}
	if n := number(t, s.file(), `SELECT count(*) FROM changes WHERE verb = 'create'`); sent == 0 || n < sent {
		t.Errorf("%d creations were sent, %d are on record", sent, n)
	}

	before := s.sim.Log.CountWrites()
	s.signal(syscall.SIGUSR1)
	if line := s.await("cycle ended"); line["result"] == "good" {
		t.Errorf("while the disk is full: %v", line)
	}
	if n := s.sim.Log.CountWrites() - before; n != 0 {
		t.Errorf("%d writes while the disk is full", n)
	}

	s.room(unix.RLIM_INFINITY)
	s.signal(syscall.SIGUSR1)
	if line := s.await("cycle ended"); line["result"] != "good" {
		t.Errorf("when there is room: %v", line)
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.settled(s.file())
}

// room lets the program's files grow to that many bytes.
func (s *service) room(bytes uint64) {
	s.t.Helper()
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		s.t.Fatal(err)
	}
}
