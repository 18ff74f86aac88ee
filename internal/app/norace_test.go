//go:build !race

package app

// everyBoundary is one in how many boundaries of a process is tried.
const everyBoundary = 1
