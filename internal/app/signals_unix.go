//go:build unix

package app

import (
	"os"
	"syscall"
)

var (
	reloadSignals = []os.Signal{syscall.SIGHUP}
	runSignals    = []os.Signal{syscall.SIGUSR1}
)
