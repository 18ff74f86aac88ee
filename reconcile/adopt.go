package reconcile

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
)

// An Adoption says, object by object, how the directory and a Rootly that already holds people fit together. It is what
// to read before the first run, and the ground on which adopt decides.
type Adoption struct {
	Links     []Match    `json:"links"`      // will be linked by themselves
	Takeovers []Takeover `json:"takeovers"`  // need a yes: adopt
	Conflicts []Note     `json:"conflicts"`  // nobody but the operator can settle them
	Local     []Ref      `json:"local"`      // active in Rootly, unknown to the directory: never touched
	OutScope  []Ref      `json:"outOfScope"` // active in Rootly, in the directory, out of scope: never touched until linked
	Removals  []Change   `json:"removals"`   // what would be taken away, all of it held on first contact
}

// A Match is an object that is going to be linked.
type Match struct {
	Object Ref    `json:"object"`
	By     string `json:"by"` // "externalId", "userName", "displayName", …
}

// A Takeover is an object that only adopt links: an account of foreign externalId, an account that is deactivated, one
// whose owner has left, a hand-made group whose members would go.
type Takeover struct {
	Object Ref    `json:"object"`
	Why    string `json:"why"`

	link   Link
	unlink *Ref
}

// Adopt reads both sides and reports on them. It writes nothing.
func (p *Planner) Adopt(ctx context.Context, ledger Ledger, now time.Time) (Adoption, error) {
	w, err := p.prepare(ctx, ledger, now)
	if err != nil {
		return Adoption{}, err
	}
	return w.desk.adoption(w.changes), nil
}

func (d *desk) adoption(changes []Change) Adoption {
	var a Adoption
	for i := range d.people {
		p := &d.people[i]
		switch {
		case p.link == nil && p.target != nil && p.frozen == nil:
			a.Links = append(a.Links, Match{Object: p.ref(), By: p.matched})
		case p.candidate != "" && p.frozen != nil:
			a.Takeovers = append(a.Takeovers, d.takeover(p))
		case p.frozen != nil && (p.frozen.Kind == NoteConflict || p.frozen.Kind == NoteUnmapped):
			a.Conflicts = append(a.Conflicts, *p.frozen)
		}
	}
	for i := range d.groups {
		g := &d.groups[i]
		switch {
		case g.link == nil && g.target != nil && g.frozen == nil:
			a.Links = append(a.Links, Match{Object: g.ref(), By: g.matched})
		case g.candidate != "" && g.frozen != nil:
			a.Takeovers = append(a.Takeovers, d.groupTakeover(g))
		case g.frozen != nil && (g.frozen.Kind == NoteConflict || g.frozen.Kind == NoteUnmapped):
			a.Conflicts = append(a.Conflicts, *g.frozen)
		}
	}
	a.Takeovers = append(a.Takeovers, d.reclaims()...)
	known := map[string]bool{}
	for i := range d.people {
		if p := &d.people[i]; p.source != nil && p.standing == standOut {
			known[connectors.Fold(p.want.UserName)], known[connectors.Fold(p.source.UserName)] = true, true
		}
	}
	for i := range d.users {
		u := &d.users[i]
		if _, owned := d.ownerOf[u.ID]; owned || !u.Active || d.bystanders[u.ID] {
			continue
		}
		r := Ref{Kind: KindUser, Target: u.ID, Name: u.UserName}
		if known[connectors.Fold(u.UserName)] {
			a.OutScope = append(a.OutScope, r)
		} else {
			a.Local = append(a.Local, r)
		}
	}
	for _, c := range changes {
		if c.destructive() {
			a.Removals = append(a.Removals, c)
		}
	}
	return a
}

func (d *desk) takeover(p *person) Takeover {
	u := &d.users[d.userAt[p.candidate]]
	t := Takeover{Object: p.ref(), Why: p.frozen.Text}
	t.Object.Target = u.ID
	t.link = Link{Kind: KindUser, Source: p.id, Target: u.ID, User: &UserValues{UserName: u.UserName, ExternalID: u.ExternalID, Active: u.Active}}
	if o, owned := d.ownerOf[u.ID]; owned && d.people[o].id != p.id {
		r := d.people[o].ref()
		t.unlink = &r
	}
	return t
}

func (d *desk) groupTakeover(g *pushed) Takeover {
	t := Takeover{Object: g.ref(), Why: g.frozen.Text}
	for i := range d.reading.groups {
		if r := &d.reading.groups[i]; r.ID == g.candidate {
			t.Object.Target = r.ID
			t.link = Link{Kind: KindGroup, Source: g.id, Target: r.ID,
				Group: &GroupValues{DisplayName: r.DisplayName, ExternalID: r.ExternalID, Members: memberIDs(r.Members)}}
		}
	}
	return t
}

// Choose returns what the ledger has to put and to forget for the takeovers that who names, by userName, displayName or
// id; for an empty who, for all that are unambiguous: nobody else has a claim, and no account comes back to life. Nothing
// named is an error that says what there is.
func (a Adoption) Choose(who string) (links []Link, unlink []Ref, chosen []Takeover, err error) {
	for _, t := range a.Takeovers {
		revives := t.link.User != nil && !t.link.User.Active
		if who == "" && (t.unlink != nil || revives) || who != "" && !t.Object.means(who) {
			continue
		}
		chosen, links = append(chosen, t), append(links, t.link)
		if t.unlink != nil {
			unlink = append(unlink, *t.unlink)
		}
	}
	if who != "" && len(chosen) > 1 {
		return nil, nil, nil, fmt.Errorf("%q means %d objects: use an id", who, len(chosen))
	}
	if who != "" && len(chosen) == 0 {
		return nil, nil, nil, a.nothing(who)
	}
	return links, unlink, chosen, nil
}

// nothing says why who cannot be adopted.
func (a Adoption) nothing(who string) error {
	for _, m := range a.Links {
		if m.Object.means(who) {
			return fmt.Errorf("%s needs no adoption: the next run links it by %s", m.Object.Name, m.By)
		}
	}
	for _, n := range a.Conflicts {
		if n.Object.means(who) {
			return fmt.Errorf("%s cannot be adopted: %s (%s)", n.Object.Name, n.Text, n.Remedy)
		}
	}
	for _, r := range append(a.Local, a.OutScope...) {
		if r.means(who) {
			return fmt.Errorf("%s is in Rootly, and nobody in the directory's scope has a claim to it", r.Name)
		}
	}
	return fmt.Errorf("there is nothing to adopt for %q: rootly-idp-sync adopt lists what there is", who)
}

// means tells whether the operator's words name the object.
func (r Ref) means(who string) bool {
	who = strings.TrimSpace(who)
	return r.Source == who || r.Target != "" && r.Target == who || connectors.Fold(r.Name) == connectors.Fold(who)
}
