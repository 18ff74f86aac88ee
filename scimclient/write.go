package scimclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

const patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// A patchOp is one operation of a PATCH. Lower-case ops, one attribute per operation and its path in the path is what
// every server seen understands.
type patchOp struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

// A patch is the body of a PATCH. Some servers insist on the capital O.
type patch struct {
	Schemas    []string  `json:"schemas"`
	Operations []patchOp `json:"Operations"`
}

func newPatch(ops ...patchOp) patch { return patch{[]string{patchURN}, ops} }

// A change is one PATCH or PUT of an object, as often as it takes to know its outcome.
type change[T resource] struct {
	op     string
	method string
	id     string
	// body makes the payload. now is the object as read since the last sending, nil before the first one.
	body func(ctx context.Context, now *T) (any, error)
	done func(T) bool // the object shows the change
	// hidden is what a 404 after success stands for: some servers no longer show those who were deactivated.
	hidden *T
}

// errNotOffered means that one form of a write cannot be used for this object.
var errNotOffered = errors.New("the server offers no safe way to send this change")

// unsupported tells whether the server lacks the method or form, as distinct from refusing the change.
func unsupported(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return errors.Is(err, errNotOffered) || lacksMethod(err) || ok && e.misrouted
}

// lacksMethod tells whether the server says that it has no such method, which holds for good. A gateway's 404 may pass.
func lacksMethod(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented)
}

// apply sends a change. seen tells that the returned object is the server's own account of it: from a complete answer
// that shows the change, or from a reading. After an error the object means nothing.
func (k *collection[T]) apply(ctx context.Context, ch change[T]) (v T, seen bool, err error) {
	var now *T // as read after a sending that did not settle
	for try, matched := 1, false; ; try++ {
		payload, err := ch.body(ctx, now)
		if err != nil {
			return v, false, err
		}
		r := request{op: ch.op, method: ch.method, path: k.pathOf(ch.id), payload: payload, ifMatch: k.version(ctx, ch.id)}
		planned := k.lastSeen(ch.id)
		ans, err := k.c.do(ctx, r, nil)
		e, refused := errors.AsType[*Error](err)
		switch {
		case err == nil:
			return k.accepted(ans, ch)
		case unsettled(err):
			after, err := k.reread(ctx, ch, err)
			if err != nil || ch.done(after) {
				return after, err == nil, err
			}
			now = &after
		case refused && e.Status == http.StatusNotFound:
			return v, false, k.confirmGone(ctx, ch.op, ch.id, e)
		case refused && (e.Status == http.StatusPreconditionRequired || e.Status == http.StatusPreconditionFailed) && !matched:
			after, err := k.rematch(ctx, ch, planned, e)
			if err != nil || ch.done(after) {
				return after, err == nil, err
			}
			matched, now = true, &after
			continue // this was no failure of the server
		default:
			return v, false, err
		}
		if try == maxTries {
			return v, false, undone(ch.op, err)
		}
		if err := k.c.backoff(ctx, try, err); err != nil {
			return v, false, &UnknownError{ch.op, err}
		}
	}
}

// accepted reads the object out of a success, if its body is all of it and shows the change. A body that does not is
// no proof against the change either: it may be cut down or taken from before.
func (k *collection[T]) accepted(ans answer, ch change[T]) (T, bool, error) {
	v, whole, err := k.decode(ans.body)
	if err != nil || !whole || v.id() != ch.id || !ch.done(v) {
		k.forget(ch.id)
		var zero T
		return zero, false, nil
	}
	k.remember(v)
	return v, true, nil
}

// forget drops a version that a write has made stale.
func (k *collection[T]) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.seen, id)
}

// verified is apply followed by a reading where the answer alone is no proof.
func (k *collection[T]) verified(ctx context.Context, ch change[T]) (T, error) {
	v, seen, err := k.apply(ctx, ch)
	if err != nil || seen {
		return v, err
	}
	v, err = k.get(ctx, ch.op, ch.id)
	switch {
	case err == nil:
		return v, nil
	case Gone(err) && ch.hidden != nil:
		return *ch.hidden, nil
	}
	return v, notReadBack(ch.op, err)
}

// notReadBack is the error of a write that was accepted and could not be verified.
func notReadBack(op string, err error) error {
	if Gone(err) {
		return err
	}
	return &UnknownError{op, fmt.Errorf("reading back what was written: %w", err)}
}

