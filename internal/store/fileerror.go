package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

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
