package ldap

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// A name is a distinguished name with the form by which it is compared: letter case, spaces and escapes do not count.
type name struct {
	text string
	key  string
	dn   *ldap.DN
}

func parseName(text string) (name, error) {
	dn, err := ldap.ParseDN(text)
	if err != nil {
		return name{}, fmt.Errorf("%q is no distinguished name: %w", text, err)
	}
	// LDAP compares a value without regard to the number of spaces within it (RFC 4518, section 2.6.1).
	for _, rdn := range dn.RDNs {
		for _, a := range rdn.Attributes {
			a.Type = strings.ToLower(a.Type)
			a.Value = strings.Join(strings.FieldsFunc(strings.ToLower(norm.NFKC.String(a.Value)), func(r rune) bool { return r == ' ' }), " ")
		}
	}
	return name{text: text, key: dn.String(), dn: dn}, nil
}

// within tells whether n is base or lies below it.
func (n name) within(base name) bool {
	return n.key == base.key || base.dn.AncestorOf(n.dn) || len(base.dn.RDNs) == 0
}

// optionalUID is what a value of uniqueMember may carry behind its DN.
var optionalUID = regexp.MustCompile(`#'[01]*'B$`)

func memberName(text string) (name, error) {
	return parseName(optionalUID.ReplaceAllString(text, ""))
}

// An index finds things by their distinguished name. Parsing names is slow, and servers spell a member as they spell
// its entry, so it is only done for names that are not found as they are written.
type index struct {
	exact map[string]int
	byKey map[string]int // filled on first use
	texts []string
}

func newIndex(size int) *index { return &index{exact: make(map[string]int, size)} }

// add reports false for a name that is there already.
func (x *index) add(text string) bool {
	if _, ok := x.exact[text]; ok {
		return false
	}
	x.exact[text] = len(x.texts)
	x.texts = append(x.texts, text)
	return true
}

// find returns the place of a name in the order in which they were added.
func (x *index) find(text string) (int, bool, error) {
	if i, ok := x.exact[text]; ok {
		return i, true, nil
	}
	if x.byKey == nil {
		x.byKey = make(map[string]int, len(x.texts))
		for i, t := range x.texts {
			n, err := parseName(t)
			if err != nil {
				return 0, false, err
			}
			x.byKey[n.key] = i
		}
	}
	n, err := memberName(text)
	if err != nil {
		return 0, false, err
	}
	i, ok := x.byKey[n.key]
	return i, ok, nil
}
