//go:build !noentra

package entra

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
)

// That nothing leads to the authority is told from a connection that breaks.
func TestSigningInWhereNothingIs(t *testing.T) {
	for name, tc := range map[string]struct {
		trouble     error
		unreachable bool
	}{
		"nobody listens": {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		"no such name":   {&net.DNSError{Err: "no such host", Name: "login.example", IsNotFound: true}, true},
		"cut off":        {io.ErrUnexpectedEOF, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := simOptions(sim.NewGraph(sim.NewCompany(sim.Config{Seed: 7, People: 3, Groups: -1}), sim.GraphOptions{}), everybody)
				o.Transport = broken{tc.trouble}
				c, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Fetch(t.Context()); err == nil || errors.Is(err, connectors.ErrUnreachable) != tc.unreachable {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

// A broken network fails every request with one error.
type broken struct{ err error }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }
