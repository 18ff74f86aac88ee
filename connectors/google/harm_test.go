package google

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/connectors/connectortest"
)

// An answer that leaves the organizational unit out says nothing about it: in mode org_units that is no proof of having
// left, neither in the listing nor when asked again.
func TestAnUnreportedUnitIsNotOutside(t *testing.T) {
	person := user("u1", "")
	o := options(&account{answers: map[string]any{"/users": users(person), "/users/u1": person}}, connectors.Query{Mode: connectors.ScopeOrgUnits})
	o.OrgUnits, o.SubUnits = []string{"/"}, true
	c := connect(t, o)
	if snap, err := c.Fetch(t.Context()); err == nil && len(snap.Users) == 0 {
		t.Error("Fetch leaves somebody out whose unit is not reported")
	}
	if found, err := c.Lookup(t.Context(), "u1"); err == nil && found.Outside != "" {
		t.Errorf("Lookup concludes %q", found.Outside)
	}
}

// A first page without the person and with a next one has not answered yet.
func TestTheSearchForOnePersonIsReadToItsEnd(t *testing.T) {
	server := &account{answers: map[string]any{"/users/u1": user("u1", ""), "/users": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("pageToken") == "" {
			reply(w, `{"kind":"admin#directory#users","users":[],"nextPageToken":"2"}`)
			return
		}
		reply(w, users(user("u1", "")))
	}}}
	o := options(server, everybody)
	o.UserQuery = "isAdmin=true"
	c := connect(t, o)
	if snap, err := c.Fetch(t.Context()); err != nil || len(snap.Users) != 1 {
		t.Fatalf("Fetch: %v, %v", snap.Users, err)
	}
	if found, err := c.Lookup(t.Context(), "u1"); err != nil || found.Outside != "" {
		t.Errorf("Lookup: outside because %q, %v", found.Outside, err)
	}
}

// A listing without anybody, of a group that Google counts members of, proves as little when asked again as in Fetch.
func TestMembersAskedAgainAreNotNobody(t *testing.T) {
	server := &account{answers: map[string]any{
		"/users": users(user("u1", "")), "/groups": groups(aGroup("g1", "Ops", 1)), "/groups/g1/members": members(member("USER", "u1"))}}
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeAll, Push: patterns(t, "Ops")}))
	if _, err := c.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.answers["/groups/g1/members"] = members()
	server.answers["/groups/g1"] = `{"kind":"admin#directory#group",` + strings.TrimPrefix(aGroup("g1", "Ops", 1), "{")
	if _, err := c.Fetch(t.Context()); err == nil {
		t.Fatal("Fetch takes it for an empty group")
	}
	if got, known, err := c.Members(t.Context(), "g1"); err == nil {
		t.Errorf("Members: %v, known %v, no error", got, known)
	}
}

// Who is in the scope because the whole account is a member of its group is so for Lookup too, whatever hasMember says
// of somebody whom the group does not name.
func TestTheWholeAccountIsInScopeForLookup(t *testing.T) {
	server := &account{answers: map[string]any{
		"/users": users(user("u1", "")), "/users/u1": user("u1", ""), "/groups": groups(aGroup("g1", "Ops", 1)),
		"/groups/g1/members": members(member("CUSTOMER", "C01")), "/groups/g1/hasMember/u1": `{"isMember":false}`}}
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"Ops"}}))
	snap, err := c.Fetch(t.Context())
	if err != nil || len(snap.Users) != 1 {
		t.Fatalf("Fetch: %v, %v", snap.Users, err)
	}
	if found, err := c.Lookup(t.Context(), "u1"); err != nil || !found.InScopeGroup {
		t.Errorf("Lookup: %+v, %v", found, err)
	}
}

// An address of a person is in no message and no log line: ids are.
func TestNoAddressInLogsAndErrors(t *testing.T) {
	for name, refusal := range map[string]http.HandlerFunc{
		"a quota":   refusing(403, "userRateLimitExceeded", "User Rate Limit Exceeded"),
		"a refusal": refusing(403, "forbidden", "no"),
		"damage":    func(w http.ResponseWriter, _ *http.Request) { reply(w, "[]") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var printed bytes.Buffer
				o := options(&account{answers: map[string]any{"/users/u1": user("u1", ""), "/users": (func(http.ResponseWriter, *http.Request))(refusal)}}, everybody)
				o.UserQuery, o.Log = "isAdmin=true", slog.New(slog.NewTextHandler(&printed, &slog.HandlerOptions{Level: slog.LevelDebug}))
				_, err := connect(t, o).Lookup(t.Context(), "u1")
				if err == nil || strings.Contains(err.Error(), "u1@acme.example") {
					t.Errorf("error %v", err)
				}
				if strings.Contains(printed.String(), "u1@acme.example") {
					t.Errorf("log %s", printed.String())
				}
			})
		})
	}
}

