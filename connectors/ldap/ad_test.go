package ldap

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A group of more members than a domain controller sends at a time is read to the end.
func TestLargeGroup(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 3, People: 3_100, Groups: 1})
	s := sim.NewLDAP(company, sim.LDAPOptions{})
	name := company.Groups()[0].Name
	for _, p := range company.People() {
		if err := company.AddMember(name, p.Login); err != nil {
			t.Fatal(err)
		}
	}
	c := connect(t, domain(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{name}}))
	snap, err := c.Fetch(t.Context())
	if err != nil || len(snap.Users) != 3_100 || len(snap.Groups[0].Members) != 3_100 {
		t.Fatalf("%d people, %v", len(snap.Users), err)
	}
	var ranges []string
	for _, search := range s.Searches() {
		for _, a := range search.Attributes {
			if strings.Contains(a, "range=") {
				ranges = append(ranges, a)
			}
		}
	}
	if want := []string{"member;range=1499-*", "member;range=2998-*"}; !slices.Equal(ranges, want) {
		t.Errorf("asked for %v, want %v", ranges, want)
	}
	members, known, err := c.Members(t.Context(), snap.Groups[0].ID)
	if err != nil || !known || !slices.Equal(members, snap.Groups[0].Members) {
		t.Errorf("asked again: %d members, %v, %v", len(members), known, err)
	}
}

func TestRangesAreExact(t *testing.T) {
	tests := map[string]attribute{
		"another start":  {"member;range=5-9", []string{"a", "b", "c", "d", "e"}},
		"too few values": {"member;range=0-9", []string{"a"}},
		"no values":      {"member;range=0-9", nil},
		"no number":      {"member;range=x-*", []string{"a"}},
		"another option": {"member;lang-de", []string{"a"}},
	}
	for name, a := range tests {
		if got, _, err := rangeOf(&entry{attributes: []attribute{a}}, "member", 0); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Groups in groups count with all their people, whatever circle they stand in; people from elsewhere do not.
func TestNestedGroups(t *testing.T) {
	company := sim.NewCompany(sim.Config{Seed: 7, People: 30, Groups: 8})
	a, b, c := company.Groups()[1], company.Groups()[2], company.Groups()[3]
	s := sim.NewLDAP(company, sim.LDAPOptions{Strangers: true,
		Subgroups: map[string][]string{a.Name: {b.Name}, b.Name: {c.Name}, c.Name: {a.Name}}})
	connector := connect(t, domain(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"CN=" + a.Name + ", OU=groups," + sim.LDAPBase}}))
	snap, err := connector.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	union := slices.Concat(a.Members, b.Members, c.Members)
	var want []connectors.UserID
	for _, p := range company.People() {
		if slices.Contains(union, p.Login) {
			want = append(want, userID(p))
		}
		found, err := connector.Lookup(t.Context(), userID(p))
		if err != nil || found.InScopeGroup != slices.Contains(union, p.Login) {
			t.Errorf("%s: %+v, %v", p.Login, found, err)
		}
	}
	slices.Sort(want)
	if len(snap.Users) != len(want) || !slices.Equal(snap.Groups[0].Members, want) {
		t.Errorf("members %v, want %v", snap.Groups[0].Members, want)
	}
}

func TestDeletedPeople(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		company := conformanceCompany()
		s := sim.NewLDAP(company, sim.LDAPOptions{HideDeleted: hidden})
		p := company.People()[2]
		if err := company.Leave(p.Login); err != nil {
			t.Fatal(err)
		}
		if err := company.Delete(p.Login); err != nil {
			t.Fatal(err)
		}
		o := domain(s, connectors.Query{Mode: connectors.ScopeAll})
		o.Base = "OU=Engineering," + sim.LDAPBase
		found, err := connect(t, o).Lookup(t.Context(), userID(p))
		if err != nil || found.Known == hidden || found.Deleted == hidden {
			t.Errorf("hidden %v: %+v, %v", hidden, found, err)
		}
	}
}

