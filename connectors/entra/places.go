//go:build !noentra

package entra

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// Cloud is one of Microsoft's clouds, which share neither tenants nor addresses.
type Cloud string

// The clouds.
const (
	CloudPublic Cloud = "public"
	CloudUSGov  Cloud = "usgov" // GCC High; for DoD set GraphURL to https://dod-graph.microsoft.us/v1.0
	CloudChina  Cloud = "china" // operated by 21Vianet
)

// addresses are where each cloud's Graph and authority are.
var addresses = map[Cloud]struct{ graph, authority string }{
	CloudPublic: {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
	CloudUSGov:  {"https://graph.microsoft.us", "https://login.microsoftonline.us"},
	CloudChina:  {"https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"},
}

// resources are the addresses that Graph's tokens are for.
var resources = []string{
	"https://graph.microsoft.com", "https://graph.microsoft.us", "https://dod-graph.microsoft.us",
	"https://microsoftgraph.chinacloudapi.cn",
}

// places are where requests go.
type places struct {
	graph     *url.URL // "https://graph.microsoft.com/v1.0"
	authority *url.URL
	scope     string // what tokens are asked for
	private   bool   // the authority is not one of Microsoft's known ones
}

func placesOf(o Options) (places, error) {
	var errs []error
	if _, err := uuid.Parse(o.TenantID); err != nil || len(o.TenantID) != 36 {
		errs = append(errs, fmt.Errorf("entra: the tenant id %q is not a GUID (it is the Directory (tenant) ID on the "+
			"Overview page of the Entra admin center)", o.TenantID))
	}
	if o.Cloud == "" {
		o.Cloud = CloudPublic
	}
	known, ok := addresses[o.Cloud]
	if !ok {
		errs = append(errs, fmt.Errorf("entra: cloud %q is not one of public, usgov, china", o.Cloud))
		known = addresses[CloudPublic]
	}
	p := places{scope: known.graph + "/.default", private: o.AuthorityURL != ""}
	var err error
	if p.graph, err = address("Graph URL", o.GraphURL, known.graph+"/v1.0"); err != nil {
		errs = append(errs, err)
	} else if resource := p.graph.Scheme + "://" + p.graph.Host; slices.Contains(resources, resource) {
		p.scope = resource + "/.default"
	}
	if p.authority, err = address("authority URL", o.AuthorityURL, known.authority); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return places{}, errors.Join(errs...)
	}
	return p, nil
}

// address reads an address that the operator gave, or else the usual one.
func address(what, given, usual string) (*url.URL, error) {
	text := strings.TrimRight(strings.TrimSpace(given), "/")
	if text == "" {
		text = usual
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("entra: the %s %q is not a full address (the usual one is %s)", what, given, usual)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("entra: the %s %s has more than a host and a path (the usual one is %s)", what, u.Redacted(), usual)
	case u.Scheme == "http" && !wire.Loopback(u.Hostname()):
		return nil, fmt.Errorf("entra: the %s %q is not https, so the token would be readable on the way", what, given)
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}
