package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A directory answers lookups from maps. It is no Connector of its own: only what confirm asks.
type directory struct {
	people map[connectors.UserID]connectors.Found
	err    error
	groups map[connectors.GroupID][]connectors.UserID
}

func (d *directory) Name() string   { return "test" }
func (d *directory) Tenant() string { return "test" }
func (d *directory) Fetch(context.Context) (connectors.Snapshot, error) {
	return connectors.Snapshot{}, errors.New("not asked for here")
}

// A finder is a directory that can be asked about one person.
type finder struct{ *directory }

func (d finder) Lookup(_ context.Context, id connectors.UserID) (connectors.Found, error) {
	return d.people[id], d.err
}

func (d finder) Members(_ context.Context, id connectors.GroupID) ([]connectors.UserID, bool, error) {
	ms, ok := d.groups[id]
	return ms, ok, d.err
}

// confirmed runs the steps of Plan from the first diff on.
func (w *world) confirmed(t *testing.T, source connectors.Connector, previous *connectors.Snapshot) Plan {
	t.Helper()
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	if w.in.ledger.Rules == "same" {
		w.in.ledger.Rules = r.hash
	}
	if w.in.snapshot, err = connectors.NewSnapshot(w.in.snapshot.Users, w.in.snapshot.Groups); err != nil {
		t.Fatal(err)
	}
	d, changes, _ := work(r, w.in, nil)
	w.in.findings, err = confirm(context.Background(), source, r, d, changes, func(context.Context) (*connectors.Snapshot, error) { return previous, nil })
	if err != nil {
		t.Fatal(err)
	}
	d, changes, refresh := work(r, w.in, nil)
	return conclude(d, changes, refresh, noon)
}

