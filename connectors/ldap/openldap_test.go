package ldap

import (
	"crypto/x509"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

const headcount = 1200

func TestOpenLDAPIsReadWhole(t *testing.T) {
	s := startSlapd(t, headcount)
	q := connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "*"), Attributes: []string{"departmentNumber", "dn"}}
	tests := map[string]func(*Options){
		"plain on loopback": func(*Options) {},
		"STARTTLS":          func(o *Options) { o.StartTLS, o.CA = true, s.ca },
		"LDAPS":             func(o *Options) { o.URLs, o.CA = []string{s.secure}, s.ca },
		"small pages":       func(o *Options) { o.PageSize = 7 },
		"the second server": func(o *Options) { o.URLs = []string{closedPort(t), s.plain} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			o := openLDAP(s, q)
			change(&o)
			c := connect(t, o)
			snap, err := c.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(snap.Users) != headcount || len(snap.Groups) != 5 {
				t.Fatalf("%d people, %d groups", len(snap.Users), len(snap.Groups))
			}
			want := connectors.User{ID: personID(1), UserName: "user1@acme.example", Email: "user1@acme.example", GivenName: "Given1", FamilyName: "Family1",
				DisplayName: "Lovelace, Ada", Department: "SRE", Title: "Engineer", Company: "Acme", EmployeeNumber: "000001", EmployeeType: "internal",
				Phones: []connectors.Phone{{Type: "work", Value: "+1 555 0100"}}, Status: connectors.StatusActive, StatusDetail: "active",
				Attrs: map[string]string{"departmentNumber": "7", "dn": `cn=Lovelace\2C Ada,ou=People,` + suffix}}
			if diff := cmp.Diff(want, snap.Users[1]); diff != "" {
				t.Errorf("a person (-want +got):\n%s", diff)
			}
			for n, want := range map[int]connectors.Status{3: connectors.StatusDisabled, 4: connectors.StatusActive} {
				if got := snap.Users[n]; got.Status != want {
					t.Errorf("person %d is %s (%s), want %s", n, got.Status, got.StatusDetail, want)
				}
			}
			if got := len(snap.Groups[0].Members); got != headcount {
				t.Errorf("%d of everybody", got)
			}
			// a, b and c hold each other; d names its members by uid.
			circle := []connectors.UserID{personID(1), personID(2), personID(3)}
			for i, want := range [][]connectors.UserID{1: circle, 2: circle, 3: circle, 4: {personID(3)}} {
				if i == 0 {
					continue
				}
				g := snap.Groups[i]
				if !slices.Equal(g.Members, want) {
					t.Errorf("group %s holds %v, want %v", g.Name, g.Members, want)
				}
				again, known, err := c.Members(t.Context(), g.ID)
				if err != nil || !known || !slices.Equal(again, want) {
					t.Errorf("asked again, group %s holds %v, %v, %v", g.Name, again, known, err)
				}
			}
			if p := c.profile.Load(); p.flavor != FlavorOpenLDAP {
				t.Errorf("it is taken for %s", p.flavor)
			}
		})
	}
}

func closedPort(tb testing.TB) string {
	tb.Helper()
	address, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	return "ldap://" + address
}

// A reader who gets fewer entries than there are gets an error, although the entries look healthy.
func TestOpenLDAPLimits(t *testing.T) {
	s := startSlapd(t, headcount)
	tests := map[string]struct {
		who  string
		says []string
	}{
		"500 entries":              {short, []string{"4 Size Limit Exceeded", `size.prtotal=unlimited`}},
		"500 entries in all pages": {total, []string{"4 Size Limit Exceeded", "after 500", "size.prtotal=unlimited"}},
		"ids hidden":               {blind, []string{"entryUUID", "give the reader the right"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := openLDAP(s, connectors.Query{Mode: connectors.ScopeAll})
			o.BindDN = tc.who
			o.PageSize = 250
			snap, err := connect(t, o).Fetch(t.Context())
			wantError(t, err, nil, tc.says...)
			if snap.Users != nil {
				t.Errorf("%d people beside the error", len(snap.Users))
			}
		})
	}
	t.Run("smaller pages", func(t *testing.T) {
		o := openLDAP(s, connectors.Query{Mode: connectors.ScopeAll})
		o.BindDN = pages
		_, err := connect(t, o).Fetch(t.Context())
		wantError(t, err, errPartial, "11 Admin Limit Exceeded", "set a smaller page_size")
		o.PageSize = 200
		if snap, err := connect(t, o).Fetch(t.Context()); err != nil || len(snap.Users) != headcount {
			t.Errorf("%d people, %v", len(snap.Users), err)
		}
	})
}

