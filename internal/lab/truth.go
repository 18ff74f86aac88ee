package lab

import (
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// scopeGroup is the group that mode groups means; nobody renames it. roleGroup is what a group is called that carries roles.
const (
	scopeGroup = "staff"
	roleGroup  = "oncall-b"
)

// A ruleset is the operator's rules at one moment.
type ruleset struct {
	where   bool   // scope.where leaves the Sales people out
	mapped  bool   // displayName is mapped in another way
	narrow  bool   // groups.push is only oncall-a*
	exclude string // directory ids; "" is nobody
	protect string
}

// truth is the directory and the rules at one moment, as they really were.
type truth struct {
	of     *Directory
	rules  ruleset
	people map[string]sim.Person // by directory id
	teams  map[string]team
}

type team struct {
	name    string
	members map[string]bool // directory ids
}

// record notes how things are now.
func (w *world) record() {
	t := truth{of: w.directory, rules: w.rules, people: map[string]sim.Person{}, teams: map[string]team{}}
	ids := map[string]string{}
	for _, p := range w.people() {
		t.people[p.ID] = p
		ids[strings.ToLower(p.Login)] = p.ID
	}
	for _, g := range w.company.Groups() {
		members := map[string]bool{}
		for _, login := range g.Members {
			members[ids[strings.ToLower(login)]] = true
		}
		t.teams[w.directory.id(g.ID)] = team{g.Name, members}
	}
	w.truth = append(w.truth, t)
}

// everCalled are the people who had this login at some moment.
func (w *world) everCalled(login string) map[string]bool {
	out := map[string]bool{}
	for _, t := range w.truth {
		for id, p := range t.people {
			if strings.EqualFold(p.Login, login) {
				out[id] = true
			}
		}
	}
	return out
}

// off tells whether the directory itself no longer has the person at work.
func (t truth) off(id string) bool {
	p, ok := t.people[id]
	return !ok || slices.Contains(t.of.Off, p.Status)
}

// lost tells whether the directory and the rules give the person up.
func (t truth) lost(mode connectors.ScopeMode, id string) bool {
	if t.off(id) {
		return true
	}
	p := t.people[id]
	in := p.Assigned
	if mode == connectors.ScopeGroups {
		in = false
		for _, g := range t.teams {
			in = in || g.name == scopeGroup && g.members[id]
		}
	}
	return !in || t.rules.where && p.Department == "Sales"
}

// pushes tells whether the group is one of those that are pushed.
func (t truth) pushes(id string) bool {
	prefix := "oncall-"
	if t.rules.narrow {
		prefix = "oncall-a"
	}
	return strings.HasPrefix(t.teams[id].name, prefix)
}

// window are the moments that a process may have read: since the beginning of the cycle before its own.
func (p *process) window() []truth { return p.w.truth[p.since:] }

// ever and always look through a window.
func ever(ts []truth, f func(truth) bool) bool { return slices.ContainsFunc(ts, f) }
func always(ts []truth, f func(truth) bool) bool {
	return !slices.ContainsFunc(ts, func(t truth) bool { return !f(t) })
}

// A ruleKey is all that compiled rules depend on.
type ruleKey struct {
	directory string
	ruleset
	mode        connectors.ScopeMode
	guard       reconcile.Limit
	never       bool
	deleteAfter bool
	onRemoved   reconcile.OnRemoved
	roles       bool
}

// compile returns the rules of this moment.
func (w *world) compile() *reconcile.Rules {
	s := w.Setup
	key := ruleKey{w.directory.Name, w.rules, s.Mode, s.Guard, s.Never, s.DeleteAfter > 0, s.OnRemoved, s.Roles}
	if r, ok := w.runner.rules[key]; ok {
		return r
	}
	o := reconcile.RuleOptions{
		Directory: w.directory.Name, Mode: s.Mode, Push: []string{"oncall-*"}, OnRemoved: s.OnRemoved, RemovalsNever: s.Never, DeleteAfter: s.DeleteAfter,
		Guard: reconcile.Limits{}, Map: map[string]string{},
	}
	for axis := range reconcile.DefaultLimits() {
		o.Guard[axis] = s.Guard
	}
	if s.Mode == connectors.ScopeGroups {
		o.Groups = []string{scopeGroup}
	}
	if s.Roles {
		o.Privileged = []string{roleGroup}
	}
	if w.rules.where {
		o.Where = `user.department != "Sales"`
	}
	if w.rules.mapped {
		o.Map[reconcile.AttrDisplayName] = `user.givenName + " (" + user.department + ")"`
	}
	if w.rules.narrow {
		o.Push = []string{"oncall-a*"}
	}
	if w.rules.exclude != "" {
		o.Exclude = []string{"id:" + w.rules.exclude}
	}
	if w.rules.protect != "" {
		o.Protect = []string{"id:" + w.rules.protect}
	}
	r, err := reconcile.Compile(o)
	must(err)
	if w.rules.exclude == "" && w.rules.protect == "" { // others would hardly be met again
		w.runner.rules[key] = r
	}
	return r
}

// allows is the largest number of losses that the guard may let through.
func allows(l reconcile.Limit, of int) int {
	return max(l.Floor, min(int(l.Share*float64(of)), l.Count))
}
