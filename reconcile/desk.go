package reconcile

import (
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// reading is what both sides and the ledger say when a plan is made.
type reading struct {
	now      time.Time // when the plan is made
	snapshot connectors.Snapshot
	users    []scimclient.User
	groups   []scimclient.Group
	// hidden are SCIM ids of links that are in no listing and that a reading by id answered with 404.
	hidden map[string]bool
	ledger Ledger
	// findings are the directory's second answers about those who would lose something.
	findings findings
	// duties are Rootly's answers about those who leave, nil when it was not asked.
	duties *duties
}

// A person is one human on the way through the steps, seen from both sides.
type person struct {
	verdict
	id      string           // directory id
	source  *connectors.User // nil when the directory no longer lists them
	link    *Link            // nil when they are not ours
	target  *scimclient.User // nil when Rootly does not show them
	matched string           // how an unlinked person found their target: "externalId", "userName"
	frozen  *Note            // why they are left exactly as they are
	after   string           // key of the change that frees the userName they are to have
	record  *UserValues      // what the ledger should remember of a wanted person
	// contests are the values that another writer keeps turning back.
	contests map[string]Contest
	// candidate is the SCIM id of the account that adopt would give to a frozen person, "" when it could not decide.
	candidate string
}

func (p *person) ref() Ref {
	r := Ref{Kind: KindUser, Source: p.id, Name: p.want.UserName}
	switch {
	case p.target != nil:
		r.Target = p.target.ID
		if r.Name == "" {
			r.Name = p.target.UserName
		}
	case p.link != nil:
		r.Target = p.link.Target
	}
	if r.Name == "" && p.link != nil && p.link.User != nil {
		r.Name = p.link.User.UserName
	}
	if r.Name == "" && p.source != nil {
		r.Name = p.source.UserName
	}
	return r
}

// wanted tells whether the person is to be active in Rootly and may be touched.
func (p *person) wanted() bool { return p.standing == standIn && p.frozen == nil }

// A pushed is one group on the same way.
type pushed struct {
	id             string
	source         *connectors.Group // nil when it is no longer pushed
	link           *Link
	target         *scimclient.Group
	matched        string
	want           GroupValues // without Members
	frozen         *Note
	after          string                     // key of the change that frees the name it is to have
	spared         map[connectors.UserID]bool // members of the second reading only: not in, and not taken out
	candidate      string                     // SCIM id of the group that adopt would take over for a frozen one
	managedMembers int                        // current members that are ours and active
	contests       map[string]Contest         // values and memberships that another writer keeps turning back
	role           bool                       // carries roles in Rootly
}

func (g *pushed) ref() Ref {
	r := Ref{Kind: KindGroup, Source: g.id, Name: g.want.DisplayName, Role: g.role}
	switch {
	case g.target != nil:
		r.Target = g.target.ID
		if r.Name == "" {
			r.Name = g.target.DisplayName
		}
	case g.link != nil:
		r.Target = g.link.Target
	}
	if r.Name == "" && g.link != nil && g.link.Group != nil {
		r.Name = g.link.Group.DisplayName
	}
	return r
}

// A desk is where one plan is worked out: everybody on it once, with both sides beside each other.
type desk struct {
	rules *Rules
	reading
	people   []person
	groups   []pushed
	personAt map[connectors.UserID]int32 // directory id → people
	ownerOf  map[string]int32            // SCIM id → people
	userAt   map[string]int32            // SCIM id → users
	groupAt  map[string]int              // directory id → groups
	// bystanders are SCIM ids of unowned people in a conflict: their memberships are left alone as well.
	bystanders map[string]bool
	notes      []Note
	contested  []ContestedValue
	unseen     bool // Rootly shows nobody's telephone numbers
}

// newDesk judges everybody: those the directory lists, then those it no longer lists but we still own.
func newDesk(rules *Rules, in reading) *desk {
	d := &desk{
		rules: rules, reading: in,
		people:     make([]person, 0, len(in.snapshot.Users)),
		personAt:   make(map[connectors.UserID]int32, len(in.snapshot.Users)),
		ownerOf:    make(map[string]int32, len(in.users)),
		userAt:     make(map[string]int32, len(in.users)),
		groupAt:    map[string]int{},
		bystanders: map[string]bool{},
		unseen:     showsNoPhones(in.users),
	}
	for i := range in.users {
		d.userAt[in.users[i].ID] = int32(i)
	}
	j := newJudge(rules, in.snapshot)
	for i := range in.snapshot.Users {
		u := &in.snapshot.Users[i]
		d.seat(person{id: string(u.ID), source: u, verdict: j.judge(u)})
	}
	for _, id := range sortedKeys(in.ledger.Users) {
		if _, listed := d.personAt[id]; listed {
			continue
		}
		p := person{id: string(id), verdict: verdict{standing: standGone, text: "not in the directory's answer"}}
		l := in.ledger.Users[id]
		if l.User != nil {
			if pat, ok := rules.exclude.Match(p.id, l.User.UserName); ok {
				p.standing, p.text = standExcluded, "scope.exclude has \""+pat.String()+"\""
			}
		}
		d.seat(p)
	}
	return d
}

func (d *desk) seat(p person) {
	id := connectors.UserID(p.id)
	if f, ok := d.findings.people[p.id]; ok && f.proof == confirmed {
		p.verdict = f.verdict
	}
	if l, ok := d.ledger.Users[id]; ok {
		p.link = &l
		if i, ok := d.userAt[l.Target]; ok {
			p.target = &d.users[i]
			d.ownerOf[l.Target] = int32(len(d.people))
		}
	}
	d.personAt[id] = int32(len(d.people))
	d.people = append(d.people, p)
}

// freeze leaves a person exactly as they are and says why. The first reason stands.
func (d *desk) freeze(p *person, kind NoteKind, text, remedy string) {
	if p.frozen == nil {
		p.frozen = &Note{Kind: kind, Object: p.ref(), Text: text, Remedy: remedy}
	}
}

func (d *desk) freezeGroup(g *pushed, kind NoteKind, text, remedy string) {
	if g.frozen == nil {
		g.frozen = &Note{Kind: kind, Object: g.ref(), Text: text, Remedy: remedy}
	}
}
