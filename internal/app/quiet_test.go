package app

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store/pgtest"
)

// TestAQuietCycleWritesAFewRows: when nothing has changed, what a cycle writes is the same few rows and the directory's answer,
// compressed, however many people there are.
func TestAQuietCycleWritesAFewRows(t *testing.T) {
	const few, perPerson = 4, 400 // rows: the lock, the cycle, its rules, the answer; bytes of an answer
	companies := []int{sixty, 10 * sixty}
	t.Run("SQLite", func(t *testing.T) {
		for _, people := range companies {
			d := newFileDisk(t)
			p := newPlant(t, d, people, 4)
			p.good()
			var bytes int64
			p.closing = func() { // SQLite empties its log as it closes
				info, err := os.Stat(filepath.Join(d.(*fileDisk).at(), "state.db-wal"))
				p.must(err)
				bytes = info.Size()
			}
			if r := p.good(); !r.Plan.Empty() || bytes == 0 || bytes > int64(100_000+perPerson*people) {
				t.Errorf("%d people: %d bytes, %d changes", people, bytes, len(r.Plan.Changes))
			}
			t.Logf("%d people, %d users: %d bytes", people, len(p.sim.SCIM.Users()), bytes)
		}
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := pgtest.For(t).Database(t)
		db, err := sql.Open("pgx", dsn+"&search_path=rootly_idp_sync")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, people := range companies {
			p := newPlant(t, serverDisk{dsn, fmt.Sprint("quiet ", people)}, people, 4)
			p.good()
			var at, log, end string
			p.must(db.QueryRow(`SELECT pg_current_xact_id(), pg_current_wal_lsn()`).Scan(&at, &log))
			r := p.good()
			p.must(db.QueryRow(`SELECT pg_current_wal_lsn()`).Scan(&end))
			rows := p.touched(db, at)
			var bytes int64
			p.must(db.QueryRow(`SELECT CAST(CAST($1 AS pg_lsn) - CAST($2 AS pg_lsn) AS bigint)`, end, log).Scan(&bytes))
			if !r.Plan.Empty() || rows == 0 || rows > few {
				t.Errorf("%d people: %d rows, want at most %d; %d changes", people, rows, few, len(r.Plan.Changes))
			}
			t.Logf("%d people, %d users: %d rows, %d bytes of log", people, len(p.sim.SCIM.Users()), rows, bytes)
		}
	})
}

// touched counts the rows of all tables that were written since a transaction.
func (p *plant) touched(db *sql.DB, since string) (n int) {
	p.t.Helper()
	tables, err := db.Query(`SELECT tablename FROM pg_tables WHERE schemaname = current_schema()`)
	p.must(err)
	defer tables.Close()
	for tables.Next() {
		var table string
		var rows int
		p.must(tables.Scan(&table))
		p.must(db.QueryRow(`SELECT count(*) FROM "`+table+`" WHERE CAST(CAST(xmin AS text) AS bigint) >= CAST($1 AS bigint)`, since).Scan(&rows))
		n += rows
	}
	p.must(tables.Err())
	return n
}
