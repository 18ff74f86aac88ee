package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A Planner reads both sides and says what would change. It cannot write: Target is a Reader.
type Planner struct {
	Source    connectors.Connector
	Target    Reader
	TargetURL string
	Rules     *Rules
	// Previous returns the last good snapshot, nil when there is none. It may be nil itself.
	Previous func(ctx context.Context) (*connectors.Snapshot, error)
	// Storeless plans without a ledger: who is ours is derived from both sides (see derive), a second full reading stands
	// in for the last good snapshot, and the guard lets through no more than its floors.
	Storeless bool
	Pager     Pager        // nil asks nobody whether a leaver is on call
	Log       *slog.Logger // nil is silent
	Trace     Trace
}

// Plan reads the directory and Rootly side by side, each completely, and compares them. now stamps the plan and decides
// which failed changes are due again. The ledger is not changed.
func (p *Planner) Plan(ctx context.Context, ledger Ledger, now time.Time) (Plan, error) {
	w, err := p.prepare(ctx, ledger, now)
	if err != nil {
		return Plan{}, err
	}
	err = p.Trace.Step(ctx, StepOnCall, func(ctx context.Context) (Tally, error) { return nil, p.askPager(ctx, &w, now) })
	if err != nil {
		return Plan{}, err
	}
	var plan Plan
	p.Trace.pure(ctx, StepGuard, func() Tally {
		plan = p.stamp(conclude(w.desk, w.changes, w.refresh, now), w)
		return Tally{"changes": len(plan.Changes), "held": len(plan.Held), "objections": len(plan.Objections)}
	})
	return plan, nil
}

// prepared is the work up to the guard: both sides read and compared, and whoever would lose something asked about again.
type prepared struct {
	*desk
	changes  []Change
	refresh  []Link
	resolved []Resolution
	before   Cost // of whoever used both sides earlier
}

func (p *Planner) prepare(ctx context.Context, ledger Ledger, now time.Time) (prepared, error) {
	w := prepared{before: p.spent()}
	in, err := p.read(ctx)
	if err != nil {
		return prepared{}, err
	}
	in.now = now
	previous := p.Previous
	if p.Storeless {
		quarantine := ledger.Quarantine
		if ledger, err = derive(ctx, p.Source, p.Rules, in); err != nil {
			return prepared{}, err
		}
		ledger.Quarantine = quarantine
		previous = func(ctx context.Context) (*connectors.Snapshot, error) {
			s, err := p.Source.Fetch(ctx)
			return &s, err
		}
	}
	in.ledger = ledger
	err = p.Trace.Step(ctx, StepUnlisted, func(ctx context.Context) (Tally, error) {
		if err := p.lookUpHidden(ctx, &in); err != nil {
			return nil, err
		}
		in.ledger, w.resolved = resolve(ledger, in)
		return nil, p.checkGroups(ctx, &in)
	})
	if err != nil {
		return prepared{}, err
	}
	compare := func() Tally {
		w.desk, w.changes, w.refresh = work(p.Rules, in, nil)
		return Tally{"changes": len(w.changes)}
	}
	p.Trace.pure(ctx, StepPlan, compare)
	if err := w.checkScope(); err != nil {
		return w, err // for Explain, which says why nobody is
	}
	if slices.ContainsFunc(w.changes, Change.destructive) || len(w.toDepart()) > 0 {
		err = p.Trace.Step(ctx, StepConfirm, func(ctx context.Context) (_ Tally, err error) {
			in.findings, err = confirm(ctx, p.Source, p.Rules, w.desk, w.changes, previous)
			return Tally{"people": len(in.findings.people), "groups": len(in.findings.groups)}, err
		})
		if err != nil {
			return prepared{}, err
		}
		p.Trace.pure(ctx, StepPlan, compare)
	}
	return w, nil
}

func (p *Planner) stamp(plan Plan, w prepared) Plan {
	plan.Source, plan.Target, plan.resolved = p.Source.Tenant(), p.TargetURL, w.resolved
	plan.Cost = p.spent().since(w.before)
	return plan.priced()
}

