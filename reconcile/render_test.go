package reconcile

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func userRef(id, name string) Ref {
	return Ref{Kind: KindUser, Source: id, Target: "t-" + id, Name: name}
}

func groupRef(id, name string) Ref {
	return Ref{Kind: KindGroup, Source: id, Target: "t-" + id, Name: name}
}

func roleRef(id, name string) Ref {
	r := groupRef(id, name)
	r.Role = true
	return r
}

// everything is a plan with each verb, reason, note kind and cause of holding.
func everything() Plan {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	set := func(axis Axis, fingerprint, reason string, created time.Time, items ...string) (HeldSet, Objection) {
		s := HeldSet{Fingerprint: fingerprint, Axis: axis, Reason: reason, Created: created}
		for _, i := range items {
			s.Items = append(s.Items, HeldItem{Key: "key of " + i, Name: i})
		}
		return s, Objection{Axis: axis, Count: len(items), Text: reason, Remedy: "look through the held changes; if they are right: rootly-idp-sync approve " + fingerprint}
	}
	many, tooMany := set(AxisDeactivations, "60cd1b7adb9b", "2 of 5 managed people would be deactivated; at most 1 may within a day", at.Add(-5*time.Hour), "held1@acme.com", "held2@acme.com")
	rules, byRules := set(AxisConfiguration, "1f2e3d4c5b6a", "because scope.where changed, not because the directory says so", at, "held3@acme.com")
	first, atFirst := set(AxisFirstContact, "0a1b2c3d4e5f", "first contact with this Rootly: what would be taken away waits for a yes", at.Add(-72*time.Hour), "held4@acme.com from oncall-data")
	source, vanished := set(AxisSource, "77665544aabb", "the directory no longer lists 4 of 5 managed people, at most 1 may vanish at once: its answer may be short, so nothing at all is taken away", at.Add(-40*time.Minute), "held5@acme.com", "held6@acme.com")
	short := Objection{Axis: AxisShortRead, Count: 1, Text: "the read was short: held7@acme.com: the listing says gone, asked again the directory says in scope; nothing is taken away in this run",
		Remedy: "nothing is to be done; if it comes again, look at the directory's health and at what the credential may read"}
	once := "the directory no longer knows this id; " + onceText
	return Plan{
		Source: "okta:acme.okta.com",
		Target: "https://rootly.com/scim",
		At:     at,
		Changes: []Change{
			{Verb: VerbLink, Object: userRef("u1", "lina@acme.com"), Why: WhyFirstMatch, Detail: "by userName"},
			{Verb: VerbCreate, Object: Ref{Kind: KindUser, Source: "u2", Name: "nora@acme.com"}, Why: WhyJoined, Detail: "scope.mode assigned",
				Fields: []Field{{Name: "userName", To: "nora@acme.com", Why: WhyJoined}, {Name: "active", To: "true", Why: WhyJoined}}},
			{Verb: VerbReactivate, Object: userRef("u3", "rosa@acme.com"), Why: WhyReturned,
				Fields: []Field{{Name: "active", From: "false", To: "true", Why: WhyReturned}, {Name: "displayName", From: "Rosa", To: "Rosa Roth", Why: WhyDirectory}}},
			{Verb: VerbUpdate, Object: userRef("u4", "otto@acme.com"), Why: WhyDirectory, Fields: []Field{
				{Name: "userName", From: "otto.alt@acme.com", To: "otto@acme.com", Why: WhyDirectory},
				{Name: "displayName", From: "by hand", To: "Otto Ott", Why: WhyDrift},
				{Name: "phoneNumbers.mobile", From: "+15550100", To: "", Why: WhyDirectory}}},
			{Verb: VerbUpdate, Object: userRef("u5", "dora@acme.com"), Why: WhyDrift, Fields: []Field{{Name: "name.givenName", From: "D\u00a0", To: "Dora", Why: WhyDrift}}},
			{Verb: VerbUpdate, Object: userRef("u6", "cora@acme.com"), Why: WhyConfig, Fields: []Field{{Name: "displayName", From: "Cora", To: "C.", Why: WhyConfig}}},
			{Verb: VerbCreate, Object: Ref{Kind: KindGroup, Source: "g1", Name: "oncall-web"}, Why: WhyJoined},
			{Verb: VerbUpdate, Object: groupRef("g2", "oncall-data"), Why: WhyDirectory, Fields: []Field{{Name: "displayName", From: "oncall-db", To: "oncall-data", Why: WhyDirectory}}},
			{Verb: VerbAdd, Object: Ref{Kind: KindGroup, Source: "g1", Name: "oncall-web"}, Why: WhyJoined, Members: []Membership{
				{User: userRef("u2", "nora@acme.com"), Why: WhyJoined}, {User: userRef("u3", "rosa@acme.com"), Why: WhyReturned}}},
			{Verb: VerbRemove, Object: groupRef("g2", "oncall-data"), Why: WhyDirectory, Members: []Membership{
				{User: userRef("u4", "otto@acme.com"), Why: WhyDirectory}, {User: userRef("x9", "stranger@acme.com"), Why: WhyDrift}}},
			{Verb: VerbDeactivate, Object: userRef("u7", "lars@acme.com"), Why: WhyLeftScope, Detail: "not assigned to the application"},
			{Verb: VerbDeactivate, Object: userRef("u8", "dirk@acme.com"), Why: WhyDisabled, Detail: "SUSPENDED",
				Groups: []Ref{groupRef("g2", "oncall-data"), groupRef("g3", "oncall-payments"), roleRef("g9", "incident-admins")},
				Fields: []Field{{Name: "active", From: "true", To: "false", Why: WhyDisabled}}},
			{Verb: VerbDelete, Object: userRef("u9", "gero@acme.com"), Why: WhyGone},
			{Verb: VerbAdd, Object: roleRef("g9", "incident-admins"), Why: WhyDirectory, Spends: map[Axis]int{AxisPrivileged: 1}, Members: []Membership{{User: userRef("u4", "otto@acme.com"), Why: WhyDirectory}}},
			{Verb: VerbDelete, Object: roleRef("g10", "old-admins"), Why: WhyGone, Detail: "groups.on_removed", Members: []Membership{
				{User: userRef("u4", "otto@acme.com"), Why: WhyGone}, {User: userRef("u6", "cora@acme.com"), Why: WhyGone}}},
			{Verb: VerbUpdate, Object: userRef("u13", "back@acme.com"), Why: WhyUndo, Detail: "changed by that cycle",
				Fields: []Field{{Name: "displayName", From: "New", To: "Old", Why: WhyUndo}}},
		},
		Held: []Change{
			{Verb: VerbUpdate, Object: userRef("u12", "wait@acme.com"), Why: WhyDirectory, Held: "waiting after 2 failed tries until 2026-03-01 04:00 UTC: 403 Forbidden"},
			{Verb: VerbDeactivate, Object: userRef("u10", "held1@acme.com"), Why: WhyLeftScope, Held: many.Reason, Set: many.Fingerprint, Groups: []Ref{groupRef("g3", "oncall-payments")}},
			{Verb: VerbDeactivate, Object: userRef("u11", "held2@acme.com"), Why: WhyGone, Held: many.Reason, Set: many.Fingerprint},
			{Verb: VerbDeactivate, Object: userRef("u14", "held3@acme.com"), Why: WhyLeftScope, Held: rules.Reason, Set: rules.Fingerprint},
			{Verb: VerbRemove, Object: groupRef("g2", "oncall-data"), Why: WhyDirectory, Held: first.Reason, Set: first.Fingerprint,
				Members: []Membership{{User: userRef("u15", "held4@acme.com"), Why: WhyDirectory}}},
			{Verb: VerbDeactivate, Object: userRef("u16", "held7@acme.com"), Why: WhyGone, Held: short.Text},
			{Verb: VerbDeactivate, Object: userRef("u17", "once@acme.com"), Why: WhyGone, Held: once},
			{Verb: VerbDeactivate, Object: userRef("u18", "silent@acme.com"), Why: WhyLeftScope, Held: "asked again, the directory did not answer: okta: 503 Service Unavailable"},
			{Verb: VerbRemove, Object: roleRef("g9", "incident-admins"), Why: WhyDirectory, Held: once, Members: []Membership{{User: userRef("u20", "admin@acme.com"), Why: WhyDirectory}}},
			{Verb: VerbDeactivate, Object: userRef("u19", "never@acme.com"), Why: WhyLeftScope, Held: "removals: never"},
		},
		Objections: []Objection{tooMany, byRules, atFirst, vanished, short, {Axis: AxisRenames, Text: "an objection without a set", Remedy: "its remedy"}},
		Sets:       []HeldSet{many, rules, first, source},
		Notes: []Note{
			{Kind: NoteConflict, Object: userRef("n1", "twin@acme.com"), Text: "two people of the directory map to this userName: n1, n2", Remedy: "give one of them another userName, or exclude one"},
			{Kind: NoteUnmapped, Object: userRef("n3", "svc"), Text: `userName "svc" is no e-mail address`, Remedy: "set map.userName"},
			{Kind: NoteProtected, Object: userRef("n4", "ceo@acme.com"), Text: `guard.protect has "ceo@acme.com"; would be deactivated`},
			{Kind: NoteExcluded, Object: userRef("n5", "svc-a@acme.com"), Text: `scope.exclude has "svc-*@acme.com"`},
			{Kind: NoteByHand, Object: userRef("n6", "hand@acme.com"), Text: "active in the directory, deactivated in Rootly by hand"},
			{Kind: NotePinned, Object: userRef("n10", "pinned@acme.com"), Text: "restored by undo, and left as they are until unpinned", Remedy: "to sync them again: rootly-idp-sync undo --unpin pinned@acme.com"},
			{Kind: NoteStuck, Object: userRef("n7", "stuck@acme.com"), Text: "Rootly accepted displayName twice and did not keep it"},
			{Kind: NoteLeft, Object: groupRef("n8", "oncall-old"), Text: "gone from the directory"},
			{Kind: NoteWaiting, Object: userRef("n9", "later@acme.com"), Text: "refused 2 times, next try in 3 hours"},
			{Kind: NoteRole, Object: roleRef("g9", "incident-admins"), Text: `the role group "admins" gets another name`, Remedy: "see that whoever renamed it in the directory may do so"},
		},
		Counts: Counts{Directory: 300, InScope: 280, Groups: 25, TargetUsers: 281, TargetGroups: 26, Managed: 279, ManagedGroups: 25},
		Writes: 14,
		Cost:   Cost{Directory: 23, Read: 12, Write: 14, ExpectedMS: 1400, MaxRate: 25},
	}
}

