package okta

import (
	"context"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// list reads a listing to its explicit end, a page that names no next one, and hands every item to keep; step is how
// messages call it.
func list[T any](ctx context.Context, step string, first func() ([]*T, *sdk.Response, error), id func(*T) string, keep func(*T) error) error {
	var watch wire.Listing
	items, resp, err := first()
	for {
		if err != nil {
			return connectors.AtStep(vendor, step, err)
		}
		for _, item := range items {
			key := id(item)
			if key == "" {
				return connectors.Damaged(vendor, step, "an element has no id")
			}
			if err := watch.Item(key); err != nil {
				return connectors.Damaged(vendor, step, "%v", err)
			}
			if err := keep(item); err != nil {
				return err
			}
		}
		if !resp.HasNextPage() {
			return nil
		}
		if err := watch.Page(len(items), resp.NextPage); err != nil {
			return connectors.Damaged(vendor, step, "%v", err)
		}
		// A fresh slice: decoding into the old one would write over the people already kept.
		var next []*T
		resp, err = resp.Next(ctx, &next)
		items = next
	}
}
