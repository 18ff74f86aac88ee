package keycloak

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A groupRef is one entry of Query.Groups: an id or a path without the slash it begins with.
type groupRef struct {
	id   string
	path string
}

func (r groupRef) String() string {
	if r.id != "" {
		return "id:" + r.id
	}
	return fmt.Sprintf("%q", r.path)
}

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
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("keycloak: the URL %s is not https, so the client secret would be readable on the way", u)
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
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
func parseQuery(o Options) ([]groupRef, error) {
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
	var refs []groupRef
	for _, s := range q.Groups {
		id, byID := strings.CutPrefix(strings.TrimSpace(s), "id:")
		ref := groupRef{path: strings.TrimPrefix(id, "/")}
		if byID {
			ref = groupRef{id: id}
		}
		if ref == (groupRef{}) {
			errs = append(errs, fmt.Errorf("keycloak: scope group %q names nothing", s))
			continue
		}
		refs = append(refs, ref)
	}
	return refs, errors.Join(errs...)
}
