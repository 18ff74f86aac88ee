package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/redact"
)

// A poster sends one request for each message. Redirects are not followed: what is sent is meant for one address, and
// may carry a key.
type poster struct{ client *http.Client }

// newPoster makes the poster of one channel. Its errors hold none of the secrets, should a server repeat one.
func newPoster(roots *x509.CertPool, secrets ...func() []string) poster {
	return poster{&http.Client{
		Transport: redact.Transport(&http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			TLSClientConfig:   &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true, // messages are rare: no connection waits for the next one
			ForceAttemptHTTP2: true,
		}, secrets...),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A refusal is an answer other than 2xx. Text is the beginning of its body.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string {
	s := strings.TrimSpace(fmt.Sprintf("answered %d %s", r.status, http.StatusText(r.status)))
	if r.text != "" {
		s += ": " + r.text
	}
	return s
}

// post sends a body of JSON. The error never holds the address, which may be a secret.
func (p poster) post(ctx context.Context, to string, header http.Header, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address cannot be read")
	}
	req.Header = header
	req.Header.Set("User-Agent", "rootly-idp-sync")
	resp, err := p.client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if ctx.Err() != nil {
		return late(ctx, "is the address right? A firewall may swallow the packets, or HTTPS_PROXY is missing")
	}
	if err != nil {
		return fmt.Errorf("%s (check the address, and that the network lets it out; notify.ca_file trusts a private authority)", line(err.Error(), mostText))
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // only for the error message
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return &refusal{resp.StatusCode, line(string(text), 200)}
}

// explained adds what to do to a refusal: what is special to the channel, or what the status means everywhere.
func explained(err error, remedies map[int]string) error {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	remedy := remedies[r.status]
	switch {
	case remedy != "":
	case r.status/100 == 3:
		remedy = "redirects are not followed: write the address it leads to"
	case r.status == http.StatusTooManyRequests || r.status/100 == 5:
		remedy = "it is tried again"
	default:
		remedy = "check the address"
	}
	return fmt.Errorf("%w (%s)", r, remedy)
}

// late is the error of what a context ended.
func late(ctx context.Context, remedy string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted")
	}
	return fmt.Errorf("no answer in time (%s)", remedy)
}

// checkAddress checks an address without repeating it.
func checkAddress(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("the address is no web address")
	}
	return nil
}
