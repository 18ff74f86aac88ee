package rippling

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

// parseQuery checks what is asked for against what Rippling knows.
func parseQuery(o Options) ([]connectors.GroupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeGroups:
		if len(q.Groups) == 0 {
			errs = append(errs, errors.New("rippling: mode groups needs at least one team or department, by name or as id:…"))
		}
	case connectors.ScopeAll:
	case connectors.ScopeAssigned:
		errs = append(errs, errors.New("rippling: mode assigned does not exist here, for Rippling does not list who is assigned to an app (use groups or all)"))
	default:
		errs = append(errs, fmt.Errorf("rippling: scope mode %q is not one of groups, all", q.Mode))
	}
	if q.Mode != connectors.ScopeGroups && len(q.Groups) > 0 {
		errs = append(errs, fmt.Errorf("rippling: scope groups are listed, but the mode is %q, not groups", q.Mode))
	}
	if !slices.Contains([]GroupKind{GroupTeams, GroupDepartments, GroupBoth}, o.Groups) {
		errs = append(errs, fmt.Errorf("rippling: groups %q is not one of teams, departments, both", o.Groups))
	}
	if o.Nested && len(q.Groups)+len(q.Push) == 0 {
		errs = append(errs, errors.New("rippling: nested has no meaning without scope groups and groups to push"))
	}
	for _, name := range q.Attributes {
		if attributes[name] == nil {
			errs = append(errs, fmt.Errorf("rippling: there is no attribute %q (there are %s)", name, strings.Join(knownAttributes(), ", ")))
		}
	}
	refs, err := connectors.ParseGroupRefs("rippling", q.Groups)
	errs = append(errs, err)
	return refs, errors.Join(errs...)
}

var apiVersion = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

// checkIdentity checks who is asked about and by whom.
func checkIdentity(o Options) error {
	var errs []error
	if o.APIToken == nil {
		errs = append(errs, errors.New("rippling: the API token is missing ("+whereToken+")"))
	}
	if strings.TrimSpace(o.Company) == "" {
		errs = append(errs, errors.New("rippling: the company is missing: a lasting name of it, to which the state is bound"))
	}
	if !apiVersion.MatchString(o.APIVersion) {
		errs = append(errs, fmt.Errorf("rippling: the API version %q is no date such as %s", o.APIVersion, DefaultAPIVersion))
	}
	return errors.Join(errs...)
}

// parseBaseURL checks an address. Its error does not repeat it, for it may hold a secret.
func parseBaseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(raw, "/"))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("rippling: the base URL is no plain web address such as https://rest.ripplingapis.com")
	case u.Scheme == "http" && !wire.Loopback(u.Hostname()):
		return nil, errors.New("rippling: the base URL would send the token unencrypted (use https; plain http is for loopback only)")
	}
	return u, nil
}
