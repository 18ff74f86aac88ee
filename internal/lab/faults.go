package lab

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A Phase is where in a cycle a fault strikes.
type Phase string

// The phases.
const (
	PhaseFetch    Phase = "fetch"        // the directory's listings
	PhaseConfirm  Phase = "confirm"      // the directory, asked again
	PhaseRead     Phase = "read"         // the target's listings
	PhaseBefore   Phase = "apply before" // a write that is not done
	PhaseAfter    Phase = "apply after"  // a write that is done
	PhaseReadBack Phase = "read back"    // a read between writes
	PhaseStore    Phase = "store"        // the record of what happens
)

var phases = []Phase{PhaseFetch, PhaseConfirm, PhaseRead, PhaseBefore, PhaseAfter, PhaseReadBack, PhaseStore}

// The faults that are not the simulator's.
const (
	faultCrash      = "crash"
	faultStale      = "stale replica"
	faultErrBefore  = "refused"
	faultErrAfter   = "done, refused"
	faultCrashAfter = "done, crash"
	faultLeader     = "leader change"
	faultClock      = "clock jump"
)

// answers are the ways in which an answer goes wrong, by phase. One that the table names and that is not here is the lab's own.
var answers = map[string]sim.Fault{
	"500": sim.Refusal(500), "503": sim.Gateway(503), "401": sim.Refusal(401), "403": sim.Refusal(403), "400": sim.Refusal(400), "404 gateway": sim.Gateway(404),
	"429 storm": sim.TooMany("2"), "cut": sim.Cut(), "cut body": sim.CutInBody(), "empty answer": sim.Body(""), "null": sim.Body("null"),
	"html": sim.HTMLPage(), "no list key": sim.NoListKey(), "truncated JSON": sim.TruncatedJSON(), "error with 200": sim.ErrorWith200(),
	"empty page": sim.EmptyPage(), "lacking row": sim.LackingRow(), "shrunken": sim.Shrunken(), "repeated row": sim.RepeatedRow(),
	"repeated page": sim.RepeatPage(), "repeated link": sim.RepeatLink(), "reversed rows": sim.ReversedRows(),
	"done, 500": sim.AppliedThenRefused(500), "done, cut": sim.AppliedThenCut(), "no content": sim.NoContent(),
}

var reads = []string{
	"500", "503", "401", "404 gateway", "429 storm", "cut", "cut body", "empty answer", "null", "html", "no list key", "truncated JSON",
	"error with 200", "empty page", "lacking row", "shrunken", "repeated row", "repeated page", "repeated link", "reversed rows", faultStale, faultClock, faultCrash,
}

var faultsOf = map[Phase][]string{
	PhaseFetch: reads, PhaseConfirm: reads, PhaseRead: reads,
	PhaseBefore:   {"500", "503", "401", "403", "400", "404 gateway", "429 storm", "cut", faultClock, faultCrash},
	PhaseAfter:    {"done, 500", "done, cut", "cut body", "empty answer", "no content", "html", faultClock, faultCrash},
	PhaseReadBack: {"500", "404 gateway", "429 storm", "cut", "cut body", "empty answer", "null", faultLeader, faultClock, faultCrash},
	PhaseStore:    {faultErrBefore, faultErrAfter, faultCrash, faultCrashAfter, faultLeader, faultClock},
}

// Cells are all faults in all phases.
func Cells() []Cell { return allCells }

var allCells = func() (out []Cell) {
	for _, p := range phases {
		for _, kind := range faultsOf[p] {
			out = append(out, Cell{p, kind})
		}
	}
	return out
}()

// An armed fault waits for the requests that it strikes in the next cycle. Which these are follows from what is asked for
// and how often it was, never from what else is under way.
type armed struct {
	Cell
	salt  uint32
	often int // of one request
	fresh bool
}

func (w *world) arm(s Step) {
	w.armed = append(w.armed, armed{Cell: *s.Fault, salt: s.N[1], often: 1 + int(s.N[2]%5), fresh: true})
	w.tell("fault: %s in %s", s.Fault.Kind, s.Fault.Phase)
}

// lies are damages that leave a good answer behind, with people missing from it. A directory that lies in its listing and
// again when it is asked about one person cannot be told from the truth; docs/safety.md says so.
var lies = []string{"empty page", "lacking row", "shrunken", "repeated row", "repeated page"}

// believable takes out of the faults of one cycle what would let the directory lie twice.
func believable(faults []armed) []armed {
	lie := func(p Phase) func(armed) bool {
		return func(a armed) bool { return a.Phase == p && slices.Contains(lies, a.Kind) }
	}
	if slices.ContainsFunc(faults, lie(PhaseFetch)) {
		return slices.DeleteFunc(slices.Clone(faults), lie(PhaseConfirm))
	}
	return faults
}

// strikes tells whether the fault is for this request.
func (a *armed) strikes(phase Phase, request string, nth int) bool {
	if a.Phase != phase || nth >= a.often {
		return false
	}
	spread := uint32(1 + a.salt%3)
	if a.Kind == faultStale || a.Kind == "empty page" { // a whole listing lags or is empty
		spread = 1
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%d %s", a.salt, request)
	return h.Sum32()%spread == 0
}

// strike picks the faults of one request to one side. What strikes the process and not the answer happens at once.
func (p *process) strike(phase Phase, r *http.Request, lagging http.Handler) (play []sim.Fault, crash bool) {
	request := string(phase) + " " + r.Method + " " + r.URL.RequestURI()
	nth := p.seen[request]
	p.seen[request]++
	for i := range p.armed {
		a := &p.armed[i]
		if !a.strikes(phase, request, nth) || a.Kind == faultStale && lagging == nil {
			continue
		}
		p.w.runner.Coverage[a.Cell]++
		switch a.Kind {
		case faultCrash:
			crash = true
		case faultClock:
			p.jump(a.salt)
		case faultLeader:
			p.yieldIn()
		case faultStale:
			play = append(play, sim.Elsewhere(lagging))
		default:
			play = append(play, answers[a.Kind])
		}
		if phase == PhaseRead && slices.Contains([]string{faultStale, "shrunken"}, a.Kind) {
			p.lied = true
		}
	}
	return play, crash
}