// reread finds out what became of a write whose answer was lost.
func (k *collection[T]) reread(ctx context.Context, ch change[T], lost error) (T, error) {
	now, err := k.get(ctx, ch.op, ch.id)
	switch {
	case err == nil:
		return now, nil
	case Gone(err) && ch.hidden != nil:
		return *ch.hidden, nil
	case Gone(err):
		return now, err
	}
	return now, &UnknownError{ch.op, errors.Join(lost, err)}
}

// undone is the error of a write that was tried in vain, with a reading after each try. An answer of the server is its
// refusal; a request without answer may still be under way.
func undone(op string, lost error) error {
	if e, ok := errors.AsType[*Error](lost); ok {
		return e
	}
	return &UnknownError{op, lost}
}

// confirmGone decides what a 404 to a write means. A server without the method, a gateway, or one that does not know
// something named in the body answers 404 as well; only a reading tells.
func (k *collection[T]) confirmGone(ctx context.Context, op, id string, answered *Error) error {
	_, err := k.get(ctx, op, id)
	e, refused := errors.AsType[*Error](err)
	switch {
	case Gone(err):
		return err
	case err == nil && answered.SCIM:
		answered.SCIM = false
		answered.hint = "the " + k.noun + " itself exists, so something named in the request does not"
	case err == nil:
		answered.misrouted = true
		answered.hint = "the " + k.noun + " exists, so the server or a gateway lacks the method"
	case refused && e.Status == http.StatusNotFound:
		answered.hint = e.hint
	default:
		answered.SCIM = false
		answered.hint = "reading the " + k.noun + " did not settle whether it is gone"
	}
	return answered
}

// rematch reads the version that a 428 asks for, or that a 412 says has moved on. A write is repeated only if the
// attributes are still those it was planned from, and not at all if it has been done meanwhile.
func (k *collection[T]) rematch(ctx context.Context, ch change[T], planned seen, refused *Error) (T, error) {
	if refused.Status == http.StatusPreconditionRequired {
		k.versioned.Store(true)
	}
	now, err := k.get(ctx, ch.op, ch.id)
	switch {
	case err != nil || ch.done(now):
		return now, err
	case now.version() == "":
		refused.hint = "the server demands a version and gives none"
		return now, refused
	case refused.Status == http.StatusPreconditionFailed && planned.digest != now.digest():
		refused.hint = "somebody changed the " + k.noun + " since it was read; the next cycle plans anew"
		return now, refused
	}
	return now, nil
}

// remove deletes an object. That it is gone already is success, provided the SCIM server says so. An answer that succeeds and
// is not the 204 of RFC 7644 section 3.6 may be a gateway's, so the object is looked for.
func (k *collection[T]) remove(ctx context.Context, op, id string) error {
	if id == "" {
		return fmt.Errorf("%s: no id", op)
	}
	deletion := change[T]{op: op, id: id, done: func(T) bool { return false }} // what can be read is not deleted
	for try, matched := 1, false; ; try++ {
		r := request{op: op, method: http.MethodDelete, path: k.pathOf(id), ifMatch: k.version(ctx, id)}
		planned := k.lastSeen(id)
		ans, err := k.c.do(ctx, r, nil)
		e, refused := errors.AsType[*Error](err)
		odd := err == nil && ans.status != http.StatusNoContent
		if odd {
			err = &Error{Op: op, Method: r.method, Path: r.path, Status: ans.status, Detail: "the " + k.noun + " is still there",
				hint: "check that the SCIM URL leads to the SCIM server and not to a web page"}
		}
		switch {
		case err == nil:
			k.forget(id)
			return nil
		case odd, unsettled(err):
			_, rerr := k.reread(ctx, deletion, err)
			if Gone(rerr) {
				k.forget(id)
				return nil
			}
			if rerr != nil {
				return rerr
			}
		case refused && e.Status == http.StatusNotFound:
			if err := k.confirmGone(ctx, op, id, e); !Gone(err) {
				return err
			}
			return nil
		case refused && (e.Status == http.StatusPreconditionRequired || e.Status == http.StatusPreconditionFailed) && !matched:
			if _, err := k.rematch(ctx, deletion, planned, e); err != nil {
				return err
			}
			matched = true
			continue
		default:
			return err
		}
		if try == maxTries {
			return undone(op, err)
		}
		if err := k.c.backoff(ctx, try, err); err != nil {
			return &UnknownError{op, err}
		}
	}
}
