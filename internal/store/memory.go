package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Memory does what a Store does and forgets it with the process: for "state: none", and for tests that need no disk.
// Its methods are safe for concurrent use. What it returns shares nothing that the next call changes.
type Memory struct {
	now func() time.Time

	mu sync.Mutex
	memory
}

// memory is all that a Memory knows. What the maps hold is replaced, never changed in place.
type memory struct {
	rules      string
	texts      map[string]string
	links      map[object]reconcile.Link
	sources    map[object]string // who an object of the target stands for
	escrow     map[object]reconcile.Waiting
	cycles     []Cycle // by id
	changes    []Entry // by id
	open       map[int64]bool
	lastID     int64
	held       []HeldRecord // the oldest first
	pins       map[object]Pinned
	snapshot   *connectors.Snapshot
	taken      time.Time
	memories   map[string][]byte
	quarantine *reconcile.Quarantine
}

// An object is a kind and an id of one side.
type object struct {
	kind reconcile.Kind
	id   string
}

var _ reconcile.Journal = (*Memory)(nil)

// NewMemory returns a Memory that knows nobody: its first cycle is a first contact. now is time.Now when nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{now: now, memory: memory{
		links: map[object]reconcile.Link{}, sources: map[object]string{}, escrow: map[object]reconcile.Waiting{},
		open: map[int64]bool{}, pins: map[object]Pinned{}, memories: map[string][]byte{},
	}}
}

// Lock always succeeds: no other process sees this state.
func (m *Memory) Lock(ctx context.Context) (unlock func(), err error) {
	return func() {}, ctx.Err()
}

// Close does nothing.
func (m *Memory) Close() error { return nil }

// do runs one step that checks everything before it changes anything.
func (m *Memory) do(ctx context.Context, step string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", step, err)
	}
	return nil
}

// all runs a step of several parts, of which either all or none happen.
func (m *Memory) all(ctx context.Context, step string, f func() error) error {
	return m.do(ctx, step, func() error {
		before := m.memory
		before.links, before.sources, before.escrow = maps.Clone(m.links), maps.Clone(m.sources), maps.Clone(m.escrow)
		before.open, before.cycles, before.changes = maps.Clone(m.open), slices.Clone(m.cycles), slices.Clone(m.changes)
		err := f()
		if err != nil {
			m.memory = before
		}
		return err
	})
}

// Begin opens a cycle and returns its number.
func (m *Memory) Begin(ctx context.Context, at time.Time) (cycle int64, err error) {
	err = m.do(ctx, "begin cycle", func() error {
		cycle = m.begin(at)
		return nil
	})
	return cycle, err
}

func (m *Memory) begin(at time.Time) int64 {
	m.lastID++
	m.cycles = append(m.cycles, Cycle{ID: m.lastID, Started: at})
	return m.lastID
}

// cycle finds an open cycle.
func (m *Memory) cycle(id int64) (*Cycle, error) {
	i, ok := slices.BinarySearchFunc(m.cycles, id, func(c Cycle, id int64) int { return cmp.Compare(c.ID, id) })
	if !ok || !m.cycles[i].Finished.IsZero() {
		return nil, fmt.Errorf("cycle %d is not open", id)
	}
	return &m.cycles[i], nil
}

