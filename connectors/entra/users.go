//go:build !noentra

package entra

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/microsoftgraph/msgraph-sdk-go/models"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// userProperties are what every person is read with. Without naming them Graph leaves accountEnabled out.
var userProperties = []string{
	"id", "userPrincipalName", "mail", "displayName", "givenName", "surname", "accountEnabled", "userType", "department",
	"jobTitle", "companyName", "employeeId", "mobilePhone", "businessPhones",
}

// personSelect are userProperties and what the attributes need.
func (c *Connector) personSelect() []string {
	names := slices.Clone(userProperties)
	for _, a := range c.attributes {
		if !slices.Contains(names, a.property) {
			names = append(names, a.property)
		}
	}
	return names
}

// nobodyListed is why a listing of users without anybody is no answer.
const nobodyListed = "it shows nobody, and every tenant has somebody"

// readUsers lists everybody in the tenant.
func (c *Connector) readUsers(ctx context.Context) ([]connectors.User, error) {
	step := "listing the users"
	users, err := list(ctx, step, c.graph.users(pageSize, c.personSelect()),
		func(u models.Userable) (connectors.User, bool, error) {
			person, err := c.neutralUser(u)
			return person, true, err
		})
	if err == nil && len(users) == 0 {
		err = connectors.Damaged(vendor, step, nobodyListed)
	}
	return users, err
}

// neutralUser takes over what is needed of the SDK's model, which is five times as large. Whether the account is
// enabled may be unknown: the Status is "" then, which checkKnown refuses.
func (c *Connector) neutralUser(u models.Userable) (connectors.User, error) {
	p := connectors.User{
		ID:             connectors.UserID(text(u.GetId())),
		UserName:       signInName(text(u.GetUserPrincipalName())),
		Email:          text(u.GetMail()),
		GivenName:      text(u.GetGivenName()),
		FamilyName:     text(u.GetSurname()),
		DisplayName:    text(u.GetDisplayName()),
		Department:     text(u.GetDepartment()),
		Title:          text(u.GetJobTitle()),
		Company:        text(u.GetCompanyName()),
		EmployeeNumber: text(u.GetEmployeeId()),
		EmployeeType:   text(u.GetUserType()),
	}
	if c.userName == Mail {
		p.UserName = p.Email
	}
	switch enabled := u.GetAccountEnabled(); {
	case enabled == nil:
	case *enabled:
		p.Status, p.StatusDetail = connectors.StatusActive, "accountEnabled=true"
	default:
		p.Status, p.StatusDetail = connectors.StatusDisabled, "accountEnabled=false"
	}
	if v := text(u.GetMobilePhone()); v != "" {
		p.Phones = append(p.Phones, connectors.Phone{Type: "mobile", Value: v})
	}
	for _, v := range u.GetBusinessPhones() {
		p.Phones = append(p.Phones, connectors.Phone{Type: "work", Value: v})
	}
	if len(c.attributes) > 0 {
		p.Attrs = make(map[string]string, len(c.attributes))
	}
	for _, a := range c.attributes {
		v, err := a.read(u)
		if err != nil {
			return connectors.User{}, fmt.Errorf("entra: user %s: %s: %w", p.ID, a.name, err)
		}
		p.Attrs[a.name] = v
	}
	return p, nil
}

// checkKnown refuses a person of whom the app registration may not see whether their account is enabled.
func checkKnown(u connectors.User) error {
	if u.Status != "" {
		return nil
	}
	return &connectors.Error{
		Directory: vendor,
		Step:      "reading user " + string(u.ID),
		Summary:   "accountEnabled is not shown, so it is unknown who is disabled",
		Remedy: "grant the application permission " + rightUsers + " under App registrations > the app > API permissions > " +
			"Microsoft Graph, and press Grant admin consent",
	}
}

// signInName turns a guest's name in the tenant, bob_partner.com#EXT#@acme.onmicrosoft.com, back into the address that
// Entra made it of, as Entra's own provisioning does. A domain has no underscore, so the last one was the @.
func signInName(principal string) string {
	i := strings.Index(strings.ToUpper(principal), "#EXT#")
	if i < 0 {
		return principal
	}
	local := principal[:i]
	at := strings.LastIndex(local, "_")
	if at < 0 {
		return local
	}
	return local[:at] + "@" + local[at+1:]
}
