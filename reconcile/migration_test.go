package reconcile_test

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// A roster is a directory that does not change.
type roster struct {
	name string
	connectors.Snapshot
}

func (r roster) Name() string                                       { return r.name }
func (r roster) Tenant() string                                     { return r.name + ":acme" }
func (r roster) Fetch(context.Context) (connectors.Snapshot, error) { return r.Snapshot, nil }

// colleagues are three people in one group, and one who is disabled.
func colleagues(t *testing.T, directory string) roster {
	t.Helper()
	var users []connectors.User
	for _, n := range []string{"ann", "bob", "eve", "old"} {
		u := connectors.User{
			ID: connectors.UserID("id-" + n), UserName: n + ".jones@acme.com", Email: n + ".jones@acme.com", GivenName: strings.ToUpper(n[:1]) + n[1:], FamilyName: "Jones",
			Status: connectors.StatusActive, Assigned: true, Phones: []connectors.Phone{{Type: "mobile", Value: "(415) 555-0100"}},
			Attrs: map[string]string{"mailNickname": n + ".jones"},
		}
		if n == "old" {
			u.Status, u.StatusDetail = connectors.StatusDisabled, "accountEnabled=false"
		}
		users = append(users, u)
	}
	s, err := connectors.NewSnapshot(users, []connectors.Group{{ID: "id-oncall", Name: "oncall-payments", Members: []connectors.UserID{"id-ann", "id-bob", "id-old"}}})
	if err != nil {
		t.Fatal(err)
	}
	return roster{directory, s}
}

// A native is what a provisioning of the vendor's own leaves of somebody, and of a group's externalId.
type native struct {
	user  func(u connectors.User) sim.SCIMUser
	group string
}

// left seeds Rootly as the vendor's provisioning has left it: the disabled colleague deactivated, and still a member.
func (n native) left(t *testing.T, s *sim.SCIM, directory roster) {
	t.Helper()
	g := sim.SCIMGroup{DisplayName: "oncall-payments", ExternalID: n.group}
	for _, u := range directory.Users {
		v := n.user(u)
		v.UserName, v.GivenName, v.FamilyName, v.Active = u.UserName, u.GivenName, u.FamilyName, u.Status == connectors.StatusActive
		made, err := s.AddUser(v)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(directory.Groups[0].Members, u.ID) {
			g.Members = append(g.Members, sim.SCIMMember{Value: made.ID, Type: "User"})
		}
	}
	if _, err := s.AddUser(sim.SCIMUser{UserName: "hand@acme.com", Active: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddGroup(g); err != nil {
		t.Fatal(err)
	}
}

var (
	// Entra's default mapping has neither displayName nor e-mail nor telephone numbers.
	fromEntra = native{group: "id-oncall", user: func(u connectors.User) sim.SCIMUser { return sim.SCIMUser{ExternalID: u.Attrs["mailNickname"]} }}
	// Okta sends its own id, and no externalId with groups.
	fromOkta = native{user: func(u connectors.User) sim.SCIMUser {
		return sim.SCIMUser{ExternalID: string(u.ID), DisplayName: u.GivenName + " " + u.FamilyName, Emails: []sim.SCIMValue{{Value: u.Email, Type: "work", Primary: true}}}
	}}
	// The Keycloak plugin sends e-mail addresses without a type.
	fromKeycloak = native{group: "id-oncall", user: func(u connectors.User) sim.SCIMUser {
		return sim.SCIMUser{ExternalID: string(u.ID), DisplayName: u.GivenName + " " + u.FamilyName, Emails: []sim.SCIMValue{{Value: u.Email, Primary: true}}}
	}}
)

// takeOver installs this tool over a Rootly that a vendor's provisioning has filled.
func takeOver(t *testing.T, from native, rules map[string]string) *installation {
	t.Helper()
	in := &installation{t: t, sim: sim.New(sim.Config{People: -1, Groups: -1, SCIM: sim.RootlyLike()}), clock: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	directory := colleagues(t, "entra")
	from.left(t, in.sim.SCIM, directory)
	ends, transport := in.sim.InProcess()
	in.ends = ends
	var err error
	if in.rules, err = reconcile.Compile(reconcile.RuleOptions{Directory: "entra", Mode: connectors.ScopeAssigned, Push: []string{"oncall-*"}, Map: rules}); err != nil {
		t.Fatal(err)
	}
	if in.target, err = scimclient.New(scimclient.Options{BaseURL: ends.SCIMURL, AllowHTTP: true, Token: func() string { return ends.SCIMToken }, Transport: transport}); err != nil {
		t.Fatal(err)
	}
	if in.store, err = store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "state.db"), Source: directory.Tenant(), Target: ends.SCIMURL, Now: in.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.store.Close() })
	in.planner = &reconcile.Planner{Source: directory, Target: in.target, TargetURL: ends.SCIMURL, Rules: in.rules}
	return in
}

// shape counts the changes of a plan by verb and kind.
func shape(p reconcile.Plan) map[string]int {
	out := map[string]int{}
	for _, c := range p.Changes {
		out[string(c.Verb)+" "+string(c.Object.Kind)]++
	}
	if len(p.Held) > 0 {
		out["held"] = len(p.Held)
	}
	for _, n := range p.Notes {
		out[string(n.Kind)]++
	}
	return out
}

// entraMap is the map of docs/migration.md for the Entra gallery app.
var entraMap = map[string]string{
	reconcile.AttrExternalID: `user.attr("mailNickname")`, reconcile.AttrDisplayName: "", reconcile.AttrEmail: "",
	reconcile.AttrMobilePhone: "", reconcile.AttrWorkPhone: "",
}