// Resolve settles open intents of earlier runs, all or none.
func (m *Memory) Resolve(ctx context.Context, rs []reconcile.Resolution) error {
	if len(rs) == 0 {
		return nil
	}
	return m.all(ctx, "resolve open changes", func() error {
		for _, r := range rs {
			if err := m.settle(reconcile.Settled{Intent: r.Intent, Outcome: r.Outcome, Link: r.Link}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Refresh replaces links, all or none.
func (m *Memory) Refresh(ctx context.Context, links []reconcile.Link) error {
	if len(links) == 0 {
		return nil
	}
	return m.all(ctx, "refresh links", func() error { return m.putLinks(links) })
}

// Link takes over objects that need no write: their links and, as done, their changes, all or none.
func (m *Memory) Link(ctx context.Context, cycle int64, changes []reconcile.Change, links []reconcile.Link) error {
	if len(changes) == 0 && len(links) == 0 {
		return nil
	}
	return m.all(ctx, "link objects", func() error { return m.link(cycle, changes, links) })
}

func (m *Memory) link(cycle int64, changes []reconcile.Change, links []reconcile.Link) error {
	for _, c := range changes {
		id, err := m.intend(cycle, c, nil, nil)
		if err != nil {
			return err
		}
		if err := m.settle(reconcile.Settled{Intent: id, Outcome: reconcile.OutcomeDone}); err != nil {
			return err
		}
	}
	return m.putLinks(links)
}

func (m *Memory) putLinks(links []reconcile.Link) error {
	for _, l := range links {
		source, target := object{l.Kind, l.Source}, object{l.Kind, l.Target}
		if other, ok := m.sources[target]; ok && other != l.Source {
			return alreadyLinked(l, other)
		}
		delete(m.sources, object{l.Kind, m.links[source].Target})
		m.links[source], m.sources[target] = cloneLink(l), l.Source
	}
	return nil
}

func (m *Memory) dropLink(o object) {
	delete(m.sources, object{o.kind, m.links[o].Target})
	delete(m.links, o)
}

// Intend records a change that is about to be sent.
func (m *Memory) Intend(ctx context.Context, cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (intent int64, err error) {
	err = m.do(ctx, "record intent", func() error {
		intent, err = m.intend(cycle, c, u, g)
		return err
	})
	return intent, err
}

func (m *Memory) intend(cycle int64, c reconcile.Change, u *reconcile.UserValues, g *reconcile.GroupValues) (int64, error) {
	if _, err := m.cycle(cycle); err != nil {
		return 0, err
	}
	m.lastID++
	m.changes = append(m.changes, Entry{ID: m.lastID, Cycle: cycle, Change: c, User: u, Group: g, Intended: m.now()})
	m.open[m.lastID] = true
	return m.lastID, nil
}

// Settle records how an intent ended and what follows for links and escrow.
func (m *Memory) Settle(ctx context.Context, st reconcile.Settled) error {
	return m.do(ctx, "record outcome", func() error { return m.settle(st) })
}

func (m *Memory) settle(st reconcile.Settled) error {
	i, ok := slices.BinarySearchFunc(m.changes, st.Intent, func(e Entry, id int64) int { return cmp.Compare(e.ID, id) })
	switch {
	case st.Outcome == "":
		return fmt.Errorf("change %d: no outcome given", st.Intent)
	case !ok || !m.open[st.Intent]:
		return fmt.Errorf("change %d is not open", st.Intent)
	}
	if st.Link != nil {
		if err := m.putLinks([]reconcile.Link{*st.Link}); err != nil {
			return err
		}
	}
	e := &m.changes[i]
	e.Outcome, e.Error, e.Took, e.Settled = st.Outcome, st.Error, st.Took, m.now()
	if st.Link != nil {
		e.Change.Object.Target = cmp.Or(e.Change.Object.Target, st.Link.Target)
	}
	if st.Outcome != reconcile.OutcomeUnknown {
		e.User, e.Group = nil, nil
		delete(m.open, e.ID)
	}
	if u := st.Unlink; u != nil {
		m.dropLink(object{u.Kind, u.Source})
		if source, ok := m.sources[object{u.Kind, u.Target}]; ok {
			m.dropLink(object{u.Kind, source})
		}
	}
	switch {
	case st.Wait != nil:
		m.escrow[object{st.Wait.Kind, st.Wait.Source}] = *st.Wait
	case st.Link != nil || st.Unlink != nil || st.Outcome == reconcile.OutcomeDone:
		delete(m.escrow, object{e.Change.Object.Kind, e.Change.Object.Source})
	}
	return nil
}

// Hold makes sets the ones that wait, as Store.Hold does.
func (m *Memory) Hold(ctx context.Context, cycle int64, sets []reconcile.HeldSet) error {
	if err := named(sets); err != nil {
		return fmt.Errorf("hold: %w", err)
	}
	return m.do(ctx, "hold", func() error {
		if _, err := m.cycle(cycle); err != nil {
			return err
		}
		now := m.now()
		var held []HeldRecord
		known := map[string]bool{}
		for _, r := range m.held {
			state := r.state(now)
			among := slices.ContainsFunc(sets, func(s reconcile.HeldSet) bool { return s.Fingerprint == r.Fingerprint })
			if state == HeldUsed || state == HeldApproved || among {
				held = append(held, r)
				known[r.Fingerprint] = known[r.Fingerprint] || state != HeldUsed
			}
		}
		for _, s := range sets {
			if !known[s.Fingerprint] {
				known[s.Fingerprint] = true
				s.Items, s.Created, s.Approved, s.By = slices.Clone(s.Items), createdAt(s, now), time.Time{}, ""
				held = append(held, HeldRecord{HeldSet: s, Cycle: cycle})
			}
		}
		m.held = held
		return nil
	})
}

// heldAt is a copy of the records with their states at now, the newest first.
func (m *Memory) heldAt(now time.Time) []HeldRecord {
	records := slices.Clone(m.held)
	slices.Reverse(records)
	for i := range records {
		records[i].State = records[i].state(now)
		records[i].Items = slices.Clone(records[i].Items)
	}
	return records
}

// Approve says yes to one waiting set, as Store.Approve does.
func (m *Memory) Approve(ctx context.Context, prefix, by string) (set reconcile.HeldSet, err error) {
	err = m.do(ctx, "approve", func() error {
		now := m.now()
		if set, err = approve(m.heldAt(now), prefix, by, now); err != nil {
			return err
		}
		i := slices.IndexFunc(m.held, func(r HeldRecord) bool { return r.Fingerprint == set.Fingerprint && r.Used.IsZero() })
		m.held[i].Approved, m.held[i].By = set.Approved, set.By
		return nil
	})
	return set, err
}

// HeldSets returns every set on record, the newest first.
func (m *Memory) HeldSets(context.Context) ([]HeldRecord, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heldAt(m.now()), nil
}

// Keep replaces the last good snapshot, which must not be changed afterwards.
func (m *Memory) Keep(ctx context.Context, cycle int64, snap connectors.Snapshot) error {
	return m.do(ctx, "keep snapshot", func() error {
		if _, err := m.cycle(cycle); err != nil {
			return err
		}
		m.snapshot, m.taken = &snap, m.now()
		return nil
	})
}

// Previous returns the last good snapshot and when it was kept, nil when there is none.
func (m *Memory) Previous(context.Context) (*connectors.Snapshot, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snapshot, m.taken, nil
}

// Finish closes the cycle, as Store.Finish does.
func (m *Memory) Finish(ctx context.Context, cycle int64, sum reconcile.CycleSummary) error {
	return m.do(ctx, "finish cycle", func() error {
		c, err := m.cycle(cycle)
		if err != nil {
			return err
		}
		now := m.now()
		for _, w := range sum.Moot {
			if o := (object{w.Kind, w.Source}); m.escrow[o].Verb == w.Verb {
				delete(m.escrow, o)
			}
		}
		for i := range m.held {
			if r := &m.held[i]; slices.Contains(sum.Used, r.Fingerprint) && r.Used.IsZero() && !r.Approved.IsZero() {
				r.Used, r.UsedIn = now, cycle
			}
		}
		if sum.Error == "" && sum.Rules != "" {
			m.rules, m.texts = sum.Rules, maps.Clone(sum.RuleTexts)
		}
		c.Finished, c.Summary = now, sum
		c.Summary.RuleTexts, c.Summary.Used, c.Summary.Moot = nil, nil, nil
		return nil
	})
}

// Ledger returns what a cycle must know when it begins.
func (m *Memory) Ledger(context.Context) (reconcile.Ledger, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	l := reconcile.Ledger{
		Users: map[connectors.UserID]reconcile.Link{}, Groups: map[connectors.GroupID]reconcile.Link{},
		Waiting: m.waiting(), Rules: m.rules, RuleTexts: maps.Clone(m.texts),
		Held: heldNow(m.heldAt(now)), Spent: map[reconcile.Axis]int{}, Pinned: pinned(m.pinList()),
		Quarantine: cloneQuarantine(m.quarantine),
	}
	for o, link := range m.links {
		if o.kind == reconcile.KindUser {
			l.Users[connectors.UserID(o.id)] = cloneLink(link)
		} else {
			l.Groups[connectors.GroupID(o.id)] = cloneLink(link)
		}
	}
	for _, e := range m.changes {
		if m.open[e.ID] {
			l.Open = append(l.Open, reconcile.Intent{ID: e.ID, Cycle: e.Cycle, Change: e.Change, User: e.User, Group: e.Group})
		}
		if e.Outcome == reconcile.OutcomeDone && e.Settled.After(now.Add(-spendingWindow)) {
			for axis, n := range e.Change.Spends {
				l.Spent[axis] += n
			}
		}
	}
	return l, nil
}

func (m *Memory) waiting() []reconcile.Waiting {
	return slices.SortedFunc(maps.Values(m.escrow), func(a, b reconcile.Waiting) int {
		return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source))
	})
}

// Adopt gives up links and puts others, as Store.Adopt does.
func (m *Memory) Adopt(ctx context.Context, cycleAt time.Time, links []reconcile.Link, unlink []reconcile.Ref, by string) error {
	changes, note, err := adoption(links, unlink, by)
	if err != nil || len(changes) == 0 {
		return err
	}
	return m.all(ctx, "adopt", func() error {
		id := m.begin(cycleAt)
		for i, ref := range unlink {
			o := object{ref.Kind, cmp.Or(ref.Source, m.sources[object{ref.Kind, ref.Target}])}
			l, ok := m.links[o]
			if !ok || ref.Target != "" && ref.Target != l.Target {
				return notLinked(ref)
			}
			changes[i].Object.Source, changes[i].Object.Target = l.Source, l.Target
			m.dropLink(o)
		}
		if err := m.link(id, changes, links); err != nil {
			return err
		}
		c, err := m.cycle(id)
		if err != nil {
			return err
		}
		c.Finished, c.Note, c.Summary.Planned, c.Summary.Done = m.now(), note, len(changes), len(changes)
		return nil
	})
}

// Pin keeps the objects as they are from now on, as Store.Pin does.
func (m *Memory) Pin(ctx context.Context, refs []reconcile.Ref, cycle int64) error {
	if err := pinnable(refs); err != nil {
		return err
	}
	return m.do(ctx, "pin", func() error {
		for _, r := range refs {
			m.pins[object{r.Kind, r.Source}] = Pinned{Object: r, Cycle: cycle, At: m.now()}
		}
		return nil
	})
}

// Unpin lets go of whom who names, or of everything when who is "". It returns how many pins that were.
func (m *Memory) Unpin(ctx context.Context, who string) (n int, err error) {
	err = m.do(ctx, "unpin", func() error {
		before := len(m.pins)
		maps.DeleteFunc(m.pins, func(_ object, p Pinned) bool {
			o := p.Object
			return who == "" || o.Source == who || o.Target == who || strings.EqualFold(o.Name, who)
		})
		n = before - len(m.pins)
		return nil
	})
	return n, err
}

// Pins returns what is pinned, by kind and directory id.
func (m *Memory) Pins(context.Context) ([]Pinned, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pinList(), nil
}

func (m *Memory) pinList() []Pinned {
	return slices.SortedFunc(maps.Values(m.pins), func(a, b Pinned) int {
		return cmp.Or(cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Source, b.Object.Source))
	})
}

func cloneLink(l reconcile.Link) reconcile.Link {
	if l.User != nil {
		u := *l.User
		u.Phones = slices.Clone(u.Phones)
		l.User = &u
	}
	if l.Group != nil {
		g := *l.Group
		g.Members = slices.Clone(g.Members)
		l.Group = &g
	}
	l.Stuck, l.Contested = maps.Clone(l.Stuck), maps.Clone(l.Contested)
	return l
}
