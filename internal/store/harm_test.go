package store

import (
	"testing"
	"time"
)

// overtake runs begun while another process has the row of the layoff in a transaction of its own, and ends that one only
// once begun waits for it.
func overtake(t *testing.T, s *Store, statement string, begun func() error) error {
	t.Helper()
	ctx := t.Context()
	other, err := s.db.reader().BeginTx(ctx, nil)
	must(t, err)
	defer other.Rollback()
	_, err = other.ExecContext(ctx, statement, layoff.Fingerprint)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- begun() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiting := 0; waiting == 0; {
		select {
		case err := <-done:
			t.Fatalf("it did not wait for the other transaction: %v", err)
		case <-tick.C:
			must(t, s.db.reader().QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE NOT granted`).Scan(&waiting))
		}
	}
	must(t, other.Commit())
	return <-done
}

// An approval needs no lock: it may come between a run's look at the sets and the end of its transaction.
func TestARunForgetsNoApprovalThatCameMeanwhile(t *testing.T) {
	s := openAt(t, onServer(startPostgres(t).Database(t), func() time.Time { return t0 }))
	hold(t, s, layoff)
	cycle, err := s.Begin(t.Context(), t0)
	must(t, err)
	must(t, overtake(t, s, `UPDATE held_sets SET approved = 1, approver = 'alice' WHERE fingerprint = $1`, func() error { return s.Hold(t.Context(), cycle, nil) }))
	sets, err := s.HeldSets(t.Context())
	must(t, err)
	if len(sets) != 1 || sets[0].By != "alice" {
		t.Errorf("sets %+v: alice was told that she had approved it", sets)
	}
}

func TestAnApprovalOfWhatIsNoLongerHeldIsRefused(t *testing.T) {
	s := openAt(t, onServer(startPostgres(t).Database(t), func() time.Time { return t0 }))
	hold(t, s, layoff)
	err := overtake(t, s, `DELETE FROM held_sets WHERE fingerprint = $1`, func() error {
		_, err := s.Approve(t.Context(), layoff.Fingerprint, "alice")
		return err
	})
	if err == nil {
		t.Error("alice is told that she has approved a set that a run deleted meanwhile")
	}
}
