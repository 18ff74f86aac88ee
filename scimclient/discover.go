package scimclient

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// Capabilities is what a server says of itself in its ServiceProviderConfig (RFC 7643 section 5, RFC 9865 section 5).
type Capabilities struct {
	Known bool // false when the server has no ServiceProviderConfig; the rest is then an assumption

	Patch             bool
	Filter            bool
	FilterMaxResults  int
	Bulk              bool
	BulkMaxOperations int
	ETag              bool
	Index             bool // paging by startIndex
	Cursor            bool // paging by cursor
	MaxPageSize       int
}

// Capabilities asks the server what it can do, once for the life of the Client and only when somebody wants to know: no
// listing and no write waits for it, except where the server sends versions. Its absence is no error.
func (c *Client) Capabilities(ctx context.Context) (Capabilities, error) {
	var known *Capabilities
	select {
	case known = <-c.config:
	case <-ctx.Done():
		return Capabilities{}, ctx.Err()
	}
	defer func() { c.config <- known }()
	if known != nil {
		return *known, nil
	}
	caps, err := c.discover(ctx)
	if err != nil {
		return Capabilities{}, err
	}
	known = &caps
	return caps, nil
}

func (c *Client) discover(ctx context.Context) (Capabilities, error) {
	assumed := Capabilities{Patch: true, Filter: true, Index: true}
	r := request{op: "read service provider config", method: http.MethodGet, path: "/ServiceProviderConfig"}
	ans, err := c.read(ctx, r, nil)
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Status {
		case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
			return assumed, nil
		}
	}
	if err != nil {
		return Capabilities{}, err
	}
	type supported struct{ Supported flag }
	var w struct {
		Patch, ETag supported
		Filter      struct {
			supported
			MaxResults int
		}
		Bulk struct {
			supported
			MaxOperations int
		}
		Pagination *struct {
			Cursor, Index flag
			MaxPageSize   int
		}
	}
	if kindOf(ans.body) != "an object" || json.Unmarshal(ans.body, &w) != nil {
		return assumed, nil // a web page in its place is as good as none
	}
	caps := Capabilities{
		Known:             true,
		Patch:             w.Patch.Supported.value,
		Filter:            w.Filter.Supported.value,
		FilterMaxResults:  w.Filter.MaxResults,
		Bulk:              w.Bulk.Supported.value,
		BulkMaxOperations: w.Bulk.MaxOperations,
		ETag:              w.ETag.Supported.value,
		Index:             true,
	}
	if p := w.Pagination; p != nil {
		caps.Cursor, caps.MaxPageSize = p.Cursor.value, p.MaxPageSize
		caps.Index = p.Index.value || !p.Index.set
	}
	return caps, nil
}

// Probe sends one cheap read. It tells a refusal of one object from a refusal of the token.
func (c *Client) Probe(ctx context.Context) error {
	l := &listing[User]{k: c.users, op: "probe the SCIM server"}
	_, err := l.page(ctx, url.Values{"startIndex": {"1"}}, 1)
	return explainList(err)
}

// version is what If-Match has to carry for an object: its version as read last, on a server that says it supports
// them or has demanded one. HTTP ETags that a framework adds are not SCIM versions and count for nothing.
func (k *collection[T]) version(ctx context.Context, id string) string {
	v := k.lastSeen(id).version
	if v == "" || k.versioned.Load() {
		return v
	}
	if caps, err := k.c.Capabilities(ctx); err != nil || !caps.ETag {
		return ""
	}
	return v
}
