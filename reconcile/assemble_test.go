package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// A world is one reading in the making: the directory, Rootly and what we remember.
type world struct {
	opts RuleOptions
	in   reading
}

func newWorld() *world {
	return &world{
		opts: RuleOptions{Directory: "test", Mode: connectors.ScopeAll, Push: []string{"oncall-*"}},
		in: reading{ledger: Ledger{
			Users: map[connectors.UserID]Link{}, Groups: map[connectors.GroupID]Link{}, Rules: "same",
		}},
	}
}

// staff is an active member of staff called name@acme.com with the directory id u-name.
func staff(name string) connectors.User {
	return connectors.User{
		ID: connectors.UserID("u-" + name), UserName: name + "@acme.com", Email: name + "@acme.com",
		GivenName: strings.ToUpper(name[:1]) + name[1:], FamilyName: "Jones",
		Status: connectors.StatusActive, StatusDetail: "ACTIVE", Assigned: true,
	}
}

// account is what Rootly holds about staff(name) once it is in line, under the SCIM id t-name.
func account(name string) scimclient.User {
	u := staff(name)
	return scimclient.User{
		ID: "t-" + name, ExternalID: string(u.ID), UserName: u.UserName, GivenName: u.GivenName, FamilyName: u.FamilyName,
		DisplayName: displayName(&u), Emails: []scimclient.Email{{Value: u.Email, Type: "work", Primary: true}}, Active: true,
	}
}

func (w *world) directory(us ...connectors.User) *world {
	w.in.snapshot.Users = append(w.in.snapshot.Users, us...)
	return w
}

func (w *world) rootly(us ...scimclient.User) *world {
	w.in.users = append(w.in.users, us...)
	return w
}

func (w *world) linked(names ...string) *world {
	for _, n := range names {
		a := account(n)
		v := valuesOf(&a)
		w.in.ledger.Users[connectors.UserID("u-"+n)] = Link{Kind: KindUser, Source: "u-" + n, Target: "t-" + n, User: &v}
	}
	return w
}

// synced puts people on both sides, in line and linked.
func (w *world) synced(names ...string) *world {
	for _, n := range names {
		w.directory(staff(n)).rootly(account(n)).linked(n)
	}
	return w
}

func (w *world) group(name string, members ...string) *world {
	g := connectors.Group{ID: connectors.GroupID("g-" + name), Name: name}
	for _, m := range members {
		g.Members = append(g.Members, connectors.UserID("u-"+m))
	}
	w.in.snapshot.Groups = append(w.in.snapshot.Groups, g)
	return w
}

func (w *world) rootlyGroup(name string, members ...string) *world {
	g := scimclient.Group{ID: "tg-" + name, ExternalID: "g-" + name, DisplayName: name}
	for _, m := range members {
		g.Members = append(g.Members, scimclient.Member{Value: "t-" + m, Type: "User"})
	}
	w.in.groups = append(w.in.groups, g)
	return w
}

func (w *world) linkedGroup(name string, members ...string) *world {
	v := GroupValues{DisplayName: name, ExternalID: "g-" + name}
	for _, m := range members {
		v.Members = append(v.Members, "t-"+m)
	}
	slices.Sort(v.Members)
	w.in.ledger.Groups[connectors.GroupID("g-"+name)] = Link{Kind: KindGroup, Source: "g-" + name, Target: "tg-" + name, Group: &v}
	return w
}

func (w *world) syncedGroup(name string, members ...string) *world {
	return w.group(name, members...).rootlyGroup(name, members...).linkedGroup(name, members...)
}

// change edits the last person that was put into the directory, touch the last account of Rootly.
func (w *world) change(f func(u *connectors.User)) *world {
	f(&w.in.snapshot.Users[len(w.in.snapshot.Users)-1])
	return w
}

func (w *world) touch(f func(u *scimclient.User)) *world {
	f(&w.in.users[len(w.in.users)-1])
	return w
}

func (w *world) rules(f func(o *RuleOptions)) *world { f(&w.opts); return w }