// noPhones leaves telephone numbers to Rootly.
var noPhones = map[string]string{reconcile.AttrMobilePhone: "", reconcile.AttrWorkPhone: ""}

func TestTheFirstPlanAfterNativeProvisioning(t *testing.T) {
	tests := map[string]struct {
		from  native
		rules map[string]string
		want  map[string]int
		costs int
	}{
		"Entra with its externalIds": {fromEntra, entraMap, map[string]int{"link user": 3, "link group": 1}, 0},
		"Okta":                       {fromOkta, noPhones, map[string]int{"link user": 3, "update group": 1}, 1}, // the group gets its externalId
		"Keycloak":                   {fromKeycloak, noPhones, map[string]int{"link user": 3, "link group": 1}, 0},
		"Okta, with telephone numbers from now on": {
			fromOkta, nil, map[string]int{"update user": 3, "update group": 1}, 4,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			in := takeOver(t, tc.from, tc.rules)
			p, err := in.plan()
			if err != nil {
				t.Fatal(err)
			}
			if got := shape(p); !maps.Equal(got, tc.want) || p.Writes != tc.costs {
				t.Fatalf("plan %v with %d requests, want %v with %d:\n%s", got, p.Writes, tc.want, tc.costs, describe(p))
			}
			in.mustCycle()
			if got := in.sim.Log.CountWrites(); got != tc.costs {
				t.Errorf("%d requests were written, want %d", got, tc.costs)
			}
			in.quiet()
		})
	}
}

func TestOurExternalIdsTakeOneWriteForEachPerson(t *testing.T) {
	in := takeOver(t, fromEntra, map[string]string{reconcile.AttrDisplayName: "", reconcile.AttrEmail: "", reconcile.AttrMobilePhone: "", reconcile.AttrWorkPhone: ""})
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shape(p), map[string]int{"conflict": 4}; !maps.Equal(got, want) {
		t.Fatalf("plan %v, want %v:\n%s", got, want, describe(p))
	}
	in.adoptAll()
	if p, err = in.plan(); err != nil {
		t.Fatal(err)
	}
	if got, want := shape(p), map[string]int{"update user": 3}; !maps.Equal(got, want) || p.Writes != 3 {
		t.Fatalf("plan %v with %d requests, want %v with 3:\n%s", got, p.Writes, want, describe(p))
	}
	in.mustCycle()
	in.quiet()
	if u, _ := in.sim.SCIM.User("ann.jones@acme.com"); u.ExternalID != "id-ann" {
		t.Errorf("externalId %q", u.ExternalID)
	}
}

// adoptAll is the command adopt --all.
func (in *installation) adoptAll() {
	in.t.Helper()
	ctx := context.Background()
	ledger, err := in.store.Ledger(ctx)
	if err != nil {
		in.t.Fatalf("ledger: %v", err)
	}
	found, err := in.planner.Adopt(ctx, ledger, in.clock)
	if err != nil {
		in.t.Fatalf("adopt: %v", err)
	}
	links, unlink, _, err := found.Choose("")
	if err != nil {
		in.t.Fatalf("adopt: %v", err)
	}
	unlock, err := in.store.Lock(ctx)
	if err != nil {
		in.t.Fatalf("lock: %v", err)
	}
	defer unlock()
	if err := in.store.Adopt(ctx, in.clock, links, unlink, "Ada"); err != nil {
		in.t.Fatalf("adopt: %v", err)
	}
}

// Entra's provisioning, switched on again beside us, writes its own externalIds: everybody is then left as they are.
func TestTheNativeProvisioningSwitchedOnAgainFreezesEverybody(t *testing.T) {
	in := takeOver(t, fromEntra, map[string]string{reconcile.AttrDisplayName: "", reconcile.AttrEmail: "", reconcile.AttrMobilePhone: "", reconcile.AttrWorkPhone: ""})
	in.adoptAll()
	in.mustCycle()
	for _, name := range []string{"ann", "bob", "eve"} {
		if err := in.sim.SCIM.EditUser(name+".jones@acme.com", func(u *sim.SCIMUser) { u.ExternalID = "other-" + name }); err != nil {
			t.Fatal(err)
		}
	}
	before := in.sim.Log.CountWrites()
	r := in.mustCycle()
	if got, want := shape(r.Plan), map[string]int{"conflict": 3}; !maps.Equal(got, want) || in.sim.Log.CountWrites() != before {
		t.Errorf("plan %v, want %v:\n%s", got, want, describe(r.Plan))
	}
	if !strings.Contains(describe(r.Plan), "now carries the externalId") {
		t.Errorf("plan:\n%s", describe(r.Plan))
	}

	in.adoptAll() // the other one is off for good
	p, err := in.plan()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shape(p), map[string]int{"update user": 3}; !maps.Equal(got, want) {
		t.Errorf("plan %v, want %v:\n%s", got, want, describe(p))
	}
	in.mustCycle()
	in.quiet()
}

// An account of ours with another externalId, whose person has left, may be somebody else's by now: no adopt --all takes it.
func TestALeaversContestedAccountIsNotAdopted(t *testing.T) {
	in := takeOver(t, fromKeycloak, noPhones)
	in.mustCycle()
	if err := in.sim.SCIM.EditUser("eve.jones@acme.com", func(u *sim.SCIMUser) { u.ExternalID = "somebody-else" }); err != nil {
		t.Fatal(err)
	}
	directory := in.planner.Source.(roster)
	directory.Users = slices.DeleteFunc(slices.Clone(directory.Users), func(u connectors.User) bool { return u.ID == "id-eve" })
	in.planner.Source = directory
	in.adoptAll()
	if p, err := in.plan(); err != nil || !p.Empty() || len(p.Held) > 0 {
		t.Errorf("plan: %v\n%s", err, describe(p))
	}
}