func TestOpenLDAPRefusals(t *testing.T) {
	s := startSlapd(t, headcount)
	other, err := certify(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*Options)
		says   []string
	}{
		"wrong password":    {func(o *Options) { o.Password = func() string { return "wrong" } }, []string{"49 Invalid Credentials", "check bind_dn and the password"}},
		"no such reader":    {func(o *Options) { o.BindDN = "cn=nobody," + suffix }, []string{"49 Invalid Credentials"}},
		"no such base":      {func(o *Options) { o.Base = "dc=elsewhere" }, []string{"32 No Such Object", "base_dn"}},
		"unknown authority": {func(o *Options) { o.URLs, o.CA = []string{s.secure}, other }, []string{"unknown authority", "ca_file"}},
		"unknown authority, STARTTLS": {func(o *Options) { o.StartTLS = true },
			[]string{"unknown authority", "ca_file"}},
		"another name": {func(o *Options) {
			o.URLs, o.CA = []string{strings.Replace(s.secure, "127.0.0.1", "localhost", 1)}, s.ca
		}, []string{"127.0.0.1, not for localhost", "write the server's address as its certificate names it"}},
		"TLS on the plain port": {func(o *Options) { o.URLs, o.CA = []string{strings.Replace(s.plain, "ldap:", "ldaps:", 1)}, s.ca }, []string{"connecting to ldaps://"}},
		"nobody listens":        {func(o *Options) { o.URLs = []string{closedPort(t)} }, []string{"connection refused", "firewall"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := openLDAP(s, connectors.Query{Mode: connectors.ScopeAll})
			tc.change(&o)
			_, err := connect(t, o).Fetch(t.Context())
			wantError(t, err, nil, tc.says...)
			if strings.Contains(err.Error(), password) {
				t.Errorf("%q has the password", err)
			}
		})
	}
}

func TestExpiredCertificate(t *testing.T) {
	summary, remedy := network(x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired})
	if !strings.Contains(summary, "valid from") || !strings.Contains(remedy, "clock") {
		t.Errorf("%s (%s)", summary, remedy)
	}
}

func TestOpenLDAPLookup(t *testing.T) {
	s := startSlapd(t, headcount)
	o := openLDAP(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"A"}})
	o.UserBases = []string{"OU=people," + suffix}
	o.DisabledFilter = "(employeeType=former)"
	c := connect(t, o)
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n, in := range map[int]bool{1: true, 2: true, 3: true, 6: false} {
		found, err := c.Lookup(t.Context(), personID(n))
		if err != nil || !found.Known || found.Outside != "" || found.InScopeGroup != in {
			t.Errorf("person %d: %+v, %v", n, found, err)
		}
	}
	found, err := c.Lookup(t.Context(), personID(5))
	if err != nil || found.User.Status != connectors.StatusDisabled || found.User.StatusDetail != "matches disabled_filter" {
		t.Errorf("%+v, %v", found, err)
	}
	found, err = c.Lookup(t.Context(), connectors.UserID(uuid(9, 9)))
	if err != nil || found.Known {
		t.Errorf("%+v, %v", found, err)
	}
	// Who is moved out of the user bases is known, and outside.
	boss, err := ldap.DialURL(s.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer boss.Close()
	move := func(from, to string) {
		t.Helper()
		rdn, _, _ := strings.Cut(from, ",")
		if err := boss.ModifyDN(ldap.NewModifyDNRequest(from, rdn, false, to)); err != nil {
			t.Fatal(err)
		}
	}
	if err := boss.Bind(admin, password); err != nil {
		t.Fatal(err)
	}
	move(peopleDN(7), "ou=Former,"+suffix)
	defer move("cn=Person 7,ou=Former,"+suffix, "ou=People,"+suffix)
	found, err = c.Lookup(t.Context(), personID(7))
	if err != nil || !found.Known || !strings.Contains(found.Outside, "cn=Person 7,ou=Former,"+suffix) {
		t.Errorf("moved: %+v, %v", found, err)
	}
	if snap, err := connect(t, o).Fetch(t.Context()); err != nil || len(snap.Users) != 3 {
		t.Errorf("%d people, %v", len(snap.Users), err)
	}
}

