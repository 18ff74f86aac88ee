//go:build !noentra

package entra

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

func company() *sim.Company { return sim.NewCompany(sim.Config{Seed: 2, People: 5, Groups: 2}) }

// What Entra refuses is told by its own code and with the place where to mend it, and never with the secret.
func TestSignInRefusals(t *testing.T) {
	tests := map[string]struct {
		change func(*Options)
		tenant sim.GraphOptions
		code   string
		want   string
	}{
		"an expired secret": {func(*Options) {}, sim.GraphOptions{ExpiredSecret: true}, "AADSTS7000222", "has expired; make a new one under App registrations"},
		"a wrong secret":    {func(o *Options) { o.ClientSecret = func() string { return "canary" } }, sim.GraphOptions{}, "AADSTS7000215", "not to its Secret ID"},
		"a wrong tenant":    {func(o *Options) { o.TenantID = sim.GraphID("elsewhere") }, sim.GraphOptions{}, "AADSTS90002", "Directory (tenant) ID"},
		"a wrong client":    {func(o *Options) { o.ClientID = sim.GraphID("another") }, sim.GraphOptions{}, "AADSTS700016", "set client_id"},
		"a certificate of nobody": {func(o *Options) {
			o.ClientSecret, o.Certificate = nil, func() ([]byte, error) { return newCertificate(t).pem, nil }
		}, sim.GraphOptions{}, "AADSTS700027", "upload its public half"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := sim.NewGraph(company(), tc.tenant)
			o := simOptions(server, everybody)
			tc.change(&o)
			_, err := behind(t, o, server).Fetch(t.Context())
			e, ok := errors.AsType[*connectors.Error](err)
			if !ok || e.Code != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %s and %q", err, tc.code, tc.want)
			}
			if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, sim.DefaultClientSecret) || strings.ContainsAny(text, "\n") || strings.Contains(text, "Trace ID") {
				t.Errorf("it says too much: %s", text)
			}
		})
	}
}

type certificate struct {
	pem []byte
	key *rsa.PrivateKey
}

func newCertificate(t *testing.T) certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rootly-idp-sync"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	return certificate{append(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), key}
}

func TestCertificate(t *testing.T) {
	cert := newCertificate(t)
	server := sim.NewGraph(company(), sim.GraphOptions{PublicKey: &cert.key.PublicKey})
	o := simOptions(server, everybody)
	o.ClientSecret, o.Certificate = nil, func() ([]byte, error) { return cert.pem, nil }
	if snap, err := behind(t, o, server).Fetch(t.Context()); err != nil || len(snap.Users) != 5 {
		t.Fatalf("%d users, %v", len(snap.Users), err)
	}
	t.Run("with a clock that is off", func(t *testing.T) {
		// In the bubble it is the year 2000 here, and the tenant's clock is five minutes ahead.
		skewed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(5*time.Minute).UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			w.Write([]byte(`{"error":"invalid_client","error_description":"AADSTS700024: Client assertion is not within its valid time range."}`))
		})
		c := behind(t, o, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				skewed(w, r)
				return
			}
			server.ServeHTTP(w, r)
		}))
		synctest.Test(t, func(t *testing.T) {
			_, err := c.Fetch(t.Context())
			if e, ok := errors.AsType[*connectors.Error](err); !ok || e.Code != "AADSTS700024" || !strings.Contains(e.Remedy, "set this machine's clock, which is 5m0s behind") {
				t.Errorf("error %v", err)
			}
		})
	})
}

// A token serves until shortly before it ends; a revoked one and a replaced secret are noticed at the next request.
func TestTokens(t *testing.T) {
	server := sim.NewGraph(company(), sim.GraphOptions{})
	secret := sim.DefaultClientSecret
	o := simOptions(server, everybody)
	o.ClientSecret = func() string { return secret }
	c := behind(t, o, server)
	synctest.Test(t, func(t *testing.T) {
		requests := func() int {
			before := c.Stats().Requests
			if _, err := c.Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			return c.Stats().Requests - before
		}
		if got := requests(); got != 1+signInRequests {
			t.Errorf("the first read: %d requests", got)
		}
		if got := requests(); got != 1 {
			t.Errorf("with the token: %d requests", got)
		}
		time.Sleep(55 * time.Minute)
		if got := requests(); got != 1+signInRequests {
			t.Errorf("shortly before its end: %d requests", got)
		}
		server.RevokeTokens()
		if got := requests(); got != 2+signInRequests {
			t.Errorf("with a revoked token: %d requests", got)
		}
		secret = "replaced by a wrong one"
		server.RevokeTokens()
		if _, err := c.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "AADSTS7000215") {
			t.Errorf("with a replaced secret: %v", err)
		}
	})
}

// The token goes to Graph alone and the secret to the authority alone.
func TestSecretsGoWhereTheyBelong(t *testing.T) {
	server := sim.NewGraph(company(), sim.GraphOptions{PageSize: 2})
	var wrong atomic.Int64
	c := behind(t, simOptions(server, everybody), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if toGraph := r.Host == "graph.example"; toGraph != (r.Header.Get("Authorization") != "") {
			wrong.Add(1)
		}
		server.ServeHTTP(w, r)
	}))
	if _, err := c.Fetch(t.Context()); err != nil || wrong.Load() > 0 {
		t.Errorf("%d requests with or without what they should have, %v", wrong.Load(), err)
	}
}

