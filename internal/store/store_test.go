package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// victim names the state file that the test binary, started again as a child, writes to until it is killed.
const victim = "ROOTLY_IDP_SYNC_TEST_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		writeUntilKilled(path)
	}
	// Every check has stores of its own on the disk; -rapid.checks and -rapid.steps ask for more.
	if err := errors.Join(flag.Set("rapid.checks", "4"), flag.Set("rapid.steps", "20")); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if server.Server != nil {
			if err := server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		os.Exit(code)
	}))
}

func options(path string) Options {
	return Options{Path: path, Source: "okta:acme.okta.com", Target: "https://rootly.com/scim", Now: func() time.Time { return t0 }}
}

func statePath(t testing.TB) string { return filepath.Join(t.TempDir(), "state.db") }

func openAt(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLiteKeepsTheContract(t *testing.T) {
	suite(t, func(t testing.TB) place {
		path := statePath(t)
		return func(t testing.TB, now func() time.Time) contract {
			o := options(path)
			o.Now = now
			return openAt(t, o)
		}
	})
}

func TestMemoryKeepsTheContract(t *testing.T) {
	suite(t, func(testing.TB) place {
		var m *Memory
		return func(_ testing.TB, now func() time.Time) contract {
			if m == nil {
				m = NewMemory(now)
			}
			return m
		}
	})
}

func TestOneWriterAtATime(t *testing.T) {
	ctx, path := t.Context(), statePath(t)
	s, other := openAt(t, options(path)), openAt(t, options(path))
	unlock, err := s.Lock(ctx)
	must(t, err)
	_, err = other.Lock(ctx)
	if e, ok := errors.AsType[*LockedError](err); !ok || !strings.Contains(e.Error(), "pid ") || !strings.Contains(e.Error(), "2026-05-04T09:00:00Z") {
		t.Errorf("err = %v", err)
	}
	ledger(t, other) // readers are not kept out
	unlock()
	unlock, err = other.Lock(ctx)
	must(t, err)
	unlock()
}

func TestOpenRefusesWhatItCannotTrust(t *testing.T) {
	seed := func(t *testing.T, path string, statements ...string) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+path)
		must(t, err)
		defer db.Close()
		for _, st := range statements {
			if _, err := db.Exec(st); err != nil {
				t.Fatal(err)
			}
		}
	}
	ours := func(t *testing.T, path string) {
		t.Helper()
		s, err := Open(t.Context(), options(path))
		must(t, err)
		cycle := begin(t, s)
		must(t, s.Link(t.Context(), cycle, slices.Repeat([]reconcile.Change{change(reconcile.VerbLink, ada)}, 50), []reconcile.Link{ada}))
		must(t, s.Close())
	}
	tests := map[string]struct {
		arrange func(t *testing.T, path string)
		options func(o *Options)
		want    []string // parts of the message: what is wrong, and the remedy
	}{
		"a text file": {
			arrange: func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("id,userName\n1,ada\n"), 0o600)) },
			want:    []string{"no SQLite database", "state.path"},
		},
		"a file shorter than SQLite's mark": {
			arrange: func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("x"), 0o600)) },
			want:    []string{"no SQLite database", "state.path"},
		},
		"another program's database": {
			arrange: func(t *testing.T, path string) { seed(t, path, "CREATE TABLE moz_places (id INTEGER)") },
			want:    []string{"database of another program", "state.path"},
		},
		"a damaged page": {
			arrange: func(t *testing.T, path string) {
				ours(t, path)
				b, err := os.ReadFile(path)
				must(t, err)
				for i := len(b) / 2; i < len(b)-4096; i++ {
					b[i] ^= 0x5a
				}
				must(t, os.WriteFile(path, b, 0o600))
			},
			want: []string{"damaged", "backup"},
		},
		"a file cut short": {
			arrange: func(t *testing.T, path string) {
				ours(t, path)
				must(t, os.Truncate(path, 3*4096))
			},
			want: []string{"damaged", "backup"},
		},
		"a newer schema": {
			arrange: func(t *testing.T, path string) {
				ours(t, path)
				seed(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)", "UPDATE compatible SET oldest = 98")
			},
			want: []string{"newer rootly-idp-sync (schema 99, for binaries that know 98; this one knows 1)", "upgrade", "backup"},
		},
		"another directory": {
			arrange: ours,
			options: func(o *Options) { o.Source = "okta:other.okta.com" },
			want:    []string{"belongs to directory okta:acme.okta.com and target https://rootly.com/scim", "not to okta:other.okta.com", "another state.path", "adopt --relink"},
		},
		"another target": {
			arrange: ours,
			options: func(o *Options) { o.Target = "https://staging.rootly.com/scim" },
			want:    []string{"https://rootly.com/scim", "https://staging.rootly.com/scim", "another state.path"},
		},
		"a missing directory": {
			options: func(o *Options) { o.Path = filepath.Join(o.Path, "no", "state.db") },
			want:    []string{"no such file or directory", "create the directory"},
		},
		"a file for a directory": {
			arrange: func(t *testing.T, path string) { must(t, os.WriteFile(path, nil, 0o600)) },
			options: func(o *Options) { o.Path = filepath.Join(o.Path, "state.db") },
			want:    []string{"no directory", "state.path"},
		},
		"a directory for a file": {
			arrange: func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
			want:    []string{"is a directory", "state.path"},
		},
		"no path": {
			options: func(o *Options) { o.Path = "" },
			want:    []string{"must be set"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := options(statePath(t))
			if tc.arrange != nil {
				tc.arrange(t, o.Path)
			}
			before, _ := os.ReadFile(o.Path)
			if tc.options != nil {
				tc.options(&o)
			}
			s, err := Open(t.Context(), o)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if after, _ := os.ReadFile(options(o.Path).Path); name == "another program's database" && string(after) != string(before) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenCreatesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space ? # %41.db")
	openAt(t, options(path))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
}

func TestPipelinesShareAFileAndNothingElse(t *testing.T) {
	path := statePath(t)
	one := openAt(t, options(path))
	o := options(path)
	o.Pipeline, o.Source = "second", "file:staff"
	two := openAt(t, o)
	must(t, one.Refresh(t.Context(), []reconcile.Link{ada}))
	must(t, two.Refresh(t.Context(), []reconcile.Link{ada, ben}))
	cycle := begin(t, one)
	if _, err := two.Intend(t.Context(), cycle, change(reconcile.VerbCreate, ada), ada.User, nil); err == nil {
		t.Error("one pipeline wrote into the other's cycle")
	}
	if a, b := len(ledger(t, one).Users), len(ledger(t, two).Users); a != 1 || b != 2 {
		t.Errorf("links %d and %d, want 1 and 2", a, b)
	}
}

func TestCheckCountsAndWrites(t *testing.T) {
	s := openAt(t, options(statePath(t)))
	must(t, s.Refresh(t.Context(), []reconcile.Link{ada, ben, oncall}))
	intend(t, s, begin(t, s), change(reconcile.VerbCreate, ada), ada)
	h, err := s.Check(t.Context())
	must(t, err)
	if h.Users != 2 || h.Groups != 1 || h.Open != 1 || h.Schema != 1 || h.Source != "okta:acme.okta.com" || h.Lineage == "" || h.Bytes == 0 {
		t.Errorf("health = %+v", h)
	}
	pragma(t, s, "PRAGMA query_only = 1")
	if _, err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "read-only") || !strings.Contains(err.Error(), "writable") {
		t.Errorf("read-only: %v", err)
	}
}

