//go:build !noentra

package entra

import (
	"context"
	"errors"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

const (
	// pageSize is the largest page that Graph grants.
	pageSize = 999
	// maxRestarts bounds how often a listing is begun again because its page token was too old.
	maxRestarts = 2
)

// A page is one of the SDK's collection responses.
type page[T any] interface {
	GetValue() []T
	GetOdataNextLink() *string
}

// list reads a listing to its explicit end, a page that names no next one, and returns what convert makes of the items
// that it wants; step is how messages call it. get asks for the page at a link, "" being the first one. When a page
// token has expired the listing is read again from the beginning.
func list[T interface{ GetId() *string }, P page[T], R any](
	ctx context.Context, step string, get func(ctx context.Context, link string) (P, error), convert func(T) (R, bool, error),
) ([]R, error) {
	for restarts := 0; ; restarts++ {
		out, err := listOnce(ctx, step, get, convert)
		if e, ok := errors.AsType[*connectors.Error](err); ok && e.Code == codeExpiredPage && restarts < maxRestarts {
			continue
		}
		return out, err
	}
}

func listOnce[T interface{ GetId() *string }, P page[T], R any](
	ctx context.Context, step string, get func(ctx context.Context, link string) (P, error), convert func(T) (R, bool, error),
) ([]R, error) {
	var out []R
	var watch wire.Listing
	for link := ""; ; {
		p, err := get(ctx, link)
		if err != nil {
			return nil, connectors.AtStep(vendor, step, err)
		}
		items := p.GetValue()
		for _, item := range items {
			id := text(item.GetId())
			if id == "" {
				return nil, connectors.Damaged(vendor, step, "an element has no id")
			}
			if err := watch.Item(id); err != nil {
				return nil, connectors.Damaged(vendor, step, "%v", err)
			}
			r, wanted, err := convert(item)
			if err != nil {
				return nil, err
			}
			if wanted {
				out = append(out, r)
			}
		}
		if link = text(p.GetOdataNextLink()); link == "" {
			return out, nil
		}
		if err := watch.Page(len(items), link); err != nil {
			return nil, connectors.Damaged(vendor, step, "%v", err)
		}
	}
}

// text is a value that may be absent.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
