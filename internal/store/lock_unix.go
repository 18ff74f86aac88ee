//go:build unix

package store

import (
	"errors"
	"os"
	"syscall"
)

// flock takes the exclusive lock of f without waiting. The kernel drops it with the process, however it ends.
func flock(f *os.File) (held bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
