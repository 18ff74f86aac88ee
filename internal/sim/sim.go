// Package sim is one seeded company, spoken in process or on loopback as Okta's management API, as Microsoft Graph, as
// Google's Directory API, as Keycloak's Admin REST API, as Rippling's, as an Active Directory domain, as a SCIM 2.0 server that is a directory, as a strict one in Rootly's manner and as Rootly's REST API, with faults on demand and a log of every request. It shares no code with the
// connectors and clients that are tested against it: a fake that shared their encoder would share its mistakes.
package sim

import (
	"cmp"
	"errors"
	"net/http"
)

// Config describes a simulation. Its zero value is a company of about 300 people and 25 groups, before a strict SCIM
// server that holds nobody yet.
type Config struct {
	Seed      uint64
	People    int // 0 is 300, negative is nobody
	Groups    int // 0 is 25, negative is none
	Okta      OktaOptions
	Graph     GraphOptions
	Google    GoogleOptions
	LDAP      LDAPOptions
	Rippling  RipplingOptions
	Directory SCIMDirectoryOptions
	SCIM      SCIMOptions
	Rootly    RootlyOptions

	Keycloak KeycloakOptions
	// LogLimit bounds the log to that many requests, without bodies; 0 keeps everything.
	LogLimit int
}

// A Sim is a company, its servers, the faults they are under and the log they share.
type Sim struct {
	Company   *Company
	Okta      *Okta
	Graph     *Graph
	Google    *Google
	LDAP      *LDAP // has faults and a log of its own
	Rippling  *Rippling
	Directory *SCIMDirectory
	SCIM      *SCIM
	Rootly    *Rootly
	Faults    *Faults
	Log       *Log

	Keycloak *Keycloak

	okta, graph, google, keycloak, rippling, directory, scim, rootly http.Handler // with faults and log
	token                                                            string
	scimToken                                                        string
	servers                                                          []*Server
	stopLDAP                                                         func() error // nil until Start
}

// Endpoints are what a configuration needs to know.
type Endpoints struct {
	OktaURL   string
	OktaToken string
	AppID     string
	SCIMURL   string
	SCIMToken string

	GraphURL     string
	AuthorityURL string
	TenantID     string
	ClientID     string
	ClientSecret string
	AppClientID  string // of the enterprise application

	GoogleURL   string // GoogleKeyFile makes the service account's key file for it
	GoogleAdmin string

	RootlyURL    string // of the REST API, without /v1
	RootlyAPIKey string
	LDAPURL      string // of a started simulation; in process LDAP.Dial connects

	RipplingURL   string
	RipplingToken string

	DirectoryURL   string // of the SCIM server that is a directory
	DirectoryToken string

	KeycloakURL    string
	KeycloakRealm  string
	KeycloakClient string
	KeycloakSecret string
}

// New founds the company and sets up the servers. Nothing runs until Start.
func New(cfg Config) *Sim {
	cfg.SCIM.Seed = cmp.Or(cfg.SCIM.Seed, cfg.Seed)
	s := &Sim{
		Company:   NewCompany(cfg),
		SCIM:      NewSCIM(cfg.SCIM),
		Faults:    NewFaults(cfg.Seed),
		Log:       NewLog(cfg.LogLimit),
		token:     cmp.Or(cfg.Okta.Token, DefaultOktaToken),
		scimToken: cmp.Or(cfg.SCIM.Token, DefaultSCIMToken),
	}
	s.Okta = NewOkta(s.Company, cfg.Okta)
	s.Graph = NewGraph(s.Company, cfg.Graph)
	s.graph = s.Log.Wrap(SideGraph, s.Faults.Wrap(SideGraph, s.Graph))
	s.Google = NewGoogle(s.Company, cfg.Google)
	s.LDAP = NewLDAP(s.Company, cfg.LDAP)
	s.google = s.Log.Wrap(SideGoogle, s.Faults.Wrap(SideGoogle, s.Google))
	s.Rippling = NewRippling(s.Company, cfg.Rippling)
	s.rippling = s.Log.Wrap(SideRippling, s.Faults.Wrap(SideRippling, s.Rippling))
	s.Directory = NewSCIMDirectory(s.Company, cfg.Directory)
	s.directory = s.Log.Wrap(SideDirectory, s.Faults.Wrap(SideDirectory, s.Directory))
	s.Keycloak = NewKeycloak(s.Company, cfg.Keycloak)
	s.keycloak = s.Log.Wrap(SideKeycloak, s.Faults.Wrap(SideKeycloak, s.Keycloak))
	s.okta = s.Log.Wrap(SideOkta, s.Faults.Wrap(SideOkta, s.Okta))
	s.scim = s.Log.Wrap(SideSCIM, s.Faults.Wrap(SideSCIM, s.SCIM))
	s.Rootly = NewRootly(s.SCIM, cfg.Seed, cfg.Rootly)
	s.rootly = s.Log.Wrap(SideRootly, s.Faults.Wrap(SideRootly, s.Rootly))
	return s
}

