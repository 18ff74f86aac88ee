package reconcile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Person is what an expression sees as user. Every attribute is a string and "" when absent, so that no expression
// fails for want of a value; attributes of the directory's own are read with user.attr("name").
type Person struct {
	ID             string            `cel:"id"`
	UserName       string            `cel:"userName"`
	Email          string            `cel:"email"`
	GivenName      string            `cel:"givenName"`
	FamilyName     string            `cel:"familyName"`
	DisplayName    string            `cel:"displayName"`
	Nickname       string            `cel:"nickname"`
	Department     string            `cel:"department"`
	Title          string            `cel:"title"`
	Company        string            `cel:"company"`
	EmployeeNumber string            `cel:"employeeNumber"`
	EmployeeType   string            `cel:"employeeType"`
	MobilePhone    string            `cel:"mobilePhone"`
	WorkPhone      string            `cel:"workPhone"`
	Status         string            `cel:"status"`
	Attrs          map[string]string `cel:"-"`
}

func personOf(u *connectors.User) *Person {
	return &Person{
		ID: string(u.ID), UserName: u.UserName, Email: u.Email,
		GivenName: u.GivenName, FamilyName: u.FamilyName, DisplayName: u.DisplayName, Nickname: u.Nickname,
		Department: u.Department, Title: u.Title, Company: u.Company,
		EmployeeNumber: u.EmployeeNumber, EmployeeType: u.EmployeeType,
		MobilePhone: phoneOf(u.Phones, "mobile"), WorkPhone: phoneOf(u.Phones, "work"),
		Status: string(u.Status), Attrs: u.Attrs,
	}
}

func phoneOf(ps []connectors.Phone, typ string) string {
	for _, p := range ps {
		if p.Type == typ {
			return p.Value
		}
	}
	return ""
}

const personType = "reconcile.Person"

// newEnv is the language of scope.where and map: CEL with its string functions, one variable user, and user.attr().
func newEnv() (*cel.Env, error) {
	person := cel.ObjectType(personType)
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[*Person]()),
		ext.Strings(),
		cel.Variable("user", person),
		cel.Function("attr", cel.MemberOverload("user_attr_string", []*cel.Type{person, cel.StringType}, cel.StringType,
			cel.BinaryBinding(func(user, name ref.Val) ref.Val {
				p, ok := user.Value().(*Person)
				if !ok {
					return types.NewErr("attr is a function of user")
				}
				return types.String(p.Attrs[string(name.(types.String))])
			}))),
		cel.Function("replace",
			cel.MemberOverload("string_replace_string_string", replaceArgs[:3], cel.StringType, cel.FunctionBinding(replace)),
			cel.MemberOverload("string_replace_string_string_int", replaceArgs, cel.StringType, cel.FunctionBinding(replace))),
	)
}

var replaceArgs = []*cel.Type{cel.StringType, cel.StringType, cel.StringType, cel.IntType}

// replace is CEL's own, which makes the new text whatever its size, and lets the limits look at it after that.
func replace(args ...ref.Val) ref.Val {
	s, from, to, n := string(args[0].(types.String)), string(args[1].(types.String)), string(args[2].(types.String)), -1
	if len(args) > 3 {
		n = int(args[3].(types.Int))
	}
	hits := strings.Count(s, from)
	if n >= 0 {
		hits = min(hits, n)
	}
	if len(s)+hits*len(to) > maxElements {
		return types.WrapErr(errTooMuch)
	}
	return types.String(strings.Replace(s, from, to, n))
}

// What one expression may cost for one person: an ordinary one takes some ten steps, and one that goes through the words of a
// name some hundred. Without a bound, a macro in a macro or a replacement in a replacement ends neither in time nor in memory.
const (
	maxSteps    = 100_000
	maxElements = 1 << 20 // characters and list elements at once
)

var errTooMuch = errors.New("it takes too much work for one person; make it simpler, above all what it does for each element of a list")

// mayGrow tells whether the work can be more than the text of the expression says: only macros do anything repeatedly, and
// only replace makes more of a text than its parts. Counting the steps of the others would triple what they cost.
func mayGrow(checked *cel.Ast) bool {
	root := ast.NavigateAST(checked.NativeRep())
	return len(ast.MatchDescendants(root, ast.KindMatcher(ast.ComprehensionKind)))+len(ast.MatchDescendants(root, ast.FunctionMatcher("replace"))) > 0
}

// An expression is one compiled CEL text.
type expression struct {
	text    string
	program cel.Program
	attrs   []string // names it reads with user.attr
}

// compile type-checks text, which must yield a value of type want.
func compile(env *cel.Env, text string, want *cel.Type) (*expression, error) {
	checked, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, errors.New(issueText(issues))
	}
	if !checked.OutputType().IsExactType(want) {
		return nil, fmt.Errorf("it yields a %s, it must yield a %s", checked.OutputType(), want)
	}
	attrs, err := attrNames(checked)
	if err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if mayGrow(checked) {
		options = append(options, cel.CostLimit(maxSteps), cel.MemoryLimit(maxElements))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, err
	}
	return &expression{text: text, program: program, attrs: attrs}, nil
}

// issueText is CEL's own complaint in one line: position and message, without its drawing of the source.
func issueText(issues *cel.Issues) string {
	var out []string
	for _, e := range issues.Errors() {
		msg, _, _ := strings.Cut(e.Message, "\n")
		out = append(out, fmt.Sprintf("at column %d: %s", e.Location.Column()+1, prose(msg)))
	}
	return strings.Join(out, "; ")
}

// attrNames lists what an expression asks user.attr for. The names must be literals: they are added to what is read.
func attrNames(checked *cel.Ast) ([]string, error) {
	var names []string
	var err error
	root := ast.NavigateAST(checked.NativeRep())
	for _, e := range ast.MatchDescendants(root, ast.FunctionMatcher("attr")) {
		args := e.AsCall().Args()
		if len(args) != 1 || args[0].Kind() != ast.LiteralKind {
			err = errors.New(`user.attr takes a quoted name, as in user.attr("costCenter"): it decides what is read from the directory`)
			continue
		}
		names = append(names, string(args[0].AsLiteral().(types.String)))
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func (e *expression) eval(p *Person) (ref.Val, error) {
	out, _, err := e.program.Eval(binding{p})
	if c, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && (c.Cause == interpreter.CostLimitExceeded || c.Cause == interpreter.MemoryLimitExceeded) {
		return nil, errTooMuch
	}
	if err != nil {
		return nil, errors.New(prose(err.Error())) // CEL quotes the values, which are the directory's
	}
	return out, nil
}

// A binding is the one variable of an expression.
type binding struct{ user *Person }

func (b binding) ResolveName(name string) (any, bool) { return b.user, name == "user" }
func (b binding) Parent() cel.Activation              { return nil }

func (e *expression) bool(p *Person) (bool, error) {
	out, err := e.eval(p)
	if err != nil {
		return false, err
	}
	b, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("it yielded a %s", out.Type())
	}
	return bool(b), nil
}

func (e *expression) string(p *Person) (string, error) {
	out, err := e.eval(p)
	if err != nil {
		return "", err
	}
	s, ok := out.(types.String)
	if !ok {
		return "", fmt.Errorf("it yielded a %s", out.Type())
	}
	return string(s), nil
}
