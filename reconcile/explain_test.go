package reconcile

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// planner reads the world as Plan would: the directory replayed, Rootly from memory.
func (w *world) planner(t testing.TB) (*Planner, Ledger) {
	t.Helper()
	r, err := Compile(w.opts)
	if err != nil {
		t.Fatal(err)
	}
	if w.in.ledger.Rules == "same" {
		w.in.ledger.Rules, w.in.ledger.RuleTexts = r.hash, r.texts
	}
	s, err := connectors.NewSnapshot(w.in.snapshot.Users, w.in.snapshot.Groups)
	if err != nil {
		t.Fatal(err)
	}
	source, err := NewReplay(Recorded{Name: "test", Tenant: "test:acme", At: noon, Query: r.Query(), Snapshot: s}, r.Query())
	if err != nil {
		t.Fatal(err)
	}
	target := memory{users: map[string]scimclient.User{}, groups: map[string]scimclient.Group{}}
	for _, u := range w.in.users {
		target.users[u.ID] = u
	}
	for _, g := range w.in.groups {
		target.groups[g.ID] = g
	}
	return &Planner{Source: source, Target: target, TargetURL: "https://rootly.example/scim", Rules: r, Previous: source.Previous}, w.in.ledger
}

func (w *world) explain(t testing.TB, who string) (Explanation, error) {
	t.Helper()
	p, ledger := w.planner(t)
	return p.Explain(context.Background(), ledger, noon, who)
}

