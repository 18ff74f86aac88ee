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

// list reads a listing to its end, a page with fewer elements than were asked for, and hands every element to keep. A page
// that may be short for another reason is no end.
//
// Keycloak pages by offset into a live listing: whoever leaves it between two pages moves somebody over the border, where
// nobody would see them. So each page begins with the last element of the one before. If it does not, the listing has
// shifted, which is errChanged.
func list[T any](ctx context.Context, c *Connector, step, path string, query url.Values, id func(T) string, keep func(T) error) error {
	var watch wire.Listing
	last := ""
	for first := 0; ; {
		q := url.Values{"first": {strconv.Itoa(first)}, "max": {strconv.Itoa(c.page)}}
		for name, values := range query {
			q[name] = values
		}
		var items []T
		if err := c.client.get(ctx, step, path, q, &items); err != nil {
			return err
		}
		got := len(items)
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
		if first += got - 1; !mayGoOn(got, c.page) {
			return nil
		}
		if err := watch.Page(len(items), strconv.Itoa(first)); err != nil {
			return connectors.Damaged(vendor, step, "%v", err)
		}
	}
}

// mayGoOn tells whether more may follow a page of so many elements. A full page goes on. One of a round number may have met
// a bound of the server's, and one that is almost full may lack people whom a user federation has just lost: Keycloak cuts
// the page first and leaves them out then.
func mayGoOn(got, asked int) bool {
	const bound = 100 // Keycloak's own, for whoever does not ask for a number
	return got > 1 && (got >= asked-asked/10 || got%bound == 0)
}

func changed(step string) error {
	return fmt.Errorf("keycloak: %s: %w (run again)", step, errChanged)
}

// brief asks for ids and names alone, full for the attributes too.
func brief() url.Values { return url.Values{"briefRepresentation": {"true"}} }
func full() url.Values  { return url.Values{"briefRepresentation": {"false"}} }
