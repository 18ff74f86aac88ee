package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// maxConfirmations is how many people and groups one cycle asks about again; the rest wait for the next.
const maxConfirmations = 500

// A finding is what the second question about one person said.
type finding struct {
	verdict verdict // the fresh one, when confirmed
	proof   proof
	text    string
}

type proof string

const (
	confirmed    proof = "confirmed"    // the fresh answer says so too
	contradicted proof = "contradicted" // the fresh answer says the opposite: the read was short
	unproven     proof = "unproven"     // nothing says so but one absence; wait for the next read
)

// findings are the second answers about the people and groups that a plan would take something from.
type findings struct {
	people map[string]finding             // directory id
	groups map[string][]connectors.UserID // group's directory id → members of the second reading
	gone   map[string]string              // groups that could not be asked again, and why
}

// confirm asks the directory again about everybody who would lose something. previous is the last good snapshot; it
// stands in where the directory cannot be asked about one person, or answers with a bare "not there" or out of a listing.
func confirm(ctx context.Context, source connectors.Connector, rules *Rules, d *desk, changes []Change,
	previous func(context.Context) (*connectors.Snapshot, error)) (findings, error) {
	var people, groups []string
	for _, c := range changes {
		switch c.Verb {
		case VerbDeactivate:
			people = append(people, c.Object.Source)
		case VerbRemove:
			groups = append(groups, c.Object.Source)
		}
	}
	f := findings{people: map[string]finding{}, groups: map[string][]connectors.UserID{}, gone: map[string]string{}}
	if len(people)+len(groups) == 0 {
		return f, nil
	}
	// Who waits in a set without a yes goes nowhere in this run: newcomers are asked about first.
	waits := map[string]bool{}
	for _, s := range d.ledger.Held {
		for _, item := range s.Items {
			waits[item.Key] = waits[item.Key] || s.Approved.IsZero()
		}
	}
	slices.SortFunc(people, func(a, b string) int {
		key := func(id string) string {
			return Change{Verb: VerbDeactivate, Object: Ref{Kind: KindUser, Source: id}}.Key()
		}
		return cmp.Or(compareBools(waits[key(a)], waits[key(b)]), cmp.Compare(a, b))
	})
	for _, id := range people[min(len(people), maxConfirmations):] {
		f.people[id] = finding{proof: unproven, text: fmt.Sprintf("only %d people are asked about again in one run; this one is for the next", maxConfirmations)}
	}
	people = people[:min(len(people), maxConfirmations)]
	left := maxConfirmations - len(people)
	slices.Sort(groups)
	for _, id := range groups[min(len(groups), left):] {
		f.gone[id] = fmt.Sprintf("only %d people and groups are asked about again in one run; this one is for the next", maxConfirmations)
	}
	groups = groups[:min(len(groups), left)]

	before, err := earlier(ctx, rules, previous)
	if err != nil {
		return f, err
	}
	finder, _ := source.(connectors.Finder)
	if finder == nil {
		for _, id := range people {
			f.people[id] = before.person(d.person(id))
		}
		for _, id := range groups {
			if members, ok := before.members(id); ok {
				f.groups[id] = members
			} else {
				f.gone[id] = onceText
			}
		}
		return f, nil
	}
	answers := make([]finding, len(people))
	members := make([][]connectors.UserID, len(groups))
	refusals := make([]string, len(groups))
	g := errgroup.Group{}
	g.SetLimit(8)
	for i, id := range people {
		g.Go(func() error { answers[i] = askPerson(ctx, finder, rules, before, d.person(id)); return ctx.Err() })
	}
	for i, id := range groups {
		g.Go(func() error {
			ms, known, err := finder.Members(ctx, connectors.GroupID(id))
			switch {
			case err != nil:
				refusals[i] = fmt.Sprintf("the group could not be read again: %v", err)
			case !known:
				refusals[i] = "asked again, the directory has no such group"
			default:
				members[i] = ms
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return f, fmt.Errorf("ask the directory again: %w", err)
	}
	for i, id := range people {
		f.people[id] = answers[i]
	}
	for i, id := range groups {
		if refusals[i] != "" {
			f.gone[id] = refusals[i]
		} else {
			f.groups[id] = members[i]
		}
	}
	return f, nil
}

// askPerson looks one person up and lets the one scope evaluator decide on the answer.
func askPerson(ctx context.Context, finder connectors.Finder, rules *Rules, before *earlierRead, p *person) finding {
	found, err := finder.Lookup(ctx, connectors.UserID(p.id))
	switch {
	case err != nil:
		return finding{proof: unproven, text: fmt.Sprintf("asked again, the directory did not answer: %v", err)}
	case found.Deleted:
		return finding{proof: confirmed, verdict: verdict{standing: standDisabled, text: "deleted in the directory"}}
	case !found.Known && before.knew(p.id):
		return finding{proof: unproven, text: "the directory no longer knows this id; " + onceText}
	case !found.Known:
		return finding{proof: confirmed, verdict: verdict{standing: standGone, text: "the directory no longer knows this id, in two reads"}}
	}
	j := &judge{rules: rules}
	if found.InScopeGroup {
		j.members = map[connectors.UserID]struct{}{found.User.ID: {}}
	}
	v := j.judge(&found.User)
	if v.standing == standIn && found.Outside != "" {
		v.standing, v.text = standOut, found.Outside
	}
	switch {
	case v.standing == standOut && found.Listed && !before.without(p.id):
		return finding{proof: unproven, text: "asked again, a listing says so too: " + v.text + "; " + onceText}
	case v.standing == standDisabled, v.standing == standOut:
		return finding{proof: confirmed, verdict: v}
	case v.standing == standFailed, v.standing == standStaged, v.standing == standExcluded:
		return finding{proof: unproven, text: "asked again: " + v.text}
	}
	return finding{proof: contradicted, text: fmt.Sprintf("the listing says %s, asked again the directory says in scope", p.standing)}
}

const onceText = "absent from one read only; the next run decides"

// An earlierRead is the last good snapshot, as one more witness.
type earlierRead struct {
	snapshot *connectors.Snapshot // nil when there is none
	judge    *judge
}

func earlier(ctx context.Context, rules *Rules, previous func(context.Context) (*connectors.Snapshot, error)) (*earlierRead, error) {
	e := &earlierRead{}
	if previous == nil {
		return e, nil
	}
	s, err := previous(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the last good snapshot: %w", err)
	}
	if s != nil {
		e.snapshot, e.judge = s, newJudge(rules, *s)
	}
	return e, nil
}

// user finds a person in the earlier snapshot.
func (e *earlierRead) user(id string) (*connectors.User, bool) {
	i, ok := slices.BinarySearchFunc(e.snapshot.Users, connectors.UserID(id), func(u connectors.User, id connectors.UserID) int { return compareIDs(u.ID, id) })
	if !ok {
		return nil, false
	}
	return &e.snapshot.Users[i], true
}

// knew tells whether the earlier snapshot had the person, or is not there to say.
func (e *earlierRead) knew(id string) bool {
	if e.snapshot == nil {
		return true
	}
	_, ok := e.user(id)
	return ok
}

// without tells whether the earlier snapshot is there and did not have the person in scope.
func (e *earlierRead) without(id string) bool {
	if e.snapshot == nil {
		return false
	}
	u, ok := e.user(id)
	if !ok {
		return true
	}
	v := e.judge.judge(u)
	return v.standing == standOut || v.standing == standDisabled && !v.inScope
}

// person confirms a loss without asking: an account state is a statement, an absence needs two reads.
func (e *earlierRead) person(p *person) finding {
	f := finding{proof: confirmed, verdict: p.verdict}
	if p.standing == standDisabled {
		return f
	}
	if e.snapshot != nil {
		u, ok := e.user(p.id)
		if !ok {
			return f
		}
		if v := e.judge.judge(u); v.standing == standOut || v.standing == standDisabled {
			return f
		}
	}
	return finding{proof: unproven, text: onceText}
}

// members are those that a group had in the earlier snapshot.
func (e *earlierRead) members(id string) ([]connectors.UserID, bool) {
	if e.snapshot == nil {
		return nil, false
	}
	i := slices.IndexFunc(e.snapshot.Groups, func(g connectors.Group) bool { return string(g.ID) == id })
	if i < 0 {
		return nil, false
	}
	return e.snapshot.Groups[i].Members, true
}

// compareBools sorts false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (d *desk) person(id string) *person { return &d.people[d.personAt[connectors.UserID(id)]] }
