package store

import (
	"testing"
	"time"
)

// BenchmarkAMillionChanges reads one person's page of a history of 1,000,000 changes of 10,000 people, of which every
// tenth is a group's with ten members.
func BenchmarkAMillionChanges(b *testing.B) {
	for name, open := range map[string]func(b *testing.B) *Store{
		"sqlite": func(b *testing.B) *Store { return openAt(b, options(statePath(b))) },
		"postgres": func(b *testing.B) *Store {
			return openAt(b, onServer(startPostgres(b).Database(b), func() time.Time { return t0 }))
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := open(b)
			cycle := begin(b, s)
			for _, fill := range []string{
				`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
				INSERT INTO changes (pipeline, cycle, verb, kind, source, target, name, why, detail, fields, intended, settled, outcome)
				SELECT 'default', 1, CASE WHEN i % 10 = 0 THEN 'add' ELSE 'update' END, CASE WHEN i % 10 = 0 THEN 'group' ELSE 'user' END,
					CASE WHEN i % 10 = 0 THEN '00g' ELSE '00u' END || (i % 10000 * 7919 % 10000), 'r-' || i, 'person.' || (i % 10000 * 7919 % 10000) || '@acme.example',
					'changed in the directory', '', '[{"name":"displayName","from":"A","to":"B","why":"changed in the directory"}]', 1777000000000 + i, 1777000000000 + i, 'done' FROM n`,
				`WITH RECURSIVE m (k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM m WHERE k < 9)
				INSERT INTO change_people (pipeline, person, change) SELECT 'default', '00u' || ((id + k * 977) % 10000), id FROM changes, m WHERE kind = 'group'`,
				`ANALYZE`, // what both databases do by themselves in time
			} {
				if _, err := s.w.conn.ExecContext(b.Context(), fill); err != nil {
					b.Fatal(err)
				}
			}
			for what, f := range map[string]Filter{
				"person":             {Person: "person.77@acme.example"},
				"person since":       {Person: "person.77@acme.example", Since: fromMillis(1777000900000)},
				"stranger":           {Person: "nobody@acme.example"},
				"newest":             {},
				"cycle":              {Cycle: cycle},
				"an hour of the day": {Since: fromMillis(1777000300000), Until: fromMillis(1777000300500)},
			} {
				b.Run(what, func(b *testing.B) {
					for b.Loop() {
						if list, err := s.Changes(b.Context(), f); err != nil || len(list) == 0 && what != "stranger" {
							b.Fatal(len(list), err)
						}
					}
				})
			}
		})
	}
}
