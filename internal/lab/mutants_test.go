package lab

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var (
	allMutants = flag.Bool("mutants", false, "run every mutant, not only the first few")
	oneMutant  = flag.String("mutant", "", "run the mutant of this name")
)

// few is how many mutants a plain test run tries: each is a build of its own.
const few = 2

// A mutant is the engine with one line of it changed for the worse. TestHistories must break a law within 2,000 seeds.
type mutant struct {
	name string
	file string // below the module's root
	old  string // occurs exactly once
	new  string
}

var mutants = []mutant{
	{"the guard has no limit", "reconcile/guard.go",
		"len(ls)+spent[axis] > allowed {", "len(ls)+spent[axis] > allowed+1000 {"},
	{"an intent is forgotten", "reconcile/applyuser.go",
		"intent, ok := r.intend(ctx, c)", "intent, ok := int64(1), true"},
	{"the rolling day is forgotten", "reconcile/guard.go",
		"spent := maps.Clone(d.ledger.Spent)", "spent := map[Axis]int{}"},
	{"first contact takes away", "reconcile/guard.go",
		`case d.ledger.Rules == "":`, "case false:"},
	{"changed rules take away", "reconcile/guard.go",
		"case d.rulesChanged():", "case false:"},
	{"changed rules release a set", "reconcile/guard.go",
		" && !d.released(*s, l, occasion)", ""},
	{"an approval never lapses", "reconcile/guard.go",
		"return !s.Approved.IsZero() && now.Sub(s.Approved) < ApprovalLife", "return !s.Approved.IsZero()"},
	{"an approval is good twice", "reconcile/planner.go",
		"plan.used = sortedKeys(used)", "plan.used = nil"},
	{"removals: never is not asked", "reconcile/guard.go",
		"if d.rules.additive {", "if false {"},
	{"the cycle after a quarantine takes away", "reconcile/guard.go",
		"if d.ledger.Quarantine != nil {", "if false {"},
	{"what is in doubt goes", "reconcile/guard.go",
		"ok && l.axis == AxisDeactivations && f.proof == unproven {", "ok && false && f.proof == unproven {"},
	{"Confirm is skipped", "reconcile/planner.go",
		"if slices.ContainsFunc(w.changes, Change.destructive) || len(w.toDepart()) > 0 {", "if false {"},
	{"a contradiction is believed", "reconcile/confirm.go",
		"return finding{proof: contradicted, text:", "return finding{proof: confirmed, verdict: p.verdict, text:"},
	{"one reading of a group is enough", "reconcile/diffgroups.go",
		"owned && g.spared[connectors.UserID(d.people[owner].id)] || ", ""},
	{"guard.protect is not asked", "reconcile/match.go",
		"pat, ok := d.rules.protect.Match(p.id, p.want.UserName, name, p.ref().Name)", "pat, ok := d.rules.protect.Match()"},
	{"scope.exclude is not asked", "reconcile/scope.go",
		"if pat, ok := r.exclude.Match(string(u.ID), want.UserName, u.UserName); ok {", "if pat, ok := r.exclude.Match(string(u.ID)); ok && false {"},
	{"pins are not asked", "reconcile/match.go",
		"case d.ledger.Pinned[p.id]:", "case false:"},
	{"a hand's deactivation is turned back", "reconcile/match.go",
		"case p.byHand():", "case false:"},
	{"a foreign externalId is matched by userName", "reconcile/match.go",
		"case u.ExternalID != \"\" && u.ExternalID != p.want.ExternalID:", "case false:"},
	{"a foreign externalId is adopted after a 409", "reconcile/applyuser.go",
		"case u.ExternalID != \"\" && u.ExternalID != c.user.ExternalID:", "case false:"},
	{"an account of somebody else by now is ours", "reconcile/match.go",
		"return want != \"\" || l.User.ExternalID != \"\"", "return false"},
	{"a group of somebody else by now is ours", "reconcile/matchgroups.go",
		"case g.link != nil && g.target != nil && g.foreign():", "case false:"},
	{"the frozen are taken out of groups", "reconcile/diffgroups.go",
		"return i, d.people[owner].wanted()", "return i, d.people[owner].standing == standIn"},
	{"the outcome is recorded before sending", "reconcile/applyuser.go",
		"u, err := r.sendUser(ctx, c)", "r.settle(ctx, c, Settled{Intent: intent, Outcome: OutcomeDone}, nil); u, err := r.sendUser(ctx, c)"},
	{"the epoch is ignored", "reconcile/apply.go",
		"return 0, false\n\t}\n\treturn id, true", "return 0, true\n\t}\n\treturn id, true"},
	{"an unknown outcome counts as done", "reconcile/apply.go",
		"errors.AsType[*scimclient.UnknownError](err); ok {\n\t\treturn OutcomeUnknown", "errors.AsType[*scimclient.UnknownError](err); ok {\n\t\treturn OutcomeDone"},
	{"open intents are left open", "reconcile/planner.go",
		"in.ledger, w.resolved = resolve(ledger, in)", "in.ledger, w.resolved = ledger, nil"},
	{"open intents count as done", "reconcile/resolve.go",
		"if u == nil || !arrived(i.Change.Fields, valuesOf(u)) {", "if u == nil {"},
	{"a POST is repeated blindly", "scimclient/create.go",
		"found, ok, lerr := k.lookUp(ctx, cr)", "found, ok, lerr := zero, false, error(nil)"},
	{"a 404 is gone without a GET", "scimclient/write.go",
		"return v, false, k.confirmGone(ctx, ch.op, ch.id, e)", "e.SCIM = true; return v, false, e"},
	{"a short page is believed", "scimclient/list.go",
		"case len(l.ids) != l.total:", "case false:"},
	{"what a lost answer did is not looked at", "scimclient/members.go",
		"done: func(g Group) bool { return len(outstanding(part, g)) == 0 },\n\t\tbody: func(_", "done: func(g Group) bool { return true },\n\t\tbody: func(_"},
	{"a member listed twice is one too many", "scimclient/decode.go",
		"id != \"\" && !listed[id] {", "id != \"\" {"},
	{"a suspension is overlooked", "connectors/okta/users.go",
		"\"SUSPENDED\":        connectors.StatusDisabled", "\"SUSPENDED\":        connectors.StatusActive"},
	{"a locked account is a leaver", "connectors/okta/users.go",
		"\"LOCKED_OUT\":       connectors.StatusActive", "\"LOCKED_OUT\":       connectors.StatusDisabled"},
}

