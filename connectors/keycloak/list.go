package keycloak

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// pageSize is how many elements are asked for at once. Keycloak sets no bound; a thousand people are one to two
// megabytes, for it describes the realm's user profile beside each of them.
const pageSize = 1000

// list reads a listing to its end, a page with fewer elements than were asked for, and hands every element to keep.
//
// Keycloak pages by offset into a live listing: whoever leaves it between two pages moves somebody over the border, where
// nobody would see them. So each page begins with the last element of the one before. If it does not, the listing has
// shifted, which is errChanged.
func list[T any](ctx context.Context, c *Connector, step, path string, query url.Values, id func(T) string, keep func(T) error) error {
	var watch wire.Listing
	last := ""
	for first := 0; ; first += c.page - 1 {
		q := url.Values{"first": {strconv.Itoa(first)}, "max": {strconv.Itoa(c.page)}}
		for name, values := range query {
			q[name] = values
		}
		var items []T
		if err := c.client.get(ctx, step, path, q, &items); err != nil {
			return err
		}
		full := len(items) == c.page
		if len(items) > c.page {
			return connectors.Damaged(vendor, step, "it has %d elements where at most %d were asked for", len(items), c.page)
		}
		if first > 0 {
			if len(items) == 0 || id(items[0]) != last {
				return changed(step)
			}
			items = items[1:]
		}
		for _, item := range items {
			if last = id(item); last == "" {
				return connectors.Damaged(vendor, step, "an element has no id")
			}
			if watch.Item(last) != nil {
				return changed(step)
			}
			if err := keep(item); err != nil {
				return err
			}
		}
		if !full {
			return nil
		}
		if err := watch.Page(len(items), strconv.Itoa(first+c.page-1)); err != nil {
			return connectors.Damaged(vendor, step, "%v", err)
		}
	}
}

func changed(step string) error {
	return fmt.Errorf("keycloak: %s: %w (run again)", step, errChanged)
}

// brief asks for ids and names alone, full for the attributes too.
func brief() url.Values { return url.Values{"briefRepresentation": {"true"}} }
func full() url.Values  { return url.Values{"briefRepresentation": {"false"}} }
