package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// group sends the changes of one group that belong together: its creation with its first members, a rename, or members
// in and out in shared requests.
func (r *run) group(ctx context.Context, s step) {
	intents := make([]int64, len(s))
	planned := s
	s = slices.Clone(s)
	var absent []string
	for i := range s {
		c := &s[i]
		if c.Verb == VerbAdd { // whoever has no account cannot enter: the record is of those who can
			c.Members = slices.DeleteFunc(slices.Clone(c.Members), func(m Membership) bool { return r.targetOf(m.User) == "" })
			for _, m := range planned[i].Members {
				if r.targetOf(m.User) == "" {
					absent = append(absent, m.User.Name)
				}
			}
			if len(absent) > 0 {
				c.Spends = c.spendsOf(len(c.Members))
			}
			if len(c.Members) == 0 {
				continue // nothing to send, and nothing to record but that
			}
		}
		id, ok := r.intend(ctx, *c)
		if !ok {
			return
		}
		intents[i] = id
	}
	start := r.now()
	g, err := r.sendGroup(ctx, s)
	outcome := r.classify(ctx, err)
	took := r.now().Sub(start)
	for i, c := range s {
		set, cerr := Settled{Intent: intents[i], Outcome: outcome, Took: took}, err
		if c.Verb == VerbCreate && outcome == OutcomeFailed && g.ID != "" && !joined(err) {
			set.Outcome, cerr = OutcomeDone, nil // the group is there; what was refused came after its creation
		}
		if g.ID != "" && (set.Outcome == OutcomeDone || set.Outcome == OutcomeNotKept) {
			l := r.linkOf(c, g.ID, memberIDs(g.Members))
			if set.Outcome == OutcomeNotKept {
				l.Stuck = stuckOf(l.Stuck, c.Fields, err, r.plan.stuck[c.Object.key()])
				l.Stuck = stuckMembers(l.Stuck, s, err, r.plan.stuck[c.Object.key()])
			}
			set.Link = &l
		}
		if c.Verb == VerbDelete && outcome == OutcomeDone {
			set.Unlink = &c.Object
		}
		if c.Verb != VerbAdd || len(absent) == 0 || cerr != nil && intents[i] != 0 {
			r.settle(ctx, c, set, cerr)
			continue
		}
		if intents[i] != 0 {
			if jerr := r.Journal.Settle(ctx, set); jerr != nil {
				r.halt(fmt.Errorf("record an outcome: %w", jerr))
			}
		}
		r.finish(Result{Change: planned[i], Outcome: OutcomeSkipped, Took: took,
			Error: fmt.Sprintf("%d of %d members do not exist in Rootly yet: %s", len(absent), len(planned[i].Members), absent[0])})
	}
}

// sendGroup returns the group as it is now.
func (r *run) sendGroup(ctx context.Context, s step) (g scimclient.Group, err error) {
	head := s[0]
	var add, remove []string
	for _, c := range s {
		for _, m := range c.Members {
			switch id := r.targetOf(m.User); {
			case id == "": // without an account nobody enters or leaves
			case c.Verb == VerbAdd:
				add = append(add, id)
			default:
				remove = append(remove, id)
			}
		}
	}
	switch head.Verb {
	case VerbCreate:
		if err := r.stillGone(ctx, head.Object); err != nil {
			return scimclient.Group{}, err
		}
		want := scimclient.Group{DisplayName: head.group.DisplayName, ExternalID: head.group.ExternalID, Members: members(add)}
		g, err = r.Target.CreateGroup(ctx, want)
		if e, ok := errors.AsType[*scimclient.Error](err); ok && e.Status == http.StatusConflict {
			err = fmt.Errorf("%w; a group of that name exists and was not in the listing; the next run looks again", err)
		}
		if joined := strangers(g, add); joined != nil {
			err = joined
		}
		return g, err
	case VerbUpdate:
		g, err = r.Target.UpdateGroup(ctx, head.Object.Target, groupEdit(head))
		return g, err
	case VerbDelete:
		return scimclient.Group{}, r.deleteGroup(ctx, head)
	}
	if len(add)+len(remove) == 0 {
		return scimclient.Group{}, nil
	}
	g, err = r.Target.ChangeMembers(ctx, head.Object.Target, add, remove)
	return g, err
}

// strangers refuses a created group that has members whom we did not send: the server linked a group that was there, and
// taking people out of it needs a yes. It stays unlinked; the next run finds it and says so.
func strangers(g scimclient.Group, sent []string) error {
	known := map[string]bool{}
	for _, id := range sent {
		known[id] = true
	}
	n := 0
	for _, m := range g.Members {
		if !known[m.Value] {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return &linkedError{name: g.DisplayName, members: n}
}

// joined tells whether a creation was answered with a group that is not ours.
func joined(err error) bool {
	_, ok := errors.AsType[*linkedError](err)
	return ok
}

// A linkedError is a creation that the server answered with a group that existed before.
type linkedError struct {
	name    string
	members int
}

func (e *linkedError) Error() string {
	return fmt.Sprintf("Rootly linked an existing group %q with %d members of its own: nobody is taken out of it without a yes (%s)", e.name, e.members, adoptCommand(quoted(e.name)))
}

// stuckMembers adds one more try to out for every member that the server did not let in or out.
func stuckMembers(out map[string]Stuck, s step, err error, before map[string]Stuck) map[string]Stuck {
	nk, ok := errors.AsType[*scimclient.NotKeptError](err)
	if !ok || len(nk.Members) == 0 {
		return out
	}
	if out == nil {
		out = map[string]Stuck{}
	}
	for _, c := range s {
		for _, m := range c.Members {
			if slices.Contains(nk.Members, m.User.Target) {
				key := stuckMember(m.User.Target)
				t := Stuck{Value: string(c.Verb), Tries: 1}
				if b := before[key]; b.Value == t.Value {
					t.Tries = b.Tries + 1
				}
				out[key] = t
			}
		}
	}
	return out
}

// stuckMember is the key under which a membership that does not stick is counted.
func stuckMember(id string) string { return "members " + id }

// targetOf is a person's SCIM id, known from the plan or since they were created in this run.
func (r *run) targetOf(u Ref) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.targets[u.Source]; ok && u.Source != "" {
		return id
	}
	return u.Target
}

func members(ids []string) []scimclient.Member {
	out := make([]scimclient.Member, len(ids))
	for i, id := range ids {
		out[i] = scimclient.Member{Value: id}
	}
	return out
}

func groupEdit(c Change) scimclient.GroupEdit {
	var e scimclient.GroupEdit
	for _, f := range c.Fields {
		switch f.Name {
		case "displayName":
			e.DisplayName = &c.group.DisplayName
		case "externalId":
			e.ExternalID = &c.group.ExternalID
		}
	}
	return e
}

// stuckValues collects, by directory id, what the ledger knows of values that the server did not keep.
func stuckValues(l Ledger, changes []Change) map[string]map[string]Stuck {
	out := map[string]map[string]Stuck{}
	for _, c := range changes {
		var s map[string]Stuck
		if c.Object.Kind == KindUser {
			s = l.Users[connectors.UserID(c.Object.Source)].Stuck
		} else {
			s = l.Groups[connectors.GroupID(c.Object.Source)].Stuck
		}
		if len(s) > 0 {
			out[c.Object.key()] = s
		}
	}
	return out
}
