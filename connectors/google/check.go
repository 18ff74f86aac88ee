package google

import (
	"context"
	"fmt"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Check tries with small requests whatever Fetch and Lookup are going to need, each permission by itself.
func (c *Connector) Check(ctx context.Context) []connectors.Check {
	var checks []connectors.Check
	try := func(name string, f func() (detail string, err error)) bool {
		var detail string
		err := recovered(func() (err error) {
			detail, err = f()
			return err
		})()
		if err != nil {
			detail = ""
		}
		checks = append(checks, connectors.Check{Name: name, Detail: detail, Err: err})
		return err == nil
	}
	signedIn := try("sign in", func() (string, error) {
		if _, err := c.rt.auth.token(ctx, c.rt.send); err != nil {
			return "", err
		}
		return c.rt.auth.describe(), nil
	})
	if !signedIn {
		return checks
	}
	var someone string // whom to look up
	for _, query := range c.queries() {
		try(strings.TrimSpace("read the users "+query), func() (string, error) {
			call := c.svc.Users.List().Customer(c.customer).MaxResults(1)
			if query != "" {
				call.Query(query)
			}
			got, err := call.Fields("kind", "nextPageToken", field("users", c.fields())).Context(ctx).Do()
			if err != nil {
				return "", plain("listing the users", err)
			}
			if len(got.Users) == 0 {
				return "nobody is there", nil
			}
			someone = got.Users[0].Id
			return "at least one person", nil
		})
	}
	if wantsGroups(c.opts.Query) {
		var wanted []group
		try("find the groups of the scope and to push", func() (_ string, err error) {
			_, wanted, err = c.findGroups(ctx)
			return fmt.Sprintf("%d groups", len(wanted)), err
		})
		if len(wanted) > 0 {
			try("read the members of group "+wanted[0].Name, func() (string, error) {
				got, err := c.svc.Members.List(string(wanted[0].ID)).MaxResults(1).Fields("kind", "nextPageToken", "members(id,type)").Context(ctx).Do()
				if err != nil {
					return "", plain("listing the members of group "+string(wanted[0].ID), err)
				}
				return fmt.Sprintf("at least %d members", len(got.Members)), nil
			})
		}
	}
	if someone != "" {
		try("look up one person", func() (string, error) {
			found, err := c.Lookup(ctx, connectors.UserID(someone))
			if err == nil && !found.Known {
				err = fmt.Errorf("google: user %s was listed and cannot be looked up (give the administrator role the privilege "+
					"Users > Read for the whole organization)", someone)
			}
			return someone, err
		})
	}
	return append(checks, connectors.Check{
		Name:   "only one sync writes to Rootly",
		Detail: "make sure that Rootly's own Google Directory Sync is off, or the two undo each other's work; it cannot be seen from here",
	})
}

// queries are the searches that reading the people takes.
func (c *Connector) queries() []string {
	if c.opts.Query.Mode != connectors.ScopeOrgUnits {
		return []string{c.opts.UserQuery}
	}
	var out []string
	for _, path := range c.units.paths {
		out = append(out, unitQuery(path, c.opts.UserQuery))
	}
	return out
}

// describe says who is signed in.
func (s *signIn) describe() string {
	switch {
	case s.account == "":
		return "by the application default credentials"
	case s.subject == "":
		return "as " + s.account
	}
	return "as " + s.subject + ", by " + s.account
}