func TestAFullDiskStopsWritesAndLosesNothing(t *testing.T) {
	s := openAt(t, options(statePath(t)))
	ctx := t.Context()
	cycle := begin(t, s)
	var pages int
	must(t, s.ro.QueryRow("PRAGMA page_count").Scan(&pages))
	pragma(t, s, fmt.Sprintf("PRAGMA max_page_count = %d", pages+4))

	var taken []int64
	var full error
	for full == nil {
		var id int64
		if id, full = s.Intend(ctx, cycle, change(reconcile.VerbCreate, ada), ada.User, nil); full == nil {
			taken = append(taken, id)
		}
	}
	if !strings.Contains(full.Error(), "disk is full") {
		t.Errorf("intend: %v", full)
	}
	big := oncall
	group := *oncall.Group
	group.Members = strings.Split(strings.Repeat("0123456789abcdef,", 10000), ",")
	big.Group = &group
	if err := s.Settle(ctx, reconcile.Settled{Intent: taken[0], Outcome: reconcile.OutcomeDone, Link: &big}); err == nil {
		t.Error("an outcome was recorded on a full disk")
	}
	if l := ledger(t, s); len(l.Open) != len(taken) || len(l.Groups) != 0 {
		t.Errorf("%d open and %d groups, want %d and none", len(l.Open), len(l.Groups), len(taken))
	}

	pragma(t, s, "PRAGMA max_page_count = 1000000")
	must(t, s.Settle(ctx, reconcile.Settled{Intent: taken[0], Outcome: reconcile.OutcomeDone, Link: &big}))
	intend(t, s, cycle, change(reconcile.VerbCreate, ben), ben)
	if l := ledger(t, s); len(l.Open) != len(taken) || len(l.Groups["00g1"].Group.Members) != len(group.Members) {
		t.Errorf("after space came back: %d open", len(l.Open))
	}
}

