package lab

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A process is one life of the program, from its start to its crash or restart. What it holds is lost with it.
type process struct {
	w      *world
	epoch  int
	target *scimclient.Client

	// Of the cycle under way.
	since      int // the beginning of its window in truth
	ctx        context.Context
	cancel     context.CancelFunc
	dead       bool
	told       bool // that another process leads
	planned    time.Time
	applying   bool
	confirming bool
	lied       bool // a listing of the target was not what it held
	calm       bool // nothing may be taken away: a quarantine is about to end
	armed      []armed
	seen       map[string]int
	ops        int // calls of the store
	writes     int
	pending    []pending
	intents    map[int64]intent // recorded, and not settled yet
	crowd      int              // active accounts that are ours
	groups     int              // groups that are ours
	members    map[reconcile.Axis]int
	manned     map[string]string // SCIM id of a group that is ours and has somebody in it → its name
	left       map[string]bool   // groups out of which somebody was taken
	used       map[string]bool   // approvals

	takenBefore int // of world.taken
}

// pending is a change of the directory in mid-cycle: after the fetch, or before a write.
type pending struct {
	deed
	n    [3]uint32
	when int // 0 is after the fetch
}

// An intent is a change that the store knows of and whose outcome it does not know.
type intent struct {
	change reconcile.Change
	user   *reconcile.UserValues
	group  *reconcile.GroupValues
	did    bool // something of it was done by the target
}

// start begins a new process; the one before it is gone.
func (w *world) start() {
	w.epoch++
	w.process = w.newProcess()
}

func (w *world) newProcess() *process {
	p := &process{w: w, epoch: w.epoch}
	size := 4
	if slices.Contains(w.Setup.Habits, "reordered") {
		size = 1000
	}
	var err error
	p.target, err = scimclient.New(scimclient.Options{
		BaseURL: scimURL, Token: func() string { return scimToken }, Transport: inTurn{sim.Transport(http.HandlerFunc(p.toTarget))}, PageSize: size, Allow: p.allow,
	})
	must(err)
	return p
}

// allow is the trust window of a lease.
func (p *process) allow() error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.told && p.epoch != p.w.epoch {
		return errFenced
	}
	return nil
}

// connect makes a connector to the company, for whatever process runs a cycle.
func (w *world) connect(q connectors.Query) Connector {
	c, err := w.directory.Connect(q, w.company,
		inTurn{sim.Transport(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.asking.toDirectory(rw, r) }))})
	must(err)
	return c
}

// inTurn makes the order of requests the seed's, though goroutines send them: each comes at an instant of its own, and
// one that was given up is answered before another begins, so that none of a cycle's requests reaches into the next.
type inTurn struct{ http.RoundTripper }

func (t inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	h := fnv.New32a()
	fmt.Fprint(h, r.Method, r.URL)
	time.Sleep(time.Duration(h.Sum32() % uint32(time.Millisecond)))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp, err := t.RoundTripper.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
	if gone := r.Context().Err(); gone != nil {
		return nil, gone
	}
	return resp, err
}

// watched is the connector, with an eye on when it is asked again.
type watched struct {
	Connector
	p *process
}

func (c *watched) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	c.p.confirming = false
	s, err := c.Connector.Fetch(ctx)
	c.p.w.mu.Lock()
	defer c.p.w.mu.Unlock()
	c.p.happen(0)
	return s, err
}

func (c *watched) Lookup(ctx context.Context, id connectors.UserID) (connectors.Found, error) {
	c.p.confirm()
	return c.Connector.Lookup(ctx, id)
}

func (c *watched) Members(ctx context.Context, id connectors.GroupID) ([]connectors.UserID, bool, error) {
	c.p.confirm()
	return c.Connector.Members(ctx, id)
}

func (p *process) confirm() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.confirming = true
}

// happen does what was put off to this moment.
func (p *process) happen(when int) {
	for _, d := range p.pending {
		if d.when == when {
			before := p.w.photo()
			if said := d.do(p.w, d.n); said != "" {
				p.w.tell("meanwhile %s", said)
			}
			p.w.record()
			p.w.replay.follow(before, p.w.photo())
		}
	}
}

// cycle runs one cycle of the process that leads, as the daemon does: plan, apply, and what it means for the quarantine.
func (w *world) cycle() {
	p := w.process
	if w.rival != nil {
		before := w.photo()
		_ = w.scim.EditUser(w.rival.user, func(u *sim.SCIMUser) { u.FamilyName = w.rival.family })
		w.replay.follow(before, w.photo())
	}
	w.past, w.latest = w.latest, w.copy()
	w.record()
	w.starts = append(w.starts, len(w.truth)-1)
	p.begin()
	w.out.Cycles++
	err := p.run()
	w.armed = nil
	p.pending = nil
	if err != nil {
		w.tell("cycle: %v", err)
	}
	p.cancel()
	p.judgeEmptied(err)
	if p.dead && p.epoch == w.epoch {
		w.start()
	}
	w.checkLinks()
}

