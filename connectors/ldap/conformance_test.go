package ldap

import (
	"errors"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// conformanceCompany is the same company each time it is founded.
func conformanceCompany() *sim.Company {
	return sim.NewCompany(sim.Config{Seed: 7, People: 16, Groups: 8})
}

func TestConformance(t *testing.T) {
	company := conformanceCompany()
	allHands := func(g sim.Group) bool { return g.Name == "all-hands" }
	q := connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"all-hands"}, Push: patterns(t, "*")}

	// Each fault is played on the first and on the last page of each listing, and on each kind of single entry.
	type place struct {
		fault sim.LDAPFault
		match func(sim.LDAPSearch) bool
	}
	places := map[string]place{"silence": {sim.LDAPSilence(), func(sim.LDAPSearch) bool { return true }}}
	var damages, answers []string
	for name, f := range faults() {
		for where, match := range map[string]func(sim.LDAPSearch) bool{
			"people, first page": onPage(0, people), "people, last page": onPage(3, people), "groups, first page": onPage(0, names), "groups, last page": onPage(1, names),
		} {
			key := where + "/" + name
			places[key] = place{f, match}
			damages = append(damages, key)
		}
		places["by id/"+name] = place{f, byID}
		answers = append(answers, "by id/"+name)
	}
	for _, f := range sim.LDAPFaults() {
		if f.Name == "cut" || f.Name == "garbage" || f.Name == "size limit" || f.Name == "busy" || f.Name == "insufficient access" || f.Name == "referral" {
			places["entry/"+f.Name] = place{f, entries}
			damages = append(damages, "entry/"+f.Name)
		}
	}
	options := func(s *sim.LDAP) Options {
		o := domain(s, q)
		o.PageSize = 4
		return o
	}
	connectortest.RunOwn(t, connectortest.Own{
		New: func(tb testing.TB, damage string) (connectors.Connector, func()) {
			s := sim.NewLDAP(company, sim.LDAPOptions{MaxValues: 3})
			if damage != "" {
				p, ok := places[damage]
				if !ok {
					tb.Fatalf("no damage %q", damage)
				}
				s.Break(sim.LDAPRule{Match: p.match, Fault: p.fault})
			}
			return connect(tb, options(s)), s.Mend
		},
		Want:    all(t, company, allHands, func(sim.Group) bool { return true }),
		Damages: damages, Answers: answers, Silence: "silence",
		UnknownUser: "00000000-0000-4000-8000-000000000000", UnknownGroup: "00000000-0000-4000-8000-000000000000",
		Live: func(tb testing.TB) (connectors.Connector, connectortest.Live) {
			company := conformanceCompany()
			c := connect(tb, options(sim.NewLDAP(company, sim.LDAPOptions{})))
			return c, live(tb, company)
		},
	})
}

// faults are those that leave a listing incomplete, by name; the cut and the silent ones need no state.
func faults() map[string]sim.LDAPFault {
	out := map[string]sim.LDAPFault{}
	for _, f := range sim.LDAPFaults() {
		out[f.Name] = f
	}
	return out
}

func live(tb testing.TB, company *sim.Company) connectortest.Live {
	login := func(id connectors.UserID) string {
		for _, p := range company.People() {
			if userID(p) == id {
				return p.Login
			}
		}
		tb.Fatalf("nobody has the id %s", id)
		return ""
	}
	group := func(id connectors.GroupID) string {
		for _, g := range company.Groups() {
			if sim.GraphID(g.ID) == string(id) {
				return g.Name
			}
		}
		tb.Fatalf("no group has the id %s", id)
		return ""
	}
	do := func(errs ...error) {
		tb.Helper()
		if err := errors.Join(errs...); err != nil {
			tb.Fatal(err)
		}
	}
	return connectortest.Live{
		Disable: func(id connectors.UserID) { do(company.Suspend(login(id))) },
		Delete: func(id connectors.UserID) {
			name := login(id)
			do(company.Leave(name), company.Delete(name))
		},
		Remove:      func(g connectors.GroupID, id connectors.UserID) { do(company.RemoveMember(group(g), login(id))) },
		DeleteGroup: func(g connectors.GroupID) { do(company.DeleteGroup(group(g))) },
	}
}

// The first page again and again, with one cookie, is no listing.
func TestRepeatedPage(t *testing.T) {
	for name, which := range map[string]func(sim.LDAPSearch) bool{"people": people, "groups": names} {
		s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
		s.Break(sim.LDAPRule{Match: which, Fault: sim.LDAPFirstPage()})
		o := domain(s, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")})
		o.PageSize = 4
		_, err := connect(t, o).Fetch(t.Context())
		wantError(t, err, connectors.ErrDamaged, "page repeated", name[:5])
	}
}

func TestWhatIsHiddenIsMissed(t *testing.T) {
	tests := map[string]struct {
		fault sim.LDAPFault
		says  []string
	}{
		"the id":               {faults()["id hidden"], []string{"objectGUID", "give the reader the right to read the attribute objectGUID"}},
		"the account's status": {sim.LDAPStateHidden(), []string{"give the reader the right to read the attribute userAccountControl", "CN="}},
		"the end of the pages": {faults()["paging ignored"], []string{"the server ignores paging"}},
		"the rest":             {faults()["size limit"], []string{"4 Size Limit Exceeded", "MaxPageSize"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
			s.Break(sim.LDAPRule{Match: people, Fault: tc.fault})
			_, err := connect(t, domain(s, connectors.Query{Mode: connectors.ScopeAll})).Fetch(t.Context())
			wantError(t, err, nil, tc.says...)
		})
	}
}

// Active Directory refers to its own partitions at the root of every domain; elsewhere a reference means that people
// are missing.
func TestReferences(t *testing.T) {
	tests := map[string]struct {
		url    string
		flavor Flavor
		refuse bool
	}{
		"a partition":            {"ldap://DomainDnsZones.acme.example/DC=DomainDnsZones,DC=acme,DC=example", FlavorAD, false},
		"a child domain":         {"ldap://eu.acme.example/DC=eu,DC=acme,DC=example", FlavorAD, false},
		"a part on a second one": {"ldap://two.example/ou=people,dc=acme,dc=example", FlavorCustom, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
			s.Break(sim.LDAPRule{Match: func(r sim.LDAPSearch) bool { return r.Subtree }, Fault: sim.LDAPReference(tc.url)})
			o := domain(s, connectors.Query{Mode: connectors.ScopeAll})
			o.Flavor, o.Attributes.ID, o.UserFilter = tc.flavor, "objectGUID", "(objectCategory=person)"
			_, err := connect(t, o).Fetch(t.Context())
			if tc.refuse {
				wantError(t, err, errPartial, strings.ToLower(tc.url), "user_bases")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
