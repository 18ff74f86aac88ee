package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/config"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// complain says what went wrong and what to do next. It is the one place where a run's error is printed.
func (a *app) complain(err error) {
	if ps, ok := errors.AsType[config.Problems](err); ok {
		fmt.Fprintf(a.Err, "The configuration has %s:\n", plural(len(ps), "problem", "problems"))
		for _, p := range ps {
			fmt.Fprintf(a.Err, "  ✗ %s\n", reconcile.Visible(p.Error()))
		}
		return
	}
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			line = "Error: " + line
		}
		fmt.Fprintln(a.Err, reconcile.Visible(line))
	}
	if r := remedy(err); r != "" {
		fmt.Fprintf(a.Err, "  → %s\n", r)
	}
}

const (
	remedyToken = "check target.token (or ROOTLY_SCIM_TOKEN): Rootly refuses it. A token is made in Rootly under Integrations > SSO > SCIM Token; " +
		"what arrived is listed under Integrations > SSO > SCIM Logs"
	remedyURL = "check target.url: Rootly's is https://rootly.com/scim, without /v2 and without a slash at the end; and that SSO is set up in Rootly " +
		"(Integrations > SSO). A list that is not found never means that there are no users, so nothing was concluded"
)

// remedy is what to do about an error that does not say so itself. Errors of the configuration, the store and the
// directories do.
func remedy(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted; run again when you are ready: what was done is recorded, the rest is planned anew"
	}
	if e, ok := errors.AsType[*scimclient.Error](err); ok {
		return remedyOfStatus(e)
	}
	if _, ok := errors.AsType[*scimclient.IncompleteError](err); ok {
		return "run again; if it stays so, look at Integrations > SSO > SCIM Logs in Rootly and report the line above to Rootly's support"
	}
	if _, ok := errors.AsType[*scimclient.UnknownError](err); ok {
		return "run again: the next cycle reads what became of it before anything is repeated"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("check the host name %s in the configuration, and that this machine can resolve it", e.Name)
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return "check the address in the configuration, the network, and HTTPS_PROXY if there is a proxy"
	}
	return ""
}

// remedyOfStatus adds to what the client itself says about an answer where that stands in Rootly and in the
// configuration.
func remedyOfStatus(e *scimclient.Error) string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return remedyToken
	case e.Status == http.StatusForbidden:
		return "the SCIM token is known and may not do this: make a new one in Rootly under Integrations > SSO > SCIM Token, " +
			"and look at Integrations > SSO > SCIM Logs"
	case e.Status == http.StatusNotFound:
		return remedyURL
	case e.Status >= 500:
		return "Rootly has trouble; run again later"
	}
	return "look at target.url, and at Integrations > SSO > SCIM Logs in Rootly"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