func TestOpenLDAPCheck(t *testing.T) {
	s := startSlapd(t, headcount)
	o := openLDAP(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"a"}})
	o.URLs, o.CA = []string{s.secure, closedPort(t)}, s.ca
	var got []string
	for _, check := range connect(t, o).Check(t.Context()) {
		state := check.Detail
		if check.Err != nil {
			state = "FAILED"
		}
		got = append(got, check.Name+": "+state)
	}
	want := []string{"sign in to " + s.secure + ": as " + reader + ", by TLS", "sign in to " + o.URLs[1] + ": FAILED",
		"recognise the kind of directory: openldap, ids in entryUUID", "read all people: 1200 people, 1 of them disabled",
		"find the groups of the scope and to push: 1 groups", "read the members of group a: 3 members", "look up one person: " + string(personID(0))}
	slices.Sort(got[5:])
	if diff := cmp.Diff(want[:5], got[:5]); diff != "" || len(got) != len(want) {
		t.Errorf("checks (-want +got):\n%s\n%v", diff, got)
	}
}

// Doctor shows the limit, and goes on with what is left.
func TestOpenLDAPCheckGoesOn(t *testing.T) {
	s := startSlapd(t, headcount)
	o := openLDAP(s, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"a"}})
	o.BindDN, o.PageSize = total, 250
	failed := 0
	for _, check := range connect(t, o).Check(t.Context()) {
		if check.Err != nil {
			failed++
			wantError(t, check.Err, errPartial, "size.prtotal=unlimited")
		}
	}
	if failed != 1 {
		t.Errorf("%d checks failed, want 1", failed)
	}
}

// BenchmarkOpenLDAP reads 50,000 people and, to compare with, has ldapsearch read the same attributes of them. "in turn" runs
// one after the other and prints the median of their ratios: what else the machine does meets both alike.
func BenchmarkOpenLDAP(b *testing.B) {
	s := startSlapd(b, 50_000)
	o := openLDAP(s, connectors.Query{Mode: connectors.ScopeAll})
	fetch := func(b *testing.B, c *Connector) connectors.Snapshot {
		snap, err := c.Fetch(b.Context())
		if err != nil || len(snap.Users) != 50_000 {
			b.Fatal(len(snap.Users), err)
		}
		return snap
	}
	args := append([]string{"-LLL", "-x", "-H", s.plain, "-D", reader, "-w", password, "-b", suffix, "-E", "pr=1000/noprompt", "(objectClass=inetOrgPerson)"},
		connect(b, o).attributesOf(newProfile(FlavorOpenLDAP, o))...)
	ldapsearch := func(b *testing.B) {
		if out, err := exec.Command("ldapsearch", args...).Output(); err != nil || len(out) < 50_000 {
			b.Fatal(fmt.Errorf("ldapsearch: %d bytes, %w", len(out), err))
		}
	}
	b.Run("fetch", func(b *testing.B) {
		c := connect(b, o)
		var snap connectors.Snapshot
		var before, after runtime.MemStats
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			snap = connectors.Snapshot{}
			runtime.GC()
			runtime.ReadMemStats(&before)
			b.StartTimer()
			snap = fetch(b, c)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6*2, "MB-kept/100k-users")
		runtime.KeepAlive(snap)
	})
	b.Run("fetch with groups", func(b *testing.B) {
		o := o
		o.Query.Push = patterns(b, "*")
		c := connect(b, o)
		for b.Loop() {
			fetch(b, c)
		}
	})
	b.Run("in turn", func(b *testing.B) {
		c := connect(b, o)
		var ratios []float64
		for b.Loop() {
			start := time.Now()
			ldapsearch(b)
			between := time.Now()
			fetch(b, c)
			ratios = append(ratios, time.Since(between).Seconds()/between.Sub(start).Seconds())
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "fetch/ldapsearch")
	})
}
