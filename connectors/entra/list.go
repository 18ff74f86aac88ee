//go:build !noentra

package entra

import (
	"context"
	"errors"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

const (
	// pageSize is the largest page that Graph grants.
	pageSize = 999
	// maxEmptyPages bounds how many pages without anything may follow each other.
	maxEmptyPages = 10
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

// listOnce refuses an id that comes twice: it means that a page was repeated, for Graph's page tokens do not shift.
func listOnce[T interface{ GetId() *string }, P page[T], R any](
	ctx context.Context, step string, get func(ctx context.Context, link string) (P, error), convert func(T) (R, bool, error),
) ([]R, error) {
	var out []R
	ids, links := map[string]bool{}, map[string]bool{}
	for link, empty := "", 0; ; {
		p, err := get(ctx, link)
		if err != nil {
			return nil, connectors.AtStep(vendor, step, err)
		}
		items := p.GetValue()
		for _, item := range items {
			switch id := text(item.GetId()); {
			case id == "":
				return nil, connectors.Damaged(vendor, step, "an element has no id")
			case ids[id]:
				return nil, connectors.Damaged(vendor, step, "page repeated: %s was listed before", id)
			default:
				ids[id] = true
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
		if empty++; len(items) > 0 {
			empty = 0
		}
		if links[link] || empty > maxEmptyPages {
			return nil, connectors.Damaged(vendor, step, "page repeated: the listing does not end")
		}
		links[link] = true
	}
}

// text is a value that may be absent.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
