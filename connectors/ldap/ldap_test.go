package ldap

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

func TestNewSaysEverything(t *testing.T) {
	good := func() Options {
		return Options{URLs: []string{"ldaps://ldap.acme.com"}, BindDN: "cn=r", Password: func() string { return "x" }, Base: "dc=acme",
			Query: connectors.Query{Mode: connectors.ScopeAll}}
	}
	tests := map[string]struct {
		change func(*Options)
		want   string
	}{
		"no server":             {func(o *Options) { o.URLs = nil }, "a server is missing"},
		"no LDAP":               {func(o *Options) { o.URLs = []string{"https://x"} }, "is no server's address"},
		"a password in the URL": {func(o *Options) { o.URLs = []string{"ldaps://a:b@x"} }, "is no server's address"},
		"plain":                 {func(o *Options) { o.URLs = []string{"ldap://ldap.acme.com"} }, "is not encrypted"},
		"anonymous":             {func(o *Options) { o.BindDN = "" }, "anonymous reading is refused"},
		"no password":           {func(o *Options) { o.Password = func() string { return "" } }, "password is missing"},
		"no base":               {func(o *Options) { o.Base = "" }, "write it as dc=acme,dc=com"},
		"a base that is none":   {func(o *Options) { o.Base = "acme.com" }, "is none"},
		"users elsewhere":       {func(o *Options) { o.UserBases = []string{"ou=p,dc=other"} }, "does not lie in the base DN"},
		"bases that overlap":    {func(o *Options) { o.GroupBases = []string{"ou=g,dc=acme", "OU=x, OU=G,DC=acme"} }, "overlap"},
		"assigned":              {func(o *Options) { o.Query.Mode = connectors.ScopeAssigned }, "knows no applications"},
		"organizational units":  {func(o *Options) { o.Query.Mode = connectors.ScopeOrgUnits }, "user_bases"},
		"groups without groups": {func(o *Options) { o.Query.Mode = connectors.ScopeGroups }, "0 groups are listed"},
		"custom without id":     {func(o *Options) { o.Flavor = FlavorCustom }, "attributes.id"},
		"another flavor":        {func(o *Options) { o.Flavor = "novell" }, "choose auto, ad"},
		"a filter that is none": {func(o *Options) { o.UserFilter = "cn=x)" }, "the user filter"},
		"an attribute of none":  {func(o *Options) { o.Query.Attributes = []string{"a)(b"} }, "is no attribute name"},
		"no certificate":        {func(o *Options) { o.CA = []byte("x") }, "holds no certificate"},
		"too large a page":      {func(o *Options) { o.PageSize = 1 << 20 }, "a page cannot have"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := good()
			tc.change(&o)
			_, err := New(o)
			wantError(t, err, nil, tc.want)
		})
	}
	_, err := New(Options{})
	wantError(t, err, nil, "a server is missing", "bind DN is missing", "base DN", "scope mode")
	for _, plain := range []func(*Options){func(o *Options) { o.AllowPlain = true }, func(o *Options) { o.StartTLS = true }} {
		o := good()
		o.URLs = []string{"ldap://ldap.acme.com"}
		plain(&o)
		connect(t, o)
	}
}

// The tenant does not depend on how the base is written, nor on the server.
func TestTenant(t *testing.T) {
	o := Options{URLs: []string{"ldaps://a"}, BindDN: "cn=r", Password: func() string { return "x" }, Query: connectors.Query{Mode: connectors.ScopeAll}}
	for _, base := range []string{"dc=acme,dc=com", "DC=Acme , DC=COM"} {
		o.Base = base
		if got := connect(t, o).Tenant(); got != "ldap:dc=acme,dc=com" {
			t.Errorf("the tenant of %q is %q", base, got)
		}
	}
}

func TestNamesAreCompared(t *testing.T) {
	same := [][2]string{
		{"cn=Ada Lovelace,dc=acme", "CN = ada  lovelace , DC=ACME"},
		{`cn=Lovelace\, Ada,dc=acme`, `cn=Lovelace\2C Ada,dc=acme`},
		{`cn=Gro\C3\9F,dc=acme`, `cn=Groß,dc=acme`},
		{"cn=a+uid=b,dc=acme", "uid=b+cn=a,dc=acme"},
		{"cn=e\u0301,dc=acme", "cn=\u00e9,dc=acme"},
	}
	for _, pair := range same {
		a, errA := parseName(pair[0])
		b, errB := parseName(pair[1])
		if errA != nil || errB != nil || a.key != b.key {
			t.Errorf("%q is %q, %q is %q (%v, %v)", pair[0], a.key, pair[1], b.key, errA, errB)
		}
	}
	x := newIndex(1)
	x.add("cn=Ada,dc=acme")
	if _, ok, err := x.find("CN=ada,DC=acme#'0101'B"); !ok || err != nil {
		t.Errorf("a unique member is not found: %v", err)
	}
	base, _ := parseName("dc=acme")
	for text, want := range map[string]bool{"dc=acme": true, "ou=x,DC=Acme": true, "dc=notacme": false, "dc=acme,dc=com": false} {
		if n, err := parseName(text); err != nil || n.within(base) != want {
			t.Errorf("%s within %s: %v, %v", text, base.text, n.within(base), err)
		}
	}
}

func TestGUID(t *testing.T) {
	raw := []byte{0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}
	if got, err := formatGUID(raw); err != nil || got != "01234567-89ab-cdef-0123-456789abcdef" {
		t.Errorf("%q, %v", got, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "raw")
		text, err := formatGUID(raw)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseGUID(text); err != nil || !bytes.Equal(back, raw) {
			t.Errorf("%x is %s is %x, %v", raw, text, back, err)
		}
	})
	for _, text := range []string{"", "x", "01234567-89ab-cdef-0123-456789abcde", "0123456789abcdef0123456789abcdef"} {
		if _, err := parseGUID(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
