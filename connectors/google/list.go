package google

import (
	"context"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// list reads a listing to its explicit end, a page that names no next one, and hands every item to keep; step is how
// messages call it. Items without id are not compared.
func list[T any](ctx context.Context, step string, page func(ctx context.Context, token string) (items []T, next string, err error),
	id func(T) string, keep func(T) error) error {
	var watch wire.Listing
	for token := ""; ; {
		items, next, err := page(ctx, token)
		if err != nil {
			return plain(step, err)
		}
		for _, item := range items {
			if key := id(item); key != "" {
				if err := watch.Item(key); err != nil {
					return connectors.Damaged(vendor, step, "%v", err)
				}
			}
			if err := keep(item); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		if err := watch.Page(len(items), next); err != nil {
			return connectors.Damaged(vendor, step, "%v", err)
		}
		token = next
	}
}
