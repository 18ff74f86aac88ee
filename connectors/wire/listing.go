package wire

import (
	"errors"
	"fmt"
)

const (
	// maxPages bounds a listing: half a million people at the smallest page that a connector asks for, which is 50; at the
	// usual ones of 200 to 1,000, two million and more.
	maxPages = 10_000
	// maxEmptyPages bounds how many pages without anything may follow each other.
	maxEmptyPages = 10
)

// A Listing watches over one listing while it is read, that it ends and repeats nothing. Its zero value is ready.
type Listing struct {
	ids, links   map[string]bool
	pages, empty int
}

// Item takes note of an element. An id that comes twice is an error: a page was repeated, for the page tokens of the
// directories do not shift.
func (l *Listing) Item(id string) error {
	if l.ids == nil {
		l.ids = map[string]bool{}
	}
	if l.ids[id] {
		return fmt.Errorf("page repeated: %s was listed before", id)
	}
	l.ids[id] = true
	return nil
}

// Page takes note of a page of so many elements that leads on to next. It is an error if that has no end: when next
// led somewhere before, after pages without anything, or after 10,000 pages.
func (l *Listing) Page(elements int, next string) error {
	if l.links == nil {
		l.links = map[string]bool{}
	}
	l.pages++
	if l.empty++; elements > 0 {
		l.empty = 0
	}
	switch {
	case l.links[next] || l.empty > maxEmptyPages:
		return errors.New("page repeated: the listing does not end")
	case l.pages >= maxPages:
		return fmt.Errorf("the listing does not end: it has more than %d pages", maxPages)
	}
	l.links[next] = true
	return nil
}
