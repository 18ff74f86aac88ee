package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// Cycles returns the latest cycles, newest first, 20 when limit is not positive.
func (m *Memory) Cycles(ctx context.Context, limit int) ([]Cycle, error) {
	return m.CyclesDuring(ctx, Filter{Limit: limit})
}

// CyclesDuring returns the latest cycles of the filter's time, as Store.CyclesDuring does.
func (m *Memory) CyclesDuring(_ context.Context, f Filter) ([]Cycle, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return latest(m.cycles, cmp.Or(max(f.Limit, 0), 20), func(c Cycle) bool {
		return (f.Cycle == 0 || c.ID == f.Cycle) && f.during(c.Started)
	}), nil
}

// Changes returns the entries that the filter chooses, newest first.
func (m *Memory) Changes(_ context.Context, f Filter) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	who := map[string]bool{f.ID: true}
	if f.ID == "" {
		who = m.known(f.Person)
	}
	return latest(m.changes, cmp.Or(max(f.Limit, 0), 100), func(e Entry) bool {
		return (f.Cycle == 0 || e.Cycle == f.Cycle) && f.during(e.Intended) && (f.Person+f.ID == "" || about(e.Change, who))
	}), nil
}

// latest are at most limit elements of list, which grows at its end, that pass.
func latest[E any](list []E, limit int, pass func(E) bool) []E {
	var out []E
	for _, e := range slices.Backward(list) {
		if len(out) == limit {
			break
		}
		if pass(e) {
			out = append(out, e)
		}
	}
	return out
}

// known are the directory ids that person may mean.
func (m *Memory) known(person string) map[string]bool {
	who := map[string]bool{person: true}
	for _, e := range m.changes {
		if strings.EqualFold(e.Change.Object.Name, person) {
			who[e.Change.Object.Source] = true
		}
	}
	for o, l := range m.links {
		if l.Target == person || strings.EqualFold(linkName(l), person) {
			who[o.id] = true
		}
	}
	return who
}

func about(c reconcile.Change, who map[string]bool) bool {
	return who[c.Object.Source] || slices.ContainsFunc(c.Members, func(m reconcile.Membership) bool {
		return who[cmp.Or(m.User.Source, m.User.Target)]
	})
}

// CycleChanges returns all entries of a cycle in their order.
func (m *Memory) CycleChanges(_ context.Context, cycle int64) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.cycles, func(c Cycle) bool { return c.ID == cycle }) {
		return nil, noCycle(cycle)
	}
	var list []Entry
	for _, e := range m.changes {
		if e.Cycle == cycle {
			list = append(list, e)
		}
	}
	return list, nil
}

// Escrow returns the objects that wait for a later cycle, the next one first.
func (m *Memory) Escrow(context.Context) ([]reconcile.Waiting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting(), nil
}

// Links counts who and what we manage.
func (m *Memory) Links(context.Context) (users, groups int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for o := range m.links {
		if o.kind == reconcile.KindUser {
			users++
		} else {
			groups++
		}
	}
	return users, groups, nil
}

// Prune forgets changes, cycles and used held sets older than keep, or than DefaultRetention when keep is zero. Open
// intents, their cycles and the newest one stay. A daemon without a store does well to keep a day or two.
func (m *Memory) Prune(ctx context.Context, keep time.Duration) error {
	if keep < 0 {
		return fmt.Errorf("prune: retention %s is negative", keep)
	}
	return m.do(ctx, "prune", func() error {
		before := m.now().Add(-cmp.Or(keep, DefaultRetention))
		m.changes = slices.DeleteFunc(m.changes, func(e Entry) bool { return e.Intended.Before(before) && !m.open[e.ID] })
		mentioned, newest := map[int64]bool{}, int64(0)
		if len(m.cycles) > 0 {
			newest = m.cycles[len(m.cycles)-1].ID
		}
		for _, e := range m.changes {
			mentioned[e.Cycle] = true
		}
		m.cycles = slices.DeleteFunc(m.cycles, func(c Cycle) bool { return c.Started.Before(before) && !mentioned[c.ID] && c.ID != newest })
		m.held = slices.DeleteFunc(m.held, func(r HeldRecord) bool { return !r.Used.IsZero() && r.Used.Before(before) })
		return nil
	})
}
