package scimclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
)

const (
	maxReadings = 3       // of one listing before it counts as unreadable
	maxPages    = 100_000 // of one listing; a server that never ends is not followed further
)

// errCursor means that the server let go of a cursor: the listing begins again.
var errCursor = errors.New("the cursor expired")

// list reads all pages of the collection, or of a filter's hits. What it returns is proven complete: ids are distinct
// and as many as totalResults said on every page. A listing that does not add up, because rows moved between pages or
// the server pages badly, is read again, and after maxReadings it is an IncompleteError.
//
// Pages after the first are fetched in parallel when the server's order has shown itself to be stable: the ids of the
// first page ascend, or they come in the order of the first page of this client's previous complete listing. The
// proof of completeness is the same; should it fail, the next reading goes page by page.
//
// lacking holds the ids of groups that were shown without members.
func (k *collection[T]) list(ctx context.Context, op, filter string) (rows []T, lacking map[string]bool, err error) {
	l := &listing[T]{k: k, op: op, filter: filter, inOrder: true}
	for try := 0; try < maxReadings; {
		err = l.read(ctx)
		if err == nil {
			k.keepOrder(l.rows, l.firstPage, filter)
			return l.rows, l.lacking, nil
		}
		_, incomplete := errors.AsType[*IncompleteError](err)
		switch {
		case incomplete || errors.Is(err, errCursor):
			try++
			l.inOrder = false
			k.c.log.Info("scim listing does not add up", "what", op, "reading", try, "error", err)
		case tooMany(err) && l.size() > 1:
			k.pageSize.Store(int64(l.size() / 2))
		case !l.cursor && l.cursorOnly(ctx, err):
			l.cursor = true
		default:
			return nil, nil, explainList(err)
		}
	}
	if errors.Is(err, errCursor) {
		return nil, nil, &IncompleteError{Op: op, Distinct: len(l.rows), Announced: l.total, Reason: "the server's cursors kept expiring"}
	}
	return nil, nil, err
}

// explainList says what a 404 on a listing means.
func explainList(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		e.hint = "the SCIM URL is wrong or SSO is not set up in Rootly (Integrations > SSO); it does not mean that there is nobody"
	}
	return err
}

// tooMany tells whether smaller pages may help.
func tooMany(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusBadRequest && (e.ScimType == "tooMany" || e.ScimType == "invalidCount") ||
		errors.Is(err, errTooLarge))
}

// A listing is one call of list.
type listing[T resource] struct {
	k       *collection[T]
	op      string
	filter  string
	inOrder bool // parallel pages are allowed
	cursor  bool // ask with a cursor from the start

	rows      []T
	lacking   map[string]bool
	ids       map[string]bool
	firstPage int  // its length
	total     int  // totalResults of the first page
	steady    bool // every page that announced a total announced the same
	pageTotal bool // every page announced its own length: one real server does
}

func (l *listing[T]) size() int { return int(l.k.pageSize.Load()) }

// cursorOnly tells whether a page was refused because the server pages by cursor and not by index. The first page may have
// been answered all the same, and the one after it be the first that is refused.
func (l *listing[T]) cursorOnly(ctx context.Context, err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != http.StatusBadRequest || l.filter != "" {
		return false
	}
	caps, err := l.k.c.discover(ctx) // anew: what is remembered may be from a bad moment
	return err == nil && caps.Cursor && !caps.Index
}

// read goes through the pages once.
func (l *listing[T]) read(ctx context.Context) error {
	l.rows, l.ids, l.lacking = nil, map[string]bool{}, map[string]bool{}
	l.steady, l.pageTotal = true, true
	p, err := l.page(ctx, l.start(), l.size())
	if err != nil {
		return err
	}
	l.firstPage, l.total = len(p.rows), p.total
	l.rows = make([]T, 0, min(max(p.total, 0), 200_000)) // a total may lie
	l.add(p)
	switch {
	case p.next != "" || l.cursor:
		return l.byCursor(ctx, p.next)
	case p.total < 0:
		return &IncompleteError{Op: l.op, Distinct: len(l.ids), Announced: -1, Reason: "the server gives neither totalResults nor a cursor"}
	case l.inOrder && p.total > len(p.rows) && l.k.stable(p.rows):
		return l.inParallel(ctx)
	}
	return l.byIndex(ctx, p)
}

func (l *listing[T]) start() url.Values {
	if l.cursor {
		return url.Values{"cursor": {""}}
	}
	return url.Values{"startIndex": {"1"}}
}

// page reads one page. q is the place: startIndex or cursor, never both.
func (l *listing[T]) page(ctx context.Context, q url.Values, size int) (p page[T], err error) {
	q.Set("count", strconv.Itoa(size))
	if l.filter != "" {
		q.Set("filter", l.filter)
	}
	r := request{op: l.op, method: http.MethodGet, path: l.k.path, query: q}
	_, err = l.k.c.read(ctx, r, func(body io.Reader) (err error) {
		p, err = decodePage(body, l.k.decode)
		return err
	})
	return p, err
}

