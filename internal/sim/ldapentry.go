package sim

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The names of the simulated domain.
const (
	LDAPBase     = "DC=acme,DC=example"
	ldapGroups   = "OU=Groups," + LDAPBase
	ldapDeleted  = "CN=Deleted Objects," + LDAPBase
	neverExpires = "9223372036854775807"
)

// An adEntry is one object of the domain.
type adEntry struct {
	dn      string
	at      string   // dn in lower case
	names   []string // of its attributes, in the order in which they are sent
	values  map[string][]string
	deleted bool
}

func newEntry(dn string) *adEntry { return &adEntry{dn: dn, values: map[string][]string{}} }

func (e *adEntry) set(name string, values ...string) {
	values = slices.DeleteFunc(values, func(v string) bool { return v == "" })
	if len(values) > 0 {
		e.names = append(e.names, name)
		e.values[strings.ToLower(name)] = values
	}
}

// escapeDN escapes a value as RFC 4514 wants it.
func escapeDN(s string) string {
	return strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `"`, `\"`, `<`, `\<`, `>`, `\>`, `;`, `\;`).Replace(s)
}

func personDN(p *person) string {
	return "CN=" + escapeDN(p.FirstName+" "+p.LastName+" "+p.EmployeeNumber) + ",OU=" + escapeDN(p.Department) + "," + LDAPBase
}

func groupDN(name string) string { return "CN=" + escapeDN(name) + "," + ldapGroups }

// guidBytes is a GUID as Microsoft stores it: its first three parts are little-endian.
func guidBytes(id string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(GraphID(id), "-", ""))
	if err != nil {
		panic(err) // GraphID makes GUIDs
	}
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return string(b)
}

// entries are everything in the domain, the deleted people last. The caller holds the company's lock.
func (s *LDAP) entries() []*adEntry {
	domain := newEntry(LDAPBase)
	domain.set("objectClass", "top", "domain")
	out := []*adEntry{domain}
	units := map[string]bool{}
	for _, p := range s.company.people {
		if p != nil && !units[p.Department] {
			units[p.Department] = true
			out = append(out, unitEntry("OU="+escapeDN(p.Department)+","+LDAPBase))
		}
	}
	out = append(out, unitEntry(ldapGroups))
	for _, p := range s.company.people {
		if p != nil {
			out = append(out, s.personEntry(p, personDN(p)))
		}
	}
	for _, g := range s.company.groups {
		if g != nil && g != s.company.all {
			out = append(out, s.groupEntry(g))
		}
	}
	for _, p := range s.company.bin {
		e := s.personEntry(p, `CN=`+escapeDN(p.FirstName+" "+p.LastName+" "+p.EmployeeNumber)+`\0ADEL:`+GraphID(p.ID)+","+ldapDeleted)
		e.set("isDeleted", "TRUE")
		e.deleted = true
		out = append(out, e)
	}
	return out
}

func unitEntry(dn string) *adEntry {
	e := newEntry(dn)
	e.set("objectClass", "top", "organizationalUnit")
	return e
}

func (s *LDAP) personEntry(p *person, dn string) *adEntry {
	e := newEntry(dn)
	e.set("objectClass", "top", "person", "organizationalPerson", "user")
	e.set("objectCategory", "person")
	e.set("cn", p.FirstName+" "+p.LastName+" "+p.EmployeeNumber)
	e.set("objectGUID", guidBytes(p.ID))
	e.set("userPrincipalName", p.Login)
	e.set("mail", p.Email)
	e.set("givenName", p.FirstName)
	e.set("sn", p.LastName)
	e.set("displayName", p.DisplayName)
	e.set("department", p.Department)
	e.set("title", p.Title)
	e.set("employeeID", p.EmployeeNumber)
	e.set("mobile", p.MobilePhone)
	e.set("accountExpires", s.expires(p))
	control := 0x200 // NORMAL_ACCOUNT
	switch p.Status {
	case StatusSuspended, StatusDeprovisioned, StatusStaged:
		control |= 0x2
	case StatusLockedOut:
		e.set("lockoutTime", "133500000000000000")
	case StatusPasswordExpired:
		e.set("pwdLastSet", "0")
	}
	e.set("userAccountControl", strconv.Itoa(control))
	return e
}

// expires alternates the two ways in which Active Directory writes never.
func (s *LDAP) expires(p *person) string {
	if at, ok := s.options.Expires[p.Login]; ok {
		return strconv.FormatInt((at.Unix()+11_644_473_600)*1e7, 10)
	}
	if p.seq%2 == 0 {
		return "0"
	}
	return neverExpires
}

func (s *LDAP) groupEntry(g *group) *adEntry {
	e := newEntry(groupDN(g.Name))
	e.set("objectClass", "top", "group")
	e.set("cn", g.Name)
	e.set("objectGUID", guidBytes(g.ID))
	e.set("mail", strings.ToLower(g.Name)+"@"+Domain)
	var members []string
	for _, seq := range g.members {
		members = append(members, personDN(s.company.people[seq]))
	}
	for _, name := range s.options.Subgroups[g.Name] {
		members = append(members, groupDN(name))
	}
	if s.options.Strangers {
		members = append(members, "CN=Guest,DC=partner,DC=example", "CN=S-1-5-21-1,CN=ForeignSecurityPrincipals,"+LDAPBase)
	}
	e.set("member", members...)
	return e
}

// sent is what of an entry is sent to whoever asks for these attributes: of long ones a range.
func (s *LDAP) sent(e *adEntry, asked []string) []byte {
	var attributes [][]byte
	add := func(name string, values []string) {
		var set [][]byte
		for _, v := range values {
			set = append(set, octets(v))
		}
		attributes = append(attributes, element(0x30, octets(name), element(0x31, set...)))
	}
	for _, name := range e.names {
		from, wanted := 0, len(asked) == 0
		for _, a := range asked {
			bare, option, _ := strings.Cut(a, ";")
			if strings.EqualFold(bare, name) {
				wanted = true
				if low, ok := strings.CutPrefix(option, "range="); ok {
					low, _, _ = strings.Cut(low, "-")
					from, _ = strconv.Atoi(low)
				}
			}
		}
		values := e.values[strings.ToLower(name)]
		most := s.options.MaxValues
		switch {
		case !wanted || from > len(values):
		case name == "member" && from == 0 && len(values) > most:
			add(name, nil)
			add(fmt.Sprintf("member;range=0-%d", most-1), values[:most])
		case from > 0 && len(values)-from > most:
			add(fmt.Sprintf("member;range=%d-%d", from, from+most-1), values[from:from+most])
		case from > 0:
			add(fmt.Sprintf("member;range=%d-*", from), values[from:])
		default:
			add(name, values)
		}
	}
	return element(0x64, octets(e.dn), element(0x30, attributes...))
}