// TestMutants shows that TestHistories can fail: an engine with one line changed for the worse does not pass it. Mutants
// that end at the deadline were not caught.
func TestMutants(t *testing.T) {
	chosen := mutants[:few]
	if *allMutants {
		chosen = mutants
	}
	if *oneMutant != "" {
		chosen = nil
		for _, m := range mutants {
			if m.name == *oneMutant {
				chosen = append(chosen, m)
			}
		}
	}
	for _, m := range mutants { // also those that are not run must still fit
		if err := m.fits(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	for _, m := range chosen {
		seed, law, err := m.run(t.Context(), t.TempDir())
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		t.Logf("| %s | %s | %s |", m.name, seed, law)
	}
}

const root = "../.."

func (m mutant) fits() error {
	source, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return fmt.Errorf("%q occurs %d times in %s: write the mutant anew", m.old, n, m.file)
	}
	return nil
}

var brokenLaw = regexp.MustCompile(`seed (\d+) breaks the law: (.*)`)

// run builds the lab with the changed line laid over the source, and lets it look for a history that breaks a law.
func (m mutant) run(ctx context.Context, dir string) (seed, law string, err error) {
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		return "", "", err
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	changed, overlay, binary := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "lab.test")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", "", err
	}
	if err := errors.Join(os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		return "", "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-tags=noentra", "-vet=off", "-ldflags=-s -w", "-overlay="+overlay, "-o="+binary, ".").CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("%w\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "-test.run=^TestHistories$", "-histories=2000", "-shrink=false").CombinedOutput()
	found := brokenLaw.FindSubmatch(out)
	switch {
	case found != nil:
		return string(found[1]), string(found[2]), nil
	case err != nil: // it did not even come so far
		return "", "", fmt.Errorf("%w\n%.2000s", err, out)
	}
	return "", "", errors.New("not caught within 2,000 seeds")
}
