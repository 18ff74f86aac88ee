package connectortest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A Finder says what a connectors.Finder sends and meets. Everybody and every group in Harness.Want is looked up.
type Finder struct {
	// Lists and Objects are the kinds of requests that Lookup and Members send, each of which is damaged in turn.
	Lists   []List
	Objects []Object
	// UnknownUser and UnknownGroup are well-formed ids of nobody and nothing.
	UnknownUser  connectors.UserID
	UnknownGroup connectors.GroupID
	// Listed is set when only a listing tells the connector that somebody is unassigned, which Lookup has to say.
	Listed bool
	// Live returns a directory like Harness.Server's that is the caller's own to change.
	Live func(tb testing.TB) Live
}

// An Object tells the requests for one kind of single object from all others. Key is where it holds its id.
type Object struct {
	Name  string
	Match func(*http.Request) bool
	Key   string
}

// A Live is a directory that can be changed while it is served. A nil func means that it knows no such change.
type Live struct {
	Server      http.Handler
	Disable     func(connectors.UserID)
	Unassign    func(connectors.UserID)
	Delete      func(connectors.UserID) // for good
	Remove      func(connectors.GroupID, connectors.UserID)
	DeleteGroup func(connectors.GroupID)
}

// runFinder checks the connector of a Harness as a connectors.Finder.
func runFinder(t *testing.T, h Harness) {
	if _, ok := h.New(t, &wire{}).(connectors.Finder); !ok {
		t.Fatal("the harness has a Finder and the connector is none")
	}
	t.Run("finds everybody", func(t *testing.T) { checkFinds(t, h) })
	t.Run("knows no unknown id", func(t *testing.T) { checkUnknown(t, h) })
	t.Run("concurrent use", func(t *testing.T) { checkConcurrent(t, h) })
	for name, ask := range questions(h) {
		t.Run("cancellation/"+name, func(t *testing.T) {
			checkCancel(t, h, func(t *testing.T, ctx context.Context, c connectors.Connector) error {
				got, err := askRecovered(t, ctx, c, ask)
				checkZero(t, got)
				return err
			})
		})
	}
	for _, l := range h.Finder.Lists {
		runDamage(t, h, l.Name, l.Match, damages(l))
	}
	for _, o := range h.Finder.Objects {
		runDamage(t, h, o.Name, o.Match, objectDamages(o))
	}
	t.Run("changes", func(t *testing.T) { checkChanges(t, h) })
}

// An answered is what Lookup or Members returned beside its error.
type answered struct {
	Found   connectors.Found
	Members []connectors.UserID
	Known   bool
}

type question func(context.Context, connectors.Finder) (answered, error)

func lookup(id connectors.UserID) question {
	return func(ctx context.Context, f connectors.Finder) (a answered, err error) {
		a.Found, err = f.Lookup(ctx, id)
		return a, err
	}
}

func members(id connectors.GroupID) question {
	return func(ctx context.Context, f connectors.Finder) (a answered, err error) {
		a.Members, a.Known, err = f.Members(ctx, id)
		return a, err
	}
}

// questions are one Lookup and, if there is a group, one Members of the largest.
func questions(h Harness) map[string]question {
	out := map[string]question{"Lookup": lookup(h.Want.Users[0].ID)}
	if len(h.Want.Groups) > 0 {
		largest := slices.MaxFunc(h.Want.Groups, func(a, b connectors.Group) int { return len(a.Members) - len(b.Members) })
		out["Members"] = members(largest.ID)
	}
	return out
}

// asked puts a question in a bubble of its own.
func asked(t *testing.T, c connectors.Connector, w *wire, ask question) (a answered, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), maxWait)
		defer cancel()
		w.reset(cancel)
		a, err = askRecovered(t, ctx, c, ask)
		if ctx.Err() != nil && !w.exceeded() {
			t.Errorf("no answer within %s", maxWait)
		}
	})
	return a, err
}

func askRecovered(t *testing.T, ctx context.Context, c connectors.Connector, ask question) (a answered, err error) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("the finder panicked: %v", p)
		}
	}()
	return ask(ctx, c.(connectors.Finder))
}

// expected is the right answer to the lookup of somebody in Want.
func expected(h Harness, u connectors.User) answered {
	in := slices.ContainsFunc(h.Want.Groups, func(g connectors.Group) bool { return g.Scope && slices.Contains(g.Members, u.ID) })
	return answered{Found: connectors.Found{Known: true, User: u, InScopeGroup: in}}
}