func TestExplainFindsWhomIsMeant(t *testing.T) {
	company := func() *world {
		return newWorld().synced("ann", "bob").rootly(account("local")).syncedGroup("oncall-a", "ann").rootlyGroup("by-hand", "bob").
			directory(staff("eve")).change(func(u *connectors.User) { u.GivenName, u.FamilyName = "Ann", "Jones" })
	}
	tests := map[string]struct {
		who  string
		want string // kind, directory id, SCIM id
		near []string
		err  []string // what the error must name
	}{
		"a userName, letter case aside":     {who: "ANN@acme.com", want: "user u-ann t-ann"},
		"a directory id":                    {who: "u-ann", want: "user u-ann t-ann"},
		"a SCIM id":                         {who: " t-ann ", want: "user u-ann t-ann"},
		"an account that only Rootly has":   {who: "local@acme.com", want: "user  t-local"},
		"a group by name":                   {who: "OnCall-A", want: "group g-oncall-a tg-oncall-a"},
		"a group that only Rootly has":      {who: "tg-by-hand", want: "group  tg-by-hand"},
		"a person by what they are called":  {who: "Bob Jones", want: "user u-bob t-bob"},
		"two people of one name":            {who: "Ann Jones", err: []string{"ann@acme.com (directory id u-ann)", "eve@acme.com (directory id u-eve)"}},
		"nobody, with names that are alike": {who: "ann@acme.co", near: []string{"ann@acme.com"}},
		"nobody at all":                     {who: "zzz"},
		"nothing":                           {who: " ", err: []string{"name a person"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := company().explain(t, tc.who)
			if (err != nil) != (tc.err != nil) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			for _, part := range tc.err {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			got := ""
			if e.Known {
				got = strings.Join([]string{string(e.Object.Kind), e.Object.Source, e.Object.Target}, " ")
			}
			if got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
			if diff := cmp.Diff(tc.near, e.Near); diff != "" {
				t.Errorf("names alike (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainNamesTheClauseThatDecided(t *testing.T) {
	in := func(where string) *world {
		return newWorld().synced("bob").synced("ann").change(func(u *connectors.User) {
			u.Department, u.Attrs = "Sales", map[string]string{"site": "Berlin"}
		}).rules(func(o *RuleOptions) { o.Where = where })
	}
	tests := map[string]struct {
		world   *world
		verdict string
		want    []string // deciding clauses: text → result
	}{
		"the mode alone": {world: newWorld().synced("ann"), verdict: "in scope", want: []string{"scope.mode all → true"}},
		"one condition": {world: in(`user.department != "Sales"`), verdict: "out of scope",
			want: []string{`user.department != "Sales" → false [user.department=Sales]`}},
		"one of three that must hold": {world: in(`user.title == "" && user.department != "Sales" && user.attr("site") == "Berlin"`), verdict: "out of scope",
			want: []string{`user.department != "Sales" → false [user.department=Sales]`}},
		"all of three hold": {world: in(`true && user.title == "" && user.department in ["Sales", ""]`), verdict: "in scope",
			want: []string{`true → true`, `user.title == "" → true [user.title=]`, `user.department in ["Sales", ""] → true [user.department=Sales]`}},
		"one of two is enough": {world: in(`user.title == "x" || user.attr("site") in ["Berlin", ""]`), verdict: "in scope",
			want: []string{`user.attr("site") in ["Berlin", ""] → true [user.attr("site")=Berlin]`}},
		"neither of two": {world: in(`user.department == "SRE" || user.email.startsWith("bob")`), verdict: "out of scope",
			want: []string{`user.department == "SRE" → false [user.department=Sales]`, `user.email.startsWith("bob") → false [user.email=ann@acme.com]`}},
		"an inner || stays whole": {world: in(`(user.department == "SRE" || user.userName.startsWith("bob")) && true`), verdict: "out of scope",
			want: []string{`user.department == "SRE" || user.userName.startsWith("bob") → false [user.department=Sales user.userName=ann@acme.com]`}},
		"one that fails": {world: in(`user.userName.startsWith("bob") || user.title.substring(0, 9) == ""`), verdict: "failed",
			want: []string{`user.title.substring(0, 9) == "" → cannot be evaluated: index out of range: 9 [user.title=]`}},
		"a userName that cannot be written": {world: newWorld().synced("bob", "ann").change(func(u *connectors.User) { u.UserName = "ann" }), verdict: "failed"},
		"not assigned": {
			world: newWorld().synced("bob").synced("ann").change(func(u *connectors.User) { u.Assigned = false }).
				rules(func(o *RuleOptions) { o.Mode, o.Where = connectors.ScopeAssigned, `user.title == ""` }),
			verdict: "out of scope", want: []string{"scope.mode assigned → false"},
		},
		"excluded": {world: newWorld().synced("bob", "ann").rules(func(o *RuleOptions) { o.Exclude = []string{"ann@*"} }), verdict: "excluded",
			want: []string{`scope.exclude "ann@*" → true`}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := tc.world.explain(t, "u-ann")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range e.Decision.Clauses {
				if !c.Decided {
					continue
				}
				line := c.Text + " → " + c.Result
				var reads []string
				for _, r := range c.Reads {
					reads = append(reads, r.Name+"="+r.Value)
				}
				if len(reads) > 0 {
					line += " [" + strings.Join(reads, " ") + "]"
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("deciding clauses (-want +got):\n%s", diff)
			}
			if e.Decision.Verdict != tc.verdict {
				t.Errorf("verdict %q, want %q", e.Decision.Verdict, tc.verdict)
			}
		})
	}
}

func TestExplainGivesEachValueItsRule(t *testing.T) {
	w := newWorld().synced("ann").change(func(u *connectors.User) {
		u.Email, u.Phones = "", []connectors.Phone{{Type: "mobile", Value: "(415) 555-0100"}, {Type: "work", Value: "x"}}
	}).rules(func(o *RuleOptions) {
		o.Map = map[string]string{"displayName": `"Dr " + user.familyName`, "externalId": "", "givenName": `user.title.substring(0, 9)`}
	})
	e, err := w.explain(t, "u-ann")
	if err != nil {
		t.Fatal(err)
	}
	want := []MappedValue{
		{Attribute: "userName", Value: "ann@acme.com", Rule: "default"},
		{Attribute: "externalId", Rule: "not managed"},
		{Attribute: "givenName", Rule: "user.title.substring(0, 9)", Problem: "cannot be evaluated: index out of range: 9"},
		{Attribute: "familyName", Value: "Jones", Rule: "default"},
		{Attribute: "displayName", Value: "Dr Jones", Rule: `"Dr " + user.familyName`},
		{Attribute: "email", Value: "ann@acme.com", Rule: "default: the userName"},
		{Attribute: "mobilePhone", Value: "+14155550100", Rule: "default"},
		{Attribute: "workPhone", Value: "x", Rule: "default", Problem: "no telephone number in region US"},
	}
	if diff := cmp.Diff(want, e.Values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

// A law that ties the explanation to the mapping: where nothing fails, both say the same.
func TestExplainedValuesAreThoseThatAreWritten(t *testing.T) {
	for _, w := range []*world{
		newWorld().synced("ann"),
		newWorld().synced("ann").rules(func(o *RuleOptions) {
			o.Map = map[string]string{"displayName": `user.givenName + "!"`, "email": "", "externalId": `user.userName`}
		}),
	} {
		r, err := Compile(w.opts)
		if err != nil {
			t.Fatal(err)
		}
		u := w.in.snapshot.Users[0]
		v, err := r.mapUser(&u, personOf(&u))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, m := range r.mappedValues(&u) {
			got[m.Attribute] = m.Value
		}
		want := map[string]string{
			"userName": v.UserName, "externalId": v.ExternalID, "givenName": v.GivenName, "familyName": v.FamilyName,
			"displayName": v.DisplayName, "email": v.Email, "mobilePhone": "", "workPhone": "",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("values (-mapped +explained):\n%s", diff)
		}
	}
}

func TestExplainMemberships(t *testing.T) {
	w := newWorld().synced("ann", "bob", "eve", "off").change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }).
		directory(staff("new")).rootly(account("local")).
		group("oncall-a", "ann", "bob", "new", "off", "stranger").rootlyGroup("oncall-a", "ann", "eve", "off", "local", "nobody").linkedGroup("oncall-a", "ann", "eve", "off", "local", "nobody")
	e, err := w.explain(t, "oncall-a")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range e.Places {
		got[p.Object.key()] = p.Why
	}
	want := map[string]string{
		"u-ann": "", "u-bob": "will be added (changed in the directory)", "u-new": "will be added (joined)",
		"u-eve": "will be removed (edited in Rootly)", "target:t-local": "will be removed (edited in Rootly)",
		"u-off": "goes when the account is deactivated: disabled", "u-stranger": "not in the directory's list of people, so not in scope",
		"target:t-nobody": "no person that Rootly lists: left alone",
	}
	for k, why := range want {
		if g := got[k]; !strings.HasPrefix(g, strings.TrimSuffix(why, "(edited in Rootly)")) || (g == "") != (why == "") {
			t.Errorf("%s: %q, want %q", k, g, why)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d members explained, want %d: %v", len(got), len(want), got)
	}
}

func TestExplainSaysWhyNobodyIsInScope(t *testing.T) {
	e, err := newWorld().synced("ann").rules(func(o *RuleOptions) { o.Where = `user.department == "SRE"` }).explain(t, "u-ann")
	if err != nil {
		t.Fatal(err)
	}
	if e.Blocked == "" || e.Decision.Verdict != "out of scope" || len(e.Changes) > 0 {
		t.Errorf("got %+v", e)
	}
}

// Whatever the plan does to somebody, their explanation has it, and nothing else.
func TestExplanationsAndPlanAgree(t *testing.T) {
	w := newWorld().synced(names("p", 9)...).directory(staff("zoe")).leave("p00", "p01", "p02", "p03").
		group("oncall-a", "p05", "zoe").rootlyGroup("oncall-a", "p06").linkedGroup("oncall-a", "p06")
	p, ledger := w.planner(t)
	plan, err := p.Plan(context.Background(), ledger, noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range w.in.snapshot.Users {
		e, err := p.Explain(context.Background(), ledger, noon, string(u.ID))
		if err != nil {
			t.Fatal(err)
		}
		only, err := plan.Only(string(u.ID))
		if err != nil {
			t.Fatal(err)
		}
		// Only also takes along what a change waits for; nothing does here.
		if diff := cmp.Diff(lines(Plan{Changes: only.Changes, Held: only.Held}), lines(Plan{Changes: e.Changes, Held: e.Held})); diff != "" {
			t.Errorf("%s (-plan +explanation):\n%s", u.ID, diff)
		}
		if held := len(e.Held) > 0; held != (len(e.Sets) == 1) || held != (len(e.Objections) == 1) {
			t.Errorf("%s: %d held, %d sets, %d objections", u.ID, len(e.Held), len(e.Sets), len(e.Objections))
		}
	}
}

func explained(t *testing.T) map[string]Explanation {
	worlds := map[string]struct {
		world *world
		who   string
	}{
		"joiner": {world: newWorld().synced("bob").directory(staff("ann")).syncedGroup("oncall-a", "bob").group("oncall-b", "ann"), who: "ann@acme.com"},
		"leaver": {
			world: newWorld().synced("bob").synced("ann").change(func(u *connectors.User) { u.Department = "Sales" }).syncedGroup("oncall-a", "ann", "bob").
				rules(func(o *RuleOptions) { o.Where = `user.employeeType != "Guest" && user.department != "Sales"` }),
			who: "ann@acme.com",
		},
		"held": {
			world: func() *world {
				w := newWorld().synced(names("p", 8)...).leave("p00", "p01", "p02", "p03").syncedGroup("oncall-a", "p00", "p05")
				w.in.snapshot.Users[0].StatusDetail = "SUSPENDED"
				return w
			}(),
			who: "p00@acme.com",
		},
		"gone": {world: newWorld().synced("bob").rootly(account("ann")).linked("ann"), who: "ann@acme.com"},
		"conflict": {
			world: newWorld().synced("bob").directory(staff("ann")).rootly(account("ann")).touch(func(u *scimclient.User) { u.ExternalID = "other-idp" }),
			who:   "ann@acme.com",
		},
		"edited": {
			world: func() *world {
				w := newWorld().synced("ann").touch(func(u *scimclient.User) { u.DisplayName = "The Boss" }).
					rules(func(o *RuleOptions) { o.Map = map[string]string{"familyName": `user.familyName.upperAscii()`} })
				w.in.ledger.Waiting = []Waiting{{Kind: KindUser, Source: "u-ann", Verb: VerbUpdate, Attempts: 2, Next: noon.Add(time.Hour), Reason: "update user: 403 Forbidden"}}
				return w
			}(),
			who: "ann@acme.com",
		},
		"local": {world: newWorld().synced("bob").rootly(account("local")), who: "local@acme.com"},
		"group": {
			world: newWorld().synced("ann", "bob", "eve").directory(staff("new")).
				group("oncall-a", "ann", "bob", "new").rootlyGroup("oncall-a", "ann", "eve").linkedGroup("oncall-a", "ann"),
			who: "oncall-a",
		},
		"unknown": {world: newWorld().synced("ann", "anna"), who: "ann@acme.co"},
		"nobody":  {world: newWorld().synced("ann").rules(func(o *RuleOptions) { o.Where = `user.department == "SRE"` }), who: "ann@acme.com"},
	}
	out := map[string]Explanation{}
	for name, w := range worlds {
		e, err := w.world.explain(t, w.who)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = e
	}
	return out
}

func TestExplanationsReadAsReviewed(t *testing.T) {
	renderings := map[string]string{}
	for name, e := range explained(t) {
		renderings[name+".txt"] = e.Text(TextOptions{})
		if name == "leaver" {
			renderings[name+".json"] = mustJSON(t)(e.JSON())
		}
	}
	for name, got := range renderings {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", "explain", name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("explanation (-want +got; -update writes it):\n%s", diff)
			}
		})
	}
}

func TestNoControlCharacterReachesTheReaderOfAnExplanation(t *testing.T) {
	w := newWorld().synced("bob").directory(staff("ann")).change(func(u *connectors.User) {
		u.DisplayName, u.StatusDetail, u.Department = hostile, hostile, hostile
	}).group("oncall-a", "ann").rules(func(o *RuleOptions) { o.Where = `user.department != "x"` })
	w.in.snapshot.Groups[0].Name = "oncall-" + hostile
	w.in.ledger.Waiting = []Waiting{{Kind: KindUser, Source: "u-ann", Verb: VerbCreate, Next: noon, Reason: hostile}}
	for _, who := range []string{"u-ann", "g-oncall-a", hostile + "x"} {
		e, err := w.explain(t, who)
		if err != nil {
			t.Fatal(err)
		}
		for name, out := range map[string]string{"text": e.Text(TextOptions{}), "json": mustJSON(t)(e.JSON())} {
			if i := slices.IndexFunc([]rune(out), func(r rune) bool { return r != '\n' && hidden(r) }); i >= 0 {
				t.Errorf("%s of %s contains %U", name, Visible(who), []rune(out)[i])
			}
			if strings.Contains(out, "\nPlan: nothing") {
				t.Errorf("%s of %s lets a name begin a line", name, Visible(who))
			}
		}
	}
}
