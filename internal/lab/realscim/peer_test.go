// Package realscim holds the client, whole cycles and the simulator against SCIM servers that others wrote: SCIMMY (Node)
// and scim2-server (Python), each started on loopback. They run with the build tag realscim (make test-scim); without it
// the same tests run against the simulator alone.
package realscim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

const token = "lab-token"

// A server is one SCIM server, running.
type server struct {
	name string
	// open returns an empty one: a tenant of its own, or a simulator of its own.
	open func() peer
}

// A peer is a SCIM endpoint that nobody else uses.
type peer struct {
	base      string
	transport http.RoundTripper
}

// servers are all that this run knows, the simulator first.
func servers() []server { return append([]server{{"simulator", simulator}}, running...) }

// running are the real servers, if there are any in this build.
var running []server

// simulator opens ours, with none of its habits switched on.
func simulator() peer {
	return peer{"https://rootly.example" + sim.SCIMBase, sim.Transport(sim.NewSCIM(sim.SCIMOptions{Token: token}))}
}

func TestMain(m *testing.M) {
	// The Okta SDK's cache sweeps until it is collected.
	goleak.VerifyTestMain(served{m}, goleak.IgnoreTopFunction("github.com/patrickmn/go-cache.(*janitor).Run"))
}

// served runs the tests while the servers run.
type served struct{ *testing.M }

func (m served) Run() int {
	stop, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return m.M.Run()
}

// onEach runs a test against every server.
func onEach(t *testing.T, test func(t *testing.T, p peer)) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) { test(t, s.open()) })
	}
}

// client is the product's client on p, with its transport wrapped when wrap is not nil.
func (p peer) client(t testing.TB, wrap func(http.RoundTripper) http.RoundTripper, edit func(o *scimclient.Options)) *scimclient.Client {
	t.Helper()
	o := scimclient.Options{BaseURL: p.base, Token: func() string { return token }, Transport: p.transport}
	if wrap != nil {
		o.Transport = wrap(o.Transport)
	}
	if edit != nil {
		edit(&o)
	}
	c, err := scimclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// An answer is what came back to a request that was written by hand.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any // nil when it is no JSON object
}

// A session sends requests as they stand, without the product's client.
type session struct {
	t    testing.TB
	peer peer
}

// An object is a JSON object to send.
type object = map[string]any

const (
	userURN  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN = "urn:ietf:params:scim:schemas:core:2.0:Group"
	patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorURN = "urn:ietf:params:scim:api:messages:2.0:Error"
	listURN  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
)

// send sends a request. body is sent as it is if it is a string, as JSON if not, and not at all if it is nil; header holds
// names and values by turns, over the usual ones, and an empty value takes one away.
func (s session) send(method, path string, body any, header ...string) answer {
	s.t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		r = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.peer.base+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	usual := []string{"Authorization", "Bearer " + token, "Accept", "application/scim+json", "Content-Type", "application/scim+json"}
	for all := append(usual, header...); len(all) > 1; all = all[2:] {
		if req.Header.Set(all[0], all[1]); all[1] == "" {
			req.Header.Del(all[0])
		}
	}
	resp, err := s.peer.transport.RoundTrip(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(text)}
	if json.Unmarshal(text, &a.body) != nil {
		a.body = nil
	}
	return a
}

func (s session) get(path string) answer { return s.send(http.MethodGet, path, nil) }

func (s session) post(path string, body object) answer { return s.send(http.MethodPost, path, body) }

func (s session) patch(path string, ops ...object) answer {
	return s.send(http.MethodPatch, path, object{"schemas": []string{patchURN}, "Operations": ops})
}

// user creates a person and returns the path.
func (s session) user(login string, more ...object) string {
	s.t.Helper()
	return "/Users/" + s.made(s.post("/Users", person(login, more...)))
}

// group creates a group and returns its path. Members are paths of users.
func (s session) group(name string, members ...string) string {
	s.t.Helper()
	path := "/Groups/" + s.made(s.post("/Groups", object{"schemas": []string{groupURN}, "displayName": name}))
	if len(members) > 0 {
		if a := s.patch(path, object{"op": "add", "path": "members", "value": values(members...)}); a.status > 299 {
			s.t.Fatalf("add members: %d %s", a.status, a.raw)
		}
	}
	return path
}

func (s session) made(a answer) string {
	s.t.Helper()
	id, ok := a.body["id"].(string)
	if a.status != http.StatusCreated || !ok || id == "" {
		s.t.Fatalf("create: %d %s", a.status, a.raw)
	}
	return id
}

// person is the body of a user as the client sends it.
func person(login string, more ...object) object {
	u := object{"schemas": []string{userURN}, "userName": login, "active": true,
		"name":   object{"givenName": "Ada", "familyName": "Quist"},
		"emails": []object{{"value": login, "type": "work", "primary": true}}, "displayName": "Ada Quist"}
	for _, m := range more {
		for k, v := range m {
			if u[k] = v; v == nil {
				delete(u, k)
			}
		}
	}
	return u
}

// values are members to send.
func values(paths ...string) []object {
	var list []object
	for _, p := range paths {
		list = append(list, object{"value": idOf(p)})
	}
	return list
}

func idOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// members counts the members that a group shows.
func (s session) members(group string) int {
	list, _ := s.get(group).body["members"].([]any)
	return len(list)
}
