package scimclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An attribute is one change of an edit, in all the ways in which it can be sent.
type attribute struct {
	path  string // userName, name, emails, …
	value any    // nil clears it
	// also are further operations that belong to it, such as clearing one part of a name.
	also []patchOp
	list bool // multi-valued: never sent without a path, since several servers append then
}

// An edit is a change of an object's attributes.
type edit[T resource] struct {
	op     string
	id     string
	attrs  []attribute
	lost   func(T) []string // the attributes that v does not show as wanted
	hidden *T               // see change
	forms  []form
}

// A form is one way of sending an edit.
type form string

const (
	byPath   form = "PATCH by path"
	pathless form = "PATCH without paths"
	whole    form = "PUT of the merged object" // read anew for each sending
)

func (f form) method() string {
	if f == whole {
		return http.MethodPut
	}
	return http.MethodPatch
}

// payload is what the edit looks like in one form.
func (k *collection[T]) payload(ctx context.Context, f form, e edit[T]) (any, error) {
	switch f {
	case whole:
		raw, err := k.mergeable(ctx, e.op, e.id)
		if err != nil {
			return nil, err
		}
		for _, a := range e.attrs {
			setKey(raw, a.path, a.value)
		}
		return raw, nil
	case pathless:
		value := map[string]any{}
		for _, a := range e.attrs {
			if a.value == nil || a.list || len(a.also) > 0 {
				return nil, errNotOffered
			}
			value[a.path] = a.value
		}
		return newPatch(patchOp{Op: "replace", Value: value}), nil
	}
	return newPatch(e.pathOps()...), nil
}

func (e edit[T]) pathOps() []patchOp {
	var ops []patchOp
	for _, a := range e.attrs {
		if a.value == nil {
			ops = append(ops, patchOp{Op: "remove", Path: a.path})
		} else {
			ops = append(ops, patchOp{Op: "replace", Path: a.path, Value: a.value})
		}
		ops = append(ops, a.also...)
	}
	return ops
}

// update sends an edit in the first form that the server understands and verifies the result. What was accepted and
// not kept is sent in one other form; after that the server's word stands, and the error is a NotKeptError.
func (k *collection[T]) update(ctx context.Context, e edit[T]) (T, error) {
	var last T
	var refused error
	accepted := 0
	for _, f := range e.forms {
		if accepted == 2 || f != whole && k.noPatch.Load() {
			continue
		}
		v, err := k.verified(ctx, change[T]{
			op: e.op, method: f.method(), id: e.id,
			body:   func(ctx context.Context, _ *T) (any, error) { return k.payload(ctx, f, e) },
			done:   func(v T) bool { return len(e.lost(v)) == 0 },
			hidden: e.hidden,
		})
		switch {
		case err == nil && len(e.lost(v)) == 0:
			return v, nil
		case err == nil:
			accepted++
			last = v
		case unsupported(err):
			if f != whole && lacksMethod(err) {
				k.noPatch.Store(true)
			}
			refused = firstOf(refused, err)
		case otherShape(err), accepted > 0 && plainRefusal(err):
			refused = firstOf(refused, err)
		default:
			return last, err
		}
	}
	switch {
	case accepted > 0:
		return last, &NotKeptError{Op: e.op, Attributes: e.lost(last)}
	case refused != nil:
		return last, refused
	}
	return last, fmt.Errorf("%s: %w", e.op, errNotOffered)
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// otherShape tells whether a refusal is about how the change was put and not about the change.
func otherShape(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusBadRequest && slices.Contains([]string{"invalidPath", "noTarget", "invalidSyntax"}, e.ScimType)
}

// plainRefusal tells whether the server refused this one request, and not the token.
func plainRefusal(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadRequest || e.Status == http.StatusConflict || e.Status == http.StatusUnprocessableEntity)
}

// mergeable reads an object as a PUT may send it back: without what only the server writes, without nulls, and with
// active spelled out, since PUT clears or defaults what it omits.
func (k *collection[T]) mergeable(ctx context.Context, op, id string) (map[string]any, error) {
	v, body, err := k.fetch(ctx, op, id)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var raw map[string]any
	if err := dec.Decode(&raw); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	for _, key := range []string{"id", "meta", "groups"} {
		setKey(raw, key, nil)
	}
	dropNulls(raw)
	switch v := any(v).(type) {
	case User:
		setKey(raw, "active", v.Active)
	case Group:
		// Without members in sight, a PUT would empty the group on a server that hides them. Where PATCH is
		// missing there is no other way, and there the group has to be taken for empty.
		members, shown := lookupKey(raw, "members")
		if !shown && !k.noPatch.Load() {
			return nil, errNotOffered
		}
		keepValueAndType(members)
	}
	return raw, nil
}

// keepValueAndType takes out of members what the server derives by itself, $ref and display: strict servers refuse it.
func keepValueAndType(members any) {
	list, _ := members.([]any)
	for _, m := range list {
		o, _ := m.(map[string]any)
		maps.DeleteFunc(o, func(key string, _ any) bool {
			return !strings.EqualFold(key, "value") && !strings.EqualFold(key, "type")
		})
	}
}

// dropNulls removes nulls, and list entries whose value is null: servers render empty slots so and refuse them back.
func dropNulls(m map[string]any) {
	for key, v := range m {
		switch v := v.(type) {
		case nil:
			delete(m, key)
		case map[string]any:
			dropNulls(v)
		case []any:
			m[key] = slices.DeleteFunc(v, func(entry any) bool {
				o, ok := entry.(map[string]any)
				if !ok {
					return entry == nil
				}
				value, has := lookupKey(o, "value")
				dropNulls(o)
				return has && value == nil
			})
		}
	}
}

// setKey sets an attribute whose name the server may spell in another letter case; nil removes it.
func setKey(m map[string]any, name string, value any) {
	for key := range m {
		if strings.EqualFold(key, name) {
			delete(m, key)
		}
	}
	if value != nil {
		m[name] = value
	}
}

func lookupKey(m map[string]any, name string) (any, bool) {
	for key, v := range m {
		if strings.EqualFold(key, name) {
			return v, true
		}
	}
	return nil, false
}
