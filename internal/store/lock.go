package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A LockedError says that another run has the writer's lock of the store, or another process a Lease.
type LockedError struct {
	Path   string // the state: a file, or a database without its password
	Holder string // "pid 4711 on host-a since 2026-05-01T12:00:00Z", "" when it cannot be read
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "holder unknown"
	}
	return fmt.Sprintf("state %s is in use by another run (%s): wait until it has ended, or stop it", e.Path, holder)
}

// Lock takes the writer's lock, which one run holds from its first reading to its report. It does not wait: when
// another run has the lock the error is a *LockedError. unlock must be called once; the lock also ends with the process,
// on PostgreSQL within WriterTTL. There it can be lost, too, to a server that was away for long: the journal's writes are refused
// from then on with an *ExpiredError. Reading the store needs no lock.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h, err := s.db.lock(ctx, s)
	if err != nil {
		return nil, err
	}
	s.setLock(&h)
	if err := s.trusted(ctx); err != nil {
		s.setLock(nil)
		h.release()
		return nil, err
	}
	return func() {
		s.noteSerial()
		s.setLock(nil)
		h.release()
	}, nil
}

// trusted looks at what other processes may have done to the state since it was opened.
func (s *Store) trusted(ctx context.Context) error {
	if err := openable(ctx, s.ro, s.db.place(), s.db.knows()); err != nil {
		return s.db.explain(err)
	}
	return s.compareSerial(ctx)
}

// setLock remembers that this Store has the lock, and keeps a lock file reachable: the kernel would drop the lock of
// one that is collected.
func (s *Store) setLock(h *heldLock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = h
}

func (s *Store) hasLock() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held != nil
}

// fence is the lease that the journal's writes depend on, nil for none.
func (s *Store) fence() *Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held == nil {
		return nil
	}
	return s.held.lease
}

func (f *sqliteFile) lock(context.Context, *Store) (heldLock, error) {
	release, err := lockFile(f.path, f.now())
	return heldLock{release: release}, err
}

// holder tries the lock, for the text alone may be that of a killed process.
func (f *sqliteFile) holder(context.Context, *Store) (string, error) {
	release, err := lockFile(f.path, f.now())
	if err == nil {
		release()
		return "", nil
	}
	if e, ok := err.(*LockedError); ok {
		return e.Holder, nil
	}
	return "", err
}

// lockFile uses a file of its own, since SQLite's locks come and go with every transaction. The file stays: removing it would let two
// runs lock two files of the same name.
func lockFile(path string, now time.Time) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state: %w", fileError(err))
	}
	held, err := flock(f)
	switch {
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock state %s: %w (the file system must know locks; a local disk does)", path, err)
	case !held:
		text, _ := io.ReadAll(io.LimitReader(f, 256))
		f.Close()
		return nil, &LockedError{Path: path, Holder: strings.TrimSpace(string(text))}
	}
	if err := rewrite(f, holderSince(now)+"\n"); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock state: %w", fileError(err))
	}
	return func() {
		// The text is a courtesy to others; the lock itself ends with Close whatever becomes of it.
		_ = rewrite(f, "")
		f.Close()
	}, nil
}

func rewrite(f *os.File, text string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// process names this process for people.
func process() string {
	host, _ := os.Hostname()
	return fmt.Sprintf("pid %d on %s", os.Getpid(), host)
}

func holderSince(at time.Time) string {
	return process() + " since " + at.UTC().Format(time.RFC3339)
}
