package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// explain adds to an error of SQLite what the operator can do about it.
func explain(path string, err error) error {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("state %s: the disk is full (free some space, then run again; nothing recorded so far is lost): %w", path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("state %s is read-only (make the file and its directory writable for this user, or set another state.path): %w", path, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("state %s cannot be opened (its directory must exist and be writable for this user): %w", path, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("state %s: the disk gives errors or is full (check the disk and its free space): %w", path, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("state %s is damaged (restore it from a backup, or move it away: the next run is then a first contact, which holds removals): %w", path, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("state %s is no SQLite database (set state.path to a file of its own, or move this one away): %w", path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("state %s is busy (another process writes to it; try again): %w", path, err)
	}
	return fmt.Errorf("state %s: %w", path, err)
}

// fileError adds to an error of the file system, which names the path itself, what the operator can do about it.
func fileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w (create the directory, or set another state.path)", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w (make the file and its directory writable for this user, or set another state.path)", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w (free some space, then run again)", err)
	}
	return fmt.Errorf("%w (set state.path to a file in a writable directory)", err)
}
