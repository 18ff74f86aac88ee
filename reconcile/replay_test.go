package reconcile

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func patterns(t testing.TB, texts ...string) connectors.Patterns {
	t.Helper()
	ps, err := connectors.ParsePatterns(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

// recording is a directory of two people, a scope group and a pushed group.
func recording(t testing.TB, mode connectors.ScopeMode) Recorded {
	t.Helper()
	ann, bob := staff("ann"), staff("bob")
	ann.Attrs = map[string]string{"site": "Berlin\u202e"}
	ann.Phones = []connectors.Phone{{Type: "mobile", Value: "+14155550100"}}
	s, err := connectors.NewSnapshot([]connectors.User{bob, ann}, []connectors.Group{
		{ID: "g-staff", Name: "Staff", Scope: mode == connectors.ScopeGroups, Members: []connectors.UserID{"u-ann", "u-bob"}},
		{ID: "g-oncall-a", Name: "oncall-a", Members: []connectors.UserID{"u-ann"}},
		{ID: "g-eng", Name: "Eng", Scope: mode == connectors.ScopeGroups, Members: []connectors.UserID{"u-ann"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := Recorded{Name: "okta", Tenant: "okta:acme.okta.com", At: noon, Snapshot: s,
		Query: connectors.Query{Mode: mode, Push: patterns(t, "oncall-*", "id:g-7"), Attributes: []string{"site"}}}
	if mode == connectors.ScopeGroups {
		r.Query.Groups = []string{"Staff", "id:g-eng"}
	}
	return r
}

func recordedText(t testing.TB, r Recorded) string {
	t.Helper()
	var b bytes.Buffer
	if err := SaveSnapshot(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var sameRecording = cmp.Comparer(func(a, b connectors.Patterns) bool {
	var as, bs []string
	for _, p := range a {
		as = append(as, p.String())
	}
	for _, p := range b {
		bs = append(bs, p.String())
	}
	return cmp.Equal(as, bs)
})

func TestARecordingComesBackAsItWas(t *testing.T) {
	for _, mode := range []connectors.ScopeMode{connectors.ScopeAll, connectors.ScopeAssigned, connectors.ScopeGroups} {
		r := recording(t, mode)
		got, err := LoadSnapshot(strings.NewReader(recordedText(t, r)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got, sameRecording); diff != "" {
			t.Errorf("%s (-saved +loaded):\n%s", mode, diff)
		}
	}
}

func TestLoadSnapshotIsStrict(t *testing.T) {
	good := recordedText(t, recording(t, connectors.ScopeAll))
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the file has no %s", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	tests := map[string]struct{ file, want string }{
		"empty":              {"", "no complete JSON document"},
		"cut short":          {good[:len(good)-20], "no complete JSON document"},
		"something after":    {good + good, "no complete JSON document"},
		"another version":    {replace("snapshot/v1", "snapshot/v9"), "snapshot/v9"},
		"an unknown field":   {replace(`"userName"`, `"username2"`), "unknown field"},
		"a person twice":     {replace(`"u-bob"`, `"u-ann"`), "appears twice"},
		"a person no id":     {replace(`"id": "u-bob"`, `"id": ""`), "without id"},
		"an unknown status":  {replace(`"status": "active"`, `"status": "ill"`), `"ill"`},
		"an unknown mode":    {replace(`"mode": "all"`, `"mode": "some"`), `"some"`},
		"no tenant":          {replace(`"okta:acme.okta.com"`, `""`), "of which directory"},
		"an empty pattern":   {replace(`"oncall-*"`, `""`), "empty pattern"},
		"no list of users":   {`{"format":"rootly-idp-sync/snapshot/v1","name":"a","tenant":"b","at":"2026-01-01T00:00:00Z","mode":"all"}`, "no list of users"},
		"users that are nil": {`{"format":"rootly-idp-sync/snapshot/v1","name":"a","tenant":"b","at":"2026-01-01T00:00:00Z","mode":"all","users":null}`, "no list of users"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := LoadSnapshot(strings.NewReader(tc.file))
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "sources inspect --save") {
				t.Errorf("got %v, want something with %q and the remedy", err, tc.want)
			}
		})
	}
}

func TestAReplayRefusesWhatWasNotRecorded(t *testing.T) {
	tests := map[string]struct {
		recorded connectors.ScopeMode
		query    connectors.Query
		lacks    string
	}{
		"the same":                      {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "oncall-*"), Attributes: []string{"site"}}},
		"less":                          {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all"}},
		"a narrower pattern":            {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "OnCall-pay*", "oncall-*-eu")}},
		"a group that would have come":  {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "oncall-none")}},
		"a recorded group by id":        {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "id:g-oncall-a", "id:g-7")}},
		"one scope group of two":        {recorded: connectors.ScopeGroups, query: connectors.Query{Mode: "groups", Groups: []string{"id:g-eng"}}},
		"another mode":                  {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "assigned"}, lacks: "scope.mode assigned (it has all)"},
		"another scope group":           {recorded: connectors.ScopeGroups, query: connectors.Query{Mode: "groups", Groups: []string{"Sales"}}, lacks: `the scope group "Sales"`},
		"a pushed group is no scope":    {recorded: connectors.ScopeGroups, query: connectors.Query{Mode: "groups", Groups: []string{"oncall-a"}}, lacks: `the scope group "oncall-a"`},
		"another attribute":             {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Attributes: []string{"site", "team"}}, lacks: `the attribute "team"`},
		"a wider pattern":               {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "on*")}, lacks: `groups.push "on*"`},
		"a group that was not asked":    {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "sre")}, lacks: `groups.push "sre"`},
		"an id that was not asked":      {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "id:g-8")}, lacks: `groups.push "id:g-8"`},
		"everything that lacks at once": {recorded: connectors.ScopeAll, query: connectors.Query{Mode: "all", Push: patterns(t, "sre"), Attributes: []string{"team"}}, lacks: `the attribute "team", the members of groups.push "sre"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewReplay(recording(t, tc.recorded), tc.query)
			if tc.lacks == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tc.lacks != "" && (err == nil || !strings.Contains(err.Error(), tc.lacks)) {
				t.Errorf("got %v, want something with %q", err, tc.lacks)
			}
		})
	}
}

// A pattern that a recording covers never means a group that was not recorded.
func TestACoveredPatternMatchesOnlyWhatWasRead(t *testing.T) {
	letters := rapid.StringMatching(`[ab*]{1,5}`)
	rapid.Check(t, func(rt *rapid.T) {
		had, p := patterns(t, letters.Draw(rt, "recorded")), patterns(t, letters.Draw(rt, "wanted"))
		name := rapid.StringMatching(`[ab]{1,6}`).Draw(rt, "group")
		if covers(Recorded{Query: connectors.Query{Push: had}}, p[0]) && p[0].Match("", name) && !had[0].Match("", name) {
			rt.Fatalf("%s is said to cover %s, which means %s", had[0], p[0], name)
		}
	})
}

func TestAReplayOfFewerScopeGroupsHasFewerPeople(t *testing.T) {
	q := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"Eng"}}
	r, err := NewReplay(recording(t, connectors.ScopeGroups), q)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[connectors.UserID]bool{"u-ann": true, "u-bob": false} {
		f, err := r.Lookup(context.Background(), id)
		if err != nil || !f.Known || f.InScopeGroup != want {
			t.Errorf("%s: %+v, %v; want in a scope group: %v", id, f, err, want)
		}
	}
	s, err := r.Fetch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range s.Groups {
		if g.Scope != (g.Name == "Eng") {
			t.Errorf("group %s: scope is %v", g.Name, g.Scope)
		}
	}
	if _, known, _ := r.Members(context.Background(), "g-none"); known {
		t.Error("a group that was not recorded is known")
	}
}

// New rules are tried on what was recorded: every leaver is confirmed by the recording, nobody waits for another read.
func TestAReplayedPlanNeedsNoSecondReading(t *testing.T) {
	w := newWorld().synced("ann", "bob", "off").change(func(u *connectors.User) { u.Status = connectors.StatusDisabled }).
		rootly(account("gone")).linked("gone").synced("sal").change(func(u *connectors.User) { u.Department = "Sales" }).
		group("oncall-a", "ann").rootlyGroup("oncall-a", "ann", "bob").linkedGroup("oncall-a", "ann", "bob").
		rules(func(o *RuleOptions) { o.Where = `user.department != "Sales"` })
	p, ledger := w.planner(t)
	p.Target = Remembered(ledger) // no credentials at all
	plan, err := p.Plan(context.Background(), ledger, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"remove oncall-a: bob@acme.com (changed in the directory)", "deactivate off@acme.com (disabled)",
		"deactivate sal@acme.com (left scope)", "deactivate gone@acme.com (gone from the directory)",
	}
	if diff := cmp.Diff(want, lines(plan)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestRemembered(t *testing.T) {
	ctx := context.Background()
	w := newWorld().synced("ann", "bob").syncedGroup("oncall-a", "ann")
	w.in.ledger.Users["u-bob"].User.Active = false
	w.in.ledger.Users["u-bob"].User.Phones = []connectors.Phone{{Type: "mobile", Value: "+14155550100"}}
	m := Remembered(w.in.ledger)
	users, err := m.Users(ctx)
	if err != nil {
		t.Fatal(err)
	}
	bob := account("bob")
	bob.Active, bob.Phones = false, []scimclient.Phone{{Value: "+14155550100", Type: "mobile"}}
	if diff := cmp.Diff([]scimclient.User{account("ann"), bob}, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
	if us, err := m.FindUsers(ctx, "ANN@acme.com"); err != nil || len(us) != 1 {
		t.Errorf("find by userName: %v, %v", us, err)
	}
	if gs, err := m.FindGroups(ctx, "Oncall-A"); err != nil || len(gs) != 1 || len(gs[0].Members) != 1 {
		t.Errorf("find by displayName: %v, %v", gs, err)
	}
	if _, err := m.User(ctx, "t-none"); !scimclient.Gone(err) {
		t.Errorf("an id that nobody remembers: %v, want a 404", err)
	}
	if _, err := m.Group(ctx, "t-none"); !scimclient.Gone(err) {
		t.Errorf("a group that nobody remembers: %v, want a 404", err)
	}
	empty, err := Remembered(Ledger{}).Users(ctx)
	if err != nil || len(empty) > 0 {
		t.Errorf("an empty ledger: %v, %v; want an empty Rootly", empty, err)
	}
}

// The rules as the ledger remembers them ask for what the rules themselves ask for.
func TestQueryOfTheLedgersRulesIsTheirQuery(t *testing.T) {
	r, err := Compile(RuleOptions{
		Directory: "okta", Mode: connectors.ScopeGroups, Groups: []string{"Staff", "id:7"}, Where: `user.attr("site") != ""`, Push: []string{"oncall-*", "id:8"},
		Exclude: []string{"svc-*"}, Map: map[string]string{"displayName": `user.attr("nick")`, "email": ""},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := QueryOf(r.texts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Query(), got, sameRecording); diff != "" {
		t.Errorf("query (-rules +texts):\n%s", diff)
	}
}
