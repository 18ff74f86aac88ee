package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A LockedError says that another run has the writer's lock of the store.
type LockedError struct {
	Path   string // the state file
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
// another run has the lock the error is a *LockedError. unlock must be called once; the lock also ends with the process.
// Reading the store needs no lock.
func (s *Store) Lock(ctx context.Context) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	release, err := lock(s.path, s.now())
	if err != nil {
		return nil, err
	}
	s.setLock(release)
	return func() {
		s.setLock(nil)
		release()
	}, nil
}

// setLock remembers that this Store has the lock, and keeps the file reachable: the kernel would drop the lock of one
// that is collected.
func (s *Store) setLock(release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = release
}

func (s *Store) hasLock() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.release != nil
}

// lock uses a file of its own, since SQLite's locks come and go with every transaction. The file stays: removing it would let two
// runs lock two files of the same name.
func lock(path string, now time.Time) (unlock func(), err error) {
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
	host, _ := os.Hostname()
	holder := fmt.Sprintf("pid %d on %s since %s\n", os.Getpid(), host, now.UTC().Format(time.RFC3339))
	if err := rewrite(f, holder); err != nil {
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
