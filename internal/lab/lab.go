// Package lab tries to break the product's promises. One seed draws a company, its rules and what happens to it, to the
// network, to the store and to the process; whole cycles run over it in process and in virtual time, while an oracle that
// knows the true history judges every write where it arrives. What goes wrong is cut down to the fewest steps.
package lab

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Setup is what stays the same throughout a history.
type Setup struct {
	Directory   string // the name of one of the runner's
	Rows        int    // to a page of the directory, 0 for as many as are asked for
	People      int
	Mode        connectors.ScopeMode
	Guard       reconcile.Limit // of every axis
	Habits      []string        // of the target
	Never       bool            // removals: never
	DeleteAfter time.Duration
	OnRemoved   reconcile.OnRemoved
	Roles       bool // the group roleGroup carries roles
}

// A Step is one thing that happens. N chooses among what is there, so a step means something in every history.
type Step struct {
	Deed  string
	N     [3]uint32
	Fault *Cell `json:",omitempty"` // of the deed "fault"
}

// A History is all that one seed decides.
type History struct {
	Seed  uint64
	Setup Setup
	Steps []Step
}

// Draw makes the history of a seed.
func (r *Runner) Draw(seed uint64) History {
	rng := rand.New(rand.NewPCG(seed, 0x6c6162))
	h := History{Seed: seed, Setup: r.drawSetup(rng)}
	add := func(deed string) {
		s := Step{Deed: deed, N: [3]uint32{rng.Uint32(), rng.Uint32(), rng.Uint32()}}
		if deed == deedFault {
			s.Fault = &allCells[int(s.N[0])%len(allCells)]
		}
		h.Steps = append(h.Steps, s)
	}
	if rng.IntN(4) > 0 { // most histories begin after a good first contact
		add(deedCycle)
		add(deedApprove)
		add(deedCycle)
	}
	for range 2 + rng.IntN(4) {
		for range rng.IntN(5) {
			add(drawDeed(rng))
		}
		if rng.IntN(3) > 0 {
			for range 1 + rng.IntN(3) {
				add(deedFault)
			}
		}
		add(deedCycle)
		if rng.IntN(3) == 0 {
			add(deedApprove)
		}
	}
	return h
}

func (r *Runner) drawSetup(rng *rand.Rand) Setup {
	d := r.directories[rng.IntN(len(r.directories))]
	s := Setup{
		Directory: d.Name, People: 4 + rng.IntN(6), Mode: d.Modes[0],
		Guard:     reconcile.Limit{Share: []float64{0, 0.2, 0.5}[rng.IntN(3)], Count: 100, Floor: rng.IntN(4)},
		OnRemoved: []reconcile.OnRemoved{reconcile.OnRemovedLeave, reconcile.OnRemovedEmpty, reconcile.OnRemovedDelete}[rng.IntN(3)],
	}
	if rng.IntN(3) == 0 {
		s.Mode = d.Modes[len(d.Modes)-1]
	}
	if rng.IntN(2) == 0 {
		s.Rows = 3
	}
	if rng.IntN(12) == 0 {
		s.Never = true
	}
	if rng.IntN(4) == 0 {
		s.DeleteAfter = 48 * time.Hour
	}
	s.Roles = rng.IntN(3) == 0
	for _, name := range habitNames {
		if rng.IntN(6) == 0 {
			s.Habits = append(s.Habits, name)
		}
	}
	return s
}

func drawDeed(rng *rand.Rand) string {
	n := rng.IntN(deedWeight)
	for _, d := range deeds {
		if n -= d.weight; n < 0 {
			return d.name
		}
	}
	return deeds[0].name
}

// habits are what servers in the field do differently.
var habits = map[string]func(o *sim.SCIMOptions){
	"vanish":         func(o *sim.SCIMOptions) { o.VanishInactive = true },
	"keep members":   func(o *sim.SCIMOptions) { o.DropMemberships = false },
	"page cap":       func(o *sim.SCIMOptions) { o.PageCap = 3 },
	"no patch":       func(o *sim.SCIMOptions) { o.NoPatch = true },
	"204":            func(o *sim.SCIMOptions) { o.PatchNoContent = true },
	"hide members":   func(o *sim.SCIMOptions) { o.HideMembers = true },
	"etags":          func(o *sim.SCIMOptions) { o.ETags, o.RequireIfMatch = true, true },
	"cursors":        func(o *sim.SCIMOptions) { o.Cursors = true },
	"reordered":      func(o *sim.SCIMOptions) { o.RandomOrder = true },
	"ignore filters": func(o *sim.SCIMOptions) { o.IgnoreFilters = true },
	"equal groups":   func(o *sim.SCIMOptions) { o.DuplicateGroups = true },
}

var habitNames = slices.Sorted(func(yield func(string) bool) {
	for n := range habits {
		if !yield(n) {
			return
		}
	}
})

// A Violation is a broken law.
type Violation struct {
	Law  string
	Text string
}

// An Outcome is what became of a history.
type Outcome struct {
	Violation *Violation // nil when every law held
	Story     []string   // what happened, a line each
	Writes    []string   // that arrived at the target
	Cycles    int
}

// A Runner runs histories one after the other and counts what they covered. Its rules are compiled once.
type Runner struct {
	Coverage    Coverage
	directories []Directory
	rules       map[ruleKey]*reconcile.Rules
}

// NewRunner returns a runner that has run nothing, for companies with one of these directories.
func NewRunner(directories ...Directory) *Runner {
	return &Runner{Coverage: Coverage{}, directories: directories, rules: map[ruleKey]*reconcile.Rules{}}
}

