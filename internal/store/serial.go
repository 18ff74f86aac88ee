package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// A serial is how far a store had come: the lineage, which a copy and a backup share, and the number of its newest cycle,
// which only grows. What stands beside the store knows it from the last run, and so tells when the store itself was put
// back to an older day.
type serial struct {
	lineage string
	cycle   int64
}

func (s *Store) readSerial(ctx context.Context) (n serial, err error) {
	err = s.ro.QueryRowContext(ctx, `SELECT lineage, (SELECT coalesce(max(id), 0) FROM cycles WHERE pipeline = $1) FROM meta WHERE pipeline = $1`, s.pipeline).Scan(&n.lineage, &n.cycle)
	if err != nil {
		return n, fmt.Errorf("read serial: %w", s.db.explain(err))
	}
	return n, nil
}

// compareSerial makes the next cycle a first contact when the store is older than it was: links, pins and what was taken
// away since then are not in it, and an approval may have been used already.
func (s *Store) compareSerial(ctx context.Context) error {
	have, err := s.readSerial(ctx)
	if err != nil {
		return err
	}
	known, err := s.db.witness(have.lineage)
	if err != nil {
		return fmt.Errorf("read serial: %w", err)
	}
	if known <= have.cycle {
		return nil
	}
	note := fmt.Sprintf("restored from an older copy: cycle %d was known, %d is the newest here; removals wait for a yes", known, have.cycle)
	err = s.record(ctx, "note the older copy", func(t *tx) error {
		now := millis(s.now())
		if err := t.exec(`UPDATE meta SET rules = '', texts = NULL WHERE pipeline = $1`, s.pipeline); err != nil {
			return err
		}
		if err := t.exec(`UPDATE held_sets SET approved = NULL, approver = '' WHERE pipeline = $1 AND used IS NULL`, s.pipeline); err != nil {
			return err
		}
		return t.exec(`INSERT INTO cycles (pipeline, started, finished, note) VALUES ($1, $2, $2, $3)`, s.pipeline, now, note)
	})
	if err != nil {
		return err
	}
	s.log.Warn("the state was restored from an older copy: the next cycle is a first contact, which holds removals", "known", known, "newest", have.cycle)
	s.noteSerial()
	return nil
}

// noteSerial tells the witness how far the store has come. One that is missing or older than the truth proves less, and
// never anything wrong.
func (s *Store) noteSerial() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, err := s.readSerial(ctx)
	if err == nil {
		err = s.db.attest(n)
	}
	if err != nil {
		s.log.Warn("the state's serial was not noted: an older copy would not be recognised", "error", err)
	}
}

func (f *sqliteFile) serialPath() string { return f.path + ".serial" }

// witness reads the file beside the state, one line for each lineage.
func (f *sqliteFile) witness(lineage string) (cycle int64, err error) {
	text, err := os.ReadFile(f.serialPath())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, lineage+" "); ok {
			if _, err := fmt.Sscan(rest, &cycle); err != nil {
				return 0, fmt.Errorf("%s is damaged (remove it, if the state is not an older copy): %w", f.serialPath(), err)
			}
		}
	}
	return cycle, err
}

// attest is called by the holder of the writer's lock only.
func (f *sqliteFile) attest(n serial) error {
	text, err := os.ReadFile(f.serialPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out := fmt.Sprintf("%s %d\n", n.lineage, n.cycle)
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, n.lineage+" ") {
			out += line
		}
	}
	next := f.serialPath() + ".new"
	if err := os.WriteFile(next, []byte(out), 0o600); err != nil {
		return err
	}
	return os.Rename(next, f.serialPath())
}

// witness knows of a server only what this process has seen: nothing stands beside it.
func (p *postgres) witness(lineage string) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[lineage], nil
}

func (p *postgres) attest(n serial) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen[n.lineage] = n.cycle
	return nil
}
