package reconcile

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// derive makes the ledger of a run that has no store from what both sides say. An account is ours if it carries the
// externalId of somebody in the directory's answer, or of somebody the directory knows when asked by that id; without
// such proof nobody is ever taken away. There is no memory: a deactivated account of somebody in scope is reactivated,
// whoever deactivated it, and every difference reads as the directory's.
func derive(ctx context.Context, source connectors.Connector, rules *Rules, in reading) (Ledger, error) {
	l := Ledger{
		Users: map[connectors.UserID]Link{}, Groups: map[connectors.GroupID]Link{},
		Rules: rules.hash, RuleTexts: rules.texts,
	}
	byExternal := map[string]connectors.UserID{}
	j := newJudge(rules, in.snapshot)
	for i := range in.snapshot.Users {
		u := &in.snapshot.Users[i]
		if v := j.judge(u); v.want.ExternalID != "" {
			byExternal[v.want.ExternalID] = u.ID
		}
	}
	// Two accounts with one externalId are a conflict for the operator: neither is taken for ours.
	accounts := map[string]int{}
	for i := range in.users {
		accounts[in.users[i].ExternalID]++
	}
	var strangers []int
	for i := range in.users {
		u := &in.users[i]
		if accounts[u.ExternalID] > 1 {
			continue
		}
		if id, ok := byExternal[u.ExternalID]; ok && u.ExternalID != "" {
			v := valuesOf(u)
			l.Users[id] = Link{Kind: KindUser, Source: string(id), Target: u.ID, User: &v}
		} else if u.ExternalID != "" && u.Active {
			strangers = append(strangers, i)
		}
	}
	// An externalId that no rule of ours yields any more is the directory id itself, as the default mapping has it.
	finder, _ := source.(connectors.Finder)
	if finder != nil && rules.mapping[AttrExternalID] == nil && rules.managed(AttrExternalID) {
		known := make([]bool, min(len(strangers), maxConfirmations))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(8)
		for n := range known {
			g.Go(func() error {
				f, err := finder.Lookup(gctx, connectors.UserID(in.users[strangers[n]].ExternalID))
				if err != nil {
					return fmt.Errorf("ask the directory whose account %s is: %w", in.users[strangers[n]].UserName, err)
				}
				known[n] = f.Known
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return Ledger{}, err
		}
		for n, ok := range known {
			if ok {
				u := &in.users[strangers[n]]
				v := valuesOf(u)
				l.Users[connectors.UserID(u.ExternalID)] = Link{Kind: KindUser, Source: u.ExternalID, Target: u.ID, User: &v}
			}
		}
	}
	for i := range in.groups {
		g := &in.groups[i]
		if g.ExternalID == "" {
			continue
		}
		l.Groups[connectors.GroupID(g.ExternalID)] = Link{Kind: KindGroup, Source: g.ExternalID, Target: g.ID,
			Group: &GroupValues{DisplayName: g.DisplayName, ExternalID: g.ExternalID, Members: memberIDs(g.Members)}}
	}
	for id := range l.Groups { // a group that is not pushed may be anybody's: no link, no note
		if !pushes(in.snapshot, id) {
			delete(l.Groups, id)
		}
	}
	return l, nil
}

func pushes(s connectors.Snapshot, id connectors.GroupID) bool {
	for i := range s.Groups {
		if s.Groups[i].ID == id {
			return true
		}
	}
	return false
}
