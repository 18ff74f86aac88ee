package reconcile

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A Decision is what the rules make of a person or group.
type Decision struct {
	Verdict string   `json:"verdict"` // "in scope", "out of scope", "disabled", …; "pushed", "not pushed"
	In      bool     `json:"in"`      // to be active in Rootly, to be pushed
	Text    string   `json:"text,omitempty"`
	Clauses []Clause `json:"clauses,omitempty"` // of scope, in the order of looking at them
	Remedy  string   `json:"remedy,omitempty"`
}

// A Clause is one condition that scope is made of. Those of a scope.where built with && or || are looked at one by one.
type Clause struct {
	Text    string `json:"text"`
	Result  string `json:"result"`  // "true", "false", or what went wrong
	Decided bool   `json:"decided"` // with another result of it, or of one more like it, the decision would be another
	Reads   []Read `json:"reads,omitempty"`
}

// A Read is one value that a clause looks at.
type Read struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A MappedValue is what the rules say that Rootly should hold in one attribute.
type MappedValue struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Rule      string `json:"rule"` // "default", "not managed", or the expression
	Problem   string `json:"problem,omitempty"`
}

// scopeDecision says what became of a person and which clause decided.
func (x *explainer) scopeDecision(p *person) Decision {
	d := Decision{Verdict: string(p.standing), In: p.standing == standIn, Text: p.text, Remedy: p.remedy}
	u := p.source
	if u == nil {
		return d
	}
	if pat, ok := x.rules.exclude.Match(p.id, p.want.UserName, u.UserName); ok {
		d.Clauses = []Clause{{Text: "scope.exclude " + quoted(pat.String()), Result: "true", Decided: true}}
		return d
	}
	d.Clauses = []Clause{x.modeClause(u)}
	mode := &d.Clauses[0]
	if mode.Decided = x.rules.where == nil || mode.Result == "false"; x.rules.where != nil {
		where := explainWhere(x.rules.where, personOf(u))
		for i := range where {
			where[i].Decided = where[i].Decided && !mode.Decided
		}
		d.Clauses = append(d.Clauses, where...)
	}
	for i := range d.Clauses {
		// Where a rule failed, only what could not be evaluated decided; with a value that cannot be written, none did.
		c := &d.Clauses[i]
		c.Decided = c.Decided && (p.standing != standFailed || c.Result != "true" && c.Result != "false")
	}
	return d
}

func (x *explainer) modeClause(u *connectors.User) Clause {
	c := Clause{Text: "scope.mode " + string(x.rules.mode), Result: "true"}
	switch x.rules.mode {
	case connectors.ScopeAssigned:
		c.Result = boolText(u.Assigned)
	case connectors.ScopeGroups:
		var in []string
		for _, g := range x.snapshot.Groups {
			if _, ok := slices.BinarySearch(g.Members, u.ID); ok && g.Scope {
				in = append(in, g.Name)
			}
		}
		c.Result = boolText(len(in) > 0)
		c.Reads = []Read{{Name: "scope groups of theirs", Value: strings.Join(in, ", ")}}
	}
	return c
}

// explainWhere evaluates the operands of the top-level && or || chain each on its own and marks those that decided.
func explainWhere(where *expression, p *Person) []Clause {
	whole := clauseOf(where, p)
	op, parts := operands(where)
	if len(parts) < 2 { // no chain
		whole.Decided = true
		return []Clause{whole}
	}
	out := make([]Clause, len(parts))
	for i, part := range parts {
		out[i] = clauseOf(part, p)
		// One false decides a chain of && against, one true a chain of || in favour; else all of them together do.
		out[i].Decided = out[i].Result == whole.Result || whole.Result != "true" && whole.Result != "false" && out[i].Result != boolText(op == operators.LogicalAnd)
	}
	return out
}

func clauseOf(e *expression, p *Person) Clause {
	c := Clause{Text: e.text, Reads: readsOf(e, p)}
	ok, err := e.bool(p)
	c.Result = boolText(ok)
	if err != nil {
		c.Result = "cannot be evaluated: " + err.Error()
	}
	return c
}

