package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSameSeedFoundsTheSameCompany(t *testing.T) {
	a, b, other := NewCompany(Config{Seed: 7}), NewCompany(Config{Seed: 7}), NewCompany(Config{Seed: 8})
	a.NextDay()
	b.NextDay()
	if diff := cmp.Diff(a.People(), b.People()); diff != "" {
		t.Errorf("people (-a +b):\n%s", diff)
	}
	if diff := cmp.Diff(a.Groups(), b.Groups()); diff != "" {
		t.Errorf("groups (-a +b):\n%s", diff)
	}
	if a.People()[0].ID == other.People()[0].ID {
		t.Error("another seed gives the same ids")
	}
}

func TestDefaultCompany(t *testing.T) {
	c := NewCompany(Config{})
	people, groups := c.People(), c.Groups()
	if len(people) != 300 || len(groups) != 25 {
		t.Fatalf("%d people and %d groups, want 300 and 25", len(people), len(groups))
	}
	statuses, logins, assigned, foreign := map[Status]int{}, map[string]bool{}, 0, 0
	for _, p := range people {
		statuses[p.Status]++
		logins[p.Login] = true
		if p.Assigned {
			assigned++
		}
		if strings.ContainsFunc(p.FirstName+p.LastName, func(r rune) bool { return r > 127 }) {
			foreign++
		}
		if !strings.HasSuffix(p.Login, "@"+Domain) || strings.ContainsFunc(p.Login, func(r rune) bool { return r > 127 }) {
			t.Errorf("login %q", p.Login)
		}
	}
	if len(logins) != 300 || foreign < 50 {
		t.Errorf("%d logins, %d names beyond ASCII", len(logins), foreign)
	}
	if assigned < 200 || assigned == 300 {
		t.Errorf("%d of 300 are assigned, want most but not all", assigned)
	}
	for _, s := range []Status{StatusLockedOut, StatusPasswordExpired, StatusSuspended, StatusStaged, StatusProvisioned} {
		if statuses[s] == 0 || statuses[s] > 10 {
			t.Errorf("%d people are %s", statuses[s], s)
		}
	}
	for _, g := range groups {
		different := slices.Compact(slices.Sorted(slices.Values(g.Members)))
		if len(g.Members) == 0 || len(different) != len(g.Members) {
			t.Errorf("group %s has no members, or one twice: %v", g.Name, g.Members)
		}
	}
}

func TestNextDayDoesWhatItSays(t *testing.T) {
	c := NewCompany(Config{Seed: 3})
	for day := range 3 {
		before := map[string]Person{}
		for _, p := range c.People() {
			before[p.ID] = p
		}
		told := c.NextDay()
		if len(told) != 6 {
			t.Fatalf("day %d: %q, want six events", day, told)
		}
		joined, changed := 0, map[string]int{}
		for _, p := range c.People() {
			was, known := before[p.ID]
			switch {
			case !known:
				joined++
			case was.Status != p.Status:
				changed[fmt.Sprint(p.Status)]++
			case was.Login != p.Login:
				changed["login"]++
			case was.LastName != p.LastName:
				changed["name"]++
			}
		}
		want := map[string]int{"DEPROVISIONED": 1, "SUSPENDED": 1, "login": 1, "name": 1}
		if diff := cmp.Diff(want, changed); joined != 1 || diff != "" {
			t.Errorf("day %d: %d joined, changes (-want +got):\n%s", day, joined, diff)
		}
	}
}

func TestTinyCompaniesLiveThroughADay(t *testing.T) {
	for people := -1; people < 6; people++ {
		for groups := -1; groups < 6; groups++ {
			c := NewCompany(Config{People: people, Groups: groups})
			c.NextDay()
			c.NextDay()
		}
	}
}

