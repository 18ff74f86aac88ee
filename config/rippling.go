package config

import (
	"net/url"
	"regexp"
	"strings"
)

// Rippling is a company at Rippling.
type Rippling struct {
	Company      string `json:"company" required:"true" doc:"A lasting name of the company; the ledger is bound to it, for nothing in a token says whose it is."`
	APIToken     Secret `json:"api_token,omitzero" doc:"An API token that reads users, workers, departments and teams. RIPPLING_API_TOKEN is used when neither api_token nor api_token_file is given."`
	APITokenFile string `json:"api_token_file,omitzero" doc:"A file with the API token."`
	Groups       string `json:"groups,omitzero" enum:"teams,departments,both" doc:"What counts as a group; teams is the default."`
	Nested       bool   `json:"nested,omitzero" doc:"Counts the people of teams and departments within another one as its members too."`
	BaseURL      string `json:"base_url,omitzero" doc:"Another address than https://rest.ripplingapis.com; https, or http on loopback."`
	APIVersion   string `json:"api_version,omitzero" doc:"Another version of the API than 2024-08-01, a date."`
}

var apiVersion = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

func (l *loader) rippling(r *Rippling) {
	if strings.TrimSpace(r.Company) == "" {
		l.problem("source.rippling.company", "is missing", "write a name of the company that is going to stay, such as acme")
	}
	if r.APIToken.IsZero() && r.APITokenFile == "" {
		l.problem("source.rippling.api_token", "is missing", "set RIPPLING_API_TOKEN, or give api_token or api_token_file")
	}
	if r.APIVersion != "" && !apiVersion.MatchString(r.APIVersion) {
		l.problem("source.rippling.api_version", "is no date", "write it as 2024-08-01, or remove the line")
	}
	l.nests("source.rippling.nested", r.Nested)
	if r.BaseURL != "" {
		l.address("source.rippling.base_url", r.BaseURL)
	}
}

// nests refuses the nesting of groups where no group is read.
func (l *loader) nests(path string, given bool) {
	if given && l.cfg.Scope.Mode != "" && len(l.cfg.Scope.Groups)+len(l.cfg.Groups.Push) == 0 {
		l.problem(path, "has no meaning without groups", "remove it, or list groups in scope.groups or groups.push")
	}
}

// address checks the web address of a directory.
func (l *loader) address(path, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		l.problem(path, "is no plain web address", "write it as https://host/path")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		l.problem(path, "is not https", "write https://")
	}
}
