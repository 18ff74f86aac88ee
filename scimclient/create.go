package scimclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// A creation is one POST, as often as it takes to know its outcome.
type creation struct {
	op         string
	payload    any
	name       string
	externalID string
}

// create sends a creation. After a lost answer the object is looked for, by filter and then in the whole listing: it is
// ours if it carries our externalId, and a taken name (409) if it does not. Only when it is in neither is it sent again.
// A server's own 409 is returned as it is; whether the object may be adopted is the caller's rule.
func (k *collection[T]) create(ctx context.Context, cr creation) (T, error) {
	var zero T
	r := request{op: cr.op, method: http.MethodPost, path: k.path, payload: cr.payload}
	for try := 1; ; try++ {
		ans, err := k.c.do(ctx, r, nil)
		if err == nil {
			return k.created(ctx, cr, ans)
		}
		if !unsettled(err) {
			return zero, err
		}
		found, ok, lerr := k.lookUp(ctx, cr)
		switch e, taken := errors.AsType[*Error](lerr); {
		case taken && e.Status == http.StatusConflict:
			return zero, lerr
		case lerr != nil:
			return zero, &UnknownError{cr.op, errors.Join(err, lerr)}
		case ok:
			return found, nil
		case try == maxTries:
			return zero, undone(cr.op, err)
		}
		if err := k.c.backoff(ctx, try, err); err != nil {
			return zero, &UnknownError{cr.op, err}
		}
	}
}

// created reads the new object: from the answer if that is all of it, else by the id that the answer or its Location
// names, else by looking it up.
func (k *collection[T]) created(ctx context.Context, cr creation, ans answer) (T, error) {
	v, isWhole, err := k.decode(ans.body)
	if err == nil && isWhole {
		k.remember(v)
		return v, nil
	}
	id := idOf(ans.header.Get("Location"), k.path)
	if err == nil {
		id = v.id()
	}
	if id != "" {
		v, err := k.get(ctx, cr.op, id)
		if err != nil {
			return v, &UnknownError{cr.op, fmt.Errorf("reading back what was written: %w", err)}
		}
		return v, nil
	}
	v, ok, err := k.lookUp(ctx, cr)
	if err == nil && !ok {
		err = errors.New("it is in no listing")
	}
	if err != nil {
		return v, &UnknownError{cr.op, fmt.Errorf("the server accepted it without naming an id, and looking for it ended in: %w", err)}
	}
	return v, nil
}

// idOf takes the id out of a Location, which may be relative or belong to another collection.
func idOf(location, collection string) string {
	u, err := url.Parse(location)
	if err != nil || !strings.HasSuffix(path.Dir(u.EscapedPath()), collection) {
		return ""
	}
	id, err := url.PathUnescape(path.Base(u.EscapedPath()))
	if err != nil {
		return ""
	}
	return id
}

// lookUp searches for the object of a creation whose answer was lost.
func (k *collection[T]) lookUp(ctx context.Context, cr creation) (T, bool, error) {
	var zero T
	hits, _, err := k.find(ctx, cr.op, cr.name)
	if err != nil {
		return zero, false, err
	}
	for _, hit := range hits {
		if cr.externalID != "" && hit.externalID() == cr.externalID {
			v, err := k.get(ctx, cr.op, hit.id())
			return v, err == nil, err
		}
	}
	if len(hits) > 0 {
		return zero, false, &Error{
			Op: cr.op, Method: http.MethodPost, Path: k.path, Status: http.StatusConflict, ScimType: "uniqueness",
			Detail: fmt.Sprintf("after an answer that was lost, a %s of that %s is there with another externalId", k.noun, k.key),
		}
	}
	return zero, false, nil
}
