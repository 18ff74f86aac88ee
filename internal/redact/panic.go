package redact

import (
	"fmt"
	"runtime"
	"strings"
)

// Panic says what a recovered panic was about: the runtime's own words, or else the type of the value, which may hold all of
// a request; and the function that panicked. It is called by the function that recovers.
func Panic(value any) string {
	text := fmt.Sprintf("a %T", value)
	if e, ok := value.(runtime.Error); ok {
		text = e.Error()
	}
	if place := panicked(); place != "" {
		text += " in " + place
	}
	return text
}

// panicked is the function that panicked: the first one that is not the runtime's, below the runtime's own panic.
func panicked() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
	for below := false; ; {
		f, more := frames.Next()
		switch ours := !strings.HasPrefix(f.Function, "runtime."); {
		case f.Function == "runtime.gopanic":
			below = true
		case below && ours:
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return ""
		}
	}
}