// checkFinds looks everybody and every group up, by a connector that has not fetched and by one that has.
func checkFinds(t *testing.T, h Harness) {
	for _, fetched := range []bool{false, true} {
		w := &wire{server: h.Server(t), max: 100_000}
		c := h.New(t, w)
		if fetched {
			if _, err := fetch(t, c, w); err != nil {
				t.Fatal(err)
			}
		}
		check := func(what string, ask question, want answered) {
			t.Helper()
			got, err := asked(t, c, w, ask)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				return
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, after a Fetch: %v (-want +got):\n%s", what, fetched, diff)
			}
		}
		for _, u := range h.Want.Users {
			check("Lookup "+string(u.ID), lookup(u.ID), expected(h, u))
		}
		for _, g := range h.Want.Groups {
			check("Members "+string(g.ID), members(g.ID), answered{Members: g.Members, Known: true})
		}
	}
}

func checkUnknown(t *testing.T, h Harness) {
	w := &wire{server: h.Server(t), max: 100_000}
	c := h.New(t, w)
	for name, ask := range map[string]question{"Lookup": lookup(h.Finder.UnknownUser), "Members": members(h.Finder.UnknownGroup)} {
		got, err := asked(t, c, w, ask)
		if err != nil {
			t.Errorf("%s of an unknown id: %v", name, err)
		}
		checkZero(t, got)
	}
	for name, ask := range map[string]question{"Lookup": lookup(""), "Members": members("")} {
		if got, err := asked(t, c, w, ask); err == nil {
			t.Errorf("%s of an empty id returned %+v and no error", name, got)
		}
	}
}

// checkConcurrent asks for everybody at once; the race detector does the rest.
func checkConcurrent(t *testing.T, h Harness) {
	w := &wire{server: h.Server(t), max: 100_000}
	c := h.New(t, w)
	synctest.Test(t, func(t *testing.T) {
		var all sync.WaitGroup
		for _, u := range h.Want.Users {
			all.Go(func() {
				got, err := askRecovered(t, t.Context(), c, lookup(u.ID))
				if diff := cmp.Diff(expected(h, u), got, cmpopts.EquateEmpty()); err != nil || diff != "" {
					t.Errorf("Lookup %s: %v (-want +got):\n%s", u.ID, err, diff)
				}
			})
		}
		for _, g := range h.Want.Groups {
			all.Go(func() {
				got, err := askRecovered(t, t.Context(), c, members(g.ID))
				if err != nil || !slices.Equal(got.Members, g.Members) {
					t.Errorf("Members %s: %v, %v", g.ID, got.Members, err)
				}
			})
		}
		all.Wait()
	})
}

// objectDamages are the ways in which the answer about one object turns out to be none.
func objectDamages(o Object) map[string]func(answer) answer {
	d := anyDamages()
	d["other JSON type"] = body(`[]`)
	d["object without fields"] = body(`{}`)
	d["about somebody else"] = func(a answer) answer {
		var object map[string]json.RawMessage
		decode(a.body, &object)
		object[o.Key] = json.RawMessage(`"somebody-else"`)
		a.body = encode(object)
		return a
	}
	return d
}

// foreign are answers of other servers than the directory's: a 404 of theirs does not mean that somebody is gone.
var foreign = map[string]string{
	"empty":    ``,
	"HTML":     `<html><body><h1>404 Not Found</h1></body></html>`,
	"JSON":     `{"message":"no Route matched with those values"}`,
	"null":     `null`,
	"an error": `{"error":"not found"}`,
}

// runDamage damages each answer to one kind of request, in every question that sends it.
func runDamage(t *testing.T, h Harness, name string, match func(*http.Request) bool, damages map[string]func(answer) answer) {
	for kind, text := range foreign {
		damages["404 not of the directory, "+kind] = func(a answer) answer {
			a.header = http.Header{"Content-Type": {"application/json"}}
			a.status, a.body = http.StatusNotFound, []byte(text)
			return a
		}
	}
	sent := false
	for who, ask := range questions(h) {
		clean := &wire{server: h.Server(t), max: 100_000}
		want, err := asked(t, h.New(t, clean), clean, ask)
		if err != nil {
			t.Fatalf("%s in the undamaged directory: %v", who, err)
		}
		urls := map[string]bool{}
		for _, p := range clean.pages {
			if match(p.req) {
				urls[p.url] = true
			}
		}
		if len(urls) == 0 {
			continue
		}
		sent = true
		for damage, f := range damages {
			t.Run(who+"/"+name+"/"+damage, func(t *testing.T) {
				for url := range urls {
					checkDamagedAnswer(t, h, url, f, ask, want)
				}
			})
		}
	}
	if !sent {
		t.Fatalf("%s: neither Lookup nor Members sends such a request", name)
	}
}

