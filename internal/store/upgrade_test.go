package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Three releases, as a binary sees them: each has the migrations up to its own. The second only adds. The third takes away
// what the second added, so that it shuts out both.
var releases = fstest.MapFS{
	"00002_add.sql": {Data: []byte(`-- +goose Up
ALTER TABLE links ADD COLUMN team TEXT;
ALTER TABLE cycles ADD COLUMN moved INTEGER NOT NULL DEFAULT 0;
CREATE TABLE teams (name TEXT NOT NULL PRIMARY KEY);
CREATE INDEX cycles_moved ON cycles (pipeline, moved);
`)},
	"00003_take.sql": {Data: []byte(`-- +goose Up
DROP TABLE teams;
ALTER TABLE links DROP COLUMN team;
UPDATE compatible SET oldest = 3;
`)},
}

// An opener opens one state as the binary of a release does.
type opener func(ctx context.Context, release int) (*Store, error)

// openers are for one new state in each database.
func openers() map[string]func(t *testing.T) opener {
	files := func(name string, release int) (fs.FS, error) {
		ours, err := migrationsOf(name)
		if err != nil {
			return nil, err
		}
		first, err := fs.ReadFile(ours, "00001_init.sql")
		out := fstest.MapFS{"00001_init.sql": {Data: first}}
		for file, data := range maps.All(releases) {
			if file <= fmt.Sprintf("%05d_~", release) {
				out[file] = data
			}
		}
		return out, err
	}
	return map[string]func(t *testing.T) opener{
		"sqlite": func(t *testing.T) opener {
			o := filled(options(statePath(t)))
			return func(ctx context.Context, release int) (*Store, error) {
				db, err := newSQLite(o)
				if err != nil {
					return nil, err
				}
				if db.files, err = files("sqlite", release); err != nil {
					return nil, err
				}
				return open(ctx, db, o)
			}
		},
		"postgres": func(t *testing.T) opener {
			dsn := startPostgres(t).Database(t)
			o := filled(onServer(dsn, time.Now))
			return func(ctx context.Context, release int) (*Store, error) {
				db, err := newPostgres(dsn, o)
				if err != nil {
					return nil, err
				}
				if db.files, err = files("postgres", release); err != nil {
					return nil, err
				}
				return open(ctx, db, o)
			}
		},
	}
}

// aCycle is one with a change of ada's, of the kind that every release makes.
func aCycle(t *testing.T, s *Store, name string) {
	t.Helper()
	unlock, err := s.Lock(t.Context())
	must(t, err)
	defer unlock()
	endCycle(t, s, begin(t, s), name)
}

func endCycle(t *testing.T, s *Store, cycle int64, name string) {
	t.Helper()
	link := ada
	link.User = &reconcile.UserValues{UserName: "ada@acme.com", DisplayName: name, Active: true}
	id := intend(t, s, cycle, change(reconcile.VerbUpdate, link), link)
	must(t, s.Settle(t.Context(), reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone, Link: &link}))
	must(t, s.Finish(t.Context(), cycle, reconcile.CycleSummary{Rules: name, Done: 1}))
}

// knows holds the state against the release and the cycle that touched it last.
func knows(t *testing.T, s *Store, schema int64, name string, cycles int) {
	t.Helper()
	h, err := s.Check(t.Context())
	must(t, err)
	l := ledger(t, s)
	got, want := []any{h.Schema, h.Open, l.Rules, l.Users["00u1"].User.DisplayName, len(changes(t, s, Filter{}))}, []any{schema, 0, name, name, cycles}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schema, open changes, rules, ada's name, changes (-want +got):\n%s", diff)
	}
}

func locked(err error) bool {
	_, is := errors.AsType[*LockedError](err)
	return is
}

func refused(t *testing.T, err error, known int) {
	t.Helper()
	want := fmt.Sprintf("newer rootly-idp-sync (schema 3, for binaries that know 3; this one knows %d): upgrade this binary, or put back the backup", known)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("release %d and the schema of release 3: %v, want %q", known, err, want)
	}
}

// TestUpgradeAndTheWayBack goes from release to release, back by one as long as the schema only grew, and is refused where
// it lost something.
func TestUpgradeAndTheWayBack(t *testing.T) {
	for name, state := range openers() {
		t.Run(name, func(t *testing.T) {
			start := state(t)
			for i, step := range []struct {
				release int
				schema  int64
			}{{1, 1}, {2, 2}, {1, 2}, {1, 2}, {2, 2}, {3, 3}, {3, 3}} {
				s, err := start(t.Context(), step.release)
				if err != nil {
					t.Fatalf("step %d, release %d: %v", i, step.release, err)
				}
				aCycle(t, s, fmt.Sprint("as of step ", i))
				knows(t, s, step.schema, fmt.Sprint("as of step ", i), i+1)
				must(t, s.Close())
			}
			for _, old := range []int{1, 2} {
				_, err := start(t.Context(), old)
				refused(t, err, old)
			}
			s, err := start(t.Context(), 3)
			must(t, err)
			knows(t, s, 3, "as of step 6", 7)
			must(t, s.Close())
		})
	}
}

// TestRollingUpdateOfASharedState has one replica of each release in the same database: one of them writes at a time, and the
// old one ends the cycle that it was in when the new one brought the schema up to date.
func TestRollingUpdateOfASharedState(t *testing.T) {
	start := openers()["postgres"](t)
	replica := func(release int) *Store {
		s, err := start(t.Context(), release)
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		return s
	}
	older := replica(1)
	unlock, err := older.Lock(t.Context())
	must(t, err)
	cycle := begin(t, older)

	newer := replica(2)
	if _, err := newer.Lock(t.Context()); !locked(err) {
		t.Errorf("the new replica and the lock of the old one: %v", err)
	}
	endCycle(t, older, cycle, "older")
	knows(t, newer, 2, "older", 1)
	unlock()
	aCycle(t, newer, "newer")
	aCycle(t, older, "older again")
	knows(t, newer, 2, "older again", 3)

	newest := replica(3)
	_, err = older.Lock(t.Context())
	refused(t, err, 1)
	_, err = newer.Lock(t.Context())
	refused(t, err, 2)
	aCycle(t, newest, "newest")
	knows(t, newest, 3, "newest", 4)
}