// Start serves all sides on free ports of 127.0.0.1 until Close.
func (s *Sim) Start() (Endpoints, error) {
	var urls []string
	for _, h := range []http.Handler{s.okta, s.graph, s.google, s.rippling, s.directory, s.keycloak, s.scim, s.rootly} {
		server, err := Serve(h)
		if err != nil {
			return Endpoints{}, errors.Join(err, s.Close())
		}
		s.servers = append(s.servers, server)
		urls = append(urls, server.URL)
	}
	ends := s.endpoints(urls)
	var err error
	if ends.LDAPURL, s.stopLDAP, err = s.LDAP.Listen(); err != nil {
		return Endpoints{}, errors.Join(err, s.Close())
	}
	return ends, nil
}

// Close stops what Start has started and returns when the last request has ended. The company and the servers'
// state stay, so a second Start goes on where the first one ended, on other ports.
func (s *Sim) Close() error {
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	s.servers = nil
	if s.stopLDAP != nil {
		errs = append(errs, s.stopLDAP())
		s.stopLDAP = nil
	}
	return errors.Join(errs...)
}

// The hosts of a simulation without sockets.
const (
	inProcessOkta      = "acme.okta.example"
	inProcessGraph     = "graph.example"
	inProcessGoogle    = "admin.google.example"
	inProcessRippling  = "rest.rippling.example"
	inProcessDirectory = "idp.example"
	inProcessKeycloak  = "sso.acme.example"
	inProcessSCIM      = "rootly.example"
	inProcessRootly    = "api.rootly.example"
)

// InProcess returns endpoints that exist only behind the transport beside them: no socket, no goroutine that stays.
func (s *Sim) InProcess() (Endpoints, http.RoundTripper) {
	byHost := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Host {
		case inProcessOkta:
			s.okta.ServeHTTP(w, r)
		case inProcessGraph:
			s.graph.ServeHTTP(w, r)
		case inProcessGoogle:
			s.google.ServeHTTP(w, r)
		case inProcessRippling:
			s.rippling.ServeHTTP(w, r)
		case inProcessDirectory:
			s.directory.ServeHTTP(w, r)
		case inProcessKeycloak:
			s.keycloak.ServeHTTP(w, r)
		case inProcessSCIM:
			s.scim.ServeHTTP(w, r)
		case inProcessRootly:
			s.rootly.ServeHTTP(w, r)
		default:
			panic(http.ErrAbortHandler) // nobody answers there
		}
	})
	return s.endpoints([]string{
		"https://" + inProcessOkta, "https://" + inProcessGraph, "https://" + inProcessGoogle, "https://" + inProcessRippling,
		"https://" + inProcessDirectory, "https://" + inProcessKeycloak,
		"https://" + inProcessSCIM, "https://" + inProcessRootly,
	}), Transport(byHost)
}

// endpoints are those of the sides in the order in which Start serves them.
func (s *Sim) endpoints(urls []string) Endpoints {
	okta, graph, google, rippling, directory, keycloak, scim := urls[0], urls[1], urls[2], urls[3], urls[4], urls[5], urls[6]
	return Endpoints{
		OktaURL: okta, OktaToken: s.token, AppID: s.Company.AppID(), SCIMURL: scim + SCIMBase, SCIMToken: s.scimToken,
		GraphURL: graph + GraphBase, AuthorityURL: graph, TenantID: s.Graph.options.TenantID, ClientID: s.Graph.options.ClientID,
		ClientSecret: s.Graph.options.Secret, AppClientID: s.Graph.AppClientID(),
		GoogleURL: google, GoogleAdmin: s.Google.options.Admin,
		RootlyURL: urls[7], RootlyAPIKey: s.Rootly.options.APIKey,
		RipplingURL: rippling, RipplingToken: s.Rippling.options.Token,
		DirectoryURL: directory + DirectoryBase, DirectoryToken: s.Directory.options.Token,
		KeycloakURL: keycloak, KeycloakRealm: s.Keycloak.options.Realm, KeycloakClient: s.Keycloak.options.ClientID,
		KeycloakSecret: s.Keycloak.options.Secret,
	}
}
