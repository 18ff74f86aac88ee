package lab

import "slices"

// Shrink looks for a shorter history that breaks the same law, by leaving steps out until none can be spared. run plays a
// history, in a bubble of its own.
func Shrink(h History, law string, run func(History) Outcome) (History, Outcome) {
	best := run(h)
	for size := max(1, len(h.Steps)/2); size > 0; size /= 2 {
		for at := 0; at < len(h.Steps); {
			shorter := h
			shorter.Steps = slices.Delete(slices.Clone(h.Steps), at, min(at+size, len(h.Steps)))
			if out := run(shorter); out.Violation != nil && out.Violation.Law == law {
				h, best = shorter, out
			} else {
				at += size
			}
		}
	}
	return h, best
}
