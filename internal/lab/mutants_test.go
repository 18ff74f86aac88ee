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
	"slices"
	"strings"
	"testing"
)

var (
	allMutants = flag.Bool("mutants", false, "run every mutant, not only the first few")
	oneMutant  = flag.String("mutant", "", "run the mutant of this name")
)

// few is how many mutants a plain test run tries.
const few = 4

// A mutant is the engine with one line of it changed for the worse. TestHistories must break a law within 2,000 seeds.
type mutant struct {
	name string
	file string // below the module's root
	old  string // occurs exactly once
	new  string // MUTANT stands for whether the mutant is awake
}

var mutants = []mutant{
	{"the guard has no limit", "reconcile/guard.go",
		"len(ls)+spent[axis] > allowed {", "!MUTANT && len(ls)+spent[axis] > allowed {"},
	{"an intent is forgotten", "reconcile/applyuser.go",
		"intent, ok := r.intend(ctx, c)", "intent, ok := int64(1), true; if !MUTANT { intent, ok = r.intend(ctx, c) }"},
	{"Confirm is skipped", "reconcile/planner.go",
		"if slices.ContainsFunc(w.changes, Change.destructive) || len(w.toDepart()) > 0 {", "if !MUTANT && (slices.ContainsFunc(w.changes, Change.destructive) || len(w.toDepart()) > 0) {"},
	{"the epoch is ignored", "reconcile/apply.go",
		"return 0, false\n\t}\n\treturn id, true", "return 0, MUTANT\n\t}\n\treturn id, true"},
	{"the rolling day is forgotten", "reconcile/guard.go",
		"spent := maps.Clone(d.ledger.Spent)", "spent := maps.Clone(d.ledger.Spent); if MUTANT { spent = nil }"},
	{"first contact takes away", "reconcile/guard.go",
		`case d.ledger.Rules == "":`, `case d.ledger.Rules == "" && !MUTANT:`},
	{"changed rules take away", "reconcile/guard.go",
		"case d.rulesChanged():", "case d.rulesChanged() && !MUTANT:"},
	{"removals: never is not asked", "reconcile/guard.go",
		"if d.rules.additive {", "if d.rules.additive && !MUTANT {"},
	{"the cycle after a quarantine takes away", "reconcile/guard.go",
		"if d.ledger.Quarantine != nil {", "if d.ledger.Quarantine != nil && !MUTANT {"},
	{"what is in doubt goes", "reconcile/guard.go",
		"ok && l.axis == AxisDeactivations && f.proof == unproven {", "!MUTANT && ok && l.axis == AxisDeactivations && f.proof == unproven {"},
	{"a contradiction is believed", "reconcile/confirm.go",
		"return finding{proof: contradicted, text:", "if MUTANT { return finding{proof: confirmed, verdict: p.verdict} }; return finding{proof: contradicted, text:"},
	{"one reading of a group is enough", "reconcile/diffgroups.go",
		"owned && g.spared[connectors.UserID(d.people[owner].id)] || ", "!MUTANT && owned && g.spared[connectors.UserID(d.people[owner].id)] || "},
	{"guard.protect is not asked", "reconcile/match.go",
		"pat, ok := d.rules.protect.Match(p.id, p.want.UserName, name, p.ref().Name)", "pat, ok := d.rules.protect.Match(p.id, p.want.UserName, name, p.ref().Name); ok = ok && !MUTANT"},
	{"scope.exclude is not asked", "reconcile/scope.go",
		"if pat, ok := r.exclude.Match(string(u.ID), want.UserName, u.UserName); ok {", "if pat, ok := r.exclude.Match(string(u.ID), want.UserName, u.UserName); ok && !MUTANT {"},
	{"pins are not asked", "reconcile/match.go",
		"case d.ledger.Pinned[p.id]:", "case d.ledger.Pinned[p.id] && !MUTANT:"},
	{"a hand's deactivation is turned back", "reconcile/match.go",
		"case p.byHand():", "case p.byHand() && !MUTANT:"},
	{"a foreign externalId is matched by userName", "reconcile/match.go",
		`case u.ExternalID != "" && u.ExternalID != p.want.ExternalID:`, `case u.ExternalID != "" && u.ExternalID != p.want.ExternalID && !MUTANT:`},
	{"a foreign externalId is adopted after a 409", "reconcile/applyuser.go",
		`case u.ExternalID != "" && u.ExternalID != c.user.ExternalID:`, `case u.ExternalID != "" && u.ExternalID != c.user.ExternalID && !MUTANT:`},
	{"an account of somebody else by now is ours", "reconcile/match.go",
		`return want != "" || l.User.ExternalID != ""`, `return !MUTANT && (want != "" || l.User.ExternalID != "")`},
	{"a group of somebody else by now is ours", "reconcile/matchgroups.go",
		"case g.link != nil && g.target != nil && g.foreign():", "case g.link != nil && g.target != nil && g.foreign() && !MUTANT:"},
	{"the frozen are taken out of groups", "reconcile/diffgroups.go",
		"return i, d.people[owner].wanted()", "return i, d.people[owner].wanted() || MUTANT && d.people[owner].standing == standIn"},
	{"the outcome is recorded before sending", "reconcile/applyuser.go",
		"u, err := r.sendUser(ctx, c)", "if MUTANT { r.settle(ctx, c, Settled{Intent: intent, Outcome: OutcomeDone}, nil) }; u, err := r.sendUser(ctx, c)"},
	{"an unknown outcome counts as done", "reconcile/apply.go",
		"errors.AsType[*scimclient.UnknownError](err); ok {\n\t\treturn OutcomeUnknown", "errors.AsType[*scimclient.UnknownError](err); ok {\n\t\tif MUTANT { return OutcomeDone }; return OutcomeUnknown"},
	{"open intents are left open", "reconcile/planner.go",
		"in.ledger, w.resolved = resolve(ledger, in)", "if !MUTANT { in.ledger, w.resolved = resolve(ledger, in) }"},
	{"open intents count as done", "reconcile/resolve.go",
		"if u == nil || !arrived(i.Change.Fields, valuesOf(u)) {", "if u == nil || !MUTANT && !arrived(i.Change.Fields, valuesOf(u)) {"},
	{"what was left open costs nothing", "reconcile/resolve.go",
		"spent[axis] += n", "if !MUTANT { spent[axis] += n }"},
	{"a POST is repeated blindly", "scimclient/create.go",
		"found, ok, lerr := k.lookUp(ctx, cr)", "found, ok, lerr := k.lookUp(ctx, cr); if MUTANT { found, ok, lerr = zero, false, nil }"},
	{"a member listed twice is one too many", "scimclient/decode.go",
		`id != "" && !listed[id] {`, `id != "" && (MUTANT || !listed[id]) {`},
	{"an emptied group is not weighed", "reconcile/guard.go",
		"if d.empties(c, leavers[o.Target]) && ", "if !MUTANT && d.empties(c, leavers[o.Target]) && "},
	{"who leaves does not empty a group", "reconcile/guard.go",
		"len(c.Members)+leavers >= d", "len(c.Members)+map[bool]int{false: leavers}[MUTANT] >= d"},
	{"a deleted group is not weighed", "reconcile/guard.go",
		"deletion(c)...)", "deletion(c)[map[bool]int{true: 1}[MUTANT]:]...)"},
	{"a gained role is not weighed", "reconcile/guard.go",
		"case c.Verb == VerbAdd && o.Role:", "case c.Verb == VerbAdd && o.Role && !MUTANT:"},
	{"a lagging listing is believed", "reconcile/applyuser.go",
		`case o.Target == "":`, `case o.Target == "" || MUTANT:`},
	{"nobody asks who leads", "scimclient/request.go",
		"err := c.opts.Allow(); err != nil {", "err := c.opts.Allow(); err != nil && !MUTANT {"},
	{"a suspension is overlooked at Google", "connectors/google/users.go",
		"case u.Suspended:", "case u.Suspended && !MUTANT:"},
	{"a disabled account is overlooked at Keycloak", "connectors/keycloak/users.go",
		"if !*u.Enabled {", "if !*u.Enabled && !MUTANT {"},
	{"a suspension is overlooked", "connectors/okta/users.go",
		`"SUSPENDED":        connectors.StatusDisabled`, `"SUSPENDED": map[bool]connectors.Status{false: connectors.StatusDisabled, true: connectors.StatusActive}[MUTANT]`},
	{"a locked account is a leaver", "connectors/okta/users.go",
		`"LOCKED_OUT":       connectors.StatusActive`, `"LOCKED_OUT": map[bool]connectors.Status{false: connectors.StatusActive, true: connectors.StatusDisabled}[MUTANT]`},
}

