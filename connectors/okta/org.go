package okta

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// adminSuffixes are Okta's own domains, on which acme-admin is the Admin Console of acme.
var adminSuffixes = []string{"okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com", "okta.mil"}

func parseOrgURL(s string, allowHTTP bool) (*url.URL, error) {
	trimmed := strings.TrimRight(strings.TrimSpace(s), "/")
	if trimmed == "" {
		return nil, errors.New("okta: the org URL is missing (write it as https://acme.okta.com)")
	}
	u, err := url.Parse(trimmed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("okta: org URL %q: it cannot be read (write it as https://acme.okta.com)", s)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("okta: org URL %q is not a full address (write it as https://acme.okta.com)", s)
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		// The SDK doubles a path prefix from page two on.
		return nil, fmt.Errorf("okta: org URL %s has more than a host (write https://%s)", u.Redacted(), u.Host)
	case u.Scheme == "http" && !allowHTTP && !wire.Loopback(u.Hostname()):
		return nil, fmt.Errorf("okta: org URL %q is not https, so the token would be readable on the way", s)
	}
	u.Host = strings.ToLower(u.Host)
	label, domain, _ := strings.Cut(u.Hostname(), ".")
	if org, ok := strings.CutSuffix(label, "-admin"); ok && slices.Contains(adminSuffixes, domain) {
		return nil, fmt.Errorf("okta: org URL %q is the Admin Console (write https://%s.%s)", s, org, domain)
	}
	return u, nil
}
