package ldap

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// attributeName is RFC 4512's attribute description without options.
var attributeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)

// A server is one machine of the directory.
type server struct {
	url     string
	host    string // for which its certificate must be good
	address string // where it is reached
	tls     bool   // from the first byte
}

func parseServers(o Options) ([]server, error) {
	if len(o.URLs) == 0 {
		return nil, errors.New("ldap: a server is missing (write its address, such as ldaps://ldap.acme.com)")
	}
	var out []server
	var errs []error
	for _, text := range o.URLs {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("ldap: %q is no server's address (write ldaps://host or ldap://host, with :port if it is not the usual one)", text))
			continue
		}
		s := server{url: u.Scheme + "://" + u.Host, host: u.Hostname(), tls: u.Scheme == "ldaps"}
		port := u.Port()
		switch {
		case port == "" && s.tls:
			port = "636"
		case port == "":
			port = "389"
		}
		s.address = net.JoinHostPort(s.host, port)
		if !s.tls && !o.StartTLS && !o.AllowPlain && !wire.Loopback(s.host) {
			errs = append(errs, fmt.Errorf("ldap: %s is not encrypted, so the password would be readable on the way (write ldaps://, or set start_tls)", s.url))
		}
		out = append(out, s)
	}
	return out, errors.Join(errs...)
}

// parseCA returns nil, which means the system's authorities, when there are no others.
func parseCA(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("ldap: the CA file holds no certificate (name a file of PEM certificates)")
	}
	return roots, nil
}

func checkCredentials(o Options) error {
	switch {
	case o.BindDN == "":
		return errors.New("ldap: the bind DN is missing; anonymous reading is refused, for a directory shows it less than there is (create a reader, and write its DN)")
	case o.Password == nil || o.Password() == "":
		return errors.New("ldap: the reader's password is missing (give password or password_file)")
	}
	return nil
}

// places are where people and groups are searched.
type places struct {
	base          name
	users, groups []name
}

func parsePlaces(o Options) (places, error) {
	base, err := parseName(o.Base)
	if err != nil || len(base.dn.RDNs) == 0 {
		return places{}, fmt.Errorf("ldap: the base DN %q is none (write it as dc=acme,dc=com)", o.Base)
	}
	p := places{base: base}
	var errs []error
	list := func(what string, texts []string) (out []name) {
		if len(texts) == 0 {
			return []name{base}
		}
		for _, text := range texts {
			n, err := parseName(text)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("ldap: the %s base %w", what, err))
				continue
			case !n.within(base):
				errs = append(errs, fmt.Errorf("ldap: the %s base %q does not lie in the base DN %q (widen the base DN)", what, text, o.Base))
			}
			for _, other := range out {
				if n.within(other) || other.within(n) {
					errs = append(errs, fmt.Errorf("ldap: the %s bases %q and %q overlap (remove the inner one)", what, other.text, text))
				}
			}
			out = append(out, n)
		}
		return out
	}
	p.users, p.groups = list("user", o.UserBases), list("group", o.GroupBases)
	return p, errors.Join(errs...)
}

// outside says that a person is in none of the user bases; "" means that they are in one.
func (p places) outside(n name) string {
	for _, base := range p.users {
		if n.within(base) {
			return ""
		}
	}
	return "at " + n.text + ", in none of the user bases"
}

// A groupRef names a group of the scope: "id:" and its id, its name, or its DN.
type groupRef struct {
	text string
	id   connectors.GroupID
	dn   string // key of the DN, "" if the text is none
}

func (r groupRef) means(g group) bool {
	if r.id != "" {
		return r.id == g.ID
	}
	return connectors.Fold(r.text) == connectors.Fold(g.Name) || r.dn != "" && r.dn == g.at.key
}

func parseQuery(q connectors.Query) ([]groupRef, error) {
	var errs []error
	switch q.Mode {
	case connectors.ScopeAll, connectors.ScopeGroups:
	case connectors.ScopeAssigned:
		errs = append(errs, errors.New("ldap: an LDAP directory knows no applications to be assigned to (choose mode groups or all)"))
	case connectors.ScopeOrgUnits:
		errs = append(errs, errors.New("ldap: mode org_units is for Google (choose mode all and list the units as user_bases)"))
	default:
		errs = append(errs, fmt.Errorf("ldap: there is no scope mode %q (choose groups or all)", q.Mode))
	}
	if (q.Mode == connectors.ScopeGroups) != (len(q.Groups) > 0) {
		errs = append(errs, fmt.Errorf("ldap: %d groups are listed and the mode is %q (list groups for mode groups, and only for it)", len(q.Groups), q.Mode))
	}
	var refs []groupRef
	for _, text := range q.Groups {
		text = strings.TrimSpace(text)
		r := groupRef{text: text}
		if id, ok := strings.CutPrefix(text, "id:"); ok {
			r.id = connectors.GroupID(id)
		} else if n, err := parseName(text); err == nil {
			r.dn = n.key
		}
		if text == "" || text == "id:" {
			errs = append(errs, errors.New("ldap: a scope group without name (write its name, its DN, or id: and its id)"))
		}
		refs = append(refs, r)
	}
	for _, a := range q.Attributes {
		if !attributeName.MatchString(a) {
			errs = append(errs, fmt.Errorf("ldap: %q is no attribute name (letters, digits and hyphens; dn is the entry's name)", a))
		}
	}
	return refs, errors.Join(errs...)
}

// wantsGroups tells whether any group has to be read.
func wantsGroups(q connectors.Query) bool { return q.Mode == connectors.ScopeGroups || len(q.Push) > 0 }
