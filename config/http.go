package config

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// DefaultHTTPListen is where the status page is unless the configuration says otherwise: nobody but this machine reaches it.
const DefaultHTTPListen = "127.0.0.1:8080"

// HTTP is the daemon's status page and API, and who may see them.
type HTTP struct {
	Listen    string    `json:"listen" doc:"Where the status page, the API and the metrics are; '' switches them off. On loopback nobody signs in; any other address needs a token or oidc."`
	PublicURL string    `json:"public_url,omitzero" doc:"How people reach the page, for logins and for the links of notifications, such as https://sync.acme.com."`
	Token     Secret    `json:"token,omitzero" doc:"The bearer token of programs, at least 24 characters; with it, or with oidc, nothing is shown to whoever has neither."`
	TokenFile string    `json:"token_file,omitzero" doc:"A file with the token."`
	TokenRole Role      `json:"token_role,omitzero" enum:"viewer,approver" doc:"What the token may do: viewer, the default, looks; approver also approves and begins cycles."`
	CertFile  string    `json:"cert_file,omitzero" doc:"PEM certificates to serve the page over TLS with."`
	KeyFile   string    `json:"key_file,omitzero" doc:"The PEM private key of the certificate."`
	OIDC      *HTTPOIDC `json:"oidc,omitzero" doc:"How people sign in: OpenID Connect."`
}

// HTTPOIDC is an issuer of OpenID Connect and who of its people may do what. An approver may look as well.
type HTTPOIDC struct {
	Issuer           string   `json:"issuer" required:"true" doc:"The issuer's address, below which /.well-known/openid-configuration is."`
	ClientID         string   `json:"client_id" required:"true" doc:"The client that was registered there, with public_url and /login/callback as its redirect address."`
	ClientSecret     Secret   `json:"client_secret,omitzero" doc:"The client's secret; a public client has none."`
	ClientSecretFile string   `json:"client_secret_file,omitzero" doc:"A file with the client's secret."`
	Scopes           []string `json:"scopes,omitzero" doc:"Scopes to ask for beside openid. The default is email and profile."`
	GroupsClaim      string   `json:"groups_claim,omitzero" doc:"The claim of the ID token that lists a person's groups. The default is groups."`
	AllowedGroups    []string `json:"allowed_groups,omitzero" doc:"Groups whose people may look."`
	AllowedEmails    []string `json:"allowed_emails,omitzero" doc:"Addresses that may look, if the issuer has verified them (* matches anything)."`
	ApproverGroups   []string `json:"approver_groups,omitzero" doc:"Groups whose people may also approve and begin cycles."`
	ApproverEmails   []string `json:"approver_emails,omitzero" doc:"Addresses that may also approve and begin cycles, if the issuer has verified them."`
	CAFile           string   `json:"ca_file,omitzero" doc:"PEM certificates of a private authority to trust beside the system's."`
}

// Role is what the token may do.
type Role string

// The roles.
const (
	RoleViewer   Role = "viewer"
	RoleApprover Role = "approver"
)

// httpPaths makes sure of oidc if it is named, and lists the paths below http.
func (l *loader) httpPaths() []*string {
	h := &l.cfg.HTTP
	if _, named := l.origins["http.oidc"]; named && h.OIDC == nil {
		h.OIDC = &HTTPOIDC{}
	}
	paths := []*string{&h.TokenFile, &h.CertFile, &h.KeyFile}
	if h.OIDC != nil {
		paths = append(paths, &h.OIDC.ClientSecretFile, &h.OIDC.CAFile)
	}
	return paths
}

// minToken is too long to be guessed.
const minToken = 24

// http completes the section http and checks it.
func (l *loader) http() {
	h := &l.cfg.HTTP
	l.secret("http.token", &h.Token, h.TokenFile, "")
	if h.Listen == "" {
		l.unserved(*h)
		return
	}
	if !listenAddress(h.Listen) {
		l.problem("http.listen", "is no address to listen on", `write 127.0.0.1:8080, :8443, or "" for no page`)
		return
	}
	token := !h.Token.IsZero() || h.TokenFile != ""
	host, _, _ := net.SplitHostPort(h.Listen)
	switch {
	case !loopback(host) && !token && h.OIDC == nil:
		l.problem("http.listen", "can be reached by others, and nobody has to say who they are", "write 127.0.0.1:8080, or give http.token_file or http.oidc")
	case !h.Token.IsZero() && len(h.Token.Reveal()) < minToken:
		l.problem("http.token", "is shorter than 24 characters", "make one with openssl rand -hex 32")
	case h.TokenRole != "" && !token:
		l.problem("http.token_role", "has no meaning without a token", "give http.token_file, or remove it")
	}
	if (h.CertFile == "") != (h.KeyFile == "") {
		l.problem("http.cert_file", "and http.key_file belong together, and one of them is missing", "give both, or neither")
	}
	if h.PublicURL != "" {
		l.publicURL(h)
	}
	if h.OIDC != nil {
		l.oidc(h)
	}
}

// unserved refuses what would have no effect.
func (l *loader) unserved(h HTTP) {
	switch {
	case !h.Token.IsZero() || h.TokenFile != "":
		l.problem("http.token", `has no meaning while http.listen is ""`, "give http.listen an address, or remove it")
	case h.OIDC != nil:
		l.problem("http.oidc", `has no meaning while http.listen is ""`, "give http.listen an address, or remove it")
	}
}

func (l *loader) publicURL(h *HTTP) {
	const path = "http.public_url"
	u, err := url.Parse(h.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.problem(path, "is no web address", "write one such as https://sync.acme.com")
	case strings.Trim(u.Path, "/") != "":
		l.problem(path, "has a path: the page is at the root of its host", "write the host alone, such as https://sync.acme.com")
	}
	h.PublicURL = strings.TrimRight(h.PublicURL, "/")
}

func (l *loader) oidc(h *HTTP) {
	o := h.OIDC
	l.secret("http.oidc.client_secret", &o.ClientSecret, o.ClientSecretFile, "")
	if o.CAFile != "" {
		l.authorities("http.oidc.ca_file", o.CAFile)
	}
	if o.Issuer == "" {
		l.problem("http.oidc.issuer", "is missing", "write the issuer's address, such as https://acme.okta.com")
	} else {
		l.webAddress("http.oidc.issuer", o.Issuer, "write the issuer's address, such as https://acme.okta.com")
	}
	if o.ClientID == "" {
		l.problem("http.oidc.client_id", "is missing", "write the id of the client that is registered at the issuer")
	}
	if u, err := url.Parse(h.PublicURL); h.PublicURL == "" || err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		l.problem("http.public_url", "must be an https address for people to sign in", "write how browsers reach the page, such as https://sync.acme.com")
	}
	if len(o.AllowedGroups)+len(o.AllowedEmails)+len(o.ApproverGroups)+len(o.ApproverEmails) == 0 {
		l.problem("http.oidc.allowed_groups", "is missing: nobody could look", "list groups or e-mails, as allowed_… or approver_…")
	}
	for path, list := range map[string][]string{"http.oidc.allowed_emails": o.AllowedEmails, "http.oidc.approver_emails": o.ApproverEmails} {
		wrong := func(text string) bool {
			_, err := connectors.ParsePattern(text)
			return err != nil || !strings.Contains(text, "@")
		}
		if slices.ContainsFunc(list, wrong) {
			l.problem(path, "has an entry that is no e-mail address", "write addresses, or *@acme.com for all of a domain")
		}
	}
}
