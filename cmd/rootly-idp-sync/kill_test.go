//go:build unix

package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
)

// keepOn makes the service keep its state on a PostgreSQL server, and returns a connection to it.
func (s *service) keepOn(pg *pgtest.Server) *sql.DB {
	s.t.Helper()
	dsn := pg.Database(s.t)
	s.write("dsn", dsn)
	s.configure("mode: apply\nstate: {dsn_file: dsn}")
	return s.database("pgx", dsn+"&search_path=rootly_idp_sync")
}

// file is a connection to the service's state file.
func (s *service) file() *sql.DB {
	return s.database("sqlite", filepath.Join(s.dir, "rootly-idp-sync.db"))
}

func (s *service) database(driver, dsn string) *sql.DB {
	s.t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { db.Close() })
	return db
}

// number is the one number that a query gives.
func number(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// killed ends the program as a power failure does.
func (s *service) killed() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	for range s.lines {
	}
	_ = s.cmd.Wait() // killed
}

// join lets people join the company and a group of it.
func (s *service) join(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.sim.Company.Join(sim.Person{Direct: true}, "oncall-payments"); err != nil {
			s.t.Fatal(err)
		}
	}
}

// settled checks that Rootly is what the company wants, that nobody has two accounts, and that each account and each request
// is on record.
func (s *service) settled(db *sql.DB) {
	s.t.Helper()
	if out, code := s.verb("plan", "--detailed-exitcode"); code != 0 {
		s.t.Errorf("there is more to do: %d\n%s", code, out)
	}
	people := map[string]bool{}
	for _, p := range s.sim.Company.People() {
		switch p.Status {
		case sim.StatusStaged, sim.StatusSuspended, sim.StatusDeprovisioned:
		default:
			people[p.ID] = p.Assigned
		}
	}
	users := s.sim.SCIM.Users()
	for _, u := range users {
		if !people[u.ExternalID] || !u.Active {
			s.t.Errorf("%s (active %t) has a second account, or should have none", u.UserName, u.Active)
		}
		delete(people, u.ExternalID)
	}
	for id, wanted := range people {
		if wanted {
			s.t.Errorf("%s has no account", id)
		}
	}
	if n := number(s.t, db, `SELECT count(*) FROM changes WHERE outcome IS NULL OR outcome = 'unknown'`); n != 0 {
		s.t.Errorf("%d changes are open", n)
	}
	if n := number(s.t, db, `SELECT count(DISTINCT target) FROM changes WHERE verb = 'create' AND kind = 'user' AND outcome = 'done'`); n != len(users) {
		s.t.Errorf("%d accounts, %d creations on record", len(users), n)
	}
	if n := number(s.t, db, `SELECT count(*) FROM links WHERE kind = 'user'`); n != len(users) {
		s.t.Errorf("%d accounts, %d links", len(users), n)
	}
	for _, e := range s.sim.Log.Writes() {
		if e.Method == http.MethodPost && e.Status == http.StatusConflict {
			s.t.Errorf("created a second time: %s", e.Body)
		}
	}
}

// TestKilledAgainAndAgain kills the daemon 25 times at random requests of its cycles, while people join, and lets one cycle
// end.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const kills, joins = 25, 4
	run := func(t *testing.T, s *service, db func() *sql.DB, dead func()) {
		s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(3 * time.Millisecond)})
		random := rand.New(rand.NewPCG(1, 9))
		for range kills {
			s.join(joins)
			before := s.sim.Log.CountWrites()
			s.start()
			s.writes(before + 1 + random.IntN(joins))
			s.killed()
			dead()
		}
		s.start()
		if line := s.await("cycle ended"); line["result"] != "good" {
			t.Errorf("the cycle that was not killed: %v", line)
		}
		s.signal(syscall.SIGTERM)
		if code := s.ended(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		s.settled(db())
		if n := number(t, db(), `SELECT count(*) FROM cycles`); n != kills+1 {
			t.Errorf("%d cycles on record, want %d", n, kills+1)
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		s := newService(t, 20)
		s.concurrency = 4
		s.configure("mode: apply")
		run(t, s, s.file, func() {
			var whole string
			if err := s.file().QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
				t.Fatalf("the state file is %q, %v", whole, err)
			}
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		s := newService(t, 20)
		s.concurrency = 4
		db := s.keepOn(sharedPostgres(t))
		run(t, s, func() *sql.DB { return db }, func() {
			// The lock of whoever was killed ends after a minute.
			if _, err := db.Exec(`UPDATE leases SET expires = clock_timestamp()`); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// TestDatabaseRestartsInMidCycle: the cycle goes on when the server is back, or says why not, and the next one is good.
func TestDatabaseRestartsInMidCycle(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(*pgtest.Server) error{
		"fast": (*pgtest.Server).Shutdown, "immediate": (*pgtest.Server).Down,
	} {
		t.Run(name, func(t *testing.T) {
			pg := pgtest.For(t)
			s := newService(t, 40)
			s.concurrency = 4
			db := s.keepOn(pg)
			s.sim.Faults.Add(sim.Rule{Side: sim.SideSCIM, Fault: sim.Latency(20 * time.Millisecond)})
			s.start()
			s.writes(8)
			if err := down(pg); err != nil {
				t.Fatal(err)
			}
			if err := pg.Up(); err != nil {
				t.Fatal(err)
			}
			line := s.await("cycle ended")
			if reason := fmt.Sprint(line["error"]); line["result"] != "good" {
				wants(t, reason, "state ")
			}
			t.Logf("the cycle in which it restarted: %v", line)
			s.signal(syscall.SIGUSR1)
			if line := s.await("cycle ended"); line["result"] != "good" {
				t.Errorf("the next cycle: %v", line)
			}
			s.signal(syscall.SIGTERM)
			if code := s.ended(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			s.settled(db)
		})
	}
}