func checkDamagedAnswer(t *testing.T, h Harness, url string, damage func(answer) answer, ask question, want answered) {
	w := &wire{server: h.Server(t), damage: damage, max: 1000, match: func(r *http.Request) bool { return r.URL.String() == url }}
	c := h.New(t, w)
	got, err := asked(t, c, w, ask)
	switch {
	case w.damaged == 0:
		t.Fatal("the connector did not ask for what was to be damaged")
	case err == nil:
		t.Errorf("no error, and %+v", got)
	case w.exceeded():
		t.Errorf("more than %d requests", w.max)
	}
	checkZero(t, got)

	w.damage = nil
	got, err = asked(t, c, w, ask)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("after the damage is gone: %v (-want +got):\n%s", err, diff)
	}
}

func checkZero(t *testing.T, a answered) {
	t.Helper()
	if diff := cmp.Diff(answered{}, a); diff != "" {
		t.Errorf("an answer where none was expected:\n%s", diff)
	}
}

// checkChanges changes the directory after a Fetch: what is asked afresh is the new state, what was fetched the old.
func checkChanges(t *testing.T, h Harness) {
	somebody := func(u connectors.User) bool { return u.Status == connectors.StatusActive }
	tests := map[string]struct {
		change func(Live) func(connectors.UserID)
		left   func(connectors.Found) bool
	}{
		"disabled": {func(l Live) func(connectors.UserID) { return l.Disable },
			func(f connectors.Found) bool { return f.Known && f.User.Status == connectors.StatusDisabled }},
		"unassigned": {func(l Live) func(connectors.UserID) { return l.Unassign },
			func(f connectors.Found) bool { return f.Known && !f.User.Assigned && somebody(f.User) }},
		"deleted": {func(l Live) func(connectors.UserID) { return l.Delete },
			func(f connectors.Found) bool { return !f.Known || f.Deleted }},
	}
	for name, tc := range tests {
		live := h.Finder.Live(t)
		change := tc.change(live)
		if change == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(h.Want.Users, somebody)
			if i < 0 {
				t.Fatal("the harness's directory has nobody active")
			}
			id := h.Want.Users[i].ID
			checkChange(t, h, live, func() { change(id) }, lookup(id), func(a answered) error {
				if !tc.left(a.Found) || name == "unassigned" && a.Found.Listed != h.Finder.Listed {
					return fmt.Errorf("it says %+v", a.Found)
				}
				return nil
			})
		})
	}
	for _, g := range h.Want.Groups {
		if len(g.Members) == 0 {
			continue
		}
		t.Run("removed from "+g.Name, func(t *testing.T) { checkRemoved(t, h, g) })
		break
	}
}

// checkRemoved takes a member out of a group and then deletes the group.
func checkRemoved(t *testing.T, h Harness, g connectors.Group) {
	id := g.Members[0]
	if live := h.Finder.Live(t); live.Remove != nil {
		checkChange(t, h, live, func() { live.Remove(g.ID, id) }, members(g.ID), func(a answered) error {
			if !a.Known || !slices.Equal(a.Members, g.Members[1:]) {
				return fmt.Errorf("it says %v, known %v", a.Members, a.Known)
			}
			return nil
		})
	}
	if live := h.Finder.Live(t); live.Remove != nil {
		for _, other := range h.Want.Groups {
			if other.Scope && slices.Contains(other.Members, id) {
				live.Remove(other.ID, id)
			}
		}
		w := &wire{server: live.Server, max: 100_000}
		if got, err := asked(t, h.New(t, w), w, lookup(id)); err != nil || got.Found.InScopeGroup {
			t.Errorf("out of every group of the scope: %+v, %v", got.Found, err)
		}
	}
	if live := h.Finder.Live(t); live.DeleteGroup != nil {
		checkChange(t, h, live, func() { live.DeleteGroup(g.ID) }, members(g.ID), func(a answered) error {
			if a.Known || len(a.Members) > 0 {
				return fmt.Errorf("of a deleted group it says %v, known %v", a.Members, a.Known)
			}
			return nil
		})
	}
}

func checkChange(t *testing.T, h Harness, live Live, change func(), ask question, check func(answered) error) {
	t.Helper()
	w := &wire{server: live.Server, max: 100_000}
	c := h.New(t, w)
	before, err := fetch(t, c, w)
	if err != nil {
		t.Fatal(err)
	}
	change()
	got, err := asked(t, c, w, ask)
	if err == nil {
		err = check(got)
	}
	if err != nil {
		t.Errorf("after the change: %v", err)
	}
	if diff := cmp.Diff(h.Want, before, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the snapshot from before the change (-want +got):\n%s", diff)
	}
}
