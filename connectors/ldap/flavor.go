package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A Flavor is a kind of LDAP server: where it keeps ids, what it calls people and groups, how it marks who is disabled.
type Flavor string

// The flavors.
const (
	FlavorAuto     Flavor = "auto" // what the server says of itself
	FlavorAD       Flavor = "ad"
	FlavorOpenLDAP Flavor = "openldap"
	Flavor389      Flavor = "389ds"
	FlavorFreeIPA  Flavor = "freeipa"
	FlavorCustom   Flavor = "custom" // Attributes.ID says where ids are; nobody is disabled but by DisabledFilter
)

// Attributes are the names of attributes that a directory may keep elsewhere. "" is the flavor's own.
type Attributes struct {
	ID        string // immutable; its value becomes the person's or group's id
	UserName  string
	Email     string
	GroupName string
	Member    string // of a group, by DN
}

// A profile is how one directory is read.
type profile struct {
	flavor      Flavor
	names       Attributes
	members     []string // attributes of groups that name members by DN
	userFilter  string
	groupFilter string
	state       []string // attributes that tell who is disabled
	number      string   // the attribute with the employee number
}

const uidAttribute, memberUID = "uid", "memberUid" // POSIX groups name their members by uid

func newProfile(f Flavor, o Options) profile {
	p := profile{
		flavor:      f,
		names:       Attributes{ID: "entryUUID", UserName: "mail", Email: "mail", GroupName: "cn"},
		members:     []string{"member", "uniqueMember"},
		userFilter:  "(objectClass=inetOrgPerson)",
		groupFilter: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
		number:      "employeeNumber",
	}
	switch f {
	case FlavorAD:
		p.names.ID, p.names.UserName, p.number = "objectGUID", "userPrincipalName", "employeeID"
		p.members = []string{"member"}
		p.userFilter = "(&(objectCategory=person)(objectClass=user))"
		p.groupFilter = "(objectClass=group)"
		p.state = []string{"userAccountControl", "accountExpires"}
	case FlavorOpenLDAP:
		p.state = []string{"pwdAccountLockedTime"}
	case Flavor389:
		p.names.ID = "nsUniqueId"
		p.state = []string{"nsAccountLock"}
	case FlavorFreeIPA:
		p.names.ID = "ipaUniqueID"
		p.groupFilter = "(objectClass=ipausergroup)"
		p.state = []string{"nsAccountLock"}
	}
	given := o.Attributes
	p.names = Attributes{
		ID: cmp.Or(given.ID, p.names.ID), UserName: cmp.Or(given.UserName, p.names.UserName), Email: cmp.Or(given.Email, p.names.Email),
		GroupName: cmp.Or(given.GroupName, p.names.GroupName),
	}
	if given.Member != "" {
		p.members = []string{given.Member}
	}
	p.userFilter = cmp.Or(o.UserFilter, p.userFilter)
	p.groupFilter = cmp.Or(o.GroupFilter, p.groupFilter)
	return p
}

// binaryID tells whether ids are the 16 bytes of a GUID in Microsoft's order.
func (p profile) binaryID() bool { return strings.EqualFold(p.names.ID, "objectGUID") }

// checkProfile refuses what does not fit a flavor.
func checkProfile(o Options) error {
	var errs []error
	switch o.Flavor {
	case FlavorAuto, FlavorAD, FlavorOpenLDAP, Flavor389, FlavorFreeIPA:
	case FlavorCustom:
		if o.Attributes.ID == "" {
			errs = append(errs, errors.New("ldap: the flavor custom needs the name of an immutable id attribute (set attributes.id)"))
		}
	default:
		errs = append(errs, fmt.Errorf("ldap: there is no flavor %q (choose auto, ad, openldap, 389ds, freeipa or custom)", o.Flavor))
	}
	for name, filter := range map[string]string{"user": o.UserFilter, "group": o.GroupFilter, "disabled": o.DisabledFilter} {
		if filter == "" {
			continue
		}
		if _, err := ldap.CompileFilter(filter); err != nil {
			errs = append(errs, fmt.Errorf("ldap: the %s filter %q cannot be read: %w (write it in parentheses, as (employeeType=internal))", name, filter, err))
		}
	}
	for _, name := range []string{o.Attributes.ID, o.Attributes.UserName, o.Attributes.Email, o.Attributes.GroupName, o.Attributes.Member} {
		if name != "" && !attributeName.MatchString(name) {
			errs = append(errs, fmt.Errorf("ldap: %q is no attribute name (letters, digits and hyphens)", name))
		}
	}
	if o.PageSize < 1 || o.PageSize > 100_000 {
		errs = append(errs, fmt.Errorf("ldap: a page cannot have %d entries (choose 1 to 100000; Active Directory grants 1000)", o.PageSize))
	}
	return errors.Join(errs...)
}

// profileOf is the profile of the directory, asked of its root entry when it is not chosen.
func (c *Connector) profileOf(ctx context.Context, l *link) (profile, error) {
	if p := c.profile.Load(); p != nil {
		return *p, nil
	}
	f, err := detect(ctx, l)
	if err != nil {
		return profile{}, err
	}
	p := newProfile(f, c.opts)
	c.profile.Store(&p)
	return p, nil
}

// activeDirectory is the capability by which a domain controller shows itself.
const activeDirectory = "1.2.840.113556.1.4.800"

// detect reads the flavor from the server's root entry.
func detect(ctx context.Context, l *link) (Flavor, error) {
	const step = "reading the server's root entry"
	root, err := l.read(ctx, "", "objectClass", "supportedCapabilities", "vendorName", "ipaTopologyPluginVersion", "ipaDomainLevel")
	if err != nil {
		return "", err
	}
	if root != nil {
		has := func(attribute, part string) bool {
			for _, v := range root.values(attribute) {
				if strings.Contains(strings.ToLower(v), part) {
					return true
				}
			}
			return false
		}
		switch {
		case has("supportedCapabilities", activeDirectory):
			return FlavorAD, nil
		case has("ipaTopologyPluginVersion", "") || has("ipaDomainLevel", ""):
			return FlavorFreeIPA, nil
		case has("vendorName", "389 project") || has("vendorName", "red hat"):
			return Flavor389, nil
		case has("objectClass", "openldaprootdse"):
			return FlavorOpenLDAP, nil
		}
	}
	return "", &connectors.Error{Directory: vendor, Step: step, Summary: "it does not say what kind of server this is",
		Remedy: "set flavor: ad, openldap, 389ds or freeipa; or flavor: custom with attributes.id"}
}
