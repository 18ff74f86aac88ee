package realscim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

func ada() scimclient.User {
	return scimclient.User{
		ExternalID: "00u1", UserName: "ada.quist@acme.example", GivenName: "Ada", FamilyName: "Quist", DisplayName: "Ada Quist", Active: true,
		Emails: []scimclient.Email{{Value: "ada.quist@acme.example", Type: "work", Primary: true}},
		Phones: []scimclient.Phone{{Value: "+15550100001", Type: "mobile"}},
	}
}

// sameUser fails unless the server shows want, whatever it made itself.
func sameUser(t *testing.T, c *scimclient.Client, want scimclient.User) {
	t.Helper()
	got, err := c.User(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(scimclient.User{}, "Version")); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func TestPersonFromCreationToDeletion(t *testing.T) {
	onEach(t, func(t *testing.T, p peer) {
		ctx, c := t.Context(), p.client(t, nil, nil)
		want := ada()
		made, err := c.CreateUser(ctx, want)
		if err != nil {
			t.Fatal(err)
		}
		want.ID = made.ID
		sameUser(t, c, want)

		text := func(s string) *string { return &s }
		steps := []struct {
			name string
			edit scimclient.UserEdit
			do   func(u *scimclient.User)
		}{
			{"update a scalar", scimclient.UserEdit{DisplayName: text("Ada Q.")}, func(u *scimclient.User) { u.DisplayName = "Ada Q." }},
			{"update the name", scimclient.UserEdit{GivenName: text("Zoë"), FamilyName: text("O'Brien")}, func(u *scimclient.User) { u.GivenName, u.FamilyName = "Zoë", "O'Brien" }},
			{"clear one part of the name", scimclient.UserEdit{GivenName: text("Zoë"), FamilyName: text("")}, func(u *scimclient.User) { u.FamilyName = "" }},
			{"replace the phones", scimclient.UserEdit{Phones: &[]scimclient.Phone{{Value: "+15550100002", Type: "work"}}}, func(u *scimclient.User) {
				u.Phones = []scimclient.Phone{{Value: "+15550100002", Type: "work"}}
			}},
			{"clear the phones", scimclient.UserEdit{Phones: &[]scimclient.Phone{}}, func(u *scimclient.User) { u.Phones = nil }},
			{"clear a scalar", scimclient.UserEdit{DisplayName: text("")}, func(u *scimclient.User) { u.DisplayName = "" }},
			{"clear the externalId", scimclient.UserEdit{ExternalID: text("")}, func(u *scimclient.User) { u.ExternalID = "" }},
			{"give an externalId", scimclient.UserEdit{ExternalID: text("00u2")}, func(u *scimclient.User) { u.ExternalID = "00u2" }},
			{"deactivate", scimclient.UserEdit{Active: new(bool)}, func(u *scimclient.User) { u.Active = false }},
			{"reactivate with a new name", scimclient.UserEdit{Active: new(true), DisplayName: text("Ada again")}, func(u *scimclient.User) { u.Active, u.DisplayName = true, "Ada again" }},
			{"rename, with the address", scimclient.UserEdit{UserName: text("zoe@acme.example"), Emails: &[]scimclient.Email{{Value: "zoe@acme.example", Type: "work", Primary: true}}}, func(u *scimclient.User) {
				u.UserName, u.Emails = "zoe@acme.example", []scimclient.Email{{Value: "zoe@acme.example", Type: "work", Primary: true}}
			}},
		}
		for _, step := range steps {
			if _, err := c.UpdateUser(ctx, want.ID, step.edit); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			step.do(&want)
			sameUser(t, c, want)
		}
		if err := c.DeleteUser(ctx, want.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := c.User(ctx, want.ID); !scimclient.Gone(err) {
			t.Errorf("after deletion: %v", err)
		}
		if err := c.DeleteUser(ctx, want.ID); err != nil {
			t.Errorf("deleted once more: %v", err)
		}
	})
}

func TestTakenNameIsFoundForAdoption(t *testing.T) {
	onEach(t, func(t *testing.T, p peer) {
		ctx, c := t.Context(), p.client(t, nil, nil)
		s := session{t, p}
		id := idOf(s.user("Ada.Quist@acme.example"))
		_, err := c.CreateUser(ctx, ada())
		if e, ok := errors.AsType[*scimclient.Error](err); !ok || e.Status != http.StatusConflict {
			t.Fatalf("creating somebody who is there: %v", err)
		}
		hits, err := c.FindUsers(ctx, "ada.quist@ACME.example")
		if err != nil || len(hits) != 1 || hits[0].ID != id {
			t.Errorf("found %v, %v", hits, err)
		}
		s.group("oncall-payments")
		if _, err := c.CreateGroup(ctx, scimclient.Group{DisplayName: "oncall-payments"}); err == nil {
			t.Log("a second group of the same name is taken") // RFC 7643 does not ask for unique names
		}
		groups, err := c.FindGroups(ctx, "oncall-payments")
		if err != nil || len(groups) == 0 {
			t.Errorf("found %v, %v", groups, err)
		}
	})
}

func crowd(t *testing.T, s session, n int) []string {
	t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = idOf(s.user(fmt.Sprintf("p%03d@acme.example", i)))
	}
	return ids
}

func memberIDs(g scimclient.Group) []string {
	ids := make([]string, 0, len(g.Members))
	for _, m := range g.Members {
		ids = append(ids, m.Value)
	}
	slices.Sort(ids)
	return ids
}

func TestGroupOfManyPages(t *testing.T) {
	onEach(t, func(t *testing.T, p peer) {
		ctx := t.Context()
		ids := crowd(t, session{t, p}, 250)
		c := p.client(t, nil, func(o *scimclient.Options) { o.PageSize = 60 })

		people, err := c.Users(ctx)
		if err != nil || len(people) != len(ids) {
			t.Fatalf("%d people listed: %v", len(people), err)
		}
		g, err := c.CreateGroup(ctx, scimclient.Group{DisplayName: "everybody", ExternalID: "00g1"})
		if err != nil {
			t.Fatal(err)
		}
		g, err = c.ChangeMembers(ctx, g.ID, ids, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Sorted(slices.Values(ids))
		if !slices.Equal(memberIDs(g), want) {
			t.Fatalf("%d members after adding %d", len(g.Members), len(ids))
		}
		g, err = c.ChangeMembers(ctx, g.ID, nil, ids[:130])
		if err != nil {
			t.Fatal(err)
		}
		if want = slices.Sorted(slices.Values(ids[130:])); !slices.Equal(memberIDs(g), want) {
			t.Fatalf("%d members after removing 130", len(g.Members))
		}
		name := "everyone"
		if _, err := c.UpdateGroup(ctx, g.ID, scimclient.GroupEdit{DisplayName: &name}); err != nil {
			t.Fatal(err)
		}
		if g, err = c.ChangeMembers(ctx, g.ID, ids[:1], ids[130:]); err != nil {
			t.Fatal(err)
		}
		if g, err = c.ChangeMembers(ctx, g.ID, nil, ids[:1]); err != nil || len(g.Members) != 0 {
			t.Fatalf("%d members after removing the last one: %v", len(g.Members), err)
		}
		listed, err := c.Groups(ctx)
		if err != nil || len(listed) != 1 || listed[0].DisplayName != name || listed[0].ExternalID != "00g1" || len(listed[0].Members) != 0 {
			t.Errorf("listed: %+v, %v", listed, err)
		}
		if err := c.DeleteGroup(ctx, g.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Group(ctx, g.ID); !scimclient.Gone(err) {
			t.Errorf("after deletion: %v", err)
		}
	})
}

func TestUnknownMemberIsNotTakenForKept(t *testing.T) {
	onEach(t, func(t *testing.T, p peer) {
		s, c := session{t, p}, p.client(t, nil, nil)
		group := idOf(s.group("oncall-payments"))
		gone := s.user("gone@acme.example")
		if a := s.send(http.MethodDelete, gone, nil); a.status != http.StatusNoContent {
			t.Fatalf("delete: %d", a.status)
		}
		g, err := c.ChangeMembers(t.Context(), group, []string{idOf(gone)}, nil)
		if err == nil && len(g.Members) != 1 {
			t.Errorf("no error, and the group has %d members", len(g.Members))
		}
	})
}

func TestManyRequestsBesideEachOther(t *testing.T) {
	onEach(t, func(t *testing.T, p peer) {
		c := p.client(t, nil, nil)
		errs := make(chan error)
		for i := range 40 {
			go func() {
				u := ada()
				u.UserName, u.ExternalID = fmt.Sprintf("p%d@acme.example", i), fmt.Sprint(i)
				u.Emails[0].Value = u.UserName
				made, err := c.CreateUser(context.WithoutCancel(t.Context()), u)
				if err == nil {
					_, err = c.UpdateUser(context.WithoutCancel(t.Context()), made.ID, scimclient.UserEdit{Active: new(bool)})
				}
				errs <- err
			}()
		}
		for range 40 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		people, err := c.Users(t.Context())
		if err != nil || len(people) != 40 || slices.ContainsFunc(people, func(u scimclient.User) bool { return u.Active }) {
			t.Errorf("%d people: %v", len(people), err)
		}
	})
}

func TestFaultsOnTheWay(t *testing.T) {
	faults := map[string]func() *fault{
		"429 to every third write":     func() *fault { return &fault{refuse: everyNth(3)} },
		"the answer to a POST is lost": func() *fault { return &fault{lose: on(1)} },
		"the answer to a PATCH is lost": func() *fault {
			return &fault{lose: firstOf(http.MethodPatch, "/Users/")}
		},
		"the answer to a change of members is lost": func() *fault {
			return &fault{lose: firstOf(http.MethodPatch, "/Groups/")}
		},
		"the answer to a DELETE is lost": func() *fault {
			return &fault{lose: firstOf(http.MethodDelete, "/Users/")}
		},
	}
	for name, make := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onEach(t, func(t *testing.T, p peer) {
				t.Parallel()
				f := make()
				ctx, c := t.Context(), p.client(t, f.wrap, nil)
				u, err := c.CreateUser(ctx, ada())
				if err != nil {
					t.Fatal(err)
				}
				g, err := c.CreateGroup(ctx, scimclient.Group{DisplayName: "oncall-payments"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err = c.ChangeMembers(ctx, g.ID, []string{u.ID}, nil); err != nil {
					t.Fatal(err)
				}
				if _, err = c.UpdateUser(ctx, u.ID, scimclient.UserEdit{Active: new(bool)}); err != nil {
					t.Fatal(err)
				}
				if err := c.DeleteUser(ctx, u.ID); err != nil {
					t.Fatal(err)
				}
				if f.hits.Load() == 0 {
					t.Error("the fault never struck")
				}
				people, err := c.Users(ctx)
				if err != nil || len(people) != 0 {
					t.Errorf("%d people are left: %v", len(people), err)
				}
				groups, err := c.Groups(ctx)
				if err != nil || len(groups) != 1 {
					t.Errorf("%d groups: %v", len(groups), err)
				}
			})
		})
	}
}

func TestWrongTokenIsToldApart(t *testing.T) {
	onEach(t, func(t *testing.T, p peer) {
		c := p.client(t, nil, func(o *scimclient.Options) { o.Token = func() string { return "another" } })
		_, err := c.Users(t.Context())
		if e, ok := errors.AsType[*scimclient.Error](err); !ok || e.Status != http.StatusUnauthorized || strings.Contains(err.Error(), "another") {
			t.Errorf("error: %v", err)
		}
	})
}
