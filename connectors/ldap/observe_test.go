package ldap

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// watched are the options with a count of what Observe is told: begun operations, and ended ones by their result.
func watched(o Options) (Options, func() map[string]int) {
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(key string) {
		mu.Lock()
		defer mu.Unlock()
		seen[key]++
	}
	o.Observe = func(_ context.Context, operation, host string) func(string, bool) {
		note(operation + " at " + host)
		return func(result string, ok bool) { note(fmt.Sprint(operation, " ", result, " ", ok)) }
	}
	return o, func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(seen)
	}
}

// TestEachOperationIsTold: whoever watches sees the sign-in and every search, each with its end.
func TestEachOperationIsTold(t *testing.T) {
	q := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")}
	s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
	o, seen := watched(domain(s, q))
	c := connect(t, o)
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := seen()
	begun := got["bind at localhost"] + got["search at localhost"]
	if got["bind 0 true"] != 2 || got["search 0 true"] < 3 || begun != got["bind 0 true"]+got["search 0 true"] || c.Requests() != begun {
		t.Errorf("%d requests: %v", c.Requests(), got)
	}
}

// TestWhatFailsIsToldToo: a refusal by its number, and a search that the connection took with it as an error.
func TestWhatFailsIsToldToo(t *testing.T) {
	q := connectors.Query{Mode: connectors.ScopeAll}
	wrong := domain(sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{}), q)
	wrong.Password = func() string { return "wrong" }
	o, seen := watched(wrong)
	if _, err := connect(t, o).Fetch(t.Context()); err == nil || seen()["bind 49 false"] != 1 {
		t.Errorf("%v: %v", err, seen())
	}
	s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
	s.Break(sim.LDAPRule{Match: people, Fault: faults()["cut"]})
	o, seen = watched(domain(s, q))
	if _, err := connect(t, o).Fetch(t.Context()); err == nil || seen()["search error false"] == 0 {
		t.Errorf("%v: %v", err, seen())
	}
}