func (p *process) begin() {
	w := p.w
	w.asking = p
	p.since, p.told = w.starts[max(0, len(w.starts)-2)], false
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.applying, p.confirming, p.lied = false, false, false
	p.armed, p.seen, p.ops, p.writes = believable(w.armed), map[string]int{}, 0, 0
	p.intents, p.used = map[int64]intent{}, map[string]bool{}
	p.crowd, p.groups, p.members, p.manned, p.left = 0, 0, map[reconcile.Axis]int{}, map[string]string{}, map[string]bool{}
	p.planned, p.takenBefore = w.now(), len(w.taken)
	for _, u := range w.scim.Users() {
		if u.Active && w.ours[u.ID] != "" {
			p.crowd++
		}
	}
	for _, g := range w.scim.Groups() {
		if w.ourGroups[g.ID] == "" {
			continue
		}
		p.groups++
		for _, axis := range w.axes(g) {
			p.members[axis] += len(g.Members)
		}
		if w.manned(g) {
			p.manned[g.ID] = g.DisplayName
		}
	}
}

var errCrashed = errors.New("the process has crashed")

func (p *process) run() error {
	w := p.w
	ledger, err := w.memory.Ledger(p.ctx)
	if err != nil {
		return err
	}
	rules := w.compile()
	p.calm = ledger.Quarantine != nil
	planner := reconcile.Planner{
		Source: &watched{w.connectors[w.rules.narrow], p}, Target: p.target, TargetURL: scimURL, Rules: rules,
		Previous: func(ctx context.Context) (*connectors.Snapshot, error) {
			s, _, err := w.memory.Previous(ctx)
			return s, err
		},
	}
	plan, err := planner.Plan(p.ctx, ledger, w.now())
	report := reconcile.Report{Plan: plan}
	defer func() { w.last, w.lastErr = report, err }()
	if err == nil && !p.dead {
		for _, c := range plan.Changes {
			w.tell("  plan: %s %s (%s)%s", c.Key(), c.Object.Name, c.Why, detail(c))
		}
		for _, c := range plan.Held {
			w.tell("  held: %s: %s", c.Key(), c.Held)
		}
		p.applying = true
		a := reconcile.Applier{Target: p.target, Journal: &journal{p}, Concurrency: 1, Now: w.now}
		report, err = a.Apply(p.ctx, plan)
		for _, r := range report.Results {
			if r.Outcome != reconcile.OutcomeDone {
				w.tell("  %s ended %s: %s", r.Change.Key(), r.Outcome, r.Error)
			}
		}
	}
	if p.dead {
		return errCrashed
	}
	if p.epoch != w.epoch {
		return errFenced
	}
	must(w.memory.Isolate(context.Background(), ledger.Quarantine.After(report, err, w.now())))
	if err == nil {
		for key := range p.used {
			delete(w.yes, key)
		}
	}
	return err
}

func detail(c reconcile.Change) string {
	text := ""
	for _, f := range c.Fields {
		text += fmt.Sprintf(" %s=%q", f.Name, f.To)
	}
	for _, m := range c.Members {
		text += " " + m.User.Name
	}
	return text
}

// die ends the process at once: nothing that it does from here on reaches anybody.
func (p *process) die() {
	p.dead = true
	p.cancel()
	p.w.tell("  the process crashes")
}

// toDirectory carries a request to the directory.
func (p *process) toDirectory(rw http.ResponseWriter, r *http.Request) {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	p.gone()
	phase := PhaseFetch
	if p.confirming {
		phase = PhaseConfirm
	}
	faults, crash := p.strike(phase, r, w.past.directory)
	if crash {
		p.die()
		p.gone()
	}
	sim.Play(w.directory.Side, rw, r, w.served, faults...)
}

// gone cuts every connection of a process that is no more.
func (p *process) gone() {
	if p.dead {
		panic(http.ErrAbortHandler)
	}
}

// toTarget carries a request to the SCIM server, and has the oracle judge what it does there.
func (p *process) toTarget(rw http.ResponseWriter, r *http.Request) {
	w := p.w
	w.mu.Lock()
	defer w.mu.Unlock()
	p.gone()
	if r.Method == http.MethodGet {
		phase, lagging := PhaseRead, http.Handler(w.past.scim)
		if p.applying {
			phase, lagging = PhaseReadBack, nil
		}
		faults, crash := p.strike(phase, r, lagging)
		if crash {
			p.die()
			p.gone()
		}
		sim.Play(sim.SideSCIM, rw, r, w.scim, faults...)
		return
	}
	p.writes++
	p.happen(p.writes)
	if before, crash := p.strike(PhaseBefore, r, nil); crash || len(before) > 0 {
		if crash {
			p.die()
			p.gone()
		}
		sim.Play(sim.SideSCIM, rw, r, w.scim, before[0])
		return
	}
	judged := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		before := w.photo()
		w.scim.ServeHTTP(rw, r)
		w.judge(p, r, before, w.photo())
	})
	after, crash := p.strike(PhaseAfter, r, nil)
	if crash {
		judged.ServeHTTP(unheard{}, r)
		p.die()
		p.gone()
	}
	if len(after) > 1 {
		after = after[:1] // one way of going wrong at a time
	}
	sim.Play(sim.SideSCIM, rw, r, judged, after...)
}

// unheard is an answer that nobody is there to read.
type unheard struct{}

func (unheard) Header() http.Header         { return http.Header{} }
func (unheard) Write(b []byte) (int, error) { return len(b), nil }
func (unheard) WriteHeader(int)             {}
