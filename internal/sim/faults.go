package sim

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Rule plays a Fault on the requests it selects. An empty condition selects everything.
type Rule struct {
	Side   Side
	Method string
	Path   string         // prefix of the escaped path: "/scim/Users", "/api/v1/groups/00g…"
	Match  *regexp.Regexp // against the escaped path and the query
	After  int            // lets this many of the selected requests pass first
	Times  int            // is played at most so often; 0 is without end
	Chance float64        // above 0: is played with this probability, drawn from the seed
	Fault  Fault
}

// Faults holds the rules for both servers. When several rules select a request they are all played, each round those
// after it: latency first and a refusal second is a slow refusal. It is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	seed  uint64
	rules []*activeRule
}

type activeRule struct {
	Rule
	selected, played int
	seen             map[string]int // for Chance: how often each request came
}

// NewFaults returns an empty set of rules whose chances are drawn from the seed.
func NewFaults(seed uint64) *Faults { return &Faults{seed: seed} }

// Add appends rules. It panics at a rule without a fault, which would be played unseen.
func (f *Faults) Add(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range rules {
		if r.Fault.play == nil {
			panic(fmt.Sprintf("sim: the rule for %s %q has no fault", r.Method, r.Path))
		}
		f.rules = append(f.rules, &activeRule{Rule: r, seen: map[string]int{}})
	}
}

// Clear removes all rules: from now on the servers are well.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// Played tells how often each fault of the present rules was played, by its name.
func (f *Faults) Played() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for _, r := range f.rules {
		if r.played > 0 {
			out[r.Fault.Name] += r.played
		}
	}
	return out
}

// Wrap plays the rules for side on the requests that next answers.
func (f *Faults) Wrap(side Side, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := next
		for _, fault := range slices.Backward(f.choose(side, r)) {
			inner := h
			h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fault.play(&exchange{ResponseWriter: w, request: r, side: side, next: inner})
			})
			if noted, ok := w.(*loggedWriter); ok {
				noted.played(fault.Name)
			}
		}
		h.ServeHTTP(w, r)
	})
}

// choose returns the faults to play on this request, in the order of their rules.
func (f *Faults) choose(side Side, r *http.Request) []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var chosen []Fault
	for i, rule := range f.rules {
		if !rule.selects(side, r) {
			continue
		}
		rule.selected++
		if rule.selected <= rule.After || rule.Times > 0 && rule.played >= rule.Times || !f.draw(i, rule, r) {
			continue
		}
		rule.played++
		chosen = append(chosen, rule.Fault)
	}
	return chosen
}

func (r *activeRule) selects(side Side, req *http.Request) bool {
	path := req.URL.EscapedPath()
	return (r.Side == "" || r.Side == side) &&
		(r.Method == "" || r.Method == req.Method) &&
		strings.HasPrefix(path, r.Path) &&
		(r.Match == nil || r.Match.MatchString(req.URL.RequestURI()))
}

// draw decides by chance. The draw depends on the request and on how often it came, not on what else runs at the same
// time, so a concurrent run meets the same faults each time.
func (f *Faults) draw(rule int, r *activeRule, req *http.Request) bool {
	if r.Chance <= 0 {
		return true
	}
	key := req.Method + " " + req.URL.RequestURI()
	r.seen[key]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d %s %d", f.seed, rule, key, r.seen[key])
	x := h.Sum64() // FNV's high bits move little for a change at the end; the multiplications spread it
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return float64(x>>11)/(1<<53) < r.Chance
}
