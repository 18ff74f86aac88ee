package config

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// LDAP is an LDAP directory, Active Directory included, and the reader that signs in to it.
type LDAP struct {
	URLs           []string       `json:"urls" required:"true" doc:"The servers of the directory, the preferred one first: ldaps://host or ldap://host. One cycle reads from one of them."`
	StartTLS       bool           `json:"start_tls,omitzero" doc:"Encrypts ldap:// before anything is said."`
	AllowPlain     bool           `json:"allow_plain,omitzero" doc:"Allow ldap:// without start_tls to another host than loopback: the password travels unencrypted."`
	CAFile         string         `json:"ca_file,omitzero" doc:"PEM certificates of a private authority to trust beside the system's."`
	BindDN         string         `json:"bind_dn" required:"true" doc:"The reader: its DN, or for Active Directory its user principal name."`
	Password       Secret         `json:"password,omitzero" doc:"The reader's password."`
	PasswordFile   string         `json:"password_file,omitzero" doc:"A file with the reader's password."`
	Flavor         string         `json:"flavor,omitzero" enum:"auto,ad,openldap,389ds,freeipa,custom" doc:"The kind of server; auto, the default, asks it."`
	BaseDN         string         `json:"base_dn" required:"true" doc:"The DN below which everything lies, such as dc=acme,dc=com; the ledger is bound to it."`
	UserBases      []string       `json:"user_bases,omitzero" doc:"Where people are searched; base_dn unless given."`
	GroupBases     []string       `json:"group_bases,omitzero" doc:"Where groups are searched; base_dn unless given."`
	UserFilter     string         `json:"user_filter,omitzero" doc:"An LDAP filter that means people, in place of the flavor's own."`
	GroupFilter    string         `json:"group_filter,omitzero" doc:"An LDAP filter that means groups, in place of the flavor's own."`
	DisabledFilter string         `json:"disabled_filter,omitzero" doc:"An LDAP filter that means the people who are disabled, beside those whom the flavor knows as such."`
	Attributes     LDAPAttributes `json:"attributes,omitzero" doc:"Names of attributes that this directory keeps elsewhere than the flavor does."`
	PageSize       int            `json:"page_size,omitzero" min:"0" max:"100000" doc:"How many entries are asked for at a time; 1000 unless given. Some servers grant fewer."`
}

// LDAPAttributes are names of attributes. What is not here is a matter of map, by user.attr("name").
type LDAPAttributes struct {
	ID        string `json:"id,omitzero" doc:"The attribute with the immutable id; flavor custom needs it."`
	UserName  string `json:"user_name,omitzero" doc:"The attribute with the sign-in name, an e-mail address."`
	Email     string `json:"email,omitzero" doc:"The attribute with the e-mail address."`
	GroupName string `json:"group_name,omitzero" doc:"The attribute with a group's name."`
	Member    string `json:"member,omitzero" doc:"The attribute in which groups name their members by DN."`
}

func (l *loader) ldap(d *LDAP) {
	const path = "source.ldap."
	if len(d.URLs) == 0 {
		l.problem(path+"urls", "is missing", "list the servers, such as [ldaps://ldap.acme.com]")
	}
	encrypted := d.StartTLS
	for i, text := range d.URLs {
		u, err := url.Parse(text)
		at := fmt.Sprintf("%surls[%d]", path, i)
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			l.problem(at, "is no server's address", "write ldaps://host or ldap://host, with :port if it is not the usual one")
		case u.Scheme == "ldaps":
			encrypted = true
		case !d.StartTLS && !d.AllowPlain && !loopback(u.Hostname()):
			l.problem(at, "is not encrypted, so the password would travel readable", "write ldaps://, set start_tls: true, or set allow_plain: true if the network between is trusted")
		}
	}
	for key, value := range map[string]string{"bind_dn": d.BindDN, "base_dn": d.BaseDN} {
		if value == "" {
			l.problem(path+key, "is missing", map[string]string{
				"bind_dn": "write the DN of a reader; anonymous reading is refused, for a directory shows it less than there is",
				"base_dn": "write the DN below which everything lies, such as dc=acme,dc=com",
			}[key])
		}
	}
	if d.Password.IsZero() && d.PasswordFile == "" {
		l.problem(path+"password", "is missing", "give password or password_file")
	}
	if d.Flavor == "custom" && d.Attributes.ID == "" {
		l.problem(path+"attributes.id", "is missing, and flavor custom needs it", "name the attribute that holds an immutable id")
	}
	if d.CAFile != "" && len(d.URLs) > 0 && !encrypted {
		l.problem(path+"ca_file", "has no meaning without encryption", "write ldaps://, or set start_tls: true")
	}
	if d.CAFile != "" {
		pem, err := os.ReadFile(d.CAFile)
		switch {
		case err != nil:
			l.problem(path+"ca_file", "cannot be read: "+oneLine(err), "name a file of PEM certificates; the path is relative to the configuration file")
		case !x509.NewCertPool().AppendCertsFromPEM(pem):
			l.problem(path+"ca_file", "holds no certificate", "name a file of PEM certificates")
		}
	}
}