func TestEdits(t *testing.T) {
	fresh := func() *Company {
		c := NewCompany(Config{People: -1, Groups: -1})
		for _, name := range []string{"ann", "bob"} {
			must[Person](t)(c.Join(Person{FirstName: name, Login: name + "@" + Domain}))
		}
		must[Group](t)(c.CreateGroup(Group{Name: "oncall", Members: []string{"ann@" + Domain}, Assigned: true}))
		must[Group](t)(c.CreateGroup(Group{Name: "staff", Members: []string{"ann@" + Domain}, Rule: true}))
		return c
	}
	const ann, bob = "ann@" + Domain, "bob@" + Domain
	tests := map[string]struct {
		edit     func(c *Company) error
		assigned []string
		oncall   []string
		staff    []string
	}{
		"a group assigns its members":              {func(*Company) error { return nil }, []string{ann}, []string{ann}, []string{ann}},
		"a leaver stays only in a rule's group":    {func(c *Company) error { return c.Leave(ann) }, nil, nil, []string{ann}},
		"a suspended person stays assigned":        {func(c *Company) error { return c.Suspend(ann) }, []string{ann}, []string{ann}, []string{ann}},
		"a direct assignment":                      {func(c *Company) error { return c.Assign(bob) }, []string{ann, bob}, []string{ann}, []string{ann}},
		"unassigning leaves the assigned groups":   {func(c *Company) error { return c.Unassign(ann) }, nil, nil, []string{ann}},
		"a member added is assigned":               {func(c *Company) error { return c.AddMember("oncall", bob) }, []string{ann, bob}, []string{ann, bob}, []string{ann}},
		"a member removed is not":                  {func(c *Company) error { return c.RemoveMember("oncall", ann) }, nil, nil, []string{ann}},
		"a deleted group assigns nobody":           {func(c *Company) error { return c.DeleteGroup("oncall") }, nil, nil, []string{ann}},
		"an unassigned group assigns nobody":       {func(c *Company) error { return c.UnassignGroup("oncall") }, nil, []string{ann}, []string{ann}},
		"a renamed group assigns as before":        {func(c *Company) error { return c.RenameGroup("oncall", "pager") }, []string{ann}, nil, []string{ann}},
		"who left and is deleted is gone from all": {func(c *Company) error { return firstError(c.Leave(ann), c.Delete(ann)) }, nil, nil, nil},
		"who returns starts without groups":        {func(c *Company) error { return firstError(c.Leave(ann), c.Return(ann)) }, nil, nil, []string{ann}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			c := fresh()
			if err := tc.edit(c); err != nil {
				t.Fatal(err)
			}
			var assigned []string
			for _, p := range c.People() {
				if p.Assigned {
					assigned = append(assigned, p.Login)
				}
			}
			oncall, _ := c.GroupByName("oncall")
			staff, _ := c.GroupByName("staff")
			if diff := cmp.Diff([][]string{tc.assigned, tc.oncall, tc.staff}, [][]string{assigned, oncall.Members, staff.Members}); diff != "" {
				t.Errorf("assigned, oncall, staff (-want +got):\n%s", diff)
			}
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestTwoGroupsOfOneName(t *testing.T) {
	c := NewCompany(Config{People: 3, Groups: -1})
	older := must[Group](t)(c.CreateGroup(Group{Name: "Everyone", Members: []string{c.People()[0].Login}}))
	newer := must[Group](t)(c.CreateGroup(Group{Name: "Everyone", Type: "APP_GROUP"}))
	if g, _ := c.GroupByName("Everyone"); g.ID != newer.ID {
		t.Errorf("the name leads to %s, want the newest group %s", g.ID, newer.ID)
	}
	if err := c.RenameGroup("Everyone", "imported"); err != nil {
		t.Fatal(err)
	}
	must[Person](t)(c.Join(Person{}))
	if g, _ := c.GroupByName("Everyone"); g.ID != older.ID || len(g.Members) != 1 {
		t.Errorf("the name leads to %+v, want the other group as it was", g)
	}
}

func TestEditsRefuseWhatCannotBe(t *testing.T) {
	c := NewCompany(Config{People: 2, Groups: 1})
	one, two := c.People()[0].Login, c.People()[1].Login
	for name, err := range map[string]error{
		"an unknown person":     c.Leave("nobody@" + Domain),
		"an unknown group":      c.AddMember("nowhere", one),
		"a taken login":         c.ChangeEmail(one, strings.ToUpper(two)),
		"deleting the employed": c.Delete(one),
		"returning the present": c.Return(one),
		"deleting Everyone":     c.DeleteGroup("Everyone"),
		"a taken group name":    func() error { _, err := c.CreateGroup(Group{Name: c.Groups()[0].Name}); return err }(),
		"joining with a login":  func() error { _, err := c.Join(Person{Login: one}); return err }(),
	} {
		if err == nil {
			t.Errorf("%s is no error", name)
		}
	}
}
