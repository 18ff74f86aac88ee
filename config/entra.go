package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Entra is a Microsoft Entra tenant and the way to sign in: a client secret, a certificate, or an identity.
type Entra struct {
	TenantID                string `json:"tenant_id" required:"true" doc:"The Directory (tenant) ID, a GUID."`
	ClientID                string `json:"client_id,omitzero" doc:"The Application (client) ID of the app registration that signs in; for identity managed that of a user-assigned identity."`
	ClientSecret            Secret `json:"client_secret,omitzero" doc:"The Value of a client secret. AZURE_CLIENT_SECRET is used when no credentials are given."`
	ClientSecretFile        string `json:"client_secret_file,omitzero" doc:"A file with the client secret."`
	CertificateFile         string `json:"certificate_file,omitzero" doc:"A certificate with its private key, PEM or PKCS #12, in place of a client secret."`
	CertificatePassword     Secret `json:"certificate_password,omitzero" doc:"The password of a PKCS #12 file."`
	CertificatePasswordFile string `json:"certificate_password_file,omitzero" doc:"A file with the password of a PKCS #12 file."`
	Identity                string `json:"identity,omitzero" enum:"workload,managed,default" doc:"Signs in without a secret: workload identity federation, the machine's managed identity, or azidentity's default chain."`
	AppID                   string `json:"app_id,omitzero" doc:"The Application ID of the enterprise application whose assignments are the scope, for scope.mode assigned."`
	Nested                  bool   `json:"nested,omitzero" doc:"Counts the members of groups inside groups too. Without it only direct members count, as in Entra's own provisioning."`
	UserName                string `json:"user_name,omitzero" enum:"userPrincipalName,mail" doc:"Where user.userName comes from; userPrincipalName is the default."`
	Cloud                   string `json:"cloud,omitzero" enum:"public,usgov,china" doc:"The national cloud; public is the default."`
	GraphURL                string `json:"graph_url,omitzero" doc:"Another address than https://graph.microsoft.com/v1.0; https, or http on loopback."`
	AuthorityURL            string `json:"authority_url,omitzero" doc:"Another address than https://login.microsoftonline.com; https, or http on loopback."`
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// credentials names the keys by which a way to sign in is given.
func (e *Entra) credentials() (given []string) {
	if !e.ClientSecret.IsZero() || e.ClientSecretFile != "" {
		given = append(given, "client_secret")
	}
	if e.CertificateFile != "" {
		given = append(given, "certificate_file")
	}
	if e.Identity != "" {
		given = append(given, "identity")
	}
	return given
}

func (l *loader) entra(e *Entra) {
	given := e.credentials()
	switch {
	case len(given) == 0:
		l.problem("source.entra.client_secret", "is missing", "set AZURE_CLIENT_SECRET, give client_secret or client_secret_file, or use certificate_file or identity")
	case len(given) > 1:
		l.problem("source.entra", "has both "+given[0]+" and "+given[1], "keep one of them")
	}
	const where = "it stands on the app registration's Overview page"
	l.guid("source.entra.tenant_id", e.TenantID, true, "write the Directory (tenant) ID; "+where)
	needed := e.Identity != "managed" && e.Identity != "default"
	l.guid("source.entra.client_id", e.ClientID, needed, "write the Application (client) ID; "+where)
	l.guid("source.entra.app_id", e.AppID, l.cfg.Scope.Mode == connectors.ScopeAssigned,
		"write the Application ID of the enterprise application (not its Object ID), which scope.mode assigned needs")
	l.onlyFor(connectors.ScopeAssigned, "source.entra.app_id", e.AppID != "")
	if e.Nested && l.cfg.Scope.Mode == connectors.ScopeAll && len(l.cfg.Groups.Push) == 0 {
		l.problem("source.entra.nested", "has no meaning for scope.mode all without groups to push", "remove it, or list groups in groups.push")
	}
	for path, text := range map[string]string{"graph_url": e.GraphURL, "authority_url": e.AuthorityURL} {
		u, err := url.Parse(text)
		switch path = "source.entra." + path; {
		case text == "":
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			l.problem(path, "is no plain web address", "write it as https://host/path, or remove the line")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			l.problem(path, "is not https", "write https://")
		}
	}
	e.TenantID, e.AppID = strings.ToLower(e.TenantID), strings.ToLower(e.AppID)
}

func (l *loader) guid(path, text string, needed bool, remedy string) {
	switch {
	case text == "" && needed:
		l.problem(path, "is missing", remedy)
	case text != "" && !guid.MatchString(text):
		l.problem(path, fmt.Sprintf("is %q, which is no GUID", text), remedy)
	}
}