func applied() Report {
	p := everything()
	r := Report{Plan: p, Cycle: 7, Took: 3210 * time.Millisecond, Stopped: "interrupted"}
	for i, c := range p.Changes {
		res := Result{Change: c, Outcome: OutcomeDone, Took: 20 * time.Millisecond}
		switch i {
		case 3:
			res.Outcome, res.Error, res.Remedy = OutcomeFailed, "update user: 403 Forbidden\nnot yours", "ask in Rootly who may change this person"
		case 9:
			res.Outcome, res.Error = OutcomeUnknown, "change members: outcome unknown: unexpected EOF"
		case 12:
			res.Outcome = OutcomeSkipped
		}
		r.Results = append(r.Results, res)
	}
	return r
}

func mustJSON(t *testing.T) func([]byte, error) string {
	return func(b []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
}

func TestRenderingsAreAsReviewed(t *testing.T) {
	brackets := func(name string) func(string) string {
		return func(s string) string { return "<" + name + ">" + s + "</>" }
	}
	colours := Palette{Add: brackets("add"), Change: brackets("change"), Remove: brackets("remove"), Warn: brackets("warn"), Strong: brackets("strong"), Faint: brackets("faint")}
	plan, report := everything(), applied()
	empty := Plan{Source: plan.Source, Target: plan.Target, At: plan.At, Counts: plan.Counts}
	renderings := map[string]string{
		"plan.txt":          plan.Text(TextOptions{}),
		"plan-coloured.txt": plan.Text(TextOptions{Palette: colours}),
		"plan.md":           plan.Markdown(),
		"plan.json":         mustJSON(t)(plan.JSON()),
		"empty.txt":         empty.Text(TextOptions{}),
		"empty.json":        mustJSON(t)(empty.JSON()),
		"report.txt":        report.Text(TextOptions{}),
		"report-brief.txt":  report.Text(TextOptions{Brief: true}),
		"report.md":         report.Markdown(),
		"report.json":       mustJSON(t)(report.JSON()),
	}
	for name, got := range renderings {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", "render", name)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("rendering (-want +got; -update writes it):\n%s", diff)
			}
		})
	}
}

