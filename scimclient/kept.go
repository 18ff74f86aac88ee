package scimclient

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// What counts as kept: servers trim, normalise, fold and reformat, and none of that is a change lost.

func normal(s string) string { return norm.NFC.String(strings.TrimSpace(s)) }

func sameText(a, b string) bool { return a == b || normal(a) == normal(b) }

// sameFold compares userNames and e-mail addresses, which are not case-exact (RFC 7643 section 4.1.1).
func sameFold(a, b string) bool { return a == b || strings.EqualFold(normal(a), normal(b)) }

// samePhone compares by digits. Rootly rewrites numbers to E.164 with a default country: what it shows with a + may have
// gained the country's digits in front of what was sent. A number that lost its country is another number.
func samePhone(sent, shown string) bool {
	x, y := digits(sent), digits(shown)
	if x == y {
		return x != "" || sameText(sent, shown)
	}
	const enough = 7 // digits of a number without its country
	return len(x) >= enough && !strings.HasPrefix(strings.TrimSpace(sent), "+") &&
		strings.HasPrefix(strings.TrimSpace(shown), "+") && strings.HasSuffix(y, strings.TrimLeft(x, "0"))
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// sameSet tells whether each of sent has an equal in shown and the other way round. Order and repetition mean nothing.
func sameSet(sent, shown []string, same func(sent, shown string) bool) bool {
	return !slices.ContainsFunc(sent, func(x string) bool {
		return !slices.ContainsFunc(shown, func(y string) bool { return same(x, y) })
	}) && !slices.ContainsFunc(shown, func(y string) bool {
		return !slices.ContainsFunc(sent, func(x string) bool { return same(x, y) })
	})
}

// lost names the attributes that u does not show as e wants them.
func (e UserEdit) lost(u User) (attributes []string) {
	check := func(name string, kept bool) {
		if !kept {
			attributes = append(attributes, name)
		}
	}
	check("userName", e.UserName == nil || sameFold(*e.UserName, u.UserName))
	check("externalId", e.ExternalID == nil || *e.ExternalID == u.ExternalID)
	check("name", e.GivenName == nil || sameText(*e.GivenName, u.GivenName) && sameText(*e.FamilyName, u.FamilyName))
	check("displayName", e.DisplayName == nil || sameText(*e.DisplayName, u.DisplayName))
	check("emails", e.Emails == nil || keepsEmails(*e.Emails, u))
	check("phoneNumbers", e.Phones == nil || sameSet(phoneValues(*e.Phones), phoneValues(u.Phones), samePhone))
	check("active", e.Active == nil || *e.Active == u.Active)
	return attributes
}

// keepsEmails lets pass an address that the server derives from the userName by itself.
func keepsEmails(want []Email, u User) bool {
	wanted, shown := emailValues(want), emailValues(u.Emails)
	if !slices.ContainsFunc(wanted, func(v string) bool { return sameFold(v, u.UserName) }) {
		shown = slices.DeleteFunc(shown, func(v string) bool { return sameFold(v, u.UserName) })
	}
	return sameSet(wanted, shown, sameFold)
}

func emailValues(list []Email) []string {
	var values []string
	for _, v := range list {
		if v.Value != "" {
			values = append(values, v.Value)
		}
	}
	return values
}

func phoneValues(list []Phone) []string {
	var values []string
	for _, v := range list {
		if v.Value != "" {
			values = append(values, v.Value)
		}
	}
	return values
}

// lost names the attributes that g does not show as e wants them.
func (e GroupEdit) lost(g Group) (attributes []string) {
	if e.DisplayName != nil && !sameText(*e.DisplayName, g.DisplayName) {
		attributes = append(attributes, "displayName")
	}
	if e.ExternalID != nil && *e.ExternalID != g.ExternalID {
		attributes = append(attributes, "externalId")
	}
	return attributes
}