// add takes a page in and returns how many of its objects are new.
func (l *listing[T]) add(p page[T]) (fresh int) {
	for _, row := range p.rows {
		if l.ids[row.id()] {
			continue
		}
		l.ids[row.id()] = true
		l.rows = append(l.rows, row)
		if p.lacking[row.id()] {
			l.lacking[row.id()] = true
		}
		l.k.remember(row)
		fresh++
	}
	if len(p.rows) > 0 && p.total >= 0 { // past the end, some servers announce 0
		l.steady = l.steady && p.total == l.total
	}
	l.pageTotal = l.pageTotal && p.total == len(p.rows)
	return fresh
}

// byIndex goes on after the first page. It advances by what was received, since count and itemsPerPage say nothing
// reliable, and stops when the total is reached, on an empty page or on one that brings nothing new. A full page that
// makes up the whole total may come from a server that announces the page's size: only there one more is asked for.
func (l *listing[T]) byIndex(ctx context.Context, p page[T]) error {
	size := l.size()
	received, fresh := len(p.rows), len(p.rows)
	for n := 1; ; n++ {
		doubtful := len(p.rows) >= size && p.total <= len(p.rows)
		if fresh == 0 || received >= p.total && !doubtful {
			break
		}
		if n == maxPages {
			return l.incomplete(fmt.Sprintf("it did not end after %d pages", maxPages))
		}
		var err error
		if p, err = l.page(ctx, url.Values{"startIndex": {strconv.Itoa(received + 1)}}, size); err != nil {
			return err
		}
		fresh = l.add(p)
		received += len(p.rows)
	}
	if l.pageTotal && received > l.firstPage && received == len(l.ids) {
		return nil // the totals are the pages' sizes; the listing ended by itself and nothing came twice
	}
	return l.verify()
}

// byCursor follows nextCursor to its end (RFC 9865). There totalResults may be missing.
func (l *listing[T]) byCursor(ctx context.Context, next string) error {
	used := map[string]bool{}
	for next != "" {
		if used[next] || len(used) == maxPages {
			return l.incomplete("the server gave the same cursor twice or without end")
		}
		used[next] = true
		p, err := l.page(ctx, url.Values{"cursor": {next}}, l.size())
		if e, ok := errors.AsType[*Error](err); ok && (e.ScimType == "expiredCursor" || e.ScimType == "invalidCursor") {
			return fmt.Errorf("%w: %w", errCursor, err)
		}
		if err != nil {
			return err
		}
		l.add(p)
		next = p.next
	}
	if l.total < 0 {
		return nil
	}
	return l.verify()
}

// inParallel reads the pages after the first at once, at the size that the server granted.
func (l *listing[T]) inParallel(ctx context.Context) error {
	size := l.firstPage
	pages := make([]page[T], (l.total-1)/size)
	if len(pages) >= maxPages {
		return l.incomplete("it has too many pages")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(l.k.c.opts.Concurrency)
	for i := range pages {
		g.Go(func() (err error) {
			start := strconv.Itoa((i+1)*size + 1)
			pages[i], err = l.page(ctx, url.Values{"startIndex": {start}}, size)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, p := range pages {
		l.add(p)
		pages[i] = page[T]{}
	}
	return l.verify()
}

func (l *listing[T]) verify() error {
	switch {
	case !l.steady:
		return l.incomplete("the total changed between pages")
	case len(l.ids) != l.total:
		return l.incomplete("rows were missing or came twice")
	}
	return nil
}

func (l *listing[T]) incomplete(reason string) error {
	return &IncompleteError{Op: l.op, Distinct: len(l.ids), Announced: l.total, Reason: reason}
}

// stable tells whether the order of a first page is one that the server is going to keep to.
func (k *collection[T]) stable(rows []T) bool {
	if len(rows) < 2 {
		return false
	}
	if slices.IsSortedFunc(rows, func(a, b T) int { return compareIDs(a.id(), b.id()) }) ||
		slices.IsSortedFunc(rows, func(a, b T) int { return cmp.Compare(a.id(), b.id()) }) {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	place := make(map[string]int, len(k.first))
	for i, id := range k.first {
		place[id] = i
	}
	common, last := 0, -1
	for _, row := range rows {
		i, ok := place[row.id()]
		switch {
		case !ok:
			continue
		case i < last:
			return false
		}
		common, last = common+1, i
	}
	return common >= 2 && common >= len(rows)/2
}

// compareIDs orders numbers written in decimal by their value.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (k *collection[T]) keepOrder(rows []T, firstPage int, filter string) {
	if filter != "" {
		return
	}
	ids := make([]string, min(firstPage, len(rows)))
	for i := range ids {
		ids[i] = rows[i].id()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.first = ids
}