func TestAQuietCycleWritesOneRow(t *testing.T) {
	s := openAt(t, options(statePath(t)))
	must(t, s.Refresh(t.Context(), []reconcile.Link{ada, ben, oncall}))
	changed := func() (n int) {
		must(t, s.w.conn.QueryRowContext(t.Context(), "SELECT total_changes()").Scan(&n))
		return n
	}
	before := changed()
	cycle := begin(t, s)
	ledger(t, s)
	must(t, s.Resolve(t.Context(), nil))
	must(t, s.Refresh(t.Context(), nil))
	must(t, s.Link(t.Context(), cycle, nil, nil))
	must(t, s.Hold(t.Context(), cycle, nil))
	must(t, s.Finish(t.Context(), cycle, reconcile.CycleSummary{Rules: "r"}))
	must(t, s.Prune(t.Context(), 0))
	if n := changed() - before; n != 3 { // the cycle's row twice, and the rules
		t.Errorf("%d row changes, want 3", n)
	}
}

func TestClose(t *testing.T) {
	s, err := Open(t.Context(), options(statePath(t)))
	must(t, err)
	must(t, s.Close())
	if _, err := s.Begin(t.Context(), t0); !errors.Is(err, ErrClosed) {
		t.Errorf("begin after close: %v", err)
	}
}

func TestDamagedMembersAreAnError(t *testing.T) {
	for _, b := range [][]byte{{0x80}, {5, 'a'}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 'a'}} {
		if ids, err := decodeMembers(b, nil); err == nil {
			t.Errorf("%v read as %v", b, ids)
		}
	}
}

