package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// The attributes that a map rule may set.
const (
	AttrUserName    = "userName"
	AttrExternalID  = "externalId"
	AttrGivenName   = "givenName"
	AttrFamilyName  = "familyName"
	AttrDisplayName = "displayName"
	AttrEmail       = "email"
	AttrMobilePhone = "mobilePhone"
	AttrWorkPhone   = "workPhone"
)

var mappable = []string{
	AttrUserName, AttrExternalID, AttrGivenName, AttrFamilyName, AttrDisplayName, AttrEmail, AttrMobilePhone, AttrWorkPhone,
}

// RuleOptions are the operator's rules as text. The zero value of every field but Mode is valid.
type RuleOptions struct {
	Directory string // the connector's name
	Narrowed  string // what the connector's own options narrow the directory to, for the hash
	Mode      connectors.ScopeMode
	Groups    []string // mode groups
	Where     string   // CEL over user, "" means everybody
	Exclude   []string // patterns over the mapped userName or the directory's id
	Push      []string // patterns over groups
	// Privileged are patterns over the pushed groups that carry roles in Rootly.
	Privileged []string
	OnRemoved  OnRemoved // what becomes of a managed group that the directory no longer has; "" is OnRemovedLeave
	Protect    []string  // patterns over the mapped userName or the directory's id
	// Map sets attributes by CEL. An empty text leaves the attribute unmanaged; an absent one has the default.
	Map           map[string]string
	PhoneRegion   string // region of numbers without country code, "" means US, as Rootly reads them
	RemovalsNever bool   // nothing is ever taken away
	FloorsOnly    bool   // the guard lets through no more than its floors, for runs without a store
	Guard         Limits // absent axes have the defaults
	OnCall        OnCallOptions
	// DeleteAfter is how long after somebody is gone from the directory their account is deleted, 0 for never.
	DeleteAfter time.Duration
}

// A RuleError is one rule that cannot be used. Path is its key in the configuration.
type RuleError struct {
	Path   string
	Text   string
	Remedy string
}

func (e RuleError) Error() string { return e.Path + ": " + e.Text + " (" + e.Remedy + ")" }

// RuleErrors are all that is wrong with a set of rules.
type RuleErrors []RuleError

