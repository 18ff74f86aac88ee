package sim

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crowd is a server with n users.
func crowd(t testing.TB, n int, o SCIMOptions) *SCIM {
	s := NewSCIM(o)
	for i := range n {
		must[SCIMUser](t)(s.AddUser(SCIMUser{UserName: fmt.Sprintf("u%03d@acme.example", i), ExternalID: fmt.Sprint(i), Active: true}))
	}
	return s
}

func idsOf(list []any) []string {
	var ids []string
	for _, r := range list {
		ids = append(ids, r.(map[string]any)["id"].(string))
	}
	return ids
}

func TestIndexPages(t *testing.T) {
	const n = 25
	tests := map[string]struct {
		options                   SCIMOptions
		query                     string
		from, to                  int // of the ids by order
		total, perPage, startedAt int
	}{
		"everything by default":      {SCIMOptions{}, "", 0, 25, 25, 25, 1},
		"a page":                     {SCIMOptions{}, "startIndex=11&count=10", 10, 20, 25, 10, 11},
		"the last page":              {SCIMOptions{}, "startIndex=21&count=10", 20, 25, 25, 5, 21},
		"beyond the end":             {SCIMOptions{}, "startIndex=26&count=10", 0, 0, 25, 0, 26},
		"a cap":                      {SCIMOptions{PageCap: 3}, "startIndex=2&count=10", 1, 4, 25, 3, 2},
		"itemsPerPage echoes":        {SCIMOptions{ItemsPerPage: ItemsAsked}, "startIndex=21&count=10", 20, 25, 25, 10, 21},
		"itemsPerPage tells the cap": {SCIMOptions{ItemsPerPage: ItemsCap, PageCap: 7}, "startIndex=21&count=10", 20, 25, 25, 7, 21},
		"the total is the page's":    {SCIMOptions{TotalIsPageSize: true}, "count=10", 0, 10, 10, 10, 1},
		"the total lies":             {SCIMOptions{TotalOff: -5}, "count=10", 0, 10, 20, 10, 1},
		"rows beyond the end":        {SCIMOptions{RowsBeyondEnd: true}, "startIndex=100&count=10", 0, 10, 25, 10, 100},
		"a filter to the letter":     {SCIMOptions{ExactFilters: true}, "filter=" + url.QueryEscape(`userName eq "U001@acme.example"`), 0, 0, 0, 0, 1},
		"an ignored filter":          {SCIMOptions{IgnoreFilters: true}, "filter=" + url.QueryEscape(`userName eq "x@y.example"`), 0, 25, 25, 25, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := crowd(t, n, tc.options)
			var all []string
			for _, u := range s.Users() {
				all = append(all, u.ID)
			}
			if !slices.IsSorted(all) {
				t.Fatal("Users is not in id order")
			}
			g := callSCIM(t, s).get("/scim/Users?" + tc.query)
			got := []any{g.object["totalResults"], g.object["itemsPerPage"], g.object["startIndex"]}
			want := []any{float64(tc.total), float64(tc.perPage), float64(tc.startedAt)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("total, itemsPerPage, startIndex (-want +got):\n%s", diff)
			}
			if !slices.Equal(idsOf(g.resources()), all[tc.from:tc.to]) {
				t.Errorf("got %d objects, want %d to %d of the order", len(g.resources()), tc.from, tc.to)
			}
		})
	}
}

func TestListingsRefuse(t *testing.T) {
	s := crowd(t, 3, SCIMOptions{})
	cursors := crowd(t, 3, SCIMOptions{Cursors: true})
	for query, server := range map[string]*SCIM{
		"count=0": s, "count=-1": s, "count=x": s, "startIndex=0": s,
		"filter=" + url.QueryEscape(`title eq "x"`): s, "filter=" + url.QueryEscape(`userName sw "x"`): s,
		"filter=" + url.QueryEscape(`userName eq "x" or userName eq "y"`): s, "filter=userName": s,
		"startIndex=2": cursors, "cursor=&startIndex=1": cursors, "cursor=%25": cursors,
	} {
		if g := callSCIM(t, server).get("/scim/Users?" + query); g.status != 400 || g.object["scimType"] == nil {
			t.Errorf("%s: %d %s, want a SCIM 400", query, g.status, g.text)
		}
	}
}

