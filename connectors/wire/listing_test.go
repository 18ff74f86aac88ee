package wire

import (
	"fmt"
	"strings"
	"testing"
)

func TestAListingEndsAndRepeatsNothing(t *testing.T) {
	type page struct {
		ids  string // one letter each
		next string
	}
	tests := map[string]struct {
		pages func(n int) page
		want  string
		after int // pages that are taken
	}{
		"an id that comes twice":    {func(int) page { return page{"a", "1"} }, "page repeated: a was listed before", 1},
		"a link that comes twice":   {func(int) page { return page{"", "1"} }, "page repeated: the listing does not end", 1},
		"a circle of links":         {func(n int) page { return page{"", fmt.Sprint(n % 3)} }, "page repeated: the listing does not end", 3},
		"empty pages under new":     {func(n int) page { return page{"", fmt.Sprint(n)} }, "page repeated: the listing does not end", 10},
		"new people under new ones": {func(n int) page { return page{string(rune(0x4e00 + n)), fmt.Sprint(n)} }, "the listing does not end: it has more than 10000 pages", 9999},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var l Listing
			taken, err := 0, error(nil)
			for ; err == nil; taken++ {
				p := tc.pages(taken)
				for _, id := range p.ids {
					if err = l.Item(string(id)); err != nil {
						break
					}
				}
				if err == nil {
					err = l.Page(len(p.ids), p.next)
				}
			}
			if !strings.Contains(err.Error(), tc.want) || taken-1 != tc.after {
				t.Errorf("%v after %d pages, want %q after %d", err, taken-1, tc.want, tc.after)
			}
		})
	}
}
