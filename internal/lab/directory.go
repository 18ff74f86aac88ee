package lab

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/google"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/keycloak"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/okta"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/rippling"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/scim"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// A Directory is one kind of directory that a company may have.
type Directory struct {
	Name  string // as in the configuration
	Side  sim.Side
	Modes []connectors.ScopeMode // the first one is that of most histories
	// ID is what the directory calls a person or a group of the company; nil when they have the company's own ids.
	ID func(string) string
	// Off are the statuses of people whom the directory calls disabled, beside those it no longer has.
	Off []sim.Status
	// Staged are the statuses of people who are not there yet.
	Staged []sim.Status
	// GivenName is what the directory gives for a person's first name; nil when it is that.
	GivenName func(sim.Person) string
	// Serve answers over the company, with at most so many rows to a page where the vendor's API allows for less than what
	// is asked; 0 is no cap. replica answers as the same server over another state of the company.
	Serve func(c *sim.Company, rows int) (server http.Handler, replica func(*sim.Company) http.Handler)
	// Connect makes the connector, which must start no goroutine that outlives a call.
	Connect func(q connectors.Query, company *sim.Company, transport http.RoundTripper) (Connector, error)
}

// A Connector is what every cycle asks.
type Connector interface {
	connectors.Connector
	connectors.Finder
}

// The directories of most histories.
var (
	Okta = Directory{
		Name: "okta", Side: sim.SideOkta, Modes: []connectors.ScopeMode{connectors.ScopeAssigned, connectors.ScopeGroups},
		Off: []sim.Status{sim.StatusSuspended, sim.StatusDeprovisioned}, Staged: []sim.Status{sim.StatusStaged},
		Serve: func(c *sim.Company, rows int) (http.Handler, func(*sim.Company) http.Handler) {
			o := sim.OktaOptions{PageCap: rows}
			return sim.NewOkta(c, o), func(c *sim.Company) http.Handler { return sim.NewOkta(c, o) }
		},
		Connect: func(q connectors.Query, company *sim.Company, transport http.RoundTripper) (Connector, error) {
			return okta.New(okta.Options{
				OrgURL: "https://acme.okta.example", APIToken: func() string { return sim.DefaultOktaToken }, AppID: company.AppID(), Query: q, Transport: transport,
			})
		},
	}
	Google = Directory{
		Name: "google", Side: sim.SideGoogle, Modes: []connectors.ScopeMode{connectors.ScopeGroups},
		Off: []sim.Status{sim.StatusSuspended, sim.StatusDeprovisioned},
		Serve: func(c *sim.Company, rows int) (http.Handler, func(*sim.Company) http.Handler) {
			s := sim.NewGoogle(c, sim.GoogleOptions{PageSize: rows})
			return s, func(c *sim.Company) http.Handler { return s.Replica(c) }
		},
		Connect: func(q connectors.Query, _ *sim.Company, transport http.RoundTripper) (Connector, error) {
			const url = "https://google.example"
			return google.New(google.Options{
				Credentials: func() string { return sim.GoogleKeyFile(url) }, Subject: sim.DefaultGoogleAdmin, Endpoint: url, Query: q, Transport: transport,
			})
		},
	}
	Keycloak = Directory{
		Name: "keycloak", Side: sim.SideKeycloak, Modes: []connectors.ScopeMode{connectors.ScopeAssigned, connectors.ScopeGroups},
		ID: sim.KeycloakID, Off: []sim.Status{sim.StatusSuspended, sim.StatusDeprovisioned, sim.StatusStaged},
		Serve: func(c *sim.Company, _ int) (http.Handler, func(*sim.Company) http.Handler) {
			s := sim.NewKeycloak(c, sim.KeycloakOptions{})
			return s, func(c *sim.Company) http.Handler { return s.Replica(c) }
		},
		Connect: func(q connectors.Query, _ *sim.Company, transport http.RoundTripper) (Connector, error) {
			o := keycloak.Options{
				URL: "https://keycloak.example", Realm: "acme", ClientID: sim.DefaultKeycloakClient, ClientSecret: func() string { return sim.DefaultKeycloakSecret },
				Query: q, Transport: transport,
			}
			if q.Mode == connectors.ScopeAssigned {
				o.Client, o.Roles = sim.KeycloakApp, []string{sim.KeycloakRole}
			}
			return keycloak.New(o)
		},
	}
	Rippling = Directory{
		Name: "rippling", Side: sim.SideRippling, Modes: []connectors.ScopeMode{connectors.ScopeGroups},
		Off: []sim.Status{sim.StatusSuspended, sim.StatusDeprovisioned}, Staged: []sim.Status{sim.StatusStaged},
		GivenName: func(p sim.Person) string { return cmp.Or(p.NickName, p.FirstName) },
		Serve: func(c *sim.Company, rows int) (http.Handler, func(*sim.Company) http.Handler) {
			o := sim.RipplingOptions{PageSize: rows}
			return sim.NewRippling(c, o), func(c *sim.Company) http.Handler { return sim.NewRippling(c, o) }
		},
		Connect: func(q connectors.Query, _ *sim.Company, transport http.RoundTripper) (Connector, error) {
			return rippling.New(rippling.Options{
				APIToken: func() string { return sim.DefaultRipplingToken }, Company: "acme", BaseURL: "https://rippling.example", Query: q, Transport: transport,
			})
		},
	}
	SCIM = Directory{
		Name: "scim", Side: sim.SideDirectory, Modes: []connectors.ScopeMode{connectors.ScopeGroups},
		Off: []sim.Status{sim.StatusSuspended, sim.StatusDeprovisioned, sim.StatusStaged},
		Serve: func(c *sim.Company, rows int) (http.Handler, func(*sim.Company) http.Handler) {
			o := sim.SCIMDirectoryOptions{PageCap: rows}
			return sim.NewSCIMDirectory(c, o), func(c *sim.Company) http.Handler { return sim.NewSCIMDirectory(c, o) }
		},
		Connect: func(q connectors.Query, _ *sim.Company, transport http.RoundTripper) (Connector, error) {
			return scim.New(scim.Options{
				BaseURL: "https://directory.example" + sim.DirectoryBase, Token: func() string { return sim.DefaultDirectoryToken }, Query: q, Transport: transport,
			})
		},
	}
)

// id is what the directory calls a person or a group.
func (d *Directory) id(company string) string {
	if d.ID == nil {
		return company
	}
	return d.ID(company)
}

func (d *Directory) givenName(p sim.Person) string {
	if d.GivenName == nil {
		return p.FirstName
	}
	return d.GivenName(p)
}

func (d *Directory) staged(p sim.Person) bool { return slices.Contains(d.Staged, p.Status) }

// people are those of the company, with the ids that the directory has for them.
func (w *world) people() []sim.Person {
	people := w.company.People()
	for i := range people {
		people[i].ID = w.directory.id(people[i].ID)
	}
	return people
}

// employ lets somebody join, with the id that the directory has for them.
func (w *world) employ(p sim.Person, groups ...string) (sim.Person, error) {
	p, err := w.company.Join(p, groups...)
	p.ID = w.directory.id(p.ID)
	return p, err
}
