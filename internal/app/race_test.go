//go:build race

package app

// everyBoundary is one in how many boundaries of a process is tried: the race detector makes each ten times as slow.
const everyBoundary = 11
