package rootly

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

const (
	pageSize = 100
	maxPages = 1000
)

// A resource is one object of a JSON:API document.
type resource struct {
	ID            string
	Attributes    json.RawMessage
	Relationships map[string]relation
}

// A relation names one object. Rootly also has relations to many, which are read as to none.
type relation struct{ Data oneRef }

type oneRef struct{ ID string }

// UnmarshalJSON accepts an object with an id; anything else is nobody.
func (r *oneRef) UnmarshalJSON(data []byte) error {
	var one struct{ ID string }
	if json.Unmarshal(data, &one) == nil {
		r.ID = one.ID
	}
	return nil
}

func (r resource) decode(v any) error {
	if data := bytes.TrimSpace(r.Attributes); len(data) == 0 || data[0] != '{' {
		return errors.New("an object has no attributes")
	}
	return json.Unmarshal(r.Attributes, v)
}

// A document is one page of a listing.
type document struct {
	data  []resource
	links bool // it has the member links
	next  bool // there is another page
}

// page reads one page. An answer that is no page of a listing is an error, whatever its status: it proves nothing.
func (c *Client) page(ctx context.Context, step, path string, query url.Values) (document, error) {
	body, err := c.get(ctx, step, path, query)
	if err != nil {
		return document{}, err
	}
	var doc struct {
		Data  *[]*resource
		Links *struct{ Next *string }
	}
	switch err := json.Unmarshal(body, &doc); {
	case err != nil:
		return document{}, damaged(step, "it is no JSON document of a listing")
	case doc.Data == nil:
		return document{}, damaged(step, "it has no data")
	}
	d := document{links: doc.Links != nil, next: doc.Links != nil && doc.Links.Next != nil && *doc.Links.Next != ""}
	for _, r := range *doc.Data {
		if r == nil || r.ID == "" {
			return document{}, damaged(step, "an object has no id")
		}
		d.data = append(d.data, *r)
	}
	return d, nil
}

func damaged(step, how string) error {
	return &Error{Step: step, Status: http.StatusOK, Detail: "the answer was damaged, nothing was concluded from it: " + how}
}

// list reads every page of a listing and hands on each object. Pages are asked for by number: where a link leads is not
// followed, only whether there is one counts.
func (c *Client) list(ctx context.Context, step, path string, query url.Values, each func(resource) error) error {
	first := ""
	for number := 1; number <= maxPages; number++ {
		q := url.Values{"page[number]": {strconv.Itoa(number)}, "page[size]": {strconv.Itoa(pageSize)}}
		for k, v := range query {
			q[k] = v
		}
		d, err := c.page(ctx, step, path, q)
		switch {
		case err != nil:
			return err
		case !d.links:
			return damaged(step, "it does not say whether there is another page")
		case d.next && len(d.data) == 0:
			return damaged(step, "an empty page is followed by another one")
		case number > 1 && len(d.data) > 0 && d.data[0].ID == first:
			return damaged(step, "a page came twice")
		}
		if len(d.data) > 0 {
			first = d.data[0].ID
		}
		if err := hand(step, d.data, each); err != nil || !d.next {
			return err
		}
	}
	return damaged(step, fmt.Sprintf("the listing did not end after %d pages", maxPages))
}

// unpaged reads a listing that comes whole. One that says there is more is not believed.
func (c *Client) unpaged(ctx context.Context, step, path string, query url.Values, each func(resource) error) error {
	d, err := c.page(ctx, step, path, query)
	switch {
	case err != nil:
		return err
	case d.next:
		return damaged(step, "a listing without pages names another page")
	}
	return hand(step, d.data, each)
}

func hand(step string, data []resource, each func(resource) error) error {
	for r := range slices.Values(data) {
		if err := each(r); err != nil {
			return damaged(step, err.Error())
		}
	}
	return nil
}
