package web

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// stranger puts into Rootly what nobody here owns.
func (w *world) stranger(name string, active bool) string {
	w.t.Helper()
	u, err := w.rootly.AddUser(sim.SCIMUser{UserName: name, Active: active})
	if err != nil {
		w.t.Fatal(err)
	}
	w.strangers = append(w.strangers, u.ID)
	return u.ID
}

func rowsAt(t *testing.T, w *world, path string) Page[Row] {
	t.Helper()
	var out Page[Row]
	if err := json.Unmarshal([]byte(w.page(apiPrefix+path)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func names(p Page[Row]) string {
	var out []string
	for _, row := range p.Items {
		out = append(out, row.Name)
	}
	return strings.Join(out, " ")
}

func TestListsShowWhatIsNotOurs(t *testing.T) {
	w := newWorld(t, 20)
	id := w.stranger("contractor@elsewhere.example", true)
	w.stranger("long-gone@elsewhere.example", false)
	if _, err := w.rootly.AddGroup(sim.SCIMGroup{DisplayName: "handmade"}); err != nil {
		t.Fatal(err)
	}
	w.staff.users[19].UserName, w.staff.users[19].Email = "no address", "no address"
	w.busy()
	for path, want := range map[string]string{
		"people?state=unowned":               "contractor@elsewhere.example",
		"people?state=unowned&q=elsewhere":   "contractor@elsewhere.example",
		"people?state=managed&q=elsewhere":   "",
		"people?state=managed&q=u05":         "u05@acme.example",
		"people?state=active&q=elsewhere":    "",
		"people?state=frozen":                "no address",
		"people?q=contractor":                "contractor@elsewhere.example",
		"groups?state=unowned":               "handmade",
		"groups?state=pushed":                "oncall",
		"groups":                             "handmade oncall",
		"people?state=held&q=contractor":     "",
		"people?state=not+managed&q=address": "no address",
	} {
		if got := names(rowsAt(t, w, path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	contains(t, w.page("/people?state=unowned"), "/people/"+id, "never changes them")
	contains(t, w.page("/people/"+id), "Not ours", "Nothing was ever changed here")
	contains(t, w.page("/"), `<a href="/people?state=unowned">1 person</a>`, `<a href="/groups?state=unowned">1 group</a>`)
}

// TestUnownedArePagedAndRemembered: a Rootly full of others is shown page by page, also after a restart.
func TestUnownedArePagedAndRemembered(t *testing.T) {
	w := newWorld(t, 2)
	for i := range perPage + 5 {
		w.stranger(fmt.Sprintf("other%03d@elsewhere.example", i), true)
	}
	w.cycle()
	seen, err := pack(*w.site.latest())
	if err != nil {
		t.Fatal(err)
	}
	again, err := unpack(seen)
	if err != nil || len(again.Unowned) != perPage+5 {
		t.Fatalf("%d are remembered, %v", len(again.Unowned), err)
	}
	first, second := rowsAt(t, w, "people?state=unowned"), rowsAt(t, w, "people?state=unowned&page=2")
	if first.Total != perPage+5 || len(first.Items) != perPage || len(second.Items) != 5 || second.Items[4].Name != "other054@elsewhere.example" {
		t.Errorf("%d rows, then %d, of %d", len(first.Items), len(second.Items), first.Total)
	}
}

// TestUnownedAgreeWithTheCounts: the list and the numbers say the same.
func TestUnownedAgreeWithTheCounts(t *testing.T) {
	w := newWorld(t, 3)
	w.stranger("a@elsewhere.example", true)
	w.stranger("u01@acme.example", true) // who is taken over
	plan, err := w.planner.Plan(t.Context(), reconcile.Ledger{}, w.now())
	if err != nil {
		t.Fatal(err)
	}
	people, groups := 0, 0
	for _, o := range plan.Unowned() {
		if o.Kind == reconcile.KindUser {
			people++
		} else {
			groups++
		}
	}
	if people != plan.Counts.Unmanaged || groups != plan.Counts.UnmanagedGroups || people != 1 {
		t.Errorf("%d people and %d groups, counted were %d and %d", people, groups, plan.Counts.Unmanaged, plan.Counts.UnmanagedGroups)
	}
}
