package reconcile

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// fought is a company in which somebody has turned back ann's displayName so often.
func fought(times int) *world {
	return newWorld().synced("bob", "ann").touch(func(u *scimclient.User) { u.DisplayName = "theirs" }).
		link("ann", func(l *Link) { l.Contested = map[string]Contest{"displayName": {Value: "theirs", Times: times}} })
}

// foughtGroup is one in which somebody keeps putting ann into a group, or taking her out of it.
func foughtGroup(value string, times int) *world {
	w := newWorld().synced("bob", "ann")
	if value == membershipIn {
		w.group("oncall-a", "bob").rootlyGroup("oncall-a", "bob", "ann").linkedGroup("oncall-a", "bob")
	} else {
		w.group("oncall-a", "bob", "ann").rootlyGroup("oncall-a", "bob").linkedGroup("oncall-a", "bob", "ann")
	}
	l := w.in.ledger.Groups["g-oncall-a"]
	l.Contested = map[string]Contest{stuckMember("t-ann"): {Value: value, Times: times}}
	w.in.ledger.Groups["g-oncall-a"] = l
	return w
}

func TestContests(t *testing.T) {
	const repair = `update ann@acme.com: displayName "theirs"→"Ann Jones" (edited in Rootly)`
	tests := map[string]struct {
		world *world
		want  []string
		times int // what the ledger remembers afterwards, where nothing was sent
	}{
		"turned back once":                     {world: fought(1), want: []string{repair}, times: 1},
		"turned back twice":                    {world: fought(2), want: []string{repair}, times: 2},
		"turned back three times is left":      {world: fought(3), want: []string{"another writer: ann@acme.com"}, times: 3},
		"to another value now, it is left too": {world: fought(3).touch(func(u *scimclient.User) { u.DisplayName = "theirs too" }), want: []string{"another writer: ann@acme.com"}, times: 3},
		"the other side keeps our value":       {world: fought(3).touch(func(u *scimclient.User) { u.DisplayName = "Ann Jones" })},
		"the directory wants something else": {
			world: fought(3).change(func(u *connectors.User) { u.DisplayName = "Annie" }),
			want:  []string{`update ann@acme.com: displayName "theirs"→"Annie" (changed in the directory)`}, times: 3, // cleared with the write
		},
		"the rest of the person is kept in line": {
			world: fought(3).touch(func(u *scimclient.User) { u.GivenName = "By Hand" }),
			want:  []string{`update ann@acme.com: name.givenName "By Hand"→"Ann" (edited in Rootly)`, "another writer: ann@acme.com"}, times: 3,
		},
		"a leaver is deactivated whatever is contested": {
			world: fought(3).leave("ann"), want: []string{"deactivate ann@acme.com (disabled)"}, times: 3,
		},
		"a deactivation is repeated for ever": {
			world: fought(3).leave("ann").link("ann", func(l *Link) {
				l.User.Active = false
				l.Contested["active"] = Contest{Value: "true", Times: 9}
			}),
			want: []string{"deactivate ann@acme.com (edited in Rootly)"}, times: 3,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := tc.world.mustPlan(t)
			if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			tc.world.nextRun(p)
			if got := tc.world.in.ledger.Users["u-ann"].Contested["displayName"].Times; got != tc.times {
				t.Errorf("%d times, want %d", got, tc.times)
			}
		})
	}
}

func TestContestedMemberships(t *testing.T) {
	const remove, add, left = "remove oncall-a: ann@acme.com (edited in Rootly)", "add oncall-a: ann@acme.com (edited in Rootly)", "another writer: oncall-a"
	tests := map[string]struct {
		world *world
		want  []string
		runs  int // in a row, nothing changing
	}{
		"put in twice":                         {world: foughtGroup(membershipIn, 2), want: []string{remove}},
		"put in three times":                   {world: foughtGroup(membershipIn, 3), want: []string{left}, runs: 3},
		"taken out twice":                      {world: foughtGroup(membershipOut, 2), want: []string{add}},
		"taken out three times":                {world: foughtGroup(membershipOut, 3), want: []string{left}, runs: 3},
		"the wish has turned since":            {world: foughtGroup(membershipIn, 3).wish("ann", "bob")},
		"the directory no longer wants her in": {world: foughtGroup(membershipOut, 3).wish("bob")},
		"the count is of the other direction": {
			world: func() *world {
				w := foughtGroup(membershipIn, 3)
				w.in.ledger.Groups["g-oncall-a"].Contested[stuckMember("t-ann")] = Contest{Value: membershipOut, Times: 3}
				return w
			}(), want: []string{remove},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for range max(1, tc.runs) {
				p := tc.world.mustPlan(t)
				if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
					t.Fatalf("plan (-want +got):\n%s", diff)
				}
				tc.world.nextRun(p)
			}
			if len(tc.want) == 0 && len(tc.world.in.ledger.Groups["g-oncall-a"].Contested) > 0 {
				t.Error("the contest is over, and the ledger goes on counting")
			}
		})
	}
}

// wish gives the last group of the directory other members.
func (w *world) wish(names ...string) *world {
	g := &w.in.snapshot.Groups[len(w.in.snapshot.Groups)-1]
	g.Members = nil
	for _, n := range names {
		g.Members = append(g.Members, connectors.UserID("u-"+n))
	}
	return w
}

func TestWhatIsHeldIsNotFoughtOver(t *testing.T) {
	w := foughtGroup(membershipIn, 2).rules(func(o *RuleOptions) { o.RemovalsNever = true })
	p := w.nextRun(w.mustPlan(t)).mustPlan(t)
	if len(p.Held) != 1 || len(p.Contested()) != 0 {
		t.Errorf("nothing was sent, so nothing was turned back: %q", lines(p))
	}
}

func TestAContestNamesItsObjectAndTheWayBack(t *testing.T) {
	w := fought(3)
	p := w.mustPlan(t)
	if got := p.Contested(); len(got) != 1 || got[0].Object.Source != "u-ann" || got[0].What != "displayName" || got[0].Times != 3 {
		t.Errorf("contested: %+v", got)
	}
	n := p.Notes[0]
	for _, word := range []string{"displayName", "theirs", "3 runs"} {
		if !strings.Contains(n.Text, word) {
			t.Errorf("the note %q does not say %q", n.Text, word)
		}
	}
	if !strings.Contains(n.Remedy, "native provisioning") || !strings.Contains(n.Remedy, adoptCommand("ann@acme.com")) {
		t.Errorf("remedy %q", n.Remedy)
	}
}

func TestAdoptTakesAContestedValueBack(t *testing.T) {
	for name, w := range map[string]*world{"attribute": fought(3), "membership": foughtGroup(membershipIn, 3)} {
		t.Run(name, func(t *testing.T) {
			r, err := Compile(w.opts)
			if err != nil {
				t.Fatal(err)
			}
			d, changes, _ := work(r, w.in, nil)
			links, unlink, _, err := d.adoption(changes).Choose(map[string]string{"attribute": "ann@acme.com", "membership": "oncall-a"}[name])
			if err != nil || len(links) != 1 || len(unlink) != 0 {
				t.Fatalf("links %+v, unlink %+v: %v", links, unlink, err)
			}
			w.nextRun(Plan{rules: r.hash, refresh: links})
			if p := w.mustPlan(t); len(p.Changes) != 1 || p.Changes[0].Why != WhyDrift {
				t.Errorf("plan: %q", lines(p))
			}
		})
	}
	w := fought(2)
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	d, changes, _ := work(r, w.in, nil)
	if a := d.adoption(changes); slices.ContainsFunc(a.Takeovers, func(t Takeover) bool { return t.Object.Source == "u-ann" }) {
		t.Errorf("nothing is left to anybody yet: %+v", a.Takeovers)
	}
}
