// Package connectortest holds every connector to the contract of package connectors: a read is everything or an error,
// whatever the directory answers.
package connectortest

import (
	"context"
	"net/http"
	"reflect"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A Harness is one kind of connector with a small directory behind it, whose every List comes in two pages or more.
type Harness struct {
	// New makes a connector that sends all its requests through transport, with its usual retries and waits. It runs
	// outside the synctest bubble in which Fetch is called, so that an SDK may start its goroutines in it.
	New func(tb testing.TB, transport http.RoundTripper) connectors.Connector
	// Server returns the directory. It is called once for each case and must always be the same directory.
	Server func(tb testing.TB) http.Handler
	// Want is what Fetch returns when all goes well.
	Want connectors.Snapshot
	// Lists are the kinds of requests that are answered with a page of a listing, each of which is damaged in turn.
	Lists []List
	// Finder is set for a connector that is a connectors.Finder.
	Finder *Finder
}

// A List tells the requests of one kind of listing, say the members of a group, from all others.
type List struct {
	Name  string
	Match func(*http.Request) bool
	// Key is where a page holds its elements. "" means that the page is itself the JSON array, so the way to the next
	// page is in its headers.
	Key string
}

// The time that passes within a bubble is not real, so the bounds can be generous.
const (
	maxWait     = 30 * time.Minute // until a read of a broken directory gives up
	maxReaction = time.Second      // until a cancelled read returns
)

// Run checks the connector of a Harness against the whole contract. The directory is small and read thousands of times, so
// that the garbage of few megabytes would be collected all the time.
func Run(t *testing.T, h Harness) {
	debug.SetGCPercent(400)
	if len(h.Lists) == 0 || len(h.Want.Users) == 0 {
		t.Fatal("the harness needs lists, and people to find")
	}
	clean := record(t, h)
	t.Run("identity", func(t *testing.T) { checkIdentity(t, h) })
	t.Run("reads everything", func(t *testing.T) { checkRead(t, h) })
	t.Run("cancellation", func(t *testing.T) {
		checkCancel(t, h, func(t *testing.T, ctx context.Context, c connectors.Connector) error {
			snap, err := fetchRecovered(t, ctx, c)
			checkNothing(t, snap)
			return err
		})
	})
	for _, list := range h.Lists {
		pages := clean.pagesOf(list)
		if len(pages) < 2 {
			t.Fatalf("%s: the harness's directory answers in %d pages, two at least prove something", list.Name, len(pages))
		}
		for name, damage := range damages(list) {
			for where, page := range map[string]string{"first page": pages[0].url, "last page": pages[len(pages)-1].url} {
				t.Run(list.Name+"/"+where+"/"+name, func(t *testing.T) {
					checkDamage(t, h, len(clean.pages), func(req *http.Request) bool { return req.URL.String() == page }, damage)
				})
			}
		}
		t.Run(list.Name+"/first page again", func(t *testing.T) {
			later := func(req *http.Request) bool {
				return list.Match(req) && req.URL.Path == pages[0].path && req.URL.String() != pages[0].url
			}
			checkDamage(t, h, len(clean.pages), later, func(answer) answer { return pages[0].answer })
		})
	}
	if h.Finder != nil {
		t.Run("finder", func(t *testing.T) { runFinder(t, h) })
	}
}

// record reads the undamaged directory and keeps what was asked and answered.
func record(t *testing.T, h Harness) *wire {
	w := &wire{server: h.Server(t), max: 100_000}
	c := h.New(t, w)
	_, err := fetch(t, c, w)
	if err != nil {
		t.Fatalf("Fetch of the undamaged directory: %v", err)
	}
	return w
}

// fetch calls Fetch in a bubble of its own, in which a wait takes no time and a goroutine left behind fails the test.
func fetch(t *testing.T, c connectors.Connector, w *wire) (snap connectors.Snapshot, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		w.reset(cancel)
		snap, err = fetchRecovered(t, ctx, c)
		if ctx.Err() != nil && !w.exceeded() {
			t.Errorf("Fetch did not give up within %s", maxWait)
		}
	})
	return snap, err
}

func fetchRecovered(t *testing.T, ctx context.Context, c connectors.Connector) (connectors.Snapshot, error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("Fetch panicked: %v", p)
		}
	}()
	return c.Fetch(ctx)
}

