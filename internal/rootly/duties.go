package rootly

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

var _ reconcile.Pager = (*Client)(nil)

// dutyTime bounds one question about all leavers, so that a Rootly that hardly answers does not hold up the cycle.
const dutyTime = 5 * time.Minute

// Duties returns what each leaver does for Rootly; reconcile.Pager says what may be relied on. It costs one request a leaver
// whose first address is known, one for each 50 of those found, and the scan of schedules and policies when the last one is
// too old. Leavers whom Rootly does not know under any of their addresses have no duties.
func (c *Client) Duties(ctx context.Context, leavers []reconcile.Leaver, from, to time.Time) (map[connectors.UserID]reconcile.Duty, error) {
	ctx, cancel := context.WithTimeout(ctx, dutyTime)
	defer cancel()
	byUser, err := c.identify(ctx, leavers)
	if err != nil || len(byUser) == 0 {
		return nil, err
	}
	users := slices.Sorted(maps.Keys(byUser))
	var shifts []Shift
	for some := range slices.Chunk(users, MaxShiftUsers) {
		more, err := c.Shifts(ctx, some, from, to)
		if err != nil {
			return nil, err
		}
		shifts = append(shifts, more...)
	}
	r, err := c.scanned(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string]reconcile.Duty{}
	for _, s := range shifts {
		d := of[s.User]
		name := cmp.Or(r.schedules[s.Schedule], "schedule "+s.Schedule)
		d.Shifts = append(d.Shifts, reconcile.Shift{Schedule: name, Starts: s.Starts, Ends: s.Ends})
		of[s.User] = d
	}
	out := map[connectors.UserID]reconcile.Duty{}
	for _, u := range users {
		for _, id := range byUser[u] {
			d := out[id]
			d.Shifts = append(d.Shifts, of[u].Shifts...)
			d.Rotations, d.Escalations = append(d.Rotations, r.rotations[u]...), append(d.Escalations, r.escalations[u]...)
			if len(d.Shifts)+len(d.Rotations)+len(d.Escalations) > 0 {
				out[id] = d
			}
		}
	}
	return out, nil
}

// identify finds the leavers by their ids in Rootly: each by the first of their addresses that it knows. Two accounts
// that share an address count as paged together.
func (c *Client) identify(ctx context.Context, leavers []reconcile.Leaver) (map[string][]connectors.UserID, error) {
	found := make([][]User, len(leavers))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(side)
	for i, l := range leavers {
		g.Go(func() (err error) {
			for _, address := range l.Addresses {
				if found[i], err = c.Users(ctx, address); err != nil || len(found[i]) > 0 {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	byUser := map[string][]connectors.UserID{}
	for i, users := range found {
		for _, u := range users {
			byUser[u.ID] = append(byUser[u.ID], leavers[i].ID)
		}
	}
	return byUser, nil
}
