package reconcile

import (
	"fmt"
	"net/mail"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// mapUser says what Rootly should hold about u. Phones are still spelled as in the directory; an unmanaged attribute is
// "". Active is the caller's to decide.
func (r *Rules) mapUser(u *connectors.User, p *Person) (v UserValues, err error) {
	get := func(attr, def string) string {
		e, set := r.mapping[attr]
		if !set {
			return clean(def)
		}
		if e == nil || err != nil {
			return ""
		}
		s, evalErr := e.string(p)
		if evalErr != nil {
			err = fmt.Errorf("map.%s: %w", attr, evalErr)
		}
		return clean(s)
	}
	v = UserValues{
		UserName:    get(AttrUserName, u.UserName),
		ExternalID:  get(AttrExternalID, string(u.ID)),
		GivenName:   get(AttrGivenName, u.GivenName),
		FamilyName:  get(AttrFamilyName, u.FamilyName),
		DisplayName: get(AttrDisplayName, displayName(u)),
		Email:       get(AttrEmail, u.Email),
	}
	for _, p := range []struct{ attr, typ string }{{AttrMobilePhone, "mobile"}, {AttrWorkPhone, "work"}} {
		if raw := get(p.attr, phoneOf(u.Phones, p.typ)); raw != "" {
			v.Phones = append(v.Phones, connectors.Phone{Type: p.typ, Value: raw})
		}
	}
	if err != nil {
		return v, err
	}
	if v.Email == "" && r.managed(AttrEmail) {
		v.Email = v.UserName
	}
	return v, checkUserName(v.UserName)
}

// clean is what is done to every value before it is compared or written.
func clean(s string) string { return norm.NFC.String(strings.TrimSpace(s)) }

func displayName(u *connectors.User) string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return strings.TrimSpace(u.GivenName + " " + u.FamilyName)
}

// checkUserName holds Rootly's rule that a userName is an e-mail address.
func checkUserName(s string) error {
	if s == "" {
		return fmt.Errorf("there is no userName")
	}
	a, err := mail.ParseAddress(s)
	_, domain, _ := strings.Cut(s, "@")
	if err != nil || a.Address != s || !strings.Contains(domain, ".") {
		return fmt.Errorf("userName %q is not an e-mail address", s)
	}
	return nil
}
