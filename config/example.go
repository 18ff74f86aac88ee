package config

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"strconv"
	"text/template"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

//go:embed example.yaml
var example []byte

//go:embed starter.yaml.tmpl
var starter string

// Example is a commented configuration that shows every key. It loads once ROOTLY_SCIM_TOKEN and OKTA_API_TOKEN are
// set.
func Example() []byte { return bytes.Clone(example) }

// Answers are what init knows about the organisation. Whatever is empty becomes a placeholder to be edited.
type Answers struct {
	Source      string // "okta", "entra", "google", "ldap", "rippling", "scim", "keycloak" or "file"
	OrgURL      string // Okta
	TenantID    string // Entra
	ClientID    string // Entra and Keycloak
	AppID       string // Okta and Entra, for mode assigned
	KeyFile     string // Google: the service account's key file
	Subject     string // Google
	URL         string // LDAP and Keycloak
	BindDN      string // LDAP
	BaseDN      string // LDAP
	Company     string // Rippling
	SCIMURL     string // SCIM
	Realm       string // Keycloak
	Client      string // Keycloak, for mode assigned
	Path        string // file: users
	GroupsPath  string // file: groups
	Mode        connectors.ScopeMode
	ScopeGroups []string // for mode groups
	Push        []string
	TargetURL   string
}

// Starter is the commented file that init writes. It loads once the tokens that it refers to are set.
func Starter(a Answers) ([]byte, error) {
	switch a.Source {
	case "okta":
		a.OrgURL = cmp.Or(a.OrgURL, "https://acme.okta.com")
		a.AppID = cmp.Or(a.AppID, "0oa1b2c3")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeAssigned)
	case "entra":
		a.TenantID = cmp.Or(a.TenantID, "00000000-0000-0000-0000-000000000000")
		a.ClientID = cmp.Or(a.ClientID, "00000000-0000-0000-0000-000000000000")
		a.AppID = cmp.Or(a.AppID, "00000000-0000-0000-0000-000000000000")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeAssigned)
	case "google":
		a.KeyFile = cmp.Or(a.KeyFile, "google-key.json")
		a.Subject = cmp.Or(a.Subject, "admin@acme.com")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeGroups)
	case "ldap":
		a.URL = cmp.Or(a.URL, "ldaps://ldap.acme.com")
		a.BindDN = cmp.Or(a.BindDN, "cn=idp-sync,dc=acme,dc=com")
		a.BaseDN = cmp.Or(a.BaseDN, "dc=acme,dc=com")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeGroups)
	case "rippling":
		a.Company = cmp.Or(a.Company, "acme")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeGroups)
	case "scim":
		a.SCIMURL = cmp.Or(a.SCIMURL, "https://idp.acme.com/scim/v2")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeGroups)
	case "keycloak":
		a.URL = cmp.Or(a.URL, "https://sso.acme.com")
		a.Realm = cmp.Or(a.Realm, "acme")
		a.ClientID = cmp.Or(a.ClientID, "rootly-idp-sync")
		a.Client = cmp.Or(a.Client, "rootly")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeAssigned)
	case "file":
		a.Path = cmp.Or(a.Path, "users.csv")
		a.Mode = cmp.Or(a.Mode, connectors.ScopeAll)
	default:
		return nil, fmt.Errorf("there is no directory %q; choose okta, entra, google, ldap, rippling, scim, keycloak or file", a.Source)
	}
	if a.Mode == connectors.ScopeGroups && len(a.ScopeGroups) == 0 {
		a.ScopeGroups = []string{"Everyone on call"}
	}
	a.TargetURL = cmp.Or(a.TargetURL, rootlyURL)
	t, err := template.New("starter").Funcs(template.FuncMap{"quote": strconv.Quote}).Parse(starter)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, a)
	return out.Bytes(), err
}