func checkIdentity(t *testing.T, h Harness) {
	a, b := h.New(t, &wire{}), h.New(t, &wire{})
	if a.Name() == "" || a.Tenant() == "" {
		t.Errorf("Name %q, Tenant %q: neither may be empty", a.Name(), a.Tenant())
	}
	if a.Tenant() != b.Tenant() {
		t.Errorf("Tenant is %q, then %q", a.Tenant(), b.Tenant())
	}
}

// checkRead reads twice with one connector: the snapshots are what is expected, in order, and the same, and it counts the
// requests that it sent.
func checkRead(t *testing.T, h Harness) {
	w := &wire{server: h.Server(t), max: 100_000}
	c := h.New(t, w)
	sent := 0
	for _, reading := range []string{"first", "second"} {
		snap, err := fetch(t, c, w)
		sent += w.sent
		if err != nil {
			t.Fatalf("%s Fetch: %v", reading, err)
		}
		if diff := cmp.Diff(h.Want, snap, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s Fetch (-want +got):\n%s", reading, diff)
		}
		checkOrder(t, snap)
	}
	if counter, ok := c.(connectors.Counter); !ok {
		t.Error("it does not count its requests, as connectors.Counter")
	} else if n := counter.Requests(); n != sent {
		t.Errorf("it counts %d requests of %d", n, sent)
	}
}

func checkOrder(t *testing.T, snap connectors.Snapshot) {
	t.Helper()
	for i, u := range snap.Users {
		if u.ID == "" || i > 0 && snap.Users[i-1].ID >= u.ID {
			t.Errorf("user %q is out of order", u.ID)
		}
	}
	for i, g := range snap.Groups {
		if g.ID == "" || i > 0 && snap.Groups[i-1].ID >= g.ID {
			t.Errorf("group %q is out of order", g.ID)
		}
		distinct := slices.Compact(slices.Clone(g.Members))
		if !slices.IsSorted(g.Members) || len(distinct) != len(g.Members) {
			t.Errorf("group %q: members are not sorted and distinct", g.ID)
		}
	}
}

// checkCancel ends the context before call, while the directory does not answer, and while the connector waits
// between its tries.
func checkCancel(t *testing.T, h Harness, call func(*testing.T, context.Context, connectors.Connector) error) {
	refusing := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	hanging := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	tests := map[string]struct {
		server http.Handler
		after  time.Duration
	}{
		"before the read":             {h.Server(t), 0},
		"while the directory hangs":   {hanging, 100 * time.Millisecond},
		"while waiting after a 503":   {refusing(http.StatusServiceUnavailable), 100 * time.Millisecond},
		"while waiting after a 429":   {refusing(http.StatusTooManyRequests), 100 * time.Millisecond},
		"while waiting after a crash": {nil, 100 * time.Millisecond},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := &wire{server: tc.server, max: 100_000}
			c := h.New(t, w)
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				w.reset(cancel)
				start := time.Now()
				if tc.after == 0 {
					cancel()
				} else {
					defer time.AfterFunc(tc.after, cancel).Stop()
				}
				if err := call(t, ctx, c); err == nil {
					t.Error("no error")
				}
				if took := time.Since(start); took > tc.after+maxReaction {
					t.Errorf("it returned %s after the context ended", took-tc.after)
				}
			})
		})
	}
}

// checkDamage reads a directory that answers some requests with damage, which must end in an error and nothing else,
// and reads again once it is sound.
func checkDamage(t *testing.T, h Harness, clean int, match func(*http.Request) bool, damage func(answer) answer) {
	w := &wire{server: h.Server(t), match: match, damage: damage, max: 5*clean + 10}
	c := h.New(t, w)
	snap, err := fetch(t, c, w)
	switch {
	case w.damaged == 0:
		t.Fatal("the connector did not ask for the page that was to be damaged")
	case err == nil:
		t.Errorf("Fetch returned %d users and %d groups and no error", len(snap.Users), len(snap.Groups))
	}
	if w.exceeded() {
		t.Errorf("Fetch sent more than %d requests where %d read everything", w.max, clean)
	}
	checkNothing(t, snap)

	w.damage, w.max = nil, 100_000
	snap, err = fetch(t, c, w)
	if err != nil {
		t.Fatalf("Fetch after the damage is gone: %v", err)
	}
	if diff := cmp.Diff(h.Want, snap, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Fetch after the damage is gone (-want +got):\n%s", diff)
	}
}

func checkNothing(t *testing.T, snap connectors.Snapshot) {
	t.Helper()
	if !reflect.ValueOf(snap).IsZero() {
		t.Errorf("Fetch returned %d users and %d groups beside its error", len(snap.Users), len(snap.Groups))
	}
}
