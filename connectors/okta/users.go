package okta

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	sdk "github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// The pages asked for. Okta does not say whether embedding the person lowers the 500 that an app's users allow, so a
// refusal of the first page is answered by asking for the default of 50.
const (
	appUserPage      = 500
	appUserPageSmall = 50
	userPage         = 200
)

// readUsers lists the people of modes assigned and all.
func (c *Connector) readUsers(ctx context.Context) ([]connectors.User, error) {
	if c.query.Mode == connectors.ScopeAll {
		return c.readAll(ctx)
	}
	users, err := c.readAssigned(ctx, appUserPage)
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Status == http.StatusBadRequest {
		c.log.Debug("okta refuses the page size", "limit", appUserPage, "next", appUserPageSmall)
		return c.readAssigned(ctx, appUserPageSmall)
	}
	return users, err
}

func (c *Connector) readAll(ctx context.Context) ([]connectors.User, error) {
	var users []connectors.User
	err := list(ctx, "listing the users", func() ([]*sdk.User, *sdk.Response, error) {
		return c.client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(userPage)))
	}, func(u *sdk.User) string { return u.Id }, func(u *sdk.User) error {
		person, err := c.neutralUser(recordOf(u))
		users = append(users, person)
		return err
	})
	return users, err
}

func (c *Connector) readAssigned(ctx context.Context, limit int64) ([]connectors.User, error) {
	var users []connectors.User
	err := list(ctx, "listing the users of app "+c.appID, func() ([]*sdk.AppUser, *sdk.Response, error) {
		return c.client.Application.ListApplicationUsers(ctx, url.PathEscape(c.appID),
			query.NewQueryParams(query.WithLimit(limit), query.WithExpand("user")))
	}, func(u *sdk.AppUser) string { return u.Id }, func(u *sdk.AppUser) error {
		person, err := c.assignedUser(u)
		users = append(users, person)
		return err
	})
	return users, err
}

// assignedUser takes the person from the embedded Okta user: the app's own profile has the names of its template.
func (c *Connector) assignedUser(u *sdk.AppUser) (connectors.User, error) {
	embedded, _ := u.Embedded.(map[string]any)
	user, _ := embedded["user"].(map[string]any)
	r := record{}
	r.id, _ = user["id"].(string)
	r.status, _ = user["status"].(string)
	r.profile, _ = user["profile"].(map[string]any)
	if r.id != u.Id {
		return connectors.User{}, connectors.Damaged(vendor, "listing the users of app "+c.appID,
			"app user %s carries no embedded user of that id (grant okta.users.read or the Read-only Administrator role)", u.Id)
	}
	person, err := c.neutralUser(r)
	if err != nil {
		return connectors.User{}, err
	}
	c.assign(&person, u)
	return person, nil
}

// unassigned is the status of an assignment that is over.
const unassigned = "UNASSIGNED"

// assign adds to a person what their assignment to the app says.
func (c *Connector) assign(person *connectors.User, u *sdk.AppUser) {
	person.Assigned = u.Status != unassigned
	if slices.Contains(c.query.Attributes, AppUserName) {
		person.Attrs[AppUserName] = ""
		if u.Credentials != nil {
			person.Attrs[AppUserName] = u.Credentials.UserName
		}
	}
}

// A record is what both shapes of a person have in common.
type record struct {
	id, status string
	profile    map[string]any
}

func recordOf(u *sdk.User) record {
	r := record{id: u.Id, status: u.Status}
	if u.Profile != nil {
		r.profile = *u.Profile
	}
	return r
}

// statuses are Okta's user statuses. A locked or expired sign-in passes by itself, so it counts as active.
var statuses = map[string]connectors.Status{
	"ACTIVE":           connectors.StatusActive,
	"PASSWORD_EXPIRED": connectors.StatusActive,
	"LOCKED_OUT":       connectors.StatusActive,
	"RECOVERY":         connectors.StatusActive,
	"PROVISIONED":      connectors.StatusActive,
	"STAGED":           connectors.StatusStaged,
	"SUSPENDED":        connectors.StatusDisabled,
	"DEPROVISIONED":    connectors.StatusDisabled,
}

func (c *Connector) neutralUser(r record) (connectors.User, error) {
	status, ok := statuses[r.status]
	if !ok {
		return connectors.User{}, fmt.Errorf("okta: user %s has the unknown status %q, so nothing was concluded", r.id, r.status)
	}
	if r.profile == nil {
		return connectors.User{}, connectors.Damaged(vendor, "reading user "+r.id, "the user has no profile")
	}
	p := profile{id: r.id, values: r.profile}
	u := connectors.User{
		ID:             connectors.UserID(r.id),
		UserName:       p.text("login"),
		Email:          p.text("email"),
		GivenName:      p.text("firstName"),
		FamilyName:     p.text("lastName"),
		DisplayName:    p.text("displayName"),
		Nickname:       p.text("nickName"),
		Department:     p.text("department"),
		Title:          p.text("title"),
		Company:        p.text("organization"),
		EmployeeNumber: p.text("employeeNumber"),
		EmployeeType:   p.text("userType"),
		Status:         status,
		StatusDetail:   r.status,
	}
	if u.DisplayName == "" {
		u.DisplayName = strings.TrimSpace(u.GivenName + " " + u.FamilyName)
	}
	if v := p.text("mobilePhone"); v != "" {
		u.Phones = append(u.Phones, connectors.Phone{Type: "mobile", Value: v})
	}
	if v := p.text("primaryPhone"); v != "" {
		u.Phones = append(u.Phones, connectors.Phone{Type: "work", Value: v})
	}
	if len(c.query.Attributes) > 0 {
		u.Attrs = make(map[string]string, len(c.query.Attributes))
		for _, name := range c.query.Attributes {
			u.Attrs[name] = p.any(name)
		}
	}
	if p.err != nil {
		return connectors.User{}, p.err
	}
	return u, nil
}

// A profile reads values by Okta's names and keeps the first complaint.
type profile struct {
	id     string
	values map[string]any
	err    error
}

// text reads a value that has to be a string; absent and null are "".
func (p *profile) text(name string) string {
	switch v := p.values[name].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		p.complain(name, v)
		return ""
	}
}

// any reads a string, number, boolean or a list of those, joined by commas.
func (p *profile) any(name string) string {
	list, ok := p.values[name].([]any)
	if !ok {
		return p.scalar(name, p.values[name])
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = p.scalar(name, v)
	}
	return strings.Join(texts, ",")
}

func (p *profile) scalar(name string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		p.complain(name, v)
		return ""
	}
}

func (p *profile) complain(name string, v any) {
	if p.err == nil {
		p.err = fmt.Errorf("okta: user %s: profile.%s is a %s, not text", p.id, name, jsonKind(v))
	}
}

func jsonKind(v any) string {
	switch v.(type) {
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "list"
	default:
		return "object"
	}
}