func TestFilters(t *testing.T) {
	s, annID, _, _ := staffed(t, SCIMOptions{})
	for filter, want := range map[string]int{
		`userName eq "ANN@acme.example"`:                                1,
		`username EQ "ann@acme.example"`:                                1,
		userSchema + `:userName eq "ann@acme.example"`:                  1,
		`userName eq "ann@acme.example" and externalId eq "00u1"`:       1,
		`externalId eq "00u1" and displayName eq "ann lee"`:             1,
		`userName eq "ann@acme.example" and externalId eq "00u2"`:       0,
		`externalId eq "00U1"`:                                          0,
		`userName eq "carl \"and\" or co@acme.example"`:                 0,
		`displayName eq "Ann Lee" and userName eq "bob@acme.example"`:   0,
		`userName   eq   "ann@acme.example"   and externalId eq "00u1"`: 1,
	} {
		g := callSCIM(t, s).get("/scim/Users?filter=" + url.QueryEscape(filter))
		if g.status != 200 || len(g.resources()) != want || want == 1 && idsOf(g.resources())[0] != annID {
			t.Errorf("%s: %d %s, want %d", filter, g.status, g.text, want)
		}
	}
	if g := callSCIM(t, s).get("/scim/Groups?filter=" + url.QueryEscape(`displayName eq "OnCall"`)); len(g.resources()) != 1 {
		t.Errorf("a group by name: %s", g.text)
	}
}

func TestCursorPagesHoldWhileObjectsComeAndGo(t *testing.T) {
	s := crowd(t, 25, SCIMOptions{Cursors: true, OmitTotal: true, PageCap: 4})
	c := callSCIM(t, s)
	var seen []string
	before := s.Users()
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		g := c.get("/scim/Users?count=10&cursor=" + url.QueryEscape(cursor))
		if _, told := g.object["totalResults"]; told || g.status != 200 {
			t.Fatalf("%d %s", g.status, g.text)
		}
		seen = append(seen, idsOf(g.resources())...)
		must[SCIMUser](t)(s.AddUser(SCIMUser{UserName: fmt.Sprintf("new%d@acme.example", pages)}))
		if err := s.RemoveUser(seen[len(seen)-1]); err != nil {
			t.Fatal(err)
		}
		cursor, _ = g.object["nextCursor"].(string)
	}
	for _, u := range before {
		if !slices.Contains(seen, u.ID) {
			t.Errorf("%s was passed over", u.UserName)
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(seen)))) != len(seen) {
		t.Error("somebody came twice")
	}
}

func TestRandomOrderIsAnotherEachTime(t *testing.T) {
	c := callSCIM(t, crowd(t, 25, SCIMOptions{RandomOrder: true}))
	a, b := idsOf(c.get("/scim/Users").resources()), idsOf(c.get("/scim/Users").resources())
	if slices.Equal(a, b) || !slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))) {
		t.Errorf("the same order twice, or other objects: %v, %v", a, b)
	}
}

func TestShownMembers(t *testing.T) {
	tests := map[string]struct {
		options        SCIMOptions
		listed, single string // the members attribute: "none", "empty", "typed" or "untyped"
		empty          string // of a group without members
	}{
		"members everywhere":         {SCIMOptions{}, "typed", "typed", "empty"},
		"not in listings":            {SCIMOptions{HideMembers: true}, "none", "typed", "none"},
		"no attribute when empty":    {SCIMOptions{OmitEmptyMembers: true}, "typed", "typed", "none"},
		"members without their type": {SCIMOptions{OmitMemberTypes: true}, "untyped", "untyped", "empty"},
	}
	shown := func(r any) string {
		members, ok := r.(map[string]any)["members"].([]any)
		switch {
		case !ok:
			return "none"
		case len(members) == 0:
			return "empty"
		case members[0].(map[string]any)["type"] == "User":
			return "typed"
		}
		return "untyped"
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, _, _, id := staffed(t, tc.options)
			must[SCIMGroup](t)(s.AddGroup(SCIMGroup{ID: "zzz", DisplayName: "empty"}))
			c := callSCIM(t, s)
			list := c.get("/scim/Groups").resources()
			got := []string{shown(list[0]), shown(c.get("/scim/Groups/" + id).object), shown(list[1])}
			if want := []string{tc.listed, tc.single, tc.empty}; !slices.Equal(got, want) {
				t.Errorf("listed, single, empty: %v, want %v", got, want)
			}
		})
	}
}

func TestOddIDsAreReachedWhenEscaped(t *testing.T) {
	s := crowd(t, 1, SCIMOptions{OddIDs: true})
	id := s.Users()[0].ID
	if url.PathEscape(id) == id {
		t.Fatalf("the id %q needs no escaping", id)
	}
	if g := callSCIM(t, s).get("/scim/Users/" + url.PathEscape(id)); g.object["id"] != id {
		t.Errorf("%d %s", g.status, g.text)
	}
}
