package sim

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const defaultCount = 100

// A listResponse is RFC 7644 section 3.4.2's, with RFC 9865's cursor.
type listResponse struct {
	Schemas      []string `json:"schemas"`
	TotalResults *int     `json:"totalResults,omitempty"`
	StartIndex   int      `json:"startIndex,omitempty"`
	ItemsPerPage int      `json:"itemsPerPage"`
	NextCursor   string   `json:"nextCursor,omitempty"`
	Resources    []any    `json:"Resources"`
}

const listSchema = "urn:ietf:params:scim:api:messages:2.0:ListResponse"

// list answers with one page, by id ascending.
func list[T resource[T]](s *SCIM, c call, all *collection[T]) (reply, *scimError) {
	o := s.options
	asked, err := positive(c.query, "count", defaultCount)
	if err != nil {
		return reply{}, err
	}
	ids, err := matching(s, c, all)
	if err != nil {
		return reply{}, err
	}
	most := asked
	if o.PageCap > 0 {
		most = min(most, o.PageCap)
	}
	out := listResponse{Schemas: []string{listSchema}, Resources: []any{}}
	var from int
	if o.Cursors {
		from, err = cursorStart(c.query, ids)
	} else {
		out.StartIndex, err = positive(c.query, "startIndex", 1)
		from = out.StartIndex - 1
	}
	if err != nil {
		return reply{}, err
	}
	if o.RowsBeyondEnd && from >= len(ids) {
		from = 0
	}
	from = min(from, len(ids))
	page := ids[from:min(from+most, len(ids))]
	for _, id := range page {
		out.Resources = append(out.Resources, all.byID[id].render(o, c.base, true))
	}
	if o.Cursors && from+len(page) < len(ids) {
		out.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(page[len(page)-1]))
	}
	out.ItemsPerPage = map[ItemsPerPage]int{ItemsReturned: len(page), ItemsAsked: asked, ItemsCap: most}[o.ItemsPerPage]
	total := len(ids) + o.TotalOff
	if o.TotalIsPageSize {
		total = len(page)
	}
	if !o.Cursors || !o.OmitTotal {
		out.TotalResults = &total
	}
	return reply{status: http.StatusOK, body: out}, nil
}

// positive reads a count. Servers differ on zero, negative numbers and words, down to answering 500; they are refused.
func positive(q url.Values, name string, unset int) (int, *scimError) {
	if !q.Has(name) {
		return unset, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 {
		return 0, badRequest("invalidValue", "%s must be a positive number", name)
	}
	return n, nil
}

// cursorStart is the place behind the object that the cursor names; it holds although objects come and go.
func cursorStart(q url.Values, ids []string) (int, *scimError) {
	if q.Has("startIndex") && (q.Has("cursor") || q.Get("startIndex") != "1") {
		return 0, badRequest("invalidValue", "this server pages by cursor, not by startIndex")
	}
	if q.Get("cursor") == "" {
		return 0, nil
	}
	last, err := base64.RawURLEncoding.DecodeString(q.Get("cursor"))
	if err != nil {
		return 0, badRequest("invalidCursor", "the cursor is not one of ours")
	}
	place, found := slices.BinarySearch(ids, string(last))
	if found {
		place++
	}
	return place, nil
}

// matching returns the ids of what the request may see and asks for. The slice may be shared.
func matching[T resource[T]](s *SCIM, c call, all *collection[T]) ([]string, *scimError) {
	o := s.options
	filter, err := readFilter(c.query.Get("filter"), all)
	if err != nil {
		return nil, err
	}
	if o.IgnoreFilters {
		filter = nil
	}
	ids := all.ids
	if name, ok := keyAsked(filter, all.kind); ok {
		ids = func() []string { return slices.Sorted(maps.Keys(all.byKey[name])) }
	}
	var out []string
	switch {
	case filter == nil && !o.VanishInactive:
		out = ids()
	default:
		for _, id := range ids() {
			r := all.byID[id]
			if r.visible(o) && (filter == nil || holdsAll(r, filter)) && (!o.ExactFilters || exact(r, filter, c.kind)) {
				out = append(out, id)
			}
		}
	}
	if o.RandomOrder {
		out = slices.Clone(out)
		s.state.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	}
	return out, nil
}

func holdsAll[T resource[T]](r T, filter []comparison) bool {
	for _, c := range filter {
		if hit, _ := r.holds(c); !hit {
			return false
		}
	}
	return true
}

// keyAsked finds the name in a filter that asks for the unique attribute, so that nobody has to be looked through.
func keyAsked(filter []comparison, kind string) (string, bool) {
	for _, c := range filter {
		if c.attribute == keyAttributes[kind] {
			return strings.ToLower(c.value), true
		}
	}
	return "", false
}

// exact reports whether a filter that asks for the unique attribute spells it as r does.
func exact[T resource[T]](r T, filter []comparison, kind string) bool {
	return !slices.ContainsFunc(filter, func(c comparison) bool { return c.attribute == keyAttributes[kind] && c.value != r.name() })
}

// keyAttributes are the unique attributes.
var keyAttributes = map[string]string{"Users": "username", "Groups": "displayname"}

// readFilter admits eq and and over the attributes that a resource can be asked for.
func readFilter[T resource[T]](text string, all *collection[T]) ([]comparison, *scimError) {
	if text == "" {
		return nil, nil
	}
	expr, err := parseFilter(text)
	if err != nil {
		return nil, badRequest("invalidFilter", "%v", err)
	}
	if len(expr) > 1 {
		return nil, badRequest("invalidFilter", "or is not supported")
	}
	filter := expr[0]
	for i, c := range filter {
		c.attribute = strings.TrimPrefix(c.attribute, strings.ToLower(all.schema)+":")
		if _, known := all.fresh().holds(c); !known || c.operator != "eq" {
			return nil, badRequest("invalidFilter", "%s %s is not supported", c.attribute, c.operator)
		}
		filter[i] = c
	}
	return filter, nil
}
