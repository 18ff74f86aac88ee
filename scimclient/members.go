package scimclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// A memberChange is one person joining or leaving a group.
type memberChange struct {
	id     string
	remove bool
}

// memberValue is a member as it is sent: the value alone, since servers disagree about the rest.
type memberValue struct {
	Value string `json:"value"`
	Type  string `json:"type,omitempty"`
}

// ChangeMembers adds and removes user ids, at most MemberChunk changes a request, and verifies the whole at the end. Ids
// that are already as wanted must not be passed. After an error the returned group is what is known to hold, if its ID
// is set. An id that the server does not know fails the request it is in, or is dropped and found missing.
func (c *Client) ChangeMembers(ctx context.Context, id string, add, remove []string) (Group, error) {
	const op = "change members"
	if id == "" {
		return Group{}, fmt.Errorf("%s: no id", op)
	}
	todo, err := memberChanges(add, remove)
	if err != nil {
		return Group{}, fmt.Errorf("%s: %w", op, err)
	}
	if len(todo) == 0 {
		return c.groups.get(ctx, op, id)
	}
	known, patched, err := c.patchMembers(ctx, op, id, todo)
	if err != nil {
		return known, err
	}
	if known.ID == "" {
		if known, err = c.groups.get(ctx, op, id); err != nil {
			return Group{}, notReadBack(op, err)
		}
	}
	left := outstanding(todo, known)
	if len(left) == 0 {
		return known, nil
	}
	after, err := c.insist(ctx, op, id, left, patched)
	switch {
	case err == nil:
		known = after
	case !patched || !unsupported(err) && !plainRefusal(err):
		return known, err
	}
	if left = outstanding(todo, known); len(left) > 0 {
		return known, notKept(op, left)
	}
	return known, nil
}

// patchMembers sends the changes in chunks. The group it returns is the server's account of it after the last chunk;
// without an ID, nothing is known. patched is false, without an error, when PATCH turns out to be no way to this server.
func (c *Client) patchMembers(ctx context.Context, op, id string, todo []memberChange) (known Group, patched bool, err error) {
	k := c.groups
	if k.noPatch.Load() {
		return Group{}, false, nil
	}
	for rest := todo; len(rest) > 0; {
		part := rest[:min(len(rest), int(c.chunk.Load()))]
		v, seen, err := k.apply(ctx, memberPatch(op, id, part))
		e, refused := errors.AsType[*Error](err)
		switch {
		case err == nil:
			if known = v; !seen {
				known = Group{}
			}
			rest = rest[len(part):]
		case refused && e.Status == http.StatusRequestEntityTooLarge && len(part) > 1:
			c.chunk.Store(int64(len(part) / 2))
		case unsupported(err):
			if lacksMethod(err) {
				k.noPatch.Store(true)
			}
			return Group{}, false, nil
		default:
			if known.ID == "" && len(rest) < len(todo) && refused {
				known, _ = k.get(ctx, op, id) // what earlier chunks did; if that cannot be read, nothing is known
			}
			return known, false, err
		}
	}
	return known, true, nil
}

// insist sends what did not stick in one other form: additions without a path, which every server takes for a union,
// and anything else by PUT of the full list.
func (c *Client) insist(ctx context.Context, op, id string, left []memberChange, patched bool) (Group, error) {
	k := c.groups
	if !patched || slices.ContainsFunc(left, func(m memberChange) bool { return m.remove }) {
		return k.verified(ctx, memberPut(k, op, id, left))
	}
	var g Group
	for part := range slices.Chunk(left, int(c.chunk.Load())) {
		var err error
		ch := memberPatch(op, id, part)
		ch.body = func(context.Context, *Group) (any, error) {
			value := map[string]any{"members": memberValues(part)}
			return newPatch(patchOp{Op: "add", Value: value}), nil
		}
		if g, err = k.verified(ctx, ch); err != nil {
			return g, err
		}
	}
	return g, nil
}

