//go:build unix

package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// standby is another replica of the service, which must not begin a cycle.
func (s *service) standby() *service {
	s.t.Helper()
	other := &service{t: s.t, sim: s.sim, ends: s.ends, dir: s.dir}
	other.launch()
	other.await("another replica leads")
	return other
}

func TestReplicasOnPostgreSQLTakeTurns(t *testing.T) {
	t.Parallel()
	pg := sharedPostgres(t)
	replicas := func(t *testing.T) (first, second *service) {
		first = newService(t, 100)
		first.write("dsn", pg.Database(t))
		first.configure("mode: apply\nstate: {dsn_file: dsn}\nha: {mode: postgres, lease_duration: 5s, retry_period: 500ms}")
		first.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(20 * time.Millisecond)})
		first.start()
		return first, first.standby()
	}
	settled := func(t *testing.T, s *service) {
		t.Helper()
		if line := s.await("cycle ended"); line["result"] != "good" {
			t.Errorf("the cycle of the one that took over: %v", line)
		}
		if out, code := s.verb("plan", "--detailed-exitcode"); code != 0 {
			t.Errorf("something is left to do:\n%s", out)
		}
	}
	t.Run("killed", func(t *testing.T) {
		first, second := replicas(t)
		first.writes(20)
		first.signal(syscall.SIGKILL)
		second.await("this replica leads")
		settled(t, second)
	})
	t.Run("stopped", func(t *testing.T) {
		first, second := replicas(t)
		first.writes(20)
		first.signal(syscall.SIGTERM)
		if code := first.ended(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, first.output())
		}
		second.await("this replica leads")
		settled(t, second)
	})
	t.Run("paused", func(t *testing.T) {
		first, second := replicas(t)
		first.writes(20)
		first.signal(syscall.SIGSTOP)
		second.await("this replica leads")
		settled(t, second)
		before := first.sim.Log.CountWrites()
		first.signal(syscall.SIGCONT)
		if code := first.ended(); code != 1 {
			t.Errorf("exit code %d of a leader that was replaced:\n%s", code, first.output())
		}
		if n := first.sim.Log.CountWrites() - before; n != 0 {
			t.Errorf("it wrote %d times after it woke", n)
		}
		if !strings.Contains(first.output(), "this replica no longer leads") {
			t.Errorf("it does not say why it ended:\n%s", first.output())
		}
	})
}
