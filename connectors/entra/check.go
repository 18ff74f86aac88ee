//go:build !noentra

package entra

import (
	"context"
	"errors"
	"fmt"

	"github.com/microsoftgraph/msgraph-sdk-go/models"

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
	if !try("sign in to tenant "+c.tenant, func() (string, error) { return c.checkSignIn(ctx) }) {
		return checks // whatever comes now would fail for the same reason
	}
	var someone connectors.UserID // whom to look up
	if c.query.Mode != connectors.ScopeGroups {
		try("read the users ("+rightUsers+")", func() (detail string, err error) {
			someone, err = c.firstUser(ctx)
			return "at least one person", err
		})
	}
	if c.query.Mode == connectors.ScopeAssigned {
		try("read the assignments of app "+c.appID+" ("+rightApps+")", func() (string, error) { return c.checkAssigned(ctx) })
	}
	var found []connectors.Group
	if len(c.scope) > 0 || len(c.query.Push) > 0 {
		try("find the groups of the scope and to push ("+rightGroups+")", func() (detail string, err error) {
			found, err = c.findGroups(ctx, func(connectors.GroupID) {})
			return fmt.Sprintf("%d groups", len(found)), err
		})
	}
	if len(found) > 0 {
		try("read the members of group "+found[0].Name+" ("+rightGroups+")", func() (detail string, err error) {
			member, detail, err := c.firstMember(ctx, found[0].ID)
			if member != "" {
				someone = member
			}
			return detail, err
		})
	}
	if someone != "" {
		try("look up one person ("+rightUsers+", "+rightGroups+")", func() (string, error) {
			found, err := c.Lookup(ctx, someone)
			if err == nil && !found.Known {
				err = fmt.Errorf("entra: user %s was listed and cannot be looked up (run again; they may have been deleted meanwhile)", someone)
			}
			return string(someone), err
		})
	}
	return checks
}

// checkSignIn gets a token and looks at the clock meanwhile: a clock that is off works until a certificate or a
// federated token signs in, and then fails for no visible reason.
func (c *Connector) checkSignIn(ctx context.Context) (string, error) {
	if _, err := c.rt.auth.bearer(ctx); err != nil {
		return "", err
	}
	if off := c.rt.clock(); off != "" {
		return "", errors.New("entra: the clocks differ" + off)
	}
	return "the clocks agree", nil
}

func (c *Connector) firstUser(ctx context.Context) (connectors.UserID, error) {
	step := "listing the users"
	p, err := c.graph.users(1, c.personSelect())(ctx, "")
	if err != nil {
		return "", connectors.AtStep(vendor, step, err)
	}
	if len(p.GetValue()) == 0 {
		return "", connectors.Damaged(vendor, step, nobodyListed)
	}
	u, err := c.neutralUser(p.GetValue()[0])
	if err == nil {
		err = checkKnown(u)
	}
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

func (c *Connector) checkAssigned(ctx context.Context) (string, error) {
	id, err := c.principalID(ctx)
	if err != nil {
		return "", err
	}
	p, err := c.graph.assignedTo(id, 1)(ctx, "")
	if err != nil {
		return "", connectors.AtStep(vendor, "listing who is assigned to the enterprise application", err)
	}
	if len(p.GetValue()) == 0 {
		return "nobody is assigned (Users and groups on the enterprise application's page)", nil
	}
	return "at least one assignment", nil
}

// firstMember asks for a few members of a group and returns one who is a person.
func (c *Connector) firstMember(ctx context.Context, id connectors.GroupID) (connectors.UserID, string, error) {
	p, err := c.graph.members(string(id), 20, []string{"id"})(ctx, "")
	if err != nil {
		return "", "", connectors.AtStep(vendor, "listing the members of group "+string(id), err)
	}
	for _, o := range p.GetValue() {
		if u, ok := o.(models.Userable); ok {
			return connectors.UserID(text(u.GetId())), "at least one person", nil
		}
	}
	if len(p.GetValue()) == 0 {
		return "", "nobody", c.checkNotHidden(ctx, id)
	}
	return "", "no people", nil
}
