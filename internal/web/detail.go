package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/internal/store"
	"github.com/rootly-idp-sync/rootly-idp-sync/reconcile"
)

// A Detail is all that is known of one person or group without asking either side.
type Detail struct {
	Row
	Taken     time.Time               `json:"taken,omitzero" doc:"When the directory's answer was read."`
	Directory []Value                 `json:"directory" doc:"The directory's side."`
	Rootly    []Value                 `json:"rootly" doc:"Rootly's side, as it was written last."`
	Decision  *reconcile.Decision     `json:"decision,omitempty" doc:"Why in or out; missing when the directory does not list them."`
	Mapped    []reconcile.MappedValue `json:"mapped" doc:"What Rootly should hold, and by which rule."`
	Groups    []Row                   `json:"groups" doc:"Groups of a person."`
	Members   *Page[Row]              `json:"memberList,omitempty" doc:"Members of a group."`
	Changes   []reconcile.Change      `json:"changes" doc:"What the last plan says."`
	Notes     []reconcile.Note        `json:"notes"`
	Escrow    []Wait                  `json:"escrow"`
	History   []Past                  `json:"history" doc:"The latest changes on record, the newest first."`
}

// A Value is one attribute of one side.
type Value struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// shownHistory is how many of the changes of a person a page has. The command line has all of them.
const shownHistory = 100

func (s *Site) person(ctx context.Context, id string) (Detail, error) {
	d := emptyDetail()
	err := s.onRoster(ctx, func(p Pipeline, r *roster) error {
		row, ok := r.person(id)
		if !ok {
			return refusal{http.StatusNotFound, fmt.Errorf("nobody has the id %q as of the last good cycle (search among the people)", id)}
		}
		d.Row, d.Taken = row, r.taken
		if u := r.user(row.ID); u != nil {
			d.Directory = values(
				"userName", u.UserName, "status", string(u.Status), "the directory's word", u.StatusDetail, "e-mail", u.Email, "given name", u.GivenName,
				"family name", u.FamilyName, "display name", u.DisplayName, "department", u.Department, "title", u.Title, "company", u.Company,
				"employee number", u.EmployeeNumber, "employee type", u.EmployeeType)
			for _, ph := range u.Phones {
				d.Directory = append(d.Directory, Value{ph.Type + " phone", ph.Value})
			}
			if p.Rules != nil {
				decision, mapped := p.Rules.Decide(u, r.snapshot)
				d.Decision, d.Mapped = &decision, mapped
			}
			d.Groups = append(d.Groups, r.groupsOf(row.ID)...)
		}
		if l, ok := r.ledger.Users[userID(row.ID)]; ok && l.User != nil {
			u := l.User
			d.Rootly = values(
				"userName", u.UserName, "active", fmt.Sprint(u.Active), "externalId", u.ExternalID, "given name", u.GivenName, "family name", u.FamilyName,
				"display name", u.DisplayName, "e-mail", u.Email)
			for _, ph := range u.Phones {
				d.Rootly = append(d.Rootly, Value{ph.Type + " phone", ph.Value})
			}
			if !l.Left.IsZero() {
				d.Rootly = append(d.Rootly, Value{"gone from the directory since", stamp(l.Left)})
			}
			if !l.OnCall.IsZero() {
				d.Rootly = append(d.Rootly, Value{"held for being on call since", stamp(l.OnCall)})
			}
		}
		return s.complete(ctx, p, r, reconcile.KindUser, &d)
	})
	return d, err
}

func (s *Site) group(ctx context.Context, id string, page int) (Detail, error) {
	d := emptyDetail()
	err := s.onRoster(ctx, func(p Pipeline, r *roster) error {
		row, ok := r.group(id)
		if !ok {
			return refusal{http.StatusNotFound, fmt.Errorf("no group has the id %q as of the last good cycle (search among the groups)", id)}
		}
		d.Row, d.Taken = row, r.taken
		if g := r.sourceGroup(row.ID); g != nil {
			d.Directory = values("name", g.Name, "e-mail", g.Email, "members", fmt.Sprint(len(g.Members)))
			if p.Rules != nil {
				decision := p.Rules.DecideGroup(g)
				d.Decision = &decision
			}
			d.Members = r.members(pageOf(g.Members, page))
		}
		if l, ok := r.ledger.Groups[groupID(row.ID)]; ok && l.Group != nil {
			d.Rootly = values("displayName", l.Group.DisplayName, "externalId", l.Group.ExternalID)
		}
		return s.complete(ctx, p, r, reconcile.KindGroup, &d)
	})
	return d, err
}

// complete adds what is planned, what waits and what was.
func (s *Site) complete(ctx context.Context, p Pipeline, r *roster, kind reconcile.Kind, d *Detail) error {
	changes, notes := s.about(kind, d.Row)
	d.Changes, d.Notes = append(d.Changes, changes...), append(d.Notes, notes...)
	for _, w := range r.ledger.Waiting {
		if w.Kind == kind && w.Source == d.ID {
			d.Escrow = append(d.Escrow, waitOf(w))
		}
	}
	entries, err := p.Records.Changes(ctx, store.Filter{ID: d.Path(), Limit: shownHistory})
	for _, e := range entries {
		d.History = append(d.History, pastOf(e))
	}
	return err
}

func emptyDetail() Detail {
	return Detail{
		Directory: []Value{}, Rootly: []Value{}, Mapped: []reconcile.MappedValue{}, Groups: []Row{}, Changes: []reconcile.Change{}, Notes: []reconcile.Note{},
		Escrow: []Wait{}, History: []Past{},
	}
}

// values pairs names with values and leaves out what is empty.
func values(pairs ...string) []Value {
	out := []Value{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, Value{pairs[i], pairs[i+1]})
		}
	}
	return out
}