func TestOptions(t *testing.T) {
	good := func() Options {
		return Options{TenantID: sim.DefaultTenantID, ClientID: sim.DefaultClientID, ClientSecret: func() string { return "s" }, Query: everybody}
	}
	tests := map[string]struct {
		change func(*Options)
		want   string // "" is good
	}{
		"the public cloud":         {func(*Options) {}, ""},
		"a Graph on loopback":      {func(o *Options) { o.GraphURL = "http://127.0.0.1:1/v1.0/" }, ""},
		"an authority on loopback": {func(o *Options) { o.AuthorityURL = "http://localhost:1" }, ""},
		"a managed identity":       {func(o *Options) { o.ClientSecret, o.ClientID, o.Identity = nil, "", IdentityManaged }, ""},
		"no tenant":                {func(o *Options) { o.TenantID = "" }, "tenant id"},
		"a tenant by domain":       {func(o *Options) { o.TenantID = "acme.onmicrosoft.com" }, "is not a GUID"},
		"every tenant":             {func(o *Options) { o.TenantID = "common" }, "is not a GUID"},
		"no client":                {func(o *Options) { o.ClientID = "" }, "client id is missing"},
		"no credential":            {func(o *Options) { o.ClientSecret = nil }, "no credential is given"},
		"an empty secret":          {func(o *Options) { o.ClientSecret = func() string { return "" } }, "client secret is empty"},
		"two credentials":          {func(o *Options) { o.Identity = IdentityManaged }, "keep one of them"},
		"an unknown identity":      {func(o *Options) { o.ClientSecret, o.Identity = nil, "magic" }, "not one of workload, managed, default"},
		"a workload without one":   {func(o *Options) { o.ClientSecret, o.Identity = nil, IdentityWorkload }, "entra: "},
		"a broken certificate": {func(o *Options) {
			o.ClientSecret, o.Certificate = nil, func() ([]byte, error) { return []byte("x"), nil }
		}, "neither PEM"},
		"a missing certificate": {func(o *Options) {
			o.ClientSecret, o.Certificate = nil, func() ([]byte, error) { return nil, errors.New("gone") }
		}, "cannot be read: gone"},
		"an unknown cloud":          {func(o *Options) { o.Cloud = "mars" }, "not one of public, usgov, china"},
		"a Graph in the clear":      {func(o *Options) { o.GraphURL = "http://graph.example/v1.0" }, "is not https"},
		"an authority in the clear": {func(o *Options) { o.AuthorityURL = "http://login.example" }, "is not https"},
		"an address that is none":   {func(o *Options) { o.GraphURL = "graph" }, "not a full address"},
		"a user in the address":     {func(o *Options) { o.GraphURL = "https://a:canary@graph.example" }, "more than a host and a path"},
		"a name from nowhere":       {func(o *Options) { o.UserNameFrom = "nickname" }, "not one of userPrincipalName, mail"},
		"no mode":                   {func(o *Options) { o.Query.Mode = "" }, "scope mode"},
		"assigned to nothing":       {func(o *Options) { o.Query.Mode = connectors.ScopeAssigned }, "needs the client id of the enterprise application"},
		"no groups":                 {func(o *Options) { o.Query.Mode = connectors.ScopeGroups }, "needs at least one group"},
		"groups and another mode":   {func(o *Options) { o.Query.Groups = []string{"x"} }, "not groups"},
		"a group of no name":        {func(o *Options) { o.Query = connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"id:"}} }, "names nothing"},
		"an unknown attribute":      {func(o *Options) { o.Query.Attributes = []string{"skills"} }, `user.attr("skills")`},
		"an attribute in capitals":  {func(o *Options) { o.Query.Attributes = []string{"Department"} }, "there are ageGroup"},
		"extension attribute 16":    {func(o *Options) { o.Query.Attributes = []string{"onPremisesExtensionAttributes.extensionAttribute16"} }, "1 to 15"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			o := good()
			tc.change(&o)
			c, err := New(o)
			switch {
			case tc.want == "" && (err != nil || c.Name() != "entra" || c.Tenant() != "entra:"+sim.DefaultTenantID):
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary")):
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestEachCloudHasItsAddresses(t *testing.T) {
	tests := map[string]struct {
		o                       Options
		graph, authority, scope string
	}{
		"public": {Options{}, "https://graph.microsoft.com/v1.0", "https://login.microsoftonline.com", "https://graph.microsoft.com/.default"},
		"usgov":  {Options{Cloud: CloudUSGov}, "https://graph.microsoft.us/v1.0", "https://login.microsoftonline.us", "https://graph.microsoft.us/.default"},
		"DoD": {Options{Cloud: CloudUSGov, GraphURL: "https://dod-graph.microsoft.us/v1.0"}, "https://dod-graph.microsoft.us/v1.0",
			"https://login.microsoftonline.us", "https://dod-graph.microsoft.us/.default"},
		"china": {Options{Cloud: CloudChina}, "https://microsoftgraph.chinacloudapi.cn/v1.0", "https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn/.default"},
		"a proxy": {Options{GraphURL: "https://graph-proxy.acme.example/graph/v1.0"}, "https://graph-proxy.acme.example/graph/v1.0",
			"https://login.microsoftonline.com", "https://graph.microsoft.com/.default"},
	}
	for name, tc := range tests {
		tc.o.TenantID = sim.DefaultTenantID
		p, err := placesOf(tc.o)
		if err != nil || p.graph.String() != tc.graph || p.authority.String() != tc.authority || p.scope != tc.scope {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}
