package file

import (
	"context"
	"encoding/csv"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/internal/sim"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile/reconciletest"
)

// An exporter writes the company to the connector's files before each reading, as a nightly job would.
type exporter struct {
	*Connector
	sim           *sim.Sim
	users, groups string
	cut, empty    bool
}

func (e *exporter) Fetch(ctx context.Context) (connectors.Snapshot, error) {
	statuses := map[sim.Status]string{sim.StatusSuspended: "suspended", sim.StatusDeprovisioned: "deprovisioned", sim.StatusStaged: "staged"}
	var users, groups strings.Builder
	u, g := csv.NewWriter(&users), csv.NewWriter(&groups)
	_ = u.Write([]string{"id", "userName", "email", "givenName", "familyName", "status"})
	_ = g.Write([]string{"id", "name", "member"})
	for _, p := range e.sim.Company.People() {
		status := statuses[p.Status]
		if status == "" {
			status = "active"
		}
		_ = u.Write([]string{p.ID, p.Login, p.Email, p.FirstName, p.LastName, status})
	}
	staff, _ := e.sim.Company.GroupByName("all-hands")
	for _, m := range staff.Members {
		_ = g.Write([]string{staff.ID, staff.Name, m})
	}
	u.Flush() // a strings.Builder takes everything
	g.Flush()
	text := users.String()
	switch {
	case e.cut:
		text = text[:len(text)/2]
		text = text[:strings.LastIndexByte(text, ',')] // in the middle of a line
	case e.empty:
		text = ""
	}
	if err := os.WriteFile(e.users, []byte(text), 0o600); err != nil {
		return connectors.Snapshot{}, err
	}
	if err := os.WriteFile(e.groups, []byte(groups.String()), 0o600); err != nil {
		return connectors.Snapshot{}, err
	}
	return e.Connector.Fetch(ctx)
}

func TestLeaving(t *testing.T) {
	var exporters sync.Map // by simulation
	of := func(s *sim.Sim) *exporter {
		e, _ := exporters.Load(s)
		return e.(*exporter)
	}
	reconciletest.WalkLeaving(t, reconciletest.Directory{
		New: func(t testing.TB, s *sim.Sim, _ sim.Endpoints, _ http.RoundTripper, q connectors.Query) connectors.Connector {
			e := &exporter{sim: s, users: filepath.Join(t.TempDir(), "users.csv"), groups: filepath.Join(t.TempDir(), "groups.csv")}
			var err error
			if e.Connector, err = New(Options{UsersPath: e.users, GroupsPath: e.groups, Name: "export", Query: q}); err != nil {
				t.Fatal(err)
			}
			exporters.Store(s, e)
			return e
		},
		Mode: connectors.ScopeGroups, Groups: []string{"all-hands"},
		Unassign: func(c *sim.Company, login string) error { return c.RemoveMember("all-hands", login) },
		CutShort: func(s *sim.Sim) { of(s).cut = true },
		Empty:    func(s *sim.Sim) { of(s).empty = true },
	})
}