func TestEveryChangeHeldAndNoteAppearsInEveryRendering(t *testing.T) {
	p := everything()
	for name, out := range map[string]string{"text": p.Text(TextOptions{Limit: 1}), "markdown": p.Markdown(), "json": mustJSON(t)(p.JSON())} {
		for _, c := range append(p.Changes[9:], p.Held...) { // what takes away is never shortened
			if !strings.Contains(out, c.Object.Name) {
				t.Errorf("%s lacks %s", name, c.Key())
			}
		}
		for _, n := range p.Notes {
			if !strings.Contains(out, n.Object.Name) {
				t.Errorf("%s lacks the %s note", name, n.Kind)
			}
		}
		for _, s := range p.Sets {
			for _, want := range append(strings.Split(s.Items[0].Name, " from "), s.Fingerprint, s.Reason) {
				if !strings.Contains(out, want) {
					t.Errorf("%s says nothing of %q, of the set %s", name, want, s.Fingerprint)
				}
			}
		}
	}
}

func TestApproveIsOfferedOnlyForWhatTheStoreKnows(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	plan := func(created time.Time) Plan {
		return Plan{At: at, Sets: []HeldSet{{Fingerprint: "60cd1b7adb9b", Axis: AxisRenames, Reason: "r", Created: created, Items: []HeldItem{{Name: "a"}}}}}
	}
	const first, later = "run sync, which records the set, then rootly-idp-sync approve 60cd1b7adb9b", "if they are right: rootly-idp-sync approve 60cd1b7adb9b"
	for name, tc := range map[string]struct{ out, want string }{
		"a plan's new set":   {plan(at).Text(TextOptions{}), first},
		"a plan's old set":   {plan(at.Add(-time.Hour)).Text(TextOptions{}), later},
		"a report's new set": {Report{Plan: plan(at)}.Text(TextOptions{}), later},
	} {
		if !strings.Contains(tc.out, tc.want) {
			t.Errorf("%s lacks %q:\n%s", name, tc.want, tc.out)
		}
	}
}

