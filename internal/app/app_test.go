package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

func TestExitCodeFollowsFromTheReport(t *testing.T) {
	results := func(outcomes ...reconcile.Outcome) []reconcile.Result {
		var out []reconcile.Result
		for _, o := range outcomes {
			out = append(out, reconcile.Result{Outcome: o})
		}
		return out
	}
	held := reconcile.Plan{Objections: []reconcile.Objection{{Axis: reconcile.AxisDeactivations}}}
	tests := map[string]struct {
		report reconcile.Report
		want   exitCode
	}{
		"nothing to do":                 {reconcile.Report{}, exitDone},
		"all done":                      {reconcile.Report{Results: results(reconcile.OutcomeDone)}, exitDone},
		"one refused of two":            {reconcile.Report{Results: results(reconcile.OutcomeDone, reconcile.OutcomeFailed)}, exitPartial},
		"not kept is not done":          {reconcile.Report{Results: results(reconcile.OutcomeDone, reconcile.OutcomeNotKept)}, exitPartial},
		"all refused":                   {reconcile.Report{Results: results(reconcile.OutcomeFailed)}, exitFailed},
		"stopped on the way":            {reconcile.Report{Results: results(reconcile.OutcomeDone, reconcile.OutcomeSkipped), Stopped: "interrupted"}, exitPartial},
		"stopped before anything":       {reconcile.Report{Stopped: "interrupted"}, exitFailed},
		"held":                          {reconcile.Report{Plan: held}, exitHeld},
		"held, the rest done":           {reconcile.Report{Plan: held, Results: results(reconcile.OutcomeDone)}, exitHeld},
		"a failure outweighs what held": {reconcile.Report{Plan: held, Results: results(reconcile.OutcomeFailed)}, exitFailed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(tc.report); got != tc.want {
				t.Errorf("exit code %d, want %d", got, tc.want)
			}
		})
	}
}

func TestDriftIsFoundInEveryPlaceOfAChange(t *testing.T) {
	plan := reconcile.Plan{
		Changes: []reconcile.Change{
			{Verb: reconcile.VerbCreate, Why: reconcile.WhyJoined},
			{Verb: reconcile.VerbUpdate, Why: reconcile.WhyDrift},
			{Verb: reconcile.VerbUpdate, Why: reconcile.WhyDirectory, Fields: []reconcile.Field{{Why: reconcile.WhyDrift}}},
			{Verb: reconcile.VerbRemove, Why: reconcile.WhyDirectory, Members: []reconcile.Membership{{Why: reconcile.WhyDrift}}},
		},
		Held: []reconcile.Change{{Verb: reconcile.VerbRemove, Why: reconcile.WhyDrift}},
	}
	if got := len(drifted(plan)); got != 4 {
		t.Errorf("%d changes are drift, want 4", got)
	}
}

func TestInitAsksUntilAnswersWillDo(t *testing.T) {
	tests := map[string]struct {
		answers string
		want    config.Answers
	}{
		"okta by app": {
			"ad\nOKTA\n\nhttps://acme.okta.com\nassigned\n0oa1\n\n",
			config.Answers{Source: "okta", OrgURL: "https://acme.okta.com", Mode: connectors.ScopeAssigned, AppID: "0oa1"},
		},
		"files by groups": {
			"file\npeople.csv\n\ngroups\nSRE, Platform\noncall-*\n",
			config.Answers{Source: "file", Path: "people.csv", Mode: connectors.ScopeGroups, ScopeGroups: []string{"SRE", "Platform"}, Push: []string{"oncall-*"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			got, err := ask(strings.NewReader(tc.answers), &out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := ask(strings.NewReader("okta\n"), &bytes.Buffer{}); err == nil {
		t.Error("questions without answers gave a configuration")
	}
}

func TestPagesAreHarmlessAndComplete(t *testing.T) {
	p := page{
		title: "org \x1b[2J",
		sections: []pageSection{{
			title: "People", header: []string{"name", "why"},
			rows:  [][]string{{"a|b", "x\u202ey"}, {"✗", "<script>"}},
			lines: []string{"*bold*"},
		}},
		data: map[string]string{"name": "\x1b\u202e"},
	}
	js, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": p.Text(reconcile.TextOptions{}), "markdown": p.Markdown(), "json": string(js)} {
		if strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%s: %q", name, out)
		}
	}
	if md := p.Markdown(); !strings.Contains(md, `| a\|b |`) || strings.Contains(md, "<script>") {
		t.Errorf("markdown is not escaped:\n%s", md)
	}
}

func TestRulesOfTheConfigurationAllReachTheEngine(t *testing.T) {
	name := "user.nickname"
	cfg := config.Default()
	cfg.Source.Okta = &config.Okta{}
	cfg.Scope = config.Scope{Mode: connectors.ScopeGroups, Groups: []string{"g"}, Where: "true", Exclude: []string{"e"}}
	cfg.Groups = config.Groups{Push: []string{"p"}, Privileged: []string{"r"}, OnRemoved: config.OnRemovedEmpty}
	cfg.Map.DisplayName = &name
	cfg.Guard.Protect = []string{"ceo"}
	cfg.Guard.Renames.Floor = 9
	cfg.Removals = config.RemovalsNever
	cfg.DeleteAfter = config.Duration(48 * time.Hour)
	const day = 24 * time.Hour
	want := reconcile.RuleOptions{
		Directory: "okta", Narrowed: "app_id=", Mode: connectors.ScopeGroups, Groups: []string{"g"}, Where: "true", Exclude: []string{"e"},
		Push: []string{"p"}, Privileged: []string{"r"}, OnRemoved: reconcile.OnRemovedEmpty, Protect: []string{"ceo"}, Map: map[string]string{"displayName": name}, PhoneRegion: "US", RemovalsNever: true, DeleteAfter: 48 * time.Hour,
		Guard:  reconcile.DefaultLimits(),
		OnCall: reconcile.OnCallOptions{Policy: reconcile.HoldOnCall, Horizon: 7 * day, HoldDisabled: 2 * day, HoldOther: 7 * day},
	}
	cfg.State.None, want.FloorsOnly = true, true
	want.Guard[reconcile.AxisRenames] = reconcile.Limit{Share: 0.2, Count: 100, Floor: 9}
	if diff := cmp.Diff(want, ruleOptions(cfg)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}
