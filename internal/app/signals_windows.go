package app

import "os"

// Windows has neither SIGHUP nor SIGUSR1: a changed file reloads, and the schedule runs.
var reloadSignals, runSignals []os.Signal
