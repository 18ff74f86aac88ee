package config

import (
	"net/url"
	"strings"
)

// SCIM is a directory that is a SCIM 2.0 server, and the way to sign in: a bearer token, or a user name and password.
type SCIM struct {
	URL          string `json:"url" required:"true" doc:"The SCIM base URL of the directory, the address above /Users; https, or http on loopback. It must not be target.url."`
	Token        Secret `json:"token,omitzero" doc:"A bearer token that reads users and groups. SCIM_SOURCE_TOKEN is used when no credentials are given."`
	TokenFile    string `json:"token_file,omitzero" doc:"A file with the bearer token."`
	Username     string `json:"username,omitzero" doc:"A user name for HTTP Basic, in place of a token."`
	Password     Secret `json:"password,omitzero" doc:"The password of username."`
	PasswordFile string `json:"password_file,omitzero" doc:"A file with the password."`
	Filter       string `json:"filter,omitzero" doc:"A filter of RFC 7644 that narrows the people in every mode, such as userType eq \"Employee\"."`
	Nested       bool   `json:"nested,omitzero" doc:"Counts the members of groups inside groups too."`
}

// basic tells whether any of the keys of HTTP Basic is given.
func (s *SCIM) basic() bool { return s.Username != "" || !s.Password.IsZero() || s.PasswordFile != "" }

func (l *loader) scim(s *SCIM) {
	token, password := !s.Token.IsZero() || s.TokenFile != "", !s.Password.IsZero() || s.PasswordFile != ""
	switch {
	case token && s.basic():
		l.problem("source.scim", "has both a token and a user name or password", "keep token, or username and password")
	case s.basic() && s.Username == "":
		l.problem("source.scim.username", "is missing beside the password", "write the user name")
	case s.basic() && !password:
		l.problem("source.scim.password", "is missing beside username", "give password or password_file")
	case !token && !s.basic():
		l.problem("source.scim.token", "is missing", "set SCIM_SOURCE_TOKEN, give token or token_file, or username and password")
	}
	l.nests("source.scim.nested", s.Nested)
	if s.URL == "" {
		l.problem("source.scim.url", "is missing", "write the SCIM base URL of the directory, the address above /Users")
		return
	}
	l.address("source.scim.url", s.URL)
	if sameServer(s.URL, l.cfg.Target.URL) {
		l.problem("source.scim.url", "is target.url, so this sync would write onto the directory it reads", "give the directory's own SCIM address")
	}
}

// sameServer tells whether two SCIM base URLs lead to one place: the names of loopback, letter case, the usual port and
// slashes at the end aside.
func sameServer(a, b string) bool { return a != "" && serverOf(a) == serverOf(b) }

func serverOf(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if loopback(host) {
		host = "localhost"
	}
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return host + ":" + port + "/" + strings.Trim(u.EscapedPath(), "/")
}