func (w *world) plan(t testing.TB) (Plan, error) {
	t.Helper()
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	if w.in.ledger.Rules == "same" {
		w.in.ledger.Rules = r.hash
	}
	s, err := connectors.NewSnapshot(w.in.snapshot.Users, w.in.snapshot.Groups)
	if err != nil {
		t.Fatal(err)
	}
	w.in.snapshot = s
	return assemble(r, w.in)
}

// assemble is the pure middle of Plan, with nobody asked again.
func assemble(r *Rules, in reading) (Plan, error) {
	in.now = noon
	d, changes, refresh := work(r, in, nil)
	if err := d.checkScope(); err != nil {
		return Plan{}, err
	}
	return conclude(d, changes, refresh, noon), nil
}

// lines say a plan in short: one line a change, held ones with a leading "held", notes with their kind.
func lines(p Plan) []string {
	var out []string
	say := func(prefix string, c Change) {
		s := fmt.Sprintf("%s%s %s", prefix, c.Verb, c.Object.Name)
		var parts []string
		for _, f := range c.Fields {
			if c.Verb == VerbUpdate || c.Verb == VerbReactivate {
				parts = append(parts, fmt.Sprintf("%s %q→%q", f.Name, f.From, f.To))
			}
		}
		for _, m := range c.Members {
			parts = append(parts, m.User.Name)
		}
		if len(parts) > 0 {
			s += ": " + strings.Join(parts, ", ")
		}
		out = append(out, s+" ("+string(c.Why)+")")
	}
	for _, c := range p.Changes {
		say("", c)
	}
	for _, c := range p.Held {
		say("held ", c)
	}
	for _, n := range p.Notes {
		out = append(out, string(n.Kind)+": "+n.Object.Name)
	}
	return out
}

func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return out
}