// Somebody who waits for the token that another lookup is asking for stops waiting when their own context ends, and is
// not ended by the other's.
func TestWaitingForASharedToken(t *testing.T) {
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	t.Run("a waiter's context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := connect(t, options(&account{answers: map[string]any{"/token": slow}}, everybody))
			first, stop := context.WithCancel(t.Context())
			go c.Lookup(first, "u1")
			synctest.Wait()
			second, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			if _, err := c.Lookup(second, "u2"); err == nil {
				t.Error("no error")
			}
			if waited := time.Since(start); waited > time.Second {
				t.Errorf("waited %s, want the second of its own context", waited)
			}
			stop()
			synctest.Wait()
		})
	})
	t.Run("the asker's context ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			delayed := func(w http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(2 * time.Second):
					reply(w, `{"access_token":"t0ken","token_type":"Bearer","expires_in":3599}`)
				case <-r.Context().Done():
				}
			}
			c := connect(t, options(&account{answers: map[string]any{"/token": delayed, "/users/u2": user("u2", "")}}, everybody))
			first, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			go c.Lookup(first, "u1")
			synctest.Wait()
			if found, err := c.Lookup(t.Context(), "u2"); err != nil || !found.Known {
				t.Errorf("%+v, %v", found, err)
			}
		})
	})
}

// Somebody a page of the listing leaves out although a group of the scope names them is noticed when asked again.
func TestALookupContradictsAShortListing(t *testing.T) {
	server := &account{answers: map[string]any{
		"/users": users(user("u1", "")), "/users/u2": user("u2", ""), "/groups": groups(aGroup("g1", "Ops", 2)),
		"/groups/g1/members": members(member("USER", "u1"), member("USER", "u2")), "/groups/g1/hasMember/u2": `{"isMember":true}`}}
	c := connect(t, options(server, connectors.Query{Mode: connectors.ScopeGroups, Groups: []string{"Ops"}}))
	snap, err := c.Fetch(t.Context())
	if err != nil || slices.Contains(idsOf(snap.Users), "u2") {
		t.Fatalf("%v, %v", snap.Users, err)
	}
	if found, err := c.Lookup(t.Context(), "u2"); err != nil || !found.Known || !found.InScopeGroup {
		t.Errorf("%+v, %v", found, err)
	}
}

// A token endpoint that never answers takes one request's time, a few times over, with default credentials too.
func TestDefaultCredentialsAreNotWaitedForEver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "adc.json")
	text := `{"type":"authorized_user","client_id":"1","client_secret":"s","refresh_token":"r"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	synctest.Test(t, func(t *testing.T) {
		o := options(http.HandlerFunc(hanging), everybody)
		o.Credentials, o.Subject, o.Customer = nil, "", "C01abc2de"
		c := connect(t, o)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		start := time.Now()
		if _, err := c.Fetch(ctx); err == nil {
			t.Error("no error")
		}
		if waited := time.Since(start); waited > time.Hour {
			t.Errorf("waited %s", waited)
		}
		if sent := c.Stats().Requests; sent < 1 {
			t.Errorf("%d requests are counted", sent)
		}
	})
}

// That nothing leads to Google, and that it refuses the key or the administrator, are told from all other trouble.
func TestWhoIsUnreachableAndWhoRefuses(t *testing.T) {
	connectortest.RunTrouble(t, func(tb testing.TB, transport http.RoundTripper) connectors.Connector {
		o := options(nil, everybody)
		o.Transport = transport
		return connect(tb, o)
	}, map[string]func(testing.TB) connectors.Connector{
		"a refused key": func(tb testing.TB) connectors.Connector {
			return connect(tb, options(&account{answers: map[string]any{"/token": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)
			}}}, everybody))
		},
		"no administrator": func(tb testing.TB) connectors.Connector {
			return connect(tb, options(&account{answers: map[string]any{"/users": refusing(http.StatusForbidden, "forbidden", "Not Authorized")}}, everybody))
		},
	})
}
