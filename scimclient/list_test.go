package scimclient

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rows makes users whose ids ascend, or not.
func rows(n int, ascending bool) []string {
	list := make([]string, n)
	for i := range list {
		id := i + 1
		if !ascending {
			id = (i*7919 + 13) % 10007
		}
		list[i] = userJSON(strconv.Itoa(id), "")
	}
	return list
}

func startOf(c call) int {
	n, _ := strconv.Atoi(c.query.Get("startIndex"))
	return n
}

func countOf(c call) int {
	n, _ := strconv.Atoi(c.query.Get("count"))
	return n
}

// cutOut is the page that an honest server with a cap would give.
func cutOut(all []string, c call, most int) []string {
	from := min(len(all), startOf(c)-1)
	return all[from:min(len(all), from+min(countOf(c), most))]
}

func TestListingsAreCompleteOrFail(t *testing.T) {
	const page = 10
	honest := func(all []string, most int) func(int, call) reply {
		return func(_ int, c call) reply { return ok(listJSON(len(all), cutOut(all, c, most)...)) }
	}
	once := func(body string) func(int, call) reply { return func(int, call) reply { return ok(body) } }
	tests := map[string]struct {
		answer   func(n int, c call) reply
		want     int // users
		requests int // 0: do not count
		wantErr  string
	}{
		"nobody":                      {answer: once(listJSON(0)), want: 0, requests: 1},
		"nobody, no Resources":        {answer: once(`{"totalResults":0}`), want: 0, requests: 1},
		"counters as strings":         {answer: once(`{"totalResults":"1","Resources":[` + userJSON("1", "") + `]}`), want: 1, requests: 1},
		"other letter case":           {answer: once(`{"TotalResults":1,"resources":[` + userJSON("1", "") + `]}`), want: 1, requests: 1},
		"one short page":              {answer: honest(rows(7, true), 99), want: 7, requests: 1},
		"pages in parallel":           {answer: honest(rows(47, true), 99), want: 47, requests: 5},
		"pages in turn":               {answer: honest(rows(47, false), 99), want: 47, requests: 5},
		"server caps pages at 3":      {answer: honest(rows(8, true), 3), want: 8, requests: 3},
		"cap at 3, in turn":           {answer: honest(rows(9, false), 3), want: 9, requests: 3},
		"last page full":              {answer: honest(rows(30, false), 99), want: 30, requests: 3},
		"only page full asks again":   {answer: honest(rows(10, true), 99), want: 10, requests: 2},
		"total is the page's size":    {want: 25, requests: 3, answer: func(_ int, c call) reply { p := cutOut(rows(25, false), c, 99); return ok(listJSON(len(p), p...)) }},
		"size, and the last is full":  {want: 30, requests: 4, answer: func(_ int, c call) reply { p := cutOut(rows(30, true), c, 99); return ok(listJSON(len(p), p...)) }},
		"rows past the end":           {want: 10, requests: 2, answer: func(int, call) reply { return ok(listJSON(10, rows(10, true)...)) }},
		"the same page for ever":      {wantErr: "could not be read completely", answer: func(int, call) reply { return ok(listJSON(30, rows(10, true)...)) }},
		"total too large":             {wantErr: "nothing was concluded", answer: func(_ int, c call) reply { return ok(listJSON(99, cutOut(rows(25, true), c, 99)...)) }},
		"total too small":             {wantErr: "could not be read completely", answer: func(_ int, c call) reply { return ok(listJSON(3, cutOut(rows(8, true), c, 99)...)) }},
		"a row twice":                 {wantErr: "could not be read completely", answer: once(listJSON(2, rows(1, true)[0], rows(1, true)[0]))},
		"ends early":                  {wantErr: "could not be read completely", answer: func(_ int, c call) reply { return ok(listJSON(30, cutOut(rows(19, false), c, 99)...)) }},
		"404, SCIM":                   {answer: func(int, call) reply { return refuse(404, "") }, wantErr: "SSO is not set up", requests: 1},
		"404, HTML":                   {answer: func(int, call) reply { return reply{status: 404, body: html} }, wantErr: "SSO is not set up", requests: 1},
		"200 HTML":                    {answer: once(html), wantErr: "not a SCIM ListResponse"},
		"200 null":                    {answer: once("null"), wantErr: "not a SCIM ListResponse"},
		"200 {}":                      {answer: once("{}"), wantErr: "not a SCIM ListResponse"},
		"200 empty":                   {answer: once(""), wantErr: "not a SCIM ListResponse"},
		"200 list":                    {answer: once("[]"), wantErr: "not a SCIM ListResponse"},
		"204":                         {answer: func(int, call) reply { return reply{status: 204} }, wantErr: "not a SCIM ListResponse"},
		"200 error object":            {answer: once(scimError(500, "", "x")), wantErr: "SCIM error in place"},
		"200 single user":             {answer: once(userJSON("1", "")), wantErr: "not a SCIM ListResponse"},
		"Resources missing":           {answer: once(`{"totalResults":3}`), wantErr: "holds no Resources"},
		"Resources null":              {answer: once(`{"totalResults":3,"Resources":null}`), wantErr: "holds no Resources"},
		"Resources an object":         {answer: once(`{"totalResults":3,"Resources":{}}`), wantErr: "not a list"},
		"Resources empty, total says": {answer: once(listJSON(3)), wantErr: "could not be read completely"},
		"null row":                    {answer: once(listJSON(1, "null")), wantErr: "not null"},
		"row without id":              {answer: once(listJSON(1, `{"userName":"x"}`)), wantErr: "without id"},
		"row is an error":             {answer: once(listJSON(1, scimError(500, "", ""))), wantErr: "SCIM error in place"},
		"no total":                    {answer: once(`{"Resources":[` + userJSON("1", "") + `]}`), wantErr: "neither totalResults nor a cursor"},
		"negative total":              {answer: once(`{"totalResults":-1,"Resources":[]}`), wantErr: "not a count"},
		"JSON cut in half":            {answer: func(_ int, c call) reply { b := listJSON(8, rows(8, true)...); return ok(b[:len(b)/2]) }, wantErr: "cut or damaged"},
		"something follows":           {answer: once(listJSON(0) + "{}"), wantErr: "something follows"},
		"connection cut, then whole": {want: 8, requests: 2, answer: func(n int, c call) reply {
			return reply{status: 200, body: listJSON(8, rows(8, true)...), cut: n == 0}
		}},
		"connection always cut": {wantErr: "no answer", requests: maxTries, answer: func(int, call) reply {
			return reply{status: 200, body: listJSON(8, rows(8, true)...), cut: true}
		}},
		"503, then well": {want: 0, requests: 2, answer: func(n int, _ call) reply {
			if n == 0 {
				return reply{status: 503, body: html}
			}
			return ok(listJSON(0))
		}},
		"tooMany asks for less": {want: 8, answer: func(_ int, c call) reply {
			if countOf(c) > 3 {
				return refuse(400, "tooMany")
			}
			return ok(listJSON(8, cutOut(rows(8, true), c, 99)...))
		}},
		"a row inserted meanwhile is found by reading again": {want: 26, answer: func(n int, c call) reply {
			all := rows(25, false)
			if n > 0 {
				all = slices.Insert(all, 3, userJSON("new", ""))
			}
			return ok(listJSON(len(all), cutOut(all, c, 99)...))
		}},
		"a row deleted meanwhile": {want: 24, answer: func(n int, c call) reply {
			all := rows(25, true)
			if n > 0 {
				all = all[1:]
			}
			return ok(listJSON(len(all), cutOut(all, c, 99)...))
		}},
		"pages of different sizes break the parallel reading only": {want: 25, answer: func(n int, c call) reply {
			most := 10
			if startOf(c) > 1 && n < 3 {
				most = 4
			}
			return ok(listJSON(25, cutOut(rows(25, true), c, most)...))
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, f := newTestClient(t, tc.answer, func(o *Options) { o.PageSize = page })
				users, err := c.Users(t.Context())
				if (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				if err != nil && users != nil {
					t.Errorf("%d users beside an error", len(users))
				}
				if len(users) != tc.want {
					t.Errorf("%d users, want %d", len(users), tc.want)
				}
				if tc.requests != 0 && len(f.calls) != tc.requests {
					t.Errorf("%d requests, want %d", len(f.calls), tc.requests)
				}
				for _, call := range f.calls {
					if call.query.Has("cursor") && call.query.Has("startIndex") {
						t.Errorf("cursor and startIndex together: %v", call.query)
					}
					if countOf(call) < 1 || call.path != "/Users" {
						t.Errorf("unexpected request %v %v", call, call.query)
					}
				}
			})
		})
	}
}

