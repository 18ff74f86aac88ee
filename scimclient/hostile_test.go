package scimclient

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestAnEndlessAnswerIsGivenUp: a server cannot have all the memory.
func TestAnEndlessAnswerIsGivenUp(t *testing.T) {
	for status, want := range map[int]string{http.StatusOK: "the answer is larger than 128 MB", http.StatusForbidden: "403"} {
		c, err := New(Options{BaseURL: "https://rootly.example/scim", Token: func() string { return testToken }, Transport: answers(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(endless{}), Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.User(t.Context(), "1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("status %d: the error is %v", status, err)
		}
	}
}

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAnUnknownCertificateGetsNoToken: somebody in between can answer, and is told nothing.
func TestAnUnknownCertificateGetsNoToken(t *testing.T) {
	var asked atomic.Int64
	between := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	between.Config.ErrorLog = log.New(io.Discard, "", 0)
	between.StartTLS()
	defer between.Close()
	c, err := New(Options{BaseURL: between.URL, Token: func() string { return testToken }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.User(ctx, "1"); err == nil || asked.Load() != 0 {
		t.Errorf("%d requests arrived, the error is %v", asked.Load(), err)
	}
}

// TestNoRedirectTakesTheTokenElsewhere: neither a read nor a write follows one to another host, or down to plain HTTP.
func TestNoRedirectTakesTheTokenElsewhere(t *testing.T) {
	for _, to := range []string{"https://other.example/scim/Users/1", "http://rootly.example/scim/Users/1", "//other.example/", "https://rootly.example:444/"} {
		var hosts []string
		c, err := New(Options{BaseURL: "https://rootly.example/scim", Token: func() string { return testToken }, Transport: answers(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host)
			return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {to}}, Body: http.NoBody, Request: r}, nil
		})})
		if err != nil {
			t.Fatal(err)
		}
		_, readErr := c.User(t.Context(), "1")
		writeErr := c.DeleteUser(t.Context(), "1")
		if readErr == nil || writeErr == nil {
			t.Errorf("%s was followed: %v", to, errors.Join(readErr, writeErr))
		}
		for _, h := range hosts {
			if h != "https://rootly.example" {
				t.Errorf("a redirect to %s led to %s", to, h)
			}
		}
	}
}
