package google

import (
	"context"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// maxEmptyPages bounds how many pages without anything may follow each other.
const maxEmptyPages = 10

// list reads a listing to its explicit end, a page that names no next one, and hands every item to keep; step is how
// messages call it. An id that comes twice means that a page was repeated. Items without id are not compared.
func list[T any](ctx context.Context, step string, page func(ctx context.Context, token string) (items []T, next string, err error),
	id func(T) string, keep func(T) error) error {
	ids, tokens := map[string]bool{}, map[string]bool{}
	token := ""
	for empty := 0; ; {
		items, next, err := page(ctx, token)
		if err != nil {
			return plain(step, err)
		}
		for _, item := range items {
			key := id(item)
			if key != "" && ids[key] {
				return connectors.Damaged(vendor, step, "page repeated: %s was listed before", key)
			}
			ids[key] = true
			if err := keep(item); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		if empty++; len(items) > 0 {
			empty = 0
		}
		if tokens[next] || empty > maxEmptyPages {
			return connectors.Damaged(vendor, step, "page repeated: the listing does not end")
		}
		tokens[next] = true
		token = next
	}
}
