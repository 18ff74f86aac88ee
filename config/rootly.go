package config

import (
	"net/url"
	"strings"
)

// rootlyAPI is the base of Rootly's REST API.
const rootlyAPI = "https://api.rootly.com"

// Rootly is Rootly's REST API, which knows what SCIM does not: who is on call. It also raises alerts.
type Rootly struct {
	APIKey     Secret `json:"api_key,omitzero" doc:"A key of Rootly's REST API; not the SCIM token. ROOTLY_API_KEY is used when neither api_key nor api_key_file is given."`
	APIKeyFile string `json:"api_key_file,omitzero" doc:"A file with the API key."`
	APIURL     string `json:"api_url" doc:"The address of the REST API; dedicated instances have another. ROOTLY_API_URL is used when it is not given."`
}

// rootly completes the section rootly and checks it. A missing key is no problem here: it is one of what needs it.
func (l *loader) rootly() {
	r := &l.cfg.Rootly
	if _, given := l.origins["rootly.api_url"]; !given {
		if text, _ := l.env("ROOTLY_API_URL"); text != "" {
			r.APIURL, l.origins["rootly.api_url"] = text, origin{env: "ROOTLY_API_URL"}
		}
	}
	l.secret("rootly.api_key", &r.APIKey, r.APIKeyFile, "ROOTLY_API_KEY")
	l.webAddress("rootly.api_url", r.APIURL, "write the address of the REST API; Rootly's is "+rootlyAPI)
	if u, err := url.Parse(r.APIURL); err == nil && (u.RawQuery != "" || u.ForceQuery || u.Fragment != "") {
		l.problem("rootly.api_url", "has something after the path", "remove it")
	}
	r.APIURL = strings.TrimSuffix(strings.TrimRight(r.APIURL, "/"), "/v1")
}

// webAddress checks an address that something secret is sent to. The address may be a secret itself and is not repeated.
func (l *loader) webAddress(path, text, remedy string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		l.problem(path, "is no web address", remedy)
	case u.User != nil:
		l.problem(path, "holds a user name or password", "remove it")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		l.problem(path, "is not https", "write https://")
	}
}
