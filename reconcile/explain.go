package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rootly-idp-sync/rootly-idp-sync/connectors"
	"github.com/rootly-idp-sync/rootly-idp-sync/scimclient"
)

// An Explanation is all that one plan knows of one person or group: what each side says, what the rules make of it, what
// would happen and why.
type Explanation struct {
	Who    string    `json:"who"` // as it was asked
	Source string    `json:"source"`
	Target string    `json:"target"`
	At     time.Time `json:"at"`
	// Known is false when neither side has such a person or group; Near are names that begin alike.
	Known  bool     `json:"known"`
	Near   []string `json:"near,omitempty"`
	Object Ref      `json:"object,omitzero"`

	Directory Sighting      `json:"directory"`
	Decision  Decision      `json:"decision"` // about a person: scope; about a group: push
	Values    []MappedValue `json:"values,omitempty"`
	Rootly    Matched       `json:"rootly"`
	Places    []Place       `json:"places,omitempty"` // the pushed groups of a person, the members of a group
	Again     *SecondAnswer `json:"again,omitempty"`  // nil when there was no need to ask again

	Changes    []Change    `json:"changes,omitempty"`
	Held       []Change    `json:"held,omitempty"`
	Objections []Objection `json:"objections,omitempty"` // those that hold something of Held
	Sets       []HeldSet   `json:"sets,omitempty"`       // those that something of Held is in
	Notes      []Note      `json:"notes,omitempty"`
	Retries    []Retry     `json:"retries,omitempty"`
	Pinned     bool        `json:"pinned,omitempty"`
	// Blocked says why nothing is planned for anybody, "" when something can be.
	Blocked string `json:"blocked,omitempty"`

	onCall *OnCall // of the whole plan
}

// A Sighting is what the directory's answer says of the object.
type Sighting struct {
	Listed  bool              `json:"listed"`
	ID      string            `json:"id,omitempty"`
	Name    string            `json:"name,omitempty"`
	Status  connectors.Status `json:"status,omitempty"`
	Detail  string            `json:"detail,omitempty"`  // the directory's own word for the status
	Members int               `json:"members,omitempty"` // of a group
}

// A Matched is what Rootly has of the object, and how it was found.
type Matched struct {
	How     string `json:"how"` // "link", "externalId", "userName", "displayName", …, "none"
	Target  string `json:"target,omitempty"`
	Name    string `json:"name,omitempty"`
	Shown   bool   `json:"shown"`   // Rootly's answer has it
	Active  bool   `json:"active"`  // of a person
	Managed bool   `json:"managed"` // ours by the ledger
	// Namesakes are objects that nobody here manages and that have the same name or externalId, when none was found.
	Namesakes []Ref `json:"namesakes,omitempty"`
}

// A SecondAnswer is what the directory said when it was asked again about an object that would lose something.
type SecondAnswer struct {
	Result string `json:"result"` // "confirmed", "contradicted", "unproven"
	Text   string `json:"text"`
}

