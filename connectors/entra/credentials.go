//go:build !noentra

package entra

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/wire"
)

// Identity is a way to sign in with what the environment vouches for.
type Identity string

// The identities.
const (
	IdentityWorkload Identity = "workload" // a Kubernetes service account federated with the app registration
	IdentityManaged  Identity = "managed"  // the managed identity of the machine
	IdentityDefault  Identity = "default"  // whatever azidentity's default chain finds, for a try on a desk
)

// credentials get access tokens and keep each for as long as it is good. The azidentity credential is made anew for
// every token: so a replaced secret or certificate is taken up, and a refused token does not come back from a cache.
type credentials struct {
	make    func() (azcore.TokenCredential, error)
	tenant  string // whose tokens are wanted
	scope   string
	explain func(error) error // what a refusal means

	asking wire.Turn // so that parallel requests ask for one token
	mu     sync.Mutex
	token  string
	until  time.Time
}

func newCredentials(o Options, where places, rt *transport) (*credentials, error) {
	var given []string
	if o.ClientSecret != nil {
		given = append(given, "a client secret")
	}
	if o.Certificate != nil {
		given = append(given, "a certificate")
	}
	if o.Identity != "" {
		given = append(given, "identity "+string(o.Identity))
	}
	switch {
	case len(given) == 0:
		return nil, errors.New("entra: no credential is given (a client secret, a certificate, or identity workload, managed or default)")
	case len(given) > 1:
		return nil, fmt.Errorf("entra: %s and %s are given; keep one of them", given[0], given[1])
	case o.ClientID == "" && o.Identity != IdentityManaged && o.Identity != IdentityDefault:
		return nil, errors.New("entra: the client id is missing (it is the Application (client) ID on the app registration's Overview page)")
	}
	c := &credentials{tenant: o.TenantID, scope: where.scope, explain: rt.signInError}
	if where.authority == nil {
		return nil, nil // what is wrong with it is reported already
	}
	// azidentity insists on https, so a loopback authority is spoken of as https and reached by plain http.
	host := *where.authority
	host.Scheme = "https"
	client := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: host.String()},
		Transport: signInTransport{rt, host.Host, where.authority.Scheme},
		Retry:     policy.RetryOptions{MaxRetries: maxTries - 1, TryTimeout: rt.timeout},
		Telemetry: policy.TelemetryOptions{ApplicationID: "rootly-idp-sync"},
	}
	c.make = func() (azcore.TokenCredential, error) { return newCredential(o, client, where.private) }
	if _, err := c.make(); err != nil {
		return nil, err
	}
	return c, nil
}

func newCredential(o Options, client azcore.ClientOptions, private bool) (azcore.TokenCredential, error) {
	var (
		cred azcore.TokenCredential
		err  error
	)
	switch {
	case o.ClientSecret != nil:
		secret := o.ClientSecret()
		if secret == "" {
			return nil, errors.New("entra: the client secret is empty (copy the Value of one under " + whereSecrets + ")")
		}
		cred, err = azidentity.NewClientSecretCredential(o.TenantID, o.ClientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: private})
	case o.Certificate != nil:
		return newCertificateCredential(o, client, private)
	case o.Identity == IdentityWorkload:
		cred, err = azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: client, DisableInstanceDiscovery: private, TenantID: o.TenantID, ClientID: o.ClientID})
	case o.Identity == IdentityManaged:
		options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: client}
		if o.ClientID != "" {
			options.ID = azidentity.ClientID(o.ClientID)
		}
		cred, err = azidentity.NewManagedIdentityCredential(options)
	case o.Identity == IdentityDefault:
		cred, err = azidentity.NewDefaultAzureCredential(&azidentity.DefaultAzureCredentialOptions{
			ClientOptions: client, DisableInstanceDiscovery: private, TenantID: o.TenantID})
	default:
		return nil, fmt.Errorf("entra: identity %q is not one of workload, managed, default", o.Identity)
	}
	if err != nil {
		return nil, fmt.Errorf("entra: %w", err)
	}
	return cred, nil
}

func newCertificateCredential(o Options, client azcore.ClientOptions, private bool) (azcore.TokenCredential, error) {
	data, err := o.Certificate()
	if err != nil {
		return nil, fmt.Errorf("entra: the certificate cannot be read: %w", err)
	}
	var password []byte
	if o.CertificatePassword != nil {
		password = []byte(o.CertificatePassword())
	}
	certs, key, err := azidentity.ParseCertificates(data, password)
	if err != nil {
		return nil, fmt.Errorf("entra: the certificate is neither PEM, with the private key beside it and not encrypted, "+
			"nor PKCS #12 with this password: %w", err)
	}
	cred, err := azidentity.NewClientCertificateCredential(o.TenantID, o.ClientID, certs, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: private})
	if err != nil {
		return nil, fmt.Errorf("entra: %w", err)
	}
	return cred, nil
}

// bearer returns an access token. Somebody else's asking for one is waited for as long as ctx lasts.
func (c *credentials) bearer(ctx context.Context) (string, error) {
	if token := c.current(); token != "" {
		return token, nil
	}
	end, err := c.asking.Take(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	if token := c.current(); token != "" {
		return token, nil
	}
	return c.ask(ctx)
}

func (c *credentials) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.until) {
		return c.token
	}
	return ""
}

func (c *credentials) ask(ctx context.Context) (string, error) {
	cred, err := c.make()
	if err != nil {
		return "", err
	}
	got, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{c.scope}})
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", c.explain(err)
	case got.Token == "":
		return "", connectors.Damaged(vendor, signingIn, "it holds no token")
	}
	if tenant := tenantOf(got.Token); tenant != "" && !strings.EqualFold(tenant, c.tenant) {
		return "", &connectors.Error{
			Directory: vendor,
			Step:      signingIn,
			Summary:   fmt.Sprintf("the token is for tenant %s, not for %s", tenant, c.tenant),
			Remedy: "set AZURE_TENANT_ID to the tenant that is to be read, or tenant_id to the identity's own; a managed " +
				"identity reads no other tenant",
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = got.Token
	c.until = time.Now().Add(time.Until(got.ExpiresOn) * 9 / 10)
	return c.token, nil
}

// tenantOf is the tenant that a token is for, or "" if it does not say: only a JWT does.
func tenantOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct {
		Tenant string `json:"tid"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Tenant
}

// refused drops a token that Graph did not take, unless another request has replaced it already.
func (c *credentials) refused(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token, c.until = "", time.Time{}
	}
}

// signInTransport carries azidentity's requests, those to the authority by its own scheme.
type signInTransport struct {
	*transport
	authority, scheme string
}

// Do sends one request.
func (t signInTransport) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Host == t.authority && req.URL.Scheme != t.scheme {
		req = req.Clone(req.Context())
		req.URL.Scheme = t.scheme
	}
	t.requests.Add(1)
	resp, err := t.base.RoundTrip(req)
	t.astray.Store(err != nil && connectors.Unreachable(err))
	if err == nil {
		t.noteClock(resp.Header)
	}
	return resp, err
}