func TestRandomOrderIsNeverTakenForComplete(t *testing.T) {
	all := rows(40, false)
	c, _ := newTestClient(t, func(_ int, c call) reply {
		shuffled := slices.Clone(all)
		rand.Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		return ok(listJSON(40, cutOut(shuffled, c, 99)...))
	}, func(o *Options) { o.PageSize = 10 })
	users, err := c.Users(t.Context())
	if _, incomplete := errors.AsType[*IncompleteError](err); !incomplete {
		distinct := map[string]bool{}
		for _, u := range users {
			distinct[u.ID] = true
		}
		if err != nil || len(distinct) != 40 {
			t.Errorf("%d distinct users, error %v", len(distinct), err)
		}
	}
}

func TestParallelPagesNeedAStableOrder(t *testing.T) {
	var seen []int
	all := rows(40, false)
	c, f := newTestClient(t, func(_ int, c call) reply { return ok(listJSON(40, cutOut(all, c, 99)...)) }, func(o *Options) { o.PageSize = 10 })
	for range 2 {
		if _, err := c.Users(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, call := range f.calls {
		seen = append(seen, startOf(call))
	}
	if diff := cmp.Diff([]int{1, 11, 21, 31}, seen[:4]); diff != "" {
		t.Errorf("the first listing does not go page by page (-want +got):\n%s", diff)
	}
	if len(seen) != 8 || !c.users.stable([]User{{ID: c.users.first[0]}, {ID: c.users.first[5]}}) {
		t.Errorf("the order of the first listing was not kept: %v", seen)
	}
	if c.users.stable([]User{{ID: c.users.first[5]}, {ID: c.users.first[0]}}) {
		t.Error("another order counts as stable")
	}
}

// slow answers after a second and counts how many requests are under way at once.
type slow struct {
	http.RoundTripper
	mu        sync.Mutex
	now, peak int
}

func (s *slow) RoundTrip(req *http.Request) (*http.Response, error) {
	s.enter(1)
	defer s.enter(-1)
	if err := sleep(req.Context(), time.Second); err != nil {
		return nil, err
	}
	return s.RoundTripper.RoundTrip(req)
}

func (s *slow) enter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.peak = max(s.peak, s.now)
}

func TestParallelPagesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := rows(90, true)
		var s *slow
		c, f := newTestClient(t, func(_ int, c call) reply { return ok(listJSON(90, cutOut(all, c, 99)...)) }, func(o *Options) {
			s = &slow{RoundTripper: o.Transport}
			o.PageSize, o.Concurrency, o.Transport = 10, 4, s
		})
		start := time.Now()
		if _, err := c.Users(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 3*time.Second || s.peak != 4 || len(f.calls) != 9 {
			t.Errorf("9 pages took %s with %d requests, %d at once", took, len(f.calls), s.peak)
		}
	})
}

