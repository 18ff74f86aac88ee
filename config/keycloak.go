package config

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Keycloak is a realm of a Keycloak server and the client whose service account reads it.
type Keycloak struct {
	URL              string   `json:"url" required:"true" doc:"The server's address, such as https://sso.acme.com; with /auth at its end for a server before Keycloak 17."`
	Realm            string   `json:"realm" required:"true" doc:"The realm, by its name."`
	ClientID         string   `json:"client_id" required:"true" doc:"The Client ID of the client whose service account reads."`
	ClientSecret     Secret   `json:"client_secret,omitzero" doc:"That client's secret. KEYCLOAK_CLIENT_SECRET is used when no credentials are given."`
	ClientSecretFile string   `json:"client_secret_file,omitzero" doc:"A file with the client secret."`
	Client           string   `json:"client,omitzero" doc:"The Client ID of the client whose roles are the scope, for scope.mode assigned."`
	Roles            []string `json:"roles,omitzero" doc:"The roles of client that count. The default is any of them."`
	Nested           bool     `json:"nested,omitzero" doc:"Counts the members of sub-groups as members of the groups above them too."`
	CAFile           string   `json:"ca_file,omitzero" doc:"PEM certificates of a private authority to trust beside the system's."`
}

func (l *loader) keycloak(k *Keycloak) {
	l.keycloakURL(k)
	const realm = "write its name; it stands in the address of its admin console: /admin/acme/console"
	switch {
	case k.Realm == "":
		l.problem("source.keycloak.realm", "is missing", realm)
	case strings.ContainsAny(k.Realm, "/?#"):
		l.problem("source.keycloak.realm", "is no realm's name", realm)
	}
	if k.ClientID == "" {
		l.problem("source.keycloak.client_id", "is missing", "write the Client ID of the client whose service account reads")
	}
	if k.ClientSecret.IsZero() && k.ClientSecretFile == "" {
		l.problem("source.keycloak.client_secret", "is missing", "set KEYCLOAK_CLIENT_SECRET, or give client_secret or client_secret_file")
	}
	mode := l.cfg.Scope.Mode
	if mode == connectors.ScopeAssigned && k.Client == "" {
		l.problem("source.keycloak.client", "is missing, and scope.mode assigned needs it", "write the Client ID of the client whose roles people are given")
	}
	l.onlyFor(connectors.ScopeAssigned, "source.keycloak.client", k.Client != "")
	l.onlyFor(connectors.ScopeAssigned, "source.keycloak.roles", len(k.Roles) > 0)
	for i, role := range k.Roles {
		if strings.TrimSpace(role) == "" {
			l.problem(fmt.Sprintf("source.keycloak.roles[%d]", i), "is empty", "write a role's name, or remove it")
		}
	}
	if k.Nested && mode != "" && mode != connectors.ScopeGroups && len(l.cfg.Groups.Push) == 0 {
		l.problem("source.keycloak.nested", "has no meaning for scope.mode "+string(mode)+" without groups to push", "remove it, or list groups in groups.push")
	}
	for path, list := range map[string][]string{"scope.groups": l.cfg.Scope.Groups, "groups.push": l.cfg.Groups.Push} {
		for i, name := range list {
			if rest, ok := strings.CutPrefix(name, "/"); ok {
				l.problem(fmt.Sprintf("%s[%d]", path, i), "begins with a slash", "write the group's path without it: "+rest)
			}
		}
	}
	if k.CAFile != "" {
		l.authorities("source.keycloak.ca_file", k.CAFile)
	}
}

func (l *loader) keycloakURL(k *Keycloak) {
	const path, remedy = "source.keycloak.url", "write the server's address, such as https://sso.acme.com; the realm is a key of its own"
	u, err := url.Parse(k.URL)
	switch {
	case k.URL == "":
		l.problem(path, "is missing", remedy)
		return
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.problem(path, "is no plain web address", remedy)
		return
	case strings.Contains(u.Path+"/", "/realms/") || strings.Contains(u.Path+"/", "/admin/"):
		l.problem(path, "leads into the server", remedy)
	case u.Scheme == "http" && !loopback(u.Hostname()):
		l.problem(path, "is not https", "write https://")
	}
	k.URL = strings.TrimRight(k.URL, "/")
}