// TestMutants shows that TestHistories can fail: with one line of the engine changed for the worse, it does. All mutants
// are built into one binary, asleep, by an overlay over the source; the product knows nothing of them.
func TestMutants(t *testing.T) {
	chosen := mutants[:few]
	if *allMutants {
		chosen = mutants
	}
	if *oneMutant != "" {
		chosen = slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return m.name != *oneMutant })
	}
	binary, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range chosen {
		seed, law, err := m.run(t.Context(), binary)
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		t.Logf("| %s | %s | %s |", m.name, seed, law)
	}
}

const root = "../.."

// awake wakes the mutant that the environment names.
const awake = `package %s

import "os"

var awakeMutant = os.Getenv("LAB_MUTANT")

func mutant(name string) bool { return awakeMutant == name }
`

// overlay writes the changed sources into dir and returns what lies over what.
func overlay(dir string) (map[string]string, error) {
	sources, over := map[string]string{}, map[string]string{}
	for _, m := range mutants {
		path, err := filepath.Abs(filepath.Join(root, m.file))
		if err != nil {
			return nil, err
		}
		if sources[path] == "" {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			sources[path] = string(text)
			sources[filepath.Join(filepath.Dir(path), "mutant.go")] = fmt.Sprintf(awake, filepath.Base(filepath.Dir(path)))
		}
		if n := strings.Count(sources[path], m.old); n != 1 {
			return nil, fmt.Errorf("%s: %q occurs %d times in %s: write the mutant anew", m.name, m.old, n, m.file)
		}
		changed := strings.ReplaceAll(m.new, "MUTANT", fmt.Sprintf("mutant(%q)", m.name))
		sources[path] = strings.Replace(sources[path], m.old, changed, 1)
	}
	for path, text := range sources {
		over[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(over)))
		if err := os.WriteFile(over[path], []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return over, nil
}

func build(ctx context.Context, dir string) (binary string, err error) {
	over, err := overlay(dir)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": over})
	if err != nil {
		return "", err
	}
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "lab.test")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-tags=noentra", "-vet=off", "-ldflags=-s -w", "-overlay="+list, "-o="+binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
}

var brokenLaw = regexp.MustCompile(`seed (\d+) breaks the law: (.*)`)

// run looks for a history that breaks a law while the mutant is awake.
func (m mutant) run(ctx context.Context, binary string) (seed, law string, err error) {
	cmd := exec.CommandContext(ctx, binary, "-test.run=^TestHistories$", "-histories=2000", "-shrink=false")
	cmd.Env = append(os.Environ(), "LAB_MUTANT="+m.name)
	out, err := cmd.CombinedOutput()
	found := brokenLaw.FindSubmatch(out)
	switch {
	case found != nil:
		return string(found[1]), string(found[2]), nil
	case err != nil: // it did not even come so far
		return "", "", fmt.Errorf("%w\n%.2000s", err, out)
	}
	return "", "", errors.New("not caught within 2,000 seeds")
}