// A Retry is a change that failed and is tried again later.
type Retry struct {
	Verb     Verb      `json:"verb"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
	Reason   string    `json:"reason"`
}

// Explain reads both sides as Plan does and says what it makes of one person or group, named by userName or displayName,
// directory id or SCIM id. It writes nothing. Somebody unknown is an Explanation; somebody who could be several is an
// error that lists them.
func (p *Planner) Explain(ctx context.Context, ledger Ledger, now time.Time, who string) (Explanation, error) {
	who = strings.TrimSpace(who)
	if who == "" {
		return Explanation{}, fmt.Errorf("name a person or a group: a userName, a group's name, or an id")
	}
	w, err := p.prepare(ctx, ledger, now)
	if err != nil && !errors.Is(err, ErrNobodyInScope) {
		return Explanation{}, err
	}
	x := explainer{desk: w.desk}
	x.e = Explanation{Who: who, Source: p.Source.Tenant(), Target: p.TargetURL, At: now}
	if err != nil {
		x.e.Blocked = err.Error()
	} else {
		if err := p.askPager(ctx, &w, now); err != nil {
			return Explanation{}, err
		}
		x.plan = conclude(w.desk, w.changes, w.refresh, now)
	}
	subjects := x.subjects()
	s, err := find(subjects, who)
	if err != nil {
		return Explanation{}, err
	}
	if s == nil {
		x.e.Near = nearest(subjects, who)
		return x.e, nil
	}
	x.explain(s)
	return x.e, nil
}

// An explainer is one Explain at work.
type explainer struct {
	*desk
	plan Plan
	e    Explanation
}

// A subject is somebody or something that can be explained.
type subject struct {
	ref    Ref
	person *person           // in the directory, or ours
	user   *scimclient.User  // the account in Rootly
	pushed *pushed           // pushed, or ours
	source *connectors.Group // the group in the directory
	group  *scimclient.Group // the group in Rootly
	names  []string          // userNames, a group's names
	also   []string          // what a person is called besides
}

// stray tells whether only Rootly has the subject.
func (s *subject) stray() bool { return s.person == nil && s.pushed == nil && s.source == nil }

func (x *explainer) subjects() []subject {
	var out []subject
	for i := range x.people {
		p := &x.people[i]
		s := subject{ref: p.ref(), person: p, user: p.target, names: []string{p.want.UserName}, also: []string{p.want.DisplayName, p.want.Email}}
		if p.source != nil {
			s.names = append(s.names, p.source.UserName)
			s.also = append(s.also, displayName(p.source), p.source.Email)
		}
		if p.target != nil {
			s.names = append(s.names, p.target.UserName)
		}
		if p.link != nil && p.link.User != nil {
			s.names = append(s.names, p.link.User.UserName)
		}
		out = append(out, s)
	}
	for i := range x.users {
		u := &x.users[i]
		if _, owned := x.ownerOf[u.ID]; !owned {
			out = append(out, subject{ref: Ref{Kind: KindUser, Target: u.ID, Name: u.UserName}, user: u, names: []string{u.UserName}, also: []string{u.DisplayName}})
		}
	}
	return append(out, x.groupSubjects()...)
}

func (x *explainer) groupSubjects() []subject {
	var out []subject
	taken := map[string]bool{} // SCIM ids
	sources := map[string]*connectors.Group{}
	for i := range x.snapshot.Groups {
		g := &x.snapshot.Groups[i]
		sources[string(g.ID)] = g
		if _, ok := x.groupAt[string(g.ID)]; !ok {
			out = append(out, subject{ref: Ref{Kind: KindGroup, Source: string(g.ID), Name: g.Name}, source: g, names: []string{g.Name}})
		}
	}
	for i := range x.groups {
		g := &x.groups[i]
		s := subject{ref: g.ref(), pushed: g, source: sources[g.id], group: g.target, names: []string{g.ref().Name}}
		if g.target != nil {
			taken[g.target.ID] = true
			s.names = append(s.names, g.target.DisplayName)
		}
		if s.source != nil {
			s.names = append(s.names, s.source.Name)
		}
		out = append(out, s)
	}
	for i := range x.reading.groups {
		if g := &x.reading.groups[i]; !taken[g.ID] {
			out = append(out, subject{ref: Ref{Kind: KindGroup, Target: g.ID, Name: g.DisplayName}, group: g, names: []string{g.DisplayName}})
		}
	}
	return out
}

// find returns the one subject that who means: by id, else by name, else by what people are called besides. Something
// that only Rootly has gives way to a namesake of the directory, whose explanation speaks of it.
func find(subjects []subject, who string) (*subject, error) {
	folded := connectors.Fold(who)
	named := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return n != "" && connectors.Fold(n) == folded })
	}
	for _, means := range []func(s *subject) bool{
		func(s *subject) bool { return s.ref.Source == who || s.ref.Target == who },
		func(s *subject) bool { return named(s.names) },
		func(s *subject) bool { return named(s.also) },
	} {
		var hits []*subject
		for i := range subjects {
			if means(&subjects[i]) {
				hits = append(hits, &subjects[i])
			}
		}
		if listed := slices.DeleteFunc(slices.Clone(hits), (*subject).stray); len(listed) > 0 {
			hits = listed
		}
		if len(hits) > 1 {
			return nil, ambiguous(who, hits)
		}
		if len(hits) == 1 {
			return hits[0], nil
		}
	}
	return nil, nil
}

func ambiguous(who string, hits []*subject) error {
	var list []string
	for _, s := range hits {
		id := "directory id " + s.ref.Source
		if s.ref.Source == "" {
			id = "SCIM id " + s.ref.Target
		}
		list = append(list, Visible(fmt.Sprintf("%s %s (%s)", s.ref.Kind, s.ref.Name, id)))
	}
	return fmt.Errorf("%q means %s: name one by its id", who, strings.Join(list, " and "))
}

// nearest lists the names that share the longest beginning with who, letter case aside: five at most, and none that is
// less than half as alike as the best.
func nearest(subjects []subject, who string) []string {
	folded := []rune(connectors.Fold(who))
	shared, best := map[string]int{}, 0
	for _, s := range subjects {
		for _, name := range slices.Concat(s.names, s.also) {
			n := 0
			for _, r := range connectors.Fold(name) {
				if n == len(folded) || folded[n] != r {
					break
				}
				n++
			}
			if n >= min(3, len(folded)) {
				shared[name], best = n, max(best, n)
			}
		}
	}
	names := slices.DeleteFunc(sortedKeys(shared), func(name string) bool { return 2*shared[name] < best })
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(shared[b], shared[a]) })
	return names[:min(len(names), 5)]
}

func (x *explainer) explain(s *subject) {
	e := &x.e
	e.Known, e.Object = true, s.ref
	e.Rootly = x.matched(s)
	if s.ref.Kind == KindUser {
		x.explainUser(s)
	} else {
		x.explainGroup(s)
	}
	means := func(r Ref) bool { return r.Kind == s.ref.Kind && r.key() == s.ref.key() }
	e.Changes, e.Held, e.onCall = narrow(x.plan.Changes, means), narrow(x.plan.Held, means), x.plan.OnCall
	for _, n := range x.plan.Notes {
		if means(n.Object) {
			e.Notes = append(e.Notes, n)
		}
	}
	held := func(match func(c Change) bool) bool { return slices.ContainsFunc(e.Held, match) }
	for _, o := range x.plan.Objections {
		if held(func(c Change) bool { return strings.Contains(c.Held, o.Text) }) {
			e.Objections = append(e.Objections, o)
		}
	}
	for _, set := range x.plan.Sets {
		if held(func(c Change) bool { return c.Set == set.Fingerprint }) {
			e.Sets = append(e.Sets, set)
		}
	}
	for _, w := range x.ledger.Waiting {
		if w.Kind == s.ref.Kind && w.Source == s.ref.Source {
			e.Retries = append(e.Retries, Retry{Verb: w.Verb, Attempts: w.Attempts, Next: w.Next, Reason: w.Reason})
		}
	}
	e.Pinned = s.ref.Source != "" && x.ledger.Pinned[s.ref.Source]
}

// matched says what Rootly has of a subject.
func (x *explainer) matched(s *subject) Matched {
	m := Matched{How: "none"}
	switch {
	case s.person != nil && s.person.link != nil:
		m.How, m.Managed, m.Target = "link", true, s.person.link.Target
	case s.pushed != nil && s.pushed.link != nil:
		m.How, m.Managed, m.Target = "link", true, s.pushed.link.Target
	case s.person != nil && s.person.target != nil:
		m.How = s.person.matched
	case s.pushed != nil && s.pushed.target != nil:
		m.How = s.pushed.matched
	}
	switch {
	case s.user != nil:
		m.Shown, m.Active, m.Target, m.Name = true, s.user.Active, s.user.ID, s.user.UserName
	case s.group != nil:
		m.Shown, m.Target, m.Name = true, s.group.ID, s.group.DisplayName
	case s.person != nil:
		for i := range x.users {
			u := &x.users[i]
			if _, owned := x.ownerOf[u.ID]; !owned && like(s.person.want.UserName, s.person.want.ExternalID, u.UserName, u.ExternalID) {
				m.Namesakes = append(m.Namesakes, Ref{Kind: KindUser, Target: u.ID, Name: u.UserName})
			}
		}
	case s.pushed != nil:
		for i := range x.reading.groups {
			if g := &x.reading.groups[i]; like(s.pushed.want.DisplayName, s.pushed.want.ExternalID, g.DisplayName, g.ExternalID) {
				m.Namesakes = append(m.Namesakes, Ref{Kind: KindGroup, Target: g.ID, Name: g.DisplayName})
			}
		}
	}
	return m
}

// like tells whether an object that was not matched has the name or externalId that one wants.
func like(name, externalID, haveName, haveExternalID string) bool {
	return externalID != "" && externalID == haveExternalID || name != "" && sameFolded(name, haveName)
}

func (x *explainer) explainUser(s *subject) {
	e := &x.e
	if p := s.person; p != nil {
		e.Decision = x.scopeDecision(p)
		if u := p.source; u != nil {
			e.Directory = Sighting{Listed: true, ID: p.id, Name: u.UserName, Status: u.Status, Detail: u.StatusDetail}
			e.Values = x.rules.mappedValues(u)
		}
		if f, asked := x.findings.people[p.id]; asked {
			e.Again = &SecondAnswer{Result: string(f.proof), Text: f.text}
			if f.text == "" {
				e.Again.Text = string(f.verdict.standing)
				if f.verdict.text != "" {
					e.Again.Text += " (" + f.verdict.text + ")"
				}
			}
		}
	} else {
		e.Decision = Decision{Verdict: "unknown to the directory", Text: "nobody in the directory's answer has this account: it is not touched"}
	}
	for i := range x.groups {
		g := &x.groups[i]
		pl := x.place(g, s)
		if pl.Directory || pl.Rootly {
			pl.Object = g.ref()
			e.Places = append(e.Places, pl)
		}
	}
}

func (x *explainer) explainGroup(s *subject) {
	e := &x.e
	if s.source != nil {
		e.Directory = Sighting{Listed: true, ID: string(s.source.ID), Name: s.source.Name, Members: len(s.source.Members)}
	}
	e.Decision = x.pushDecision(s)
	g := s.pushed
	if g == nil {
		return
	}
	if ms, ok := x.findings.groups[g.id]; ok {
		e.Again = &SecondAnswer{Result: string(confirmed), Text: count(len(ms), "member", "members") + " at the second reading; only who is in neither reading goes"}
	} else if text, ok := x.findings.gone[g.id]; ok {
		e.Again = &SecondAnswer{Result: string(unproven), Text: text}
	} else if f, ok := x.findings.removed[g.id]; ok {
		e.Again = removedAnswer(f)
	}
	for _, m := range x.everybody(g) {
		pl := x.place(g, &m)
		pl.Object = m.ref
		e.Places = append(e.Places, pl)
	}
}

// pushDecision says whether a group is pushed and what decided.
func (x *explainer) pushDecision(s *subject) Decision {
	if s.source == nil {
		text := "not in the directory's answer: only groups that groups.push or scope.groups name are read"
		if s.pushed == nil {
			return Decision{Verdict: "unknown to the directory", Text: text}
		}
		return Decision{Verdict: "not pushed any more", Text: text}
	}
	pat, ok := x.rules.push.Match(string(s.source.ID), s.source.Name, s.source.Email)
	if !ok {
		return Decision{Verdict: "not pushed", Text: "no entry of groups.push means it"}
	}
	text := fmt.Sprintf("groups.push has %q", pat)
	if role, ok := x.rules.roles.Match(string(s.source.ID), s.source.Name, s.source.Email); ok {
		text += fmt.Sprintf("; it carries roles: groups.privileged has %q", role)
	}
	return Decision{Verdict: "pushed", In: true, Text: text}
}
