package google

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// A keyFile is a service account's key, as the Google Cloud console gives it out.
type keyFile struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	ClientID     string `json:"client_id"`
	PrivateKey   string `json:"private_key"`
	PrivateKeyID string `json:"private_key_id"`
	TokenURI     string `json:"token_uri"`

	private *rsa.PrivateKey
}

const whereKey = "create one under IAM & Admin > Service accounts > Keys > Add key > JSON in the Google Cloud console"

// parseKeyFile takes a service account's key and says of other files what they are. It never repeats what is in them.
func parseKeyFile(text string) (keyFile, error) {
	var key keyFile
	var whole map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &whole) != nil || json.Unmarshal([]byte(text), &key) != nil {
		if bytes.HasPrefix(bytes.TrimSpace([]byte(text)), []byte("-----BEGIN")) {
			return key, errors.New("google: the key file is a bare PEM key, not the JSON file round it (" + whereKey + ")")
		}
		return key, errors.New("google: the key file is not JSON; a P12 key cannot be read (" + whereKey + ")")
	}
	const away = "leave it out of the configuration, name it in GOOGLE_APPLICATION_CREDENTIALS, and give the service account to impersonate"
	switch {
	case whole["installed"] != nil || whole["web"] != nil:
		return key, errors.New("google: the key file is an OAuth client's secret, not a service account's key (" + whereKey + ")")
	case key.Type == "authorized_user":
		return key, errors.New("google: the key file is a person's login of gcloud, not a service account's key (" + away + ")")
	case key.Type == "external_account":
		return key, errors.New("google: the key file configures workload identity federation, it holds no key (" + away + ")")
	case key.Type == "impersonated_service_account":
		return key, errors.New("google: the key file is gcloud's login as a service account, not its key (" + away + ")")
	case key.Type != "service_account":
		return key, fmt.Errorf("google: the key file is of type %.40q, not service_account (%s)", key.Type, whereKey)
	case key.ClientEmail == "" || key.PrivateKey == "":
		return key, errors.New("google: the key file lacks client_email or private_key (" + whereKey + ")")
	}
	block, _ := pem.Decode([]byte(key.PrivateKey))
	if block == nil {
		return key, errors.New("google: private_key in the key file is not PEM (" + whereKey + ")")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return key, errors.New("google: private_key in the key file is no RSA key (" + whereKey + ")")
	}
	key.private = private
	return key, nil
}

// signWithKey makes a JWT signed with RS256.
func signWithKey(text string, claims []byte) (string, error) {
	key, err := parseKeyFile(text)
	if err != nil {
		return "", err
	}
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if key.PrivateKeyID != "" {
		header["kid"] = key.PrivateKeyID
	}
	unsigned := base64.RawURLEncoding.EncodeToString(marshal(header)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(unsigned))
	signature, err := rsa.SignPKCS1v15(nil, key.private, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("google: sign with the private key: %w", err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// signWithIAM has IAM sign the claims in the service account's name, so that there is no key to keep.
func signWithIAM(ctx context.Context, send sender, o Options, claims []byte) (string, error) {
	step := "having IAM sign for " + o.Impersonate
	token, err := defaultToken(ctx, o.Transport, o.Timeout, scopePlatform)
	if err != nil {
		return "", err
	}
	got, err := send(ctx, step, func() (*http.Request, error) {
		address := googleIAM + "/v1/projects/-/serviceAccounts/" + url.PathEscape(o.Impersonate) + ":signJwt"
		req, err := post(ctx, address, "application/json", marshal(map[string]string{"payload": string(claims)}))
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+token.text)
		}
		return req, err
	})
	if err != nil {
		return "", err
	}
	if got.Status != http.StatusOK {
		said := parseRefusal(got.Body)
		e := &connectors.Error{Directory: vendor, Status: got.Status, Code: said.code(), Step: step, Summary: said.message}
		switch {
		case said.has("SERVICE_DISABLED", "accessNotConfigured"):
			e.Remedy = "enable the IAM Service Account Credentials API for the service account's project"
		case got.Status == http.StatusNotFound:
			e.Remedy = "there is no such service account; compare with IAM & Admin > Service accounts in the Google Cloud console"
		default:
			e.Remedy = "grant the default credentials the role Service Account Token Creator (roles/iam.serviceAccountTokenCreator) on that service account"
		}
		return "", e
	}
	var body struct {
		Signed string `json:"signedJwt"`
	}
	if json.Unmarshal(got.Body, &body) != nil || body.Signed == "" {
		return "", connectors.Damaged(vendor, step, "it holds no signedJwt")
	}
	return body.Signed, nil
}

func post(ctx context.Context, address, contentType string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("google: make the request to %s: %w", address, err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json")
	return req, nil
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of strings and integers always marshal
	}
	return b
}