func TestNobodyLeavesOnOneRead(t *testing.T) {
	found := func(edit func(u *connectors.User)) connectors.Found {
		u := staff("ann")
		edit(&u)
		return connectors.Found{Known: true, User: u}
	}
	with, err := connectors.NewSnapshot([]connectors.User{staff("ann"), staff("bob")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	without, err := connectors.NewSnapshot([]connectors.User{staff("bob")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := connectors.Snapshot{Users: slices.Clone(with.Users)}
	out.Users[0].Assigned = false
	outside := found(func(*connectors.User) {})
	outside.Outside = "not found by the query isAdmin=true"
	gone := func() *world { return newWorld().synced("bob").rootly(account("ann")).linked("ann") }
	disabled := func() *world { return newWorld().synced("bob", "ann").leave("ann") }
	listed := func(f connectors.Found) connectors.Found {
		f.Listed = true
		return f
	}
	unassigned := func() *world {
		return newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.Assigned = false }).rules(func(o *RuleOptions) { o.Mode = connectors.ScopeAssigned })
	}
	const goes, held = "deactivate ann@acme.com", "held deactivate ann@acme.com"
	tests := map[string]struct {
		world    *world
		found    connectors.Found
		err      error
		asks     bool // the directory can be asked about one person
		previous *connectors.Snapshot
		want     string
		axes     []Axis
	}{
		"gone, asked again: disabled":                      {world: gone(), asks: true, found: found(func(u *connectors.User) { u.Status = connectors.StatusDisabled }), want: goes + " (disabled)"},
		"gone, asked again: in the recycle bin":            {world: gone(), asks: true, found: connectors.Found{Known: true, Deleted: true}, want: goes + " (disabled)"},
		"gone, asked again: not known, and known before":   {world: gone(), asks: true, previous: &with, want: held + " (gone from the directory)"},
		"gone, asked again: not known, nor known before":   {world: gone(), asks: true, previous: &without, want: goes + " (gone from the directory)"},
		"gone, asked again: not known, nothing before":     {world: gone(), asks: true, want: held + " (gone from the directory)"},
		"gone, asked again: there and in scope":            {world: gone(), asks: true, found: found(func(*connectors.User) {}), want: held + " (gone from the directory)", axes: []Axis{AxisShortRead}},
		"gone, asked again: no answer":                     {world: gone(), asks: true, err: errors.New("503"), want: held + " (gone from the directory)"},
		"disabled, asked again: disabled":                  {world: disabled(), asks: true, found: found(func(u *connectors.User) { u.Status = connectors.StatusDisabled }), want: goes + " (disabled)"},
		"disabled, asked again: active":                    {world: disabled(), asks: true, found: found(func(*connectors.User) {}), want: held + " (disabled)", axes: []Axis{AxisShortRead}},
		"unassigned, asked again: unassigned":              {world: unassigned(), asks: true, found: found(func(u *connectors.User) { u.Assigned = false }), want: goes + " (left scope)"},
		"unassigned by a listing, and assigned before":     {world: unassigned(), asks: true, previous: &with, found: listed(found(func(u *connectors.User) { u.Assigned = false })), want: held + " (left scope)"},
		"unassigned by a listing, and absent before":       {world: unassigned(), asks: true, previous: &without, found: listed(found(func(u *connectors.User) { u.Assigned = false })), want: goes + " (left scope)"},
		"unassigned by a listing, and out of scope before": {world: unassigned(), asks: true, previous: &out, found: listed(found(func(u *connectors.User) { u.Assigned = false })), want: goes + " (left scope)"},
		"unassigned by a listing, nothing before":          {world: unassigned(), asks: true, found: listed(found(func(u *connectors.User) { u.Assigned = false })), want: held + " (left scope)"},
		"unassigned by a listing, and disabled":            {world: unassigned(), asks: true, previous: &with, found: listed(found(func(u *connectors.User) { u.Assigned, u.Status = false, connectors.StatusDisabled })), want: goes + " (disabled)"},
		"outside by a search, and there before":            {world: gone(), asks: true, previous: &with, found: listed(outside), want: held + " (gone from the directory)"},
		"outside by a search, and absent before":           {world: gone(), asks: true, previous: &without, found: listed(outside), want: goes + " (left scope)"},
		"outside by their own object, and there before":    {world: gone(), asks: true, previous: &with, found: outside, want: goes + " (left scope)"},
		"unassigned, asked again: assigned":                {world: unassigned(), asks: true, found: found(func(*connectors.User) {}), want: held + " (left scope)", axes: []Axis{AxisShortRead}},
		"gone, nobody to ask, absent before":               {world: gone(), previous: &without, want: goes + " (gone from the directory)"},
		"gone, nobody to ask, there before":                {world: gone(), previous: &with, want: held + " (gone from the directory)"},
		"gone, nobody to ask, nothing before":              {world: gone(), want: held + " (gone from the directory)"},
		"disabled is a statement and needs no second one":  {world: disabled(), want: goes + " (disabled)"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := &directory{people: map[connectors.UserID]connectors.Found{"u-ann": tc.found}, err: tc.err}
			var source connectors.Connector = dir
			if tc.asks {
				source = finder{dir}
			}
			p := tc.world.confirmed(t, source, tc.previous)
			var axes []Axis
			for _, o := range p.Objections {
				axes = append(axes, o.Axis)
			}
			if diff := cmp.Diff([]string{tc.want}, lines(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.axes, axes); diff != "" {
				t.Errorf("objections (-want +got):\n%s", diff)
			}
		})
	}
}

// A listing that lags is listed again with the same gap. Until a whole run later it has not confirmed anything, however
// often it is asked; once it has caught up, nobody was harmed.
func TestALaggingListingCannotConfirmItself(t *testing.T) {
	world := func() *world {
		return newWorld().synced("bob", "ann").rules(func(o *RuleOptions) { o.Mode = connectors.ScopeAssigned })
	}
	read := func(assigned bool) *connectors.Snapshot {
		ann := staff("ann")
		ann.Assigned = assigned
		s, err := connectors.NewSnapshot([]connectors.User{ann, staff("bob")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	missing := staff("ann")
	missing.Assigned = false
	dir := &directory{people: map[connectors.UserID]connectors.Found{"u-ann": {Known: true, User: missing, Listed: true}}}
	run := func(now, before *connectors.Snapshot) []string {
		w := world()
		w.in.snapshot = *now
		return lines(w.confirmed(t, finder{dir}, before))
	}
	if diff := cmp.Diff([]string{"held deactivate ann@acme.com (left scope)"}, run(read(false), read(true))); diff != "" {
		t.Errorf("the first read without her (-want +got):\n%s", diff)
	}
	if got := run(read(true), read(false)); len(got) > 0 {
		t.Errorf("she is back: %v", got)
	}
	if diff := cmp.Diff([]string{"deactivate ann@acme.com (left scope)"}, run(read(false), read(false))); diff != "" {
		t.Errorf("the second read without her (-want +got):\n%s", diff)
	}
}

func TestShortReadDropsEveryRemovalOfTheRun(t *testing.T) {
	w := newWorld().synced("bob", "eve").leave("eve").rootly(account("ann")).linked("ann").directory(staff("new")).
		group("oncall-a", "bob").rootlyGroup("oncall-a", "bob", "eve").linkedGroup("oncall-a", "bob", "eve")
	dir := &directory{people: map[connectors.UserID]connectors.Found{
		"u-ann": {Known: true, User: staff("ann")},
		"u-eve": {Known: true, User: w.in.snapshot.Users[1]},
	}}
	p := w.confirmed(t, finder{dir}, nil)
	want := []string{"create new@acme.com (joined)", "held deactivate eve@acme.com (disabled)", "held deactivate ann@acme.com (gone from the directory)"}
	if diff := cmp.Diff(want, lines(p)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if len(p.Sets) > 0 {
		t.Errorf("a short read is nothing to approve: %+v", p.Sets)
	}
}

func TestMembersGoOnlyWhenBothReadingsAgree(t *testing.T) {
	world := func() *world {
		return newWorld().synced("ann", "bob", "eve").group("oncall-a", "ann").
			rootlyGroup("oncall-a", "ann", "bob", "eve").linkedGroup("oncall-a", "ann", "bob", "eve")
	}
	earlier := func(members ...string) *connectors.Snapshot {
		w := newWorld().directory(staff("ann"), staff("bob"), staff("eve")).group("oncall-a", members...)
		s, err := connectors.NewSnapshot(w.in.snapshot.Users, w.in.snapshot.Groups)
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	tests := map[string]struct {
		asks     bool
		again    []connectors.UserID
		err      error
		unknown  bool
		previous *connectors.Snapshot
		want     string
	}{
		"both without bob and eve":          {asks: true, again: []connectors.UserID{"u-ann"}, want: "remove oncall-a: bob@acme.com, eve@acme.com"},
		"the second has bob":                {asks: true, again: []connectors.UserID{"u-ann", "u-bob"}, want: "remove oncall-a: eve@acme.com"},
		"the second has both":               {asks: true, again: []connectors.UserID{"u-ann", "u-bob", "u-eve"}},
		"the group is not known any more":   {asks: true, unknown: true, want: "held remove oncall-a: bob@acme.com, eve@acme.com"},
		"no answer":                         {asks: true, err: errors.New("503"), want: "held remove oncall-a: bob@acme.com, eve@acme.com"},
		"nobody to ask, absent before":      {previous: earlier("ann"), want: "remove oncall-a: bob@acme.com, eve@acme.com"},
		"nobody to ask, bob was there":      {previous: earlier("ann", "bob"), want: "remove oncall-a: eve@acme.com"},
		"nobody to ask, nothing to compare": {want: "held remove oncall-a: bob@acme.com, eve@acme.com"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := &directory{err: tc.err, groups: map[connectors.GroupID][]connectors.UserID{"g-oncall-a": tc.again}}
			if tc.unknown {
				dir.groups = nil
			}
			var source connectors.Connector = dir
			if tc.asks {
				source = finder{dir}
			}
			got := lines(world().confirmed(t, source, tc.previous))
			for i := range got {
				got[i], _, _ = strings.Cut(got[i], " (")
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAtMostFiveHundredAreAskedAboutInOneRun(t *testing.T) {
	w := newWorld().rules(func(o *RuleOptions) {
		o.Guard = Limits{AxisDeactivations: {Share: 1, Count: 10_000}}
	})
	dir := &directory{people: map[connectors.UserID]connectors.Found{}}
	for i := range 1200 {
		n := fmt.Sprintf("p%04d", i)
		w.synced(n)
		if i >= 600 {
			w.leave(n)
		}
	}
	for _, u := range w.in.snapshot.Users {
		dir.people[u.ID] = connectors.Found{Known: true, User: u}
	}
	p := w.confirmed(t, finder{dir}, nil)
	if len(p.Changes) != maxConfirmations || len(p.Held) != 100 {
		t.Errorf("%d go, %d wait; want %d, 100", len(p.Changes), len(p.Held), maxConfirmations)
	}
	if i := slices.IndexFunc(p.Held, func(c Change) bool { return c.Set != "" || !strings.Contains(c.Held, "next") }); i >= 0 {
		t.Errorf("%+v should wait for the next run", p.Held[i])
	}
}