// world is one history under way.
type world struct {
	History
	runner *Runner

	company   *sim.Company
	directory *Directory
	served    http.Handler                    // the directory, over the company
	replica   func(*sim.Company) http.Handler // and over another one
	scim      *sim.SCIM
	memory    *store.Memory
	rules     ruleset
	skew      time.Duration // of the product's clock

	mu     sync.Mutex // one request at a time
	past   replica    // both sides as they were when the cycle before this one began
	latest replica    // when this one began
	truth  []truth
	starts []int // places in truth: the beginnings of the cycles

	connectors map[bool]Connector // by ruleset.narrow: what is read depends on nothing else
	process    *process
	asking     *process // whose cycle the directory is asked in
	epoch      int      // of the process that leads
	armed      []armed
	rival      *rival

	ours       map[string]string // SCIM id of an account → directory id
	ourGroups  map[string]string
	yes        map[string]time.Time // approved losses by key
	pinned     map[string]bool
	tangled    map[string]bool // ids and addresses of people whom a conflict may be about
	byHand     map[string]int  // SCIM ids of accounts that a hand deactivated → place in truth
	taken      []taken
	contacted  bool    // a cycle has ended
	settledBy  ruleset // the rules of the last one
	replay     photo
	unreliable bool // an intent was settled by a reading that lied, or a write came too late to be recorded

	last    reconcile.Report // of the last cycle
	lastErr error

	out Outcome
}

// replica is both sides at one moment.
type replica struct {
	directory http.Handler
	scim      *sim.SCIM
}

func (w *world) copy() replica {
	return replica{w.replica(w.company.Clone()), w.scim.Clone()}
}

func (w *world) now() time.Time { return time.Now().Add(w.skew) }

func (w *world) tell(format string, args ...any) {
	w.out.Story = append(w.out.Story, fmt.Sprintf(format, args...))
}

// violate records the first broken law.
func (w *world) violate(law, format string, args ...any) {
	if w.out.Violation == nil {
		w.out.Violation = &Violation{law, fmt.Sprintf(format, args...)}
		w.tell("BROKEN %s: %s", law, w.out.Violation.Text)
	}
}

// A Stage is a history that is about to be played.
type Stage struct{ w *world }

// Prepare sets the stage. It must be called outside the synctest bubble: the directory's SDK starts goroutines of its own.
func (r *Runner) Prepare(h History) Stage {
	w := &world{
		History: h, runner: r, ours: map[string]string{}, ourGroups: map[string]string{},
		yes: map[string]time.Time{}, pinned: map[string]bool{}, tangled: map[string]bool{}, byHand: map[string]int{}, connectors: map[bool]Connector{},
	}
	w.company = sim.NewCompany(sim.Config{Seed: h.Seed, People: h.Setup.People, Groups: -1})
	at := slices.IndexFunc(r.directories, func(d Directory) bool { return d.Name == h.Setup.Directory })
	w.directory = &r.directories[at]
	w.served, w.replica = w.directory.Serve(w.company, h.Setup.Rows)
	for _, narrow := range []bool{false, true} {
		w.rules.narrow = narrow
		w.connectors[narrow] = w.connect(w.compile().Query())
	}
	w.rules.narrow = false
	return Stage{w}
}

// Play plays the history. It must be called inside a synctest bubble, whose time is the history's.
func (s Stage) Play() Outcome {
	w := s.w
	h := w.History
	w.found()
	for _, s := range h.Steps {
		w.step(s)
		if w.out.Violation != nil {
			return w.out
		}
	}
	w.heal()
	return w.out
}

// found makes the target and the first process.
func (w *world) found() {
	o := sim.RootlyLike()
	o.Seed = w.Seed
	for _, name := range w.Setup.Habits {
		habits[name](&o)
	}
	// A PUT and an If-Match have to read first: a server that demands one of them and hides accounts leaves no way back.
	o.VanishInactive = o.VanishInactive && !o.NoPatch && !o.RequireIfMatch
	if o.RandomOrder { // only what fits a page can be read completely then
		o.PageCap, o.Cursors = 0, false
	}
	w.scim = sim.NewSCIM(o)
	w.memory = store.NewMemory(w.now)
	w.settle()
	w.record()
	w.latest = w.copy()
	w.past = w.latest
	w.replay = w.photo()
	w.start()
}

// Where the target of every history is found.
const (
	scimURL   = "https://rootly.example" + sim.SCIMBase
	scimToken = sim.DefaultSCIMToken
)

// settle gives the company its groups, and the target people and a group whom nobody here manages.
func (w *world) settle() {
	var logins []string
	for i, p := range w.company.People() {
		logins = append(logins, p.Login)
		if i%5 != 4 {
			must(w.company.Assign(p.Login))
		}
	}
	half := logins[:len(logins)/2]
	for _, g := range []sim.Group{{Name: scopeGroup, Members: logins}, {Name: "oncall-a", Members: half}, {Name: "oncall-b", Members: logins[1:3]}, {Name: "oncall-c"}} {
		_, err := w.company.CreateGroup(g)
		must(err)
	}
	for _, u := range []sim.SCIMUser{
		{UserName: "break-glass@acme.example", DisplayName: "Break Glass", Active: true},
		{UserName: "vendor@elsewhere.example", ExternalID: "native-1", DisplayName: "Vendor", Active: true},
		{UserName: strings.ToUpper(logins[0]), DisplayName: "By Hand", Active: true}, // to be taken over
	} {
		_, err := w.scim.AddUser(u)
		must(err)
	}
	_, err := w.scim.AddGroup(sim.SCIMGroup{DisplayName: "hand-made"})
	must(err)
}

// must ends a lab whose own equipment is broken.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("lab: %v", err))
	}
}
