package okta

import (
	"context"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// maxEmptyPages bounds how many pages without anybody may follow each other.
const maxEmptyPages = 10

// list reads a listing to its explicit end, a page that names no next one, and hands every item to keep; step is how
// messages call it. An id that comes twice means that a page was repeated, for Okta's cursors do not shift.
func list[T any](ctx context.Context, step string, first func() ([]*T, *sdk.Response, error), id func(*T) string, keep func(*T) error) error {
	ids, links := map[string]bool{}, map[string]bool{}
	items, resp, err := first()
	for empty := 0; ; {
		if err != nil {
			return connectors.AtStep(vendor, step, err)
		}
		for _, item := range items {
			switch key := id(item); {
			case key == "":
				return connectors.Damaged(vendor, step, "an element has no id")
			case ids[key]:
				return connectors.Damaged(vendor, step, "page repeated: %s was listed before", key)
			default:
				ids[key] = true
			}
			if err := keep(item); err != nil {
				return err
			}
		}
		if !resp.HasNextPage() {
			return nil
		}
		if empty++; len(items) > 0 {
			empty = 0
		}
		if links[resp.NextPage] || empty > maxEmptyPages {
			return connectors.Damaged(vendor, step, "page repeated: the listing does not end")
		}
		links[resp.NextPage] = true
		// A fresh slice: decoding into the old one would write over the people already kept.
		var next []*T
		resp, err = resp.Next(ctx, &next)
		items = next
	}
}