func (es RuleErrors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Rules are compiled: who belongs, what is written about them, what must not happen. They hold no state but a memo of
// phone numbers, and are used by one goroutine at a time.
type Rules struct {
	directory string
	mode      connectors.ScopeMode
	groups    []string
	where     *expression
	exclude   connectors.Patterns
	push      connectors.Patterns
	protect   connectors.Patterns
	roles     connectors.Patterns // groups that carry roles
	onRemoved OnRemoved
	mapping   map[string]*expression // nil value: unmanaged
	phones    *phoneBook
	additive  bool
	// deleteAfter is 0 for never.
	deleteAfter time.Duration
	limits      Limits
	onCall      OnCallOptions // with its defaults
	urgent      *expression   // of onCall
	texts       map[string]string
	hash        string // of texts
}

// Compile checks and compiles rules. Its error is a RuleErrors with every problem found.
func Compile(o RuleOptions) (*Rules, error) {
	r := &Rules{
		directory: o.Directory, mode: o.Mode, groups: o.Groups,
		mapping: map[string]*expression{}, phones: newPhoneBook(o.PhoneRegion),
		onRemoved: o.OnRemoved, additive: o.RemovalsNever, deleteAfter: o.DeleteAfter, limits: o.Guard.withDefaults(), onCall: o.OnCall.withDefaults(), texts: o.keyed(),
	}
	r.hash = hashOf(r.texts)
	if o.FloorsOnly {
		for axis, l := range r.limits {
			r.limits[axis] = Limit{Floor: l.Floor}
		}
	}
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("expression language: %w", err)
	}
	var errs RuleErrors
	fail := func(path, text, remedy string) { errs = append(errs, RuleError{path, text, remedy}) }

	if o.Where != "" {
		if r.where, err = compile(env, o.Where, cel.BoolType); err != nil {
			fail("scope.where", err.Error(), `write a CEL condition over user, such as user.department == "SRE"`)
		}
	}
	if o.OnCall.Urgent != "" {
		if r.urgent, err = compile(env, o.OnCall.Urgent, cel.BoolType); err != nil {
			fail("on_call.urgent", err.Error(), `write a CEL condition over user, such as user.status == "disabled"`)
		}
	}
	for name, dst := range map[string]struct {
		texts []string
		out   *connectors.Patterns
	}{
		"scope.exclude":     {o.Exclude, &r.exclude},
		"groups.push":       {o.Push, &r.push},
		"groups.privileged": {o.Privileged, &r.roles},
		"guard.protect":     {o.Protect, &r.protect},
	} {
		if *dst.out, err = connectors.ParsePatterns(dst.texts); err != nil {
			fail(name, err.Error(), "mend or remove the entry")
		}
	}
	for _, attr := range slices.Sorted(maps.Keys(o.Map)) {
		text := o.Map[attr]
		switch {
		case !slices.Contains(mappable, attr):
			fail("map."+attr, "there is no such attribute", "use one of "+strings.Join(mappable, ", "))
		case text == "" && attr == AttrUserName:
			fail("map."+attr, "userName cannot be unmanaged: Rootly knows people by it", "remove the line or give an expression")
		case text == "":
			r.mapping[attr] = nil
		default:
			e, err := compile(env, text, cel.StringType)
			if err != nil {
				fail("map."+attr, err.Error(), "write a CEL expression over user that yields a string, such as user.displayName")
				continue
			}
			r.mapping[attr] = e
		}
	}
	if !slices.Contains([]OnRemoved{"", OnRemovedLeave, OnRemovedEmpty, OnRemovedDelete}, o.OnRemoved) {
		fail("groups.on_removed", "there is no such word as "+string(o.OnRemoved), "write leave, empty or delete")
	}
	for axis, l := range r.limits {
		if l.Share < 0 || l.Share > 1 || l.Count < 0 || l.Floor < 0 {
			fail("guard."+string(axis), "share, count and floor cannot be negative, and share at most 100%", "mend the limit")
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b RuleError) int { return strings.Compare(a.Path, b.Path) })
		return nil, errs
	}
	return r, nil
}

// keyed are the rules that decide who comes and goes and what is written, as text by their key in the configuration.
// What the guard allows is not among them.
func (o RuleOptions) keyed() map[string]string {
	list := func(ss []string) string { return strings.Join(ss, "\n") }
	out := map[string]string{
		"source": o.Directory, "scope.mode": string(o.Mode), "scope.groups": list(o.Groups), "scope.where": o.Where,
		"scope.exclude": list(o.Exclude), "groups.push": list(o.Push), "phone_region": o.PhoneRegion,
	}
	if o.Narrowed != "" {
		out["source."+o.Directory] = o.Narrowed
	}
	if o.DeleteAfter > 0 {
		out["delete_after"] = o.DeleteAfter.String()
	}
	if o.OnRemoved == OnRemovedEmpty || o.OnRemoved == OnRemovedDelete {
		out["groups.on_removed"] = string(o.OnRemoved)
	}
	for attr, text := range o.Map {
		out["map."+attr] = text
	}
	return out
}

func hashOf(texts map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(h, "%q %q\n", k, texts[k])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Query is what a connector has to read for these rules.
func (r *Rules) Query() connectors.Query {
	var attrs []string
	if r.where != nil {
		attrs = append(attrs, r.where.attrs...)
	}
	if r.urgent != nil {
		attrs = append(attrs, r.urgent.attrs...)
	}
	for _, e := range r.mapping {
		if e != nil {
			attrs = append(attrs, e.attrs...)
		}
	}
	slices.Sort(attrs)
	return connectors.Query{Mode: r.mode, Groups: r.groups, Push: r.push, Attributes: slices.Compact(attrs)}
}

// managed tells whether we write the attribute at all.
func (r *Rules) managed(attr string) bool {
	e, set := r.mapping[attr]
	return !set || e != nil
}