func (p *Planner) read(ctx context.Context) (reading, error) {
	var in reading
	g, ctx := errgroup.WithContext(ctx)
	side := func(s Step, of string, read func(context.Context) (Tally, error)) {
		g.Go(func() error {
			if err := p.Trace.Step(ctx, s, read); err != nil {
				return fmt.Errorf("read %s: %w", of, err)
			}
			return nil
		})
	}
	side(StepFetch, "the directory", func(ctx context.Context) (_ Tally, err error) {
		in.snapshot, err = p.Source.Fetch(ctx)
		return Tally{"users": len(in.snapshot.Users), "groups": len(in.snapshot.Groups)}, err
	})
	side(StepUsers, "Rootly", func(ctx context.Context) (_ Tally, err error) {
		in.users, err = p.Target.Users(ctx)
		return Tally{"users": len(in.users)}, err
	})
	side(StepGroups, "Rootly", func(ctx context.Context) (_ Tally, err error) {
		in.groups, err = p.Target.Groups(ctx)
		return Tally{"groups": len(in.groups)}, err
	})
	if err := g.Wait(); err != nil {
		return reading{}, err
	}
	if p.Log != nil {
		p.Log.Debug("read both sides", "directory", len(in.snapshot.Users), "groups", len(in.snapshot.Groups),
			"target_users", len(in.users), "target_groups", len(in.groups))
	}
	return in, nil
}

