package rootly

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A rota is who may be paged by what, of the whole account.
type rota struct {
	schedules   map[string]string   // id → name
	rotations   map[string][]string // user id → names of the schedules that they take turns in, sorted
	escalations map[string][]string // user id → names of the policies that page them by name, sorted
}

// rotaLife is how long one scan serves. It decides about names and warnings only: shifts are asked for afresh.
const rotaLife = 10 * time.Minute

// side is how many requests are under way at once.
const side = 8

// scanned returns the rota, at most rotaLife old.
func (c *Client) scanned(ctx context.Context) (*rota, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opts.Now()
	if age := now.Sub(c.readAt); c.rota != nil && age >= 0 && age < rotaLife {
		return c.rota, nil
	}
	r, err := c.scan(ctx)
	if err != nil {
		return nil, err
	}
	c.rota, c.readAt = r, now
	return r, nil
}

// A sieve collects what the requests of one scan find.
type sieve struct {
	mu          sync.Mutex
	rotations   map[string]map[string]bool // user id → names
	escalations map[string]map[string]bool
}

func (s *sieve) note(in map[string]map[string]bool, user, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in[user] == nil {
		in[user] = map[string]bool{}
	}
	in[user][name] = true
}

// scan walks schedules → rotations → their users, and escalation policies → paths → levels.
func (c *Client) scan(ctx context.Context) (*rota, error) {
	schedules, err := c.named(ctx, "listing schedules", "/schedules")
	if err != nil {
		return nil, err
	}
	policies, err := c.named(ctx, "listing escalation policies", "/escalation_policies")
	if err != nil {
		return nil, err
	}
	s := &sieve{rotations: map[string]map[string]bool{}, escalations: map[string]map[string]bool{}}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(side)
	for id, name := range schedules {
		g.Go(func() error { return c.rotationsOf(ctx, s, id, name) })
	}
	for id, name := range policies {
		g.Go(func() error { return c.pathsOf(ctx, s, id, name) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &rota{schedules, sorted(s.rotations), sorted(s.escalations)}, nil
}

// named lists what has a name, by id.
func (c *Client) named(ctx context.Context, step, path string) (map[string]string, error) {
	out := map[string]string{}
	err := c.list(ctx, step, path, nil, func(r resource) error {
		var a struct{ Name string }
		err := r.decode(&a)
		out[r.ID] = a.Name
		return err
	})
	return out, err
}

func (c *Client) rotationsOf(ctx context.Context, s *sieve, schedule, name string) error {
	var rotations []string
	err := c.list(ctx, "listing rotations", "/schedules/"+url.PathEscape(schedule)+"/schedule_rotations", nil, func(r resource) error {
		rotations = append(rotations, r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range rotations {
		path := "/schedule_rotations/" + url.PathEscape(id) + "/schedule_rotation_users"
		err := c.list(ctx, "listing the users of a rotation", path, nil, func(r resource) error {
			var a struct {
				UserID json.Number `json:"user_id"`
			}
			if err := r.decode(&a); err != nil {
				return err
			}
			if a.UserID == "" {
				return errors.New("a user of a rotation has no id")
			}
			s.note(s.rotations, a.UserID.String(), name)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) pathsOf(ctx context.Context, s *sieve, policy, name string) error {
	var paths []string
	err := c.list(ctx, "listing escalation paths", "/escalation_policies/"+url.PathEscape(policy)+"/escalation_paths", nil, func(r resource) error {
		paths = append(paths, r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range paths {
		path := "/escalation_paths/" + url.PathEscape(id) + "/escalation_levels"
		err := c.list(ctx, "listing escalation levels", path, nil, func(r resource) error {
			var a struct {
				Position int
				Targets  []*struct{ ID, Type string } `json:"notification_target_params"`
			}
			if err := r.decode(&a); err != nil {
				return err
			}
			for _, t := range a.Targets {
				if t != nil && strings.EqualFold(t.Type, "user") {
					s.note(s.escalations, t.ID, fmt.Sprintf("%s (level %d)", name, a.Position))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func sorted(in map[string]map[string]bool) map[string][]string {
	out := map[string][]string{}
	for user, names := range in {
		out[user] = slices.Sorted(maps.Keys(names))
	}
	return out
}
