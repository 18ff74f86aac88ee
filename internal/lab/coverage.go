package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Coverage counts how often each fault was played in each phase.
type Coverage map[Cell]int

// A Cell is a fault in a phase.
type Cell struct {
	Phase Phase
	Kind  string
}

// Merge adds another runner's counts.
func (c Coverage) Merge(other Coverage) {
	for cell, n := range other {
		c[cell] += n
	}
}

// Missing are the cells that were never played.
func (c Coverage) Missing() []Cell {
	var out []Cell
	for _, cell := range Cells() {
		if c[cell] == 0 {
			out = append(out, cell)
		}
	}
	return out
}

// String is a table of faults by phase.
func (c Coverage) String() string {
	kinds := map[string]bool{}
	for _, cell := range Cells() {
		kinds[cell.Kind] = true
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s", "fault")
	for _, p := range phases {
		fmt.Fprintf(&b, "%14s", p)
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "\n%-18s", kind)
		for _, p := range phases {
			cell := Cell{p, kind}
			if !slices.Contains(Cells(), cell) {
				fmt.Fprintf(&b, "%14s", "")
				continue
			}
			fmt.Fprintf(&b, "%14d", c[cell])
		}
	}
	return b.String()
}
