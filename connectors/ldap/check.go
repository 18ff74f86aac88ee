package ldap

import (
	"context"
	"fmt"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Check signs in at every server and tries at the first whatever Fetch and Lookup are going to need. The people are
// listed to the end, for a size limit does not show before.
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
	var l *link
	for _, s := range c.servers {
		try("sign in to "+s.url, func() (string, error) {
			opened, err := c.open(ctx, s)
			if err != nil {
				return "", err
			}
			if l == nil {
				l = opened
			} else {
				opened.close()
			}
			return c.describe(s), nil
		})
	}
	if l == nil {
		return checks
	}
	defer l.close()
	var p profile
	known := try("recognise the kind of directory", func() (detail string, err error) {
		p, err = c.profileOf(ctx, l)
		return fmt.Sprintf("%s, ids in %s", p.flavor, p.names.ID), err
	})
	if !known {
		return checks
	}
	var people []person
	read := try("read all people", func() (_ string, err error) {
		people, err = c.readUsers(ctx, l, p)
		disabled := 0
		for _, u := range people {
			if u.Status == connectors.StatusDisabled {
				disabled++
			}
		}
		return fmt.Sprintf("%d people, %d of them disabled", len(people), disabled), err
	})
	if !read { // on a listing that broke off the connection is of no more use
		l.close()
		again, err := c.open(ctx, l.server)
		if err != nil {
			return checks
		}
		defer again.close()
		l = again
	}
	if wantsGroups(c.opts.Query) {
		var wanted []group
		try("find the groups of the scope and to push", func() (_ string, err error) {
			wanted, err = c.listGroups(ctx, l, p)
			return fmt.Sprintf("%d groups", len(wanted)), err
		})
		if len(wanted) > 0 {
			try("read the members of group "+wanted[0].Name, func() (string, error) {
				members, _, err := c.Members(ctx, wanted[0].ID)
				return fmt.Sprintf("%d members", len(members)), err
			})
		}
	}
	if len(people) > 0 {
		try("look up one person", func() (string, error) {
			id := people[0].ID
			found, err := c.Lookup(ctx, id)
			if err == nil && !found.Known {
				err = fmt.Errorf("ldap: user %s was listed and cannot be looked up (give the reader the right to search for %s below %s)",
					id, p.names.ID, c.places.base.text)
			}
			return string(id), err
		})
	}
	return checks
}

// describe says how the connection is protected.
func (c *Connector) describe(s server) string {
	switch {
	case s.tls:
		return "as " + c.opts.BindDN + ", by TLS"
	case c.opts.StartTLS:
		return "as " + c.opts.BindDN + ", by STARTTLS"
	}
	return "as " + c.opts.BindDN + ", not encrypted"
}
