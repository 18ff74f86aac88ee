package keycloak

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// parseURL takes https and, on loopback, http. What follows the host is kept: old servers answer below /auth.
func parseURL(s string) (*url.URL, error) {
	const write = "write https://sso.acme.com, with /auth at its end for a server before Keycloak 17"
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(s), "/"))
	switch {
	case strings.TrimSpace(s) == "":
		return nil, errors.New("keycloak: the URL is missing (" + write + ")")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("keycloak: the URL is no address (%s)", write)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("keycloak: the URL %s has more than a host and a path (%s)", u.Redacted(), write)
	case strings.Contains(u.Path+"/", "/realms/") || strings.Contains(u.Path+"/", "/admin/"):
		return nil, fmt.Errorf("keycloak: the URL %s leads into the server (write what stands before /realms or /admin; the realm is given by itself)", u)
	case u.Scheme == "http" && !wire.Loopback(u.Hostname()):
		return nil, fmt.Errorf("keycloak: the URL %s is not https, so the client secret would be readable on the way", u)
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

func checkSignIn(o Options) error {
	var errs []error
	if o.Realm == "" || strings.ContainsAny(o.Realm, "/?#") {
		errs = append(errs, fmt.Errorf("keycloak: realm %q is no realm's name (it stands in the address of its admin console: /admin/acme/console)", o.Realm))
	}
	if o.ClientID == "" {
		errs = append(errs, errors.New("keycloak: the client id is missing ("+whereClient+")"))
	}
	if o.ClientSecret == nil {
		errs = append(errs, errors.New("keycloak: the client secret is missing ("+whereSecret+")"))
	}
	return errors.Join(errs...)
}

// parseQuery checks what is asked for against what Keycloak knows.
func parseQuery(o Options) ([]connectors.GroupRef, error) {
	var errs []error
	q := o.Query
	switch q.Mode {
	case connectors.ScopeAssigned:
		if o.Client == "" {
			errs = append(errs, errors.New("keycloak: mode assigned needs the client whose roles count, by its client id"))
		}
	case connectors.ScopeGroups:
		if len(q.Groups) == 0 {
			errs = append(errs, errors.New("keycloak: mode groups needs at least one group, by its path or as id:…"))
		}
	case connectors.ScopeAll:
	default:
		errs = append(errs, fmt.Errorf("keycloak: scope mode %q is not one of assigned, groups, all", q.Mode))
	}
	if q.Mode != connectors.ScopeGroups && len(q.Groups) > 0 {
		errs = append(errs, fmt.Errorf("keycloak: scope groups are listed, but the mode is %q, not groups", q.Mode))
	}
	if q.Mode != connectors.ScopeAssigned && o.Client != "" {
		errs = append(errs, fmt.Errorf("keycloak: a client's roles are for mode assigned, but the mode is %q", q.Mode))
	}
	if o.Client == "" && len(o.Roles) > 0 {
		errs = append(errs, errors.New("keycloak: roles are listed without the client that has them"))
	}
	if slices.Contains(o.Roles, "") {
		errs = append(errs, errors.New("keycloak: a role without a name is listed"))
	}
	refs, err := connectors.ParseGroupRefs("keycloak", q.Groups)
	errs = append(errs, err)
	for i, ref := range refs {
		refs[i].Name = strings.TrimPrefix(ref.Name, "/") // a path is the same with it and without
		if refs[i] == (connectors.GroupRef{}) {
			errs = append(errs, fmt.Errorf("keycloak: scope group %q names nothing", ref.Name))
		}
	}
	return refs, errors.Join(errs...)
}
