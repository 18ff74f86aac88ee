package rippling

import (
	"context"
	"fmt"
	"net/url"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Check tries with small requests whatever Fetch and Lookup are going to need, each permission by itself.
func (c *Connector) Check(ctx context.Context) []connectors.Check {
	var checks []connectors.Check
	try := func(name string, f func() (detail string, err error)) {
		detail, err := f()
		if err != nil {
			detail = ""
		}
		checks = append(checks, connectors.Check{Name: name, Detail: detail, Err: err})
	}
	var someone string // whom to look up
	try("read the users", func() (string, error) {
		p, err := onePage(ctx, c.client, userListing, url.Values{}, (*user).common)
		if err != nil {
			return "", err
		}
		if len(*p.Results) > 0 {
			someone = (*p.Results)[0].ID
		}
		return fmt.Sprintf("at least %d", len(*p.Results)), nil
	})
	try("read the workers", func() (string, error) {
		p, err := onePage(ctx, c.client, workerListing, url.Values{}, (*worker).common)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("at least %d", len(*p.Results)), nil
	})
	var found staff
	whole := true // found holds every unit there is
	try("read the departments", func() (detail string, err error) {
		found.departments, err = c.units(ctx, departmentListing)
		whole = err == nil
		return fmt.Sprintf("%d departments", len(found.departments)), err
	})
	if c.opts.Groups != GroupDepartments && c.wantsGroups() {
		try("read the teams", func() (detail string, err error) {
			found.teams, err = c.units(ctx, teamListing)
			whole = whole && err == nil
			return fmt.Sprintf("%d teams", len(found.teams)), err
		})
	}
	if c.wantsGroups() && whole {
		try("find the groups of the scope and to push", func() (string, error) {
			found.units = c.groupUnits(found)
			groups, err := c.wanted(found)
			return fmt.Sprintf("%d groups", len(groups)), err
		})
	}
	if someone != "" {
		try("look up one person", func() (string, error) {
			_, err := c.readUser(ctx, someone)
			if noSuch(err) {
				err = fmt.Errorf("rippling: user %s was listed and cannot be looked up (let the API token see every user)", someone)
			}
			return someone, err
		})
	}
	return checks
}