func TestAccountState(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		control, expires string
		want             connectors.Status
		detail           string
	}{
		"enabled":                   {"512", "0", connectors.StatusActive, "userAccountControl=512"},
		"never, written the other":  {"66048", "9223372036854775807", connectors.StatusActive, "userAccountControl=66048"},
		"disabled":                  {"514", "0", connectors.StatusDisabled, "userAccountControl=514"},
		"expired":                   {"512", "133485408000000000", connectors.StatusDisabled, "accountExpires=2024-01-01"},
		"expires later":             {"512", "135400000000000000", connectors.StatusActive, "userAccountControl=512"},
		"expired and disabled":      {"514", "133485408000000000", connectors.StatusDisabled, "userAccountControl=514"},
		"control hidden":            {"", "0", "", ""},
		"control is text":           {"enabled", "0", "", ""},
		"expiry is text":            {"512", "soon", "", ""},
		"smartcard, not disabled":   {"262656", "", connectors.StatusActive, "userAccountControl=262656"},
		"locked out counts as good": {"528", "0", connectors.StatusActive, "userAccountControl=528"},
	}
	for name, tc := range tests {
		e := &entry{}
		for k, v := range map[string]string{"USERACCOUNTCONTROL": tc.control, "accountExpires": tc.expires} {
			if v != "" {
				e.attributes = append(e.attributes, attribute{k, []string{v}})
			}
		}
		got, detail, err := profile{flavor: FlavorAD}.status(fields{e}, now)
		if got != tc.want || detail != tc.detail || (err != nil) != (tc.want == "") {
			t.Errorf("%s: %q, %q, %v", name, got, detail, err)
		}
	}
	for value, want := range map[string]connectors.Status{"TRUE": connectors.StatusDisabled, "false": connectors.StatusActive} {
		e := &entry{attributes: []attribute{{"nsaccountlock", []string{value}}}}
		if got, _, _ := (profile{flavor: FlavorFreeIPA}).status(fields{e}, now); got != want {
			t.Errorf("nsAccountLock %s is %s", value, got)
		}
	}
}

// A domain controller says by a code why it refuses, which is said in words, and nothing is tried twice.
func TestSubCodes(t *testing.T) {
	for code, s := range subCodes {
		if code == "525" || code == "52e" {
			continue // tried below, by a wrong DN and a wrong password
		}
		o := domain(sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{SubCode: code}), connectors.Query{Mode: connectors.ScopeAll})
		o.URLs = append(o.URLs, "ldaps://second.example")
		_, err := connect(t, o).Fetch(t.Context())
		wantError(t, err, nil, "49 Invalid Credentials", s.words, "data "+code, s.remedy)
	}
	s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
	o := domain(s, connectors.Query{Mode: connectors.ScopeAll})
	o.Password = func() string { return "another" }
	_, err := connect(t, o).Fetch(t.Context())
	wantError(t, err, nil, "the password is wrong (data 52e)")
	o.BindDN = "CN=nobody"
	_, err = connect(t, o).Fetch(t.Context())
	wantError(t, err, nil, "there is no such reader (data 525)")
	o = domain(sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{Encrypted: true}), connectors.Query{Mode: connectors.ScopeAll})
	_, err = connect(t, o).Fetch(t.Context())
	wantError(t, err, nil, "8 Strong Auth Required", "write ldaps://")
}

// A person is looked up where the directory was read, even if the first server is back.
func TestOneServerAtATime(t *testing.T) {
	s := sim.NewLDAP(conformanceCompany(), sim.LDAPOptions{})
	first, stopFirst, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	second, stopSecond, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := stopFirst(); err != nil {
		t.Fatal(err)
	}
	o := domain(s, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*")})
	o.URLs, o.Dial = []string{first, second}, nil
	c := connect(t, o)
	snap, err := c.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := c.nearby()[0].url; got != second {
		t.Errorf("asks %s next, want %s", got, second)
	}
	if found, err := c.Lookup(t.Context(), snap.Users[0].ID); err != nil || !found.Known {
		t.Errorf("%+v, %v", found, err)
	}
	if err := stopSecond(); err != nil {
		t.Fatal(err)
	}
	_, err = c.Lookup(t.Context(), snap.Users[0].ID)
	wantError(t, err, errUnreachable, first, second)
}