func TestLimitShortensOnlyWhatGives(t *testing.T) {
	p := Plan{}
	for _, n := range []string{"a", "b", "c", "d"} {
		p.Changes = append(p.Changes,
			Change{Verb: VerbCreate, Object: userRef(n, n+"-new@acme.com"), Why: WhyJoined},
			Change{Verb: VerbDeactivate, Object: userRef(n, n+"-old@acme.com"), Why: WhyGone})
	}
	out := p.Text(TextOptions{Limit: 1})
	if n := strings.Count(out, "-new@acme.com"); n != 1 {
		t.Errorf("%d creations shown, want 1:\n%s", n, out)
	}
	if !strings.Contains(out, "3 more to create") {
		t.Errorf("the rest is not counted:\n%s", out)
	}
	if n := strings.Count(out, "-old@acme.com"); n != 4 {
		t.Errorf("%d deactivations shown, want all 4:\n%s", n, out)
	}
}

// hostile is what a directory entry may try on a terminal, a forge and a parser.
const hostile = "eve\x1b[2J\x1b]0;pwn\x07\u202egpj.exe\u200b\u0085\x7f\U000e0041`a`@team <b> [x](http://evil) | www.evil.com\xff\nPlan: nothing"

func hostilePlan() Plan {
	c := Change{Verb: VerbUpdate, Object: Ref{Kind: KindUser, Source: hostile, Name: hostile}, Why: WhyDirectory, Detail: hostile,
		Fields: []Field{{Name: "displayName", From: hostile, To: hostile, Why: WhyDirectory}}}
	members := Change{Verb: VerbRemove, Object: Ref{Kind: KindGroup, Source: "g", Name: hostile}, Why: WhyDirectory,
		Members: []Membership{{User: c.Object, Why: WhyDrift}}}
	held := c
	held.Verb, held.Held, held.Groups = VerbDeactivate, hostile, []Ref{{Kind: KindGroup, Name: hostile}}
	return Plan{Source: hostile, Changes: []Change{c, members}, Held: []Change{held},
		Objections: []Objection{{Axis: AxisRenames, Text: hostile, Remedy: hostile}, {Axis: AxisShortRead, Text: hostile, Remedy: hostile}},
		Sets:       []HeldSet{{Fingerprint: hostile, Axis: Axis(hostile), Reason: hostile, Items: []HeldItem{{Key: hostile, Name: hostile}}}},
		Notes:      []Note{{Kind: NoteConflict, Object: c.Object, Text: hostile, Remedy: hostile}}}
}