func TestPlan(t *testing.T) {
	tests := map[string]struct {
		world *world
		want  []string
	}{
		"equal sides plan nothing": {world: newWorld().synced("ann", "bob").syncedGroup("oncall-a", "ann")},
		"a joiner is created and joins their groups": {
			world: newWorld().synced("ann").directory(staff("bob")).syncedGroup("oncall-a", "ann").change(func(*connectors.User) {}).
				group("oncall-b", "bob"),
			want: []string{"create bob@acme.com (joined)", "create oncall-b (joined)", "add oncall-b: bob@acme.com (joined)"},
		},
		"an account of the same userName without externalId is taken over": {
			world: newWorld().directory(staff("ann")).rootly(account("ann")).touch(func(u *scimclient.User) { u.ExternalID = "" }),
			want:  []string{`update ann@acme.com: externalId ""→"u-ann" (matched)`},
		},
		"an account with our externalId is linked without a write": {
			world: newWorld().directory(staff("ann")).rootly(account("ann")),
			want:  []string{"link ann@acme.com (matched)"},
		},
		"letter case of the userName does not count": {
			world: newWorld().synced("ann").touch(func(u *scimclient.User) { u.UserName = "Ann@ACME.com" }),
		},
		"disabled in the directory is deactivated": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.Status, u.StatusDetail = connectors.StatusDisabled, "SUSPENDED" }),
			want:  []string{"deactivate ann@acme.com (disabled)"},
		},
		"left scope is deactivated, memberships by implication": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.Department = "Sales" }).
				rules(func(o *RuleOptions) { o.Where = `user.department != "Sales"` }).syncedGroup("oncall-a", "ann", "bob"),
			want: []string{"deactivate ann@acme.com (left scope)"},
		},
		"gone from the directory is deactivated": {
			world: newWorld().synced("bob").rootly(account("ann")).linked("ann"),
			want:  []string{"deactivate ann@acme.com (gone from the directory)"},
		},
		"staged people are neither created nor taken away": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.Status = connectors.StatusStaged }).
				directory(staff("eve")).change(func(u *connectors.User) { u.Status = connectors.StatusStaged }),
		},
		"disabled and never provisioned is not created": {
			world: newWorld().synced("bob").directory(staff("ann")).change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }),
		},
		"disabled and active in Rootly without a link is deactivated": {
			world: newWorld().synced("bob").directory(staff("ann")).change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }).rootly(account("ann")),
			want:  []string{"deactivate ann@acme.com (disabled)"},
		},
		"nobody's account is touched": {world: newWorld().synced("bob").rootly(account("local"))},
		"excluded people stay as they are, also after they have left": {
			world: newWorld().synced("bob", "svc-x").rootly(account("svc-y")).linked("svc-y").
				touch(func(u *scimclient.User) { u.DisplayName = "by hand" }).
				rules(func(o *RuleOptions) { o.Exclude = []string{"svc-*@acme.com"} }),
		},
		"a directory edit": {
			world: newWorld().synced("ann").change(func(u *connectors.User) { u.FamilyName = "Smith" }),
			want:  []string{`update ann@acme.com: name.familyName "Jones"→"Smith", displayName "Ann Jones"→"Ann Smith" (changed in the directory)`},
		},
		"an edit in Rootly is turned back": {
			world: newWorld().synced("ann").touch(func(u *scimclient.User) { u.DisplayName = "The Boss" }),
			want:  []string{`update ann@acme.com: displayName "The Boss"→"Ann Jones" (edited in Rootly)`},
		},
		"what the directory leaves empty and we never wrote is other people's": {
			world: newWorld().synced("ann").touch(func(u *scimclient.User) { u.Phones = []scimclient.Phone{{Value: "+14155550100", Type: "mobile"}} }),
		},
		"a number that differs in spelling only is the same": {
			world: newWorld().synced("ann").change(func(u *connectors.User) { u.Phones = []connectors.Phone{{Type: "mobile", Value: "(415) 555-0100"}} }).
				touch(func(u *scimclient.User) { u.Phones = []scimclient.Phone{{Value: "+14155550100", Type: "mobile"}} }),
		},
		"deactivated by hand stays so": {
			world: newWorld().synced("bob", "ann").touch(func(u *scimclient.User) { u.Active = false }).syncedGroup("oncall-a", "bob").group("oncall-b", "ann"),
			want:  []string{"create oncall-b (joined)", "by hand: ann@acme.com"},
		},
		"who was deactivated by us and is back is reactivated": {
			world: returned(newWorld().synced("ann")),
			want:  []string{`reactivate ann@acme.com: active "false"→"true" (returned)`},
		},
		"reactivated by hand though gone is deactivated again": {
			world: func() *world {
				w := newWorld().synced("bob").rootly(account("ann")).linked("ann")
				w.in.ledger.Users["u-ann"].User.Active = false
				return w
			}(),
			want: []string{"deactivate ann@acme.com (edited in Rootly)"},
		},
		"an inactive account is not taken over": {
			world: newWorld().synced("bob").directory(staff("ann")).rootly(account("ann")).touch(func(u *scimclient.User) { u.Active = false }),
			want:  []string{"conflict: ann@acme.com"},
		},
		"two people mapped to one userName are both left alone": {
			world: newWorld().synced("bob").directory(staff("ann"), staff("ann2")).change(func(u *connectors.User) { u.UserName = "ANN@acme.com" }),
			want:  []string{"conflict: ann@acme.com", "conflict: ANN@acme.com"},
		},
		"a joiner with a leaver's old address freezes both": {
			world: newWorld().synced("bob").rootly(account("ann")).linked("ann").directory(staff("new")).change(func(u *connectors.User) { u.UserName = "ann@acme.com" }),
			want:  []string{"conflict: ann@acme.com", "conflict: ann@acme.com"},
		},
		"an address that a foreign account has is a conflict": {
			world: newWorld().synced("bob").directory(staff("ann")).rootly(account("ann")).touch(func(u *scimclient.User) { u.ExternalID = "other-idp" }),
			want:  []string{"conflict: ann@acme.com"},
		},
		"an account of ours with a foreign externalId is a conflict": {
			world: newWorld().synced("bob", "ann").touch(func(u *scimclient.User) { u.ExternalID = "other-idp" }),
			want:  []string{"conflict: ann@acme.com"},
		},
		"a userName that is no e-mail": {
			world: newWorld().synced("bob").directory(staff("ann")).change(func(u *connectors.User) { u.UserName = "ann" }),
			want:  []string{"unmapped: ann"},
		},
		"a rename frees the name for the next": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.UserName, u.Email = "anna@acme.com", "anna@acme.com" }).
				directory(staff("new")).change(func(u *connectors.User) { u.UserName = "ann@acme.com" }),
			want: []string{
				`update anna@acme.com: userName "ann@acme.com"→"anna@acme.com", emails "ann@acme.com"→"anna@acme.com" (changed in the directory)`,
				"create ann@acme.com (joined)",
			},
		},
		"a swap of userNames freezes both": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.UserName = "eve@acme.com" }).
				synced("eve").change(func(u *connectors.User) { u.UserName = "ann@acme.com" }),
			want: []string{"conflict: eve@acme.com", "conflict: ann@acme.com"},
		},
		"an expression that fails freezes, memberships included": {
			world: newWorld().synced("bob", "ann").syncedGroup("oncall-a", "bob").rootlyGroup("oncall-b", "ann").linkedGroup("oncall-b", "ann").group("oncall-b").
				rules(func(o *RuleOptions) {
					o.Where = `user.userName.startsWith("bob") || user.userName.substring(0, 99) == ""`
				}),
			want: []string{"unmapped: ann@acme.com"},
		},
		"protected people are left alone and the plan says from what": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }).
				rules(func(o *RuleOptions) { o.Protect = []string{"ann@*"} }),
			want: []string{"protected: ann@acme.com"},
		},
		"removals: never": {
			world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }).
				rules(func(o *RuleOptions) { o.RemovalsNever = true }),
			want: []string{"held deactivate ann@acme.com (disabled)"},
		},
		"first contact takes nothing away": {
			world: func() *world {
				w := newWorld().directory(staff("bob"), staff("ann")).change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }).
					rootly(account("bob"), account("ann"))
				w.in.ledger.Rules = ""
				return w
			}(),
			want: []string{"link bob@acme.com (matched)", "held deactivate ann@acme.com (disabled)"},
		},
		"a moved member": {
			world: newWorld().synced("bob", "ann").group("oncall-a", "bob").rootlyGroup("oncall-a", "ann", "bob").linkedGroup("oncall-a", "ann", "bob").
				group("oncall-b", "ann").rootlyGroup("oncall-b").linkedGroup("oncall-b"),
			want: []string{"add oncall-b: ann@acme.com (changed in the directory)", "remove oncall-a: ann@acme.com (changed in the directory)"},
		},
		"members put in and taken out by hand": {
			world: newWorld().synced("bob", "ann", "eve").group("oncall-a", "bob", "ann").rootlyGroup("oncall-a", "bob", "eve").linkedGroup("oncall-a", "bob", "ann"),
			want:  []string{"add oncall-a: ann@acme.com (edited in Rootly)", "remove oncall-a: eve@acme.com (edited in Rootly)"},
		},
		"members that are groups or unknown are left": {
			world: func() *world {
				w := newWorld().synced("bob").syncedGroup("oncall-a", "bob")
				w.in.groups[0].Members = append(w.in.groups[0].Members, scimclient.Member{Value: "tg-x", Type: "Group"}, scimclient.Member{Value: "dangling"})
				return w
			}(),
		},
		"a renamed group": {
			world: func() *world {
				w := newWorld().synced("bob").syncedGroup("oncall-a", "bob")
				w.in.snapshot.Groups[0].Name = "oncall-z"
				return w
			}(),
			want: []string{`update oncall-z: displayName "oncall-a"→"oncall-z" (changed in the directory)`},
		},
		"a group that is no longer pushed stays": {
			world: newWorld().synced("bob").rootlyGroup("oncall-a", "bob").linkedGroup("oncall-a", "bob"),
			want:  []string{"left alone: oncall-a"},
		},
		"two pushed groups of one name": {
			world: func() *world {
				w := newWorld().synced("bob").group("oncall-a", "bob").group("oncall-b")
				w.in.snapshot.Groups[1].Name = "Oncall-A"
				return w
			}(),
			want: []string{"conflict: oncall-a", "conflict: Oncall-A"},
		},
		"a hand-made group is taken over when nobody loses their place": {
			world: func() *world {
				w := newWorld().synced("bob", "ann").group("oncall-a", "bob", "ann").rootlyGroup("oncall-a", "bob")
				w.in.groups[0].ExternalID = ""
				return w
			}(),
			want: []string{`update oncall-a: externalId ""→"g-oncall-a" (matched)`, "add oncall-a: ann@acme.com (changed in the directory)"},
		},
		"a hand-made group with other members is a conflict": {
			world: func() *world {
				w := newWorld().synced("bob", "ann").group("oncall-a", "bob").rootlyGroup("oncall-a", "ann")
				w.in.groups[0].ExternalID = ""
				return w
			}(),
			want: []string{"conflict: oncall-a"},
		},
		"an account deleted in Rootly is made again": {
			world: newWorld().synced("bob").directory(staff("ann")).linked("ann"),
			want:  []string{"create ann@acme.com (edited in Rootly)"},
		},
		"a failed change waits for its time": {
			world: func() *world {
				w := newWorld().synced("bob").directory(staff("ann")).group("oncall-a", "bob", "ann").rootlyGroup("oncall-a", "bob").linkedGroup("oncall-a", "bob")
				w.in.ledger.Waiting = []Waiting{{Kind: KindUser, Source: "u-ann", Verb: VerbCreate, Attempts: 2, Next: noon.Add(time.Hour), Reason: "403"}}
				return w
			}(),
			want: []string{"held create ann@acme.com (joined)"},
		},
		"a failed change does not wait for a time that only a wrong clock can have set": {
			world: func() *world {
				w := newWorld().synced("bob").directory(staff("ann"))
				w.in.ledger.Waiting = []Waiting{{Kind: KindUser, Source: "u-ann", Verb: VerbCreate, Attempts: 2, Next: noon.Add(25 * time.Hour), Reason: "403"}}
				return w
			}(),
			want: []string{"create ann@acme.com (joined)"},
		},
		"a value that the server does not keep is a note": {
			world: func() *world {
				w := newWorld().synced("ann").change(func(u *connectors.User) { u.DisplayName = "Annie" })
				l := w.in.ledger.Users["u-ann"]
				l.Stuck = map[string]Stuck{"displayName": {Value: "Annie", Tries: 2}}
				w.in.ledger.Users["u-ann"] = l
				return w
			}(),
			want: []string{"not kept: ann@acme.com"},
		},
		"a changed rule is named as the reason": {
			world: func() *world {
				w := newWorld().synced("ann").rules(func(o *RuleOptions) { o.Map = map[string]string{"displayName": `"Dr " + user.familyName`} })
				w.in.ledger.Rules = "another"
				return w
			}(),
			want: []string{`update ann@acme.com: displayName "Ann Jones"→"Dr Jones" (configuration changed)`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := tc.world.plan(t)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func returned(w *world) *world {
	w.in.ledger.Users["u-ann"].User.Active = false
	w.in.users[0].Active = false
	return w
}

func TestScopeThatMatchesNobodyIsRefused(t *testing.T) {
	for name, w := range map[string]*world{
		"empty directory": newWorld().rootly(account("ann")).linked("ann"),
		"where":           newWorld().synced("ann").rules(func(o *RuleOptions) { o.Where = "false" }),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.plan(t); !errors.Is(err, ErrNobodyInScope) {
				t.Errorf("got %v, want ErrNobodyInScope", err)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	disable := func(w *world, from int) *world {
		for i := range w.in.snapshot.Users[from:] {
			w.in.snapshot.Users[from+i].Status = connectors.StatusDisabled
		}
		return w
	}
	vanish := func(w *world, from int) *world { w.in.snapshot.Users = w.in.snapshot.Users[:from]; return w }
	rename := func(w *world, from int) *world {
		for i := range w.in.snapshot.Users[from:] {
			u := &w.in.snapshot.Users[from+i]
			u.UserName = "x-" + u.UserName
		}
		return w
	}
	tests := map[string]struct {
		world         *world
		axes          []Axis
		changes, held int
	}{
		"three of eight pass by the floor":        {world: disable(newWorld().synced(names("p", 8)...), 5), changes: 3},
		"four of eight are held":                  {world: disable(newWorld().synced(names("p", 8)...), 4), axes: []Axis{AxisDeactivations}, held: 4},
		"a fifth of forty passes by the share":    {world: disable(newWorld().synced(names("p", 40)...), 32), changes: 8},
		"more than a fifth of forty is held":      {world: disable(newWorld().synced(names("p", 40)...), 31), axes: []Axis{AxisDeactivations}, held: 9},
		"people who vanish hold every removal":    {world: vanish(newWorld().synced(names("p", 40)...), 30), axes: []Axis{AxisSource}, held: 10},
		"many new userNames at once are held":     {world: rename(newWorld().synced(names("p", 10)...), 5), axes: []Axis{AxisRenames}, held: 5},
		"a few new userNames pass":                {world: rename(newWorld().synced(names("p", 10)...), 7), changes: 3},
		"additions go on while removals are held": {world: disable(newWorld().synced(names("p", 8)...), 4).directory(staff("zoe")), axes: []Axis{AxisDeactivations}, changes: 1, held: 4},
		"a group losing most of its members": {
			world: newWorld().synced(names("p", 30)...).group("oncall-a", names("p", 2)...).rootlyGroup("oncall-a", names("p", 30)...).linkedGroup("oncall-a", names("p", 30)...),
			axes:  []Axis{AxisMemberships}, held: 1,
		},
		"two groups left empty": {
			world: newWorld().synced("ann", "bob").group("oncall-a").rootlyGroup("oncall-a", "ann").linkedGroup("oncall-a", "ann").
				group("oncall-b").rootlyGroup("oncall-b", "bob").linkedGroup("oncall-b", "bob"),
			axes: []Axis{AxisGroups}, held: 2,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := tc.world.plan(t)
			if err != nil {
				t.Fatal(err)
			}
			var axes []Axis
			for _, o := range p.Objections {
				axes = append(axes, o.Axis)
				if o.Text == "" || o.Remedy == "" {
					t.Errorf("objection without words: %+v", o)
				}
			}
			if diff := cmp.Diff(tc.axes, axes); diff != "" {
				t.Errorf("axes (-want +got):\n%s", diff)
			}
			if len(p.Changes) != tc.changes || len(p.Held) != tc.held {
				t.Errorf("%d changes, %d held; want %d, %d: %q", len(p.Changes), len(p.Held), tc.changes, tc.held, lines(p))
			}
		})
	}
}

func TestCompileReportsEveryProblem(t *testing.T) {
	_, err := Compile(RuleOptions{
		Mode: connectors.ScopeAll, Where: "user.departement == 'SRE'", Exclude: []string{""},
		Map: map[string]string{"displayName": "user.displayName +", "shoeSize": "'9'", "userName": "", "email": "true"},
	})
	errs, ok := errors.AsType[RuleErrors](err)
	if !ok {
		t.Fatalf("got %v, want RuleErrors", err)
	}
	var paths []string
	for _, e := range errs {
		paths = append(paths, e.Path)
	}
	want := []string{"map.displayName", "map.email", "map.shoeSize", "map.userName", "scope.exclude", "scope.where"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("problems (-want +got):\n%s\n%v", diff, err)
	}
}

func TestQueryAsksForTheAttributesThatExpressionsRead(t *testing.T) {
	r, err := Compile(RuleOptions{
		Mode: connectors.ScopeAll, Where: `user.attr("costCenter") == "42"`,
		Map: map[string]string{"displayName": `user.attr("preferredName") + user.attr("costCenter")`},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"costCenter", "preferredName"}, r.Query().Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if _, err := Compile(RuleOptions{Mode: connectors.ScopeAll, Where: `user.attr(user.title) == ""`}); err == nil {
		t.Error("an attribute name that is not known at load compiled")
	}
}