// memberPatch is one PATCH of membership changes. Sent again, it leaves out what a reading showed to be done.
func memberPatch(op, id string, part []memberChange) change[Group] {
	return change[Group]{
		op: op, method: http.MethodPatch, id: id,
		done: func(g Group) bool { return len(outstanding(part, g)) == 0 },
		body: func(_ context.Context, now *Group) (any, error) {
			if now == nil {
				return newPatch(memberOps(part)...), nil
			}
			return newPatch(memberOps(outstanding(part, *now))...), nil
		},
	}
}

// memberOps are one add of all that join and one remove by value path for each that leaves: a remove of a value list
// makes several servers empty the group.
func memberOps(part []memberChange) []patchOp {
	var ops []patchOp
	if joining := memberValues(part); len(joining) > 0 {
		ops = append(ops, patchOp{Op: "add", Path: "members", Value: joining})
	}
	for _, m := range part {
		if m.remove {
			ops = append(ops, patchOp{Op: "remove", Path: "members[value eq " + quote(m.id) + "]"})
		}
	}
	return ops
}

func memberValues(part []memberChange) []memberValue {
	var list []memberValue
	for _, m := range part {
		if !m.remove {
			list = append(list, memberValue{Value: m.id})
		}
	}
	return list
}

// memberPut sends the group with its full list of members, read anew each time. Members of type Group stay in it.
func memberPut(k *collection[Group], op, id string, changes []memberChange) change[Group] {
	return change[Group]{
		op: op, method: http.MethodPut, id: id,
		done: func(g Group) bool { return len(outstanding(changes, g)) == 0 },
		body: func(ctx context.Context, _ *Group) (any, error) {
			raw, err := k.mergeable(ctx, op, id)
			if err != nil {
				return nil, err
			}
			here, _ := lookupKey(raw, "members")
			members, _ := here.([]any)
			leaving, present := map[string]bool{}, map[string]bool{}
			for _, m := range changes {
				leaving[m.id] = m.remove
			}
			members = slices.DeleteFunc(members, func(m any) bool {
				o, _ := m.(map[string]any)
				v, _ := lookupKey(o, "value")
				value := fmt.Sprint(v)
				present[value] = true
				return leaving[value]
			})
			for _, m := range memberValues(changes) {
				if !present[m.Value] {
					members = append(members, m)
				}
			}
			if members == nil {
				members = []any{}
			}
			setKey(raw, "members", members)
			return raw, nil
		},
	}
}

// memberChanges puts additions before removals, each id once.
func memberChanges(add, remove []string) ([]memberChange, error) {
	todo := make([]memberChange, 0, len(add)+len(remove))
	listed := map[string]bool{}
	for _, list := range [...]struct {
		ids    []string
		remove bool
	}{{add, false}, {remove, true}} {
		for _, id := range list.ids {
			was, twice := listed[id]
			switch {
			case id == "":
				return nil, errors.New("a member without id")
			case twice && was != list.remove:
				return nil, fmt.Errorf("%s is both added and removed", id)
			case twice:
				continue
			}
			listed[id] = list.remove
			todo = append(todo, memberChange{id, list.remove})
		}
	}
	return todo, nil
}

func additions(members []Member) []memberChange {
	todo := make([]memberChange, len(members))
	for i, m := range members {
		todo[i] = memberChange{id: m.Value}
	}
	return todo
}

// outstanding are the changes that g does not show.
func outstanding(changes []memberChange, g Group) []memberChange {
	here := make(map[string]bool, len(g.Members))
	for _, m := range g.Members {
		here[m.Value] = true
	}
	var left []memberChange
	for _, m := range changes {
		if here[m.id] == m.remove {
			left = append(left, m)
		}
	}
	return left
}

func notKept(op string, left []memberChange) *NotKeptError {
	e := &NotKeptError{Op: op, Attributes: []string{"members"}}
	for _, m := range left {
		e.Members = append(e.Members, m.id)
	}
	return e
}
