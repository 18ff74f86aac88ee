package rippling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// pageSize is the largest page that Rippling grants. A server that knows no limit is asked again without one.
const pageSize = "100"

// A listing is one collection: what a request for it does, the scope it takes, and the fields that a person or group is
// made of, without which nothing may be concluded.
type listing struct {
	path, step, scope string
	fields            []string
}

var (
	userListing = listing{"/users", "listing the users", "users.read",
		[]string{"id", "active", "username", "name", "display_name", "emails", "phone_numbers"}}
	workerListing = listing{"/workers", "listing the workers", "workers.read",
		[]string{"id", "user_id", "status", "work_email", "title", "number", "start_date", "department_id", "teams_id"}}
	departmentListing = listing{"/departments", "listing the departments", "departments.read", []string{"id", "name", "parent_id"}}
	teamListing       = listing{"/teams", "listing the teams", "teams.read", []string{"id", "name", "parent_id"}}
)

// A page is one answer of a listing.
type page[T any] struct {
	Results *[]*T  `json:"results"`
	Next    string `json:"next_link"`
	Meta    meta   `json:"__meta"`
}

// list reads a listing to its end, a page that names no next one.
func list[T any](ctx context.Context, c *client, l listing, common func(*T) *record) ([]*T, error) {
	out, err := listPages(ctx, c, l, url.Values{"limit": {pageSize}}, common)
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Status == http.StatusBadRequest {
		return listPages(ctx, c, l, url.Values{}, common)
	}
	return out, err
}

func listPages[T any](ctx context.Context, c *client, l listing, query url.Values, common func(*T) *record) ([]*T, error) {
	var (
		watch wire.Listing
		out   []*T
	)
	for {
		p, err := onePage(ctx, c, l, query, common)
		if err != nil {
			return nil, err
		}
		for _, item := range *p.Results {
			if err := watch.Item(common(item).ID); err != nil {
				return nil, connectors.Damaged(vendor, l.step, "%v", err)
			}
		}
		out = append(out, *p.Results...)
		if p.Next == "" {
			return out, nil
		}
		next, err := c.nextQuery(l.path, query, p.Next)
		if err == nil {
			err = watch.Page(len(*p.Results), next.Encode())
		}
		if err != nil {
			return nil, connectors.Damaged(vendor, l.step, "%v", err)
		}
		query = next
	}
}

// onePage reads one page whose every element has an id and all that is needed of it.
func onePage[T any](ctx context.Context, c *client, l listing, query url.Values, common func(*T) *record) (page[T], error) {
	var p page[T]
	body, err := c.get(ctx, endpoint{l.path, l.step, l.scope}, query)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, connectors.Damaged(vendor, l.step, "it is no page of a listing: %s", unreadable(err))
	}
	if p.Results == nil {
		return p, connectors.Damaged(vendor, l.step, "it holds no results")
	}
	metas := []meta{p.Meta}
	for i, item := range *p.Results {
		if item == nil || common(item).ID == "" {
			return p, connectors.Damaged(vendor, l.step, "element %d has no id", i+1)
		}
		metas = append(metas, common(item).Meta)
	}
	return p, c.checkRedacted(l, metas...)
}

// checkRedacted is an error if the token may not see what a person or group is made of: an absent value would read as a
// change, and by an expression as somebody who left. Other redacted fields do not matter.
func (c *client) checkRedacted(l listing, metas ...meta) error {
	for _, m := range metas {
		for _, r := range m.Redacted {
			field, _, _ := strings.Cut(r.Name, ".")
			if !slices.Contains(l.fields, field) && !slices.Contains(c.attributes, field) {
				continue
			}
			return &connectors.Error{Directory: vendor, Status: http.StatusOK, Step: l.step, Err: connectors.ErrRefused,
				Summary: strings.TrimRight(fmt.Sprintf("the field %s is redacted: %s", r.Name, r.Reason), ": "),
				Remedy:  fmt.Sprintf("let the API token see this field and grant it %s; %s", l.scope, whereToken)}
		}
	}
	return nil
}

// nextQuery takes the next page's query from its link, which is a whole address or a path. It must stay on the same
// server and listing. What was asked for and the link leaves out is kept.
func (c *client) nextQuery(path string, asked url.Values, link string) (url.Values, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, errors.New("the link to the next page cannot be read")
	}
	here := c.base.Path + path
	switch {
	case u.User != nil || u.Host != "" && (!strings.EqualFold(u.Host, c.base.Host) || u.Scheme != c.base.Scheme):
		return nil, fmt.Errorf("the link to the next page leads to another server, %s", u.Host)
	case strings.TrimRight(u.Path, "/") != here && (u.Host != "" || strings.TrimRight(u.Path, "/") != path):
		return nil, fmt.Errorf("the link to the next page leads to another listing, %s", u.Path)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the link to the next page cannot be read")
	}
	for name, values := range asked {
		if name != "cursor" && !query.Has(name) {
			query[name] = values
		}
	}
	if query.Encode() == asked.Encode() {
		return nil, errors.New("page repeated: the link to the next page leads to this one")
	}
	return query, nil
}
