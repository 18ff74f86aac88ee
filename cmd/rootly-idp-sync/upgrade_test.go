//go:build unix

package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

var record = flag.Bool("record", false, "write testdata/release anew, as a state that this release leaves behind")

// A recording is what a release left behind after two syncs of a small company: the state as SQL, and Rootly as it was.
type recording struct {
	State  string // a file of testdata/release
	Rootly string // the same
}

// What stands in a recorded state for the addresses of a simulator, whose ports are others each time.
const (
	oktaMark = "recorded-okta.invalid"
	scimMark = "recorded-scim.invalid"
)

// marks replaces the simulator's addresses by those of a recording, or back.
func (s *service) marks(back bool) *strings.Replacer {
	s.t.Helper()
	var pairs []string
	for mark, address := range map[string]string{oktaMark: s.ends.OktaURL, scimMark: s.ends.SCIMURL} {
		u, err := url.Parse(address)
		if err != nil {
			s.t.Fatal(err)
		}
		if back {
			pairs = append(pairs, mark, u.Host)
		} else {
			pairs = append(pairs, u.Host, mark)
		}
	}
	return strings.NewReplacer(pairs...)
}

// theDayBefore happens before the state is recorded, theDayAfter when a newer release works with it.
func (s *service) theDayBefore() {
	s.t.Helper()
	s.person(sim.StatusActive, func(login string) error { return s.sim.Company.Suspend(login) })
}

func (s *service) theDayAfter() (joins, leaves, renamed sim.Person) {
	s.t.Helper()
	joins, err := s.sim.Company.Join(sim.Person{Direct: true}, "oncall-payments")
	if err != nil {
		s.t.Fatal(err)
	}
	leaves = s.person(sim.StatusActive, func(login string) error { return s.sim.Company.Suspend(login) })
	renamed = s.person(sim.StatusActive, func(login string) error { return s.sim.Company.Rename(login, "Grace", "Hopper") })
	return joins, leaves, renamed
}

// person does something to the first person with an account who has the status.
func (s *service) person(status sim.Status, do func(login string) error) sim.Person {
	s.t.Helper()
	for _, p := range s.sim.Company.People() {
		if p.Status == status && p.Assigned {
			if err := do(p.Login); err != nil {
				s.t.Fatal(err)
			}
			return p
		}
	}
	s.t.Fatalf("nobody is %s", status)
	return sim.Person{}
}

func (s *service) sync() string {
	s.t.Helper()
	out, code := s.verb("sync")
	if code != 0 {
		s.t.Fatalf("sync: %d\n%s", code, out)
	}
	return out
}

// recordRelease syncs a company as this release does, and writes down what that leaves.
func (s *service) recordRelease(r recording, dump *exec.Cmd) {
	s.t.Helper()
	s.sync()
	s.theDayBefore()
	s.sync()
	dump.Stderr = os.Stderr
	state, err := dump.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	// Commands of psql are none of SQL, settings would outlast the reading, and which machine recorded is nobody's business.
	state = regexp.MustCompile(`(?m)^(\\|SET |SELECT pg_catalog.set_config\().*\n`).ReplaceAll(state, nil)
	state = regexp.MustCompile(`pid \d+ on \S+`).ReplaceAll(state, []byte("pid 1 on recorder"))
	rootly, err := json.MarshalIndent(map[string]any{"users": s.sim.SCIM.Users(), "groups": s.sim.SCIM.Groups()}, "", " ")
	if err != nil {
		s.t.Fatal(err)
	}
	for name, data := range map[string][]byte{r.State: state, r.Rootly: rootly} {
		if err := os.WriteFile(filepath.Join("testdata/release", name), []byte(s.marks(false).Replace(string(data))), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}

// restore puts the recorded state into db and the recorded accounts into Rootly.
func (s *service) restore(r recording, db *sql.DB) {
	s.t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join("testdata/release", name))
		if err != nil {
			s.t.Fatal(err)
		}
		return s.marks(true).Replace(string(data))
	}
	if _, err := db.Exec(read(r.State)); err != nil {
		s.t.Fatal(err)
	}
	var rootly struct {
		Users  []sim.SCIMUser
		Groups []sim.SCIMGroup
	}
	if err := json.NewDecoder(bytes.NewBufferString(read(r.Rootly))).Decode(&rootly); err != nil {
		s.t.Fatal(err)
	}
	for _, u := range rootly.Users {
		if _, err := s.sim.SCIM.AddUser(u); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, g := range rootly.Groups {
		if _, err := s.sim.SCIM.AddGroup(g); err != nil {
			s.t.Fatal(err)
		}
	}
	s.theDayBefore()
}

// TestStateOfTheReleaseBefore: this program goes on where the release before it stopped, as if it were the same one. Nothing is
// written twice, nothing is held as at a first contact, and the history is one.
func TestStateOfTheReleaseBefore(t *testing.T) {
	t.Parallel()
	goesOn := func(t *testing.T, s *service, r recording, db *sql.DB) {
		s.restore(r, db)
		if out, code := s.verb("plan", "--detailed-exitcode"); code != 0 {
			t.Fatalf("the upgrade alone changes something: %d\n%s", code, out)
		}
		joins, leaves, renamed := s.theDayAfter()
		wants(t, s.sync(), "created 1 person", "updated 1 person", "deactivated 1 person")
		for _, p := range []sim.Person{joins, leaves, renamed} {
			u, ok := s.sim.SCIM.User(p.Login)
			if !ok || u.Active != (p.ID != leaves.ID) || u.FamilyName == "Hopper" != (p.ID == renamed.ID) {
				t.Errorf("%s is %+v", p.Login, u)
			}
		}
		if out, code := s.verb("plan", "--detailed-exitcode"); code != 0 {
			t.Errorf("something is left to do: %d\n%s", code, out)
		}
		if n := number(t, db, `SELECT count(*) FROM cycles WHERE finished IS NOT NULL`); n != 3 {
			t.Errorf("the history has %d cycles, want two of the release before and one of this", n)
		}
	}
	t.Run("SQLite", func(t *testing.T) {
		r := recording{State: "sqlite.sql", Rootly: "sqlite.rootly.json"}
		if *record {
			s := newService(t, 12)
			s.recordRelease(r, exec.Command("sh", "-c", `echo "PRAGMA application_id = 0x52497379;" && sqlite3 "$0" .dump`, filepath.Join(s.dir, "rootly-idp-sync.db")))
		}
		s := newService(t, 12)
		goesOn(t, s, r, s.file())
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		r := recording{State: "postgres.sql", Rootly: "postgres.rootly.json"}
		pg := sharedPostgres(t)
		if *record {
			s := newService(t, 12)
			s.keepOn(pg)
			dsn, err := os.ReadFile(filepath.Join(s.dir, "dsn"))
			if err != nil {
				t.Fatal(err)
			}
			s.recordRelease(r, exec.Command("pg_dump", "--inserts", "--no-owner", "--no-privileges", "--schema=rootly_idp_sync", string(dsn)))
		}
		s := newService(t, 12)
		goesOn(t, s, r, s.keepOn(pg))
	})
}