// TestAKilledProcessLeavesItsIntents kills a child in the middle of writing: whatever it was told to be recorded is
// there, and intents without outcome are open.
func TestAKilledProcessLeavesItsIntents(t *testing.T) {
	path := statePath(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	settled, open := map[int64]bool{}, map[int64]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var verb string
		var id int64
		if _, err := fmt.Sscan(lines.Text(), &verb, &id); err != nil {
			t.Fatalf("child said %q", lines.Text())
		}
		switch verb {
		case "intended":
			open[id] = true
		case "settled":
			delete(open, id)
			settled[id] = true
		}
		if len(settled) == 25 {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
	s := openAt(t, options(path))
	unlock, err := s.Lock(t.Context()) // the child's lock ended with it
	must(t, err)
	unlock()
	got := map[int64]bool{}
	for _, i := range ledger(t, s).Open {
		got[i.ID] = true
	}
	for id := range open {
		// Its outcome may have been recorded just before the kill, unsaid.
		if e := changes(t, s, Filter{Limit: 1000}); !got[id] && !done(e, id) {
			t.Errorf("intent %d is lost", id)
		}
	}
	for id := range settled {
		if got[id] {
			t.Errorf("intent %d was settled and is open", id)
		}
	}
}

func done(list []Entry, id int64) bool {
	for _, e := range list {
		if e.ID == id {
			return e.Outcome == reconcile.OutcomeDone
		}
	}
	return false
}

func writeUntilKilled(path string) {
	ctx := context.Background()
	s, err := Open(ctx, options(path))
	if err == nil {
		_, err = s.Lock(ctx)
	}
	var cycle, id int64
	if err == nil {
		cycle, err = s.Begin(ctx, t0)
	}
	for i := 0; err == nil; i++ {
		if id, err = s.Intend(ctx, cycle, change(reconcile.VerbCreate, ada), ada.User, nil); err != nil {
			break
		}
		fmt.Println("intended", id)
		if i%2 == 0 {
			err = s.Settle(ctx, reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone, Link: &ada})
			fmt.Println("settled", id)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func pragma(t *testing.T, s *Store, statement string) {
	t.Helper()
	if _, err := s.w.conn.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkFirstApply records 10,000 intents and outcomes by 16 workers, as a first apply does.
func BenchmarkFirstApply(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		benchmarkFirstApply(b, func() Options { return options(statePath(b)) })
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		pg := startPostgres(b)
		benchmarkFirstApply(b, func() Options { return onServer(pg.Database(b), nil) })
	})
}

func benchmarkFirstApply(b *testing.B, o func() Options) {
	const workers, changes = 16, 10_000
	for b.Loop() {
		s := openAt(b, o())
		cycle := begin(b, s)
		var wg sync.WaitGroup
		for worker := range workers {
			wg.Go(func() {
				for i := range changes / workers {
					l := person(worker*1000 + i)
					id, err := s.Intend(b.Context(), cycle, change(reconcile.VerbCreate, l), l.User, nil)
					if err == nil {
						err = s.Settle(b.Context(), reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone, Link: &l})
					}
					if err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(b.N*changes)/b.Elapsed().Seconds(), "changes/s")
}

// BenchmarkLedger reads 100,000 people and 5,000 groups with 1,000,000 members.
func BenchmarkLedger(b *testing.B) {
	path := statePath(b)
	s := openAt(b, options(path))
	links := make([]reconcile.Link, 0, 105_000)
	for i := range 100_000 {
		links = append(links, person(i))
	}
	for g := range 5_000 {
		members := make([]string, 200)
		for i := range members {
			members[i] = person((g*200 + i*7) % 100_000).Target
		}
		links = append(links, reconcile.Link{Kind: reconcile.KindGroup, Source: fmt.Sprintf("00g%06d", g), Target: fmt.Sprintf("g-%06d", g),
			Group: &reconcile.GroupValues{DisplayName: fmt.Sprintf("team-%d", g), Members: members}})
	}
	must(b, s.Refresh(b.Context(), links))
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if l := ledger(b, s); len(l.Users) != 100_000 || len(l.Groups) != 5_000 {
				b.Fatal("short")
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), options(path))
			must(b, err)
			must(b, s.Close())
		}
	})
}

func person(n int) reconcile.Link {
	id := fmt.Sprintf("00u%08dabcdefgh", n)
	return reconcile.Link{Kind: reconcile.KindUser, Source: id, Target: fmt.Sprintf("5f0c1d2e-3b4a-4c5d-8e9f-%012d", n), User: &reconcile.UserValues{
		UserName: fmt.Sprintf("person.%d@acme.example", n), ExternalID: id, GivenName: "Given", FamilyName: fmt.Sprintf("Family%d", n),
		DisplayName: fmt.Sprintf("Given Family%d", n), Email: fmt.Sprintf("person.%d@acme.example", n),
		Phones: []connectors.Phone{{Type: "mobile", Value: "+14155550100"}}, Active: true}}
}
