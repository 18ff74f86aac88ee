package connectortest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// Canary is the wrong secret of a connector that is refused. RunTrouble looks for it in what the connector says.
const Canary = "canary"

// RunTrouble holds that a connector tells a directory that no connection leads to, and one that refuses the credential or
// what it may read, from all other trouble: these two are left to a person at once, and what passes by itself is not.
// connect makes a connector over a transport; each function of refused makes one that its directory refuses.
func RunTrouble(t *testing.T, connect func(tb testing.TB, transport http.RoundTripper) connectors.Connector,
	refused map[string]func(tb testing.TB) connectors.Connector) {
	t.Helper()
	for name, tc := range map[string]struct {
		trouble     error
		unreachable bool
	}{
		"nobody listens": {&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, true},
		"no such name":   {&net.DNSError{Err: "no such host", Name: "directory.example", IsNotFound: true}, true},
		"cut off":        {io.ErrUnexpectedEOF, false},
	} {
		t.Run(name, func(t *testing.T) { checkTrouble(t, connect(t, failing{tc.trouble}), tc.unreachable, false) })
	}
	for name, connect := range refused {
		t.Run(name, func(t *testing.T) { checkTrouble(t, connect(t), false, true) })
	}
}

func checkTrouble(t *testing.T, c connectors.Connector, unreachable, refused bool) {
	t.Helper()
	snap, err := fetch(t, c, &wire{})
	checkNothing(t, snap)
	e, ok := errors.AsType[*connectors.Error](err)
	switch {
	case err == nil:
		t.Error("no error")
	case errors.Is(err, connectors.ErrUnreachable) != unreachable || (ok && e.Unauthorized()) != refused:
		t.Errorf("want unreachable %t, refused %t: %v", unreachable, refused, err)
	case strings.Contains(err.Error(), Canary):
		t.Errorf("the secret is in the message: %v", err)
	}
}

// A failing network ends every request with one error.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }
