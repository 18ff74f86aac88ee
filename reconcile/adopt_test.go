package reconcile

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// TestAdoptSettlesWhatMatchLeavesToTheOperator makes the plan that is stuck, adopts, and makes the plan again with the
// ledger as adopt leaves it.
func TestAdoptSettlesWhatMatchLeavesToTheOperator(t *testing.T) {
	tests := map[string]struct {
		world *world
		who   string
		want  []string
	}{
		"an account with a foreign externalId": {
			world: newWorld().synced("bob").directory(staff("ann")).rootly(account("ann")).touch(func(u *scimclient.User) { u.ExternalID = "mail-nickname" }),
			who:   "ann@acme.com", want: []string{`update ann@acme.com: externalId "mail-nickname"→"u-ann" (changed in the directory)`},
		},
		"a deactivated account": {
			world: newWorld().synced("bob").directory(staff("ann")).rootly(account("ann")).touch(func(u *scimclient.User) { u.Active = false }),
			who:   "u-ann", want: []string{`reactivate ann@acme.com: active "false"→"true" (returned)`},
		},
		"an account deactivated by hand": {
			world: newWorld().synced("bob", "ann").touch(func(u *scimclient.User) { u.Active = false }),
			who:   "t-ann", want: []string{`reactivate ann@acme.com: active "false"→"true" (returned)`},
		},
		"one person with a new directory id": {
			world: newWorld().synced("bob").rootly(account("ann")).linked("ann").directory(staff("new")).change(func(u *connectors.User) {
				*u = staff("ann")
				u.ID = "u-new"
			}),
			who: "ann@acme.com", want: []string{`update ann@acme.com: externalId "u-ann"→"u-new" (changed in the directory)`},
		},
		"a hand-made group with members that go": {
			world: func() *world {
				w := newWorld().synced("bob", "ann").group("oncall-a", "bob").rootlyGroup("oncall-a", "ann", "bob")
				w.in.groups[0].ExternalID = ""
				return w
			}(),
			who: "oncall-a", want: []string{`update oncall-a: externalId ""→"g-oncall-a" (changed in the directory)`, "remove oncall-a: ann@acme.com (changed in the directory)"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := tc.world
			if p, err := w.plan(t); err != nil || len(p.Changes) > 0 {
				t.Fatalf("before: %v %q", err, lines(p))
			}
			r, err := Compile(w.opts)
			if err != nil {
				t.Fatal(err)
			}
			d, changes, _ := work(r, w.in, nil)
			links, unlink, _, err := d.adoption(changes).Choose(tc.who)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range unlink {
				delete(w.in.ledger.Users, connectors.UserID(u.Source))
			}
			for _, l := range links {
				if l.Kind == KindUser {
					w.in.ledger.Users[connectors.UserID(l.Source)] = l
				} else {
					w.in.ledger.Groups[connectors.GroupID(l.Source)] = l
				}
			}
			p, err := w.plan(t)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
				t.Errorf("plan after adopting (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAdoptionReport(t *testing.T) {
	w := newWorld().directory(staff("ann"), staff("bob"), staff("eve"), staff("max")).
		rootly(account("bob")).rootly(account("ann")).touch(func(u *scimclient.User) { u.ExternalID = "" }).
		rootly(account("eve")).touch(func(u *scimclient.User) { u.ExternalID = "foreign" }).
		rootly(account("local"), account("max")).
		rules(func(o *RuleOptions) { o.Where = `user.givenName != "Max"` })
	w.in.ledger.Rules = ""
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	d, changes, _ := work(r, w.in, nil)
	a := d.adoption(changes)
	var links, takeovers, local, out []string
	for _, m := range a.Links {
		links = append(links, m.Object.Name+" by "+m.By)
	}
	for _, x := range a.Takeovers {
		takeovers = append(takeovers, x.Object.Name)
	}
	for _, x := range a.Local {
		local = append(local, x.Name)
	}
	for _, x := range a.OutScope {
		out = append(out, x.Name)
	}
	got := [][]string{links, takeovers, local, out}
	want := [][]string{{"ann@acme.com by userName", "bob@acme.com by externalId"}, {"eve@acme.com"}, {"local@acme.com"}, {"max@acme.com"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for who, part := range map[string]string{"bob@acme.com": "needs no adoption", "local@acme.com": "nobody in the directory's scope", "nobody": "nothing to adopt"} {
		if _, _, _, err := a.Choose(who); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("adopt %s: %v, want %q", who, err, part)
		}
	}
}

func TestOnly(t *testing.T) {
	w := newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.UserName = "anna@acme.com" }).
		directory(staff("new")).change(func(u *connectors.User) { u.UserName = "ann@acme.com" }).
		group("oncall-a", "new", "bob").rootlyGroup("oncall-a").linkedGroup("oncall-a")
	p, err := w.plan(t)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{
		"u-bob": {"add oncall-a: bob@acme.com (changed in the directory)"},
		// The rename that frees the address comes along.
		"u-new": {
			`update anna@acme.com: userName "ann@acme.com"→"anna@acme.com" (changed in the directory)`,
			"create ann@acme.com (joined)", "add oncall-a: ann@acme.com (joined)",
		},
		"oncall-a":   {"add oncall-a: bob@acme.com (changed in the directory)"},
		"g-oncall-a": {"add oncall-a: bob@acme.com (changed in the directory)"},
	}
	for who, want := range tests {
		t.Run(who, func(t *testing.T) {
			got, err := p.Only(who)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, lines(got)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
	for _, who := range []string{" ", "someone"} {
		if _, err := p.Only(who); err == nil {
			t.Errorf("--only %q names nobody, and no error", who)
		}
	}
}

func TestStorelessOwnsWhatTheDirectoryKnows(t *testing.T) {
	w := newWorld().directory(staff("bob"), staff("new")).rootly(account("bob"), account("ann"), account("foreign"), account("local")).
		touch(func(u *scimclient.User) { u.ExternalID = "" })
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	if w.in.snapshot, err = connectors.NewSnapshot(w.in.snapshot.Users, nil); err != nil {
		t.Fatal(err)
	}
	left := staff("ann")
	left.Status = connectors.StatusDisabled
	dir := finder{&directory{people: map[connectors.UserID]connectors.Found{"u-ann": {Known: true, User: left}}}}
	if w.in.ledger, err = derive(context.Background(), dir, r, w.in); err != nil {
		t.Fatal(err)
	}
	got := w.confirmed(t, dir, nil)
	want := []string{"create new@acme.com (joined)", "deactivate ann@acme.com (disabled)"}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}