func TestNoControlOrFormattingCharacterOfADirectoryReachesTheReader(t *testing.T) {
	p := hostilePlan()
	r := Report{Plan: p, Stopped: hostile, Results: []Result{{Change: p.Changes[0], Outcome: OutcomeFailed, Error: hostile, Remedy: hostile}}}
	for name, out := range map[string]string{
		"plan text": p.Text(TextOptions{}), "plan markdown": p.Markdown(), "plan json": mustJSON(t)(p.JSON()),
		"report text": r.Text(TextOptions{}), "report markdown": r.Markdown(), "report json": mustJSON(t)(r.JSON()),
	} {
		for _, c := range out {
			if c != '\n' && hidden(c) || c == '\uFFFD' && !strings.Contains(name, "json") {
				t.Errorf("%s contains %U", name, c)
			}
		}
		if strings.Contains(out, "\nPlan: nothing") {
			t.Errorf("%s lets a name begin a line", name)
		}
	}
}

func TestMarkdownOfADirectoryIsInert(t *testing.T) {
	for in, want := range map[string]string{
		"@team and <b>":         `@<!-- -->team and \<b\>`,
		"anna@acme.com":         "anna@acme.com",
		"[x](http://evil)":      `\[x\](http\://evil)`,
		"see www.evil.com":      `see www\.evil.com`,
		"a\nb":                  "a; b",
		"`code` *bold* _it_ #1": "\\`code\\` \\*bold\\* \\_it\\_ #1",
	} {
		if got := EscapeMarkdown(in); got != want {
			t.Errorf("EscapeMarkdown(%q) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"plain": "`plain`", "a`b": "`` a`b ``", "a``b`": "``` a``b` ```", "": "`  `"} {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestJSONOfHostileNamesStaysJSON(t *testing.T) {
	var got struct {
		Format  string
		Changes []struct{ Object Ref }
	}
	if err := json.Unmarshal([]byte(mustJSON(t)(hostilePlan().JSON())), &got); err != nil {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(hostile, "\uFFFD"); got.Changes[0].Object.Name != want {
		t.Errorf("name came back as %q, want %q", got.Changes[0].Object.Name, want)
	}
}