// checkGroups reads by id the groups of ours that the listing does not show. One that is there proves the listing short;
// one that is not was deleted.
func (p *Planner) checkGroups(ctx context.Context, in *reading) error {
	listed := make(map[string]bool, len(in.groups))
	for i := range in.groups {
		listed[in.groups[i].ID] = true
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, id := range sortedKeys(in.ledger.Groups) {
		l := in.ledger.Groups[id]
		if listed[l.Target] {
			continue
		}
		g.Go(func() error {
			found, err := p.Target.Group(ctx, l.Target)
			switch {
			case scimclient.Gone(err):
				return nil
			case err != nil:
				return fmt.Errorf("read Rootly: %w", err)
			}
			return shortListing("group "+quoted(found.DisplayName), len(in.groups), "groups")
		})
	}
	return g.Wait()
}

// shortListing is the error of a listing of Rootly that lacks an object which is there.
func shortListing(what string, n int, of string) error {
	return fmt.Errorf("read Rootly: the %s is there and was missing from the listing of %d %s: the listing was short, and nothing is concluded from it (run again; if it stays so, look at the SCIM log in Rootly)", what, n, of)
}

// lookUpHidden reads by id the accounts of ours that no listing shows, where it matters: people who should be active, or
// whom we left active. Some servers hide deactivated accounts from listings, some from readings too.
func (p *Planner) lookUpHidden(ctx context.Context, in *reading) error {
	in.hidden = map[string]bool{}
	listed := make(map[string]bool, len(in.users))
	for i := range in.users {
		listed[in.users[i].ID] = true
	}
	var ids []string
	for _, id := range sortedKeys(in.ledger.Users) {
		l := in.ledger.Users[id]
		if listed[l.Target] {
			continue
		}
		_, here := slices.BinarySearchFunc(in.snapshot.Users, id, func(u connectors.User, id connectors.UserID) int {
			return compareIDs(u.ID, id)
		})
		if here || l.User != nil && l.User.Active || p.Rules.overdue(l, in.now) {
			ids = append(ids, l.Target)
		}
	}
	found := make([]*scimclient.User, len(ids))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, id := range ids {
		g.Go(func() error {
			u, err := p.Target.User(ctx, id)
			if scimclient.Gone(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read Rootly: %w", err)
			}
			found[i] = &u
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, u := range found {
		if u != nil && u.Active {
			return shortListing("active account "+u.UserName, len(in.users), "accounts")
		}
		if u != nil {
			in.users = append(in.users, *u)
		} else {
			in.hidden[ids[i]] = true
		}
	}
	return nil
}

func compareIDs(a, b connectors.UserID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// ErrNobodyInScope refuses a cycle whose scope matches nobody: that is a mistake in the rules or a short read, never a
// company without people.
var ErrNobodyInScope = errors.New("the scope matches nobody: nothing is planned (check scope.mode, scope.groups and scope.where, and what the credential may see)")

func (d *desk) checkScope() error {
	if slices.ContainsFunc(d.people, func(p person) bool { return p.standing == standIn || p.frozen != nil }) {
		return nil
	}
	return ErrNobodyInScope
}

// conclude lets the guard judge what a desk came to and makes the plan of it. People whose own change is held are frozen,
// memberships included, and the diff is run once more with them left as they are.
func conclude(d *desk, changes []Change, refresh []Link, now time.Time) Plan {
	r := d.judgeLosses(changes, now)
	applied, held := d.split(changes, r)
	froze := map[string]string{}
	for _, c := range held {
		if c.Object.Kind == KindUser {
			froze[c.Object.Source] = c.Held
		}
	}
	if len(froze) > 0 {
		own := slices.DeleteFunc(held, func(c Change) bool { return c.Object.Kind == KindGroup })
		d, changes, refresh = work(d.rules, d.reading, froze)
		r.forgetEmpty(d.losses(changes))
		applied, held = d.split(changes, r)
		held = append(own, held...)
	}
	return d.plan(applied, held, r, d.keepClocks(refresh, r), now)
}

// woken are the people of whom the plan takes a listing's word that an account which we deactivated is active again.
func (d *desk) woken(changes []Change, refresh []Link) map[string]bool {
	out := map[string]bool{}
	asleep := func(source string) bool {
		l := d.ledger.Users[connectors.UserID(source)]
		return l.User != nil && !l.User.Active
	}
	for _, l := range refresh {
		if l.Kind == KindUser && l.User != nil && l.User.Active && asleep(l.Source) {
			out[l.Source] = true
		}
	}
	for _, c := range changes {
		if c.Object.Kind == KindUser && c.Verb == VerbUpdate && asleep(c.Object.Source) {
			out[c.Object.Source] = true
		}
	}
	return out
}

// plan puts together what goes and what waits.
func (d *desk) plan(applied, held []Change, r *ruling, refresh []Link, now time.Time) Plan {
	applied, held = d.suppress(applied, held, now)
	applied = dropAbsent(applied)
	slices.SortStableFunc(applied, byPhase(applied))
	plan := Plan{
		At: now, Changes: applied, Held: held, Objections: r.objections, Sets: r.sets, Notes: append(d.allNotes(), r.notes...), Counts: d.counts(),
		Writes: writes(applied), snapshot: d.snapshot, short: r.short, phoneless: d.unseen, rules: d.rules.hash, texts: d.rules.texts, refresh: refresh, woken: d.woken(applied, refresh),
		waiting: d.ledger.Waiting, stuck: stuckValues(d.ledger, applied), owned: map[string]string{}, former: d.former(), members: map[string][]string{},
		contests: d.contestsOf(applied), contested: d.contested, unowned: d.unowned(), quarantine: d.ledger.Quarantine,
	}
	if r.short {
		// Losses were not judged by the rules that are new: the next run is the one that sees them first.
		plan.rules, plan.texts = d.ledger.Rules, d.ledger.RuleTexts
	}
	for id, i := range d.ownerOf {
		plan.owned[id] = d.people[i].id
	}
	for _, c := range applied {
		if g, ok := d.groupAt[c.Object.Source]; ok && c.Object.Kind == KindGroup && d.groups[g].target != nil {
			plan.members[c.Object.Source] = memberIDs(d.groups[g].target.Members)
		}
	}
	if d.duties != nil {
		plan.OnCall = &r.onCall
	}
	used := map[string]bool{}
	for _, f := range r.consumed {
		used[f] = true
	}
	for _, l := range d.losses(applied) {
		if f := r.approved[l.key]; f != "" {
			used[f] = true
		}
	}
	plan.used = sortedKeys(used)
	return plan
}

// former maps the folded userNames of deactivated accounts of ours that Rootly no longer shows to whose they are. Such an
// account may be hidden and keep its name, or be gone: a creation under the name shows which.
func (d *desk) former() map[string]Ref {
	out := map[string]Ref{}
	for i := range d.people {
		if p := &d.people[i]; p.target == nil && p.link != nil && p.link.User != nil && !p.link.User.Active {
			out[connectors.Fold(p.link.User.UserName)] = p.ref()
		}
	}
	return out
}

// work runs the steps from scope to diff, with some people frozen from the start by directory id.
func work(rules *Rules, in reading, frozen map[string]string) (*desk, []Change, []Link) {
	d := newDesk(rules, in)
	for i := range d.people {
		if text, ok := frozen[d.people[i].id]; ok {
			d.people[i].frozen = &Note{Kind: noteHeld, Object: d.people[i].ref(), Text: text}
		}
	}
	d.matchUsers()
	d.seatGroups()
	d.matchGroups()
	changes, refresh := d.diffUsers()
	more, again := d.diffGroups()
	return d, append(changes, more...), append(refresh, again...)
}

// noteHeld marks the people of held changes inside one plan; the held changes themselves say it to the reader.
const noteHeld NoteKind = "held"

// waiters are the changes that, directly or through others, wait for a stopped one.
func waiters(changes []Change, stopped map[string]bool, why string) []Change {
	var out []Change
	for again := true; again; {
		again = false
		for _, c := range changes {
			if !stopped[c.Key()] && slices.ContainsFunc(c.After, func(k string) bool { return stopped[k] }) {
				c.Held = why
				out, stopped[c.Key()], again = append(out, c), true, true
			}
		}
	}
	return out
}

// suppress holds what policy or escrow keeps back, and what waits for something held. None of that is an objection.
func (d *desk) suppress(changes, held []Change, now time.Time) (applied, back []Change) {
	waiting := map[string]Waiting{}
	for _, w := range d.ledger.Waiting {
		waiting[w.key()] = w
	}
	back = held
	suppressed := map[string]bool{}
	for _, c := range changes {
		w, failed := waiting[c.Key()]
		switch {
		case failed && now.Before(w.Next) && !w.Next.After(now.Add(lastGap)): // else the clock was wrong when it was written
			c.Held = fmt.Sprintf("failed %d times, tried again after %s: %s", w.Attempts, w.Next.UTC().Format("2006-01-02 15:04 UTC"), w.Reason)
		default:
			continue
		}
		back, suppressed[c.Key()] = append(back, c), true
	}
	stopped := maps.Clone(suppressed)
	for _, c := range held {
		if c.Object.Kind == KindUser {
			stopped[c.Key()] = true
		}
	}
	for _, c := range waiters(changes, stopped, "waits for a change that is not applied now") {
		back, suppressed[c.Key()] = append(back, c), true
	}
	return slices.DeleteFunc(changes, func(c Change) bool { return suppressed[c.Key()] }), back
}

// dropAbsent takes out of additions the people who have no account and are not given one by these changes either.
func dropAbsent(changes []Change) []Change {
	entering := map[string]bool{}
	for _, c := range changes {
		if c.Object.Kind == KindUser {
			entering[c.Object.Source] = true
		}
	}
	var out []Change
	for _, c := range changes {
		if c.Verb == VerbAdd {
			c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Membership) bool { return m.User.Target == "" && !entering[m.User.Source] })
			if len(c.Members) == 0 {
				continue
			}
			c.Why, c.Spends = c.Members[0].Why, c.spendsOf(len(c.Members))
		}
		out = append(out, c)
	}
	return out
}

func (d *desk) allNotes() []Note {
	notes := d.notes
	for i := range d.people {
		if n := d.people[i].frozen; n != nil && n.Kind != noteHeld {
			notes = append(notes, *n)
		}
	}
	for i := range d.groups {
		if n := d.groups[i].frozen; n != nil && n.Kind != "" {
			notes = append(notes, *n)
		}
	}
	notes = append(notes, d.unseenPhones()...)
	return append(append(notes, d.unmatchedPush()...), d.unmatchedRoles()...)
}

// unmatchedPush notes entries of groups.push that mean one group which is not there.
func (d *desk) unmatchedPush() []Note {
	var out []Note
	for _, p := range d.rules.push {
		if p.Exact() && !slices.ContainsFunc(d.snapshot.Groups, func(g connectors.Group) bool { return p.Match(string(g.ID), g.Name, g.Email) }) {
			out = append(out, Note{Kind: NoteLeft, Object: Ref{Kind: KindGroup, Name: p.String()},
				Text: "groups.push names a group that the directory does not have", Remedy: "correct or remove the entry"})
		}
	}
	return out
}

func (d *desk) counts() Counts {
	c := Counts{Directory: len(d.snapshot.Users), TargetUsers: len(d.users), TargetGroups: len(d.reading.groups)}
	for i := range d.people {
		p := &d.people[i]
		switch p.standing {
		case standIn:
			c.InScope++
		case standExcluded:
			c.Excluded++
		}
		if p.link != nil && p.target != nil {
			c.Managed++
		}
	}
	for i := range d.users {
		if _, owned := d.ownerOf[d.users[i].ID]; !owned && d.users[i].Active {
			c.Unmanaged++
		}
	}
	seen := 0
	for i := range d.groups {
		g := &d.groups[i]
		if g.source != nil {
			c.Groups++
		}
		if g.target != nil {
			seen++
			if g.link != nil {
				c.ManagedGroups++
			}
		}
	}
	c.UnmanagedGroups = c.TargetGroups - seen
	return c
}