// operands splits an expression at the operator of its top-level chain. One that is no such chain has none.
func operands(where *expression) (op string, parts []*expression) {
	env, err := newEnv()
	if err != nil {
		return "", nil
	}
	checked, issues := env.Compile(where.text)
	if issues.Err() != nil {
		return "", nil
	}
	native := checked.NativeRep()
	root := native.Expr()
	if root.Kind() != ast.CallKind {
		return "", nil
	}
	op = root.AsCall().FunctionName()
	if op != operators.LogicalAnd && op != operators.LogicalOr {
		return "", nil
	}
	for _, e := range chain(root, op) {
		text, err := parser.Unparse(e, native.SourceInfo(), parser.WrapOnColumn(math.MaxInt32))
		if err != nil {
			return "", nil
		}
		part, err := compile(env, text, cel.BoolType)
		if err != nil {
			return "", nil
		}
		parts = append(parts, part)
	}
	return op, parts
}

func chain(e ast.Expr, op string) []ast.Expr {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != op {
		return []ast.Expr{e}
	}
	var out []ast.Expr
	for _, arg := range e.AsCall().Args() {
		out = append(out, chain(arg, op)...)
	}
	return out
}

// readsOf lists what an expression looks at, and what it finds there.
func readsOf(e *expression, p *Person) []Read {
	env, err := newEnv()
	if err != nil {
		return nil
	}
	checked, issues := env.Compile(e.text)
	if issues.Err() != nil {
		return nil
	}
	found := map[string]Read{}
	root := ast.NavigateAST(checked.NativeRep())
	for _, n := range append(ast.MatchDescendants(root, ast.KindMatcher(ast.SelectKind)), ast.MatchDescendants(root, ast.FunctionMatcher("attr"))...) {
		name := ""
		if n.Kind() == ast.SelectKind {
			name = "user." + n.AsSelect().FieldName()
		} else if arg, ok := n.AsCall().Args()[0].AsLiteral().(types.String); ok {
			name = fmt.Sprintf("user.attr(%q)", string(arg))
		}
		value, err := compile(env, name, cel.StringType)
		if err != nil {
			continue
		}
		if s, err := value.string(p); err == nil {
			found[name] = Read{Name: name, Value: s}
		}
	}
	return valuesByKey(found)
}

// mappedValues says what Rootly should hold about u, attribute by attribute, each with the rule that made it.
func (r *Rules) mappedValues(u *connectors.User) []MappedValue {
	p := personOf(u)
	def := defaultValues(u)
	out := make([]MappedValue, 0, len(mappable))
	for _, attr := range mappable {
		m := MappedValue{Attribute: attr, Rule: "default", Value: def[attr]}
		e, set := r.mapping[attr]
		switch {
		case set && e == nil:
			m.Rule, m.Value = "not managed", ""
		case set:
			s, err := e.string(p)
			m.Rule, m.Value = e.text, clean(s)
			if err != nil {
				m.Problem = "cannot be evaluated: " + err.Error()
			}
		}
		switch attr {
		case AttrUserName:
			if err := checkUserName(m.Value); err != nil && m.Problem == "" {
				m.Problem = err.Error()
			}
		case AttrEmail:
			if m.Value == "" && m.Problem == "" && r.managed(attr) {
				m.Value, m.Rule = out[0].Value, "default: the userName" // mappable begins with it
			}
		case AttrMobilePhone, AttrWorkPhone:
			if n := r.phones.e164(m.Value); n != "" {
				m.Value = n
			} else if m.Value != "" {
				m.Problem = "no telephone number in region " + r.phones.region
			}
		}
		out = append(out, m)
	}
	return out
}

// defaultValues are those of the default mapping, by attribute.
func defaultValues(u *connectors.User) map[string]string {
	return map[string]string{
		AttrUserName: clean(u.UserName), AttrExternalID: clean(string(u.ID)), AttrGivenName: clean(u.GivenName), AttrFamilyName: clean(u.FamilyName),
		AttrDisplayName: clean(displayName(u)), AttrEmail: clean(u.Email),
		AttrMobilePhone: clean(phoneOf(u.Phones, "mobile")), AttrWorkPhone: clean(phoneOf(u.Phones, "work")),
	}
}
