package scimclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// A resource is what a collection holds: User or Group.
type resource interface {
	User | Group
	id() string
	name() string
	externalID() string
	version() string
	digest() uint64
}

func (u User) id() string         { return u.ID }
func (u User) name() string       { return u.UserName }
func (u User) externalID() string { return u.ExternalID }
func (u User) version() string    { return u.Version }

func (g Group) id() string         { return g.ID }
func (g Group) name() string       { return g.DisplayName }
func (g Group) externalID() string { return g.ExternalID }
func (g Group) version() string    { return g.Version }

var seed = maphash.MakeSeed()

// digest stands for the attributes that an edit may have been planned from.
func (u User) digest() uint64 {
	u.Version = ""
	return maphash.String(seed, fmt.Sprintf("%#v", u))
}

// digest leaves members out: they change by additions and removals, which mean the same whatever else has happened.
func (g Group) digest() uint64 {
	return maphash.String(seed, fmt.Sprintf("%q", []string{g.ID, g.DisplayName, g.ExternalID}))
}

// A collection is one endpoint, /Users or /Groups, and what was learnt about it.
type collection[T resource] struct {
	c      *Client
	noun   string
	path   string
	key    string // the attribute that people know objects by
	decode func([]byte) (v T, whole bool, err error)

	pageSize  atomic.Int64 // lowered when the server finds a page too large
	noPatch   atomic.Bool  // the server does not know PATCH
	versioned atomic.Bool  // the server demanded a version

	mu    sync.Mutex
	first []string        // ids of the first page of the last complete listing
	seen  map[string]seen // by id, on servers that send versions
}

// seen is the state in which an object was read last.
type seen struct {
	version string
	digest  uint64
}

func newCollection[T resource](c *Client, noun, path, key string, decode func([]byte) (T, bool, error)) *collection[T] {
	k := &collection[T]{c: c, noun: noun, path: path, key: key, decode: decode, seen: map[string]seen{}}
	k.pageSize.Store(int64(c.opts.PageSize))
	return k
}

// pathOf is the path of one object. An id is opaque and may hold slashes, spaces and percent signs; "." and ".." would
// be resolved away on the route.
func (k *collection[T]) pathOf(id string) string {
	segment := url.PathEscape(id)
	if strings.Trim(id, ".") == "" {
		segment = strings.ReplaceAll(id, ".", "%2E")
	}
	return k.path + "/" + segment
}

func (k *collection[T]) remember(v T) {
	if v.version() == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen[v.id()] = seen{v.version(), v.digest()}
}

func (k *collection[T]) lastSeen(id string) seen {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seen[id]
}

// get reads one object.
func (k *collection[T]) get(ctx context.Context, op, id string) (T, error) {
	v, _, err := k.fetch(ctx, op, id)
	return v, err
}

// fetch reads one object, with its JSON for merging into. A group that comes without members has none.
func (k *collection[T]) fetch(ctx context.Context, op, id string) (T, []byte, error) {
	var zero T
	if id == "" {
		return zero, nil, fmt.Errorf("%s: no id", op)
	}
	r := request{op: op, method: http.MethodGet, path: k.pathOf(id)}
	ans, err := k.c.read(ctx, r, nil)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound && !e.SCIM {
		e.hint = "this 404 is not the SCIM server's, so it does not say that the " + k.noun + " is gone; check the SCIM URL and what stands before it"
	}
	if err != nil {
		return zero, nil, err
	}
	v, _, err := k.decode(ans.body)
	if err == nil && v.id() != id {
		err = fmt.Errorf("another %s than the one asked for", k.noun)
	}
	if err != nil {
		return zero, nil, &Error{Op: op, Method: r.method, Path: r.path, Status: http.StatusOK, Detail: oneLine(err.Error())}
	}
	k.remember(v)
	return v, ans.body, nil
}

// find returns the objects whose key equals name, letter case aside. A filter that finds nothing is no proof: servers hide
// deactivated people from filters, or compare letter by letter. Then the whole listing is looked through.
func (k *collection[T]) find(ctx context.Context, op, name string) (hits []T, lacking map[string]bool, err error) {
	for _, filter := range [...]string{k.key + " eq " + quote(name), ""} {
		rows, lacking, err := k.list(ctx, op, filter)
		if filter != "" && filterUnsupported(err) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for _, row := range rows {
			if sameFold(row.name(), name) {
				hits = append(hits, row)
			}
		}
		if len(hits) > 0 {
			return hits, lacking, nil
		}
	}
	return nil, nil, nil
}

// filterUnsupported tells whether a filtered listing ended in a way that the whole listing may not.
func filterUnsupported(err error) bool {
	if _, ok := errors.AsType[*IncompleteError](err); ok {
		return true
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestURITooLong, http.StatusNotImplemented:
		return true
	}
	return false
}

// quote spells a filter's value, which is a JSON string (RFC 7644 section 3.4.2.2).
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return `""` // not reached: every Go string encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// readMembers reads the groups that were listed without members, since some servers leave members out of listings and
// others leave them out of empty groups. A group that was deleted meanwhile is left out.
func (c *Client) readMembers(ctx context.Context, op string, groups []Group, lacking map[string]bool) ([]Group, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.opts.Concurrency)
	for i := range groups {
		if !lacking[groups[i].ID] {
			continue
		}
		g.Go(func() error {
			v, err := c.groups.get(ctx, op, groups[i].ID)
			groups[i] = v
			if Gone(err) {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read the members that the listing leaves out: %w", err)
	}
	return slices.DeleteFunc(groups, func(g Group) bool { return g.ID == "" }), nil
}
