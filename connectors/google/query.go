package google

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// A groupRef is one entry of Query.Groups: an id, an address or an exact name.
type groupRef string

func (r groupRef) means(g group) bool {
	if id, ok := strings.CutPrefix(string(r), "id:"); ok {
		return string(g.ID) == id
	}
	return connectors.Fold(g.Email) == connectors.Fold(string(r)) || g.Name == string(r)
}

// parseQuery checks what is asked for against what Google knows.
func parseQuery(o Options) ([]groupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeGroups:
		if len(q.Groups) == 0 {
			errs = append(errs, errors.New("google: mode groups needs at least one group, by e-mail address or as id:…"))
		}
	case connectors.ScopeAll, connectors.ScopeOrgUnits:
	case connectors.ScopeAssigned:
		errs = append(errs, errors.New("google: mode assigned does not exist here: Google has no list of the people who are assigned "+
			"to an app (use groups or org_units)"))
	default:
		errs = append(errs, fmt.Errorf("google: scope mode %q is not one of groups, org_units, all", q.Mode))
	}
	if q.Mode != connectors.ScopeGroups && len(q.Groups) > 0 {
		errs = append(errs, fmt.Errorf("google: scope groups are listed, but the mode is %q, not groups", q.Mode))
	}
	var refs []groupRef
	for _, s := range q.Groups {
		ref := strings.TrimSpace(s)
		if ref == "" || ref == "id:" {
			errs = append(errs, fmt.Errorf("google: scope group %q names nothing", s))
			continue
		}
		refs = append(refs, groupRef(ref))
	}
	return refs, errors.Join(errs...)
}

// wantsGroups tells whether groups have to be read at all.
func wantsGroups(q connectors.Query) bool { return len(q.Groups)+len(q.Push) > 0 }

// orgUnits are the organizational units of mode org_units.
type orgUnits struct {
	paths []string
	below bool
}

func parseOrgUnits(o Options) (orgUnits, error) {
	units := orgUnits{below: o.SubUnits}
	switch mode := o.Query.Mode; {
	case mode == connectors.ScopeOrgUnits && len(o.OrgUnits) == 0:
		return units, errors.New(`google: mode org_units needs at least one organizational unit, by its path, such as "/Engineering"`)
	case mode != connectors.ScopeOrgUnits && len(o.OrgUnits) > 0:
		return units, fmt.Errorf("google: organizational units are listed, but the mode is %q, not org_units", mode)
	}
	var errs []error
	for _, s := range o.OrgUnits {
		path := strings.TrimSpace(s)
		if !strings.HasPrefix(path, "/") || path != "/" && strings.HasSuffix(path, "/") {
			errs = append(errs, fmt.Errorf("google: organizational unit %q is no path (write it as /Engineering/SRE)", s))
			continue
		}
		units.paths = append(units.paths, path)
	}
	slices.Sort(units.paths)
	units.paths = slices.Compact(units.paths)
	return units, errors.Join(errs...)
}

// has tells whether people of the unit at path belong. Google's search always answers with those of the units below.
func (u orgUnits) has(path string) bool {
	return slices.ContainsFunc(u.paths, func(p string) bool {
		if strings.EqualFold(p, path) {
			return true
		}
		prefix := strings.TrimSuffix(p, "/") + "/"
		return u.below && len(path) > len(prefix) && strings.EqualFold(path[:len(prefix)], prefix)
	})
}

var customerID = regexp.MustCompile(`^C[0-9A-Za-z]+$`)

// tenantOf tells one Workspace account from another. MyCustomer is a different one for whoever signs in, so it takes
// the subject's domain to tell.
func tenantOf(o Options) (string, error) {
	const where = "it is shown in the Admin console under Account > Account settings, as C and more"
	switch {
	case customerID.MatchString(o.Customer):
		return "google:" + o.Customer, nil
	case o.Customer != "" && o.Customer != MyCustomer:
		return "", fmt.Errorf("google: customer %q is no customer id (%s)", o.Customer, where)
	case o.Subject == "":
		return "", errors.New("google: without a subject the customer must be given by its id (" + where + ")")
	}
	local, domain, ok := strings.Cut(o.Subject, "@")
	if !ok || local == "" || domain == "" {
		return "", fmt.Errorf("google: subject %q is no e-mail address (write that of an administrator)", o.Subject)
	}
	return "google:" + strings.ToLower(domain), nil
}

// checkAddress takes https and, on loopback, http.
func checkAddress(name, address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("google: the %s is no address (write https:// and a host, without a user name, a password or a query)", name)
	case u.Scheme == "https" || u.Scheme == "http" && wire.Loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("google: the %s %q is not https, so the access token would be readable on the way", name, address)
}