func TestCursorPaging(t *testing.T) {
	one := userJSON("1", "")
	two := userJSON("2", "")
	page := func(next string, rows ...string) reply {
		return ok(fmt.Sprintf(`{"Resources":[%s],"nextCursor":%q}`, strings.Join(rows, ","), next))
	}
	tests := map[string]struct {
		replies []reply
		want    int
		cursors []string // of each request; "-" for none
		wantErr string
	}{
		"followed to its end": {[]reply{page("a", one), page("b"), page("", two)}, 2, []string{"-", "a", "b"}, ""},
		"expired begins again": {[]reply{page("a", one), refuse(400, "expiredCursor"), page("c", one), page("", two)},
			2, []string{"-", "a", "-", "c"}, ""},
		"the same cursor twice": {[]reply{page("a", one), page("a", two), page("a", one), page("a", two), page("a", one), page("a", two)},
			0, []string{"-", "a", "-", "a", "-", "a"}, "same cursor twice"},
		"a total that disagrees": {[]reply{
			ok(`{"totalResults":3,"Resources":[` + one + `],"nextCursor":"a"}`), page("", two),
			ok(`{"totalResults":2,"Resources":[` + one + `],"nextCursor":"b"}`), page("", two),
		}, 2, []string{"-", "a", "-", "b"}, ""},
		"index refused": {[]reply{
			refuse(400, "invalidValue"), ok(`{"pagination":{"cursor":true,"index":false}}`), page("a", one), page("", two),
		}, 2, []string{"-", "-", "", "a"}, ""},
		"index refused after a full page without a cursor": {[]reply{
			ok(`{"totalResults":2,"Resources":[` + one + `,` + two + `]}`), refuse(400, "invalidValue"), ok(`{"pagination":{"cursor":true,"index":false}}`),
			page("", one, two),
		}, 2, []string{"-", "-", "-", ""}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := newTestClient(t, func(n int, _ call) reply { return tc.replies[n] })
			c.users.pageSize.Store(2)
			users, err := c.Users(t.Context())
			if len(users) != tc.want || (err == nil) != (tc.wantErr == "") || err != nil && !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%d users, error %v", len(users), err)
			}
			var got []string
			for _, call := range f.calls {
				if call.query.Has("cursor") {
					got = append(got, call.query.Get("cursor"))
				} else {
					got = append(got, "-")
				}
			}
			if diff := cmp.Diff(tc.cursors, got); diff != "" {
				t.Errorf("cursors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGroupsListedWithoutMembersAreRead(t *testing.T) {
	c, f := newTestClient(t, func(_ int, c call) reply {
		switch c.path {
		case "/Groups":
			return ok(listJSON(4, groupJSON("shown", "1"), `{"id":"hidden","displayName":"h"}`, `{"id":"empty","displayName":"e","members":null}`,
				`{"id":"deleted","displayName":"d"}`))
		case "/Groups/hidden":
			return ok(groupJSON("hidden", "2", "3"))
		case "/Groups/empty":
			return ok(`{"id":"empty","displayName":"e"}`)
		}
		return refuse(404, "")
	})
	groups, err := c.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, g := range groups {
		got[g.ID] = len(g.Members)
	}
	if diff := cmp.Diff(map[string]int{"shown": 1, "hidden": 2, "empty": 0}, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if len(f.calls) != 4 {
		t.Errorf("requests: %v", f.sent())
	}
}

func TestGroupsFailWhenOneCannotBeRead(t *testing.T) {
	c, _ := newTestClient(t, func(_ int, c call) reply {
		if c.path == "/Groups" {
			return ok(listJSON(1, `{"id":"1","displayName":"h"}`))
		}
		return reply{status: 404, body: html}
	})
	if groups, err := c.Groups(t.Context()); err == nil || groups != nil {
		t.Errorf("groups %v, error %v", groups, err)
	}
}

func TestFindChecksEveryHit(t *testing.T) {
	alice := `{"id":"1","userName":"Alice@ACME.com"}`
	bob := `{"id":"2","userName":"bob@acme.com"}`
	tests := map[string]struct {
		answer func(n int, c call) reply
		want   []string
	}{
		"one":                        {func(int, call) reply { return ok(listJSON(1, alice)) }, []string{"1"}},
		"other letter case":          {refusingFilter(ok(listJSON(0)), alice, bob), []string{"1"}},
		"none":                       {func(int, call) reply { return ok(listJSON(0)) }, nil},
		"everybody comes back":       {func(int, call) reply { return ok(listJSON(2, bob, alice)) }, []string{"1"}},
		"filter refused":             {refusingFilter(refuse(400, "invalidFilter"), alice, bob), []string{"1"}},
		"filter not implemented":     {refusingFilter(refuse(501, ""), alice, bob), []string{"1"}},
		"404 for no hit":             {refusingFilter(refuse(404, ""), alice, bob), []string{"1"}},
		"total of the whole instead": {refusingFilter(ok(listJSON(99, alice)), alice, bob), []string{"1"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := newTestClient(t, tc.answer)
			users, err := c.FindUsers(t.Context(), "alice@acme.com")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range users {
				got = append(got, u.ID)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
			if got := f.calls[0].query.Get("filter"); got != `userName eq "alice@acme.com"` {
				t.Errorf("filter is %s", got)
			}
		})
	}
}

func refusingFilter(r reply, all ...string) func(int, call) reply {
	return func(_ int, c call) reply {
		if c.query.Has("filter") {
			return r
		}
		return ok(listJSON(len(all), all...))
	}
}

func TestCapabilitiesAreAskedOnceAndMayBeAbsent(t *testing.T) {
	full := `{"patch":{"supported":true},"filter":{"supported":"true","maxResults":100},"etag":{"supported":true},
		"bulk":{"supported":false,"maxOperations":7},"pagination":{"cursor":true,"index":true,"maxPageSize":50}}`
	assumed := Capabilities{Patch: true, Filter: true, Index: true}
	tests := map[string]struct {
		reply
		want    Capabilities
		wantErr bool
	}{
		"full":            {ok(full), Capabilities{Known: true, Patch: true, Filter: true, FilterMaxResults: 100, BulkMaxOperations: 7, ETag: true, Index: true, Cursor: true, MaxPageSize: 50}, false},
		"404":             {reply{status: 404, body: html}, assumed, false},
		"403":             {refuse(403, ""), assumed, false},
		"501":             {refuse(501, ""), assumed, false},
		"HTML":            {ok(html), assumed, false},
		"null":            {ok(`null`), assumed, false},
		"token refused":   {refuse(401, ""), Capabilities{}, true},
		"only what is no": {ok(`{"patch":{"supported":false}}`), Capabilities{Known: true, Index: true}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c, f := newTestClient(t, func(int, call) reply { return tc.reply })
			for range 2 {
				got, err := c.Capabilities(t.Context())
				if diff := cmp.Diff(tc.want, got); diff != "" || (err != nil) != tc.wantErr {
					t.Errorf("error %v, capabilities (-want +got):\n%s", err, diff)
				}
			}
			if !tc.wantErr && len(f.calls) != 1 {
				t.Errorf("asked %d times", len(f.calls))
			}
		})
	}
}

func TestABadMomentOfDiscoveryIsNotForLife(t *testing.T) {
	replies := []reply{
		ok(html), // somebody asked in a bad moment
		refuse(400, "invalidValue"), ok(`{"pagination":{"cursor":true,"index":false}}`), ok(`{"Resources":[` + userJSON("1", "") + `]}`),
	}
	c, _ := newTestClient(t, func(n int, _ call) reply { return replies[n] })
	if caps, err := c.Capabilities(t.Context()); err != nil || caps.Known {
		t.Fatalf("error %v, capabilities %+v", err, caps)
	}
	if users, err := c.Users(t.Context()); err != nil || len(users) != 1 {
		t.Errorf("error %v, %d users", err, len(users))
	}
}

func TestProbeIsOneRequest(t *testing.T) {
	c, f := newTestClient(t, func(int, call) reply { return ok(listJSON(300, userJSON("1", ""))) })
	if err := c.Probe(t.Context()); err != nil || len(f.calls) != 1 || countOf(f.calls[0]) != 1 {
		t.Errorf("error %v after %v", err, f.sent())
	}
	c, _ = newTestClient(t, func(int, call) reply { return refuse(401, "") })
	if err := c.Probe(t.Context()); err == nil {
		t.Error("a refused token passes")
	}
}
